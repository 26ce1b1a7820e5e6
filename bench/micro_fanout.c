/* Steps of micro.h in the engine of one shard: appending an update, waking who waits for it, cutting what each is sent. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/machine.h"
#include "bench/micro.h"
#include "core/pubsub/engine.h"

#define WAITERS    1000
#define DATA_BYTES 64

struct shard {
    struct engine   engine;
    struct pool     subscribers;
    struct bitset   ready;
    struct clock    clock;
    struct counters counters;
    struct span     data;
    char            bytes[DATA_BYTES];
    uint64_t        wrong;
};

static const struct window window = { 1000, 1 << 20, UINT64_C(300000000) };

static void *begin_of(uint32_t waiters)
{
    struct shard *self = aligned_alloc(128, (sizeof *self + 127) / 128 * 128);
    if (!self) return NULL;
    memset(self, 0, sizeof *self);
    memset(self->bytes, 'x', sizeof self->bytes);
    self->bytes[0] = self->bytes[DATA_BYTES - 1] = '"';
    self->data = span_of(self->bytes, DATA_BYTES);
    clock_tick(&self->clock);
    struct engine_settings settings = {
        .shards_count = 1, .subscriptions_max = WAITERS, .subscriptions_each_max = 4, .patterns_max = 4,
        .home = { .topics_max = 4, .patterns_max = 4, .log_bytes_max = 1 << 26, .topic_ttl_us = UINT64_C(3600000000), .window = window },
    };
    if (pool_init(&self->subscribers, sizeof(struct subscriber), WAITERS) || bitset_init(&self->ready, WAITERS) ||
        engine_init(&self->engine, &settings, &self->subscribers, &self->ready, &self->clock, &self->counters) ||
        engine_connect(&self->engine, NULL, NULL))
        return NULL;
    struct publish_ask first = { .topic = SPAN_LITERAL("bench"), .data = self->data };
    struct publish_reply reply;
    engine_publish(&self->engine, &first, 0, &reply);
    for (uint32_t i = 0; i < waiters; i++) {
        struct subscribe_ask ask = { .topic = SPAN_LITERAL("bench"), .mode = MODE_EVERY };
        struct subscribe_reply subscribed;
        subscriber_init(pool_at(&self->subscribers, pool_take(&self->subscribers)));
        self->wrong += engine_prepare(&self->engine, ask.topic, FORMAT_JSON, 0) != LINK_DONE ||
                       engine_subscribe(&self->engine, i, &ask, &subscribed) != SUBSCRIBE_DONE;
    }
    engine_tell(&self->engine);
    return self->wrong ? NULL : self;
}

static void *begin_alone(void) { return begin_of(0); }
static void *begin_crowd(void) { return begin_of(WAITERS); }

static void end(void *context)
{
    struct shard *self = context;
    engine_deinit(&self->engine);
    bitset_deinit(&self->ready);
    pool_deinit(&self->subscribers);
    free(self);
}

static void publish(struct shard *self)
{
    struct publish_ask ask = { .topic = SPAN_LITERAL("bench"), .data = self->data };
    struct publish_reply reply;
    engine_publish(&self->engine, &ask, 0, &reply);
    self->wrong += reply.verdict != PUBLISH_DONE;
}

/* Found by name, numbered, encoded into the log; the window is trimmed once in 32. */
static uint64_t append(void *context, uint64_t count)
{
    struct shard *self = context;
    for (uint64_t i = 0; i < count; i++) {
        publish(self);
        if (i % 32) continue;
        engine_tell(&self->engine);
        engine_trim(&self->engine);
    }
    return self->wrong;
}

/* The flush of one subscriber, up to what would be handed to the kernel. */
static uint64_t flush(struct shard *self, uint32_t index)
{
    struct engine *engine = &self->engine;
    uint32_t at = engine_take_dirty(engine, pool_at(&self->subscribers, index));
    if (at == POOL_NONE) return 0;
    struct subscription *subscription = subscription_at(&engine->locals.subscriptions, at);
    struct local_topic *local = local_topic_at(&engine->locals, subscription->local);
    struct cursor_news news;
    struct range range;
    struct piece pieces[4];
    cursor_advance(local, subscription, false, &self->counters, &news);
    cursor_cut(local, subscription, &range);
    uint32_t pieces_count = range_pieces(local, &range, pieces, 4);
    engine_sent(engine, at, range.to);
    return pieces[pieces_count - 1].size;
}

/* One publish wakes all, and each is flushed: an operation is one subscriber. */
static uint64_t deliver(struct shard *self, uint64_t count, uint32_t updates)
{
    uint64_t bytes = 0;
    for (uint64_t done = 0; done < count; done += WAITERS) {
        for (uint32_t i = 0; i < updates; i++) publish(self);
        engine_tell(&self->engine);
        for (uint32_t i = 0; i < WAITERS; i++) bytes += flush(self, i);
        for (uint32_t i = 0; i < WAITERS; i++) bitset_remove(&self->ready, i);
        engine_trim(&self->engine);
    }
    return bytes;
}

static uint64_t deliver_one(void *self, uint64_t count) { return deliver(self, count, 1); }
static uint64_t deliver_64(void *self, uint64_t count) { return deliver(self, count, 64); }

/* Waking alone: all go back to waiting by being sent all, without a range being cut. */
static uint64_t wake(void *context, uint64_t count)
{
    struct shard *self = context;
    struct engine *engine = &self->engine;
    for (uint64_t done = 0; done < count; done += WAITERS) {
        publish(self);
        engine_tell(engine);
        for (uint32_t i = 0; i < WAITERS; i++) {
            uint32_t at = engine_take_dirty(engine, pool_at(&self->subscribers, i));
            struct subscription *subscription = subscription_at(&engine->locals.subscriptions, at);
            struct local_topic *local = local_topic_at(&engine->locals, subscription->local);
            engine_sent(engine, at, (struct mark){ local->ends.head, local->ends.last.seq + 1 });
            bitset_remove(&self->ready, i);
        }
        engine_trim(engine);
    }
    return self->wrong;
}

const struct micro_step micro_fanout_steps[] = {
    { "append", "an update of 64 bytes published, nobody follows", DATA_BYTES, begin_alone, append, end },
    { "wake_waiter", "a waiter woken and put back, of 1,000", 0, begin_crowd, wake, end },
    { "cut", "the same with its range cut, one update", 0, begin_crowd, deliver_one, end },
    { "cut_64", "the same, a range of 64 updates", 0, begin_crowd, deliver_64, end },
    { 0 },
};
