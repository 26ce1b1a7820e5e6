/* Items of one size, known by a 32-bit index, out of one range of addresses that never moves.
 *
 *     items_max    as many as there may ever be: the whole range is reserved at once
 *     touched      items that were ever out; beyond it no page has been written, so none costs memory
 *     used         items that are out now          used <= touched <= items_max
 *
 * What is given back last is taken first, since its lines are still warm: the free items are a list threaded through their
 * own first bytes. So nothing of an item outlives its giving back; a generation, say, must stand elsewhere. A pool belongs to one
 * thread. In debug builds a free item is poisoned, giving it twice or writing to it afterwards ends the process at the next
 * take; under the address sanitizer any touch does, at once. */
#ifndef CORE_BASE_POOL_H
#define CORE_BASE_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/check.h"

#define POOL_NONE UINT32_MAX

struct pool {
    char     *items;
    uint32_t  item_bytes; /* rounded up to a multiple of 8 */
    uint32_t  items_max;
    uint32_t  touched;
    uint32_t  free_head; /* index, or POOL_NONE */
    uint32_t  used;
    uint32_t  index_shift;   /* item_bytes = odd << index_shift */
    uint64_t  index_inverse; /* odd * index_inverse = 1 modulo 2^64: dividing a multiple of odd is one multiplication */
    uint64_t *out;           /* debug builds: a bit for each item, set while it is out; else NULL */
};

/* Reserves room for items_max items of item_bytes each, both at least 1. An item is aligned as its size allows, which is
 * right for a sizeof. Returns 0, -EINVAL or -ENOMEM; on an error there is nothing to undo. */
int pool_init(struct pool *pool, size_t item_bytes, uint32_t items_max);
/* Gives the range back, with whatever items are still out. */
void pool_deinit(struct pool *pool);

/* POOL_NONE when all are out. What the item holds is unspecified. */
uint32_t pool_take(struct pool *pool);
/* The item must be out. */
void pool_give(struct pool *pool, uint32_t index);

static inline void *pool_at(const struct pool *pool, uint32_t index)
{
#ifdef RINGCAST_DEBUG
    CHECK(index < pool->touched);
#endif
    return pool->items + (size_t)index * pool->item_bytes;
}

/* The index of an item of this pool; `item` points at its first byte. */
static inline uint32_t pool_index(const struct pool *pool, const void *item)
{
    uint64_t offset = (uint64_t)((const char *)item - pool->items);
    uint64_t index = (offset >> pool->index_shift) * pool->index_inverse;
#ifdef RINGCAST_DEBUG
    CHECK(index < pool->touched && index * pool->item_bytes == offset);
#endif
    return (uint32_t)index;
}

#endif
