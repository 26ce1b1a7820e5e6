/* Links between shards: several engines in one thread, by queues of two slots and up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

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

static uint64_t counted(struct shards *shards, uint32_t shard, enum counter which)
{
    return counter_read(&shards->shards[shard].counters, which);
}

static struct seen *seen_by(struct shards *shards, uint32_t shard, uint32_t reader, uint32_t topic)
{
    return &shards_reader_at(shards, shard, reader)->seen[topic];
}

static void an_update_from_afar_is_acked_and_read_everywhere(void **state)
{
    struct shards *shards = make(3, 16);
    uint32_t topic = shards_topic_of(shards, 1, 0);
    uint32_t here = shards_open(shards, 0), home = shards_open(shards, 1), there = shards_open(shards, 2);
    assert_int_equal(shards_publish(shards, 0, topic, false), LINK_SENT);
    settle(shards);
    assert_int_equal(shards->shards[0].published, 1);
    assert_int_equal(shards->updates[0].seq, 1);

    assert_int_equal(shards_subscribe(shards, 0, here, topic, true, false), LINK_SENT);
    assert_int_equal(shards_subscribe(shards, 1, home, topic, true, true), LINK_DONE);
    assert_int_equal(shards_subscribe(shards, 2, there, topic, true, true), LINK_SENT);
    settle(shards);
    assert_int_equal(seen_by(shards, 0, here, topic)->seq, 1); /* by its ack */
    assert_int_equal(seen_by(shards, 0, here, topic)->updates, 0);
    assert_int_equal(seen_by(shards, 1, home, topic)->updates, 1);
    assert_int_equal(seen_by(shards, 2, there, topic)->updates, 1);

    for (int i = 0; i < 50; i++) {
        shards_publish(shards, (uint32_t)i % 3, topic, false);
        if (i % 5 == 0) shards_settle(shards);
    }
    settle(shards);
    assert_true(seen_by(shards, 0, here, topic)->updates > 40);
    shards_free(shards);
}

static void the_ack_is_exact_while_updates_are_under_way(void **state)
{
    struct shards *shards = make(2, 16);
    uint32_t topic = shards_topic_of(shards, 1, 0), reader = shards_open(shards, 0);
    for (int i = 0; i < 5; i++) shards_publish(shards, 1, topic, false);
    assert_int_equal(shards_subscribe(shards, 0, reader, topic, true, false), LINK_SENT);
    for (int i = 0; i < 40; i++) {
        shards_publish(shards, 1, topic, false);
        shards_turn(shards, (uint32_t)i % 3 == 0);
    }
    settle(shards); /* the judge sees every seq after the ack's, once */
    assert_int_equal(shards->shards[0].acks, 1);
    assert_true(seen_by(shards, 0, reader, topic)->updates > 10);
    shards_free(shards);
}

/* A client that came from a faster shard was told that nothing was resumed, and began anew with what it had read. */
static void a_resume_beyond_what_its_shard_was_told_is_doubted_until_its_home_is_heard(void **state)
{
    struct shards *shards = make(3, 16);
    uint32_t topic = shards_topic_of(shards, 1, 0), fast = shards_open(shards, 0), slow = shards_open(shards, 2), home = 0;
    struct span name = shards_name(shards, topic);
    const struct engine *engine = &shards->shards[2].engine;
    shards_publish(shards, 1, topic, false);
    shards_subscribe(shards, 0, fast, topic, true, true);
    shards_subscribe(shards, 2, slow, topic, true, true);
    settle(shards);
    struct span epoch = span_of(shards_topic_at_home(shards, topic)->epoch, EPOCH_BYTES);
    assert_int_equal(engine_resume_news(engine, name, FORMAT_JSON, epoch, 1, &home), RESUME_TOLD);
    for (int i = 0; i < 4; i++) shards_publish(shards, 1, topic, false);
    shards_turn(shards, 1);
    shards_turn(shards, 0);
    assert_int_equal(seen_by(shards, 0, fast, topic)->seq, 5);
    assert_int_equal(engine_resume_news(engine, name, FORMAT_JSON, epoch, 5, &home), RESUME_DOUBTED);
    assert_int_equal(home, 1);
    shards_receive(shards, 2);
    assert_int_equal(engine_resume_news(engine, name, FORMAT_JSON, epoch, 5, &home), RESUME_TOLD);
    assert_int_equal(engine_resume_news(engine, name, FORMAT_JSON, epoch, 6, &home), RESUME_DOUBTED);
    assert_int_equal(engine_resume_news(engine, name, FORMAT_JSON, SPAN_LITERAL("another1"), 1, &home), RESUME_DOUBTED);
    assert_int_equal(engine_resume_news(&shards->shards[1].engine, name, FORMAT_JSON, epoch, 6, &home), RESUME_TOLD); /* it knows */
    settle(shards);
    shards_free(shards);
}

/* Replies have slots of their own: one overtook the notices that waited for room, and a resume was still judged by what was told before. */
static void the_last_of_a_homes_news_comes_before_the_reply_that_says_so(void **state)
{
    enum { TOPICS = 4 };
    struct shards *shards = make(2, 2);
    const struct engine *engine = &shards->shards[0].engine;
    struct query_ask news = { .kind = QUERY_NEWS, .shard = 1 };
    uint32_t reader = shards_open(shards, 0), asked = 0, topics[TOPICS], home;
    for (uint32_t i = 0; i < TOPICS; i++) {
        topics[i] = shards_topic_of(shards, 1, i);
        shards_publish(shards, 1, topics[i], false);
        shards_subscribe(shards, 0, reader, topics[i], true, true);
        settle(shards);
    }
    for (uint32_t i = 0; i < TOPICS; i++) shards_publish(shards, 1, topics[i], false);
    shards_tell(shards, 1);
    do {
        assert_true(++asked <= TOPICS);
        assert_int_equal(shards_query(shards, 0, &news), LINK_SENT);
        shards_tell(shards, 0);
        shards_receive(shards, 1);
        shards_tell(shards, 1);
        shards_receive(shards, 0);
        assert_int_equal(shards->shards[0].answered, asked);
        shards_tell(shards, 1); /* the reply had taken the room; who asks again does so a little later */
        shards_receive(shards, 0);
    } while (shards->shards[0].last_more);
    assert_true(asked > 1);
    for (uint32_t i = 0; i < TOPICS; i++) {
        struct span epoch = span_of(shards_topic_at_home(shards, topics[i])->epoch, EPOCH_BYTES);
        assert_int_equal(engine_resume_news(engine, shards_name(shards, topics[i]), FORMAT_JSON, epoch, 2, &home), RESUME_TOLD);
    }
    settle(shards);
    shards_free(shards);
}

static void a_hot_topic_is_one_notice_a_turn(void **state)
{
    struct shards *shards = make(2, 64);
    uint32_t topic = shards_topic_of(shards, 1, 0), reader = shards_open(shards, 0);
    shards_subscribe(shards, 0, reader, topic, true, false);
    settle(shards);
    uint64_t before = counted(shards, 1, COUNTER_NOTICES_SENT);
    for (int turn = 0; turn < 10; turn++) {
        for (int i = 0; i < 9; i++) shards_publish(shards, 1, topic, false);
        shards_turn(shards, 1);
        shards_turn(shards, 0);
    }
    assert_int_equal(counted(shards, 1, COUNTER_NOTICES_SENT) - before, 10);
    settle(shards);
    assert_int_equal(seen_by(shards, 0, reader, topic)->updates, 90);
    shards_free(shards);
}

static void a_shard_without_interest_is_told_nothing(void **state)
{
    struct shards *shards = make(3, 64);
    uint32_t topic = shards_topic_of(shards, 1, 0), reader = shards_open(shards, 0);
    shards_subscribe(shards, 0, reader, topic, true, false);
    settle(shards);
    for (int i = 0; i < 20; i++) shards_publish(shards, 1, topic, false), shards_turn(shards, 1), shards_turn(shards, 0);
    settle(shards);
    assert_true(spsc_consumer(&wires_at(shards->wires, 2, 1)->tells).published_seen == 0);
    assert_int_equal(counted(shards, 2, COUNTER_INTERESTS), 0);
    assert_int_equal(counted(shards, 0, COUNTER_INTERESTS), 1);
    shards_free(shards);
}

static void loans_come_back_when_the_window_moves_on(void **state)
{
    struct shards *shards = make(2, 16);
    uint32_t topic = shards_topic_of(shards, 1, 0), reader = shards_open(shards, 0);
    shards_subscribe(shards, 0, reader, topic, true, false);
    for (int i = 0; i < 3000; i++) {
        shards_publish(shards, 1, topic, false);
        if (i % 7 == 0) shards_turn(shards, 1), shards_turn(shards, 0);
    }
    settle(shards); /* the judge compares the store with the windows */
    assert_true(shards->shards[1].engine.home.store.bytes_used < 64 * 1024);
    assert_int_equal(counted(shards, 0, COUNTER_LOANS), local_topic_at(&shards->shards[0].engine.locals, 0)->chain.count);
    shards_free(shards);
}

static void a_reader_that_is_long_away_holds_what_it_was_lent_and_no_more(void **state)
{
    struct shards *shards = make(2, 16);
    uint32_t topic = shards_topic_of(shards, 1, 0), reader = shards_open(shards, 0);
    shards_subscribe(shards, 0, reader, topic, true, false);
    shards_publish(shards, 1, topic, false);
    settle(shards);
    for (int i = 0; i < 2000; i++) { /* shard 0 does not turn */
        shards_publish(shards, 1, topic, false);
        if (i % 10 == 0) shards_turn(shards, 1);
    }
    assert_true(counted(shards, 1, COUNTER_NOTICES_POSTPONED) > 0);
    settle(shards); /* with gaps, each told */
    assert_true(seen_by(shards, 0, reader, topic)->gaps > 0);
    shards_free(shards);
}

static void interest_lingers_and_is_given_back(void **state)
{
    struct shards *shards = make(2, 16);
    uint32_t topic = shards_topic_of(shards, 1, 0), reader = shards_open(shards, 0);
    shards_publish(shards, 1, topic, false);
    shards_subscribe(shards, 0, reader, topic, true, true);
    settle(shards);
    shards_unsubscribe(shards, 0, reader, topic);
    shards_pass(shards, SECOND_US / 2);
    settle(shards);
    assert_int_equal(counted(shards, 0, COUNTER_INTERESTS), 1);
    assert_int_equal(shards_subscribe(shards, 0, reader, topic, true, true), LINK_DONE); /* still live */
    shards_unsubscribe(shards, 0, reader, topic);
    for (int i = 0; i < 3; i++) {
        shards_pass(shards, SECOND_US);
        settle(shards);
    }
    assert_int_equal(counted(shards, 0, COUNTER_INTERESTS), 0);
    assert_int_equal(counted(shards, 0, COUNTER_LOANS), 0);
    assert_int_equal(shards->shards[0].engine.locals.topics.used, 0);
    assert_int_equal(shards_subscribe(shards, 0, reader, topic, true, true), LINK_SENT);
    settle(shards);
    assert_int_equal(seen_by(shards, 0, reader, topic)->updates, 1);
    shards_free(shards);
}

static void notices_of_an_older_interest_are_not_touched(void **state)
{
    struct shards *shards = make(2, 16);
    uint32_t topic = shards_topic_of(shards, 1, 0), reader = shards_open(shards, 0);
    shards_publish(shards, 1, topic, false);
    shards_subscribe(shards, 0, reader, topic, true, true);
    settle(shards);
    shards_unsubscribe(shards, 0, reader, topic);
    shards_pass(shards, 2 * SECOND_US);
    for (int i = 0; i < 500; i++) { /* notices lie in the queue; their segments are trimmed as soon as the end is heard */
        shards_publish(shards, 1, topic, false);
        if (i % 50 == 0) engine_tell(&shards->shards[1].engine);
    }
    struct engine *engine = &shards->shards[0].engine;
    engine_tick(engine); /* the interest ends before those are heard, */
    engine_tell(engine);
    assert_int_equal(shards_subscribe(shards, 0, reader, topic, true, true), LINK_SENT); /* and begins anew */
    engine_tell(engine);
    for (int i = 0; i < 4; i++) shards_turn(shards, 1); /* home frees what the old one held */
    settle(shards);
    shards_free(shards);
}

static void a_deletion_is_seen_abroad_and_the_next_life_too(void **state)
{
    struct shards *shards = make(3, 16);
    uint32_t topic = shards_topic_of(shards, 1, 0);
    uint32_t a = shards_open(shards, 0), b = shards_open(shards, 2);
    for (int i = 0; i < 30; i++) shards_publish(shards, 1, topic, false);
    shards_subscribe(shards, 0, a, topic, true, true);
    shards_subscribe(shards, 2, b, topic, false, true);
    settle(shards);
    assert_int_equal(shards_delete(shards, 2, topic), LINK_SENT);
    settle(shards);
    assert_true(shards->shards[2].last_found);
    assert_int_equal(counted(shards, 0, COUNTER_LOANS), 0);
    shards_publish(shards, 0, topic, false);
    settle(shards);
    assert_int_equal(seen_by(shards, 0, a, topic)->lives, 1);
    assert_int_equal(seen_by(shards, 0, a, topic)->seq, 1);
    /* Dead and born within one turn: the reader learns of the last life alone. */
    shards_delete(shards, 1, topic);
    shards_publish(shards, 1, topic, false);
    shards_delete(shards, 1, topic);
    shards_publish(shards, 1, topic, false);
    settle(shards);
    assert_int_equal(seen_by(shards, 0, a, topic)->lives, 2);
    assert_int_equal(seen_by(shards, 2, b, topic)->seq, 1);
    assert_int_equal(shards_delete(shards, 1, topic), LINK_DONE);
    settle(shards);
    assert_int_equal(shards_delete(shards, 0, topic), LINK_SENT);
    settle(shards);
    assert_false(shards->shards[0].last_found);
    shards_free(shards);
}

static void queries_are_answered_from_afar(void **state)
{
    struct shards *shards = make(2, 16);
    uint32_t topic = shards_topic_of(shards, 1, 0), second = shards_topic_of(shards, 1, 1);
    shards_publish(shards, 1, topic, false);
    shards_publish(shards, 1, second, false);
    struct query_ask newest = { .kind = QUERY_NEWEST, .topic = span_of_string(shards->names[topic]) };
    assert_int_equal(shards_query(shards, 0, &newest), LINK_SENT);
    settle(shards);
    struct shard_sim *asker = &shards->shards[0];
    assert_true(asker->last_found);
    assert_non_null(strstr(asker->last_answer, "\"seq\":1,"));
    struct query_ask history = { .kind = QUERY_HISTORY, .topic = span_of_string(shards->names[topic]), .limit = 10, .bytes_max = 1000 };
    shards_query(shards, 0, &history);
    settle(shards);
    assert_non_null(strstr(asker->last_answer, "\"updates\":[{"));
    struct query_ask names = { .kind = QUERY_NAMES, .shard = 1, .prefix = span_of("", 0), .limit = 1 };
    shards_query(shards, 0, &names);
    settle(shards);
    const char *first = strcmp(shards->names[topic], shards->names[second]) < 0 ? shards->names[topic] : shards->names[second];
    char wanted[32];
    snprintf(wanted, sizeof wanted, "\"%s\"", first);
    assert_string_equal(asker->last_answer, wanted);
    names.after = span_of_string(first);
    shards_query(shards, 0, &names);
    settle(shards);
    assert_null(strstr(asker->last_answer, first));
    assert_int_equal(strlen(asker->last_answer), strlen(shards->names[first == shards->names[topic] ? second : topic]) + 2);
    struct query_ask unknown = { .kind = QUERY_NEWEST, .topic = span_of_string(shards->names[shards_topic_of(shards, 1, 2)]) };
    shards_query(shards, 0, &unknown);
    shards_query(shards, 0, &newest);
    settle(shards);
    assert_int_equal(asker->answered, 6);
    shards_query(shards, 0, &newest); /* one is under way when all ends: nothing leaks */
    shards_turn(shards, 0);
    shards_turn(shards, 1);
    shards_free(shards);
}

static void a_full_link_says_so_and_then_that_it_has_room(void **state)
{
    struct shards *shards = make(2, 8); /* four credits */
    uint32_t topic = shards_topic_of(shards, 1, 0);
    int sent = 0;
    while (shards_publish(shards, 0, topic, false) == LINK_SENT) sent++;
    assert_int_equal(sent, 4);
    assert_int_equal(shards_publish(shards, 0, topic, false), LINK_FULL);
    assert_true(counted(shards, 0, COUNTER_ASKS_FULL) >= 2);
    assert_int_equal(shards->shards[0].rooms, 0);
    settle(shards);
    assert_int_equal(shards->shards[0].rooms, 1);
    assert_int_equal(shards->shards[0].published, 4);
    assert_int_equal(shards_publish(shards, 0, topic, false), LINK_SENT);
    settle(shards);
    assert_int_equal(shards->shards[0].published, 5);
    shards_free(shards);
}

static void a_quiet_publish_has_no_reply_and_gives_its_credit_back(void **state)
{
    struct shards *shards = make(2, 8);
    uint32_t topic = shards_topic_of(shards, 1, 0), reader = shards_open(shards, 1);
    shards_subscribe(shards, 1, reader, topic, true, false);
    for (int i = 0; i < 50; i++) {
        while (shards_publish(shards, 0, topic, true) == LINK_SENT) {}
        settle(shards);
    }
    assert_int_equal(shards->shards[0].published, 0);
    assert_int_equal(seen_by(shards, 1, reader, topic)->updates, 200);
    shards_free(shards);
}

static void limits_topics_refuses_abroad_and_quiet_failures_are_counted(void **state)
{
    struct shards_plan plan = plan_of(2, 16);
    plan.home.topics_max = 1;
    struct shards *shards = shards_make(&plan, 7);
    uint32_t first = shards_topic_of(shards, 1, 0), second = shards_topic_of(shards, 1, 1), reader = shards_open(shards, 0);
    shards_publish(shards, 1, first, false);
    assert_int_equal(shards_publish(shards, 0, second, false), LINK_SENT);
    settle(shards);
    assert_int_equal(shards->shards[0].refused, 1);
    shards_publish(shards, 0, second, true);
    settle(shards);
    assert_int_equal(counted(shards, 0, COUNTER_QUIET_FAILED), 1);
    assert_int_equal(shards_subscribe(shards, 0, reader, second, true, false), LINK_SENT);
    settle(shards);
    assert_int_equal(shards->shards[0].acks, 0);
    assert_int_equal(shards->shards[0].refused, 2);
    assert_int_equal(shards_subscribe(shards, 0, reader, second, true, false), LINK_REFUSED); /* known for a second */
    for (int i = 0; i < 3; i++) shards_pass(shards, SECOND_US), settle(shards);
    assert_int_equal(shards->shards[0].engine.locals.topics.used, 0);
    shards_free(shards);
}

static void subscribing_unprepared_is_not_ready(void **state)
{
    struct shards *shards = make(2, 16);
    uint32_t topic = shards_topic_of(shards, 1, 0), reader = shards_open(shards, 0);
    struct subscribe_ask ask = { .topic = span_of_string(shards->names[topic]) };
    struct subscribe_reply reply;
    assert_int_equal(engine_subscribe(&shards->shards[0].engine, reader, &ask, &reply), SUBSCRIBE_NOT_READY);
    shards_free(shards);
}

static void a_publisher_that_takes_all_room_starves_no_subscriber(void **state)
{
    struct shards *shards = make(2, 4);
    uint32_t topic = shards_topic_of(shards, 1, 0), wanted = shards_topic_of(shards, 1, 1), reader = shards_open(shards, 0);
    while (shards_publish(shards, 0, topic, false) == LINK_SENT) {}
    assert_int_equal(shards_subscribe(shards, 0, reader, wanted, true, true), LINK_SENT);
    for (int turn = 0; turn < 6; turn++) {
        engine_receive(&shards->shards[0].engine);
        while (shards_publish(shards, 0, topic, false) == LINK_SENT) {} /* all that came back, at once */
        engine_tell(&shards->shards[0].engine);
        shards_turn(shards, 1);
    }
    assert_int_equal(shards->shards[0].acks, 1);
    settle(shards);
    shards_free(shards);
}

static void what_one_shard_asks_takes_effect_in_order(void **state)
{
    struct shards *shards = make(2, 4);
    uint32_t topic = shards_topic_of(shards, 1, 0), reader = shards_open(shards, 1);
    shards_subscribe(shards, 1, reader, topic, true, false);
    int published = 0;
    while (published < 200) {
        if (shards_publish(shards, 0, topic, published % 3 == 0) == LINK_FULL) shards_turn(shards, 0), shards_turn(shards, 1);
        else published++;
    }
    settle(shards); /* the reader sees that numbers only grow */
    assert_int_equal(seen_by(shards, 1, reader, topic)->updates, 200);
    shards_free(shards);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_update_from_afar_is_acked_and_read_everywhere),
        cmocka_unit_test(the_ack_is_exact_while_updates_are_under_way),
        cmocka_unit_test(a_resume_beyond_what_its_shard_was_told_is_doubted_until_its_home_is_heard),
        cmocka_unit_test(the_last_of_a_homes_news_comes_before_the_reply_that_says_so),
        cmocka_unit_test(a_hot_topic_is_one_notice_a_turn),
        cmocka_unit_test(a_shard_without_interest_is_told_nothing),
        cmocka_unit_test(loans_come_back_when_the_window_moves_on),
        cmocka_unit_test(a_reader_that_is_long_away_holds_what_it_was_lent_and_no_more),
        cmocka_unit_test(interest_lingers_and_is_given_back),
        cmocka_unit_test(notices_of_an_older_interest_are_not_touched),
        cmocka_unit_test(a_deletion_is_seen_abroad_and_the_next_life_too),
        cmocka_unit_test(queries_are_answered_from_afar),
        cmocka_unit_test(a_full_link_says_so_and_then_that_it_has_room),
        cmocka_unit_test(a_quiet_publish_has_no_reply_and_gives_its_credit_back),
        cmocka_unit_test(limits_topics_refuses_abroad_and_quiet_failures_are_counted),
        cmocka_unit_test(subscribing_unprepared_is_not_ready),
        cmocka_unit_test(a_publisher_that_takes_all_room_starves_no_subscriber),
        cmocka_unit_test(what_one_shard_asks_takes_effect_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
