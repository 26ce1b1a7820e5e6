/* Two shards and readers of all formats under seeded schedules: topics are born, deleted and born again while interests in one format or
 * another begin, are refused and end, by queues with room for two notices; each reader is judged update by update. SIM_SECONDS (10) bounds it,
 * SIM_SEED=n runs one seed.
 *
 * Judged: an ack tells of a life that was, and the updates after it begin where it says; what is not acked is told by op:topic before its
 * first update; `every` has each update, once and in order, but for what was told as a gap; in the end everybody has the newest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/random.h"
#include "core/pubsub/following.h"
#include "tests/support/frames.h"
#include "tests/support/pair.h"

enum { UPDATES_MAX = 1 << 14, STEPS = 600 };

/* What a reader knows of one topic. */
struct known {
    bool     on, told; /* told: epoch and due count */
    char     epoch[EPOCH_BYTES];
    uint64_t due;
};

struct published {
    uint32_t topic;
    char     epoch[EPOCH_BYTES];
    uint64_t seq;
};

struct life {
    struct pair     *pair;
    uint64_t         random;
    struct known     known[PAIR_READERS][PAIR_TOPICS];
    bool             every[PAIR_READERS];
    uint32_t         covering; /* the reader that is being covered */
    uint32_t         numbers_count;
    struct published numbers[UPDATES_MAX]; /* by the payload */
};

static struct {
    uint64_t lives, updates, gaps, births, acks, by_json, covered, refused, busy;
} seen;

static uint32_t below(struct life *life, uint32_t bound)
{
    return random_below(&life->random, bound);
}

static struct engine *reading(const struct life *life)
{
    return &life->pair->sides[0].engine;
}

static uint32_t topic_named(const struct life *life, struct span name)
{
    for (uint32_t topic = 0; topic < PAIR_TOPICS; topic++)
        if (span_is(name, life->pair->names[topic])) return topic;
    fail_msg("a topic of nobody");
    return 0;
}

/* ---- what is done ---------------------------------------------------------------------------------------------------- */

static void publish(struct life *life, uint32_t topic)
{
    char data[3000];
    if (life->numbers_count == UPDATES_MAX) return;
    int size = snprintf(data, sizeof data, "[%u,\"%*s\"]", life->numbers_count, (int)below(life, below(life, 8) ? 60 : 2500), "");
    struct publish_ask ask = { .topic = pair_name(life->pair, topic), .data = span_of(data, (size_t)size) };
    struct publish_reply reply = { 0 };
    assert_int_equal(engine_publish(&life->pair->sides[1].engine, &ask, TICKET_NONE, &reply), LINK_DONE);
    seen.busy += reply.verdict == PUBLISH_BUSY;
    if (reply.verdict != PUBLISH_DONE) return;
    struct published *published = &life->numbers[life->numbers_count++];
    *published = (struct published){ .topic = topic, .seq = reply.seq };
    memcpy(published->epoch, reply.epoch, EPOCH_BYTES);
}

static void delete(struct life *life, uint32_t topic)
{
    struct delete_ask ask = { .topic = pair_name(life->pair, topic) };
    struct delete_reply reply;
    assert_int_equal(engine_delete(&life->pair->sides[1].engine, &ask, TICKET_NONE, &reply), LINK_DONE);
}

static void acked(struct known *known, const struct subscribe_reply *reply, bool snapshot)
{
    *known = (struct known){ .on = true, .told = reply->born };
    if (!reply->born) return;
    assert_true(reply->seq > 0);
    memcpy(known->epoch, reply->epoch, EPOCH_BYTES);
    known->due = reply->seq + !snapshot;
}

static void subscribe(struct life *life, uint32_t reader, uint32_t topic)
{
    struct subscribe_ask ask = { .topic = pair_name(life->pair, topic), .mode = life->every[reader] ? MODE_EVERY : MODE_LATEST, .snapshot = below(life, 2) };
    struct subscribe_reply reply;
    enum wire_format format = pair_reader(life->pair, reader)->format;
    enum link_result ready = engine_prepare(reading(life), ask.topic, format, 1);
    if (ready != LINK_DONE) return; /* it may be tried again */
    const struct local_topic *own = pair_local(life->pair, topic, format);
    bool by_json = !own || own->state != LOCAL_LIVE;
    assert_int_equal(engine_subscribe(reading(life), reader, &ask, &reply), SUBSCRIBE_DONE);
    assert_true(reply.again || !life->known[reader][topic].on); /* a birth may have covered it, and not be told yet */
    life->known[reader][topic].on = true;
    if (reply.again) return;
    seen.acks++;
    seen.by_json += by_json;
    acked(&life->known[reader][topic], &reply, ask.snapshot);
}

static void forget_unfollowed(struct life *life, uint32_t reader)
{
    for (uint32_t topic = 0; topic < PAIR_TOPICS; topic++)
        if (!engine_follows(reading(life), reader, pair_name(life->pair, topic))) life->known[reader][topic] = (struct known){ 0 };
}

static void on_covered(void *context, const struct subscribe_ask *ask, const struct subscribe_reply *reply)
{
    struct life *life = context;
    assert_true(reply->born && reply->seq > 0);
    assert_true(reply->epoch[0] != '\0');
    seen.covered++;
    acked(&life->known[life->covering][topic_named(life, ask->topic)], reply, ask->snapshot);
}

static void follow(struct life *life, uint32_t reader)
{
    struct pattern_ask ask = { span_of_string("*"), life->every[reader] ? MODE_EVERY : MODE_LATEST, below(life, 2), 0 };
    bool again;
    if (engine_prepare_pattern(reading(life), ask.pattern, 2) != LINK_DONE) return;
    assert_true(engine_subscribe_pattern(reading(life), reader, &ask, &again));
    life->covering = reader;
    assert_int_equal(engine_cover(reading(life), reader, ask.pattern, &(struct pattern_cover){ life, NULL, on_covered }), SUBSCRIBE_DONE);
}

/* ---- what is sent ---------------------------------------------------------------------------------------------------- */

static void judge_update(struct life *life, uint32_t reader, uint32_t topic, uint64_t seq, struct span data)
{
    struct known *known = &life->known[reader][topic];
    uint32_t number = 0;
    for (size_t i = 1; data.bytes[i] != ','; i++) number = number * 10 + (uint32_t)(data.bytes[i] - '0');
    assert_true(number < life->numbers_count);
    const struct published *published = &life->numbers[number];
    if (!known->told) fail_msg("%s: update %llu before its epoch was told", life->pair->names[topic], (unsigned long long)seq);
    if (published->topic != topic || published->seq != seq || memcmp(published->epoch, known->epoch, EPOCH_BYTES) != 0)
        fail_msg("%s: %llu of %.8s came as %llu of %.8s", life->pair->names[topic], (unsigned long long)published->seq, published->epoch, (unsigned long long)seq, known->epoch);
    if (life->every[reader] ? seq != known->due : seq < known->due) fail_msg("%s: update %llu, but %llu was due", life->pair->names[topic], (unsigned long long)seq, (unsigned long long)known->due);
    known->due = seq + 1;
    seen.updates++;
}

static void send_one(struct life *life, uint32_t reader, uint32_t index)
{
    struct engine *engine = reading(life);
    struct subscription *subscription = subscription_at(&engine->locals.subscriptions, index);
    struct local_topic *local = local_topic_at(&engine->locals, subscription->local);
    uint32_t topic = topic_named(life, local_topic_name(local));
    struct known *known = &life->known[reader][topic];
    enum wire_format format = local->chain.format;
    struct cursor_news news;
    assert_int_equal(format, pair_reader(life->pair, reader)->format);
    bool pending = cursor_advance(local, subscription, pair_reader(life->pair, reader)->behind, engine->counters, &news);
    if (news.new_life) {
        if (known->told && memcmp(known->epoch, local->epoch, EPOCH_BYTES) == 0) fail_msg("%s: its epoch was told before", life->pair->names[topic]);
        *known = (struct known){ .on = true, .told = true, .due = 1 };
        memcpy(known->epoch, local->epoch, EPOCH_BYTES);
        seen.births++;
    }
    if (news.gap_to > 0) {
        if (news.gap_from != known->due) fail_msg("%s: a gap from %llu, but %llu was due", life->pair->names[topic], (unsigned long long)news.gap_from, (unsigned long long)known->due);
        known->due = news.gap_to + 1;
        seen.gaps++;
    }
    if (!pending) {
        engine_sent(engine, index, (struct mark){ subscription->at, subscription->next_seq });
        return;
    }
    struct range range;
    cursor_cut(local, subscription, &range);
    struct piece pieces[8];
    uint32_t count = range_pieces(local, &range, pieces, 8);
    uint64_t seq = range.from.seq;
    for (uint32_t i = 0; i < count; i++)
        for (uint64_t at = 0; at < pieces[i].size; at += format_frame_bytes(format, pieces[i].bytes + at), seq++) {
            struct update update = frame_read(format, pieces[i].bytes + at, local_topic_name(local));
            assert_true(format_inflated(format) == FORMAT_RAW || update.seq == seq);
            judge_update(life, reader, topic, seq, update.data);
        }
    engine_sent(engine, index, range.to);
}

static void flush(struct life *life, bool all)
{
    for (uint32_t reader = 0; reader < PAIR_READERS; reader++) {
        struct subscriber *subscriber = pair_reader(life->pair, reader);
        if (!all && below(life, 3) == 0) { /* its socket is full */
            subscriber->behind = true;
            continue;
        }
        for (uint32_t index; (index = engine_take_dirty(reading(life), subscriber)) != POOL_NONE;) send_one(life, reader, index);
        subscriber->behind = false;
        bitset_remove(&life->pair->sides[0].ready, reader);
    }
}

static void turn(struct life *life, uint32_t side)
{
    struct engine *engine = &life->pair->sides[side].engine;
    engine_receive(engine);
    engine_tick(engine);
    engine_tell(engine);
    if (side == 0) flush(life, false);
    engine_trim(engine);
}

/* ---- a life ---------------------------------------------------------------------------------------------------------- */

static void something_happens(struct life *life)
{
    uint32_t reader = below(life, PAIR_READERS), topic = below(life, 3) ? 0 : below(life, PAIR_TOPICS);
    switch (below(life, 20)) {
    case 0: delete(life, topic); break;
    case 1: case 2: case 3: subscribe(life, reader, topic); break;
    case 4:
        engine_unsubscribe(reading(life), reader, pair_name(life->pair, topic));
        forget_unfollowed(life, reader);
        break;
    case 5: follow(life, reader); break;
    case 6:
        engine_unsubscribe_pattern(reading(life), reader, span_of_string("*"));
        forget_unfollowed(life, reader);
        break;
    case 7: {
        uint64_t us = below(life, 6) ? below(life, 2000) : below(life, 4) ? 600000 : 30 * (uint64_t)SECOND_US;
        life->pair->clock.mono_us += us;
        life->pair->clock.wall_us += us;
        break;
    }
    case 8: case 9: case 10: case 11: turn(life, 0); break;
    case 12: case 13: case 14: turn(life, 1); break;
    case 15: engine_receive(reading(life)); break; /* looked after between two batches of a flush */
    default:
        for (uint32_t count = below(life, below(life, 10) ? 4 : 60); count > 0; count--) publish(life, topic);
    }
}

static void judge_the_end(struct life *life)
{
    for (uint32_t i = 0; i < 4; i++) {
        pair_pass(life->pair, SECOND_US + 1);
        flush(life, true);
    }
    for (uint32_t reader = 0; reader < PAIR_READERS; reader++)
        for (uint32_t topic = 0; topic < PAIR_TOPICS; topic++) {
            struct known *known = &life->known[reader][topic];
            bool follows = engine_follows(reading(life), reader, pair_name(life->pair, topic));
            const struct topic *home = pair_topic(life->pair, topic, FORMAT_JSON);
            bool born = home && log_newest_seq(&home->log) > 0;
            const struct local_topic *local = follows ? pair_local(life->pair, topic, pair_reader(life->pair, reader)->format) : NULL;
            if (local && local->state == LOCAL_REFUSED) continue; /* no memory for its log: it waits */
            if (follows != known->on && born) fail_msg("%s: that it is %s was not told", life->pair->names[topic], follows ? "followed" : "followed no more");
            if (!follows || !born) continue;
            assert_int_equal(local->state, LOCAL_LIVE);
            if (!known->told || memcmp(known->epoch, home->epoch, EPOCH_BYTES) != 0) fail_msg("%s: its life was not told", life->pair->names[topic]);
            if (known->due != log_newest_seq(&home->log) + 1) fail_msg("%s: at rest %llu is due, the newest is %llu", life->pair->names[topic], (unsigned long long)known->due, (unsigned long long)log_newest_seq(&home->log));
        }
}

static void live(uint64_t seed)
{
    struct life *life = calloc(1, sizeof *life);
    assert_non_null(life);
    life->random = seed;
    static const uint64_t budgets[] = { 24 << 10, 200 << 10, 64 << 20, 64 << 20 };
    life->pair = pair_make(below(life, 2) ? 4 : 16, budgets[below(life, 4)], below(life, 2) ? 10 : 1000);
    life->pair->sides[1].engine.home.epoch_state = seed; /* else no seed could be run again */
    for (uint32_t reader = 0; reader < PAIR_READERS; reader++) {
        pair_reader(life->pair, reader)->format = below(life, 3) ? FORMAT_ARRAY : below(life, FORMATS_COUNT); /* mostly several in one */
        life->every[reader] = below(life, 3) > 0;
    }
    for (uint32_t step = 0; step < STEPS; step++) something_happens(life);
    judge_the_end(life);
    seen.refused += counter_read(&life->pair->sides[1].counters, COUNTER_FORMATS_REFUSED);
    pair_end(life->pair);
    free(life);
    seen.lives++;
}

static uint64_t number_of(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static uint64_t seed_now; /* for whoever dies or fails */

static int tell_seed(void **state)
{
    if (seed_now) fprintf(stderr, "the seed was %llu: SIM_SEED=%llu runs it again\n", (unsigned long long)seed_now, (unsigned long long)seed_now);
    return 0;
}

static void every_reader_of_every_format_is_served_right(void **state)
{
    enum { SEEDS_FIXED = 300 };
    uint64_t end_us = clock_mono_us() + number_of("SIM_SECONDS", 10) * SECOND_US, fresh, seed;
    random_fill(&fresh, sizeof fresh);
    fresh >>= 20;
    do {
        seed = getenv("SIM_SEED") ? number_of("SIM_SEED", 0) : seen.lives < SEEDS_FIXED ? seen.lives + 1 : ++fresh;
        seed_now = seed;
        live(seed);
    } while (!getenv("SIM_SEED") && (seen.lives < SEEDS_FIXED || clock_mono_us() < end_us));
    seed_now = 0;
    print_message("%llu lives\n", (unsigned long long)seen.lives);
}

static void the_lives_came_everywhere(void **state)
{
    if (getenv("SIM_SEED")) skip();
#define CAME_TO(what)                                                         \
    print_message("%12llu %s\n", (unsigned long long)seen.what, #what); \
    assert_true(seen.what > 0)
    CAME_TO(updates);
    CAME_TO(gaps);
    CAME_TO(births);
    CAME_TO(acks);
    CAME_TO(by_json);
    CAME_TO(covered);
    CAME_TO(refused);
    CAME_TO(busy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(every_reader_of_every_format_is_served_right, tell_seed),
        cmocka_unit_test(the_lives_came_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
