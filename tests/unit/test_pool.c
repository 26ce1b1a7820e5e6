/* The pool: every item once, last in first out, addresses and indices that agree, memory only for what was used. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/pool.h"
#include "core/base/random.h"

static void every_item_once_then_none(void **state)
{
    struct pool pool;
    assert_int_equal(pool_init(&pool, 24, 1000), 0);
    for (uint32_t i = 0; i < 1000; i++) {
        uint32_t index = pool_take(&pool);
        assert_int_equal(index, i);
        memset(pool_at(&pool, index), (int)i, 24);
    }
    assert_int_equal(pool_take(&pool), POOL_NONE);
    assert_int_equal(pool.used, 1000);
    for (uint32_t i = 0; i < 1000; i++) assert_int_equal(*((unsigned char *)pool_at(&pool, i) + 23), i & 0xff);
    pool_deinit(&pool);
}

static void last_given_is_first_taken(void **state)
{
    struct pool pool;
    assert_int_equal(pool_init(&pool, 64, 8), 0);
    for (int i = 0; i < 4; i++) pool_take(&pool);
    pool_give(&pool, 1);
    pool_give(&pool, 3);
    pool_give(&pool, 0);
    assert_int_equal(pool.used, 1);
    assert_int_equal(pool_take(&pool), 0);
    assert_int_equal(pool_take(&pool), 3);
    assert_int_equal(pool_take(&pool), 1);
    assert_int_equal(pool.touched, 4);
    assert_int_equal(pool_take(&pool), 4);
    pool_deinit(&pool);
}

static void index_and_address_agree_for_every_size(void **state)
{
    for (size_t item_bytes = 1; item_bytes < 700; item_bytes++) {
        struct pool pool;
        assert_int_equal(pool_init(&pool, item_bytes, 100), 0);
        for (uint32_t i = 0; i < 100; i++) {
            uint32_t index = pool_take(&pool);
            char *item = pool_at(&pool, index);
            assert_int_equal(pool_index(&pool, item), index);
            assert_int_equal((uintptr_t)item % 8, 0);
            if (i > 0) assert_true((size_t)(item - (char *)pool_at(&pool, i - 1)) >= item_bytes);
        }
        pool_deinit(&pool);
    }
}

static void an_item_is_aligned_as_its_size_allows(void **state)
{
    struct pool pool;
    assert_int_equal(pool_init(&pool, 192, 10), 0);
    for (int i = 0; i < 10; i++) assert_int_equal((uintptr_t)pool_at(&pool, pool_take(&pool)) % 64, 0);
    pool_deinit(&pool);
}

/* Pages of the range that the kernel has found memory for. */
static size_t resident_pages(const struct pool *pool)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = (size_t)pool->items_max * pool->item_bytes / page, resident = 0;
    unsigned char *map = calloc(pages, 1);
    assert_int_equal(mincore(pool->items, pages * page, map), 0);
    for (size_t i = 0; i < pages; i++) resident += map[i] & 1;
    free(map);
    return resident;
}

static void untouched_items_cost_no_memory(void **state)
{
    struct pool pool;
    assert_int_equal(pool_init(&pool, 4096, 1 << 16), 0); /* 256 MiB */
    madvise(pool.items, (size_t)4096 << 16, MADV_NOHUGEPAGE);
    assert_int_equal(resident_pages(&pool), 0);
    for (int round = 0; round < 1000; round++) {
        uint32_t a = pool_take(&pool), b = pool_take(&pool);
        memset(pool_at(&pool, a), 1, 4096);
        memset(pool_at(&pool, b), 1, 4096);
        pool_give(&pool, b);
        pool_give(&pool, a);
    }
    assert_int_equal(pool.touched, 2);
    assert_true(resident_pages(&pool) <= 2);
    pool_deinit(&pool);
}

static void impossible_sizes_are_refused(void **state)
{
    struct pool pool;
    assert_int_equal(pool_init(&pool, 0, 8), -EINVAL);
    assert_int_equal(pool_init(&pool, 8, 0), -EINVAL);
    assert_int_equal(pool_init(&pool, 8, POOL_NONE), -EINVAL);
    assert_int_equal(pool_init(&pool, SIZE_MAX, 8), -EINVAL);
    assert_int_equal(pool_init(&pool, UINT32_MAX - 7, POOL_NONE - 1), -ENOMEM);
}

static void a_random_life_hands_nothing_out_twice(void **state)
{
    enum { ITEMS = 64 };
    struct pool pool;
    uint32_t out[ITEMS], out_count = 0;
    uint64_t seed = 7;
    assert_int_equal(pool_init(&pool, sizeof(uint32_t) * 3, ITEMS), 0);
    for (int step = 0; step < 100000; step++) {
        if (random_below(&seed, 2)) {
            uint32_t index = pool_take(&pool);
            assert_int_equal(index == POOL_NONE, out_count == ITEMS);
            if (index == POOL_NONE) continue;
            for (uint32_t i = 0; i < out_count; i++) assert_int_not_equal(out[i], index);
            *(uint32_t *)pool_at(&pool, index) = index;
            out[out_count++] = index;
        } else if (out_count > 0) {
            uint32_t which = random_below(&seed, out_count), index = out[which];
            assert_int_equal(*(uint32_t *)pool_at(&pool, index), index);
            pool_give(&pool, index);
            out[which] = out[--out_count];
        }
        assert_int_equal(pool.used, out_count);
        assert_true(pool.used <= pool.touched);
    }
    pool_deinit(&pool);
}

/* Whether the process dies of it. */
static bool is_deadly(void (*deed)(struct pool *pool))
{
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct pool pool;
        signal(SIGABRT, SIG_DFL);
        int quiet = open("/dev/null", O_WRONLY);
        if (quiet < 0 || dup2(quiet, STDERR_FILENO) < 0 || pool_init(&pool, 48, 8) != 0) _exit(0);
        deed(&pool);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

static void give_twice(struct pool *pool)
{
    pool_take(pool);
    pool_take(pool);
    pool_give(pool, 0);
    pool_give(pool, 0);
}

static void give_what_was_never_out(struct pool *pool)
{
    pool_take(pool);
    pool_give(pool, 1);
}

static void write_after_giving(struct pool *pool)
{
    char *item = pool_at(pool, pool_take(pool));
    pool_give(pool, 0);
    *(volatile char *)(item + 20) = 1;
    pool_take(pool);
}

static void mistakes_end_the_process(void **state)
{
    assert_true(is_deadly(give_what_was_never_out));
#ifdef RINGCAST_DEBUG
    assert_true(is_deadly(give_twice));
    assert_true(is_deadly(write_after_giving));
#else
    (void)give_twice, (void)write_after_giving;
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_item_once_then_none),
        cmocka_unit_test(last_given_is_first_taken),
        cmocka_unit_test(index_and_address_agree_for_every_size),
        cmocka_unit_test(an_item_is_aligned_as_its_size_allows),
        cmocka_unit_test(untouched_items_cost_no_memory),
        cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(a_random_life_hands_nothing_out_twice),
        cmocka_unit_test(mistakes_end_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
