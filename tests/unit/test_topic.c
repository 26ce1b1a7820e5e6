/* A topic: one numbering, times that never go back, and every update readable while the window holds it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core/pubsub/topic.h"

static const struct window window = { 50, 1 << 20, UINT64_C(1) << 60 };
static char name[] = "crypto.BTC";

static void begin(struct topic *topic, struct segment_store *store, uint64_t bytes_max)
{
    *topic = (struct topic){ .name = name, .name_bytes = sizeof name - 1 };
    segment_store_init(store, bytes_max);
}

static void end(struct topic *topic, struct segment_store *store)
{
    log_deinit(&topic->log, store);
    segment_store_deinit(store);
}

static bool append(struct topic *topic, struct segment_store *store, const char *data, uint64_t now_us)
{
    return topic_append(topic, store, &window, NULL, span_of_string(data), false, false, now_us);
}

static void updates_are_read_back_while_the_window_holds_them(void **state)
{
    struct topic topic;
    struct segment_store store;
    begin(&topic, &store, UINT64_MAX);
    for (uint64_t seq = 1; seq <= 1000; seq++) {
        char data[300];
        snprintf(data, sizeof data, "{\"n\":%0*u}", (int)(seq * 7 % 250) + 1, (unsigned)seq);
        assert_true(append(&topic, &store, data, 5000 + seq));
        struct update newest = topic_newest(&topic);
        assert_int_equal(newest.seq, seq);
        assert_int_equal(newest.ts_us, 5000 + seq);
        assert_true(span_is(newest.data, data));
        log_trim(&topic.log, &window, 5000 + seq);
        log_release(&topic.log, &store, log_next_number(&topic.log));
        for (uint64_t old = topic.log.ends.tail.seq; old <= seq; old += 13)
            assert_int_equal(format_json_read(chain_bytes(&topic.log.chain, chain_seek(&topic.log.chain, &topic.log.ends.tail, old).at), topic_name(&topic)).seq, old);
        assert_true(seq < 50 || topic.log.ends.tail.seq <= seq - 49);
    }
    end(&topic, &store);
}

static void times_never_go_back(void **state)
{
    static const struct {
        uint64_t now_us, ts_us;
    } facts[] = { { 100, 100 }, { 100, 100 }, { 90, 100 }, { 101, 101 }, { 0, 101 }, { 5000, 5000 } };
    struct topic topic;
    struct segment_store store;
    begin(&topic, &store, UINT64_MAX);
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        assert_true(append(&topic, &store, "1", facts[i].now_us));
        assert_int_equal(topic_newest(&topic).ts_us, facts[i].ts_us);
    }
    end(&topic, &store);
}

static void line_ends_in_a_payload_become_spaces(void **state)
{
    struct topic topic;
    struct segment_store store;
    begin(&topic, &store, UINT64_MAX);
    assert_true(topic_append(&topic, &store, &window, NULL, SPAN_LITERAL("[1,\r\n2]"), true, false, 1));
    assert_true(span_is(topic_newest(&topic).data, "[1,  2]"));
    end(&topic, &store);
}

static void without_memory_an_append_changes_nothing(void **state)
{
    struct topic topic;
    struct segment_store store;
    begin(&topic, &store, 1024);
    assert_true(append(&topic, &store, "1", 10));
    char large[2000];
    memset(large, '1', sizeof large);
    assert_false(topic_append(&topic, &store, &window, NULL, span_of(large, sizeof large), false, true, 20));
    assert_int_equal(log_newest_seq(&topic.log), 1);
    assert_int_equal(topic.ts_us, 10);
    assert_true(append(&topic, &store, "2", 15));
    struct update newest = topic_newest(&topic);
    assert_int_equal(newest.seq, 2);
    assert_int_equal(newest.ts_us, 15);
    assert_int_equal(topic.log.ends.key.seq, 2); /* what was refused marked nothing */
    end(&topic, &store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(updates_are_read_back_while_the_window_holds_them),
        cmocka_unit_test(times_never_go_back),
        cmocka_unit_test(line_ends_in_a_payload_become_spaces),
        cmocka_unit_test(without_memory_an_append_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
