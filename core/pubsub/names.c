#include "core/pubsub/names.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/reserve.h"

void names_deinit(struct names *names)
{
    free(names->list);
    *names = (struct names){ 0 };
}

int names_add(struct names *names, struct span name)
{
    if (names->count == names->capacity) {
        uint32_t capacity = names->capacity ? names->capacity * 2 : 64;
        struct span *list = realloc(names->list, capacity * sizeof *list);
        if (!list) return -ENOMEM;
        names->list = list;
        names->capacity = capacity;
    }
    names->list[names->count++] = name;
    return 0;
}

static int by_bytes(const void *a, const void *b)
{
    return span_compare(*(const struct span *)a, *(const struct span *)b);
}

/* Index of the first of `count` names in order that is greater. */
static uint32_t first_greater(const struct span *list, uint32_t count, struct span name)
{
    uint32_t low = 0;
    while (low < count) {
        uint32_t middle = low + (count - low) / 2;
        if (span_compare(list[middle], name) <= 0) low = middle + 1;
        else count = middle;
    }
    return low;
}

/* What was added is sorted alone and then put between the others from behind, whose runs move once: a birth and a listing
 * in turn cost a search and a move each, where sorting all of 100,000 again cost 10 ms. */
static void sort(struct names *names)
{
    uint32_t added_count = names->count - names->sorted, left = names->sorted;
    if (added_count == 0) return;
    struct span *list = names->list, *added = reserve_resize(NULL, added_count * sizeof *added);
    memcpy(added, list + left, added_count * sizeof *added);
    qsort(added, added_count, sizeof *added, by_bytes);
    for (uint32_t i = added_count; i-- > 0;) {
        uint32_t at = first_greater(list, left, added[i]);
        memmove(list + at + i + 1, list + at, (left - at) * sizeof *list);
        list[at + i] = added[i];
        left = at;
    }
    free(added);
    names->sorted = names->count;
}

uint32_t names_seek(struct names *names, struct span prefix, struct span after)
{
    sort(names);
    uint32_t low = 0, high = names->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        struct span name = names->list[middle];
        bool before = span_compare(name, prefix) < 0 || (after.bytes && span_compare(name, after) <= 0);
        if (before) low = middle + 1;
        else high = middle;
    }
    return low;
}

void names_remove(struct names *names, struct span name)
{
    uint32_t at = names_seek(names, name, SPAN_NONE);
    CHECK(at < names->count && span_equals(names->list[at], name));
    memmove(&names->list[at], &names->list[at + 1], (names->count - at - 1) * sizeof *names->list);
    names->sorted = --names->count;
}
