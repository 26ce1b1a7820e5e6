/* The engine: what an ack promises is what is sent, again and overlapping, by name and by pattern, and nothing stays behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "tests/support/kit.h"

static struct span epoch_of(const struct kit *kit, const char *topic)
{
    return span_of(kit_topic(kit, topic)->epoch, EPOCH_BYTES);
}

/* ---- acks and where they begin ------------------------------------------------------------------------------------------- */

static void an_ack_tells_the_newest_of_this_moment(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    struct subscribe_reply reply = kit_subscribe(kit, 0, "A", MODE_EVERY);
    assert_false(reply.born);
    assert_int_equal(reply.seq, 0);
    kit_publish(kit, "A", "1");
    kit_publish(kit, "A", "1"); /* in this same turn, and not told yet */
    reply = kit_subscribe(kit, 1, "A", MODE_EVERY);
    assert_true(reply.born);
    assert_int_equal(reply.seq, 2);
    assert_memory_equal(reply.epoch, kit_topic(kit, "A")->epoch, EPOCH_BYTES);
    kit_free(kit);
}

static void every_begins_with_exactly_the_acks_seq(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    for (int i = 0; i < 5; i++) kit_publish(kit, "A", "1");
    kit_subscribe(kit, 0, "A", MODE_EVERY);
    kit_subscribe_live(kit, 1, "A", MODE_EVERY);
    kit_publish(kit, "A", "1");
    kit_publish(kit, "A", "1");
    assert_string_equal(kit_sent(kit, 0), "A 5 6 7");
    assert_string_equal(kit_sent(kit, 1), "A 6 7");
    kit_free(kit);
}

static void latest_without_a_snapshot_begins_with_a_newer_one(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    kit_publish(kit, "A", "1");
    kit_subscribe_live(kit, 0, "A", MODE_LATEST);
    assert_string_equal(kit_sent(kit, 0), "");
    kit_publish(kit, "A", "1");
    assert_string_equal(kit_sent(kit, 0), "A 2");
    kit_free(kit);
}

static void a_name_that_is_not_born_is_told_at_its_birth(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    kit_subscribe(kit, 0, "A", MODE_EVERY);
    kit_subscribe_live(kit, 1, "A", MODE_LATEST);
    assert_string_equal(kit_sent(kit, 0), "");
    kit_publish(kit, "A", "1");
    kit_publish(kit, "A", "1");
    assert_string_equal(kit_sent(kit, 0), "A born 1 2");
    assert_string_equal(kit_sent(kit, 1), "A born 1 2");
    kit_free(kit);
}

static void resuming_takes_the_right_epoch_and_a_seq_that_was(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    for (int i = 0; i < 5; i++) kit_publish(kit, "A", "1");
    const struct {
        struct span epoch;
        uint64_t    seq;
        bool        resumed;
        const char *sent;
    } facts[] = {
        { epoch_of(kit, "A"), 3, true, "A 4 5" },
        { epoch_of(kit, "A"), 5, true, "" },
        { epoch_of(kit, "A"), 0, true, "A 1 2 3 4 5" },
        { epoch_of(kit, "A"), 6, false, "A 5" },
        { epoch_of(kit, "A"), UINT64_MAX, false, "A 5" },
        { SPAN_LITERAL("notright"), 3, false, "A 5" },
        { span_of(kit_topic(kit, "A")->epoch, EPOCH_BYTES - 1), 3, false, "A 5" },
        { SPAN_LITERAL(""), 3, false, "A 5" },
    };
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        struct subscribe_reply reply = kit_resume(kit, 0, "A", MODE_EVERY, facts[i].epoch, facts[i].seq);
        assert_int_equal(reply.resumed, facts[i].resumed);
        assert_int_equal(reply.seq, 5);
        assert_string_equal(kit_sent(kit, 0), facts[i].sent);
        kit_unsubscribe(kit, 0, "A");
    }
    kit_free(kit);
}

static void what_is_not_born_resumes_nothing(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    assert_false(kit_resume(kit, 0, "A", MODE_EVERY, SPAN_LITERAL("anything"), 0).resumed);
    kit_publish(kit, "A", "1");
    assert_string_equal(kit_sent(kit, 0), "A born 1");
    char old[EPOCH_BYTES];
    memcpy(old, epoch_of(kit, "A").bytes, EPOCH_BYTES);
    kit_delete(kit, "A");
    assert_false(kit_resume(kit, 1, "A", MODE_EVERY, span_of(old, EPOCH_BYTES), 1).resumed);
    kit_free(kit);
}

static void subscribing_again_keeps_the_position(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    for (int i = 0; i < 3; i++) kit_publish(kit, "A", "1");
    kit_subscribe(kit, 0, "A", MODE_EVERY);
    assert_string_equal(kit_sent(kit, 0), "A 3");
    kit_publish(kit, "A", "1");
    struct subscribe_reply reply = kit_subscribe(kit, 0, "A", MODE_EVERY);
    assert_true(reply.again);
    assert_int_equal(reply.seq, 4);
    reply = kit_resume(kit, 0, "A", MODE_EVERY, epoch_of(kit, "A"), 1);
    assert_true(reply.again && !reply.resumed);
    assert_string_equal(kit_sent(kit, 0), "A 4");
    assert_int_equal(kit->engine.locals.subscriptions.used, 1);
    kit_free(kit);
}

/* ---- lives --------------------------------------------------------------------------------------------------------------- */

static void another_life_is_told_before_its_first_update(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    for (int i = 0; i < 3; i++) kit_publish(kit, "A", "1");
    kit_subscribe(kit, 0, "A", MODE_EVERY);
    assert_string_equal(kit_sent(kit, 0), "A 3");
    kit_delete(kit, "A");
    assert_string_equal(kit_sent(kit, 0), "");
    kit_publish(kit, "A", "1");
    assert_string_equal(kit_sent(kit, 0), "A born 1");
    kit_delete(kit, "A");
    kit_publish(kit, "A", "1");
    kit_publish(kit, "A", "1"); /* deleted and born within one turn */
    assert_string_equal(kit_sent(kit, 0), "A born 1 2");
    kit_free(kit);
}

/* It stood in the dirty list for ever, with nothing to be sent: the flush never ended. */
static void one_that_missed_a_whole_life_waits_for_the_next(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    kit_publish(kit, "A", "1");
    kit_subscribe(kit, 0, "A", MODE_EVERY);
    assert_string_equal(kit_sent(kit, 0), "A 1");
    kit_delete(kit, "A");
    kit_publish(kit, "A", "1");
    engine_tell(&kit->engine); /* told, and not sent */
    kit_delete(kit, "A");
    assert_string_equal(kit_sent(kit, 0), "");
    assert_int_equal(kit_subscription(kit, 0, "A")->list, IN_WAITING);
    kit_publish(kit, "A", "1");
    assert_string_equal(kit_sent(kit, 0), "A born 1");
    kit_free(kit);
}

/* ---- lists --------------------------------------------------------------------------------------------------------------- */

static void the_first_dirty_is_sent_first_and_what_was_not_sent_stays_the_first(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    kit_subscribe(kit, 0, "A", MODE_EVERY);
    kit_subscribe(kit, 0, "B", MODE_EVERY);
    kit_subscribe(kit, 0, "C", MODE_EVERY);
    kit_turn(kit);
    kit_publish(kit, "C", "1");
    kit_publish(kit, "A", "1");
    kit_publish(kit, "B", "1");
    engine_tell(&kit->engine);
    struct subscriber *subscriber = kit_subscriber(kit, 0);
    uint32_t first = engine_take_dirty(&kit->engine, subscriber), second = engine_take_dirty(&kit->engine, subscriber);
    engine_unsent(&kit->engine, second);
    engine_unsent(&kit->engine, first);
    assert_string_equal(kit_sent(kit, 0), "C born 1, A born 1, B born 1");
    kit_free(kit);
}

static void a_subscriber_is_ready_as_soon_as_it_has_news_and_can_take_some(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    kit_subscribe(kit, 0, "A", MODE_EVERY);
    kit_subscribe(kit, 1, "A", MODE_EVERY);
    assert_int_equal(kit->ready.members, 0);
    kit_subscriber(kit, 1)->blocked = true;
    kit_publish(kit, "A", "1");
    assert_int_equal(kit->ready.members, 0); /* not before it is told */
    engine_tell(&kit->engine);
    assert_true(bitset_has(&kit->ready, 0));
    assert_false(bitset_has(&kit->ready, 1));
    kit_subscribe(kit, 1, "B", MODE_EVERY);
    kit_publish(kit, "B", "1");
    kit_unsubscribe(kit, 1, "A");
    kit_subscribe(kit, 1, "A", MODE_EVERY); /* dirty at once, and blocked still */
    assert_false(bitset_has(&kit->ready, 1));
    kit_free(kit);
}

static void unsubscribing_leaves_nothing_wherever_it_stands(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    kit_publish(kit, "A", "1");
    kit_publish(kit, "B", "1");
    kit_subscribe(kit, 0, "A", MODE_EVERY); /* dirty */
    kit_subscribe(kit, 0, "unborn", MODE_EVERY); /* waits */
    kit_subscribe(kit, 1, "A", MODE_EVERY);
    kit_unsubscribe(kit, 0, "A");
    kit_unsubscribe(kit, 0, "A");
    kit_unsubscribe(kit, 0, "never");
    assert_false(engine_follows(&kit->engine, 0, SPAN_LITERAL("A")));
    assert_true(engine_follows(&kit->engine, 1, SPAN_LITERAL("A")));
    kit_unsubscribe(kit, 0, "unborn");
    assert_string_equal(kit_sent(kit, 0), "");
    assert_string_equal(kit_sent(kit, 1), "A 1");
    engine_unsubscribe_all(&kit->engine, 1);
    assert_int_equal(kit->engine.locals.topics.used, 0);
    assert_int_equal(kit->engine.locals.subscriptions.used, 0);
    assert_int_equal(counter_read(&kit->counters, COUNTER_SUBSCRIPTIONS), 0);
    kit_free(kit);
}

static void without_room_for_a_subscription_nothing_is_left_of_it(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ .subscriptions_max = 1 });
    kit_subscribe(kit, 0, "A", MODE_EVERY);
    struct subscribe_ask ask = { .topic = SPAN_LITERAL("B"), .mode = MODE_EVERY };
    struct subscribe_reply reply;
    assert_int_equal(engine_subscribe(&kit->engine, 0, &ask, &reply), SUBSCRIBE_FULL);
    assert_int_equal(kit->engine.locals.topics.used, 1);
    ask.topic = SPAN_LITERAL("A");
    assert_int_equal(engine_subscribe(&kit->engine, 0, &ask, &reply), SUBSCRIBE_DONE); /* again: needs no room */
    kit_publish(kit, "A", "1");
    assert_string_equal(kit_sent(kit, 0), "A born 1");
    kit_free(kit);
}

/* ---- patterns ------------------------------------------------------------------------------------------------------------ */

static void nothing_resumes(void *context, struct subscribe_ask *ask)
{
    (void)context, (void)ask;
}

static void say_covered(void *context, const struct subscribe_ask *ask, const struct subscribe_reply *reply)
{
    text_print(context, "%.*s at %llu;", (int)ask->topic.size, ask->topic.bytes, (unsigned long long)reply->seq);
}

/* Follows, and says what was covered at once. */
static const char *follow(struct kit *kit, uint32_t subscriber, const char *pattern, enum mode mode)
{
    static char line[200];
    struct text covered = { 0 };
    struct pattern_ask ask = { .pattern = span_of_string(pattern), .mode = mode, .snapshot = true };
    bool again;
    assert_true(engine_subscribe_pattern(&kit->engine, subscriber, &ask, &again));
    assert_int_equal(engine_cover(&kit->engine, subscriber, ask.pattern, &(struct pattern_cover){ &covered, nothing_resumes, say_covered }), SUBSCRIBE_DONE);
    text_add_char(&covered, '\0');
    strcpy(line, covered.bytes);
    text_free(&covered);
    return line;
}

static void unfollow(struct kit *kit, uint32_t subscriber, const char *pattern)
{
    engine_unsubscribe_pattern(&kit->engine, subscriber, span_of_string(pattern));
}

static void a_pattern_covers_what_is_there_and_what_is_born(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    kit_publish(kit, "a.2", "1");
    kit_publish(kit, "a.1", "1");
    kit_publish(kit, "a.1", "1");
    kit_publish(kit, "b.1", "1");
    kit_publish(kit, "a.1.x", "1");
    assert_string_equal(follow(kit, 0, "a.*", MODE_EVERY), "a.1 at 2;a.2 at 1;");
    assert_string_equal(kit_sent(kit, 0), "a.1 2, a.2 1");
    kit_publish(kit, "a.3", "1");
    kit_publish(kit, "a.3", "1");
    kit_publish(kit, "c.3", "1");
    assert_string_equal(kit_sent(kit, 0), "a.3 born 1 2");
    unfollow(kit, 0, "a.*");
    kit_publish(kit, "a.3", "1");
    kit_publish(kit, "a.4", "1");
    assert_string_equal(kit_sent(kit, 0), "");
    assert_int_equal(kit->engine.locals.topics.used, 0);
    kit_free(kit);
}

static void a_name_beats_a_pattern_and_falls_back_to_it(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    kit_publish(kit, "a.1", "1");
    follow(kit, 0, "a.>", MODE_LATEST);
    assert_string_equal(kit_sent(kit, 0), "a.1 1");
    assert_true(kit_subscribe(kit, 0, "a.1", MODE_EVERY).again);
    assert_int_equal(kit_subscription(kit, 0, "a.1")->mode, MODE_EVERY);
    follow(kit, 0, "*.1", MODE_LATEST); /* leaves it alone */
    assert_int_equal(kit_subscription(kit, 0, "a.1")->mode, MODE_EVERY);
    unfollow(kit, 0, "*.1");
    kit_unsubscribe(kit, 0, "a.1");
    assert_int_equal(kit_subscription(kit, 0, "a.1")->mode, MODE_LATEST);
    kit_unsubscribe(kit, 0, "a.1"); /* not by name any more: nothing changes */
    kit_publish(kit, "a.1", "1");
    assert_string_equal(kit_sent(kit, 0), "a.1 2"); /* no update twice while it stays covered */
    kit_free(kit);
}

static void of_several_patterns_the_last_subscribed_rules(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    kit_publish(kit, "a.1", "1");
    follow(kit, 0, "a.*", MODE_EVERY);
    follow(kit, 0, "*.1", MODE_LATEST);
    assert_int_equal(kit_subscription(kit, 0, "a.1")->mode, MODE_LATEST);
    follow(kit, 0, "a.*", MODE_EVERY); /* again: now it is the last */
    assert_int_equal(kit_subscription(kit, 0, "a.1")->mode, MODE_EVERY);
    follow(kit, 0, ">", MODE_LATEST);
    kit_publish(kit, "b.1", "1");
    assert_int_equal(kit_subscription(kit, 0, "b.1")->mode, MODE_LATEST);
    unfollow(kit, 0, ">");
    assert_int_equal(kit_subscription(kit, 0, "a.1")->mode, MODE_EVERY);
    assert_int_equal(kit_subscription(kit, 0, "b.1")->mode, MODE_LATEST); /* by *.1 */
    assert_string_equal(kit_sent(kit, 0), "a.1 1, b.1 born 1");
    kit_free(kit);
}

static void a_birth_beyond_a_subscribers_limit_is_counted_and_not_covered(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ .subscriptions_each_max = 2 });
    follow(kit, 0, "*", MODE_EVERY);
    follow(kit, 1, "c", MODE_EVERY);
    kit_publish(kit, "a", "1");
    kit_publish(kit, "b", "1");
    kit_publish(kit, "c", "1");
    assert_string_equal(kit_sent(kit, 0), "a born 1, b born 1");
    assert_string_equal(kit_sent(kit, 1), "c born 1");
    assert_int_equal(counter_read(&kit->counters, COUNTER_BIRTHS_NOT_COVERED), 1);
    kit_free(kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ack_tells_the_newest_of_this_moment),
        cmocka_unit_test(every_begins_with_exactly_the_acks_seq),
        cmocka_unit_test(latest_without_a_snapshot_begins_with_a_newer_one),
        cmocka_unit_test(a_name_that_is_not_born_is_told_at_its_birth),
        cmocka_unit_test(resuming_takes_the_right_epoch_and_a_seq_that_was),
        cmocka_unit_test(what_is_not_born_resumes_nothing),
        cmocka_unit_test(subscribing_again_keeps_the_position),
        cmocka_unit_test(another_life_is_told_before_its_first_update),
        cmocka_unit_test(one_that_missed_a_whole_life_waits_for_the_next),
        cmocka_unit_test(the_first_dirty_is_sent_first_and_what_was_not_sent_stays_the_first),
        cmocka_unit_test(a_subscriber_is_ready_as_soon_as_it_has_news_and_can_take_some),
        cmocka_unit_test(unsubscribing_leaves_nothing_wherever_it_stands),
        cmocka_unit_test(without_room_for_a_subscription_nothing_is_left_of_it),
        cmocka_unit_test(a_pattern_covers_what_is_there_and_what_is_born),
        cmocka_unit_test(a_name_beats_a_pattern_and_falls_back_to_it),
        cmocka_unit_test(of_several_patterns_the_last_subscribed_rules),
        cmocka_unit_test(a_birth_beyond_a_subscribers_limit_is_counted_and_not_covered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
