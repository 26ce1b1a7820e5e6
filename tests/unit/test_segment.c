/* Segments: the size that was asked for, counted against the budget to the byte, and kept for the next taker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/base/check.h"
#include "core/pubsub/segment.h"

enum { HEADER = sizeof(struct segment), K = 1024 };

static void a_segment_is_as_large_as_asked_in_powers_of_two(void **state)
{
    static const struct {
        size_t bytes_min, bytes_wanted, total;
    } facts[] = {
        { 1, 0, K },
        { K - HEADER, 0, K },
        { K - HEADER + 1, 0, 2 * K },
        { 1, 4 * K, 4 * K },
        { 1, 4 * K + 1, 8 * K },
        { 7 * K, 4 * K, 8 * K },                        /* what it must hold counts, whatever is wanted */
        { 1, 256 * K, 256 * K },
        { 256 * K - HEADER, 0, 256 * K },
        { 256 * K - HEADER + 1, 1024, 256 * K + 4096 }, /* beyond the largest class: made to measure, in pages */
        { 1000000, 0, 1003520 },
    };
    struct segment_store store;
    segment_store_init(&store, UINT64_MAX);
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        struct segment *segment = segment_take(&store, 7, 70, facts[i].bytes_min, facts[i].bytes_wanted);
        assert_int_equal(segment->size, facts[i].total - HEADER);
        assert_true(segment->size >= facts[i].bytes_min);
        assert_int_equal(store.bytes_used, facts[i].total);
        assert_int_equal(segment->number, 7);
        assert_int_equal(segment->first_seq, 70);
        memset(segment->bytes, 1, segment->size);
        segment_give(&store, segment);
        assert_int_equal(store.bytes_used, 0);
    }
    segment_store_deinit(&store);
}

static void near_the_budget_it_is_the_smallest_that_does(void **state)
{
    struct segment_store store;
    segment_store_init(&store, 5 * K);
    struct segment *first = segment_take(&store, 0, 1, 100, 4 * K);
    assert_int_equal(first->size + HEADER, 4 * K);
    struct segment *second = segment_take(&store, 1, 2, 100, 4 * K);
    assert_int_equal(second->size + HEADER, K);
    assert_int_equal(store.bytes_used, 5 * K);
    segment_give(&store, first);
    segment_give(&store, second);
    segment_store_deinit(&store);
}

static void over_the_budget_there_is_none_and_nothing_changed(void **state)
{
    struct segment_store store;
    segment_store_init(&store, 2 * K + 1023);
    assert_null(segment_take(&store, 0, 1, 3 * K, 0));
    assert_null(segment_take(&store, 0, 1, 300 * K, 0));
    struct segment *first = segment_take(&store, 0, 1, 1, 0), *second = segment_take(&store, 1, 2, 1, 0);
    assert_null(segment_take(&store, 2, 3, 1, 0));
    assert_int_equal(store.bytes_used, 2 * K);
    segment_give(&store, second);
    segment_give(&store, first);
    segment_store_deinit(&store);
}

static void what_is_given_back_is_taken_next(void **state)
{
    struct segment_store store;
    segment_store_init(&store, UINT64_MAX);
    struct segment *small = segment_take(&store, 0, 1, 1, 0), *large = segment_take(&store, 1, 2, 5000, 0);
    segment_give(&store, small);
    segment_give(&store, large);
    assert_ptr_equal(segment_take(&store, 2, 3, 6000, 0), large);
    assert_ptr_equal(segment_take(&store, 3, 4, 10, 0), small);
    segment_give(&store, small);
    segment_give(&store, large);
    segment_store_deinit(&store);
}

static void many_may_be_out_and_come_back(void **state)
{
    enum { COUNT = 100 };
    struct segment *segments[COUNT];
    struct segment_store store;
    segment_store_init(&store, UINT64_MAX);
    for (int round = 0; round < 3; round++) {
        uint64_t used = 0;
        for (uint32_t i = 0; i < COUNT; i++) {
            segments[i] = segment_take(&store, i, i, 1 + i * 3000u, 0);
            used += segments[i]->size + HEADER;
            memset(segments[i]->bytes, (int)i, segments[i]->size);
        }
        assert_int_equal(store.bytes_used, used);
        for (uint32_t i = 0; i < COUNT; i++) {
            assert_int_equal((unsigned char)segments[i]->bytes[segments[i]->size - 1], i);
            segment_give(&store, segments[i]);
        }
        assert_int_equal(store.bytes_used, 0);
    }
    segment_store_deinit(&store);
}

#ifdef RINGCAST_DEBUG
static void what_was_given_back_is_poisoned(void **state)
{
    struct segment_store store;
    segment_store_init(&store, UINT64_MAX);
    struct segment *segment = segment_take(&store, 0, 1, 1, 0);
    memset(segment->bytes, 'x', segment->size);
    segment_give(&store, segment);
    for (uint32_t i = sizeof segment; i < segment->size; i++) assert_int_equal((unsigned char)segment->bytes[i], POISON_BYTE); /* it is kept, so it may be read */
    segment_store_deinit(&store);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_segment_is_as_large_as_asked_in_powers_of_two),
        cmocka_unit_test(near_the_budget_it_is_the_smallest_that_does),
        cmocka_unit_test(over_the_budget_there_is_none_and_nothing_changed),
        cmocka_unit_test(what_is_given_back_is_taken_next),
        cmocka_unit_test(many_may_be_out_and_come_back),
#ifdef RINGCAST_DEBUG
        cmocka_unit_test(what_was_given_back_is_poisoned),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
