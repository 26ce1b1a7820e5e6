/* Figures: what lies between two looks at the counters, as JSON that is read here by the house's own scanner. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>
#include <string.h>

#include "core/proto/json.h"
#include "gateway/figures.h"

/* What stands between two looks one interval apart. */
static const char *written(const struct figures *before, struct figures *now, uint64_t interval_us)
{
    static struct text text;
    struct json_value value;
    now->at_us = before->at_us + interval_us;
    text.size = 0;
    text_add_char(&text, '{');
    figures_write(before, now, &text);
    text_add_char(&text, '}');
    assert_int_equal(json_validate(text_span(&text), 64, &value), JSON_OK);
    text_add_char(&text, '\0');
    return text.bytes;
}

#define HAS(json, part) assert_non_null(strstr(json, part))
#define LACKS(json, part) assert_null(strstr(json, part))

static void counts_are_told_a_second_and_levels_as_they_are(void **state)
{
    struct figures before = { .at_us = 5000000 }, now = { 0 };
    before.cells[COUNTER_UPDATES_IN] = 100;
    now.cells[COUNTER_UPDATES_IN] = 350;
    before.cells[COUNTER_GAPS] = now.cells[COUNTER_GAPS] = 7;
    before.cells[COUNTER_SUBSCRIPTIONS] = 10;
    now.cells[COUNTER_SUBSCRIPTIONS] = 3;
    now.cells[COUNTER_FRAMES_SENT] = 30;
    now.cells[COUNTER_SENDS] = 4;
    now.cells[COUNTER_DEFLATE_US] = 250000;
    now.cells[COUNTER_IDLE_US] = 1900000;
    const char *json = written(&before, &now, 2000000);
    HAS(json, "{\"interval_ms\":2000,");
    HAS(json, "\"subscriptions\":3");
    HAS(json, "\"updates_published\":125,");
    HAS(json, "\"frames_sent\":15,");
    HAS(json, "\"frames_per_send\":7.5");
    HAS(json, "\"deflate_seconds\":0.125");
    LACKS(json, "idle");
    LACKS(json, "\"gaps\"");
}

static void families_are_told_by_label_since_the_start(void **state)
{
    struct figures before = { 0 }, now = { 0 };
    before.cells[COUNTER_CLOSE_4408] = now.cells[COUNTER_CLOSE_4408] = 3;
    now.cells[COUNTER_LIMIT_LOG_BYTES] = 2;
    now.cells[COUNTER_MEMORY_LOGS] = 4096;
    const char *json = written(&before, &now, 1000000);
    HAS(json, "\"closes\":{\"4408\":3}");
    HAS(json, "\"limit_hits\":{\"log-bytes\":2}");
    HAS(json, "\"logs\":4096");
    HAS(json, "\"clients\":0");
}

static void an_interval_of_nothing_and_a_counter_that_fell_harm_nobody(void **state)
{
    struct figures before = { 0 }, now = { 0 };
    before.cells[COUNTER_UPDATES_IN] = 100;
    const char *json = written(&before, &now, 0);
    HAS(json, "\"per_second\":{}");
    HAS(json, "\"delay_us\":{\"count\":0}");
    HAS(json, "\"frames_per_send\":0,");
}

static void delays_are_told_within_their_bucket(void **state)
{
    static const struct {
        uint64_t    low, middle, high; /* counted in the buckets up to 16 us, from 128 to 256 us, and beyond a second */
        const char *said;
    } facts[] = {
        { 100, 0, 0, "\"count\":100,\"p50\":8,\"p90\":14,\"p99\":16,\"most\":16}" },
        { 0, 1000, 0, "\"count\":1000,\"p50\":192,\"p90\":243,\"p99\":255,\"most\":256}" },
        { 50, 50, 0, "\"count\":100,\"p50\":16,\"p90\":230,\"p99\":253,\"most\":256}" },
        { 0, 99, 1, "\"count\":100,\"p50\":193,\"p90\":244,\"p99\":256,\"most\":2097152}" },
    };
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        struct figures before = { 0 }, now = { 0 };
        before.cells[COUNTER_DELAY_4] = 12345;
        now.cells[COUNTER_DELAY_0] = facts[i].low;
        now.cells[COUNTER_DELAY_4] = 12345 + facts[i].middle;
        now.cells[COUNTER_DELAY_INF] = facts[i].high;
        HAS(written(&before, &now, 1000000), facts[i].said);
    }
}

static void a_shard_that_sleeps_is_idle_while_it_sleeps(void **state)
{
    struct counters counters = { 0 };
    assert_int_equal(counter_idle_us(&counters, 1000), 0);
    counter_idle_begin(&counters, 1000);
    assert_int_equal(counter_idle_us(&counters, 1000), 0);
    assert_int_equal(counter_idle_us(&counters, 5000), 4000);
    counter_idle_end(&counters, 6000);
    assert_int_equal(counter_idle_us(&counters, 9000), 5000);
    counter_idle_begin(&counters, 10000);
    assert_int_equal(counter_idle_us(&counters, 10500), 5500);
    assert_int_equal(counter_idle_us(&counters, 4000), 0); /* a clock that was read long before */
    counter_idle_end(&counters, 11000);
    assert_int_equal(counter_idle_us(&counters, 12000), 6000);
}

static void busy_is_a_share(void **state)
{
    assert_true(figures_busy(0, 0, 1000) == 1);
    assert_true(figures_busy(500, 1250, 1000) == 0.25);
    assert_true(figures_busy(0, 1000, 1000) == 0);
    assert_true(figures_busy(0, 1001, 1000) == 0); /* two clocks */
    assert_true(figures_busy(100, 0, 1000) == 1);
    assert_true(figures_busy(0, 0, 0) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_told_a_second_and_levels_as_they_are),
        cmocka_unit_test(families_are_told_by_label_since_the_start),
        cmocka_unit_test(an_interval_of_nothing_and_a_counter_that_fell_harm_nobody),
        cmocka_unit_test(delays_are_told_within_their_bucket),
        cmocka_unit_test(a_shard_that_sleeps_is_idle_while_it_sleeps),
        cmocka_unit_test(busy_is_a_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
