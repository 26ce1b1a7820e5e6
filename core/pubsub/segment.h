/* Segments: the pieces of memory that logs are made of, and the store that they come from.
 *
 * A segment holds whole wire frames back to back. Its home writes above the head that it has told; below that nobody ever
 * writes again, so other shards may read it while it is on loan to them. */
#ifndef CORE_PUBSUB_SEGMENT_H
#define CORE_PUBSUB_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEGMENT_BYTES_MIN 1024u           /* what a quiet topic costs */
#define SEGMENT_BYTES_MAX (256u * 1024u)  /* 7 % faster than 64 KiB at 32 KiB a send (MEASURED.md) */

/* Numbers of segments count up by one within a topic's log, over the end of 32 bits and on from 0: small segments under full load get
 * there within a day. All that are ever compared lie within half a circle of each other. They begin a little before the end, so that
 * every topic that lives on goes over it. */
#define SEGMENT_NUMBER_FIRST (UINT32_MAX - 3)

static inline bool segment_number_before(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}

struct segment {
    uint32_t number;
    uint32_t size;      /* of bytes[], in bytes */
    uint64_t first_seq; /* of the frame at offset 0 */
    char     bytes[];
};

/* One shard's segments: those in use are counted against the budget, some given back are kept for the next taker, so
 * that a hot topic does not go through the allocator. One thread. */
#define SEGMENT_CLASSES 9 /* 1 KiB to 256 KiB, powers of two */
struct segment_store {
    uint64_t        bytes_used; /* allocated and not given back, trimmed ones on loan too */
    uint64_t        bytes_max;  /* the budget */
    struct segment *kept[SEGMENT_CLASSES]; /* chained through bytes[] */
    uint32_t        kept_count[SEGMENT_CLASSES];
};

/* What of the budget is for making logs smaller alone: with all of it in use there would be no way back. Of a gigabyte enough for 4096
 * small segments that wait for what they replace. */
static inline uint64_t segment_store_spare(const struct segment_store *store)
{
    return store->bytes_max / 256 / SEGMENT_BYTES_MIN * SEGMENT_BYTES_MIN;
}

void segment_store_init(struct segment_store *store, uint64_t bytes_max);
void segment_store_deinit(struct segment_store *store);

/* Takes a segment with room for at least `bytes_min` and, where the budget allows, `bytes_wanted` (with its header).
 * NULL: over the budget, or no memory. */
struct segment *segment_take(struct segment_store *store, uint32_t number, uint64_t first_seq, size_t bytes_min, size_t bytes_wanted);
/* Takes the smallest that has room for bytes_min, where need be from what is spared, to take the place of a larger one. */
struct segment *segment_take_smallest(struct segment_store *store, uint32_t number, uint64_t first_seq, size_t bytes_min);
void            segment_give(struct segment_store *store, const struct segment *segment);

#endif
