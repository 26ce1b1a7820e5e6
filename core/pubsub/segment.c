#include "core/pubsub/segment.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/check.h"

/* What is kept of each class: 4 MiB of the large ones, a few dozen of the small ones. */
enum { KEPT_MAX = 16 };

static size_t total_bytes(const struct segment *segment)
{
    return sizeof *segment + segment->size;
}

/* The class whose segments have exactly this many bytes in all, or -1: larger than any class, made to measure. */
static int class_of(size_t total)
{
    if (total > SEGMENT_BYTES_MAX) return -1;
    int class = 0;
    while ((size_t)SEGMENT_BYTES_MIN << class < total) class++;
    return class;
}

void segment_store_init(struct segment_store *store, uint64_t bytes_max)
{
    *store = (struct segment_store){ .bytes_max = bytes_max };
}

static struct segment *kept_take(struct segment_store *store, int class)
{
    struct segment *segment = store->kept[class];
    if (!segment) return NULL;
    memcpy(&store->kept[class], segment->bytes, sizeof segment);
    store->kept_count[class]--;
    return segment;
}

void segment_store_deinit(struct segment_store *store)
{
    CHECK(store->bytes_used == 0);
    for (int class = 0; class < SEGMENT_CLASSES; class++)
        for (struct segment *segment; (segment = kept_take(store, class));) free(segment);
}

static struct segment *take(struct segment_store *store, uint32_t number, uint64_t first_seq, size_t bytes_min, size_t bytes_wanted, uint64_t limit)
{
    size_t least = sizeof(struct segment) + bytes_min;
    int class = class_of(least > bytes_wanted ? least : bytes_wanted);
    size_t total = class < 0 ? (least + 4095) & ~(size_t)4095 : (size_t)SEGMENT_BYTES_MIN << class;

    /* Near the budget a topic gets the smallest segment that does. */
    if (store->bytes_used + total > limit && class >= 0) {
        class = class_of(least);
        total = (size_t)SEGMENT_BYTES_MIN << class;
    }
    if (store->bytes_used + total > limit) return NULL;

    struct segment *segment = class >= 0 ? kept_take(store, class) : NULL;
    if (!segment) segment = malloc(total);
    if (!segment) return NULL;
    segment->number = number;
    segment->size = (uint32_t)(total - sizeof *segment);
    segment->first_seq = first_seq;
    store->bytes_used += total;
    return segment;
}

struct segment *segment_take(struct segment_store *store, uint32_t number, uint64_t first_seq, size_t bytes_min, size_t bytes_wanted)
{
    return take(store, number, first_seq, bytes_min, bytes_wanted, store->bytes_max - segment_store_spare(store));
}

struct segment *segment_take_smallest(struct segment_store *store, uint32_t number, uint64_t first_seq, size_t bytes_min)
{
    return take(store, number, first_seq, bytes_min, 0, store->bytes_max);
}

void segment_give(struct segment_store *store, const struct segment *given)
{
    struct segment *segment = (struct segment *)(uintptr_t)given; /* its loans are over: writing is ours again */
    size_t total = total_bytes(segment);
    int class = class_of(total);
    store->bytes_used -= total;
    POISON(segment->bytes, segment->size);
    if (class < 0 || store->kept_count[class] >= KEPT_MAX) {
        free(segment);
        return;
    }
    memcpy(segment->bytes, &store->kept[class], sizeof segment);
    store->kept[class] = segment;
    store->kept_count[class]++;
}
