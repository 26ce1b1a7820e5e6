/* Cursors: what is sent next, what is told before it, and where a send that was cut goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/proto/ws_frame.h"
#include "tests/support/kit.h"

/* One frame fills a segment, and so slow a topic keeps the smallest ones: a window of n updates holds exactly those. */
enum { FILLS_A_SEGMENT = 900, FRAME_BYTES = 955 };

static uint64_t publish_slowly(struct kit *kit, bool key)
{
    char data[FILLS_A_SEGMENT + 1];
    memset(data, '7', FILLS_A_SEGMENT);
    data[FILLS_A_SEGMENT] = '\0';
    kit->clock.wall_us += 20000000;
    return key ? kit_publish_key(kit, "A", data) : kit_publish(kit, "A", data);
}

static void where_sending_goes_on(void **state)
{
    static const struct {
        const char *updates; /* K: marked as key */
        uint32_t    held;    /* the newest so many, cut by bytes */
        int         seen;    /* the subscriber's last, resumed from there; -1: it saw nothing */
        const char *every, *latest;
        const char *why;
    } facts[] = {
        { ".....", 5, 0, "A 1 2 3 4 5", "A 5", "from the beginning" },
        { ".....", 5, 2, "A 3 4 5", "A 5", "all after it; the newest" },
        { ".....", 5, 4, "A 5", "A 5", "one is due" },
        { ".....", 5, 5, "", "", "nothing is newer" },
        { ".....", 5, -1, "A 5", "A 5", "a snapshot is the newest" },
        { ".....", 2, 3, "A 4 5", "A 5", "the window just holds what is due" },
        { ".....", 2, 2, "A gap 3-3 4 5", "A 5", "one was lost: latest has no gaps without marks" },
        { ".....", 2, 0, "A gap 1-3 4 5", "A 5", "likewise" },
        { ".....", 1, 1, "A gap 2-4 5", "A 5", "only the newest is held" },
        { "K..K...", 7, 0, "A 1 2 3 4 5 6 7", "A 4 5 6 7", "latest goes on from the newest key" },
        { "K..K...", 7, 1, "A 2 3 4 5 6 7", "A 4 5 6 7", "likewise" },
        { "K..K...", 7, 3, "A 4 5 6 7", "A 4 5 6 7", "the key itself is due" },
        { "K..K...", 7, 4, "A 5 6 7", "A 5 6 7", "no newer key: no delta may be left out" },
        { "K..K...", 7, 6, "A 7", "A 7", "likewise" },
        { "K..K...", 7, -1, "A 4 5 6 7", "A 4 5 6 7", "a snapshot begins with the last key" },
        { "K..K..K..", 7, 1, "A gap 2-3 4 5 6 7 8 9", "A 7 8 9", "outrun, every goes on from the oldest key" },
        { "K..K..K..", 7, 2, "A 3 4 5 6 7 8 9", "A 7 8 9", "the window holds what is due, though no key" },
        { "K..K...", 2, 4, "A gap 5-5 6 7", "A gap 5-5 6 7", "the last key is out of the window" },
        { "K..K...", 2, 1, "A gap 2-5 6 7", "A gap 2-5 6 7", "likewise: latest lost deltas, and is told" },
        { "K..K...", 2, 5, "A 6 7", "A 6 7", "but what is due is held" },
        { "K..K...", 2, -1, "A gap 4-5 6 7", "A gap 4-5 6 7", "a snapshot whose key is gone" },
        { "..K..", 5, 0, "A 1 2 3 4 5", "A 3 4 5", "before the first mark each was key" },
        { "..K..", 4, 0, "A gap 1-1 2 3 4 5", "A 3 4 5", "so the oldest key is the oldest update" },
    };
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        struct kit *kit = kit_make(&(struct kit_settings){ .window = { .bytes_max = (uint64_t)facts[i].held * FRAME_BYTES } });
        for (const char *update = facts[i].updates; *update; update++) publish_slowly(kit, *update == 'K');
        kit_turn(kit);
        const struct topic *topic = kit_topic(kit, "A");
        assert_int_equal(topic->log.ends.last.seq - topic->log.ends.tail.seq + 1, facts[i].held);
        struct span epoch = span_of(topic->epoch, EPOCH_BYTES);
        for (uint32_t mode = MODE_LATEST; mode <= MODE_EVERY; mode++) {
            if (facts[i].seen < 0) kit_subscribe(kit, mode, "A", mode);
            else assert_true(kit_resume(kit, mode, "A", mode, epoch, (uint64_t)facts[i].seen).resumed);
            const char *sent = kit_sent(kit, mode), *expected = mode == MODE_EVERY ? facts[i].every : facts[i].latest;
            if (strcmp(sent, expected) != 0) fail_msg("%s (%s): \"%s\" was sent, not \"%s\"", facts[i].why, mode == MODE_EVERY ? "every" : "latest", sent, expected);
            assert_string_equal(kit_sent(kit, mode), "");
        }
        kit_free(kit);
    }
}

static void latest_misses_nothing_while_it_keeps_up(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    kit_publish(kit, "A", "1");
    kit_subscribe(kit, 0, "A", MODE_LATEST);
    assert_string_equal(kit_sent(kit, 0), "A 1");
    for (int i = 0; i < 3; i++) kit_publish(kit, "A", "1");
    assert_string_equal(kit_sent(kit, 0), "A 2 3 4");
    kit_free(kit);
}

/* The position of one that resumed at the newest was not known, and unknown counted as far behind. */
static void latest_that_resumed_with_everything_misses_nothing_after_it(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    kit_publish(kit, "A", "1");
    kit_resume(kit, 0, "A", MODE_LATEST, span_of(kit_topic(kit, "A")->epoch, EPOCH_BYTES), 1);
    for (int i = 0; i < 3; i++) kit_publish(kit, "A", "1");
    assert_string_equal(kit_sent(kit, 0), "A 2 3 4");
    kit_free(kit);
}

static void latest_that_is_behind_gets_the_newest(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    kit_publish(kit, "A", "1");
    kit_subscribe(kit, 0, "A", MODE_LATEST);
    kit_sent(kit, 0);
    for (int i = 0; i < 3; i++) kit_publish(kit, "A", "1");
    kit_subscriber(kit, 0)->behind = true;
    assert_string_equal(kit_sent(kit, 0), "A 4");
    assert_int_equal(counter_read(&kit->counters, COUNTER_UPDATES_SUPERSEDED), 2);
    kit_free(kit);
}

static void latest_with_more_than_one_pass_pending_gets_the_newest(void **state)
{
    static const size_t sizes[] = { 100, 5000, 70000 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct kit *kit = kit_make(&(struct kit_settings){ 0 });
        kit_publish(kit, "A", "1");
        kit_subscribe(kit, 0, "A", MODE_LATEST);
        kit_sent(kit, 0);
        uint64_t seq = 1;
        for (size_t bytes = 0; bytes <= RANGE_BYTES_MAX; bytes += sizes[i]) seq = kit_publish_bytes(kit, "A", sizes[i]);
        char expected[20];
        snprintf(expected, sizeof expected, "A %d", (int)seq);
        assert_string_equal(kit_sent(kit, 0), expected);
        kit_free(kit);
    }
}

/* Takes what would be sent first, and sends nothing of it. */
static void take_and_leave(struct kit *kit, uint32_t subscriber)
{
    engine_tell(&kit->engine);
    uint32_t index = engine_take_dirty(&kit->engine, kit_subscriber(kit, subscriber));
    struct subscription *subscription = subscription_at(&kit->engine.locals.subscriptions, index);
    struct cursor_news news;
    assert_true(cursor_advance(kit_local(kit, "A"), subscription, true, &kit->counters, &news));
    assert_int_equal(news.gap_to, 0);
    engine_unsent(&kit->engine, index);
}

/* The gap began where the jump had led, though what lay before was neither sent nor told. */
static void a_gap_after_a_jump_that_was_not_sent_begins_behind_the_last_sent(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ .window = { .bytes_max = 3 * FRAME_BYTES } });
    publish_slowly(kit, true);
    kit_subscribe(kit, 0, "A", MODE_LATEST);
    assert_string_equal(kit_sent(kit, 0), "A 1");
    publish_slowly(kit, false);
    publish_slowly(kit, true);
    take_and_leave(kit, 0); /* it jumped to 3 */
    for (int i = 0; i < 4; i++) publish_slowly(kit, false);
    kit_turn(kit);
    assert_string_equal(kit_sent(kit, 0), "A gap 2-4 5 6 7");
    kit_free(kit);
}

/* What a jump had left out that was never sent was lost without a gap. */
static void latest_to_every_goes_on_from_the_last_sent_though_a_jump_was_staged(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    publish_slowly(kit, false);
    kit_subscribe(kit, 0, "A", MODE_LATEST);
    assert_string_equal(kit_sent(kit, 0), "A 1");
    for (int i = 0; i < 3; i++) publish_slowly(kit, false);
    take_and_leave(kit, 0); /* it jumped to 4 */
    kit_subscribe(kit, 0, "A", MODE_EVERY);
    assert_string_equal(kit_sent(kit, 0), "A 2 3 4");
    kit_free(kit);
}

static void every_to_latest_skips_on(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    kit_publish(kit, "A", "1");
    kit_subscribe(kit, 0, "A", MODE_EVERY);
    kit_sent(kit, 0);
    for (int i = 0; i < 3; i++) kit_publish(kit, "A", "1");
    kit_subscribe(kit, 0, "A", MODE_LATEST);
    assert_string_equal(kit_sent(kit, 0), "A 4");
    kit_free(kit);
}

/* A change while nothing was pending left out what came afterwards. */
static void every_to_latest_with_nothing_pending_skips_nothing_later(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    kit_publish(kit, "A", "1");
    kit_subscribe(kit, 0, "A", MODE_EVERY);
    kit_sent(kit, 0);
    kit_subscribe(kit, 0, "A", MODE_LATEST);
    for (int i = 0; i < 3; i++) kit_publish(kit, "A", "1");
    assert_string_equal(kit_sent(kit, 0), "A 2 3 4");
    kit_free(kit);
}

/* A topic with many frames over many segments, and one subscription that has all of it before it. */
static struct subscription *long_range(struct kit *kit, size_t bytes, int count)
{
    kit_subscribe(kit, 0, "A", MODE_EVERY);
    for (int i = 0; i < count; i++) kit_publish_bytes(kit, "A", bytes + (size_t)i % 7);
    engine_tell(&kit->engine);
    struct subscription *subscription = kit_subscription(kit, 0, "A");
    struct cursor_news news;
    assert_true(cursor_advance(kit_local(kit, "A"), subscription, false, &kit->counters, &news));
    return subscription;
}

static void a_cut_takes_whole_frames_up_to_its_bound_and_at_least_one(void **state)
{
    static const size_t sizes[] = { 1, 100, 3000, 60000, 65000, 66000, 300000 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct kit *kit = kit_make(&(struct kit_settings){ 0 });
        struct subscription *subscription = long_range(kit, sizes[i], 1000000 / (int)(sizes[i] + 60) + 3);
        struct local_topic *local = kit_local(kit, "A");
        while (subscription->next_seq <= local->ends.last.seq) {
            struct range range;
            cursor_cut(local, subscription, &range);
            uint64_t bytes = 0, frames = range.to.seq - range.from.seq;
            struct mark mark = range.from;
            for (uint64_t n = 0; n < frames; n++) {
                bytes += ws_server_frame_bytes(chain_bytes(&local->chain, mark.at));
                mark = chain_next(&local->chain, mark);
            }
            assert_int_equal(range.bytes, bytes);
            assert_true(frames == 1 || bytes <= RANGE_BYTES_MAX);
            struct range again;
            cursor_cut(local, subscription, &again); /* from memory */
            assert_memory_equal(&again, &range, sizeof range);
            bool at_head = range.to.seq > local->ends.last.seq;
            if (!at_head) assert_true(bytes + ws_server_frame_bytes(chain_bytes(&local->chain, mark.at)) > RANGE_BYTES_MAX);
            subscription->next_seq = range.to.seq;
            subscription->at = range.to.at;
        }
        kit_free(kit);
    }
}

static void pieces_are_the_range_and_end_at_a_segment_where_there_is_no_room_for_more(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    struct subscription *subscription = long_range(kit, 200, 200);
    struct local_topic *local = kit_local(kit, "A");
    struct range whole;
    cursor_cut(local, subscription, &whole);
    struct piece pieces[64];
    struct range range = whole;
    uint32_t all = range_pieces(local, &range, pieces, 64);
    assert_true(all > 4);
    assert_memory_equal(&range, &whole, sizeof whole);
    for (uint32_t most = 1; most < all; most++) {
        range = whole;
        assert_int_equal(range_pieces(local, &range, pieces, most), most);
        uint64_t bytes = 0;
        for (uint32_t i = 0; i < most; i++) bytes += pieces[i].size;
        assert_int_equal(range.bytes, bytes);
        struct mark mark = range.from;
        while (mark.seq < range.to.seq) mark = chain_next(&local->chain, mark);
        assert_int_equal(mark.at.segment, range.to.at.segment);
        assert_int_equal(mark.at.offset, range.to.at.offset);
    }
    kit_free(kit);
}

static void a_send_cut_at_any_byte_is_found_in_its_frame(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    struct subscription *subscription = long_range(kit, 150, 60);
    struct local_topic *local = kit_local(kit, "A");
    struct range range;
    cursor_cut(local, subscription, &range);
    struct mark mark = range.from;
    uint64_t before = 0;
    for (uint64_t sent = 0; sent <= range.bytes; sent++) {
        uint64_t frame_bytes = sent < range.bytes ? ws_server_frame_bytes(chain_bytes(&local->chain, mark.at)) : sent - before;
        if (sent - before == frame_bytes) {
            before = sent;
            mark = chain_next(&local->chain, mark);
        }
        uint64_t into;
        struct mark found = range_sent(local, &range, sent, &into);
        assert_int_equal(found.seq, mark.seq);
        assert_int_equal(into, sent - before);
        assert_int_equal(found.at.segment, mark.at.segment);
        assert_int_equal(found.at.offset, mark.at.offset);
    }
    assert_int_equal(mark.seq, range.to.seq);
    kit_free(kit);
}

static void gaps_are_counted_with_what_they_stand_for(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ .window = { .bytes_max = 2 * FRAME_BYTES } });
    publish_slowly(kit, false);
    kit_subscribe(kit, 0, "A", MODE_EVERY);
    kit_sent(kit, 0);
    for (int i = 0; i < 6; i++) publish_slowly(kit, false);
    kit_turn(kit);
    assert_string_equal(kit_sent(kit, 0), "A gap 2-5 6 7");
    assert_int_equal(counter_read(&kit->counters, COUNTER_GAPS), 1);
    assert_int_equal(counter_read(&kit->counters, COUNTER_GAP_UPDATES), 4);
    assert_int_equal(counter_read(&kit->counters, COUNTER_FRAMES_SENT), 3);
    kit_free(kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(where_sending_goes_on),
        cmocka_unit_test(latest_misses_nothing_while_it_keeps_up),
        cmocka_unit_test(latest_that_resumed_with_everything_misses_nothing_after_it),
        cmocka_unit_test(latest_that_is_behind_gets_the_newest),
        cmocka_unit_test(latest_with_more_than_one_pass_pending_gets_the_newest),
        cmocka_unit_test(a_gap_after_a_jump_that_was_not_sent_begins_behind_the_last_sent),
        cmocka_unit_test(latest_to_every_goes_on_from_the_last_sent_though_a_jump_was_staged),
        cmocka_unit_test(every_to_latest_skips_on),
        cmocka_unit_test(every_to_latest_with_nothing_pending_skips_nothing_later),
        cmocka_unit_test(a_cut_takes_whole_frames_up_to_its_bound_and_at_least_one),
        cmocka_unit_test(pieces_are_the_range_and_end_at_a_segment_where_there_is_no_room_for_more),
        cmocka_unit_test(a_send_cut_at_any_byte_is_found_in_its_frame),
        cmocka_unit_test(gaps_are_counted_with_what_they_stand_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
