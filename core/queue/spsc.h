/* A bounded queue between two threads: one producer, one consumer, items of one size by value.
 *
 *     ... released ........ taken ........ published ........ staged ...      (counts since the start; slot = count & mask)
 *         free to reuse     being worked   there to take      written,
 *         behind here       on             up to here         not yet seen
 *
 *     released <= taken <= published <= staged <= released + slots
 *
 * published and released are shared, each written by one side with a release store and read by the other with an acquire load,
 * each on cache lines of its own. staged and taken are private and live in the handles, together with the value of the
 * other side's count that was last seen: that one is read again only when the queue looks full or empty, so in steady flow a
 * line moves between the cores once for each batch, not for each item.
 *
 * The two sides have different types: the wrong call doesn't compile. Make each handle once and keep it with its thread; it
 * is plain memory of that thread.
 * Sources: Lamport, "Specifying Concurrent Program Modules" (1983), for the queue without locks; Lee, Bu and Chandranmenon,
 * "A Lock-free, Cache-efficient Shared Ring Buffer" (MCRingBuffer, 2009), for the remembered counts and the batches. */
#ifndef CORE_QUEUE_SPSC_H
#define CORE_QUEUE_SPSC_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Two lines of 64 bytes: x86 fetches them in pairs. */
#define SPSC_LINE_BYTES 128

struct spsc {
    alignas(SPSC_LINE_BYTES) _Atomic uint32_t published; /* written by the producer */
    alignas(SPSC_LINE_BYTES) _Atomic uint32_t released;  /* written by the consumer */
    alignas(SPSC_LINE_BYTES) char *items;                /* from here on nothing changes */
    size_t   item_bytes;
    uint32_t slots; /* a power of two */
};

struct spsc_tx { /* the producer's */
    struct spsc *queue;
    char        *items;
    size_t       item_bytes;
    uint32_t     slots;
    uint32_t     staged;
    uint32_t     published;
    uint32_t     released_seen;
};

struct spsc_rx { /* the consumer's */
    struct spsc *queue;
    char        *items;
    size_t       item_bytes;
    uint32_t     slots;
    uint32_t     taken;
    uint32_t     released;
    uint32_t     published_seen;
};

/* items: the bound, a power of two, 2 to 2^31. Returns 0, -EINVAL or -ENOMEM; on an error there is nothing to undo. The struct must not
 * move while handles exist. */
int spsc_init(struct spsc *queue, size_t item_bytes, uint32_t items);
/* Both sides must be done with it. */
void spsc_deinit(struct spsc *queue);

struct spsc_tx spsc_producer(struct spsc *queue);
struct spsc_rx spsc_consumer(struct spsc *queue);

/* Copies the item into the next slot, where the consumer doesn't see it yet; false: full. */
bool spsc_stage(struct spsc_tx *tx, const void *item);
/* Stages the next slot itself, to be written before the publish, as far as the consumer will read; NULL: full. What is not written
 * is not carried to the other core. */
void *spsc_stage_slot(struct spsc_tx *tx);
/* Shows the consumer all that was staged, with one release store; false: nothing was. */
bool spsc_publish(struct spsc_tx *tx);
/* Whether `count` items can be staged now, which stays so until the next stage; looks at the other side's count only where the one seen last says no. */
bool spsc_fits(struct spsc_tx *tx, uint32_t count);

/* Copies the oldest item out; false: empty. Its slot stays occupied until it is released. */
bool spsc_take(struct spsc_rx *rx, void *item);
/* Takes the oldest item where it lies, valid until it is released; NULL: empty. */
const void *spsc_take_slot(struct spsc_rx *rx);
/* Hands back the slots of all that was taken, with one release store. */
void spsc_release(struct spsc_rx *rx);
/* Whether there is nothing to take. After wake_sleep_begin() it sees all that was published before a wake_needed() said false. */
bool spsc_empty(struct spsc_rx *rx);
/* How many slots are occupied, as far as was seen: by what is there to take, and by what was taken and is not yet released. */
static inline uint32_t spsc_occupied(const struct spsc_rx *rx)
{
    return rx->published_seen - rx->released;
}

#endif
