/* Trace: every so many updates one is stamped at each door that it passes, in order, on each shard; and nothing else ever is. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "tests/support/kit.h"
#include "tests/support/pair.h"

static struct trace *traced(struct engine *engine, uint64_t every)
{
    struct trace *trace = trace_make(every);
    assert_non_null(trace);
    engine->home.trace = engine->locals.trace = trace;
    return trace;
}

/* As the gateway does: it was read, and goes to its home. */
static void publish(struct kit *kit, const char *topic)
{
    trace_read(kit->engine.home.trace, clock_mono_ns());
    kit_publish(kit, topic, "1");
}

/* "t 3, t 6": what is open. */
static const char *open_ones(const struct trace *trace)
{
    static char line[512];
    size_t size = 0;
    line[0] = '\0';
    for (uint32_t i = 0; i < trace->open_count; i++)
        size += (size_t)snprintf(line + size, sizeof line - size, "%s%.*s %llu", i > 0 ? ", " : "", (int)trace->open[i].name_bytes, trace->open[i].name, (unsigned long long)trace->open[i].seq);
    return line;
}

/* "received read": the doors that it passed; asserts that each was passed after the one before. */
static const char *passed(const struct trace_record *record)
{
    static char line[256];
    size_t size = 0;
    uint64_t before_ns = 0;
    line[0] = '\0';
    for (enum door door = 0; door < DOORS_COUNT; door++) {
        if (record->at_ns[door] == 0) continue;
        assert_true(record->at_ns[door] >= before_ns);
        before_ns = record->at_ns[door];
        size += (size_t)snprintf(line + size, sizeof line - size, "%s%s", size > 0 ? " " : "", door_names[door]);
    }
    return line;
}

static void every_third_update_of_each_topic_is_traced(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    struct trace *trace = traced(&kit->engine, 3);
    for (int i = 0; i < 7; i++) publish(kit, "a");
    for (int i = 0; i < 4; i++) publish(kit, "b");
    assert_string_equal(open_ones(trace), "a 3, a 6, b 3");
    assert_string_equal(passed(&trace->open[0]), "received read appended");
    trace_free(trace);
    kit_free(kit);
}

static void what_the_gateway_publishes_by_itself_is_not_traced(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    struct trace *trace = traced(&kit->engine, 1);
    kit_publish(kit, "a", "1");
    publish(kit, "$sys.trace.0");
    publish(kit, "b");
    kit_publish(kit, "b", "1");
    assert_string_equal(open_ones(trace), "b 1");
    trace_free(trace);
    kit_free(kit);
}

static void an_update_passes_every_door_of_its_shard_in_order(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    struct trace *trace = traced(&kit->engine, 1);
    struct span a = SPAN_LITERAL("a");
    kit_subscribe_live(kit, 0, "a", MODE_EVERY);
    publish(kit, "a");
    kit_turn(kit);
    assert_string_equal(passed(&trace->open[0]), "received read appended woken");
    trace_submitted(trace); /* a batch without it */
    trace_settled(trace);
    trace_staged(trace, SPAN_LITERAL("b"), 1, 2);
    trace_staged(trace, a, 2, 5);
    assert_string_equal(passed(&trace->open[0]), "received read appended woken");
    trace_staged(trace, a, 1, 2);
    trace_staged(trace, a, 1, 2);
    trace_submitted(trace);
    trace_settled(trace);
    struct trace_record first = trace->open[0];
    assert_string_equal(passed(&first), "received read appended woken staged submitted settled last");
    trace_staged(trace, a, 1, 2);
    trace_submitted(trace);
    trace_settled(trace);
    trace_submitted(trace);
    trace_settled(trace); /* the last batch with it was the one before */
    for (enum door door = 0; door < DOOR_LAST; door++) assert_int_equal(trace->open[0].at_ns[door], first.at_ns[door]);
    assert_true(trace->open[0].at_ns[DOOR_LAST] > first.at_ns[DOOR_LAST]);
    assert_string_equal(kit_sent(kit, 0), "a born 1");
    trace_close(trace);
    assert_false(trace_is_open(trace));
    assert_int_equal(trace_first(trace)->seq, 1);
    trace_drop_first(trace);
    assert_null(trace_first(trace));
    trace_free(trace);
    kit_free(kit);
}

static void an_update_is_followed_from_the_publishers_shard_to_its_home_and_back(void **state)
{
    struct pair *pair = pair_make(16, 1 << 20, 1000);
    struct trace *here = traced(&pair->sides[0].engine, 2), *home = traced(&pair->sides[1].engine, 2);
    struct subscribe_ask ask = { .topic = pair_name(pair, 0), .mode = MODE_EVERY };
    struct subscribe_reply reply;
    while (engine_prepare(&pair->sides[0].engine, ask.topic, FORMAT_JSON, 1) != LINK_DONE) pair_settle(pair);
    assert_int_equal(engine_subscribe(&pair->sides[0].engine, 0, &ask, &reply), SUBSCRIBE_DONE);
    for (int i = 0; i < 5; i++) {
        struct publish_ask publish_it = { .topic = ask.topic, .data = SPAN_LITERAL("1"), .quiet = true };
        struct publish_reply published;
        trace_read(here, clock_mono_ns());
        assert_int_equal(engine_publish(&pair->sides[0].engine, &publish_it, TICKET_NONE, &published), LINK_SENT);
        if (i != 2) pair_settle(pair); /* the third and the fourth are told together */
    }
    assert_int_equal(home->open_count, 2);
    assert_int_equal(here->open_count, 2);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(home->open[i].seq, 2 + 2 * i);
        assert_int_equal(here->open[i].seq, 2 + 2 * i);
        assert_string_equal(passed(&home->open[i]), "received read taken appended told");
        assert_string_equal(passed(&here->open[i]), "heard woken");
        assert_true(here->open[i].at_ns[DOOR_HEARD] >= home->open[i].at_ns[DOOR_TOLD]);
    }
    trace_free(here);
    trace_free(home);
    pair->sides[0].engine.home.trace = pair->sides[0].engine.locals.trace = pair->sides[1].engine.home.trace = pair->sides[1].engine.locals.trace = NULL;
    pair_end(pair);
}

static void what_was_there_before_the_subscriber_is_not_heard_as_news(void **state)
{
    struct pair *pair = pair_make(16, 1 << 20, 1000);
    struct trace *here = traced(&pair->sides[0].engine, 1);
    struct publish_ask ask = { .topic = pair_name(pair, 0), .data = SPAN_LITERAL("1") };
    struct publish_reply reply;
    engine_publish(&pair->sides[1].engine, &ask, TICKET_NONE, &reply);
    while (engine_prepare(&pair->sides[0].engine, pair_name(pair, 0), FORMAT_JSON, 1) != LINK_DONE) pair_settle(pair);
    assert_false(trace_is_open(here));
    engine_publish(&pair->sides[1].engine, &ask, TICKET_NONE, &reply);
    pair_settle(pair);
    assert_int_equal(here->open_count, 1);
    trace_free(here);
    pair->sides[0].engine.home.trace = pair->sides[0].engine.locals.trace = NULL;
    pair_end(pair);
}

static void what_there_is_no_room_for_is_counted(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    struct trace *trace = traced(&kit->engine, 1);
    for (uint32_t i = 0; i < TRACE_OPEN_MAX + 3; i++) publish(kit, "a");
    assert_int_equal(trace->open_count, TRACE_OPEN_MAX);
    assert_int_equal(trace->missed, 3);
    trace_close(trace);
    for (uint32_t i = trace->done_count; i < TRACE_DONE_MAX + 2; i++) {
        publish(kit, "a");
        trace_close(trace);
    }
    assert_int_equal(trace->missed, 5);
    assert_int_equal(trace->done_count, TRACE_DONE_MAX);
    assert_int_equal(trace_first(trace)->seq, 3); /* the oldest two have gone */
    trace_free(trace);
    kit_free(kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_third_update_of_each_topic_is_traced),
        cmocka_unit_test(what_the_gateway_publishes_by_itself_is_not_traced),
        cmocka_unit_test(an_update_passes_every_door_of_its_shard_in_order),
        cmocka_unit_test(an_update_is_followed_from_the_publishers_shard_to_its_home_and_back),
        cmocka_unit_test(what_was_there_before_the_subscriber_is_not_heard_as_news),
        cmocka_unit_test(what_there_is_no_room_for_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
