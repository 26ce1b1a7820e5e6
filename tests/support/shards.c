#include "tests/support/shards.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/base/siphash.h"
#include "tests/support/shards_hooks.h"

/* The longest that a right one takes to come to rest is far below it. */
enum { SETTLE_TURNS = 20000 };

struct span shards_name(const struct shards *shards, uint32_t topic)
{
    return span_of_string(shards->names[topic]);
}

uint32_t shards_topic_named(const struct shards *shards, struct span name)
{
    for (uint32_t topic = 0; topic < shards->plan.topics_known; topic++)
        if (span_equals(shards_name(shards, topic), name)) return topic;
    CHECK(!"a topic that nobody named");
    return 0;
}

uint32_t shards_home_of(const struct shards *shards, uint32_t topic)
{
    return (uint32_t)((shards->hashes[topic] >> 32) % shards->plan.count);
}

uint32_t shards_topic_of(const struct shards *shards, uint32_t home, uint32_t n)
{
    for (uint32_t topic = 0; topic < shards->plan.topics_known; topic++)
        if (shards_home_of(shards, topic) == home && n-- == 0) return topic;
    CHECK(!"too few topics at that home");
    return 0;
}

/* ---- made, ended ----------------------------------------------------------------------------------------------------- */

static void on_room(void *context)
{
    struct shard_sim *shard = context;
    shard->rooms++;
    shards_on_room(shard);
}

static void on_wake(void *context, uint32_t shard)
{
    struct shards *shards = ((struct shard_sim *)context)->all;
    if (shards->breakage != BREAK_WAKE_LOST) shards->shards[shard].woken = true;
}

struct shards *shards_make(const struct shards_plan *plan, uint64_t seed)
{
    struct shards *shards = calloc(1, sizeof *shards);
    CHECK(shards);
    shards->plan = *plan;
    shards->random = seed;
    shards->clock = (struct clock){ .mono_us = 1000000, .wall_us = UINT64_C(1700000000000000) };
    shards->wires = wires_make(plan->count, &plan->wires);
    CHECK(shards->wires);
    struct engine_settings settings = {
        .shards_count = plan->count, .home = plan->home, .subscriptions_max = SHARDS_READERS_MAX * SHARDS_TOPICS_MAX, .subscriptions_each_max = SHARDS_TOPICS_MAX,
        .patterns_max = 64, .locals_max = SHARDS_TOPICS_MAX,
    };
    memcpy(settings.hash_key, &seed, sizeof seed);
    for (uint32_t topic = 0; topic < plan->topics_known; topic++) {
        snprintf(shards->names[topic], sizeof shards->names[topic], "%c.%c%u", "abc"[topic % 3], "xyz"[topic / 3 % 3], topic);
        shards->hashes[topic] = siphash(settings.hash_key, shards_name(shards, topic));
    }
    for (uint32_t i = 0; i < plan->count; i++) {
        struct shard_sim *shard = &shards->shards[i];
        shard->all = shards;
        shard->index = settings.shard = i;
        CHECK(pool_init(&shard->readers, sizeof(struct shards_reader), SHARDS_READERS_MAX) == 0);
        CHECK(bitset_init(&shard->ready, SHARDS_READERS_MAX) == 0);
        CHECK(engine_init(&shard->engine, &settings, &shard->readers, &shard->ready, &shards->clock, &shard->counters) == 0);
    }
    for (uint32_t i = 0; i < plan->count; i++) {
        struct engine_hooks hooks = { &shards->shards[i], shards_on_published, shards_on_deleted, shards_on_answered, shards_on_live, on_room, on_wake };
        CHECK(engine_connect(&shards->shards[i].engine, shards->wires, &hooks) == 0);
    }
    return shards;
}

bool shards_is_open(const struct shard_sim *shard, uint32_t reader)
{
    return shard->open[reader];
}

static void close_all(struct shards *shards)
{
    for (uint32_t i = 0; i < shards->plan.count; i++)
        for (uint32_t reader = 0; reader < SHARDS_READERS_MAX; reader++)
            if (shards_is_open(&shards->shards[i], reader)) shards_close(shards, i, reader);
}

void shards_free(struct shards *shards)
{
    close_all(shards);
    for (uint32_t i = 0; i < shards->plan.count; i++) {
        engine_deinit(&shards->shards[i].engine);
        bitset_deinit(&shards->shards[i].ready);
        pool_deinit(&shards->shards[i].readers);
    }
    wires_free(shards->wires);
    free(shards);
}

/* ---- turns ----------------------------------------------------------------------------------------------------------- */

void shards_receive(struct shards *shards, uint32_t index)
{
    if (shards->breakage != SHARDS_WHOLE) shards_tamper(shards, index);
    shards_watch_births(&shards->shards[index]);
    engine_receive(&shards->shards[index].engine);
    shards_watch_lives(&shards->shards[index]);
}

void shards_tell(struct shards *shards, uint32_t index)
{
    engine_tell(&shards->shards[index].engine);
    if (shards->breakage != SHARDS_WHOLE) shards_tamper_told(shards, index);
}

void shards_turn(struct shards *shards, uint32_t index)
{
    struct shard_sim *shard = &shards->shards[index];
    shard->woken = false;
    shards_receive(shards, index);
    engine_tick(&shard->engine);
    shards_tell(shards, index);
    shards_flush(shard);
    engine_trim(&shard->engine);
}

void shards_pass(struct shards *shards, uint64_t us)
{
    shards->clock.mono_us += us;
    shards->clock.wall_us += us;
}

static bool has_ready(const struct shard_sim *shard)
{
    for (uint32_t index = bitset_next(&shard->ready, 0); index != BITSET_NONE; index = bitset_next(&shard->ready, index + 1))
        if (!((const struct shards_reader *)pool_at(&shard->readers, index))->stuck) return true;
    return false;
}

static void turn_and_sleep(struct shards *shards, uint32_t index)
{
    struct shard_sim *shard = &shards->shards[index];
    shards_turn(shards, index);
    bool own = shard->engine.home.to_tell[index].first != POOL_NONE; /* trimmed after it told: back with the next turn */
    bool more = engine_has_input(&shard->engine) || own || shards_tampers(shards, index);
    shard->asleep_until_us = more ? shards->clock.mono_us : engine_due_us(&shard->engine);
}

static bool turn_those_awake(struct shards *shards)
{
    bool quiet = true;
    for (uint32_t i = 0; i < shards->plan.count; i++) {
        struct shard_sim *shard = &shards->shards[i];
        if (!shard->woken && shards->clock.mono_us < shard->asleep_until_us && !has_ready(shard)) continue;
        quiet = false;
        turn_and_sleep(shards, i);
    }
    return !quiet;
}

void shards_settle(struct shards *shards)
{
    enum { NAP_US = 1000 }; /* what lingers longer is no work to be done */
    for (uint32_t i = 0; i < shards->plan.count; i++) turn_and_sleep(shards, i); /* what was done before is told */
    for (int turns = 0; turns < SETTLE_TURNS && !fault_found(&shards->fault); turns++) {
        if (turn_those_awake(shards)) continue;
        uint64_t next_us = UINT64_MAX, now_us = shards->clock.mono_us;
        for (uint32_t i = 0; i < shards->plan.count; i++)
            if (shards->shards[i].asleep_until_us < next_us) next_us = shards->shards[i].asleep_until_us;
        if (next_us > now_us + NAP_US) return;
        shards_pass(shards, next_us - now_us);
    }
    char stuck[200];
    shards_describe(shards, stuck, sizeof stuck);
    fault_say(&shards->fault, "it never comes to rest: %s", stuck[0] ? stuck : "all links are quiet, but somebody is always ready");
}

void shards_end(struct shards *shards)
{
    enum { ROUNDS = 6, ROUND_US = 1100000 }; /* a pattern lingers, then what it covered, then what the home knew of it */
    close_all(shards);
    for (int round = 0; round < ROUNDS && !fault_found(&shards->fault); round++) {
        shards_settle(shards);
        shards_pass(shards, ROUND_US);
    }
    shards_settle(shards);
    for (uint32_t i = 0; i < shards->plan.count; i++) {
        struct shard_sim *shard = &shards->shards[i];
        struct engine *engine = &shard->engine;
        struct fault *fault = &shards->fault;
        if (engine->locals.topics.used) fault_say(fault, "shard %u: nobody is there, and it still knows %u topics of others", i, engine->locals.topics.used);
        if (engine->locals.subscriptions.used) fault_say(fault, "shard %u: nobody is there, and %u subscriptions are left", i, engine->locals.subscriptions.used);
        if (engine->patterns.pool.used) fault_say(fault, "shard %u: nobody is there, and it still follows %u patterns", i, engine->patterns.pool.used);
        if (engine->home.pattern_shards.used) fault_say(fault, "home %u: nobody follows a pattern, and it knows %u", i, engine->home.pattern_shards.used);
        if (counter_read(&shard->counters, COUNTER_LOANS)) fault_say(fault, "shard %u: counts %llu loans", i, (unsigned long long)counter_read(&shard->counters, COUNTER_LOANS));
        if (counter_read(&shard->counters, COUNTER_INTERESTS)) fault_say(fault, "shard %u: counts %llu interests", i, (unsigned long long)counter_read(&shard->counters, COUNTER_INTERESTS));
    }
    for (uint32_t i = 0; i < shards->plan.topics_known; i++) {
        const struct topic *topic = shards_topic_at_home(shards, i);
        if (topic && topic->interested) fault_say(&shards->fault, "%s: nobody follows it, and its home takes shards %llx for interested", shards->names[i], (unsigned long long)topic->interested);
    }
    if (!fault_found(&shards->fault)) shards_check(shards);
}
