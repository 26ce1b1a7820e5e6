/* What must be so between two turns: lists, counts, memory, windows. See world.h. */
#include "tests/support/world.h"

#include "core/base/siphash.h"

typedef unsigned long long number;

/* ---- windows ----------------------------------------------------------------------------------------------------------- */

/* Whether even without its oldest segment it would hold all that it must: then that should have been trimmed. */
static bool holds_too_much(const struct world *world, const struct past_life *life, const struct log *log)
{
    uint32_t number_second = log->ends.tail.at.segment + 1;
    if (log->ends.tail.at.segment == log->ends.head.segment) return false;
    uint64_t second_seq = chain_at(&log->chain, number_second)->segment->first_seq;
    if (history_bytes_from(life, second_seq) >= world->history.window_bytes) return true;
    return !life->keyed && life->newest - second_seq + 1 >= world->history.window_updates;
}

static void check_window(struct world *world, const char *name, const struct past_life *life, const struct log *log)
{
    uint64_t tail_seq = log->ends.tail.seq;
    if (tail_seq > life->floor) fault_say(&world->fault, "%s: the window begins with %llu, but must hold all from %llu to %llu", name, (number)tail_seq, (number)life->floor, (number)life->newest);
    if (log->window_bytes != history_bytes_from(life, tail_seq))
        fault_say(&world->fault, "%s: counts %llu bytes in its window of %llu", name, (number)log->window_bytes, (number)history_bytes_from(life, tail_seq));
    if (world->breakage == BREAK_NOTHING && holds_too_much(world, life, log)) fault_say(&world->fault, "%s: the window holds a segment that it need not", name);
}

/* In another format than JSON: in step with it, and no less than that must hold. */
static void check_format(struct world *world, uint32_t past, const struct topic *topic)
{
    const struct past_life *life = history_life(&world->history, past);
    const char *name = world->history.topics[past].name;
    const struct ends *ends = &topic->log.ends, *json = &topic->main->log.ends;
    if (memcmp(topic->epoch, topic->main->epoch, EPOCH_BYTES) != 0) fault_say(&world->fault, "%s: two epochs at once", name);
    if (ends->last.seq != life->newest) fault_say(&world->fault, "%s: its newest is %llu, and in another format %llu", name, (number)life->newest, (number)ends->last.seq);
    if (life->newest == 0) return;
    if (ends->key.seq != json->key.seq) fault_say(&world->fault, "%s: two newest keys, %llu and %llu", name, (number)json->key.seq, (number)ends->key.seq);
    if (ends->tail.seq > life->loose) fault_say(&world->fault, "%s: in another format the window begins with %llu, but must hold all from %llu", name, (number)ends->tail.seq, (number)life->loose);
    uint64_t bytes = 0;
    for (struct mark mark = ends->tail; mark.seq <= ends->last.seq; mark = chain_next(&topic->log.chain, mark)) bytes += chain_frame_bytes(&topic->log.chain, mark.at);
    if (bytes != topic->log.window_bytes) fault_say(&world->fault, "%s: counts %llu bytes in its window of %llu in another format", name, (number)topic->log.window_bytes, (number)bytes);
}

void world_check_windows(struct world *world)
{
    for (uint32_t i = 0; i < world->history.topics_count; i++) {
        const struct past_life *life = history_life(&world->history, i);
        const struct topic *topic = world_topic(world, i);
        if ((topic ? log_newest_seq(&topic->log) : 0) != life->newest) {
            fault_say(&world->fault, "%s: its newest is %llu, but home does not know it", world->history.topics[i].name, (number)life->newest);
            return;
        }
        if (life->newest > 0) check_window(world, world->history.topics[i].name, life, &topic->log);
        for (const struct topic *one = topic ? topic->next_format : NULL; one && world->breakage != BREAK_WINDOW_SHORT; one = one->next_format) check_format(world, i, one);
    }
}

static bool is_followed(const struct world *world, uint32_t topic)
{
    for (uint32_t i = 0; (i = bitset_next(&world->live, i)) != BITSET_NONE; i++)
        if (world_conn(world, i)->reader->as_asked.followed[topic].on) return true;
    return false;
}

void world_note_if_forgotten(struct world *world, uint32_t index)
{
    const struct past_life *life = history_life(&world->history, index);
    const struct past_topic *topic = &world->history.topics[index];
    if (world_topic(world, index)) return;
    if (is_followed(world, index)) fault_say(&world->fault, "%s was forgotten, although it is followed", topic->name);
    if (life->newest > 0) {
        uint64_t quiet_us = world->clock.mono_us - topic->quiet_us;
        if (quiet_us < world->plan.home.topic_ttl_us) fault_say(&world->fault, "%s was forgotten %llu us after its newest update", topic->name, (unsigned long long)quiet_us);
        world->seen.forgotten++;
    }
    if (topic->ts_us > 0) history_end_life(&world->history, index, true);
}

void world_note_forgotten(struct world *world)
{
    for (uint32_t i = 0; i < world->history.topics_count; i++) world_note_if_forgotten(world, i);
}

/* ---- memory ------------------------------------------------------------------------------------------------------------ */

static void check_memory(struct world *world)
{
    const struct home *home = &world->engine.home;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < world->history.topics_count; i++) {
        for (const struct topic *topic = world_topic(world, i); topic; topic = topic->next_format)
            for (uint32_t n = 0; n < topic->log.chain.count; n++) bytes += sizeof(struct segment) + chain_at(&topic->log.chain, topic->log.chain.number + n)->segment->size;
    }
    if (bytes != home->store.bytes_used) fault_say(&world->fault, "the logs hold %llu bytes, but %llu count as used", (number)bytes, (number)home->store.bytes_used);
    if (home->store.bytes_used > home->store.bytes_max) fault_say(&world->fault, "the logs hold more than their budget");
}

/* ---- lists ------------------------------------------------------------------------------------------------------------- */

static uint32_t ring_length(struct world *world, const struct subscription_ring *ring, enum subscription_list list)
{
    const struct pool *pool = &world->engine.locals.subscriptions;
    uint32_t length = 0, before = POOL_NONE;
    for (uint32_t at = ring->first; at != POOL_NONE; before = at, at = subscription_at(pool, at)->next) {
        const struct subscription *subscription = subscription_at(pool, at);
        if (subscription->list != list || subscription->prev != before || ++length > pool->used) {
            fault_say(&world->fault, "a list of subscriptions is torn");
            return 0;
        }
    }
    if (ring->last != before) fault_say(&world->fault, "a list's last is not its last");
    return length;
}

static void check_subscription(struct world *world, const struct sim_conn *conn, const struct subscription *subscription)
{
    const struct local_topic *local = local_topic_at(&world->engine.locals, subscription->local);
    bool caught_up = !local_topic_born(local) || (subscription->life == local->life && subscription->next_seq > local->ends.last.seq);
    if (subscription->list != IN_RESTING && (subscription->list == IN_WAITING) != caught_up && !(caught_up && subscription->list == IN_DIRTY))
        fault_say(&world->fault, "%.*s: a subscription waits, and there is news for it", (int)local->name_bytes, local->name);
    if (local_topic_born(local) && subscription->life == local->life && subscription->next_seq > local->ends.last.seq + 1)
        fault_say(&world->fault, "%.*s: a cursor is beyond the head", (int)local->name_bytes, local->name);
    const struct followed *asked = &conn->reader->as_asked.followed[history_find(&world->history, local_topic_name(local))];
    if (!asked->on) fault_say(&world->fault, "%.*s: a subscription that nobody asked for", (int)local->name_bytes, local->name);
    else if (local_topic_born(local) && (asked->every != (subscription->mode == MODE_EVERY) || asked->by_name != (subscription->by == BY_NAME) || asked->max_hz != pace_max_hz(&world->engine, pool_index(&world->engine.locals.subscriptions, subscription))))
        fault_say(&world->fault, "%.*s: subscribed in another way than was asked", (int)local->name_bytes, local->name);
}

static uint32_t check_conn(struct world *world, uint32_t index)
{
    const struct sim_conn *conn = world_conn(world, index);
    const struct pool *pool = &world->engine.locals.subscriptions;
    uint32_t count = 0, dirty = 0;
    for (uint32_t at = conn->subscriber.siblings_first; at != POOL_NONE; at = subscription_at(pool, at)->sibling_next) {
        const struct subscription *subscription = subscription_at(pool, at);
        if (subscription->subscriber != index) fault_say(&world->fault, "a sibling of another subscriber");
        check_subscription(world, conn, subscription);
        count++;
        dirty += subscription->list == IN_DIRTY;
    }
    if (count != conn->subscriber.subscriptions_count) fault_say(&world->fault, "a subscriber counts %u subscriptions and has %u", conn->subscriber.subscriptions_count, count);
    if (ring_length(world, &conn->subscriber.dirty, IN_DIRTY) != dirty) fault_say(&world->fault, "a dirty list lacks one");
    uint32_t asked = 0;
    for (uint32_t i = 0; i < world->history.topics_count; i++) asked += conn->reader->as_asked.followed[i].on;
    if (asked != count) fault_say(&world->fault, "a subscriber has %u subscriptions, but asked for %u", count, asked);
    return count;
}

static void check_local(struct world *world, const struct local_topic *local, uint32_t past)
{
    const struct topic *topic = world_topic(world, past);
    while (topic && topic->log.chain.format != local->chain.format) topic = topic->next_format;
    if (!topic) {
        fault_say(&world->fault, "%s is followed, and home does not know it", world->history.topics[past].name);
        return;
    }
    if (local->subscriptions_count == 0) fault_say(&world->fault, "%s is followed by nobody", world->history.topics[past].name);
    if (local->chain.count > 0 && (!chain_holds(&topic->log.chain, local->chain.number) || !chain_holds(&topic->log.chain, local->chain.number + local->chain.count - 1)))
        fault_say(&world->fault, "%s: segments are read that home gave back", world->history.topics[past].name);
    ring_length(world, &local->waiting, IN_WAITING);
}

void world_check(struct world *world)
{
    struct engine *engine = &world->engine;
    uint32_t subscriptions = 0, followed = 0, paced = 0;
    for (uint32_t i = 0; (i = bitset_next(&world->live, i)) != BITSET_NONE; i++) subscriptions += check_conn(world, i);
    for (uint32_t past = 0; past < world->history.topics_count; past++) {
        struct span name = span_of_string(world->history.topics[past].name);
        for (enum wire_format format = 0; format < FORMATS_COUNT; format++) {
            uint32_t local = locals_find(&engine->locals, name, siphash(engine->settings.hash_key, name), format);
            if (local == POOL_NONE) continue;
            followed++;
            check_local(world, local_topic_at(&engine->locals, local), past);
        }
    }
    if (subscriptions != engine->locals.subscriptions.used || subscriptions != engine->by_pair.count || subscriptions != counter_read(&world->counters, COUNTER_SUBSCRIPTIONS))
        fault_say(&world->fault, "%u subscriptions, but %u are out, %u known by pair", subscriptions, engine->locals.subscriptions.used, engine->by_pair.count);
    if (followed != engine->locals.topics.used || followed != engine->locals.by_name.count) fault_say(&world->fault, "%u topics are followed, but %u are out", followed, engine->locals.topics.used);
    if (engine->home.topics.used != engine->home.by_name.count || engine->home.topics_count != counter_read(&world->counters, COUNTER_TOPICS))
        fault_say(&world->fault, "home knows %u topics by name, but %u are out", engine->home.by_name.count, engine->home.topics_count);
    for (uint32_t i = 0; (i = bitset_next(&world->live, i)) != BITSET_NONE; i++)
        for (uint32_t at = world_conn(world, i)->subscriber.siblings_first; at != POOL_NONE; at = subscription_at(&engine->locals.subscriptions, at)->sibling_next)
            paced += subscription_at(&engine->locals.subscriptions, at)->paced;
    if (paced != engine->paces.pool.used || paced != engine->paces.by_subscription.count) fault_say(&world->fault, "%u are paced, but %u paces are out", paced, engine->paces.pool.used);
    uint32_t patterns = 0;
    for (uint32_t i = 0; (i = bitset_next(&world->live, i)) != BITSET_NONE; i++) patterns += world_conn(world, i)->subscriber.patterns_count;
    if (patterns != engine->patterns.subscriptions.used) fault_say(&world->fault, "%u patterns are followed, but %u are out", patterns, engine->patterns.subscriptions.used);
    if (engine->patterns.pool.used != engine->patterns.index.count || engine->patterns.pool.used != engine->home.pattern_shards.used) fault_say(&world->fault, "%u patterns, but %u by text and %u at home", engine->patterns.pool.used, engine->patterns.index.count, engine->home.pattern_shards.used);
    check_memory(world);
}

void world_check_leaks(struct world *world)
{
    struct engine *engine = &world->engine;
    world_check(world);
    if (engine->locals.subscriptions.used > 0 || engine->locals.topics.used > 0) fault_say(&world->fault, "%u subscriptions and %u followed topics leaked", engine->locals.subscriptions.used, engine->locals.topics.used);
    if (engine->patterns.pool.used > 0) fault_say(&world->fault, "%u patterns leaked", engine->patterns.pool.used);
    /* Quiet topics that were never published to are forgotten within a few sweeps. */
    uint32_t published = 0;
    for (int i = 0; i < 50; i++) {
        world_time(world, 100000, 100000);
        engine_trim(engine);
        world_note_forgotten(world);
    }
    history_trim(&world->history, world->clock.wall_us);
    world_check_windows(world);
    for (uint32_t past = 0; past < world->history.topics_count; past++) {
        if (history_life(&world->history, past)->newest == 0) continue;
        published++;
        for (const struct topic *topic = world_topic(world, past); topic; topic = topic->next_format)
            if (topic->log.chain.number != topic->log.ends.tail.at.segment) fault_say(&world->fault, "%s: trimmed segments were never given back", world->history.topics[past].name);
    }
    if (engine->home.topics_count != published) fault_say(&world->fault, "%u topics were published to, but %u are known", published, engine->home.topics_count);
    if (engine->home.to_tell[0].first != POOL_NONE || engine->home.to_trim.first != POOL_NONE) fault_say(&world->fault, "a topic is still to be told or trimmed");
    check_memory(world);
}
