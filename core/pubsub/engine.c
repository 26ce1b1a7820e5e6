#include "core/pubsub/engine.h"

#include <errno.h>

#include "core/pubsub/finding.h"
#include "core/pubsub/following.h"
#include "core/pubsub/pattern_interest.h"
#include "core/pubsub/peer.h"

int engine_init(struct engine *engine, const struct engine_settings *settings, struct pool *subscribers, struct bitset *ready, const struct clock *clock, struct counters *counters)
{
    engine->settings = *settings;
    engine->clock = clock;
    engine->counters = counters;
    engine->hooks = (struct engine_hooks){ 0 };
    engine->full = false;
    engine->receive_first = 0;
    engine->looks_at_us = 0;
    engine->looks_end = LOOKS_EACH_TURN;
    engine->top_us = 0;
    for (uint32_t shard = 0; shard < settings->shards_count; shard++)
        engine->links[shard] = (struct link){ .engine = engine, .shard = shard, .self = shard == settings->shard };
    int error = home_init(&engine->home, &settings->home, engine->links, settings->shard, settings->shards_count, clock, counters);
    if (error) return error;
    uint32_t locals_max = settings->locals_max ? settings->locals_max : settings->home.topics_max;
    error = locals_init(&engine->locals, (locals_max + SYSTEM_TOPICS_MAX) * FORMATS_COUNT, settings->subscriptions_max, subscribers, ready, counters);
    if (error) goto undo_home;
    engine->home.trace = engine->locals.trace = settings->trace;
    error = pairs_init(&engine->by_pair, &engine->locals.subscriptions, settings->subscriptions_max);
    if (error) goto undo_locals;
    error = patterns_init(&engine->patterns, settings);
    if (error) goto undo_pairs;
    error = awaiting_init(&engine->awaiting);
    if (error) goto undo_patterns;
    error = paces_init(&engine->paces, settings->subscriptions_max, clock->mono_us);
    if (error) goto undo_awaiting;
    return 0;
undo_awaiting: awaiting_deinit(&engine->awaiting);
undo_patterns: patterns_deinit(&engine->patterns, settings->shards_count);
undo_pairs:  pairs_deinit(&engine->by_pair);
undo_locals: locals_deinit(&engine->locals);
undo_home:   home_deinit(&engine->home);
    return error;
}

void engine_deinit(struct engine *engine)
{
    paces_deinit(&engine->paces);
    awaiting_deinit(&engine->awaiting);
    patterns_deinit(&engine->patterns, engine->settings.shards_count);
    pairs_deinit(&engine->by_pair);
    locals_deinit(&engine->locals);
    home_deinit(&engine->home);
}

void engine_change(struct engine *engine, const struct engine_settings *settings)
{
    engine->settings.subscriptions_each_max = settings->subscriptions_each_max;
    home_change(&engine->home, &settings->home);
}

int engine_connect(struct engine *engine, struct wires *wires, const struct engine_hooks *hooks)
{
    uint32_t shards_count = engine->settings.shards_count;
    if (shards_count > 1 && (!wires || wires->shards_count != shards_count || !hooks)) return -EINVAL;
    if (hooks) engine->hooks = *hooks;
    for (uint32_t shard = 0; shard < shards_count; shard++) link_connect(&engine->links[shard], wires);
    return 0;
}

enum link_result engine_publish(struct engine *engine, struct publish_ask *ask, uint32_t ticket, struct publish_reply *reply)
{
    ask->hash = engine_name_hash(engine, ask->topic);
    return link_publish(engine_link_of(engine, ask->hash), ask, ticket, reply);
}

enum link_result engine_delete(struct engine *engine, struct delete_ask *ask, uint32_t ticket, struct delete_reply *reply)
{
    ask->hash = engine_name_hash(engine, ask->topic);
    return link_delete(engine_link_of(engine, ask->hash), ask, ticket, reply);
}

enum link_result engine_query(struct engine *engine, struct query_ask *ask, uint32_t ticket, struct query_reply *reply, struct text *answer)
{
    if (ask->kind == QUERY_NAMES || ask->kind == QUERY_NEWS) return link_query(&engine->links[ask->shard], ask, ticket, reply, answer);
    ask->hash = engine_name_hash(engine, ask->topic);
    return link_query(engine_link_of(engine, ask->hash), ask, ticket, reply, answer);
}

/* POOL_NONE: *result says why nobody need wait for it. */
static uint32_t prepare(struct engine *engine, struct span topic, enum wire_format format, uint64_t hash, enum link_result *result)
{
    *result = LINK_DONE;
    if (engine_link_of(engine, hash)->self || (format != FORMAT_JSON && following_is_live(engine, topic, hash, format))) return POOL_NONE;
    uint32_t index = following_prepare(engine, topic, hash, false);
    uint8_t state = index == POOL_NONE ? LOCAL_REFUSED : local_topic_at(&engine->locals, index)->state;
    if (state != LOCAL_LIVE) *result = LINK_REFUSED;
    return state == LOCAL_LIVE || state == LOCAL_REFUSED ? POOL_NONE : index;
}

enum link_result engine_prepare(struct engine *engine, struct span topic, enum wire_format format, uint32_t ticket)
{
    enum link_result result;
    if (engine->settings.shards_count == 1) return LINK_DONE;
    uint32_t index = prepare(engine, topic, format, engine_name_hash(engine, topic), &result);
    if (index == POOL_NONE) return result;
    if (awaiting_add(&engine->awaiting, &local_topic_at(&engine->locals, index)->awaiters, ticket, false)) return LINK_SENT;
    engine->full = engine->awaiting.full = true;
    return LINK_FULL;
}

enum link_result engine_prepare_quietly(struct engine *engine, struct span topic, enum wire_format format, struct topic_order *order)
{
    enum link_result result;
    if (engine->settings.shards_count == 1) return LINK_DONE;
    uint64_t hash = engine_name_hash(engine, topic);
    uint32_t index = prepare(engine, topic, format, hash, &result);
    if (index == POOL_NONE) return result;
    /* Generations count up as local topics are made, and what is made is asked for in that order. */
    *order = (struct topic_order){ engine_home_of(engine, hash), local_topic_at(&engine->locals, index)->generation };
    return LINK_SENT;
}

void subscriber_init(struct subscriber *subscriber)
{
    *subscriber = (struct subscriber){ .dirty = SUBSCRIPTION_RING_EMPTY, .siblings_first = POOL_NONE, .siblings_last = POOL_NONE, .patterns_first = POOL_NONE };
}

enum subscribe_verdict engine_subscribe(struct engine *engine, uint32_t subscriber, const struct subscribe_ask *ask, struct subscribe_reply *reply)
{
    uint32_t index;
    enum subscribe_verdict verdict = following_make(engine, subscriber, ask, BY_NAME, &index, reply);
    if (verdict != SUBSCRIBE_DONE || !reply->again) return verdict;
    if (!pace_set(engine, index, ask->max_hz)) return SUBSCRIBE_FULL;
    following_set_mode(engine, index, ask->mode);
    subscription_at(&engine->locals.subscriptions, index)->by = BY_NAME; /* a name beats a pattern */
    return verdict;
}

void engine_unsubscribe(struct engine *engine, uint32_t subscriber, struct span topic)
{
    uint32_t index = following_find(engine, subscriber, topic);
    if (index == POOL_NONE || subscription_at(&engine->locals.subscriptions, index)->by != BY_NAME) return;
    patterns_take_over(engine, index);
}
bool engine_follows(const struct engine *engine, uint32_t subscriber, struct span topic)
{
    return following_find(engine, subscriber, topic) != POOL_NONE;
}

void engine_unsubscribe_all(struct engine *engine, uint32_t subscriber_index)
{
    struct subscriber *subscriber = pool_at(engine->locals.subscribers, subscriber_index);
    patterns_end_all(engine, subscriber_index);
    while (subscriber->siblings_first != POOL_NONE) following_end(engine, subscriber->siblings_first);
}

/* ---- the other shards ------------------------------------------------------------------------------------------------ */

/* Who said LINK_FULL says so when it is over; what is asked then goes out with the next engine_tell(). */
static void say_room(struct engine *engine)
{
    if (!engine->full) return;
    bool room = engine->awaiting.full && engine->awaiting.pool.used < AWAITERS_MAX;
    if (room) engine->awaiting.full = false;
    bool waits = engine->awaiting.full;
    for (uint32_t shard = 0; shard < engine->settings.shards_count; shard++) {
        struct link *link = &engine->links[shard];
        if (!link->full) continue;
        if (!link_has_room(link)) waits = true;
        else {
            link->full = false;
            link->full_bytes = 0;
            room = true;
        }
    }
    engine->full = waits;
    if (room) engine->hooks.room(engine->hooks.context);
}

void engine_receive(struct engine *engine)
{
    uint32_t shards_count = engine->settings.shards_count;
    if (engine->looks_at_us != engine->clock->mono_us) {
        engine->looks_at_us = engine->clock->mono_us;
        engine->looks_end = engine->home.looks + LOOKS_EACH_TURN;
    }
    for (uint32_t i = 0; i < shards_count; i++) {
        struct link *link = &engine->links[(engine->receive_first + i) % shards_count];
        if (link->self) continue;
        link_hear(link);
        peer_serve(link);
    }
    engine->receive_first = (engine->receive_first + 1) % shards_count;
    struct awaiter due;
    while (awaiting_take(&engine->awaiting, &engine->awaiting.due, &due)) engine->hooks.live(engine->hooks.context, due.who);
    say_room(engine);
}

/* Something that waited for room has it now. */
static bool can_go_on(struct engine *engine, struct link *link)
{
    if (link->full && link_has_room(link)) return true;
    bool waits = engine->home.to_tell[link->shard].first != POOL_NONE || engine->home.matches[link->shard];
    if (waits && peer_has_room(link)) return true;
    if (!link->behind) return false;
    uint32_t staged = link->asks.staged;
    link_tell_state(link);
    return link->asks.staged != staged;
}

bool engine_has_input(struct engine *engine)
{
    for (uint32_t shard = 0; shard < engine->settings.shards_count; shard++) {
        struct link *link = &engine->links[shard];
        if (link->self) continue;
        if (!spsc_empty(&link->tells) || !spsc_empty(&link->asked) || can_go_on(engine, link)) return true;
    }
    return false;
}

void engine_tell(struct engine *engine)
{
    uint32_t shards_count = engine->settings.shards_count;
    for (uint32_t shard = 0; shard < shards_count; shard++)
        if (!engine->links[shard].self) link_tell_state(&engine->links[shard]);
    home_tell(&engine->home);
    say_room(engine);
    for (uint32_t shard = 0; shard < shards_count; shard++) {
        struct link *link = &engine->links[shard];
        if (link->self) continue;
        peer_give_credits(link);
        bool asked = spsc_publish(&link->asks), told = spsc_publish(&link->told);
        if (asked || told || link->wake) engine->hooks.wake(engine->hooks.context, shard);
        link->wake = false;
    }
}

static void allow_looks(struct engine *engine)
{
    if (engine->clock->mono_us - engine->top_us < TOP_EACH_US) return;
    engine->top_us = engine->clock->mono_us;
    engine->home.top_looks = engine->locals.top_looks = TOP_LOOKS;
}

void engine_tick(struct engine *engine)
{
    allow_looks(engine);
    following_tick(engine);
    finding_tick(engine);
    patterns_tick(engine);
    pace_tick(engine);
}

/* A peer wakes us when it made room, unless it did so just while we looked: then this does. */
enum { ROOM_LOOK_US = 1000 };

uint64_t engine_due_us(const struct engine *engine)
{
    uint64_t due_us = UINT64_MAX, pace_us = pace_due_us(engine);
    for (uint32_t shard = 0; shard < engine->settings.shards_count; shard++) {
        const struct link *link = &engine->links[shard];
        if (link->self) continue;
        bool waits = link->full || link->behind || engine->home.to_tell[shard].first != POOL_NONE || engine->home.matches[shard];
        if (waits) return engine->clock->mono_us + ROOM_LOOK_US;
    }
    if (engine->locals.lingering.first != POOL_NONE) due_us = local_topic_at(&engine->locals, engine->locals.lingering.first)->linger_us + LINGER_US;
    uint64_t pattern_us = patterns_due_us(engine), finding_us = finding_due_us(engine);
    if (engine->awaiting.due.first != POOL_NONE) return engine->clock->mono_us;
    if (finding_us < due_us) due_us = finding_us;
    if (pace_us < due_us) due_us = pace_us;
    return pattern_us < due_us ? pattern_us : due_us;
}

void engine_trim(struct engine *engine)
{
    home_trim(&engine->home);
}

uint32_t engine_take_dirty(struct engine *engine, struct subscriber *subscriber)
{
    uint32_t index = subscriber->dirty.first;
    const struct subscription *subscription = subscription_take_first(&engine->locals.subscriptions, &subscriber->dirty);
    return subscription && subscription->paced ? pace_take(engine, subscriber, index) : index;
}

void engine_sent(struct engine *engine, uint32_t index, struct mark mark)
{
    struct subscription *subscription = subscription_at(&engine->locals.subscriptions, index);
    uint64_t frames = mark.seq - subscription->next_seq;
    counter_add(engine->counters, COUNTER_FRAMES_SENT, frames);
    local_topic_at(&engine->locals, subscription->local)->sent += frames;
    subscription->next_seq = mark.seq;
    subscription->fresh = false;
    subscription->jumped = 0;
    subscription->at = mark.at;
    if (subscription->paced) pace_sent(engine, index, frames);
    else following_enlist(engine, index);
}

void engine_unsent(struct engine *engine, uint32_t index)
{
    struct subscription *subscription = subscription_at(&engine->locals.subscriptions, index);
    struct subscriber *subscriber = pool_at(engine->locals.subscribers, subscription->subscriber);
    subscription_push_first(&engine->locals.subscriptions, &subscriber->dirty, index, IN_DIRTY);
}
