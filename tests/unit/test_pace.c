/* Paces: never more updates of a topic than max_hz allows, never fewer where there are more, always ending on the newest; a lone one at
 * once, and nothing while it is idle. The clock is virtual. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core/base/random.h"
#include "tests/support/kit.h"

#define BEGIN_US UINT64_C(1000000)

static enum subscribe_verdict try_subscribe(struct kit *kit, uint32_t subscriber, const char *topic, enum mode mode, double max_hz)
{
    struct subscribe_ask ask = { .topic = span_of_string(topic), .mode = mode, .snapshot = true, .max_hz = max_hz };
    struct subscribe_reply reply;
    return engine_subscribe(&kit->engine, subscriber, &ask, &reply);
}

static void subscribe(struct kit *kit, const char *topic, enum mode mode, double max_hz)
{
    assert_int_equal(try_subscribe(kit, 0, topic, mode, max_hz), SUBSCRIBE_DONE);
}

/* A turn so long after the beginning; what the subscriber is sent in it. */
static const char *turn_at(struct kit *kit, uint64_t us)
{
    kit->clock.mono_us = BEGIN_US + us;
    engine_tick(&kit->engine);
    return kit_sent(kit, 0);
}

static void publish(struct kit *kit, const char *updates)
{
    for (; *updates; updates++) {
        if (*updates == 'K') kit_publish_key(kit, "A", "1");
        else kit_publish(kit, "A", "1");
    }
}

static uint8_t list_of(const struct kit *kit, const char *topic)
{
    return kit_subscription(kit, 0, topic)->list;
}

/* ---- what is sent when --------------------------------------------------------------------------------------------------- */

/* Before a turn so many updates are published (K: marked as key), and then it is asked for at so many hertz (-1: not asked, EVERY: in mode
 * `every`, END: unsubscribed). */
enum { EVERY = -2, END = -3 };
struct step {
    uint64_t    ms;
    const char *published;
    const char *sent;
    double      asked;
};
#define NOT_ASKED(ms, published, sent) { ms, published, sent, -1 }

static void what_is_sent_when(void **state)
{
    enum { STEPS_MAX = 12 };
    static const struct {
        const char *why;
        const char *published; /* before it subscribes, with a snapshot */
        double      max_hz;
        struct step steps[STEPS_MAX];
    } facts[] = {
        { "the snapshot is one; what comes while it rests is skipped but for the newest", ".", 4,
          { NOT_ASKED(0, "", "A 1"), NOT_ASKED(10, "..", ""), NOT_ASKED(249, ".", ""), NOT_ASKED(250, "", "A 4"), NOT_ASKED(251, ".", ""), NOT_ASKED(499, "", ""), NOT_ASKED(500, "", "A 5"), NOT_ASKED(750, "", ""), NOT_ASKED(2000, "", "") } },
        { "a lone update after an idle time leaves at once, and then it rests", ".", 4,
          { NOT_ASKED(0, "", "A 1"), NOT_ASKED(250, "", ""), NOT_ASKED(900, ".", "A 2"), NOT_ASKED(901, ".", ""), NOT_ASKED(1156, "", ""), NOT_ASKED(1157, "", "A 3") } },
        { "a feed of exactly that rate loses nothing", ".", 4,
          { NOT_ASKED(0, "", "A 1"), NOT_ASKED(250, ".", "A 2"), NOT_ASKED(500, ".", "A 3"), NOT_ASKED(750, ".", "A 4"), NOT_ASKED(1000, ".", "A 5") } },
        { "a turn that is late does not slow it down", ".", 4,
          { NOT_ASKED(0, "", "A 1"), NOT_ASKED(251, ".", "A 2"), NOT_ASKED(502, ".", "A 3"), NOT_ASKED(752, ".", "A 4"), NOT_ASKED(1000, ".", "A 5") } },
        { "nor does it bring two together", ".", 4,
          { NOT_ASKED(0, "", "A 1"), NOT_ASKED(265, ".", "A 2"), NOT_ASKED(500, ".", ""), NOT_ASKED(512, "", ""), NOT_ASKED(513, "", "A 3"), NOT_ASKED(760, ".", ""), NOT_ASKED(763, "", "A 4") } },
        { "a fraction of a hertz", ".", 0.5,
          { NOT_ASKED(0, "", "A 1"), NOT_ASKED(1, ".", ""), NOT_ASKED(1999, ".", ""), NOT_ASKED(2000, "", "A 3"), NOT_ASKED(3999, ".", ""), NOT_ASKED(4000, "", "A 4") } },
        { "so rare that it is once a day", ".", 1e-9,
          { NOT_ASKED(0, "", "A 1"), NOT_ASKED(1, ".", ""), NOT_ASKED(86399999, "", ""), NOT_ASKED(86400000 + 5400000, "", "A 2") } },
        { "the smallest number is no other", ".", 4.9e-324,
          { NOT_ASKED(0, "", "A 1"), NOT_ASKED(1, ".", ""), NOT_ASKED(86399999, "", ""), NOT_ASKED(86400000 + 5400000, "", "A 2") } },
        { "so often that it is each millisecond", ".", 1e300,
          { NOT_ASKED(0, "", "A 1"), NOT_ASKED(0, ".", ""), NOT_ASKED(1, "", "A 2"), NOT_ASKED(2, "..", "A 4"), NOT_ASKED(3, ".", "A 5") } },
        { "a topic born while it is awaited", "", 4,
          { NOT_ASKED(0, "", ""), NOT_ASKED(100, "..", "A born 2"), NOT_ASKED(101, ".", ""), NOT_ASKED(359, "", ""), NOT_ASKED(360, "", "A 3") } },
        { "with keys a range is one: all deltas since", "K", 4,
          { NOT_ASKED(0, "", "A 1"), NOT_ASKED(10, ".", ""), NOT_ASKED(20, ".", ""), NOT_ASKED(250, "", "A 2 3"), NOT_ASKED(260, ".", ""), NOT_ASKED(500, ".", "A 4 5") } },
        { "or the newest key and all after it", "K.", 4,
          { NOT_ASKED(0, "", "A 1 2"), NOT_ASKED(10, ".K..K.", ""), NOT_ASKED(250, "", "A 7 8"), NOT_ASKED(260, ".K", ""), NOT_ASKED(500, "", "A 10"), NOT_ASKED(600, "", ""), NOT_ASKED(900, ".", "A 11") } },
        { "a lower rate counts from the last send", ".", 4,
          { NOT_ASKED(0, "", "A 1"), { 10, ".", "", 1 }, NOT_ASKED(250, "", ""), NOT_ASKED(999, "", ""), NOT_ASKED(1000, "", "A 2") } },
        { "even where it has rested enough already", ".", 4,
          { NOT_ASKED(0, "", "A 1"), NOT_ASKED(300, "", ""), { 310, "", "", 1 }, NOT_ASKED(320, ".", ""), NOT_ASKED(999, "", ""), NOT_ASKED(1000, "", "A 2") } },
        { "and has something to send", ".", 4,
          { NOT_ASKED(0, "", "A 1"), { 300, ".", "", 1 }, NOT_ASKED(999, "", ""), NOT_ASKED(1000, "", "A 2") } },
        { "so does a higher one", ".", 1,
          { NOT_ASKED(0, "", "A 1"), { 100, ".", "", 4 }, NOT_ASKED(249, "", ""), NOT_ASKED(250, "", "A 2"), NOT_ASKED(251, ".", ""), NOT_ASKED(500, "", "A 3") } },
        { "one whose time is over already ends the rest", ".", 1,
          { NOT_ASKED(0, "", "A 1"), { 300, ".", "A 2", 4 }, NOT_ASKED(301, ".", ""), NOT_ASKED(562, "", ""), NOT_ASKED(563, "", "A 3") } },
        { "asked for again it changes nothing", ".", 4,
          { NOT_ASKED(0, "", "A 1"), { 100, ".", "", 4 }, NOT_ASKED(249, "", ""), { 250, "", "A 2", 4 } } },
        { "0 ends the rest, with the newest", ".", 4,
          { NOT_ASKED(0, "", "A 1"), NOT_ASKED(10, "...", ""), { 20, "", "A 4", 0 }, NOT_ASKED(21, "..", "A 5 6"), NOT_ASKED(1000, "", "") } },
        { "0 while nothing is new", ".", 4,
          { NOT_ASKED(0, "", "A 1"), { 20, "", "", 0 }, NOT_ASKED(21, "..", "A 2 3") } },
        { "every goes on from the last sent", ".", 4,
          { NOT_ASKED(0, "", "A 1"), NOT_ASKED(10, "...", ""), { 20, "", "A 2 3 4", EVERY }, NOT_ASKED(21, "..", "A 5 6"), { 30, "..", "A 8", 4 }, NOT_ASKED(281, ".", ""), NOT_ASKED(282, "", "A 9") } },
        { "a limit for one without begins with its next update", ".", 0,
          { NOT_ASKED(0, "", "A 1"), NOT_ASKED(10, "..", "A 2 3"), { 20, ".", "A 4", 4 }, NOT_ASKED(21, ".", ""), NOT_ASKED(281, "", ""), NOT_ASKED(282, "", "A 5") } },
        { "unsubscribed while it rests, and again", ".", 4,
          { NOT_ASKED(0, "", "A 1"), { 20, ".", "", END }, NOT_ASKED(300, "", ""), { 310, ".", "A 3", 4 }, NOT_ASKED(311, ".", ""), NOT_ASKED(562, "", ""), NOT_ASKED(563, "", "A 4") } },
    };
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        struct kit *kit = kit_make(&(struct kit_settings){ 0 });
        publish(kit, facts[i].published);
        subscribe(kit, "A", MODE_LATEST, facts[i].max_hz);
        for (size_t n = 0; n < STEPS_MAX && facts[i].steps[n].sent; n++) {
            const struct step *step = &facts[i].steps[n];
            kit->clock.mono_us = BEGIN_US + step->ms * 1000;
            publish(kit, step->published);
            if (step->asked >= 0) subscribe(kit, "A", MODE_LATEST, step->asked);
            if (step->asked == EVERY) subscribe(kit, "A", MODE_EVERY, 0);
            if (step->asked == END) kit_unsubscribe(kit, 0, "A");
            const char *sent = turn_at(kit, step->ms * 1000);
            if (strcmp(sent, step->sent) != 0) fail_msg("%s: at %llu ms \"%s\" was sent, not \"%s\"", facts[i].why, (unsigned long long)step->ms, sent, step->sent);
        }
        kit_free(kit);
    }
}

/* ---- the rate ------------------------------------------------------------------------------------------------------------ */

enum { SENDS_MAX = 12000 };
static uint64_t sent_us[SENDS_MAX];

/* Updates all the while for ten seconds, and turns as they come: late by so much at most. How often was something sent? */
static uint32_t run_for_ten_seconds(struct kit *kit, double max_hz, uint64_t late_us_max, uint64_t *random)
{
    uint32_t sends = 0;
    subscribe(kit, "A", MODE_LATEST, max_hz);
    for (uint64_t now_us = 0; now_us < 10000000;) {
        uint64_t seq = kit_publish(kit, "A", "1");
        char expected[40];
        snprintf(expected, sizeof expected, "A %llu", (unsigned long long)seq);
        const char *sent = turn_at(kit, now_us);
        if (*sent) {
            assert_string_equal(sent, expected);
            assert_true(sends < SENDS_MAX);
            sent_us[sends++] = now_us;
        }
        uint64_t due_us = engine_due_us(&kit->engine), next_us = now_us + 700;
        if (due_us != UINT64_MAX && due_us - BEGIN_US < next_us) next_us = due_us - BEGIN_US;
        if (next_us <= now_us) next_us = now_us + 1;
        now_us = next_us + (late_us_max ? random_next(random) % late_us_max : 0);
    }
    kit_unsubscribe(kit, 0, "A");
    return sends;
}

static void under_load_the_mean_rate_is_the_one_that_was_asked_for(void **state)
{
    static const struct {
        double   max_hz, real_hz;
        uint64_t late_us_max;
    } facts[] = {
        { 0.3, 0.3, 0 }, { 1, 1, 0 }, { 3, 3, 0 }, { 4, 4, 1500 }, { 7.5, 7.5, 0 }, { 16, 16, 800 }, { 59.94, 59.94, 700 }, { 100, 100, 0 }, { 100, 100, 700 },
        { 333, 333, 300 }, { 1000, 1000, 0 }, { 1000, 1000, 300 }, { 5000, 1000, 300 }, { 1e300, 1000, 0 },
    };
    uint64_t random = 7;
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        struct kit *kit = kit_make(&(struct kit_settings){ .window = { .updates_max = 10 } });
        kit_publish(kit, "A", "1");
        uint32_t sends = run_for_ten_seconds(kit, facts[i].max_hz, facts[i].late_us_max, &random);
        double interval_us = 1e6 / facts[i].real_hz, most = 1e7 / interval_us;
        /* One more than the intervals there are, for the first begins none; the first one is longer by a sixteenth. */
        if (sends > most + 1.001 || sends < most - 1.2 - most * 0.002)
            fail_msg("%g Hz: %u in ten seconds", facts[i].max_hz, sends);
        for (uint32_t n = 0; n < sends; n++)
            for (uint32_t m = n + 1; m < sends && m < n + 50; m++)
                if ((double)(sent_us[m] - sent_us[n]) < (m - n) * interval_us - (double)PACE_SLACK_US)
                    fail_msg("%g Hz: %u updates within %llu us", facts[i].max_hz, m - n + 1, (unsigned long long)(sent_us[m] - sent_us[n]));
        kit_free(kit);
    }
}

static void topics_of_one_rate_come_together(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    enum { TOPICS = 100 };
    char names[TOPICS][16];
    uint32_t turns_with_news = 0;
    for (int i = 0; i < TOPICS; i++) snprintf(names[i], sizeof names[i], "t%d", i);
    for (uint64_t ms = 0; ms < 3000; ms++) {
        if (ms < TOPICS) subscribe(kit, names[ms], MODE_LATEST, 4); /* one after the other */
        for (uint64_t i = 0; i < TOPICS; i++) kit_publish(kit, names[i], "1");
        if (*turn_at(kit, ms * 1000) && ms >= 1000) turns_with_news++;
    }
    assert_in_range(turns_with_news, 2 * 4, 2 * 4 * 8); /* 16 at most in each interval, and these began within 100 ms */
    kit_free(kit);
}

/* ---- where the socket is full ------------------------------------------------------------------------------------------- */

static void one_that_was_held_up_is_sent_the_newest_and_counts_from_then(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    publish(kit, ".");
    subscribe(kit, "A", MODE_LATEST, 4);
    assert_string_equal(turn_at(kit, 0), "A 1");
    kit_subscriber(kit, 0)->blocked = true;
    publish(kit, "..");
    for (uint64_t ms = 1; ms < 5000; ms++) {
        kit->clock.mono_us = BEGIN_US + ms * 1000;
        engine_tick(&kit->engine);
        engine_tell(&kit->engine);
        assert_false(bitset_has(&kit->ready, 0));
    }
    assert_int_equal(list_of(kit, "A"), IN_DIRTY);
    publish(kit, ".");
    kit_subscriber(kit, 0)->blocked = false;
    assert_string_equal(turn_at(kit, 5000000), "A 4");
    publish(kit, ".");
    assert_string_equal(turn_at(kit, 5249000), "");
    assert_string_equal(turn_at(kit, 5266000), "A 5");
    kit_free(kit);
}

/* Takes what is next and sends one part of it; false: nothing is to be sent. */
static bool send_part(struct kit *kit, struct range *range)
{
    engine_tell(&kit->engine);
    uint32_t index = engine_take_dirty(&kit->engine, kit_subscriber(kit, 0));
    if (index == POOL_NONE) return false;
    struct subscription *subscription = subscription_at(&kit->engine.locals.subscriptions, index);
    struct local_topic *local = local_topic_at(&kit->engine.locals, subscription->local);
    struct cursor_news news;
    assert_true(cursor_advance(local, subscription, false, &kit->counters, &news));
    cursor_cut(local, subscription, range);
    engine_sent(&kit->engine, index, range->to);
    return true;
}

static void publish_large_range(struct kit *kit)
{
    kit_publish_key(kit, "A", "1");
    for (int i = 0; i < 30; i++) kit_publish_bytes(kit, "A", 5000);
}

static void a_range_that_is_cut_does_not_rest_before_its_end(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    struct range range;
    publish_large_range(kit);
    subscribe(kit, "A", MODE_LATEST, 4);
    assert_true(send_part(kit, &range));
    assert_int_equal(range.from.seq, 1);
    assert_true(range.to.seq < 31);
    kit_publish(kit, "A", "1"); /* no key: the range goes on, with this one */
    uint64_t next = range.to.seq;
    while (send_part(kit, &range)) {
        assert_int_equal(range.from.seq, next);
        next = range.to.seq;
    }
    assert_int_equal(next, 33);
    assert_int_equal(list_of(kit, "A"), IN_RESTING);
    assert_int_equal(counter_read(&kit->counters, COUNTER_RESTS), 1);
    kit_free(kit);
}

static void where_another_range_takes_the_place_of_one_that_was_cut_it_waits_for_its_time(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    struct range range;
    publish_large_range(kit);
    subscribe(kit, "A", MODE_LATEST, 4);
    assert_true(send_part(kit, &range));
    publish(kit, "K.");
    assert_false(send_part(kit, &range));
    assert_int_equal(list_of(kit, "A"), IN_RESTING);
    assert_string_equal(turn_at(kit, 249000), "");
    assert_string_equal(turn_at(kit, 250000), "A 32 33");
    kit_free(kit);

    kit = kit_make(&(struct kit_settings){ 0 }); /* and if its time has come meanwhile, it waits no longer */
    publish_large_range(kit);
    subscribe(kit, "A", MODE_LATEST, 4);
    assert_true(send_part(kit, &range));
    publish(kit, "K.");
    assert_string_equal(turn_at(kit, 400000), "A 32 33");
    kit_free(kit);
}

static void another_life_waits_for_its_time_too(void **state)
{
    for (int cut = 0; cut < 2; cut++) { /* at rest, or in the middle of a range */
        struct kit *kit = kit_make(&(struct kit_settings){ 0 });
        struct range range;
        publish_large_range(kit);
        subscribe(kit, "A", MODE_LATEST, 4);
        assert_true(send_part(kit, &range));
        while (!cut && send_part(kit, &range)) {}
        kit_delete(kit, "A");
        assert_string_equal(turn_at(kit, 10000), "");
        publish(kit, "..");
        assert_string_equal(turn_at(kit, 249000), "");
        assert_string_equal(turn_at(kit, 250000), "A born 2");
        publish(kit, ".");
        assert_string_equal(turn_at(kit, 499000), "");
        assert_string_equal(turn_at(kit, 500000), "A 3");
        kit_free(kit);
    }
}

/* ---- patterns ----------------------------------------------------------------------------------------------------------- */

static void covered(void *context, const struct subscribe_ask *ask, const struct subscribe_reply *reply) {}

static void follow(struct kit *kit, const char *pattern, enum mode mode, double max_hz)
{
    struct pattern_ask ask = { span_of_string(pattern), mode, true, max_hz };
    bool again;
    assert_true(engine_subscribe_pattern(&kit->engine, 0, &ask, &again));
    assert_int_equal(engine_cover(&kit->engine, 0, ask.pattern, &(struct pattern_cover){ .covered = covered }), SUBSCRIBE_DONE);
}

static double max_hz_of(const struct kit *kit, const char *topic)
{
    return pace_max_hz(&kit->engine, pool_index(&kit->engine.locals.subscriptions, kit_subscription(kit, 0, topic)));
}

static void what_a_pattern_covers_has_its_rate(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    publish(kit, ".");
    follow(kit, "*", MODE_LATEST, 4);
    assert_string_equal(turn_at(kit, 0), "A 1");
    publish(kit, ".");
    kit_publish(kit, "B", "1"); /* born while it is followed */
    kit_publish(kit, "B", "1");
    assert_string_equal(turn_at(kit, 1000), "B born 2");
    kit_publish(kit, "B", "1");
    assert_string_equal(turn_at(kit, 249000), "");
    assert_string_equal(turn_at(kit, 250000), "A 2"); /* B was sent later: the next step of the grid is its time */
    assert_string_equal(turn_at(kit, 266000), "B 3");
    assert_true(max_hz_of(kit, "A") == 4 && max_hz_of(kit, "B") == 4);
    kit_free(kit);
}

static void who_takes_over_brings_its_rate(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    publish(kit, ".");
    follow(kit, "*", MODE_LATEST, 4);
    follow(kit, ">", MODE_EVERY, 0);
    assert_true(max_hz_of(kit, "A") == 0);
    assert_string_equal(turn_at(kit, 0), "A 1");
    publish(kit, "..");
    assert_string_equal(turn_at(kit, 1000), "A 2 3");
    subscribe(kit, "A", MODE_LATEST, 0.5); /* a name beats them */
    assert_true(max_hz_of(kit, "A") == 0.5);
    publish(kit, ".");
    assert_string_equal(turn_at(kit, 2000), "A 4");
    publish(kit, "..");
    assert_string_equal(turn_at(kit, 3000), "");
    assert_int_equal(list_of(kit, "A"), IN_RESTING);
    follow(kit, "*", MODE_LATEST, 8); /* does not change what is there by its name */
    assert_true(max_hz_of(kit, "A") == 0.5);
    kit_unsubscribe(kit, 0, "A"); /* it falls to the pattern that was subscribed last */
    assert_true(max_hz_of(kit, "A") == 8);
    assert_int_equal(list_of(kit, "A"), IN_RESTING);
    assert_string_equal(turn_at(kit, 126000), "");
    assert_string_equal(turn_at(kit, 135000), "A 6");
    publish(kit, "..");
    engine_unsubscribe_pattern(&kit->engine, 0, SPAN_LITERAL("*")); /* and then to the other: every ends the rest */
    assert_true(max_hz_of(kit, "A") == 0);
    assert_string_equal(turn_at(kit, 136000), "A 7 8");
    engine_unsubscribe_pattern(&kit->engine, 0, SPAN_LITERAL(">"));
    assert_null(kit_subscription(kit, 0, "A"));
    kit_free(kit);
}

/* ---- what it costs ------------------------------------------------------------------------------------------------------ */

static void nothing_is_armed_where_nothing_rests(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    publish(kit, ".");
    assert_int_equal(engine_due_us(&kit->engine), UINT64_MAX);
    subscribe(kit, "A", MODE_LATEST, 0);
    assert_string_equal(turn_at(kit, 0), "A 1");
    assert_int_equal(engine_due_us(&kit->engine), UINT64_MAX);
    assert_int_equal(kit->engine.paces.pool.touched, 0); /* no memory either */
    subscribe(kit, "A", MODE_LATEST, 4);
    assert_int_equal(engine_due_us(&kit->engine), UINT64_MAX);
    publish(kit, ".");
    assert_string_equal(turn_at(kit, 1000), "A 2");
    assert_in_range(engine_due_us(&kit->engine), BEGIN_US + 1001, BEGIN_US + 267000);
    uint64_t wakes = 0, us = 1000;
    for (; engine_due_us(&kit->engine) != UINT64_MAX; wakes++) {
        us = engine_due_us(&kit->engine) - BEGIN_US;
        assert_string_equal(turn_at(kit, us), "");
    }
    assert_in_range(wakes, 1, 3); /* the wheel's levels */
    assert_in_range(us, 251000, 267000);
    assert_int_equal(list_of(kit, "A"), IN_WAITING);
    publish(kit, ".");
    assert_string_equal(turn_at(kit, us + 1000), "A 3");
    kit_unsubscribe(kit, 0, "A"); /* nor where it is gone */
    assert_int_equal(engine_due_us(&kit->engine), UINT64_MAX);
    assert_int_equal(kit->engine.paces.pool.used, 0);
    kit_free(kit);
}

static void where_there_is_no_memory_it_is_refused_and_all_is_as_it_was(void **state)
{
    enum { MANY = 20 };
    struct kit *kit = kit_make(&(struct kit_settings){ .subscriptions_max = MANY });
    struct pool *pool = &kit->engine.paces.pool;
    uint32_t taken[MANY];
    publish(kit, ".");
    subscribe(kit, "A", MODE_LATEST, 0);
    for (int i = 0; i < MANY; i++) taken[i] = pool_take(pool);
    assert_int_equal(pool_take(pool), POOL_NONE);
    assert_int_equal(try_subscribe(kit, 0, "A", MODE_LATEST, 4), SUBSCRIBE_FULL);
    assert_int_equal(try_subscribe(kit, 0, "B", MODE_LATEST, 4), SUBSCRIBE_FULL);
    assert_null(kit_subscription(kit, 0, "B"));
    assert_int_equal(kit->engine.locals.subscriptions.used, 1);
    assert_string_equal(turn_at(kit, 0), "A 1");
    publish(kit, "..");
    assert_string_equal(turn_at(kit, 1000), "A 2 3");
    for (int i = 0; i < MANY; i++) pool_give(pool, taken[i]);
    subscribe(kit, "A", MODE_LATEST, 4);
    subscribe(kit, "B", MODE_LATEST, 4);
    assert_int_equal(pool->used, 2);
    kit_free(kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sent_when),
        cmocka_unit_test(under_load_the_mean_rate_is_the_one_that_was_asked_for),
        cmocka_unit_test(topics_of_one_rate_come_together),
        cmocka_unit_test(one_that_was_held_up_is_sent_the_newest_and_counts_from_then),
        cmocka_unit_test(a_range_that_is_cut_does_not_rest_before_its_end),
        cmocka_unit_test(where_another_range_takes_the_place_of_one_that_was_cut_it_waits_for_its_time),
        cmocka_unit_test(another_life_waits_for_its_time_too),
        cmocka_unit_test(what_a_pattern_covers_has_its_rate),
        cmocka_unit_test(who_takes_over_brings_its_rate),
        cmocka_unit_test(nothing_is_armed_where_nothing_rests),
        cmocka_unit_test(where_there_is_no_memory_it_is_refused_and_all_is_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
