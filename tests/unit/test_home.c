/* The home: it alone numbers, keeps within its limits and says so, tells whoever follows, and forgets what nobody needs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "tests/support/kit.h"

static const uint64_t second = 1000000;

static uint64_t used(const struct kit *kit)
{
    return kit->engine.home.store.bytes_used;
}

/* Time goes on until every topic was looked at. */
static void sweep(struct kit *kit, uint64_t us)
{
    enum { TURNS = 20 }; /* a few topics are looked at in each */
    kit->clock.wall_us += us;
    for (int i = 0; i < TURNS; i++) {
        kit->clock.mono_us += us / TURNS + (us == 0) * second;
        kit_turn(kit);
    }
}

static void each_topic_has_a_numbering_and_an_epoch_of_its_own(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    for (uint64_t seq = 1; seq <= 5; seq++) {
        assert_int_equal(kit_publish(kit, "A", "1"), seq);
        assert_int_equal(kit_publish(kit, "B", "1"), seq);
    }
    assert_memory_not_equal(kit_topic(kit, "A")->epoch, kit_topic(kit, "B")->epoch, EPOCH_BYTES);
    for (int i = 0; i < EPOCH_BYTES; i++) assert_non_null(strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", kit_topic(kit, "A")->epoch[i]));
    kit_free(kit);
}

static void at_its_limit_of_topics_new_ones_are_refused_and_old_ones_go_on(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ .topics_max = 2 });
    kit_publish(kit, "A", "1");
    kit_subscribe(kit, 0, "B", MODE_LATEST);
    assert_int_equal(kit_try_publish(kit, "C", 1), PUBLISH_TOPICS_FULL);
    struct subscribe_ask ask = { .topic = SPAN_LITERAL("C") };
    struct subscribe_reply reply;
    assert_int_equal(engine_subscribe(&kit->engine, 1, &ask, &reply), SUBSCRIBE_TOPICS_FULL);
    kit_publish(kit, "A", "2");
    kit_publish(kit, "B", "1");
    assert_int_equal(kit->engine.home.topics_count, 2);
    kit_free(kit);
}

static void names_that_were_only_followed_make_room_again(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ .topics_max = 3 });
    for (int i = 0; i < 100; i++) {
        char name[20];
        snprintf(name, sizeof name, "n%d", i);
        kit_subscribe(kit, 0, name, MODE_LATEST);
        kit_unsubscribe(kit, 0, name);
        kit_turn(kit);
    }
    assert_int_equal(kit->engine.home.topics_count, 0);
    kit_publish(kit, "A", "1");
    kit_free(kit);
}

static void memory_is_found_in_other_topics_windows_before_busy_is_said(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ .log_bytes_max = 64 * 1024 });
    for (int i = 0; i < 2000; i++) {
        kit_publish_bytes(kit, i % 2 ? "A" : "B", 100);
        assert_true(used(kit) <= 64 * 1024);
    }
    kit_publish_bytes(kit, "C", 3000);
    assert_int_equal(kit_topic(kit, "A")->log.ends.last.seq, 1000);
    assert_true(used(kit) <= 64 * 1024);
    kit_free(kit);
}

static void without_memory_a_publish_is_busy_and_nothing_is_lost(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ .log_bytes_max = 4 * 1024 });
    kit_publish(kit, "A", "1");
    assert_int_equal(kit_try_publish(kit, "A", 5000), PUBLISH_BUSY);
    assert_int_equal(kit_try_publish(kit, "B", 5000), PUBLISH_BUSY);
    assert_int_equal(log_newest_seq(&kit_topic(kit, "A")->log), 1);
    assert_int_equal(kit_publish(kit, "A", "2"), 2);
    assert_int_equal(kit->engine.home.names.count, 1); /* B has no update */
    assert_int_equal(counter_read(&kit->counters, COUNTER_PUBLISH_BUSY), 2);
    assert_int_equal(kit_publish(kit, "B", "1"), 1);
    kit_free(kit);
}

/* Making room tells, and what is told may be forgotten: the topic being published went so, and was written to afterwards. */
static void a_topic_is_not_forgotten_while_room_is_made_for_its_first_update(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ .log_bytes_max = 16 * 1024 });
    for (int i = 0; i < 140; i++) kit_publish_bytes(kit, "A", 50);
    kit_subscribe(kit, 0, "B", MODE_EVERY);
    kit_unsubscribe(kit, 0, "B");
    assert_int_equal(kit_try_publish(kit, "B", 6000), PUBLISH_DONE);
    assert_int_equal(log_newest_seq(&kit_topic(kit, "B")->log), 1);
    kit_free(kit);
}

static void a_deleted_topics_memory_counts_as_room(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ .log_bytes_max = 16 * 1024 });
    kit_subscribe(kit, 0, "A", MODE_EVERY);
    kit_publish_bytes(kit, "A", 7000);
    assert_string_equal(kit_sent(kit, 0), "A born 1");
    kit_delete(kit, "A"); /* its segment is on loan until that is told */
    assert_int_equal(kit_try_publish(kit, "B", 12000), PUBLISH_DONE);
    kit_free(kit);
}

/* It was held as a loan that nobody had taken, until the next birth. */
static void a_topic_born_and_deleted_in_one_turn_leaves_nothing_on_loan(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    kit_subscribe(kit, 0, "A", MODE_EVERY);
    kit_publish(kit, "A", "1");
    kit_delete(kit, "A");
    kit_turn(kit);
    assert_int_equal(used(kit), 0);
    kit_free(kit);
}

static void a_deleted_topic_begins_anew_in_another_epoch(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    char epoch[EPOCH_BYTES];
    kit_publish(kit, "A", "1");
    kit_publish(kit, "A", "2");
    memcpy(epoch, kit_topic(kit, "A")->epoch, EPOCH_BYTES);
    kit_delete(kit, "A");
    assert_int_equal(used(kit), 0);
    assert_int_equal(kit->engine.home.names.count, 0);
    struct delete_ask ask = { .topic = SPAN_LITERAL("A") };
    struct delete_reply reply;
    assert_int_equal(engine_delete(&kit->engine, &ask, TICKET_NONE, &reply), LINK_DONE);
    assert_false(reply.found);
    assert_int_equal(kit_publish(kit, "A", "3"), 1);
    assert_memory_not_equal(kit_topic(kit, "A")->epoch, epoch, EPOCH_BYTES);
    kit_free(kit);
}

static void what_nobody_follows_is_forgotten_when_its_time_is_over(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ .topic_ttl_us = 3600 * second });
    kit_publish(kit, "A", "1");
    kit_publish(kit, "followed", "1");
    kit_subscribe(kit, 0, "followed", MODE_LATEST);
    sweep(kit, 3599 * second);
    assert_non_null(kit_topic(kit, "A"));
    sweep(kit, second);
    assert_null(kit_topic(kit, "A"));
    assert_non_null(kit_topic(kit, "followed"));
    assert_int_equal(kit->engine.home.names.count, 1);
    kit_free(kit);
}

/* The age was taken modulo 2^64: everything that nobody followed was forgotten when somebody set the clock back. */
static void a_clock_set_back_forgets_nothing(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ .topic_ttl_us = 3600 * second });
    kit_publish(kit, "A", "1");
    kit->clock.wall_us -= second;
    sweep(kit, 0);
    assert_non_null(kit_topic(kit, "A"));
    kit_free(kit);
}

static void a_quiet_topics_old_updates_go_without_an_append(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ .window = { .age_max_us = 60 * second } });
    for (int i = 0; i < 1000; i++) kit_publish_bytes(kit, "A", 100);
    kit_turn(kit);
    uint64_t before = used(kit);
    sweep(kit, 61 * second);
    assert_true(used(kit) < before);
    assert_int_equal(kit_topic(kit, "A")->log.chain.count, 1);
    kit_free(kit);
}

/* Topics that were hot once held the whole budget with their newest segments, each for one small update, and everybody got busy. */
static void topics_that_were_hot_once_leave_the_budget_to_others(void **state)
{
    static const char *const hot[] = { "A", "B", "C", "D" };
    struct kit *kit = kit_make(&(struct kit_settings){ .window = { .age_max_us = 60 * second, .updates_max = 1000 }, .log_bytes_max = 16 << 20 });
    kit_subscribe(kit, 0, "A", MODE_EVERY);
    for (int i = 0; i < 40000; i++) {
        kit_publish_bytes(kit, hot[i % 4], 100);
        if (i % 100 == 0) kit_sent(kit, 0), kit_turn(kit);
    }
    kit_sent(kit, 0);
    kit_turn(kit);
    struct segment_store *store = &kit->engine.home.store;
    for (int i = 0; i < 4; i++) assert_true(kit_topic(kit, hot[i])->log.newest_total >= 32 * 1024);
    store->bytes_max = used(kit) + used(kit) / 256; /* all is in use but for what is spared */
    assert_in_range(segment_store_spare(store), SEGMENT_BYTES_MIN, store->bytes_max - used(kit));
    sweep(kit, 61 * second);
    assert_true(used(kit) <= 4 * SEGMENT_BYTES_MIN);
    assert_int_equal(kit_try_publish(kit, "other", 60000), PUBLISH_DONE); /* it was busy */
    kit_publish_bytes(kit, "A", 100);
    assert_string_equal(kit_sent(kit, 0), "A 10001"); /* who had all goes on in the new segment */
    kit_subscribe(kit, 1, "B", MODE_LATEST);
    assert_string_equal(kit_sent(kit, 1), "B 10000");
    kit_free(kit);
}

/* However small the window: trimming comes after the flush. */
static void what_one_turn_appends_stays_until_the_turn_is_over(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ .window = { .updates_max = 1 } });
    kit_subscribe(kit, 0, "A", MODE_EVERY);
    for (int i = 0; i < 50; i++) kit_publish_bytes(kit, "A", 100);
    assert_string_equal(kit_sent(kit, 0), "A born 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50");
    engine_trim(&kit->engine);
    assert_true(kit_topic(kit, "A")->log.ends.tail.seq > 1);
    kit_free(kit);
}

/* Whoever publishes to a gateway whose topics have their newest segment alone was answered after a look at each of them. */
static void only_topics_with_more_than_their_newest_segment_are_looked_at_for_memory(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ .log_bytes_max = 1024 * 1024 });
    const struct home *home = &kit->engine.home;
    char name[24];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "quiet%d", i);
        kit_publish(kit, name, "1");
    }
    assert_int_equal(home->longs.first, POOL_NONE);
    for (int i = 0; i < 200; i++) {
        kit_publish_bytes(kit, "first", 1000);
        kit_publish_bytes(kit, "second", 1000);
    }
    const struct topic *first = kit_topic(kit, "first"), *second_one = kit_topic(kit, "second");
    assert_ptr_equal(pool_at(&home->topics, home->longs.first), first);
    assert_ptr_equal(pool_at(&home->topics, home->longs.last), second_one);
    assert_true(first->log.ends.tail.seq == 1 && second_one->log.ends.tail.seq == 1);
    int newest = 0;
    do snprintf(name, sizeof name, "new%d", newest++);
    while (kit_try_publish(kit, name, 50000) == PUBLISH_DONE && newest < 100);
    assert_in_range(newest, 2, 99);
    assert_true(first->log.ends.tail.seq > 1 && second_one->log.ends.tail.seq > 1);
    assert_int_equal(home->longs.first, POOL_NONE);
    assert_int_equal(kit_try_publish(kit, name, 50000), PUBLISH_BUSY);
    kit_free(kit);
}

/* A hundred thousand took a hundred seconds, and some turns of 20 ms. */
static void a_crowd_of_topics_is_forgotten_within_seconds_and_bit_by_bit(void **state)
{
    enum { CROWD = 20000, FORGETS_EACH = 1024 };
    struct kit *kit = kit_make(&(struct kit_settings){ .topic_ttl_us = 3600 * second, .topics_max = CROWD, .log_bytes_max = 64 << 20 });
    const struct home *home = &kit->engine.home;
    char name[24];
    for (int i = 0; i < CROWD; i++) {
        snprintf(name, sizeof name, "t%d", i);
        kit_publish(kit, name, "1");
    }
    kit->clock.mono_us += 3601 * second;
    kit_turn(kit);
    for (int tenths = 0; tenths < 130 && home->topics_count > 0; tenths++) {
        uint32_t before = home->topics_count;
        kit->clock.mono_us += second / 10;
        kit_turn(kit);
        assert_in_range(before - home->topics_count, 0, FORGETS_EACH);
    }
    assert_int_equal(home->topics_count, 0);
    assert_int_equal(home->names.count, 0);
    assert_int_equal(used(kit), 0);
    kit_free(kit);
}

/* A reload: what is there goes with its segments, which were cut for the larger window. */
static void the_window_and_the_budget_may_change(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ .log_bytes_max = 1024 * 1024 });
    struct engine_settings settings = kit->engine.settings;
    for (int i = 0; i < 2000; i++) kit_publish_bytes(kit, i % 2 ? "A" : "B", 100);
    assert_int_equal(kit_topic(kit, "A")->log.ends.tail.seq, 1);
    assert_true(used(kit) > 200 * 1024);
    settings.home.log_bytes_max = 512 * 1024; /* not below the newest segments, which stay: that would be busy */
    settings.home.window = (struct window){ .updates_max = 10, .bytes_max = 4096, .age_max_us = 3600 * second };
    engine_change(&kit->engine, &settings);
    for (int i = 0; i < 4000; i++) {
        kit_publish_bytes(kit, i % 2 ? "A" : "B", 100);
        kit_turn(kit);
    }
    assert_int_equal(kit_topic(kit, "A")->log.ends.last.seq, 3000);
    assert_true(kit_topic(kit, "A")->log.ends.tail.seq > 2900);
    assert_int_equal(kit->engine.home.store.bytes_max, 512 * 1024);
    assert_true(used(kit) <= 32 * 1024);
    kit_free(kit);
}

static void segments_go_back_when_nobody_follows_any_more(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ .window = { .updates_max = 1 } });
    kit_subscribe(kit, 0, "A", MODE_EVERY);
    for (int i = 0; i < 300; i++) kit_publish_bytes(kit, "A", 100);
    engine_tell(&kit->engine);
    engine_trim(&kit->engine); /* trimmed at home, and on loan until it is told */
    assert_true(kit_topic(kit, "A")->log.chain.count > 1);
    kit_unsubscribe(kit, 0, "A");
    assert_int_equal(kit_topic(kit, "A")->log.chain.count, 1);
    kit_free(kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_topic_has_a_numbering_and_an_epoch_of_its_own),
        cmocka_unit_test(at_its_limit_of_topics_new_ones_are_refused_and_old_ones_go_on),
        cmocka_unit_test(names_that_were_only_followed_make_room_again),
        cmocka_unit_test(memory_is_found_in_other_topics_windows_before_busy_is_said),
        cmocka_unit_test(without_memory_a_publish_is_busy_and_nothing_is_lost),
        cmocka_unit_test(a_topic_is_not_forgotten_while_room_is_made_for_its_first_update),
        cmocka_unit_test(a_deleted_topics_memory_counts_as_room),
        cmocka_unit_test(a_topic_born_and_deleted_in_one_turn_leaves_nothing_on_loan),
        cmocka_unit_test(a_deleted_topic_begins_anew_in_another_epoch),
        cmocka_unit_test(what_nobody_follows_is_forgotten_when_its_time_is_over),
        cmocka_unit_test(a_clock_set_back_forgets_nothing),
        cmocka_unit_test(a_quiet_topics_old_updates_go_without_an_append),
        cmocka_unit_test(topics_that_were_hot_once_leave_the_budget_to_others),
        cmocka_unit_test(what_one_turn_appends_stays_until_the_turn_is_over),
        cmocka_unit_test(only_topics_with_more_than_their_newest_segment_are_looked_at_for_memory),
        cmocka_unit_test(a_crowd_of_topics_is_forgotten_within_seconds_and_bit_by_bit),
        cmocka_unit_test(the_window_and_the_budget_may_change),
        cmocka_unit_test(segments_go_back_when_nobody_follows_any_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
