#include "tests/support/deflating.h"
#include "tests/support/pair.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/pubsub/following.h"

static void on_live(void *context, uint32_t ticket)
{
    (void)ticket;
    ((struct pair_side *)context)->lives++;
}

static void on_room(void *context)
{
    (void)context;
}

static void on_wake(void *context, uint32_t shard)
{
    (void)context, (void)shard;
}

struct pair *pair_make(uint32_t slots, uint64_t log_bytes_max, uint64_t window_updates)
{
    struct pair *pair = calloc(1, sizeof *pair);
    CHECK(pair);
    struct wires_settings wires = { slots, slots, 65536 };
    pair->wires = wires_make(2, &wires);
    CHECK(pair->wires);
    pair->clock = (struct clock){ .mono_us = SECOND_US, .wall_us = UINT64_C(1700000000000000) };
    for (uint32_t i = 0; i < 2; i++) {
        struct pair_side *side = &pair->sides[i];
        struct engine_settings settings = { .shard = i, .shards_count = 2, .hash_key = "a fixed hash key", .subscriptions_max = 100, .subscriptions_each_max = 100, .patterns_max = 10 };
        settings.home = (struct home_settings){ .topics_max = 100, .log_bytes_max = log_bytes_max, .patterns_max = 10, .compressor = &deflating, .hash_key = "a fixed hash key",
                                                .topic_ttl_us = UINT64_C(1) << 60, .window = { window_updates, 1 << 20, UINT64_C(1) << 60 } };
        CHECK(pool_init(&side->readers, sizeof(struct subscriber), PAIR_READERS) == 0);
        CHECK(bitset_init(&side->ready, PAIR_READERS) == 0);
        CHECK(engine_init(&side->engine, &settings, &side->readers, &side->ready, &pair->clock, &side->counters) == 0);
        struct engine_hooks hooks = { .context = side, .live = on_live, .room = on_room, .wake = on_wake };
        CHECK(engine_connect(&side->engine, pair->wires, &hooks) == 0);
        for (uint32_t reader = 0; reader < PAIR_READERS; reader++) {
            CHECK(pool_take(&side->readers) == reader);
            subscriber_init(pool_at(&side->readers, reader));
        }
    }
    for (uint32_t found = 0, n = 0; found < PAIR_TOPICS; n++) {
        snprintf(pair->names[found], sizeof pair->names[found], "t%u", n);
        found += engine_home_of(&pair->sides[0].engine, engine_name_hash(&pair->sides[0].engine, span_of_string(pair->names[found]))) == 1;
    }
    return pair;
}

void pair_turn(struct pair *pair, uint32_t side)
{
    struct engine *engine = &pair->sides[side].engine;
    engine_receive(engine);
    engine_tick(engine);
    engine_tell(engine);
    engine_trim(engine);
}

void pair_settle(struct pair *pair)
{
    for (int i = 0; i < 60; i++) pair_turn(pair, (uint32_t)i % 2);
}

void pair_pass(struct pair *pair, uint64_t us)
{
    pair->clock.mono_us += us;
    pair->clock.wall_us += us;
    pair_settle(pair);
}

void pair_end(struct pair *pair)
{
    for (uint32_t i = 0; i < 2; i++)
        for (uint32_t reader = 0; reader < PAIR_READERS; reader++) engine_unsubscribe_all(&pair->sides[i].engine, reader);
    for (int i = 0; i < 4; i++) pair_pass(pair, SECOND_US + 1);
    const struct pair_side *abroad = &pair->sides[0];
    CHECK(abroad->engine.locals.topics.used == 0);
    CHECK(counter_read(&abroad->counters, COUNTER_LOANS) == 0);
    CHECK(counter_read(&abroad->counters, COUNTER_INTERESTS) == 0);
    const struct home *home = &pair->sides[1].engine.home;
    for (uint32_t at = 0; at <= home->by_name.mask; at++) {
        if (home->by_name.slots[at].index == TABLE_NONE) continue;
        const struct topic *topic = pool_at(&home->topics, home->by_name.slots[at].index);
        CHECK(topic->interested == 0);
        if (log_newest_seq(&topic->log) > 0) CHECK(topic->log.chain.number == topic->log.ends.tail.at.segment);
        else CHECK(topic->log.chain.count == 0);
    }
    CHECK(home->on_loan_bytes == 0);
    for (int i = 0; i < 40; i++) pair_pass(pair, 4 * SECOND_US); /* logs in other formats are forgotten */
    CHECK(home->topics.used == home->topics_count);
    for (uint32_t i = 0; i < 2; i++) {
        engine_deinit(&pair->sides[i].engine);
        pool_deinit(&pair->sides[i].readers);
        bitset_deinit(&pair->sides[i].ready);
    }
    wires_free(pair->wires);
    text_free(&pair->line);
    text_free(&pair->covered);
    free(pair);
}

struct local_topic *pair_local(struct pair *pair, uint32_t topic, enum wire_format format)
{
    struct engine *engine = &pair->sides[0].engine;
    uint32_t index = locals_find(&engine->locals, pair_name(pair, topic), engine_name_hash(engine, pair_name(pair, topic)), format);
    return index == POOL_NONE ? NULL : local_topic_at(&engine->locals, index);
}

const struct topic *pair_topic(struct pair *pair, uint32_t topic, enum wire_format format)
{
    const struct home *home = &pair->sides[1].engine.home;
    uint32_t index = home_find_index(home, pair_name(pair, topic), engine_name_hash(&pair->sides[0].engine, pair_name(pair, topic)), format);
    return index == POOL_NONE ? NULL : pool_at(&home->topics, index);
}
