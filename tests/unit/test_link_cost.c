/* What links cost, by counting what is sent: a topic without interest in a shard costs that shard nothing, and one with it at most one
 * notice a turn, however many updates there were. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/shards.h"

enum { SECOND_US = 1000000, UPDATES = 1000, COUNT = 3, HOME = 1 };

/* Windows that hold all that a test publishes. */
static struct shards *make(void)
{
    struct shards_plan plan = {
        .count = COUNT,
        .wires = { 64, 64, 65536 },
        .home = { .topics_max = SHARDS_TOPICS_MAX, .patterns_max = 64, .log_bytes_max = 64 << 20, .topic_ttl_us = 3600 * (uint64_t)SECOND_US, .window = { 4 * UPDATES, 4 << 20, 3600 * (uint64_t)SECOND_US } },
        .topics_known = SHARDS_TOPICS_MAX,
        .payload_bytes_max = 200,
    };
    return shards_make(&plan, 11);
}

static void settle(struct shards *shards)
{
    shards_settle(shards);
    shards_check(shards);
    if (fault_found(&shards->fault)) fail_msg("%s", shards->fault.text);
}

/* What the home sent to others and others sent to it. */
struct sent {
    uint64_t asks, tells, notices;
};

static struct sent sent(const struct shards *shards)
{
    struct sent all = { 0 };
    for (uint32_t i = 0; i < COUNT; i++) {
        const struct counters *counters = &shards->shards[i].counters;
        all.asks += counter_read(counters, COUNTER_ASKS_SENT);
        all.tells += counter_read(counters, COUNTER_TELLS_SENT);
        all.notices += counter_read(counters, COUNTER_NOTICES_SENT);
    }
    return all;
}

static void assert_sent(const struct shards *shards, struct sent before, uint64_t asks, uint64_t tells, uint64_t notices)
{
    struct sent after = sent(shards);
    assert_int_equal(after.asks - before.asks, asks);
    assert_int_equal(after.tells - before.tells, tells);
    assert_int_equal(after.notices - before.notices, notices);
}

/* Publishes at the home, `each` in every turn of its; nobody else turns. Returns how often somebody was woken. */
static uint32_t publish_at_home(struct shards *shards, uint32_t topic, uint32_t count, uint32_t each)
{
    uint32_t woken = 0;
    for (uint32_t done = 0; done < count;) {
        for (uint32_t i = 0; i < each; i++, done++) assert_int_equal(shards_publish(shards, HOME, topic, false), LINK_DONE);
        for (uint32_t i = 0; i < COUNT; i++) shards->shards[i].woken = false;
        shards_turn(shards, HOME);
        for (uint32_t i = 0; i < COUNT; i++) woken += shards->shards[i].woken;
    }
    return woken;
}

static void a_topic_that_nobody_abroad_follows_costs_nobody_abroad_anything(void **state)
{
    struct shards *shards = make();
    uint32_t followed = shards_topic_of(shards, HOME, 0), other = shards_topic_of(shards, HOME, 1);
    uint32_t there = shards_open(shards, 0), home = shards_open(shards, HOME);
    shards_subscribe(shards, 0, there, followed, true, false); /* the link is in use, for another topic */
    shards_subscribe(shards, HOME, home, other, true, false);
    publish_at_home(shards, followed, 1, 1);
    settle(shards);
    struct sent before = sent(shards);
    assert_int_equal(publish_at_home(shards, other, UPDATES, 10), 0);
    assert_sent(shards, before, 0, 0, 0);
    assert_false(engine_has_input(&shards->shards[0].engine));
    assert_false(engine_has_input(&shards->shards[2].engine));
    assert_int_equal(shards_reader_at(shards, HOME, home)->seen[other].updates, UPDATES);
    assert_int_equal(counter_read(&shards->shards[0].counters, COUNTER_LOANS), 1); /* of the topic that it follows */
    settle(shards);
    assert_sent(shards, before, 0, 0, 0);
    shards_free(shards);
}

static void a_topic_that_is_followed_no_more_costs_nothing_again(void **state)
{
    struct shards *shards = make();
    uint32_t topic = shards_topic_of(shards, HOME, 0), there = shards_open(shards, 0);
    shards_subscribe(shards, 0, there, topic, true, false);
    settle(shards);
    assert_true(publish_at_home(shards, topic, 10, 1) > 0);
    shards_unsubscribe(shards, 0, there, topic);
    shards_pass(shards, 3 * SECOND_US); /* the interest lingers, and ends */
    settle(shards);
    assert_int_equal(counter_read(&shards->shards[0].counters, COUNTER_INTERESTS), 0);
    struct sent before = sent(shards);
    assert_int_equal(publish_at_home(shards, topic, UPDATES, 10), 0);
    assert_sent(shards, before, 0, 0, 0);
    assert_int_equal(counter_read(&shards->shards[0].counters, COUNTER_LOANS), 0);
    settle(shards);
    shards_free(shards);
}

static void a_thousand_updates_in_one_turn_are_one_notice_for_each_peer_that_follows(void **state)
{
    struct shards *shards = make();
    uint32_t topic = shards_topic_of(shards, HOME, 0), one = shards_open(shards, 0), other = shards_open(shards, 2);
    shards_subscribe(shards, 0, one, topic, true, false);
    shards_subscribe(shards, 2, other, topic, true, false);
    settle(shards);
    struct sent before = sent(shards);
    assert_int_equal(publish_at_home(shards, topic, UPDATES, UPDATES), 2);
    assert_sent(shards, before, 0, 2, 2);
    settle(shards);
    assert_int_equal(shards_reader_at(shards, 0, one)->seen[topic].updates, UPDATES);
    assert_int_equal(shards_reader_at(shards, 2, other)->seen[topic].updates, UPDATES);
    assert_int_equal(shards_reader_at(shards, 0, one)->seen[topic].gaps, 0);
    shards_free(shards);
}

static void followers_of_one_shard_share_its_notice(void **state)
{
    struct shards *shards = make();
    uint32_t topic = shards_topic_of(shards, HOME, 0), readers[10];
    for (uint32_t i = 0; i < 10; i++) {
        readers[i] = shards_open(shards, 0);
        shards_subscribe(shards, 0, readers[i], topic, true, false);
        settle(shards);
    }
    struct sent before = sent(shards);
    for (uint32_t turn = 0; turn < 10; turn++) {
        assert_int_equal(publish_at_home(shards, topic, 100, 100), 1);
        shards_turn(shards, 0);
    }
    assert_int_equal(sent(shards).notices - before.notices, 10);
    settle(shards);
    for (uint32_t i = 0; i < 10; i++) assert_int_equal(shards_reader_at(shards, 0, readers[i])->seen[topic].updates, UPDATES);
    shards_free(shards);
}

static void many_topics_in_one_turn_are_one_notice_each_and_one_wake_up(void **state)
{
    enum { TOPICS = 5, EACH = UPDATES / TOPICS };
    struct shards *shards = make();
    uint32_t there = shards_open(shards, 0);
    for (uint32_t n = 0; n < TOPICS; n++) shards_subscribe(shards, 0, there, shards_topic_of(shards, HOME, n), true, false);
    settle(shards);
    struct sent before = sent(shards);
    for (uint32_t i = 0; i < EACH; i++)
        for (uint32_t n = 0; n < TOPICS; n++) assert_int_equal(shards_publish(shards, HOME, shards_topic_of(shards, HOME, n), false), LINK_DONE);
    shards->shards[0].woken = shards->shards[2].woken = false;
    shards_turn(shards, HOME);
    assert_true(shards->shards[0].woken);
    assert_false(shards->shards[2].woken);
    assert_sent(shards, before, 0, TOPICS, TOPICS);
    settle(shards);
    for (uint32_t n = 0; n < TOPICS; n++) assert_int_equal(shards_reader_at(shards, 0, there)->seen[shards_topic_of(shards, HOME, n)].updates, EACH);
    shards_free(shards);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_topic_that_nobody_abroad_follows_costs_nobody_abroad_anything),
        cmocka_unit_test(a_topic_that_is_followed_no_more_costs_nothing_again),
        cmocka_unit_test(a_thousand_updates_in_one_turn_are_one_notice_for_each_peer_that_follows),
        cmocka_unit_test(followers_of_one_shard_share_its_notice),
        cmocka_unit_test(many_topics_in_one_turn_are_one_notice_each_and_one_wake_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
