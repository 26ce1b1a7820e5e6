/* See spsc.h. Counts are 32 bits wide and wrap; differences stay right, since they never exceed the number of slots. */
#include "core/queue/spsc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/check.h"

int spsc_init(struct spsc *queue, size_t item_bytes, uint32_t items)
{
    if (item_bytes == 0 || items < 2 || items > UINT32_C(1) << 31 || (items & (items - 1)) != 0) return -EINVAL;
    if (item_bytes > (SIZE_MAX - SPSC_LINE_BYTES) / items) return -ENOMEM;
    size_t bytes = (item_bytes * items + SPSC_LINE_BYTES - 1) / SPSC_LINE_BYTES * SPSC_LINE_BYTES;
    queue->items = aligned_alloc(SPSC_LINE_BYTES, bytes);
    if (!queue->items) return -ENOMEM;
    queue->item_bytes = item_bytes;
    queue->slots = items;
    atomic_init(&queue->published, 0);
    atomic_init(&queue->released, 0);
    return 0;
}

void spsc_deinit(struct spsc *queue)
{
    free(queue->items);
    queue->items = NULL;
}

struct spsc_tx spsc_producer(struct spsc *queue)
{
    uint32_t published = atomic_load_explicit(&queue->published, memory_order_relaxed);
    return (struct spsc_tx){
        .queue = queue, .items = queue->items, .item_bytes = queue->item_bytes, .slots = queue->slots,
        .staged = published, .published = published,
        .released_seen = atomic_load_explicit(&queue->released, memory_order_acquire),
    };
}

struct spsc_rx spsc_consumer(struct spsc *queue)
{
    uint32_t released = atomic_load_explicit(&queue->released, memory_order_relaxed);
    return (struct spsc_rx){
        .queue = queue, .items = queue->items, .item_bytes = queue->item_bytes, .slots = queue->slots,
        .taken = released, .released = released,
        .published_seen = atomic_load_explicit(&queue->published, memory_order_acquire),
    };
}

static inline void look_for_room(struct spsc_tx *tx)
{
    tx->released_seen = atomic_load_explicit(&tx->queue->released, memory_order_acquire);
    CHECK(tx->staged - tx->released_seen <= tx->slots);
}

static inline void look_for_items(struct spsc_rx *rx)
{
    rx->published_seen = atomic_load_explicit(&rx->queue->published, memory_order_acquire);
    CHECK(rx->published_seen - rx->taken <= rx->slots);
}

void *spsc_stage_slot(struct spsc_tx *tx)
{
    if (tx->staged - tx->released_seen == tx->slots) {
        look_for_room(tx);
        if (tx->staged - tx->released_seen == tx->slots) return NULL;
    }
    return tx->items + (size_t)(tx->staged++ & (tx->slots - 1)) * tx->item_bytes;
}

bool spsc_stage(struct spsc_tx *tx, const void *item)
{
    void *slot = spsc_stage_slot(tx);
    if (slot) memcpy(slot, item, tx->item_bytes);
    return slot != NULL;
}

bool spsc_publish(struct spsc_tx *tx)
{
    if (tx->staged == tx->published) return false;
    tx->published = tx->staged;
    atomic_store_explicit(&tx->queue->published, tx->staged, memory_order_release);
    return true;
}

bool spsc_fits(struct spsc_tx *tx, uint32_t count)
{
    if (tx->slots - (tx->staged - tx->released_seen) >= count) return true;
    look_for_room(tx);
    return tx->slots - (tx->staged - tx->released_seen) >= count;
}

static inline const char *slot_at(const struct spsc_rx *rx, uint32_t count)
{
    return rx->items + (size_t)(count & (rx->slots - 1)) * rx->item_bytes;
}

/* The one after the next is fetched while this one and the next are worked on: it lies in the producer's cache, and the way from there
 * may take as long as the work. */
const void *spsc_take_slot(struct spsc_rx *rx)
{
    if (spsc_empty(rx)) return NULL;
    uint32_t count = rx->taken++;
    if (rx->published_seen - rx->taken > 1) {
        const char *soon = slot_at(rx, count + 2);
        __builtin_prefetch(soon);
        if (rx->item_bytes > SPSC_LINE_BYTES / 2) __builtin_prefetch(soon + SPSC_LINE_BYTES / 2);
    }
    return slot_at(rx, count);
}

bool spsc_take(struct spsc_rx *rx, void *item)
{
    const void *slot = spsc_take_slot(rx);
    if (slot) memcpy(item, slot, rx->item_bytes);
    return slot != NULL;
}

void spsc_release(struct spsc_rx *rx)
{
    if (rx->released == rx->taken) return;
#ifdef RINGCAST_DEBUG
    for (uint32_t i = rx->released; i != rx->taken; i++) /* still ours: a read of it after this is seen */
        POISON(rx->items + (size_t)(i & (rx->slots - 1)) * rx->item_bytes, rx->item_bytes);
#endif
    rx->released = rx->taken;
    atomic_store_explicit(&rx->queue->released, rx->taken, memory_order_release);
}

bool spsc_empty(struct spsc_rx *rx)
{
    if (rx->published_seen != rx->taken) return false;
    look_for_items(rx);
    return rx->published_seen == rx->taken;
}
