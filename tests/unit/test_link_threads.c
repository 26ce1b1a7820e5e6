/* Links in earnest: four engines on four threads. Each publishes to all topics, has readers of all of them, deletes none, and ends when
 * its readers have every update once, in order; pattern readers and those by name alike. Under the thread sanitizer above all. LINK_SECONDS (0) makes it
 * begin anew with other choices for so long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/random.h"
#include "core/proto/ws_frame.h"
#include "core/pubsub/engine.h"

enum { THREADS = 4, TOPICS = 12, READERS = 3, EACH = 400 };

struct thread_reader {
    struct subscriber subscriber;
    uint64_t          seq[TOPICS];
};

struct side {
    struct engine   engine;
    struct counters counters;
    struct clock    clock;
    struct pool     readers;
    struct bitset   ready;
    uint64_t        random;
    uint32_t        published[TOPICS], replies, wrong;
    bool            paused;
};

static struct side *sides;
static _Atomic int begun_count, done_count;

static struct span name_of(uint32_t topic, char *room)
{
    return span_of(room, (size_t)sprintf(room, "t.%u", topic));
}

static void on_published(void *context, uint32_t ticket, const struct publish_reply *reply)
{
    struct side *side = context;
    side->replies++;
    side->wrong += reply->verdict != PUBLISH_DONE;
}
static void on_deleted(void *context, uint32_t ticket, const struct delete_reply *reply) { ((struct side *)context)->wrong++; }
static void on_answered(void *context, uint32_t ticket, const struct query_reply *reply, struct span answer) { ((struct side *)context)->wrong++; }
static void on_room(void *context) { ((struct side *)context)->paused = false; }
static void on_wake(void *context, uint32_t shard) {}

/* The first by name, the others by pattern. ticket: reader, and topic above. */
static void follow(struct side *side, uint32_t reader, uint32_t topic)
{
    char room[16];
    if (reader > 0) {
        struct pattern_ask ask = { .pattern = SPAN_LITERAL("t.*"), .mode = MODE_EVERY, .snapshot = false };
        bool again;
        enum link_result result = engine_prepare_pattern(&side->engine, ask.pattern, reader);
        if (result == LINK_DONE) side->wrong += !engine_subscribe_pattern(&side->engine, reader, &ask, &again);
        else side->wrong += result != LINK_SENT;
        return;
    }
    struct subscribe_ask ask = { .topic = name_of(topic, room), .mode = MODE_EVERY };
    struct subscribe_reply reply;
    enum link_result result = engine_prepare(&side->engine, ask.topic, FORMAT_JSON, topic << 8);
    if (result == LINK_DONE) side->wrong += engine_subscribe(&side->engine, reader, &ask, &reply) != SUBSCRIBE_DONE || reply.seq != 0;
    else side->wrong += result != LINK_SENT;
}

static void on_live(void *context, uint32_t ticket)
{
    follow(context, ticket & 0xff, ticket >> 8);
}

static void flush_one(struct side *side, struct thread_reader *reader, uint32_t index)
{
    struct subscription *subscription = subscription_at(&side->engine.locals.subscriptions, index);
    struct local_topic *local = local_topic_at(&side->engine.locals, subscription->local);
    char name[16] = { 0 };
    memcpy(name, local->name, local->name_bytes);
    uint32_t topic = (uint32_t)atoi(name + 2);
    struct cursor_news news;
    bool pending = cursor_advance(local, subscription, false, &side->counters, &news);
    side->wrong += news.gap_to != 0;
    if (!pending) {
        engine_sent(&side->engine, index, (struct mark){ subscription->at, subscription->next_seq });
        return;
    }
    struct range range;
    cursor_cut(local, subscription, &range);
    struct piece pieces[8];
    uint32_t count = range_pieces(local, &range, pieces, 8);
    for (uint32_t i = 0; i < count; i++)
        for (uint64_t at = 0; at < pieces[i].size; at += ws_server_frame_bytes(pieces[i].bytes + at)) {
            struct update update = format_json_read(pieces[i].bytes + at, local_topic_name(local));
            side->wrong += update.seq != ++reader->seq[topic];
        }
    engine_sent(&side->engine, index, range.to);
}

static void turn(struct side *side)
{
    clock_tick(&side->clock);
    engine_receive(&side->engine);
    engine_tick(&side->engine);
    engine_tell(&side->engine);
    for (uint32_t index = bitset_next(&side->ready, 0); index != BITSET_NONE; index = bitset_next(&side->ready, index + 1)) {
        struct thread_reader *reader = pool_at(&side->readers, index);
        uint32_t subscription;
        bitset_remove(&side->ready, index);
        while ((subscription = engine_take_dirty(&side->engine, &reader->subscriber)) != POOL_NONE) flush_one(side, reader, subscription);
    }
    engine_trim(&side->engine);
}

static bool has_all(struct side *side)
{
    for (uint32_t reader = 0; reader < READERS; reader++)
        for (uint32_t topic = 0; topic < TOPICS; topic++)
            if (((struct thread_reader *)pool_at(&side->readers, reader))->seq[topic] < THREADS * EACH) return false;
    return true;
}

/* One update of a topic that has not had all its own; the data is that of a hot feed. */
static void publish_some(struct side *side)
{
    static const char data[] = "{\"bid\":1.2345,\"ask\":1.2346,\"size\":1000000}";
    for (int i = 0; i < 20 && !side->paused; i++) {
        uint32_t topic = (uint32_t)(random_next(&side->random) % TOPICS);
        char room[16];
        struct publish_ask ask = { .topic = name_of(topic, room), .data = span_of(data, sizeof data - 1), .quiet = topic % 2 };
        struct publish_reply reply = { 0 };
        if (side->published[topic] == EACH) continue;
        enum link_result result = engine_publish(&side->engine, &ask, 7, &reply);
        side->paused = result == LINK_FULL;
        side->published[topic] += result != LINK_FULL;
        side->wrong += result == LINK_DONE && reply.verdict != PUBLISH_DONE;
    }
}

static void *live(void *context)
{
    struct side *side = context;
    for (uint32_t topic = 0; topic < TOPICS; topic++) follow(side, 0, topic);
    for (uint32_t reader = 1; reader < READERS; reader++) follow(side, reader, 0);
    for (bool ready = false; atomic_load(&begun_count) < THREADS; sched_yield()) { /* all follow before any publishes: so none has a gap */
        turn(side);
        bool now = ((struct thread_reader *)pool_at(&side->readers, 0))->subscriber.subscriptions_count == TOPICS;
        for (uint32_t reader = 1; reader < READERS; reader++) now &= ((struct thread_reader *)pool_at(&side->readers, reader))->subscriber.patterns_count == 1;
        if (now && !ready) atomic_fetch_add(&begun_count, 1);
        ready |= now;
    }
    for (bool done = false; atomic_load(&done_count) < THREADS;) {
        publish_some(side);
        turn(side);
        if (!done && has_all(side)) {
            done = true;
            atomic_fetch_add(&done_count, 1);
        }
        if (!engine_has_input(&side->engine)) sched_yield();
    }
    return NULL;
}

static void live_once(uint64_t seed)
{
    static const struct wires_settings sizes = { 64, 64, 4096 };
    struct wires *wires = wires_make(THREADS, &sizes);
    pthread_t threads[THREADS];
    sides = calloc(THREADS, sizeof *sides);
    assert_true(wires && sides);
    begun_count = done_count = 0;
    struct engine_settings settings = {
        .shards_count = THREADS, .subscriptions_max = READERS * TOPICS, .subscriptions_each_max = TOPICS, .patterns_max = 8,
        .home = { .topics_max = TOPICS, .patterns_max = 8, .log_bytes_max = 64 << 20, .topic_ttl_us = UINT64_C(3600000000), .window = { 3000, 1 << 20, UINT64_C(3600000000) } },
    };
    for (uint32_t i = 0; i < THREADS; i++) {
        struct side *side = &sides[i];
        settings.shard = i;
        side->random = seed * THREADS + i;
        clock_tick(&side->clock);
        assert_int_equal(pool_init(&side->readers, sizeof(struct thread_reader), READERS), 0);
        assert_int_equal(bitset_init(&side->ready, READERS), 0);
        assert_int_equal(engine_init(&side->engine, &settings, &side->readers, &side->ready, &side->clock, &side->counters), 0);
        for (uint32_t reader = 0; reader < READERS; reader++) {
            struct thread_reader *made = pool_at(&side->readers, pool_take(&side->readers));
            *made = (struct thread_reader){ 0 };
            subscriber_init(&made->subscriber);
        }
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        struct engine_hooks hooks = { &sides[i], on_published, on_deleted, on_answered, on_live, on_room, on_wake };
        assert_int_equal(engine_connect(&sides[i].engine, wires, &hooks), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, live, &sides[i]), 0);
    for (uint32_t i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    for (uint32_t i = 0; i < THREADS; i++) {
        assert_int_equal(sides[i].wrong, 0);
        for (uint32_t reader = 0; reader < READERS; reader++)
            for (uint32_t topic = 0; topic < TOPICS; topic++) assert_int_equal(((struct thread_reader *)pool_at(&sides[i].readers, reader))->seq[topic], THREADS * EACH);
        for (uint32_t reader = 0; reader < READERS; reader++) engine_unsubscribe_all(&sides[i].engine, reader);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        engine_deinit(&sides[i].engine);
        bitset_deinit(&sides[i].ready);
        pool_deinit(&sides[i].readers);
    }
    wires_free(wires);
    free(sides);
}

static void every_reader_of_every_thread_has_all_once_and_in_order(void **state)
{
    const char *seconds = getenv("LINK_SECONDS");
    uint64_t end_us = clock_mono_us() + (seconds ? strtoull(seconds, NULL, 10) : 0) * 1000000, seed = 1;
    do live_once(seed++);
    while (clock_mono_us() < end_us);
    print_message("%llu lives\n", (unsigned long long)seed - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_reader_of_every_thread_has_all_once_and_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
