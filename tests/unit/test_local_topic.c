/* Local topics: they know what they were told and nothing else, hold the loans they were given, and wake each waiter once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/proto/ws_frame.h"
#include "core/pubsub/local_topic.h"

enum { SUBSCRIBERS = 8 };

/* A log at its home and the shard that is told of it, with nothing between them. */
struct side {
    struct segment_store store;
    struct log           log;
    struct locals        locals;
    struct pool          subscribers;
    struct bitset        ready;
    struct counters      counters;
    uint32_t             local;
    const char          *epoch;
};

static const struct window window = { 1 << 30, 1 << 30, 1 << 30 };

static void begin(struct side *side)
{
    *side = (struct side){ .epoch = "epoch--1" };
    segment_store_init(&side->store, UINT64_MAX);
    assert_int_equal(pool_init(&side->subscribers, sizeof(struct subscriber), SUBSCRIBERS), 0);
    assert_int_equal(bitset_init(&side->ready, SUBSCRIBERS), 0);
    assert_int_equal(locals_init(&side->locals, 10, 100, &side->subscribers, &side->ready, &side->counters), 0);
    for (uint32_t i = 0; i < SUBSCRIBERS; i++) {
        struct subscriber *subscriber = pool_at(&side->subscribers, pool_take(&side->subscribers));
        *subscriber = (struct subscriber){ .dirty = SUBSCRIPTION_RING_EMPTY, .siblings_first = POOL_NONE, .siblings_last = POOL_NONE };
    }
    side->local = locals_make(&side->locals, SPAN_LITERAL("A"), 7);
    assert_int_not_equal(side->local, POOL_NONE);
}

static void end(struct side *side)
{
    locals_deinit(&side->locals);
    log_deinit(&side->log, &side->store);
    segment_store_deinit(&side->store);
    pool_deinit(&side->subscribers);
    bitset_deinit(&side->ready);
}

static void append(struct side *side, uint32_t count)
{
    enum { FRAME_BYTES = 502 + 4 };
    for (; count > 0; count--) {
        char *frame = log_reserve(&side->log, &side->store, &window, FRAME_BYTES, 1);
        memset(frame, '.', FRAME_BYTES);
        ws_server_header_write(frame, WS_TEXT, FRAME_BYTES - 4);
        log_commit(&side->log, FRAME_BYTES, false, 1);
    }
}

static struct local_topic *local(const struct side *side)
{
    return local_topic_at(&side->locals, side->local);
}

/* The segments from this number on, at most so many, with the ends as they are. */
static struct notice notice_of(const struct side *side, uint32_t number, uint32_t segments_max)
{
    struct notice notice = { .local = side->local, .generation = local(side)->generation, .ends = side->log.ends };
    memcpy(notice.epoch, side->epoch, EPOCH_BYTES);
    while (chain_holds(&side->log.chain, number) && notice.segments_count < segments_max) notice.segments[notice.segments_count++] = *chain_at(&side->log.chain, number++);
    notice.more = chain_holds(&side->log.chain, number);
    return notice;
}

static uint32_t tell(struct side *side, uint32_t number)
{
    struct notice notice = notice_of(side, number, NOTICE_SEGMENTS_MAX);
    assert_false(notice.more);
    return locals_told(&side->locals, &notice);
}

/* One that is caught up, of this subscriber. */
static uint32_t wait_for_news(struct side *side, uint32_t subscriber)
{
    uint32_t index = pool_take(&side->locals.subscriptions);
    *subscription_at(&side->locals.subscriptions, index) = (struct subscription){ .subscriber = subscriber, .local = side->local, .life = local(side)->life };
    subscription_push_last(&side->locals.subscriptions, &local(side)->waiting, index, IN_WAITING);
    return index;
}

static void a_topic_is_found_by_its_name_until_it_is_dropped(void **state)
{
    struct side side;
    begin(&side);
    uint32_t other = locals_make(&side.locals, SPAN_LITERAL("B"), 7); /* the same hash */
    assert_int_equal(locals_find(&side.locals, SPAN_LITERAL("A"), 7), side.local);
    assert_int_equal(locals_find(&side.locals, SPAN_LITERAL("B"), 7), other);
    assert_int_equal(locals_find(&side.locals, SPAN_LITERAL("A"), 8), POOL_NONE);
    locals_drop(&side.locals, other);
    assert_int_equal(locals_find(&side.locals, SPAN_LITERAL("B"), 7), POOL_NONE);
    assert_int_equal(locals_find(&side.locals, SPAN_LITERAL("A"), 7), side.local);
    end(&side);
}

static void it_is_born_with_its_first_update(void **state)
{
    struct side side;
    begin(&side);
    tell(&side, 0);
    assert_false(local_topic_born(local(&side)));
    append(&side, 1);
    tell(&side, 0);
    assert_true(local_topic_born(local(&side)));
    assert_int_equal(local(&side)->life, 1);
    end(&side);
}

static void the_loans_are_what_the_window_holds(void **state)
{
    struct side side;
    begin(&side);
    append(&side, 10);
    assert_int_equal(tell(&side, 0), 0);
    assert_int_equal(local(&side)->chain.count, side.log.chain.count);
    append(&side, 10);
    log_trim(&side.log, &(struct window){ 3, 1 << 30, 1 << 30 }, 1);
    uint32_t lowest = tell(&side, 0);
    assert_int_equal(lowest, side.log.ends.tail.at.segment);
    assert_int_equal(local(&side)->chain.number, lowest);
    log_release(&side.log, &side.store, lowest);
    for (uint64_t seq = side.log.ends.tail.seq; seq <= 20; seq++) assert_int_equal(chain_seek(&local(&side)->chain, &local(&side)->ends.tail, seq).seq, seq);
    end(&side);
}

static void a_notice_in_parts_counts_when_its_last_part_came(void **state)
{
    struct side side;
    begin(&side);
    append(&side, 1);
    tell(&side, 0);
    uint32_t waiting = wait_for_news(&side, 0);
    append(&side, 40);
    for (uint32_t number = 0; number <= side.log.ends.head.segment; number += 2) {
        struct notice notice = notice_of(&side, number, 2);
        assert_int_equal(locals_told(&side.locals, &notice), 0);
        bool last = !notice.more;
        assert_int_equal(local(&side)->ends.last.seq, last ? 41 : 1);
        assert_int_equal(subscription_at(&side.locals.subscriptions, waiting)->list, last ? IN_DIRTY : IN_WAITING);
    }
    end(&side);
}

static void a_notice_of_an_interest_that_is_over_changes_nothing_and_holds_nothing(void **state)
{
    struct side side;
    begin(&side);
    append(&side, 1);
    struct notice notice = notice_of(&side, 0, 8);
    notice.generation--;
    assert_int_equal(locals_told(&side.locals, &notice), UINT32_MAX);
    assert_false(local_topic_born(local(&side)));
    assert_int_equal(local(&side)->chain.count, 0);
    end(&side);
}

static void each_interest_has_a_generation_of_its_own(void **state)
{
    struct side side;
    begin(&side);
    uint32_t before = local(&side)->generation;
    locals_drop(&side.locals, side.local);
    side.local = locals_make(&side.locals, SPAN_LITERAL("A"), 7);
    assert_int_not_equal(local(&side)->generation, before);
    end(&side);
}

static void news_wake_all_who_wait_in_their_order_and_only_once(void **state)
{
    struct side side;
    begin(&side);
    append(&side, 1);
    tell(&side, 0);
    uint32_t first = wait_for_news(&side, 3), second = wait_for_news(&side, 5), third = wait_for_news(&side, 3);
    append(&side, 1);
    tell(&side, 0);
    const struct subscriber *three = pool_at(&side.subscribers, 3), *five = pool_at(&side.subscribers, 5);
    assert_int_equal(three->dirty.first, first);
    assert_int_equal(subscription_at(&side.locals.subscriptions, first)->next, third);
    assert_int_equal(three->dirty.last, third);
    assert_int_equal(five->dirty.first, second);
    assert_int_equal(local(&side)->waiting.first, POOL_NONE);
    assert_int_equal(side.ready.members, 2);
    append(&side, 1);
    tell(&side, 0); /* they are dirty already: nobody is touched */
    assert_int_equal(three->dirty.last, third);
    end(&side);
}

static void a_notice_without_news_wakes_nobody(void **state)
{
    struct side side;
    begin(&side);
    append(&side, 20);
    tell(&side, 0);
    wait_for_news(&side, 0);
    tell(&side, side.log.ends.head.segment);
    log_trim(&side.log, &(struct window){ 3, 1 << 30, 1 << 30 }, 1);
    tell(&side, side.log.ends.head.segment); /* its tail moved */
    assert_int_equal(side.ready.members, 0);
    assert_true(local(&side)->ends.tail.seq > 1);
    end(&side);
}

static void one_that_can_take_nothing_is_not_made_ready(void **state)
{
    struct side side;
    begin(&side);
    append(&side, 1);
    tell(&side, 0);
    uint32_t index = wait_for_news(&side, 0);
    struct subscriber *subscriber = pool_at(&side.subscribers, 0);
    subscriber->blocked = true;
    append(&side, 1);
    tell(&side, 0);
    assert_int_equal(side.ready.members, 0);
    assert_int_equal(subscriber->dirty.first, index);
    end(&side);
}

static void a_deleted_topic_holds_nothing_and_is_not_born(void **state)
{
    struct side side;
    begin(&side);
    append(&side, 10);
    tell(&side, 0);
    log_forget(&side.log);
    assert_int_equal(tell(&side, 0), UINT32_MAX);
    assert_false(local_topic_born(local(&side)));
    assert_int_equal(local(&side)->chain.count, 0);
    end(&side);
}

static void another_epoch_is_another_life(void **state)
{
    struct side side;
    begin(&side);
    append(&side, 10);
    tell(&side, 0);
    uint32_t index = wait_for_news(&side, 0), first = side.log.ends.head.segment + 1;
    log_forget(&side.log);
    append(&side, 10); /* as many as before: the seq alone would tell no news */
    side.epoch = "epoch--2";
    assert_int_equal(tell(&side, first), first);
    assert_int_equal(local(&side)->life, 2);
    assert_int_equal(local(&side)->ends.last.seq, 10);
    assert_int_equal(subscription_at(&side.locals.subscriptions, index)->list, IN_DIRTY);
    end(&side);
}

/* Until the last part came the ends were those of the old life, and the segments those of the new. */
static void a_new_life_told_in_parts_is_not_born_before_the_last(void **state)
{
    struct side side;
    begin(&side);
    append(&side, 30);
    tell(&side, 0);
    uint32_t first = side.log.ends.head.segment + 1;
    log_forget(&side.log);
    append(&side, 30);
    side.epoch = "epoch--2";
    struct notice notice = notice_of(&side, first, 1);
    assert_true(notice.more);
    locals_told(&side.locals, &notice);
    assert_false(local_topic_born(local(&side)));
    tell(&side, first);
    assert_true(local_topic_born(local(&side)));
    end(&side);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_topic_is_found_by_its_name_until_it_is_dropped),
        cmocka_unit_test(it_is_born_with_its_first_update),
        cmocka_unit_test(the_loans_are_what_the_window_holds),
        cmocka_unit_test(a_notice_in_parts_counts_when_its_last_part_came),
        cmocka_unit_test(a_notice_of_an_interest_that_is_over_changes_nothing_and_holds_nothing),
        cmocka_unit_test(each_interest_has_a_generation_of_its_own),
        cmocka_unit_test(news_wake_all_who_wait_in_their_order_and_only_once),
        cmocka_unit_test(a_notice_without_news_wakes_nobody),
        cmocka_unit_test(one_that_can_take_nothing_is_not_made_ready),
        cmocka_unit_test(a_deleted_topic_holds_nothing_and_is_not_born),
        cmocka_unit_test(another_epoch_is_another_life),
        cmocka_unit_test(a_new_life_told_in_parts_is_not_born_before_the_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
