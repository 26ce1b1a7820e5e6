/* The set of small numbers: the same as a plain array of flags, whatever is put in and taken out, from any start. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "core/base/bitset.h"
#include "core/base/random.h"

static void a_member_is_found_from_any_start_up_to_itself(void **state)
{
    static const struct {
        uint32_t member, from, found;
    } facts[] = {
        { 0, 0, 0 },          { 0, 1, BITSET_NONE },     { 1, 0, 1 },           { 63, 0, 63 },        { 63, 63, 63 },
        { 64, 0, 64 },        { 64, 63, 64 },            { 64, 65, BITSET_NONE }, { 4095, 0, 4095 },  { 4095, 4095, 4095 },
        { 4096, 0, 4096 },    { 4096, 4095, 4096 },      { 4096, 4097, BITSET_NONE }, { 19999, 0, 19999 }, { 19999, 4096, 19999 },
        { 19999, 19999, 19999 }, { 5, 20000, BITSET_NONE }, { 5, 20031, BITSET_NONE }, { 5, 1000000, BITSET_NONE }, { 5, BITSET_NONE, BITSET_NONE },
    };
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        struct bitset set;
        assert_int_equal(bitset_init(&set, 20000), 0);
        assert_int_equal(bitset_next(&set, facts[i].from), BITSET_NONE);
        bitset_add(&set, facts[i].member);
        assert_int_equal(bitset_next(&set, facts[i].from), facts[i].found);
        bitset_remove(&set, facts[i].member);
        assert_int_equal(bitset_next(&set, 0), BITSET_NONE);
        bitset_deinit(&set);
    }
}

static void adding_twice_is_adding_once(void **state)
{
    struct bitset set;
    assert_int_equal(bitset_init(&set, 100), 0);
    bitset_add(&set, 70);
    bitset_add(&set, 70);
    assert_int_equal(set.members, 1);
    assert_true(bitset_has(&set, 70));
    bitset_remove(&set, 70);
    bitset_remove(&set, 70);
    bitset_remove(&set, 3);
    assert_int_equal(set.members, 0);
    assert_false(bitset_has(&set, 70));
    bitset_deinit(&set);
}

static void any_size_holds_all_its_numbers(void **state)
{
    for (uint32_t size = 1; size < 5000; size += size < 200 ? 1 : 61) {
        struct bitset set;
        assert_int_equal(bitset_init(&set, size), 0);
        for (uint32_t n = 0; n < size; n++) bitset_add(&set, n);
        assert_int_equal(set.members, size);
        for (uint32_t n = 0; n < size; n++) assert_int_equal(bitset_next(&set, n), n);
        assert_int_equal(bitset_next(&set, size), BITSET_NONE);
        bitset_deinit(&set);
    }
}

static uint32_t flags_next(const bool *flags, uint32_t size, uint32_t from)
{
    for (uint32_t n = from; n < size; n++)
        if (flags[n]) return n;
    return BITSET_NONE;
}

static void it_agrees_with_an_array_of_flags(void **state)
{
    enum { SIZE = 9000 };
    static bool flags[SIZE];
    struct bitset set;
    uint64_t random = 3;
    uint32_t members = 0;
    assert_int_equal(bitset_init(&set, SIZE), 0);
    for (int step = 0; step < 60000; step++) {
        /* Full at times and nearly empty at others: both levels come and go. */
        bool fill = step / 10000 % 2 == 0;
        uint32_t n = random_below(&random, SIZE);
        if (random_below(&random, 10) < (fill ? 7 : 1)) {
            members += !flags[n];
            flags[n] = true;
            bitset_add(&set, n);
        } else {
            n = fill ? n : bitset_next(&set, n);
            if (n == BITSET_NONE) continue;
            members -= flags[n];
            flags[n] = false;
            bitset_remove(&set, n);
        }
        assert_int_equal(set.members, members);
        if (step % 7) continue;
        uint32_t from = random_below(&random, SIZE + 100);
        assert_int_equal(bitset_next(&set, from), flags_next(flags, SIZE, from));
    }
    bitset_deinit(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_member_is_found_from_any_start_up_to_itself),
        cmocka_unit_test(adding_twice_is_adding_once),
        cmocka_unit_test(any_size_holds_all_its_numbers),
        cmocka_unit_test(it_agrees_with_an_array_of_flags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
