/* What the bench's percentiles rest on: schedules that count what a standstill held up, the last subscriber of each update, streams cut
 * anywhere, medians. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "bench/histogram.h"
#include "bench/lasts.h"
#include "bench/median.h"
#include "bench/schedule.h"
#include "bench/stamp.h"

#define MS INT64_C(1000000)

/* A server that answers within a millisecond, but stands still from 5 s to 6 s; the sender can't send meanwhile. 50 a second for 10 s. */
static void a_standstill_counts_for_all_that_it_held_up(void **state)
{
    static struct histogram delays, from_sending;
    struct schedule schedule;
    uint64_t sent = 0;
    histogram_clear(&delays);
    histogram_clear(&from_sending);
    schedule_begin(&schedule, 50, 0);
    for (int64_t at_ns = 0; at_ns < 10000 * MS; at_ns += MS) {
        if (at_ns > 5000 * MS && at_ns < 6000 * MS) continue;
        uint64_t owed = schedule_owed(&schedule, at_ns);
        for (uint64_t i = 0; i < owed; i++) {
            histogram_add(&delays, at_ns + MS - (int64_t)(schedule.due_ns + (double)i * schedule.step_ns));
            histogram_add(&from_sending, MS);
        }
        schedule_done(&schedule, owed);
        sent += owed;
    }
    assert_int_equal(sent, 500);
    assert_true(histogram_at(&from_sending, 0.9999) <= MS); /* the lie */
    /* 50 of the 500 waited, from 980 ms down to none: a tenth. */
    assert_in_range(histogram_at(&delays, 0.5), MS - MS / 50, MS + MS / 50);
    assert_in_range(histogram_at(&delays, 0.95), 450 * MS, 550 * MS);
    assert_in_range(histogram_at(&delays, 0.99), 850 * MS, 950 * MS);
    assert_in_range(histogram_at(&delays, 1), 970 * MS, 1000 * MS);
}

static void a_schedule_waits_until_the_next_one_is_due(void **state)
{
    struct schedule schedule;
    schedule_begin(&schedule, 1000, 7 * MS);
    assert_int_equal(schedule_owed(&schedule, 7 * MS - 1), 0);
    assert_int_equal(schedule_owed(&schedule, 7 * MS), 1);
    assert_int_equal(schedule_owed(&schedule, 10 * MS), 4);
    assert_int_equal(schedule_late(&schedule, 10 * MS), 0);
    assert_int_equal(schedule_late(&schedule, 10 * MS + SCHEDULE_LATE_NS), 4);
    schedule_done(&schedule, 4);
    assert_int_equal(schedule_owed(&schedule, 10 * MS), 0);
    assert_int_equal(schedule_wait_ns(&schedule, 10 * MS + MS / 4, 5 * MS), MS - MS / 4);
    assert_int_equal(schedule_wait_ns(&schedule, 10 * MS, MS / 2), MS / 2);
    assert_int_equal(schedule_wait_ns(&schedule, 12 * MS, MS), 0);
}

static void percentiles_are_right_to_the_width_of_a_bucket(void **state)
{
    static struct histogram histogram;
    histogram_clear(&histogram);
    for (int64_t value = 1; value <= 100000; value++) histogram_add(&histogram, value * 1000);
    const struct { double share; int64_t value; } facts[] = { { 0.5, 50000000 }, { 0.9, 90000000 }, { 0.99, 99000000 }, { 0.999, 99900000 }, { 0.9999, 99990000 } };
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
        assert_in_range(histogram_at(&histogram, facts[i].share), facts[i].value - facts[i].value / 60, facts[i].value + facts[i].value / 60);
    assert_int_equal(histogram_at(&histogram, 1), 100000000);
}

static void the_last_subscriber_of_each_update_is_told_once(void **state)
{
    struct lasts lasts;
    assert_int_equal(lasts_init(&lasts, 2), 0);
    lasts.followers[0] = 3;
    lasts.followers[1] = 1;
    lasts_seen(&lasts, 0, 1, 10);
    lasts_seen(&lasts, 0, 2, 5); /* the next overtakes at one subscriber */
    lasts_seen(&lasts, 0, 1, 20);
    assert_int_equal(lasts.delays.total, 0);
    lasts_seen(&lasts, 1, 1, 7);
    assert_int_equal(lasts.delays.total, 1);
    lasts_seen(&lasts, 0, 1, 30);
    assert_int_equal(lasts.delays.total, 2);
    assert_int_equal(lasts.delays.most, 30);
    lasts_seen(&lasts, 0, 2 + lasts.depth, 1); /* where update 2 stood, which two still miss */
    assert_int_equal(lasts.given_up, 1);
    lasts_seen(&lasts, 0, 2, 99);
    lasts_seen(&lasts, 0, 2, 99);
    assert_int_equal(lasts.delays.total, 2);
    lasts_deinit(&lasts);
}

static void stamps_are_found_wherever_the_stream_is_cut(void **state)
{
    static const char stream[] = "MSG bench 1 98\r\n[17,1763812345678901,\"xx\"]\r\n{\"topic\":\"bench\",\"seq\":4,\"data\":[18,1763812345678902,\"x[\"]}";
    for (size_t cut = 0; cut < sizeof stream; cut++) {
        struct stamp stamp = { 0 };
        uint64_t found = 0, last = 0;
        struct span parts[] = { span_of(stream, cut), span_of(stream + cut, sizeof stream - 1 > cut ? sizeof stream - 1 - cut : 0) };
        for (int part = 0; part < 2; part++)
            while (stamp_next(&stamp, &parts[part])) {
                assert_int_equal(stamp.number, 17 + found);
                assert_int_equal(stamp.at_us, UINT64_C(1763812345678901) + found);
                last = stamp.number;
                found++;
            }
        assert_int_equal(found, 2);
        assert_int_equal(last, 18);
    }
}

static void medians_leave_the_values_where_they_are(void **state)
{
    const double odd[] = { 5, 1, 3 }, even[] = { 4, 1, 3, 100 };
    assert_true(median(odd, 3) == 3 && median(even, 4) == 3.5 && median(odd, 1) == 5);
    struct spread_of spread = median_spread(even, 4);
    assert_true(spread.least == 1 && spread.most == 100 && even[0] == 4 && even[3] == 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_standstill_counts_for_all_that_it_held_up),
        cmocka_unit_test(a_schedule_waits_until_the_next_one_is_due),
        cmocka_unit_test(percentiles_are_right_to_the_width_of_a_bucket),
        cmocka_unit_test(the_last_subscriber_of_each_update_is_told_once),
        cmocka_unit_test(stamps_are_found_wherever_the_stream_is_cut),
        cmocka_unit_test(medians_leave_the_values_where_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
