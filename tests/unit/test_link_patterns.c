/* Patterns that several shards follow: what covers what, while topics and patterns come and go on links of a few slots. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "tests/support/shards.h"

enum { SECOND_US = 1000000 };

static struct shards_plan plan_of(uint32_t count, uint32_t slots)
{
    return (struct shards_plan){
        .count = count,
        .wires = { slots, slots, slots < 64 ? 1024 : 65536 },
        .home = { .topics_max = SHARDS_TOPICS_MAX, .patterns_max = 64, .log_bytes_max = 1 << 20, .topic_ttl_us = 3600 * (uint64_t)SECOND_US, .window = { 100, 16384, 3600 * (uint64_t)SECOND_US } },
        .topics_known = SHARDS_TOPICS_MAX,
        .payload_bytes_max = 200,
    };
}

static struct shards *make(uint32_t count, uint32_t slots)
{
    struct shards_plan plan = plan_of(count, slots);
    return shards_make(&plan, 7);
}

static void settle(struct shards *shards)
{
    shards_settle(shards);
    shards_check(shards);
    if (fault_found(&shards->fault)) fail_msg("%s", shards->fault.text);
}

struct counted {
    uint32_t count, most;
};

static bool count_one(void *context, struct span topic)
{
    struct counted *counted = context;
    (void)topic;
    return ++counted->count < counted->most;
}

/* How many topics a visit meets that stops after so many. */
static uint32_t count_matches(struct engine *engine, struct span pattern, uint32_t most)
{
    struct counted counted = { 0, most };
    engine_visit_matches(engine, pattern, count_one, &counted);
    return counted.count;
}

static struct seen *seen_by(struct shards *shards, uint32_t shard, uint32_t reader, uint32_t topic)
{
    return &shards_reader_at(shards, shard, reader)->seen[topic];
}

static void a_pattern_covers_topics_of_all_shards_now_and_later(void **state)
{
    struct shards *shards = make(3, 16);
    uint32_t reader = shards_open(shards, 0);
    uint32_t topics[3][2];
    for (uint32_t home = 0; home < 3; home++)
        for (uint32_t n = 0; n < 2; n++) topics[home][n] = shards_topic_of(shards, home, n);
    for (uint32_t home = 0; home < 3; home++) shards_publish(shards, home, topics[home][0], false);
    assert_int_equal(shards_subscribe_pattern(shards, 0, reader, ">", true, true), LINK_SENT);
    settle(shards);
    assert_int_equal(shards->shards[0].acks, 1);
    for (uint32_t home = 0; home < 3; home++) assert_int_equal(seen_by(shards, 0, reader, topics[home][0])->updates, 1);
    for (uint32_t home = 0; home < 3; home++) {
        shards_publish(shards, (home + 1) % 3, topics[home][1], false);
        shards_publish(shards, home, topics[home][1], false);
    }
    settle(shards);
    for (uint32_t home = 0; home < 3; home++) assert_int_equal(seen_by(shards, 0, reader, topics[home][1])->updates, 2);
    /* A second one finds all of it there. */
    uint32_t other = shards_open(shards, 0);
    assert_int_equal(shards_subscribe_pattern(shards, 0, other, ">", true, false), LINK_DONE);
    settle(shards);
    assert_int_equal(count_matches(&shards->shards[0].engine, SPAN_LITERAL(">"), 100), 6);
    assert_int_equal(count_matches(&shards->shards[0].engine, SPAN_LITERAL(">"), 4), 4);
    /* Dead and born anew: covered as before. */
    shards_delete(shards, 2, topics[2][1]);
    settle(shards);
    shards_publish(shards, 1, topics[2][1], false);
    settle(shards);
    assert_int_equal(seen_by(shards, 0, other, topics[2][1])->updates, 1);
    shards_unsubscribe_pattern(shards, 0, reader, ">");
    shards_unsubscribe_pattern(shards, 0, other, ">");
    for (int i = 0; i < 4; i++) shards_pass(shards, SECOND_US), settle(shards);
    assert_int_equal(shards->shards[0].engine.patterns.pool.used, 0);
    assert_int_equal(shards->shards[0].engine.locals.topics.used, 0);
    for (uint32_t home = 0; home < 3; home++) assert_int_equal(shards->shards[home].engine.home.pattern_shards.used, 0);
    shards_free(shards);
}

static void a_birth_between_is_covered_once(void **state)
{
    /* Born while the pattern is on its way, at every possible moment. */
    for (int moment = 0; moment < 12; moment++) {
        struct shards *shards = make(2, 4);
        uint32_t reader = shards_open(shards, 0), other = shards_open(shards, 0), topic = shards_topic_of(shards, 1, 0);
        shards_subscribe_pattern(shards, 0, reader, ">", true, true);
        for (int turn = 0; turn < 12; turn++) {
            if (turn == moment) {
                shards_publish(shards, 1, topic, false);
                shards_publish(shards, 1, topic, false);
            }
            if (turn == moment + 2) shards_subscribe_pattern(shards, 0, other, "*.*", true, false);
            shards_turn(shards, (uint32_t)turn % 2);
        }
        settle(shards);
        assert_int_equal(seen_by(shards, 0, reader, topic)->seq, 2);
        shards_free(shards);
    }
}

/* A client that came from a faster shard was told nothing of its resume, and got again from the first on what it had read. */
static void a_resume_of_a_topic_whose_birth_was_not_told_yet_waits_for_what_it_has(void **state)
{
    struct shards *shards = make(3, 16);
    uint32_t topic = shards_topic_of(shards, 1, 0), fast = shards_open(shards, 0), slow = shards_open(shards, 2), home = 0;
    struct span name = shards_name(shards, topic);
    const struct engine *engine = &shards->shards[2].engine;
    shards_subscribe_pattern(shards, 0, fast, ">", true, true);
    shards_subscribe_pattern(shards, 2, slow, ">", true, true);
    settle(shards);
    for (int i = 0; i < 3; i++) shards_publish(shards, 1, topic, false);
    struct span epoch = span_of(shards_topic_at_home(shards, topic)->epoch, EPOCH_BYTES);
    for (int i = 0; i < 4; i++) shards_turn(shards, 1), shards_turn(shards, 0);
    assert_int_equal(seen_by(shards, 0, fast, topic)->seq, 3);
    assert_int_equal(engine_resume_news(engine, name, FORMAT_JSON, epoch, 3, &home), RESUME_DOUBTED);
    assert_int_equal(home, 1);
    shards_receive(shards, 2);
    assert_int_equal(engine_resume_news(engine, name, FORMAT_JSON, epoch, 3, &home), RESUME_AWAITS);
    settle(shards);
    assert_int_equal(engine_resume_news(engine, name, FORMAT_JSON, epoch, 3, &home), RESUME_TOLD);
    shards_free(shards);
}

static void a_pattern_that_comes_back_while_it_is_let_go_keeps_all(void **state)
{
    struct shards *shards = make(3, 4);
    uint32_t reader = shards_open(shards, 0);
    for (uint32_t topic = 0; topic < SHARDS_TOPICS_MAX; topic++) shards_publish(shards, shards_home_of(shards, topic), topic, false);
    for (int round = 0; round < 8; round++) {
        shards_subscribe_pattern(shards, 0, reader, "a.*", true, true);
        settle(shards);
        shards_unsubscribe_pattern(shards, 0, reader, "a.*");
        shards_pass(shards, SECOND_US + SECOND_US / 2);
        engine_tick(&shards->shards[0].engine); /* it is being let go, and some homes know */
        if (round % 2) engine_tell(&shards->shards[0].engine);
        if (round % 3 == 0) shards_turn(shards, 1);
    }
    shards_subscribe_pattern(shards, 0, reader, "a.*", true, true);
    settle(shards);
    shards_free(shards);
}

static void a_pattern_refused_as_it_comes_back_is_not_refused_for_ever(void **state)
{
    struct shards_plan plan = plan_of(2, 16);
    plan.home.patterns_max = 1;
    struct shards *shards = shards_make(&plan, 7);
    uint32_t here = shards_open(shards, 0), there = shards_open(shards, 1);
    shards_subscribe_pattern(shards, 0, here, "a.*", true, true);
    settle(shards);
    shards_unsubscribe_pattern(shards, 0, here, "a.*");
    shards_pass(shards, 2 * SECOND_US);
    engine_tick(&shards->shards[0].engine); /* it is let go, and the other home not told yet */
    assert_int_equal(shards_subscribe_pattern(shards, 1, there, "b.*", true, true), LINK_SENT);
    engine_tell(&shards->shards[1].engine);
    engine_receive(&shards->shards[0].engine); /* another one takes its place at home */
    assert_int_equal(shards_subscribe_pattern(shards, 0, here, "a.*", true, true), LINK_REFUSED);
    for (int i = 0; i < 4; i++) shards_pass(shards, SECOND_US), settle(shards);
    assert_int_equal(shards->shards[0].engine.patterns.pool.used, 0);
    assert_int_equal(shards_subscribe_pattern(shards, 0, here, "a.*", true, true), LINK_SENT);
    settle(shards);
    assert_string_equal(shards_reader_at(shards, 0, here)->patterns[0].text, "a.*");
    shards_free(shards);
}

static void a_topic_that_is_being_let_go_is_kept_for_a_pattern_that_covers_it(void **state)
{
    struct shards *shards = make(2, 4);
    uint32_t reader = shards_open(shards, 0), topics[3];
    for (uint32_t i = 0; i < 3; i++) shards_publish(shards, 1, topics[i] = shards_topic_of(shards, 1, i), false);
    for (uint32_t i = 0; i < 3; i++) shards_subscribe(shards, 0, reader, topics[i], true, true);
    settle(shards);
    for (uint32_t i = 0; i < 3; i++) shards_unsubscribe(shards, 0, reader, topics[i]);
    shards_delete(shards, 1, topics[2]); /* not told yet */
    shards_pass(shards, 2 * SECOND_US);
    engine_tick(&shards->shards[0].engine);
    char pattern[32];
    snprintf(pattern, sizeof pattern, "*.%s", shards->names[topics[2]] + 2);
    assert_int_equal(shards_publish(shards, 0, topics[0], false), LINK_SENT);
    assert_int_equal(shards_subscribe_pattern(shards, 0, reader, pattern, true, true), LINK_SENT);
    engine_tell(&shards->shards[0].engine); /* the end of the third has no room behind these two and the ends of the others */
    engine_receive(&shards->shards[1].engine);
    engine_tell(&shards->shards[1].engine); /* its death has no room either */
    engine_receive(&shards->shards[0].engine);
    assert_true(engine_follows(&shards->shards[0].engine, reader, shards_name(shards, topics[2])));
    settle(shards);
    shards_publish(shards, 1, topics[2], false);
    settle(shards);
    assert_int_equal(seen_by(shards, 0, reader, topics[2])->lives, 1);
    shards_free(shards);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pattern_covers_topics_of_all_shards_now_and_later),
        cmocka_unit_test(a_birth_between_is_covered_once),
        cmocka_unit_test(a_resume_of_a_topic_whose_birth_was_not_told_yet_waits_for_what_it_has),
        cmocka_unit_test(a_pattern_that_comes_back_while_it_is_let_go_keeps_all),
        cmocka_unit_test(a_pattern_refused_as_it_comes_back_is_not_refused_for_ever),
        cmocka_unit_test(a_topic_that_is_being_let_go_is_kept_for_a_pattern_that_covers_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
