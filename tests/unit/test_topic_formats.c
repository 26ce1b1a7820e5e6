/* A topic in several formats: each has a log of its own with the seq of all, filled when its first reader comes, and gone a while after the
 * last; what fails, fails for all of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "tests/support/frames.h"
#include "tests/support/kit.h"

static const uint64_t second = 1000000;

static const struct home *home_of(const struct kit *kit)
{
    return &kit->engine.home;
}

/* Time goes on until every topic was looked at. */
static void sweep(struct kit *kit, uint64_t us)
{
    enum { TURNS = 20 };
    kit->clock.wall_us += us;
    for (int i = 0; i < TURNS; i++) {
        kit->clock.mono_us += us / TURNS;
        kit_turn(kit);
    }
}

/* Each subscriber reads the format of its number. */
static struct kit *make(const struct kit_settings *settings)
{
    struct kit *kit = kit_make(settings);
    for (uint32_t i = 0; i < KIT_SUBSCRIBERS; i++) kit_reads(kit, i, (enum wire_format)i);
    return kit;
}

/* Both say the same of every update that the window of the first holds, and agree in what is key at both ends. */
static void assert_same(const struct kit *kit, const char *name, enum wire_format format)
{
    const struct topic *main = kit_topic(kit, name), *topic = kit_topic_in(kit, name, format);
    assert_non_null(topic);
    const struct log *a = &main->log, *b = &topic->log;
    assert_memory_equal(topic->epoch, main->epoch, EPOCH_BYTES);
    assert_int_equal(a->ends.last.seq, b->ends.last.seq);
    assert_int_equal(a->ends.key.seq, b->ends.key.seq);
    assert_int_equal(a->keyed, b->keyed);
    if (a->ends.last.seq == 0) return;
    uint64_t from = a->ends.tail.seq > b->ends.tail.seq ? a->ends.tail.seq : b->ends.tail.seq;
    for (uint64_t seq = from; seq <= a->ends.last.seq; seq++) {
        struct update one = format_json_read(chain_bytes(&a->chain, chain_seek(&a->chain, &a->ends.tail, seq).at), topic_name(main)), other = frame_read(format, chain_bytes(&b->chain, chain_seek(&b->chain, &b->ends.tail, seq).at), topic_name(main));
        assert_int_equal(one.seq, seq);
        if (format_inflated(format) != FORMAT_RAW) assert_true(other.seq == seq && other.ts_us == one.ts_us);
        assert_true(span_equals(one.data, other.data));
    }
}

static void the_first_reader_of_a_format_fills_its_log_and_what_comes_goes_to_all(void **state)
{
    struct kit *kit = make(&(struct kit_settings){ 0 });
    for (int i = 0; i < 200; i++) kit_publish_bytes(kit, "A", 1 + (size_t)i * 7 % 300);
    assert_int_equal(home_of(kit)->topics.used, 1);
    for (uint32_t format = 1; format < FORMATS_COUNT; format++) {
        struct subscribe_reply reply = kit_subscribe(kit, format, "A", MODE_EVERY);
        assert_true(reply.born && reply.seq == 200);
        assert_memory_equal(reply.epoch, kit_topic(kit, "A")->epoch, EPOCH_BYTES);
        assert_same(kit, "A", format);
        assert_int_equal(kit_topic_in(kit, "A", format)->log.ends.tail.seq, 1);
        assert_string_equal(kit_sent(kit, format), "A 200");
    }
    assert_int_equal(home_of(kit)->topics_count, 1);
    assert_int_equal(counter_read(&kit->counters, COUNTER_TOPICS), 1);
    kit_publish(kit, "A", "\"more\"");
    kit_publish(kit, "A", "\"and more\"");
    for (uint32_t format = 1; format < FORMATS_COUNT; format++) {
        assert_same(kit, "A", format);
        assert_string_equal(kit_sent(kit, format), "A 201 202");
    }
    kit_free(kit);
}

static void a_keyed_log_is_filled_with_its_keys(void **state)
{
    struct kit *kit = make(&(struct kit_settings){ 0 });
    for (int i = 1; i <= 60; i++) i % 20 == 5 ? kit_publish_key(kit, "A", "\"key\"") : kit_publish(kit, "A", "\"delta\"");
    assert_int_equal(kit_subscribe(kit, FORMAT_ARRAY, "A", MODE_EVERY).seq, 60);
    assert_same(kit, "A", FORMAT_ARRAY);
    assert_int_equal(kit_topic_in(kit, "A", FORMAT_ARRAY)->log.ends.oldest_key.seq, kit_topic(kit, "A")->log.ends.oldest_key.seq);
    assert_string_equal(kit_sent(kit, FORMAT_ARRAY), "A 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60");
    kit_publish(kit, "A", "1");
    kit_publish_key(kit, "A", "2");
    kit_publish(kit, "A", "3");
    kit_subscribe(kit, FORMAT_RAW, "A", MODE_LATEST);
    assert_string_equal(kit_sent(kit, FORMAT_RAW), "A 62 63");
    assert_string_equal(kit_sent(kit, FORMAT_ARRAY), "A 61 62 63");
    kit_free(kit);
}

/* It began with a gap from 0. */
static void a_snapshot_whose_key_has_left_the_window_begins_with_a_gap_from_there(void **state)
{
    struct kit *kit = make(&(struct kit_settings){ .window = { .bytes_max = 4096 } });
    for (int i = 1; i <= 4; i++) kit_publish(kit, "A", "1");
    kit_publish_key(kit, "A", "1");
    for (int i = 0; i < 200; i++) kit_publish_bytes(kit, "A", 100);
    kit_turn(kit);
    uint64_t tail = kit_topic(kit, "A")->log.ends.tail.seq;
    char expected[40];
    snprintf(expected, sizeof expected, "A gap 5-%u %u ", (unsigned)tail - 1, (unsigned)tail);
    for (uint32_t format = 0; format < FORMATS_COUNT; format++) {
        kit_subscribe(kit, format, "A", MODE_EVERY);
        if (format != FORMAT_JSON) assert_same(kit, "A", format);
        assert_int_equal(strncmp(kit_sent(kit, format), expected, strlen(expected)), 0);
    }
    kit_publish_key(kit, "A", "1");
    for (uint32_t format = 0; format < FORMATS_COUNT; format++) assert_string_equal(kit_sent(kit, format), "A 206");
    kit_free(kit);
}

/* A large segment for the first log left nothing for the next, and it was busy; and room was made for one log only. */
static void near_the_budget_each_log_gets_the_smallest_segment(void **state)
{
    struct kit *kit = make(&(struct kit_settings){ .log_bytes_max = 64 * 1024 });
    for (uint32_t format = 0; format < FORMATS_COUNT; format++) kit_subscribe(kit, format, "A", MODE_EVERY);
    for (int i = 0; i < 3000; i++) assert_int_equal(kit_try_publish(kit, i % 20 ? "A" : "B", 1 + (size_t)i * 7 % 900), PUBLISH_DONE);
    for (uint32_t format = 1; format < FORMATS_COUNT; format++) assert_same(kit, "A", format);
    kit_free(kit);
}

static void resuming_goes_on_in_the_log_of_the_format(void **state)
{
    struct kit *kit = make(&(struct kit_settings){ 0 });
    for (int i = 1; i <= 30; i++) kit_publish(kit, "A", "1");
    struct subscribe_reply reply = kit_resume(kit, FORMAT_SSE, "A", MODE_EVERY, span_of(kit_topic(kit, "A")->epoch, EPOCH_BYTES), 25);
    assert_true(reply.resumed && reply.seq == 30);
    assert_string_equal(kit_sent(kit, FORMAT_SSE), "A 26 27 28 29 30");
    kit_free(kit);
}

static void a_topic_followed_before_its_birth_is_born_in_every_format(void **state)
{
    struct kit *kit = make(&(struct kit_settings){ 0 });
    for (uint32_t format = 0; format < FORMATS_COUNT; format++) assert_false(kit_subscribe(kit, format, "A", MODE_EVERY).born);
    assert_int_equal(home_of(kit)->topics_count, 1);
    kit_publish(kit, "A", "1");
    kit_publish(kit, "A", "2");
    for (uint32_t format = 0; format < FORMATS_COUNT; format++) assert_string_equal(kit_sent(kit, format), "A born 1 2");
    kit_free(kit);
}

static void a_pattern_covers_in_its_readers_format(void **state)
{
    struct kit *kit = make(&(struct kit_settings){ 0 });
    struct pattern_ask ask = { SPAN_LITERAL("a.*"), MODE_EVERY, true, 0 };
    bool again;
    assert_true(engine_subscribe_pattern(&kit->engine, FORMAT_SSE, &ask, &again));
    kit_publish(kit, "a.1", "1");
    kit_publish(kit, "a.1", "2");
    assert_string_equal(kit_sent(kit, FORMAT_SSE), "a.1 born 1 2");
    kit_turn(kit);
    for (int i = 0; i < 400; i++) kit_publish_bytes(kit, "a.1", 100);
    kit_turn(kit);
    assert_same(kit, "a.1", FORMAT_SSE);
    kit_free(kit);
}

static void deleting_ends_the_life_in_every_format(void **state)
{
    struct kit *kit = make(&(struct kit_settings){ 0 });
    for (int i = 0; i < 50; i++) kit_publish_bytes(kit, "A", 100);
    for (uint32_t format = 0; format < FORMATS_COUNT; format++) {
        kit_subscribe(kit, format, "A", MODE_EVERY);
        assert_string_equal(kit_sent(kit, format), "A 50");
    }
    kit_delete(kit, "A");
    kit_turn(kit);
    assert_int_equal(home_of(kit)->store.bytes_used, 0);
    kit_publish(kit, "A", "1");
    for (uint32_t format = 0; format < FORMATS_COUNT; format++) {
        assert_same(kit, "A", format);
        assert_string_equal(kit_sent(kit, format), "A born 1");
    }
    /* Dead and born within one turn. */
    kit_delete(kit, "A");
    kit_publish(kit, "A", "1");
    kit_publish(kit, "A", "2");
    for (uint32_t format = 0; format < FORMATS_COUNT; format++) assert_string_equal(kit_sent(kit, format), "A born 1 2");
    kit_free(kit);
}

static void a_log_is_forgotten_a_minute_after_its_last_reader(void **state)
{
    struct kit *kit = make(&(struct kit_settings){ 0 });
    kit_publish(kit, "A", "1");
    kit_subscribe(kit, FORMAT_ARRAY, "A", MODE_EVERY);
    sweep(kit, 200 * second);
    assert_non_null(kit_topic_in(kit, "A", FORMAT_ARRAY));
    kit_unsubscribe(kit, FORMAT_ARRAY, "A");
    sweep(kit, 59 * second);
    assert_same(kit, "A", FORMAT_ARRAY);
    kit_publish(kit, "A", "2"); /* which keeps it no longer: nobody reads it */
    assert_same(kit, "A", FORMAT_ARRAY);
    sweep(kit, 2 * second);
    assert_null(kit_topic_in(kit, "A", FORMAT_ARRAY));
    assert_non_null(kit_topic(kit, "A"));
    assert_int_equal(home_of(kit)->topics.used, 1);
    kit_subscribe(kit, FORMAT_ARRAY, "A", MODE_EVERY);
    assert_string_equal(kit_sent(kit, FORMAT_ARRAY), "A 2");
    kit_free(kit);
}

static void a_shorter_ttl_counts_for_all_and_the_main_log_outlives_the_others(void **state)
{
    struct kit *kit = make(&(struct kit_settings){ .topic_ttl_us = 10 * second });
    kit_publish(kit, "A", "1");
    kit_subscribe(kit, FORMAT_RAW, "A", MODE_EVERY);
    kit_subscribe(kit, FORMAT_SSE, "A", MODE_EVERY);
    sweep(kit, 30 * second);
    kit_unsubscribe(kit, FORMAT_RAW, "A");
    sweep(kit, 11 * second);
    assert_null(kit_topic_in(kit, "A", FORMAT_RAW));
    assert_non_null(kit_topic_in(kit, "A", FORMAT_SSE));
    assert_non_null(kit_topic(kit, "A")); /* quiet for long, but followed in another format */
    kit_unsubscribe(kit, FORMAT_SSE, "A");
    sweep(kit, 9 * second);
    assert_non_null(kit_topic(kit, "A"));
    sweep(kit, 2 * second);
    assert_int_equal(home_of(kit)->topics.used, 0);
    assert_int_equal(home_of(kit)->topics_count, 0);
    assert_int_equal(home_of(kit)->names.count, 0);
    assert_int_equal(home_of(kit)->store.bytes_used, 0);
    kit_free(kit);
}

/* It went a minute after its last reader, whatever the ttl, where that one had read another format than JSON. */
static void the_ttl_counts_from_the_last_reader_in_any_format(void **state)
{
    struct kit *kit = make(&(struct kit_settings){ .topic_ttl_us = 3600 * second });
    kit_publish(kit, "A", "1");
    kit_subscribe(kit, FORMAT_SSE, "A", MODE_EVERY);
    sweep(kit, 7200 * second);
    kit_unsubscribe(kit, FORMAT_SSE, "A");
    sweep(kit, 3500 * second);
    assert_null(kit_topic_in(kit, "A", FORMAT_SSE));
    assert_non_null(kit_topic(kit, "A"));
    sweep(kit, 200 * second);
    assert_null(kit_topic(kit, "A"));
    kit_free(kit);
}

static void names_that_were_only_followed_make_room_again_in_every_format(void **state)
{
    struct kit *kit = make(&(struct kit_settings){ .topics_max = 3 });
    for (uint32_t i = 0; i < 100; i++) {
        char name[20];
        snprintf(name, sizeof name, "n%u", i);
        kit_subscribe(kit, i % FORMATS_COUNT, name, MODE_LATEST);
        kit_subscribe(kit, (i + 1) % FORMATS_COUNT, name, MODE_LATEST);
        kit_unsubscribe(kit, i % FORMATS_COUNT, name);
        kit_unsubscribe(kit, (i + 1) % FORMATS_COUNT, name);
        kit_turn(kit);
    }
    assert_int_equal(home_of(kit)->topics_count, 0);
    assert_int_equal(home_of(kit)->topics.used, 0);
    kit_free(kit);
}

static void the_limit_of_topics_counts_names_and_not_formats(void **state)
{
    struct kit *kit = make(&(struct kit_settings){ .topics_max = 2 });
    kit_publish(kit, "A", "1");
    for (uint32_t format = 0; format < FORMATS_COUNT; format++) {
        kit_subscribe(kit, format, "A", MODE_LATEST);
        kit_subscribe(kit, format, "B", MODE_LATEST);
    }
    assert_int_equal(home_of(kit)->topics_count, 2);
    assert_int_equal(counter_read(&kit->counters, COUNTER_TOPICS), 2);
    assert_int_equal(home_of(kit)->topics.used, 2 * FORMATS_COUNT);
    for (uint32_t format = 0; format < FORMATS_COUNT; format++) {
        struct subscribe_ask ask = { .topic = SPAN_LITERAL("C") };
        struct subscribe_reply reply;
        assert_int_equal(engine_subscribe(&kit->engine, format, &ask, &reply), SUBSCRIBE_TOPICS_FULL);
    }
    assert_int_equal(kit_try_publish(kit, "C", 1), PUBLISH_TOPICS_FULL);
    kit_free(kit);
}

/* Memory for one log, and not for the others: nothing was published, and each is as it was. */
static void without_memory_for_one_format_a_publish_is_busy_and_all_are_as_they_were(void **state)
{
    enum { BUDGET = 40 * 1024 };
    struct kit *kit = make(&(struct kit_settings){ .log_bytes_max = BUDGET });
    kit_publish(kit, "A", "1");
    for (uint32_t format = 1; format < FORMATS_COUNT; format++) kit_subscribe(kit, format, "A", MODE_EVERY);
    for (uint32_t format = 1; format < FORMATS_COUNT; format++) assert_string_equal(kit_sent(kit, format), "A 1");
    for (int i = 0; i < 20; i++) {
        assert_int_equal(kit_try_publish(kit, "A", 14000), PUBLISH_BUSY); /* two of them have room for it */
        for (uint32_t format = 0; format < FORMATS_COUNT; format++) assert_int_equal(kit_topic_in(kit, "A", format)->log.ends.last.seq, 1);
        assert_true(home_of(kit)->store.bytes_used <= BUDGET);
    }
    uint64_t used = home_of(kit)->store.bytes_used;
    assert_int_equal(used, FORMATS_COUNT * 1024);
    assert_int_equal(kit_publish(kit, "A", "2"), 2);
    assert_int_equal(home_of(kit)->store.bytes_used, used); /* what failed has not made segments larger */
    for (uint32_t format = 1; format < FORMATS_COUNT; format++) {
        assert_same(kit, "A", format);
        assert_string_equal(kit_sent(kit, format), "A 2");
    }
    kit_free(kit);
}

static void busy_and_done_in_turn_keep_all_formats_in_step(void **state)
{
    struct kit *kit = make(&(struct kit_settings){ .log_bytes_max = 100 * 1024, .window = { .updates_max = 5 } });
    for (uint32_t format = 0; format < FORMATS_COUNT; format++) {
        kit_subscribe(kit, format, "A", MODE_LATEST);
        kit_subscribe(kit, format, "B", MODE_EVERY);
    }
    uint64_t seq = 0;
    uint32_t busy = 0;
    for (uint32_t i = 0; i < 3000; i++) {
        bool done = kit_try_publish(kit, i % 3 ? "A" : "B", i % 7 == 0 ? 9000 : 1 + i * 13 % 900) == PUBLISH_DONE;
        seq += done && i % 3;
        busy += !done;
        assert_true(home_of(kit)->store.bytes_used <= 100 * 1024);
        if (i % 5 == 0)
            for (uint32_t format = 0; format < FORMATS_COUNT; format++) kit_sent(kit, format); /* asserts whole frames in order */
        if (i % 11 == 0) kit_turn(kit);
        if (i % 50) continue;
        for (uint32_t format = 1; format < FORMATS_COUNT; format++) assert_same(kit, "A", format), assert_same(kit, "B", format);
    }
    if (seq < 1000 || busy < 100) fail_msg("%u of A done, %u busy: both are to be met with", (unsigned)seq, busy);
    assert_int_equal(log_newest_seq(&kit_topic(kit, "A")->log), seq);
    kit_free(kit);
}

/* A log that has no room for the window is filled from the last key on: as much as a snapshot needs. */
static void with_little_memory_a_log_is_filled_with_a_snapshot(void **state)
{
    struct kit *kit = make(&(struct kit_settings){ .log_bytes_max = 20 * 1024 });
    for (int i = 0; i < 100; i++) kit_publish_bytes(kit, "A", 100);
    uint64_t tail = kit_topic(kit, "A")->log.ends.tail.seq;
    assert_int_equal(kit_subscribe(kit, FORMAT_SSE, "A", MODE_EVERY).seq, 100);
    assert_true(kit_topic_in(kit, "A", FORMAT_SSE)->log.ends.tail.seq > tail);
    assert_same(kit, "A", FORMAT_SSE);
    assert_string_equal(kit_sent(kit, FORMAT_SSE), "A 100");
    kit_free(kit);
}

static void count_covered(void *context, const struct subscribe_ask *ask, const struct subscribe_reply *reply)
{
    assert_true(reply->born && ask->topic.size > 0);
    ++*(uint32_t *)context;
}

static void without_memory_for_a_log_its_reader_is_refused_and_nothing_is_left_of_it(void **state)
{
    struct kit *kit = make(&(struct kit_settings){ .log_bytes_max = 20 * 1024 });
    kit_publish_bytes(kit, "A", 15000);
    struct subscribe_ask ask = { .topic = SPAN_LITERAL("A"), .snapshot = true };
    struct subscribe_reply reply;
    uint64_t used = home_of(kit)->store.bytes_used;
    assert_int_equal(engine_subscribe(&kit->engine, FORMAT_SSE, &ask, &reply), SUBSCRIBE_TOPICS_FULL);
    assert_int_equal(home_of(kit)->store.bytes_used, used);
    assert_int_equal(home_of(kit)->topics.used, 1);
    assert_int_equal(kit->engine.locals.topics.used, 0);
    assert_int_equal(kit_subscribe(kit, FORMAT_JSON, "A", MODE_EVERY).seq, 1);
    /* A pattern's other topics are covered all the same. */
    kit_publish(kit, "A0", "1");
    kit_publish(kit, "B", "1");
    struct pattern_ask pattern = { SPAN_LITERAL("*"), MODE_EVERY, true, 0 };
    bool again;
    assert_true(engine_subscribe_pattern(&kit->engine, FORMAT_SSE, &pattern, &again));
    uint32_t covered = 0;
    struct pattern_cover cover = { &covered, NULL, count_covered };
    assert_int_equal(engine_cover(&kit->engine, FORMAT_SSE, pattern.pattern, &cover), SUBSCRIBE_DONE);
    assert_int_equal(covered, 2);
    assert_int_equal(counter_read(&kit->counters, COUNTER_BIRTHS_NOT_COVERED), 1);
    assert_string_equal(kit_sent(kit, FORMAT_SSE), "A0 1, B 1");
    kit_free(kit);
}

/* Ages are those of the updates, not of the moment when the log was filled. */
static void what_is_filled_ages_as_what_it_was_filled_from(void **state)
{
    struct kit *kit = make(&(struct kit_settings){ .window = { .age_max_us = 60 * second } });
    for (int i = 0; i < 100; i++) kit_publish_bytes(kit, "A", 100);
    kit->clock.wall_us += 50 * second;
    kit->clock.mono_us += 50 * second;
    kit_publish(kit, "A", "1");
    kit_subscribe(kit, FORMAT_ARRAY, "A", MODE_EVERY);
    sweep(kit, 20 * second);
    for (enum wire_format format = FORMAT_JSON; format <= FORMAT_ARRAY; format++) {
        const struct ends *ends = &kit_topic_in(kit, "A", format)->log.ends;
        assert_true(ends->tail.seq > 1 && ends->tail.at.segment == ends->head.segment); /* but for the segment that holds the newest */
    }
    kit_free(kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_reader_of_a_format_fills_its_log_and_what_comes_goes_to_all),
        cmocka_unit_test(a_keyed_log_is_filled_with_its_keys),
        cmocka_unit_test(a_snapshot_whose_key_has_left_the_window_begins_with_a_gap_from_there),
        cmocka_unit_test(near_the_budget_each_log_gets_the_smallest_segment),
        cmocka_unit_test(resuming_goes_on_in_the_log_of_the_format),
        cmocka_unit_test(a_topic_followed_before_its_birth_is_born_in_every_format),
        cmocka_unit_test(a_pattern_covers_in_its_readers_format),
        cmocka_unit_test(deleting_ends_the_life_in_every_format),
        cmocka_unit_test(a_log_is_forgotten_a_minute_after_its_last_reader),
        cmocka_unit_test(a_shorter_ttl_counts_for_all_and_the_main_log_outlives_the_others),
        cmocka_unit_test(the_ttl_counts_from_the_last_reader_in_any_format),
        cmocka_unit_test(names_that_were_only_followed_make_room_again_in_every_format),
        cmocka_unit_test(the_limit_of_topics_counts_names_and_not_formats),
        cmocka_unit_test(without_memory_for_one_format_a_publish_is_busy_and_all_are_as_they_were),
        cmocka_unit_test(busy_and_done_in_turn_keep_all_formats_in_step),
        cmocka_unit_test(with_little_memory_a_log_is_filled_with_a_snapshot),
        cmocka_unit_test(without_memory_for_a_log_its_reader_is_refused_and_nothing_is_left_of_it),
        cmocka_unit_test(what_is_filled_ages_as_what_it_was_filled_from),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
