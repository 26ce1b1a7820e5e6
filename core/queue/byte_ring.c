/* See byte_ring.h. Counts are 32 bits wide and wrap; differences stay right, since they never exceed the ring's size. */
#include "core/queue/byte_ring.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/check.h"

int byte_ring_init(struct byte_ring *ring, uint32_t size)
{
    if (size < 2 || size > UINT32_C(1) << 31 || (size & (size - 1)) != 0) return -EINVAL;
    size_t bytes = ((size_t)size + SPSC_LINE_BYTES - 1) / SPSC_LINE_BYTES * SPSC_LINE_BYTES;
    ring->bytes = aligned_alloc(SPSC_LINE_BYTES, bytes);
    if (!ring->bytes) return -ENOMEM;
    ring->size = size;
    atomic_init(&ring->released, 0);
    return 0;
}

void byte_ring_deinit(struct byte_ring *ring)
{
    free(ring->bytes);
    ring->bytes = NULL;
}

struct byte_ring_tx byte_ring_producer(struct byte_ring *ring)
{
    uint32_t released = atomic_load_explicit(&ring->released, memory_order_acquire);
    return (struct byte_ring_tx){ .ring = ring, .bytes = ring->bytes, .size = ring->size, .staged = released, .released_seen = released };
}

struct byte_ring_rx byte_ring_consumer(struct byte_ring *ring)
{
    uint32_t released = atomic_load_explicit(&ring->released, memory_order_relaxed);
    return (struct byte_ring_rx){ .ring = ring, .bytes = ring->bytes, .size = ring->size, .taken = released, .released = released };
}

/* Where a run of `count` bytes begins: at `at`, or, where it would cross the ring's end, at its start. */
static inline uint32_t run_start(uint32_t at, uint32_t size, uint32_t count)
{
    uint32_t left = size - (at & (size - 1));
    return count <= left ? at : at + left;
}

bool byte_ring_fits(struct byte_ring_tx *tx, uint32_t count)
{
    CHECK(count <= byte_ring_run_max(tx->size));
    uint32_t end = run_start(tx->staged, tx->size, count) + count;
    if (end - tx->released_seen <= tx->size) return true;
    tx->released_seen = atomic_load_explicit(&tx->ring->released, memory_order_acquire);
    CHECK(tx->staged - tx->released_seen <= tx->size);
    return end - tx->released_seen <= tx->size;
}

char *byte_ring_stage(struct byte_ring_tx *tx, uint32_t count)
{
    CHECK(count > 0);
    if (!byte_ring_fits(tx, count)) return NULL;
    uint32_t start = run_start(tx->staged, tx->size, count);
    tx->staged = start + count;
    return tx->bytes + (start & (tx->size - 1));
}

const char *byte_ring_take(struct byte_ring_rx *rx, uint32_t count)
{
    CHECK(count > 0 && count <= byte_ring_run_max(rx->size));
    uint32_t start = run_start(rx->taken, rx->size, count);
    rx->taken = start + count;
    CHECK(rx->taken - rx->released <= rx->size);
    return rx->bytes + (start & (rx->size - 1));
}

#ifdef RINGCAST_DEBUG
/* Still ours: a read of it after this is seen. */
static void poison(struct byte_ring_rx *rx)
{
    uint32_t first = rx->released & (rx->size - 1), count = rx->taken - rx->released;
    uint32_t before_end = count < rx->size - first ? count : rx->size - first;
    POISON(rx->ring->bytes + first, before_end);
    POISON(rx->ring->bytes, count - before_end);
}
#endif

void byte_ring_release(struct byte_ring_rx *rx)
{
    if (rx->released == rx->taken) return;
#ifdef RINGCAST_DEBUG
    poison(rx);
#endif
    rx->released = rx->taken;
    atomic_store_explicit(&rx->ring->released, rx->taken, memory_order_release);
}
