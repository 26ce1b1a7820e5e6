/* A ring of bytes between two threads, beside a queue of items: what is too large for an item is copied here once and read
 * where it lies.
 *
 *     ... released ............ taken ............ staged ...      (counts of bytes since the start; place = count & mask)
 *         free to write         being read         written, and announced by items of the queue
 *
 *     released <= taken <= staged <= released + bytes
 *
 * A run of bytes is always contiguous: one that does not fit before the ring's end begins anew at its start, and both sides
 * skip what is left, by the same rule. So a run of up to half the ring fits once the ring is empty, wherever it stands.
 *
 * The ring announces nothing: an item that tells the run's size travels by an spsc queue, whose release store shows these
 * bytes too. Only what was read comes back by the ring itself. Each handle is plain memory of its thread. */
#ifndef CORE_QUEUE_BYTE_RING_H
#define CORE_QUEUE_BYTE_RING_H

#include "core/queue/spsc.h"

struct byte_ring {
    alignas(SPSC_LINE_BYTES) _Atomic uint32_t released; /* written by the consumer */
    alignas(SPSC_LINE_BYTES) char *bytes;               /* from here on nothing changes */
    uint32_t size;                                      /* a power of two */
};

struct byte_ring_tx { /* the producer's */
    struct byte_ring *ring;
    char             *bytes;
    uint32_t          size;
    uint32_t          staged;
    uint32_t          released_seen;
};

struct byte_ring_rx { /* the consumer's */
    struct byte_ring *ring;
    const char       *bytes;
    uint32_t          size;
    uint32_t          taken;
    uint32_t          released;
};

/* size: in bytes, a power of two, 2 to 2^31. 0, -EINVAL or -ENOMEM; on an error there is nothing to undo. The struct must not move
 * while handles exist. */
int  byte_ring_init(struct byte_ring *ring, uint32_t size);
/* Both sides must be done with it. */
void byte_ring_deinit(struct byte_ring *ring);

/* Made while the ring is empty. */
struct byte_ring_tx byte_ring_producer(struct byte_ring *ring);
struct byte_ring_rx byte_ring_consumer(struct byte_ring *ring);

/* Room for a run of `count` bytes, to be written before the item that announces it is published; NULL: not now. Then nothing
 * changed. count: 1 to byte_ring_run_max(). */
char *byte_ring_stage(struct byte_ring_tx *tx, uint32_t count);

/* Whether it would fit now. */
bool byte_ring_fits(struct byte_ring_tx *tx, uint32_t count);

static inline uint32_t byte_ring_run_max(uint32_t size)
{
    return size / 2;
}

/* The next run, which an item announced; valid until the release. */
const char *byte_ring_take(struct byte_ring_rx *rx, uint32_t count);
/* Hands back all that was taken, with one release store. */
void byte_ring_release(struct byte_ring_rx *rx);

#endif
