#include "core/pubsub/names.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/check.h"

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

/* glibc's qsort is a merge sort: what is in order already costs it comparisons only. */
static void sort(struct names *names)
{
    if (names->sorted == names->count) return;
    qsort(names->list, names->count, sizeof *names->list, by_bytes);
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
