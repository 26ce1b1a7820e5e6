/* The log: what a window promises stays, the rest goes by whole segments, and nothing goes while it is on loan. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/proto/ws_frame.h"
#include "core/pubsub/log.h"

#define LARGE UINT64_C(1000000000000)
static const struct window unlimited = { LARGE, LARGE, LARGE };
static const uint64_t     second = 1000000;

struct kept {
    struct log           log;
    struct segment_store store;
    struct window        window;
    uint64_t             now_us;
};

static void begin(struct kept *kept, struct window window)
{
    *kept = (struct kept){ .window = window, .now_us = 1000 * second };
    log_init(&kept->log, FORMAT_JSON, 0);
    segment_store_init(&kept->store, LARGE);
}

static void end(struct kept *kept)
{
    log_deinit(&kept->log, &kept->store);
    segment_store_deinit(&kept->store);
}

/* One frame of so many bytes in all: 4 to 128, or above 130. */
static void append(struct kept *kept, size_t frame_bytes, bool key)
{
    char *frame = log_reserve(&kept->log, &kept->store, &kept->window, frame_bytes, kept->now_us);
    assert_non_null(frame);
    uint64_t message_bytes = frame_bytes - (frame_bytes < 128 ? 2 : frame_bytes < 65540 ? 4 : 10);
    memset(frame, '.', frame_bytes);
    ws_server_header_write(frame, WS_TEXT, message_bytes);
    assert_int_equal(ws_server_frame_bytes(frame), frame_bytes);
    log_commit(&kept->log, frame_bytes, key, kept->now_us);
}

static void append_many(struct kept *kept, uint32_t count, size_t frame_bytes)
{
    for (uint32_t i = 0; i < count; i++) append(kept, frame_bytes, false);
}

static uint32_t trim(struct kept *kept)
{
    uint32_t trimmed = log_trim(&kept->log, &kept->window, kept->now_us);
    log_release(&kept->log, &kept->store, log_next_number(&kept->log));
    return trimmed;
}

static void an_empty_log_has_no_ends_and_nothing_to_trim(void **state)
{
    struct kept kept;
    begin(&kept, (struct window){ 1, 1, 1 });
    assert_int_equal(log_newest_seq(&kept.log), 0);
    assert_int_equal(trim(&kept), 0);
    end(&kept);
}

static void seqs_count_from_one_and_every_frame_is_found(void **state)
{
    struct kept kept;
    begin(&kept, unlimited);
    for (uint64_t seq = 1; seq <= 3000; seq++) {
        append(&kept, 20 + seq % 100, false);
        assert_int_equal(log_newest_seq(&kept.log), seq);
    }
    uint64_t bytes = 0;
    for (uint64_t seq = 1; seq <= 3000; seq++) {
        struct mark mark = chain_seek(&kept.log.chain, &kept.log.ends.tail, seq);
        assert_int_equal(ws_server_frame_bytes(chain_bytes(&kept.log.chain, mark.at)), 20 + seq % 100);
        bytes += 20 + seq % 100;
    }
    assert_int_equal(kept.log.window_bytes, bytes);
    end(&kept);
}

/* Windows that one limit cuts: what they hold at least, and that they hold little more. */
static void a_window_holds_what_it_promises_and_little_more(void **state)
{
    static const struct {
        uint64_t    updates_max, bytes_max;
        size_t      frame_bytes;
        uint64_t    held; /* newest updates at least */
        const char *why;
    } facts[] = {
        { 1, LARGE, 50, 1, "the newest alone" },
        { 10, LARGE, 50, 10, "ten" },
        { 1000, LARGE, 50, 1000, "a thousand" },
        { 1000, LARGE, 3000, 1000, "each in a segment of its own, at first" },
        { LARGE, 10000, 50, 200, "as many as 10,000 bytes hold" },
        { LARGE, 1, 50, 1, "the newest, however small the window" },
        { LARGE, 0, 50, 1, "even where it may hold nothing" },
        { 0, LARGE, 50, 1, "likewise" },
        { 3, 1000000, 300000, 3, "frames larger than any class of segments" },
    };
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        struct kept kept;
        begin(&kept, (struct window){ facts[i].updates_max, facts[i].bytes_max, LARGE });
        uint32_t largest_segment = 0;
        for (uint32_t n = 0; n < 3000 && kept.store.bytes_used < 30000000; n++) {
            append(&kept, facts[i].frame_bytes, false);
            trim(&kept);
            uint64_t held = log_newest_seq(&kept.log) - kept.log.ends.tail.seq + 1;
            uint64_t promised = facts[i].held < log_newest_seq(&kept.log) ? facts[i].held : log_newest_seq(&kept.log);
            if (held < promised) fail_msg("%s: %d held", facts[i].why, (int)held);
            assert_int_equal(kept.log.window_bytes, held * facts[i].frame_bytes);
            uint32_t size = chain_at(&kept.log.chain, kept.log.ends.head.segment)->segment->size;
            if (size > largest_segment) largest_segment = size;
        }
        /* By whole segments: beside what is promised the oldest and the newest one. */
        uint64_t most = facts[i].held * facts[i].frame_bytes + 2 * (uint64_t)largest_segment;
        if (kept.log.window_bytes > most) fail_msg("%s: %llu bytes held", facts[i].why, (unsigned long long)kept.log.window_bytes);
        end(&kept);
    }
}

static void what_is_too_old_goes_and_the_newest_stays(void **state)
{
    struct kept kept;
    begin(&kept, (struct window){ LARGE, LARGE, 60 * second });
    append_many(&kept, 100, 100);
    kept.now_us += 50 * second;
    append_many(&kept, 30, 100);
    assert_int_equal(trim(&kept), 0);
    kept.now_us += 11 * second;
    assert_true(trim(&kept) > 0);
    assert_true(kept.log.ends.tail.seq <= 101 && kept.log.ends.tail.seq > 50); /* the segment on the border holds both */
    kept.now_us += 3600 * second;
    trim(&kept);
    assert_int_equal(kept.log.ends.tail.at.segment, kept.log.ends.head.segment);
    assert_int_equal(kept.log.chain.count, 1);
    assert_int_equal(log_newest_seq(&kept.log), 130);
    end(&kept);
}

/* The age was taken modulo 2^64: windows were emptied when somebody set the clock back by a second. */
static void a_clock_set_back_ages_nothing(void **state)
{
    struct kept kept;
    begin(&kept, (struct window){ LARGE, LARGE, 60 * second });
    append_many(&kept, 200, 100);
    kept.now_us -= second;
    assert_int_equal(trim(&kept), 0);
    append(&kept, 100, false);
    assert_int_equal(trim(&kept), 0);
    assert_int_equal(kept.log.ends.tail.seq, 1);
    end(&kept);
}

static void without_marks_each_update_is_key(void **state)
{
    struct kept kept;
    begin(&kept, (struct window){ 10, LARGE, LARGE });
    for (int i = 0; i < 500; i++) {
        append(&kept, 100, false);
        trim(&kept);
        assert_int_equal(kept.log.ends.key.seq, kept.log.ends.last.seq);
        assert_int_equal(kept.log.ends.oldest_key.seq, kept.log.ends.tail.seq);
    }
    end(&kept);
}

static void from_the_first_mark_on_unmarked_ones_are_deltas(void **state)
{
    struct kept kept;
    begin(&kept, unlimited);
    append_many(&kept, 5, 100);
    append(&kept, 100, true);
    append_many(&kept, 5, 100);
    assert_int_equal(kept.log.ends.key.seq, 6);
    assert_int_equal(kept.log.ends.last.seq, 11);
    assert_int_equal(kept.log.ends.oldest_key.seq, 1); /* those before the first mark were keys */
    append(&kept, 100, true);
    assert_int_equal(kept.log.ends.key.seq, 12);
    end(&kept);
}

static void the_last_key_and_all_after_it_stay_whatever_their_age_and_count(void **state)
{
    struct kept kept;
    begin(&kept, (struct window){ 10, LARGE, second });
    append_many(&kept, 100, 100);
    append(&kept, 100, true);
    append_many(&kept, 500, 100);
    kept.now_us += 100 * second;
    trim(&kept);
    assert_true(kept.log.ends.tail.seq <= 101 && kept.log.ends.tail.seq > 50);
    assert_int_equal(kept.log.ends.oldest_key.seq, kept.log.ends.tail.seq < 101 ? kept.log.ends.tail.seq : 101);
    end(&kept);
}

static void a_key_goes_when_the_bytes_behind_it_fill_the_window(void **state)
{
    struct kept kept;
    begin(&kept, (struct window){ LARGE, 10000, LARGE });
    append(&kept, 100, true);
    for (int i = 0; i < 500; i++) {
        append(&kept, 100, false);
        trim(&kept);
        assert_true(kept.log.window_bytes >= 10000 || kept.log.ends.tail.seq == 1);
        bool key_is_held = kept.log.ends.key.seq >= kept.log.ends.tail.seq;
        assert_int_equal(kept.log.ends.oldest_key.seq, key_is_held ? 1 : 0);
    }
    assert_int_equal(kept.log.ends.key.seq, 1); /* known still: a snapshot tells a gap from there */
    assert_true(kept.log.ends.tail.seq > 1);
    append(&kept, 100, true);
    assert_int_equal(kept.log.ends.oldest_key.seq, 502);
    end(&kept);
}

static void the_oldest_key_is_found_anew_when_it_was_trimmed(void **state)
{
    struct kept kept;
    begin(&kept, (struct window){ 40, LARGE, LARGE });
    for (uint64_t seq = 1; seq <= 2000; seq++) {
        append(&kept, 60 + seq % 50, seq % 7 == 1);
        trim(&kept);
        uint64_t tail_seq = kept.log.ends.tail.seq, expected = tail_seq;
        while (expected % 7 != 1) expected++;
        assert_int_equal(kept.log.ends.oldest_key.seq, expected);
        struct mark sought = chain_seek(&kept.log.chain, &kept.log.ends.tail, expected);
        assert_int_equal(kept.log.ends.oldest_key.at.segment, sought.at.segment);
        assert_int_equal(kept.log.ends.oldest_key.at.offset, sought.at.offset);
    }
    end(&kept);
}

static void trimmed_segments_stay_while_they_are_on_loan(void **state)
{
    struct kept kept;
    begin(&kept, unlimited);
    append_many(&kept, 400, 100);
    kept.window = (struct window){ 1, LARGE, LARGE };
    uint32_t count = kept.log.chain.count;
    uint64_t used = kept.store.bytes_used;
    assert_true(count > 5);
    assert_int_equal(log_trim(&kept.log, &kept.window, kept.now_us), count - 1);
    log_release(&kept.log, &kept.store, SEGMENT_NUMBER_FIRST);
    assert_int_equal(kept.log.chain.count, count);
    assert_int_equal(kept.store.bytes_used, used); /* the budget counts what is on loan */
    log_release(&kept.log, &kept.store, SEGMENT_NUMBER_FIRST + 3);
    assert_int_equal(kept.log.chain.count, count - 3);
    log_release(&kept.log, &kept.store, log_next_number(&kept.log));
    assert_int_equal(kept.log.chain.count, 1); /* never what the window holds */
    end(&kept);
}

/* Compared as numbers, a topic whose segments came to the end of 32 bits freed what was on loan, or nothing any more. */
static void numbers_of_segments_go_over_the_end_of_32_bits(void **state)
{
    struct kept kept;
    begin(&kept, unlimited);
    append_many(&kept, 2000, 100);
    const struct chain *chain = &kept.log.chain;
    assert_true(chain->number == SEGMENT_NUMBER_FIRST && chain->count > 6 && chain->number + chain->count < chain->number);
    kept.window = (struct window){ 1, LARGE, LARGE };
    log_trim(&kept.log, &kept.window, kept.now_us);
    for (uint32_t held_from = SEGMENT_NUMBER_FIRST; held_from != log_next_number(&kept.log); held_from++) {
        log_release(&kept.log, &kept.store, held_from);
        assert_int_equal(chain->number, held_from);
    }
    assert_int_equal(chain->count, 1);
    end(&kept);
}

static void without_memory_nothing_changes(void **state)
{
    struct kept kept;
    begin(&kept, unlimited);
    append_many(&kept, 10, 80);
    struct ends before = kept.log.ends;
    kept.store.bytes_max = kept.store.bytes_used + 100;
    assert_null(log_reserve(&kept.log, &kept.store, &kept.window, 2000, kept.now_us));
    assert_memory_equal(&before, &kept.log.ends, sizeof before);
    append(&kept, 80, false); /* there is room left in the newest */
    assert_int_equal(log_newest_seq(&kept.log), 11);
    end(&kept);
}

static void segments_grow_with_the_traffic_and_shrink_again(void **state)
{
    struct kept kept;
    begin(&kept, unlimited);
    append_many(&kept, 20000, 100);
    uint32_t size = chain_at(&kept.log.chain, kept.log.ends.head.segment)->segment->size;
    assert_int_equal(size + sizeof(struct segment), SEGMENT_BYTES_MAX);
    for (int i = 0; i < 5000; i++) {
        kept.now_us += 10 * second;
        append(&kept, 1000, false);
    }
    size = chain_at(&kept.log.chain, kept.log.ends.head.segment)->segment->size;
    assert_int_equal(size + sizeof(struct segment), SEGMENT_BYTES_MIN);
    end(&kept);
}

static void a_quiet_topic_costs_the_smallest_segment(void **state)
{
    struct kept kept;
    begin(&kept, unlimited);
    append(&kept, 100, false);
    assert_int_equal(kept.store.bytes_used, SEGMENT_BYTES_MIN);
    end(&kept);
}

static void a_forgotten_log_begins_anew_with_other_segments(void **state)
{
    struct kept kept;
    begin(&kept, unlimited);
    append(&kept, 100, true);
    append_many(&kept, 50, 100);
    uint32_t newest = kept.log.ends.head.segment;
    log_forget(&kept.log);
    assert_int_equal(log_newest_seq(&kept.log), 0);
    log_release(&kept.log, &kept.store, newest); /* the newest is on loan still */
    assert_int_equal(kept.log.chain.count, 1);
    append(&kept, 100, false);
    assert_int_equal(log_newest_seq(&kept.log), 1);
    assert_int_equal(kept.log.ends.tail.at.segment, newest + 1);
    assert_int_equal(kept.log.ends.key.seq, 1); /* the marks are forgotten too */
    log_release(&kept.log, &kept.store, log_next_number(&kept.log));
    assert_int_equal(kept.log.chain.count, 1);
    log_forget(&kept.log);
    log_release(&kept.log, &kept.store, log_next_number(&kept.log));
    assert_int_equal(kept.store.bytes_used, 0);
    end(&kept);
}

/* ---- shrinking: a topic that was hot once --------------------------------------------------------------------------- */

static bool shrink(struct kept *kept)
{
    bool shrunk = log_shrink(&kept->log, &kept->store, &kept->window, kept->now_us);
    log_release(&kept->log, &kept->store, log_next_number(&kept->log));
    return shrunk;
}

/* Grows a log to one segment of 256 KiB. */
static void be_hot(struct kept *kept)
{
    for (uint32_t i = 0; i < 8000; i++) append(kept, 120, false);
    kept->window.updates_max = 1;
    trim(kept);
    kept->window.updates_max = LARGE;
    assert_true(kept->log.newest_total > 64 * 1024);
}

static void what_is_too_old_leaves_the_newest_update_in_a_small_segment(void **state)
{
    struct kept kept;
    begin(&kept, (struct window){ LARGE, LARGE, 300 * second });
    be_hot(&kept);
    uint64_t newest = log_newest_seq(&kept.log);
    kept.now_us += 300 * second;
    assert_false(shrink(&kept)); /* not older than the age yet */
    kept.now_us++;
    uint32_t before = kept.log.ends.head.segment;
    assert_true(shrink(&kept));
    assert_int_equal(kept.store.bytes_used, SEGMENT_BYTES_MIN);
    assert_int_equal(kept.log.ends.tail.seq, newest);
    assert_int_equal(kept.log.ends.last.seq, newest);
    assert_int_equal(kept.log.ends.key.seq, newest);
    assert_int_equal(kept.log.ends.head.segment, before + 1);
    assert_int_equal(kept.log.window_bytes, 120);
    assert_int_equal(ws_server_frame_bytes(chain_bytes(&kept.log.chain, kept.log.ends.last.at)), 120);
    assert_false(shrink(&kept)); /* it fits now */
    append_many(&kept, 100, 120);
    assert_int_equal(log_newest_seq(&kept.log), newest + 100);
    for (uint64_t seq = newest; seq <= newest + 100; seq++)
        assert_int_equal(chain_seek(&kept.log.chain, &kept.log.ends.tail, seq).seq, seq);
    end(&kept);
}

static void of_a_keyed_topic_the_last_key_and_all_after_it_stay(void **state)
{
    struct kept kept;
    begin(&kept, (struct window){ LARGE, LARGE, 300 * second });
    be_hot(&kept);
    append(&kept, 100, true);
    append_many(&kept, 5, 50);
    uint64_t key = log_newest_seq(&kept.log) - 5;
    kept.now_us += 301 * second;
    kept.window.updates_max = 1;
    trim(&kept);
    assert_true(shrink(&kept));
    assert_int_equal(kept.log.ends.tail.seq, key);
    assert_int_equal(kept.log.ends.key.seq, key);
    assert_int_equal(kept.log.ends.oldest_key.seq, key);
    assert_int_equal(kept.log.ends.last.seq, key + 5);
    assert_int_equal(kept.log.ends.head.offset, 100 + 5 * 50);
    struct mark last = chain_seek(&kept.log.chain, &kept.log.ends.tail, key + 5);
    assert_int_equal(last.at.offset, kept.log.ends.last.at.offset);
    end(&kept);
}

static void deltas_stay_though_their_key_has_left_the_window(void **state)
{
    struct kept kept;
    begin(&kept, (struct window){ LARGE, LARGE, 300 * second });
    be_hot(&kept);
    append(&kept, 100, true);
    uint32_t of_key = kept.log.ends.head.segment;
    while (kept.log.ends.head.segment == of_key) append(&kept, 1000, false);
    uint64_t first = log_newest_seq(&kept.log);
    append_many(&kept, 5, 50);
    assert_true(log_trim(&kept.log, &(struct window){ 0 }, kept.now_us) > 0); /* memory was short */
    log_release(&kept.log, &kept.store, log_next_number(&kept.log));
    kept.now_us += 301 * second;
    assert_true(shrink(&kept));
    assert_int_equal(kept.log.ends.tail.seq, first);
    assert_true(kept.log.ends.key.seq < first);
    assert_int_equal(kept.log.ends.oldest_key.seq, 0);
    assert_int_equal(kept.log.ends.head.offset, 1000 + 5 * 50);
    end(&kept);
}

static void a_segment_on_loan_stays_until_it_comes_back(void **state)
{
    struct kept kept;
    begin(&kept, (struct window){ LARGE, LARGE, 300 * second });
    be_hot(&kept);
    uint64_t large = kept.store.bytes_used;
    uint32_t lent = kept.log.ends.head.segment;
    kept.now_us += 301 * second;
    assert_true(log_shrink(&kept.log, &kept.store, &kept.window, kept.now_us));
    log_release(&kept.log, &kept.store, lent); /* somebody holds it still */
    assert_int_equal(kept.store.bytes_used, large + SEGMENT_BYTES_MIN);
    log_release(&kept.log, &kept.store, lent + 1);
    assert_int_equal(kept.store.bytes_used, SEGMENT_BYTES_MIN);
    end(&kept);
}

static void a_full_budget_does_not_keep_a_log_from_shrinking(void **state)
{
    struct kept kept;
    begin(&kept, (struct window){ LARGE, LARGE, 300 * second });
    be_hot(&kept);
    uint32_t newest = kept.log.ends.head.segment;
    kept.store.bytes_max = kept.store.bytes_used + SEGMENT_BYTES_MIN; /* what is spared */
    assert_int_equal(segment_store_spare(&kept.store), SEGMENT_BYTES_MIN);
    assert_null(segment_take(&kept.store, newest + 1, 1, 100, 100));
    kept.now_us += 301 * second;
    assert_true(shrink(&kept));
    assert_int_equal(kept.store.bytes_used, SEGMENT_BYTES_MIN);
    end(&kept);
}

/* What was reserved and cancelled leaves no trace: not in the ends, not in the budget, not in the size of what comes next. */
static void a_cancelled_reservation_is_as_if_it_had_never_been(void **state)
{
    static const struct {
        uint32_t    before;   /* frames of 100 bytes */
        size_t      reserved;
        const char *why;
    } facts[] = {
        { 0, 100, "the first of all" },
        { 1, 100, "room behind the newest" },
        { 5, 5000, "a new segment" },
        { 9, 100, "a new segment, as the first is full" },
        { 5, 400000, "a new one larger than any class" },
    };
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        struct kept kept, twin;
        begin(&kept, unlimited);
        begin(&twin, unlimited);
        append_many(&kept, facts[i].before, 100);
        append_many(&twin, facts[i].before, 100);
        for (int times = 0; times < 12; times++) {
            assert_non_null(log_reserve(&kept.log, &kept.store, &kept.window, facts[i].reserved, kept.now_us));
            log_cancel(&kept.log, &kept.store);
        }
        if (memcmp(&kept.log.ends, &twin.log.ends, sizeof kept.log.ends) != 0) fail_msg("%s: the ends moved", facts[i].why);
        assert_int_equal(kept.store.bytes_used, twin.store.bytes_used);
        assert_int_equal(kept.log.chain.count, twin.log.chain.count);
        append_many(&kept, 300, 100);
        append_many(&twin, 300, 100);
        if (kept.store.bytes_used != twin.store.bytes_used) fail_msg("%s: what comes after takes %d bytes, not %d", facts[i].why, (int)kept.store.bytes_used, (int)twin.store.bytes_used);
        assert_int_equal(log_newest_seq(&kept.log), facts[i].before + 300);
        for (uint64_t seq = 1; seq <= facts[i].before + 300; seq++) assert_int_equal(chain_frame_bytes(&kept.log.chain, chain_seek(&kept.log.chain, &kept.log.ends.tail, seq).at), 100);
        end(&kept);
        end(&twin);
    }
}

static void a_log_that_is_filled_later_goes_on_with_the_seq_of_another(void **state)
{
    struct kept kept;
    begin(&kept, unlimited);
    kept.log.before_seq = 41;
    append(&kept, 100, false);
    assert_int_equal(kept.log.ends.tail.seq, 42);
    assert_int_equal(log_newest_seq(&kept.log), 42);
    append_many(&kept, 100, 100);
    assert_int_equal(log_newest_seq(&kept.log), 142);
    assert_int_equal(chain_at(&kept.log.chain, kept.log.ends.tail.at.segment)->segment->first_seq, 42);
    assert_int_equal(chain_seek(&kept.log.chain, &kept.log.ends.tail, 100).seq, 100);
    log_forget(&kept.log);
    log_release(&kept.log, &kept.store, log_next_number(&kept.log));
    append(&kept, 100, false);
    assert_int_equal(log_newest_seq(&kept.log), 1);
    end(&kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_log_has_no_ends_and_nothing_to_trim),
        cmocka_unit_test(seqs_count_from_one_and_every_frame_is_found),
        cmocka_unit_test(a_window_holds_what_it_promises_and_little_more),
        cmocka_unit_test(what_is_too_old_goes_and_the_newest_stays),
        cmocka_unit_test(a_clock_set_back_ages_nothing),
        cmocka_unit_test(without_marks_each_update_is_key),
        cmocka_unit_test(from_the_first_mark_on_unmarked_ones_are_deltas),
        cmocka_unit_test(the_last_key_and_all_after_it_stay_whatever_their_age_and_count),
        cmocka_unit_test(a_key_goes_when_the_bytes_behind_it_fill_the_window),
        cmocka_unit_test(the_oldest_key_is_found_anew_when_it_was_trimmed),
        cmocka_unit_test(trimmed_segments_stay_while_they_are_on_loan),
        cmocka_unit_test(numbers_of_segments_go_over_the_end_of_32_bits),
        cmocka_unit_test(without_memory_nothing_changes),
        cmocka_unit_test(segments_grow_with_the_traffic_and_shrink_again),
        cmocka_unit_test(a_quiet_topic_costs_the_smallest_segment),
        cmocka_unit_test(a_forgotten_log_begins_anew_with_other_segments),
        cmocka_unit_test(what_is_too_old_leaves_the_newest_update_in_a_small_segment),
        cmocka_unit_test(of_a_keyed_topic_the_last_key_and_all_after_it_stay),
        cmocka_unit_test(deltas_stay_though_their_key_has_left_the_window),
        cmocka_unit_test(a_segment_on_loan_stays_until_it_comes_back),
        cmocka_unit_test(a_full_budget_does_not_keep_a_log_from_shrinking),
        cmocka_unit_test(a_cancelled_reservation_is_as_if_it_had_never_been),
        cmocka_unit_test(a_log_that_is_filled_later_goes_on_with_the_seq_of_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
