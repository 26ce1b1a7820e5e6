/* See pool.h. The range comes from mmap without reservation: the kernel finds a page when it is first written. */
#include "core/base/pool.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#define ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ADDRESS_SANITIZER 1
#endif
#endif

#ifdef ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#define FORBID(bytes, size) ASAN_POISON_MEMORY_REGION((bytes), (size))
#define ALLOW(bytes, size) ASAN_UNPOISON_MEMORY_REGION((bytes), (size))
#else
#define FORBID(bytes, size) ((void)0)
#define ALLOW(bytes, size) ((void)0)
#endif

static void *reserve(size_t bytes)
{
    void *range = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return range == MAP_FAILED ? NULL : range;
}

static char *item_at(const struct pool *pool, uint32_t index)
{
    return pool->items + (size_t)index * pool->item_bytes;
}

/* Newton's step doubles the right bits of an inverse modulo a power of two; odd * odd = 1 modulo 8 starts it with 3. */
static uint64_t inverse_of_odd(uint64_t odd)
{
    uint64_t inverse = odd;
    for (int bits = 3; bits < 64; bits *= 2) inverse *= 2 - odd * inverse;
    return inverse;
}

/* ---- debug builds: who is out, and did anybody write into a free item ---------------------------------------------- */

#ifdef RINGCAST_DEBUG
static size_t marks_bytes(uint32_t items_max)
{
    return ((size_t)items_max + 63) / 64 * sizeof(uint64_t);
}

static void mark_out(struct pool *pool, uint32_t index)
{
    CHECK(!(pool->out[index / 64] >> index % 64 & 1));
    pool->out[index / 64] |= UINT64_C(1) << index % 64;
}

static void mark_free(struct pool *pool, uint32_t index)
{
    bool item_is_out = pool->out[index / 64] >> index % 64 & 1;
    CHECK(item_is_out); /* else it is given twice */
    pool->out[index / 64] &= ~(UINT64_C(1) << index % 64);
}

static void check_still_poisoned(const char *item, size_t size)
{
    for (size_t i = sizeof(uint32_t); i < size; i++) {
        bool written_while_free = (unsigned char)item[i] != POISON_BYTE;
        CHECK(!written_while_free);
    }
}
#endif

/* -------------------------------------------------------------------------------------------------------------------- */

int pool_init(struct pool *pool, size_t item_bytes, uint32_t items_max)
{
    if (item_bytes == 0 || item_bytes > UINT32_MAX - 7 || items_max == 0 || items_max == POOL_NONE) return -EINVAL;
    item_bytes = (item_bytes + 7) / 8 * 8;
    if (item_bytes > SIZE_MAX / items_max) return -ENOMEM;

    memset(pool, 0, sizeof *pool);
    pool->item_bytes = (uint32_t)item_bytes;
    pool->items_max = items_max;
    pool->free_head = POOL_NONE;
    pool->index_shift = (uint32_t)__builtin_ctzll(item_bytes);
    pool->index_inverse = inverse_of_odd(item_bytes >> pool->index_shift);
    pool->items = reserve(item_bytes * items_max);
    if (!pool->items) return -ENOMEM;
#ifdef RINGCAST_DEBUG
    pool->out = reserve(marks_bytes(items_max));
    if (!pool->out) {
        munmap(pool->items, item_bytes * items_max);
        return -ENOMEM;
    }
#endif
    return 0;
}

void pool_deinit(struct pool *pool)
{
#ifdef RINGCAST_DEBUG
    munmap(pool->out, marks_bytes(pool->items_max));
#endif
    ALLOW(pool->items, (size_t)pool->touched * pool->item_bytes);
    munmap(pool->items, (size_t)pool->items_max * pool->item_bytes);
    memset(pool, 0, sizeof *pool);
    pool->free_head = POOL_NONE;
}

uint32_t pool_take(struct pool *pool)
{
    uint32_t index = pool->free_head;
    if (index != POOL_NONE) {
        char *item = item_at(pool, index);
        ALLOW(item, pool->item_bytes);
#ifdef RINGCAST_DEBUG
        check_still_poisoned(item, pool->item_bytes);
#endif
        memcpy(&pool->free_head, item, sizeof pool->free_head);
        CHECK(pool->free_head == POOL_NONE || pool->free_head < pool->touched);
    } else {
        if (pool->touched == pool->items_max) return POOL_NONE;
        index = pool->touched++;
    }
#ifdef RINGCAST_DEBUG
    mark_out(pool, index);
#endif
    pool->used++;
    return index;
}

void pool_give(struct pool *pool, uint32_t index)
{
    CHECK(index < pool->touched);
    CHECK(pool->used > 0);
#ifdef RINGCAST_DEBUG
    mark_free(pool, index);
#endif
    char *item = item_at(pool, index);
    POISON(item, pool->item_bytes);
    memcpy(item, &pool->free_head, sizeof pool->free_head);
    FORBID(item, pool->item_bytes);
    pool->free_head = index;
    pool->used--;
}
