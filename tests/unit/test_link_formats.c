/* Formats between two shards: what a subscriber is told comes from whichever format is known first, and what it is sent from its own;
 * in whatever order notices, births and refusals come. Shard 0 reads, shard 1 is home. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/pubsub/following.h"
#include "core/pubsub/interests.h"
#include "tests/support/kit.h"
#include "tests/support/pair.h"

static void publish_bytes(struct pair *pair, uint32_t topic, size_t bytes)
{
    char *data = malloc(bytes);
    assert_non_null(data);
    memset(data, '7', bytes);
    struct publish_ask ask = { .topic = pair_name(pair, topic), .data = span_of(data, bytes) };
    struct publish_reply reply = { 0 };
    assert_int_equal(engine_publish(&pair->sides[1].engine, &ask, TICKET_NONE, &reply), LINK_DONE);
    assert_int_equal(reply.verdict, PUBLISH_DONE);
    free(data);
}

static void publish(struct pair *pair, uint32_t topic, uint32_t count)
{
    while (count-- > 0) publish_bytes(pair, topic, 50);
}

static void delete(struct pair *pair, uint32_t topic)
{
    struct delete_ask ask = { .topic = pair_name(pair, topic) };
    struct delete_reply reply;
    assert_int_equal(engine_delete(&pair->sides[1].engine, &ask, TICKET_NONE, &reply), LINK_DONE);
    assert_true(reply.found);
}

static void reads(struct pair *pair, uint32_t reader, enum wire_format format)
{
    ((struct subscriber *)pool_at(&pair->sides[0].readers, reader))->format = format;
}

static enum link_result prepare(struct pair *pair, uint32_t topic, enum wire_format format)
{
    return engine_prepare(&pair->sides[0].engine, pair_name(pair, topic), format, 7);
}

/* Prepared or live already. */
static struct subscribe_reply subscribe_now(struct pair *pair, uint32_t reader, uint32_t topic, enum mode mode)
{
    const struct subscriber *subscriber = pool_at(&pair->sides[0].readers, reader);
    assert_int_equal(prepare(pair, topic, subscriber->format), LINK_DONE);
    struct subscribe_ask ask = { .topic = pair_name(pair, topic), .mode = mode, .snapshot = true };
    struct subscribe_reply reply;
    assert_int_equal(engine_subscribe(&pair->sides[0].engine, reader, &ask, &reply), SUBSCRIBE_DONE);
    return reply;
}

static struct subscribe_reply subscribe(struct pair *pair, uint32_t reader, uint32_t topic, enum mode mode)
{
    const struct subscriber *subscriber = pool_at(&pair->sides[0].readers, reader);
    for (int i = 0; i < 10 && prepare(pair, topic, subscriber->format) == LINK_SENT; i++) pair_turn(pair, 0), pair_turn(pair, 1), pair_turn(pair, 0);
    return subscribe_now(pair, reader, topic, mode);
}

/* Follows a pattern that is live here already, or becomes so; what is covered at once stands in pair->covered: "t3 at 5;". */
static void say_covered(void *context, const struct subscribe_ask *ask, const struct subscribe_reply *reply)
{
    assert_true(reply->born && reply->seq > 0);
    text_print(context, "%.*s at %llu;", (int)ask->topic.size, ask->topic.bytes, (unsigned long long)reply->seq);
}

static const char *follow(struct pair *pair, uint32_t reader, const char *text)
{
    struct engine *engine = &pair->sides[0].engine;
    struct pattern_ask ask = { span_of_string(text), MODE_EVERY, true, 0 };
    bool again;
    if (engine_prepare_pattern(engine, ask.pattern, 8) == LINK_SENT) pair_settle(pair);
    assert_int_equal(engine_prepare_pattern(engine, ask.pattern, 8), LINK_DONE);
    assert_true(engine_subscribe_pattern(engine, reader, &ask, &again));
    pair->covered.size = 0;
    assert_int_equal(engine_cover(engine, reader, ask.pattern, &(struct pattern_cover){ &pair->covered, NULL, say_covered }), SUBSCRIBE_DONE);
    text_add_char(&pair->covered, '\0');
    return pair->covered.bytes;
}

/* What it is sent, with the one topic's name as T. */
static const char *sent(struct pair *pair, uint32_t reader, uint32_t topic)
{
    char *line = (char *)(uintptr_t)kit_send_all(&pair->sides[0].engine, reader, &pair->line);
    size_t size = strlen(pair->names[topic]);
    static char short_line[1000];
    if (strncmp(line, pair->names[topic], size) == 0) {
        snprintf(short_line, sizeof short_line, "T%s", line + size);
        return short_line;
    }
    return line;
}

static uint32_t told_first(struct pair *pair)
{
    return pair->sides[1].engine.home.to_tell[0].first;
}

/* ---- subscribing ----------------------------------------------------------------------------------------------------- */

static void one_in_another_format_is_told_by_json_and_sent_its_own(void **state)
{
    for (enum wire_format format = FORMAT_ARRAY; format < FORMATS_COUNT; format++) {
        struct pair *pair = pair_make(16, 1 << 20, 100);
        publish(pair, 0, 5);
        reads(pair, 0, format);
        assert_int_equal(prepare(pair, 0, format), LINK_SENT);
        pair_settle(pair);
        assert_int_equal(pair->sides[0].lives, 1);
        assert_null(pair_local(pair, 0, format)); /* nobody reads it yet */
        struct subscribe_reply reply = subscribe_now(pair, 0, 0, MODE_EVERY);
        assert_true(reply.born && reply.seq == 5);
        assert_memory_equal(reply.epoch, pair_topic(pair, 0, FORMAT_JSON)->epoch, EPOCH_BYTES);
        assert_string_equal(sent(pair, 0, 0), ""); /* its own format is to come */
        publish(pair, 0, 2);
        pair_settle(pair);
        assert_string_equal(sent(pair, 0, 0), "T 5 6 7");
        publish(pair, 0, 1);
        pair_settle(pair);
        assert_string_equal(sent(pair, 0, 0), "T 8");
        pair_end(pair);
    }
}

/* The home moves on while the interest is under way, as far as the window and farther. */
static void what_comes_before_its_format_is_live_is_neither_lost_nor_double(void **state)
{
    static const struct {
        uint32_t    before, between;
        enum mode   mode;
        const char *sent;
    } facts[] = {
        { 1, 0, MODE_EVERY, "T 1" }, { 3, 4, MODE_EVERY, "T 3 4 5 6 7" }, { 3, 4, MODE_LATEST, "T 3 4 5 6 7" }, { 0, 2, MODE_EVERY, "T born 1 2" },
        { 0, 0, MODE_EVERY, "" },
    };
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        struct pair *pair = pair_make(16, 1 << 20, 100);
        publish(pair, 0, facts[i].before);
        reads(pair, 0, FORMAT_RAW);
        assert_int_equal(subscribe(pair, 0, 0, facts[i].mode).seq, facts[i].before);
        publish(pair, 0, facts[i].between);
        pair_settle(pair);
        assert_string_equal(sent(pair, 0, 0), facts[i].sent);
        pair_end(pair);
    }
    struct pair *pair = pair_make(16, 1 << 20, 100); /* outrun meanwhile */
    publish(pair, 0, 10);
    reads(pair, 0, FORMAT_ARRAY);
    subscribe(pair, 0, 0, MODE_EVERY);
    for (int i = 0; i < 50; i++) {
        publish(pair, 0, 20);
        engine_trim(&pair->sides[1].engine);
    }
    pair_settle(pair);
    uint64_t tail = pair_topic(pair, 0, FORMAT_ARRAY)->log.ends.tail.seq;
    char expected[50];
    snprintf(expected, sizeof expected, "T gap 10-%llu %llu ", (unsigned long long)tail - 1, (unsigned long long)tail);
    assert_true(strncmp(sent(pair, 0, 0), expected, strlen(expected)) == 0);
    pair_end(pair);
}

/* Nobody here follows it in JSON any more, and that interest has ended. */
static void a_format_that_is_live_suffices_without_json(void **state)
{
    struct pair *pair = pair_make(16, 1 << 20, 100);
    publish(pair, 0, 3);
    reads(pair, 0, FORMAT_SSE);
    reads(pair, 1, FORMAT_SSE);
    subscribe(pair, 0, 0, MODE_EVERY);
    for (int i = 0; i < 4; i++) pair_pass(pair, SECOND_US + 1);
    assert_null(pair_local(pair, 0, FORMAT_JSON));
    publish(pair, 0, 1);
    pair_settle(pair);
    assert_string_equal(sent(pair, 0, 0), "T 3 4");
    assert_int_equal(subscribe_now(pair, 1, 0, MODE_EVERY).seq, 4);
    assert_string_equal(sent(pair, 1, 0), "T 4");
    pair_end(pair);
}

static void leaving_before_its_format_is_live_leaves_nothing(void **state)
{
    struct pair *pair = pair_make(4, 1 << 20, 100);
    for (uint32_t i = 0; i < 30; i++) {
        publish(pair, i % PAIR_TOPICS, 1);
        reads(pair, 0, 1 + i % 3);
        subscribe(pair, 0, i % PAIR_TOPICS, MODE_EVERY);
        if (i % 3) pair_turn(pair, 0);
        if (i % 4 == 0) pair_turn(pair, 1);
        engine_unsubscribe(&pair->sides[0].engine, 0, pair_name(pair, i % PAIR_TOPICS));
        if (i % 5 == 0) pair_pass(pair, SECOND_US + 1);
    }
    pair_end(pair);
}

/* ---- lives ----------------------------------------------------------------------------------------------------------- */

static void a_new_life_between_the_ack_and_the_first_notice_is_told(void **state)
{
    struct pair *pair = pair_make(16, 1 << 20, 100);
    publish(pair, 0, 5);
    reads(pair, 0, FORMAT_ARRAY);
    reads(pair, 1, FORMAT_ARRAY);
    assert_int_equal(subscribe(pair, 0, 0, MODE_EVERY).seq, 5);
    delete(pair, 0);
    publish(pair, 0, 2);
    /* JSON's notice comes first: the next one is told of the new life by it. */
    engine_tell(&pair->sides[1].engine);
    engine_receive(&pair->sides[0].engine);
    assert_int_equal(pair_local(pair, 0, FORMAT_ARRAY)->state == LOCAL_LIVE, false);
    struct subscribe_reply reply = subscribe_now(pair, 1, 0, MODE_EVERY);
    assert_int_equal(reply.seq, 2);
    assert_memory_equal(reply.epoch, pair_topic(pair, 0, FORMAT_JSON)->epoch, EPOCH_BYTES);
    publish(pair, 0, 1);
    pair_settle(pair);
    assert_string_equal(sent(pair, 0, 0), "T born 1 2 3");
    assert_string_equal(sent(pair, 1, 0), "T 2 3");
    pair_end(pair);
}

static void a_death_between_the_ack_and_the_first_notice_waits_for_the_next_life(void **state)
{
    struct pair *pair = pair_make(16, 1 << 20, 100);
    publish(pair, 0, 5);
    reads(pair, 0, FORMAT_SSE);
    assert_int_equal(subscribe(pair, 0, 0, MODE_EVERY).seq, 5);
    delete(pair, 0);
    pair_settle(pair);
    assert_string_equal(sent(pair, 0, 0), "");
    publish(pair, 0, 2);
    pair_settle(pair);
    assert_string_equal(sent(pair, 0, 0), "T born 1 2");
    pair_end(pair);
}

/* Fills the tells with news of another topic, so that home has no room for others until shard 0 receives. Needs queues of 4 slots and a
 * follower of topic 3 in JSON. */
static void fill_tells(struct pair *pair)
{
    for (int i = 0; i < 4; i++) {
        publish(pair, 3, 1);
        engine_tell(&pair->sides[1].engine);
    }
    assert_int_equal(spsc_fits(&pair->sides[1].engine.links[0].told, pair->sides[1].engine.links[0].reserved + 1), false);
}

/* Home hears the interest in a format when it has no room to answer, and deletes then: so the format's notice comes before JSON's. */
static void the_format_may_be_told_of_a_new_life_first(void **state)
{
    struct pair *pair = pair_make(4, 1 << 20, 100);
    subscribe(pair, 3, 3, MODE_LATEST);
    publish(pair, 0, 5);
    reads(pair, 0, FORMAT_ARRAY);
    reads(pair, 1, FORMAT_ARRAY);
    assert_int_equal(subscribe(pair, 0, 0, MODE_EVERY).seq, 5);
    fill_tells(pair);
    engine_tell(&pair->sides[0].engine);
    engine_receive(&pair->sides[1].engine);
    delete(pair, 0);
    publish(pair, 0, 2);
    bool told_apart = false;
    for (int i = 0; i < 20; i++) {
        engine_receive(&pair->sides[0].engine);
        const struct local_topic *json = pair_local(pair, 0, FORMAT_JSON), *array = pair_local(pair, 0, FORMAT_ARRAY);
        if (!told_apart && array->state == LOCAL_LIVE && json->ends.last.seq == 5) {
            told_apart = true;
            assert_int_equal(subscribe_now(pair, 1, 0, MODE_EVERY).seq, 2);
        }
        engine_tell(&pair->sides[0].engine);
        engine_receive(&pair->sides[1].engine);
        engine_tell(&pair->sides[1].engine);
    }
    assert_true(told_apart);
    pair_settle(pair);
    assert_string_equal(sent(pair, 0, 0), "T born 1 2");
    assert_string_equal(sent(pair, 1, 0), "T 2");
    pair_end(pair);
}

/* ---- patterns -------------------------------------------------------------------------------------------------------- */

static void a_birth_under_a_pattern_is_told_and_sent_in_its_readers_format(void **state)
{
    struct pair *pair = pair_make(16, 1 << 20, 100);
    reads(pair, 0, FORMAT_ARRAY);
    reads(pair, 1, FORMAT_RAW);
    publish(pair, 0, 3);
    char expected[40];
    snprintf(expected, sizeof expected, "%s at 3;", pair->names[0]);
    assert_string_equal(follow(pair, 0, "*"), expected);
    assert_string_equal(follow(pair, 1, "*"), expected);
    assert_string_equal(follow(pair, 2, "*"), expected);
    pair_settle(pair);
    for (uint32_t reader = 0; reader < 3; reader++) assert_string_equal(sent(pair, reader, 0), "T 3");
    publish(pair, 1, 2);
    pair_settle(pair);
    publish(pair, 1, 1);
    pair_settle(pair);
    for (uint32_t reader = 0; reader < 3; reader++) assert_string_equal(sent(pair, reader, 1), "T born 1 2 3");
    delete(pair, 1);
    publish(pair, 1, 1);
    pair_settle(pair);
    for (uint32_t reader = 0; reader < 3; reader++) assert_string_equal(sent(pair, reader, 1), "T born 1");
    pair_end(pair);
}

/* The array's first notice is of the new life and comes before its birth is told. Those whom a pattern covers at the birth, and one who
 * comes between the birth and JSON's notice, are told op:topic all the same. They were not. */
static void a_birth_that_the_format_was_told_of_before_is_told_to_the_patterns_followers(void **state)
{
    struct pair *pair = pair_make(4, 1 << 20, 100);
    reads(pair, 0, FORMAT_ARRAY);
    reads(pair, 1, FORMAT_ARRAY);
    reads(pair, 2, FORMAT_ARRAY);
    subscribe(pair, 3, 3, MODE_LATEST);
    publish(pair, 3, 1);
    pair_settle(pair);
    follow(pair, 1, "*");
    assert_false(subscribe(pair, 0, 0, MODE_EVERY).born);
    fill_tells(pair);
    engine_tell(&pair->sides[0].engine); /* asks for the array */
    engine_receive(&pair->sides[1].engine);
    assert_ptr_equal(pool_at(&pair->sides[1].engine.home.topics, told_first(pair)), pair_topic(pair, 3, FORMAT_JSON));
    publish(pair, 0, 2); /* the birth is to be told behind the array's notice */
    bool between = false;
    for (int i = 0; i < 20; i++) {
        engine_receive(&pair->sides[0].engine);
        const struct local_topic *json = pair_local(pair, 0, FORMAT_JSON), *array = pair_local(pair, 0, FORMAT_ARRAY);
        if (!between && local_topic_born(array) && json->newborn) {
            between = true;
            assert_null(strstr(follow(pair, 2, "*"), pair->names[0])); /* not covered as if it had been there: its birth comes */
        }
        engine_tell(&pair->sides[0].engine);
        engine_receive(&pair->sides[1].engine);
        engine_tell(&pair->sides[1].engine);
    }
    assert_true(between);
    pair_settle(pair);
    assert_string_equal(sent(pair, 0, 0), "T born 1 2");
    char expected[40];
    snprintf(expected, sizeof expected, "%s born 1 2", pair->names[0]);
    assert_non_null(strstr(kit_send_all(&pair->sides[0].engine, 1, &pair->line), expected));
    assert_non_null(strstr(kit_send_all(&pair->sides[0].engine, 2, &pair->line), expected));
    pair_end(pair);
}

/* JSON's notice of the birth has come, the array's not yet: it was covered with an epoch of no bytes. */
static void what_its_format_does_not_know_to_be_born_is_not_covered_yet(void **state)
{
    struct pair *pair = pair_make(4, 1 << 20, 100);
    reads(pair, 0, FORMAT_ARRAY);
    reads(pair, 1, FORMAT_ARRAY);
    follow(pair, 2, "*");
    assert_false(subscribe(pair, 0, 0, MODE_EVERY).born);
    pair_settle(pair);
    assert_int_equal(pair_local(pair, 0, FORMAT_ARRAY)->state, LOCAL_LIVE);
    publish(pair, 0, 2);
    bool between = false;
    for (int i = 0; i < 20; i++) {
        engine_tell(&pair->sides[1].engine);
        engine_receive(&pair->sides[0].engine);
        if (!between && local_topic_born(pair_local(pair, 0, FORMAT_JSON)) && !local_topic_born(pair_local(pair, 0, FORMAT_ARRAY))) {
            between = true;
            assert_string_equal(follow(pair, 1, "*"), "");
        }
        engine_tell(&pair->sides[0].engine);
        engine_receive(&pair->sides[1].engine);
    }
    assert_true(between);
    pair_settle(pair);
    for (uint32_t reader = 0; reader < 3; reader++) assert_string_equal(sent(pair, reader, 0), "T born 1 2");
    pair_end(pair);
}

/* ---- refusals and memory --------------------------------------------------------------------------------------------- */

static void a_refused_format_is_asked_for_anew_each_second(void **state)
{
    struct pair *pair = pair_make(16, 20 * 1024, 100);
    publish_bytes(pair, 0, 15000);
    reads(pair, 0, FORMAT_ARRAY);
    reads(pair, 1, FORMAT_ARRAY);
    assert_int_equal(subscribe(pair, 0, 0, MODE_EVERY).seq, 1);
    pair_settle(pair);
    assert_int_equal(pair_local(pair, 0, FORMAT_ARRAY)->state, LOCAL_REFUSED);
    assert_int_equal(subscribe(pair, 1, 0, MODE_EVERY).seq, 1); /* likewise acked, and waits */
    for (int i = 0; i < 3; i++) {
        pair_pass(pair, SECOND_US + 1);
        assert_string_equal(sent(pair, 0, 0), "");
    }
    assert_in_range(counter_read(&pair->sides[1].counters, COUNTER_FORMATS_REFUSED), 3, 4); /* once a second, however many wait */
    engine_unsubscribe(&pair->sides[0].engine, 1, pair_name(pair, 0));
    delete(pair, 0);
    publish(pair, 0, 2);
    pair_pass(pair, SECOND_US + 1);
    pair_pass(pair, SECOND_US + 1);
    assert_int_equal(pair_local(pair, 0, FORMAT_ARRAY)->state, LOCAL_LIVE);
    assert_string_equal(sent(pair, 0, 0), "T born 1 2");
    pair_end(pair);
}

static void a_refused_format_that_nobody_wants_any_more_is_let_go(void **state)
{
    struct pair *pair = pair_make(16, 20 * 1024, 100);
    publish_bytes(pair, 0, 15000);
    reads(pair, 0, FORMAT_ARRAY);
    subscribe(pair, 0, 0, MODE_EVERY);
    pair_settle(pair);
    engine_unsubscribe(&pair->sides[0].engine, 0, pair_name(pair, 0));
    for (int i = 0; i < 4; i++) pair_pass(pair, SECOND_US + 1);
    assert_null(pair_local(pair, 0, FORMAT_ARRAY));
    pair_end(pair);
}

static void loans_of_all_formats_come_back_as_the_window_moves_on(void **state)
{
    struct pair *pair = pair_make(4, 2 << 20, 100);
    for (uint32_t reader = 0; reader < PAIR_READERS; reader++) {
        reads(pair, reader, reader);
        subscribe(pair, reader, 0, MODE_EVERY);
    }
    for (int i = 0; i < 3000; i++) {
        publish_bytes(pair, 0, 1 + (size_t)i * 7 % 300);
        if (i % 7 == 0) pair_turn(pair, 1), pair_turn(pair, 0);
        if (i % 100 == 0)
            for (uint32_t reader = 0; reader < PAIR_READERS; reader++) sent(pair, reader, 0);
    }
    pair_settle(pair);
    assert_int_equal(pair->sides[1].engine.home.on_loan_bytes, 0);
    assert_true(counter_read(&pair->sides[1].counters, COUNTER_SEGMENTS_TRIMMED) > FORMATS_COUNT);
    uint64_t held = 0;
    for (enum wire_format format = 0; format < FORMATS_COUNT; format++) {
        assert_int_equal(pair_local(pair, 0, format)->chain.count, pair_topic(pair, 0, format)->log.chain.count);
        assert_int_equal(pair_local(pair, 0, format)->ends.last.seq, 3000);
        assert_int_equal(pair_topic(pair, 0, format)->log.chain.number, pair_topic(pair, 0, format)->log.ends.tail.at.segment);
        held += pair_local(pair, 0, format)->chain.count;
    }
    assert_int_equal(counter_read(&pair->sides[0].counters, COUNTER_LOANS), held);
    pair_end(pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_in_another_format_is_told_by_json_and_sent_its_own),
        cmocka_unit_test(what_comes_before_its_format_is_live_is_neither_lost_nor_double),
        cmocka_unit_test(a_format_that_is_live_suffices_without_json),
        cmocka_unit_test(leaving_before_its_format_is_live_leaves_nothing),
        cmocka_unit_test(a_new_life_between_the_ack_and_the_first_notice_is_told),
        cmocka_unit_test(a_death_between_the_ack_and_the_first_notice_waits_for_the_next_life),
        cmocka_unit_test(the_format_may_be_told_of_a_new_life_first),
        cmocka_unit_test(a_birth_under_a_pattern_is_told_and_sent_in_its_readers_format),
        cmocka_unit_test(a_birth_that_the_format_was_told_of_before_is_told_to_the_patterns_followers),
        cmocka_unit_test(what_its_format_does_not_know_to_be_born_is_not_covered_yet),
        cmocka_unit_test(a_refused_format_is_asked_for_anew_each_second),
        cmocka_unit_test(a_refused_format_that_nobody_wants_any_more_is_let_go),
        cmocka_unit_test(loans_of_all_formats_come_back_as_the_window_moves_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
