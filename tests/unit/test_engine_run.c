/* What `ringcast-bench engine` counts: the same work for each shard, all of it delivered, in one thread or in several. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <unistd.h>

#include "bench/engine_run.h"

enum { TOPICS = 4, SUBSCRIPTIONS = 40, UPDATES = 240 };

static struct engine_plan plan_of(uint32_t shards, bool threaded, int reading)
{
    static const char data[] = "{\"price\":189.32}";
    return (struct engine_plan){
        .load = { .shards = shards, .topics = TOPICS, .subscriptions = SUBSCRIPTIONS, .follows = 2, .burst = TOPICS, .lead = 16,
                  .bytes = sizeof data - 1, .data = span_of(data, sizeof data - 1), .reading = reading, .sleeps = threaded },
        .updates = UPDATES, .warmup = 3 * TOPICS, .threaded = threaded,
    };
}

static struct engine_result run(uint32_t shards, bool threaded, int reading)
{
    struct engine_plan plan = plan_of(shards, threaded, reading);
    struct engine_result result;
    assert_true(engine_run(&plan, &result));
    assert_true(result.wrong == 0);
    assert_true(result.published == (double)shards * UPDATES);
    assert_true(result.delivered + result.gap_updates == (double)shards * UPDATES * SUBSCRIPTIONS / TOPICS);
    assert_true(result.seconds > 0 && result.cpu_ns > 0);
    return result;
}

static void one_shard_delivers_all_and_tells_nobody(void **state)
{
    struct engine_result result = run(1, false, READ_LINE);
    assert_true(result.asks == 0 && result.tells == 0 && result.loans == 0 && result.wakes_asked == 0);
    assert_true(result.ranges == result.delivered);
    assert_true(result.sends == result.ranges / 2); /* each connection follows two topics */
}

static void two_that_take_turns_cut_as_many_ranges_for_each_update(void **state)
{
    struct engine_result result = run(2, false, READ_FRAMES);
    assert_true(result.gap_updates == 0);
    assert_true(result.ranges == result.delivered);
    assert_true(result.notices == result.published); /* to the other shard, which follows every topic */
    assert_true(result.asks >= result.published / 2); /* half of the homes are elsewhere; and segments that are given back */
    assert_true(result.loans >= 2 * TOPICS);
}

static void two_threads_deliver_all(void **state)
{
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2) skip(); /* each has a CPU of its own */
    struct engine_result result = run(2, true, READ_COPY);
    assert_true(result.ranges <= result.delivered);
    assert_true(result.notices > 0 && result.line_ns > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_shard_delivers_all_and_tells_nobody),
        cmocka_unit_test(two_that_take_turns_cut_as_many_ranges_for_each_update),
        cmocka_unit_test(two_threads_deliver_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
