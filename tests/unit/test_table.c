/* The hash table: everything put in is found until it is taken out, however the hashes collide. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "core/base/random.h"
#include "core/base/table.h"

static bool holds(const struct table *table, uint32_t hash, uint32_t index)
{
    for (uint32_t at = table_first(table, hash); at != TABLE_NONE; at = table_following(table, hash, at))
        if (table->slots[at].index == index) return true;
    return false;
}

static uint32_t count_of(const struct table *table, uint32_t hash)
{
    uint32_t count = 0;
    for (uint32_t at = table_first(table, hash); at != TABLE_NONE; at = table_following(table, hash, at)) count++;
    return count;
}

static void an_empty_table_holds_nothing(void **state)
{
    struct table table;
    assert_int_equal(table_init(&table), 0);
    for (uint32_t hash = 0; hash < 100; hash++) assert_int_equal(table_first(&table, hash), TABLE_NONE);
    table_deinit(&table);
}

static void all_of_one_hash_are_found(void **state)
{
    struct table table;
    assert_int_equal(table_init(&table), 0);
    for (uint32_t index = 0; index < 50; index++) assert_int_equal(table_insert(&table, UINT32_MAX, index), 0);
    assert_int_equal(count_of(&table, UINT32_MAX), 50);
    for (uint32_t index = 0; index < 50; index++) assert_true(holds(&table, UINT32_MAX, index));
    assert_int_equal(count_of(&table, UINT32_MAX - 64), 0); /* the same place, another hash */
    table_deinit(&table);
}

static void it_grows_before_it_is_full(void **state)
{
    struct table table;
    assert_int_equal(table_init(&table), 0);
    for (uint32_t index = 0; index < 100000; index++) {
        assert_int_equal(table_insert(&table, index * 2654435761u, index), 0);
        assert_true(table.count <= (table.mask + 1) / 4 * 3);
    }
    for (uint32_t index = 0; index < 100000; index++) assert_true(holds(&table, index * 2654435761u, index));
    table_deinit(&table);
}

/* The run wraps around the end, and each place in it is taken out once: those behind must still be found. */
static void taking_one_out_hides_none_of_those_behind_it(void **state)
{
    static const uint32_t homes[] = { 14, 14, 15, 14, 15, 0, 1, 0, 14 };
    enum { COUNT = sizeof homes / sizeof *homes };
    for (uint32_t gone = 0; gone < COUNT; gone++) {
        struct table table;
        assert_int_equal(table_init(&table), 0);
        for (uint32_t index = 0; index < COUNT; index++) assert_int_equal(table_insert(&table, homes[index], index), 0);
        assert_int_equal(table.mask, 15);
        table_remove(&table, homes[gone], gone);
        for (uint32_t index = 0; index < COUNT; index++) assert_int_equal(holds(&table, homes[index], index), index != gone);
        assert_int_equal(table.count, COUNT - 1);
        table_deinit(&table);
    }
}

static void it_agrees_with_a_plain_list(void **state)
{
    enum { ITEMS = 600, STEPS = 100000 };
    static struct { bool in; uint32_t hash; } items[ITEMS];
    struct table table;
    uint64_t random = 11;
    uint32_t count = 0;
    assert_int_equal(table_init(&table), 0);
    for (int step = 0; step < STEPS; step++) {
        uint32_t index = random_below(&random, ITEMS);
        if (!items[index].in) {
            items[index].hash = random_below(&random, 2) ? random_below(&random, 20) : (uint32_t)random_next(&random);
            assert_int_equal(table_insert(&table, items[index].hash, index), 0);
        } else {
            table_remove(&table, items[index].hash, index);
        }
        items[index].in = !items[index].in;
        count += items[index].in ? 1 : -1u;
        assert_int_equal(table.count, count);
        uint32_t other = random_below(&random, ITEMS);
        assert_int_equal(holds(&table, items[other].hash, other), items[other].in);
    }
    table_deinit(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_table_holds_nothing),
        cmocka_unit_test(all_of_one_hash_are_found),
        cmocka_unit_test(it_grows_before_it_is_full),
        cmocka_unit_test(taking_one_out_hides_none_of_those_behind_it),
        cmocka_unit_test(it_agrees_with_a_plain_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
