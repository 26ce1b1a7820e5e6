/* Local topics: they know what they were told and nothing else, hold the loans they were given, and wake each waiter once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
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
    side->local = locals_make(&side->locals, SPAN_LITERAL("A"), 7, FORMAT_JSON, true);
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

/* Takes a notice as its home makes it: the ends, and all segments from this number on. Returns the lowest that is held from then on, or
 * below which none is. */
static uint32_t tell(struct side *side, uint32_t number)
{
    struct notice notice = { .local = side->local, .generation = local(side)->generation, .ends = side->log.ends };
    if (log_newest_seq(&side->log) == 0) {
        notice.next_segment = side->log.chain.number + side->log.chain.count;
    } else {
        memcpy(notice.epoch, side->epoch, EPOCH_BYTES);
        struct lent *more = notice.more_segments = malloc(side->log.chain.count * sizeof *more);
        assert_non_null(more);
        for (; chain_holds(&side->log.chain, number); number++) {
            struct lent *to = notice.segments_count < NOTICE_SEGMENTS_MAX ? &notice.segments[notice.segments_count] : more++;
            *to = (struct lent){ chain_at(&side->log.chain, number)->segment, chain_at(&side->log.chain, number)->end };
            notice.segments_count++;
        }
    }
    locals_told(&side->locals, &notice);
    free(notice.more_segments);
    return local_topic_held_from(local(side));
}

static void assert_holds_all(const struct side *side)
{
    const struct local_topic *held = local(side);
    assert_int_equal(held->ends.last.seq, side->log.ends.last.seq);
    assert_int_equal(held->chain.number, side->log.ends.tail.at.segment);
    for (uint64_t seq = held->ends.tail.seq; seq <= held->ends.last.seq; seq++) assert_int_equal(chain_seek(&held->chain, &held->ends.tail, seq).seq, seq);
    assert_int_equal(counter_read(&side->counters, COUNTER_LOANS), held->chain.count);
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
    uint32_t other = locals_make(&side.locals, SPAN_LITERAL("B"), 7, FORMAT_JSON, false); /* the same hash */
    assert_int_equal(locals_find(&side.locals, SPAN_LITERAL("A"), 7, FORMAT_JSON), side.local);
    assert_int_equal(locals_find(&side.locals, SPAN_LITERAL("B"), 7, FORMAT_JSON), other);
    assert_int_equal(locals_find(&side.locals, SPAN_LITERAL("A"), 8, FORMAT_JSON), POOL_NONE);
    locals_drop(&side.locals, other);
    assert_int_equal(locals_find(&side.locals, SPAN_LITERAL("B"), 7, FORMAT_JSON), POOL_NONE);
    assert_int_equal(locals_find(&side.locals, SPAN_LITERAL("A"), 7, FORMAT_JSON), side.local);
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
    assert_holds_all(&side);
    end(&side);
}

static void a_notice_tells_all_however_many_segments_it_has(void **state)
{
    struct side side;
    begin(&side);
    append(&side, 1);
    tell(&side, 0);
    uint32_t waiting = wait_for_news(&side, 0);
    append(&side, 40);
    assert_true(side.log.chain.count > NOTICE_SEGMENTS_MAX + 1);
    assert_int_equal(tell(&side, 0), 0);
    assert_holds_all(&side);
    assert_int_equal(subscription_at(&side.locals.subscriptions, waiting)->list, IN_DIRTY);
    end(&side);
}

static void what_was_trimmed_before_it_was_told_leaves_no_hole(void **state)
{
    struct side side;
    begin(&side);
    append(&side, 1);
    tell(&side, 0);
    append(&side, 60);
    log_trim(&side.log, &(struct window){ 1, 1 << 30, 1 << 30 }, 1);
    uint32_t tail = side.log.ends.tail.at.segment;
    assert_true(tail > 1);
    assert_int_equal(tell(&side, tail), tail);
    assert_holds_all(&side);
    end(&side);
}

/* By it a notice of an interest that is over is known, before anything of it is touched: test_link.c. */
static void each_interest_has_a_generation_of_its_own(void **state)
{
    struct side side;
    begin(&side);
    uint32_t index = side.local, before = local(&side)->generation;
    assert_true(generation_is(&side.locals.generations, index, before));
    locals_drop(&side.locals, index);
    assert_false(generation_is(&side.locals.generations, index, before));
    side.local = locals_make(&side.locals, SPAN_LITERAL("A"), 7, FORMAT_JSON, true);
    assert_int_equal(side.local, index); /* the same place */
    assert_false(generation_is(&side.locals.generations, index, before));
    assert_true(generation_is(&side.locals.generations, index, local(&side)->generation));
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
    wait_for_news(&side, 0);
    append(&side, 10); /* never told */
    log_forget(&side.log);
    uint32_t held_from = tell(&side, 0);
    assert_false(local_topic_born(local(&side)));
    assert_int_equal(local(&side)->chain.count, 0);
    assert_int_equal(counter_read(&side.counters, COUNTER_LOANS), 0);
    assert_int_equal(side.ready.members, 0);
    log_release(&side.log, &side.store, held_from);
    assert_int_equal(side.store.bytes_used, 0);
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

/* Until the last of it was told the ends were those of the old life, and the segments those of the new. */
static void a_new_life_is_told_at_once_and_nothing_of_the_old_is_left(void **state)
{
    struct side side;
    begin(&side);
    append(&side, 30);
    tell(&side, 0);
    uint32_t first = side.log.ends.head.segment + 1;
    log_forget(&side.log);
    append(&side, 40);
    side.epoch = "epoch--2";
    assert_true(side.log.ends.head.segment - first >= NOTICE_SEGMENTS_MAX);
    assert_int_equal(tell(&side, first), first);
    assert_holds_all(&side);
    end(&side);
}

/* A birth is told before any notice of that life: whatever is there then is of an older one. */
static void between_two_lives_it_is_not_born_and_wakes_nobody(void **state)
{
    struct side side;
    begin(&side);
    append(&side, 10);
    tell(&side, 0);
    uint32_t index = wait_for_news(&side, 0), first = side.log.ends.head.segment + 1;
    locals_end_life(&side.locals, local(&side));
    assert_false(local_topic_born(local(&side)));
    assert_int_equal(local_topic_held_from(local(&side)), first);
    assert_int_equal(counter_read(&side.counters, COUNTER_LOANS), 0);
    assert_int_equal(side.ready.members, 0);
    log_forget(&side.log);
    append(&side, 10);
    side.epoch = "epoch--2";
    assert_int_equal(tell(&side, first), first);
    assert_int_equal(local(&side)->life, 2);
    assert_holds_all(&side);
    assert_int_equal(subscription_at(&side.locals.subscriptions, index)->list, IN_DIRTY);
    end(&side);
}

static const char *listed(const struct names *list, struct text *text)
{
    struct span name;
    text->size = 0;
    for (struct name_place place = names_seek(list, span_of("", 0), SPAN_NONE); (name = names_at(list, place)).bytes; place = names_following(list, place)) text_add(text, name);
    text_add_char(text, '\0');
    return text->bytes;
}

static void names_of_other_shards_topics_are_listed_in_byte_order_while_they_are_known(void **state)
{
    struct side side;
    begin(&side);
    struct text names = { 0 };
    assert_int_not_equal(locals_make(&side.locals, SPAN_LITERAL(".b"), 1, FORMAT_JSON, true), POOL_NONE);
    assert_int_not_equal(locals_make(&side.locals, SPAN_LITERAL(".a"), 2, FORMAT_JSON, true), POOL_NONE);
    assert_int_not_equal(locals_make(&side.locals, SPAN_LITERAL(".a"), 2, FORMAT_ARRAY, true), POOL_NONE);
    assert_int_not_equal(locals_make(&side.locals, SPAN_LITERAL(".a.ours"), 3, FORMAT_JSON, false), POOL_NONE);
    assert_int_not_equal(locals_make(&side.locals, SPAN_LITERAL(".d"), 4, FORMAT_JSON, true), POOL_NONE);
    uint32_t c = locals_make(&side.locals, SPAN_LITERAL(".c"), 5, FORMAT_JSON, true);
    assert_string_equal(listed(&side.locals.remote, &names), ".a.b.c.dA");
    locals_drop(&side.locals, c);
    assert_string_equal(listed(&side.locals.remote, &names), ".a.b.dA");
    assert_int_equal(counter_read(&side.counters, COUNTER_INTERESTS), 5);
    text_free(&names);
    end(&side);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_topic_is_found_by_its_name_until_it_is_dropped),
        cmocka_unit_test(it_is_born_with_its_first_update),
        cmocka_unit_test(the_loans_are_what_the_window_holds),
        cmocka_unit_test(a_notice_tells_all_however_many_segments_it_has),
        cmocka_unit_test(what_was_trimmed_before_it_was_told_leaves_no_hole),
        cmocka_unit_test(each_interest_has_a_generation_of_its_own),
        cmocka_unit_test(news_wake_all_who_wait_in_their_order_and_only_once),
        cmocka_unit_test(a_notice_without_news_wakes_nobody),
        cmocka_unit_test(one_that_can_take_nothing_is_not_made_ready),
        cmocka_unit_test(a_deleted_topic_holds_nothing_and_is_not_born),
        cmocka_unit_test(another_epoch_is_another_life),
        cmocka_unit_test(a_new_life_is_told_at_once_and_nothing_of_the_old_is_left),
        cmocka_unit_test(between_two_lives_it_is_not_born_and_wakes_nobody),
        cmocka_unit_test(names_of_other_shards_topics_are_listed_in_byte_order_while_they_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
