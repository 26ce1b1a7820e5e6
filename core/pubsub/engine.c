#include "core/pubsub/engine.h"

#include "core/pubsub/following.h"

int engine_init(struct engine *engine, const struct engine_settings *settings, struct pool *subscribers, struct bitset *ready, const struct clock *clock, struct counters *counters)
{
    engine->settings = *settings;
    engine->clock = clock;
    engine->counters = counters;
    engine->self = (struct link){ settings->shard, &engine->home, &engine->locals, engine };
    for (uint32_t shard = 0; shard < settings->shards_count; shard++) engine->links[shard] = &engine->self;
    int error = home_init(&engine->home, &settings->home, engine->links, settings->shards_count, clock, counters);
    if (error) return error;
    error = locals_init(&engine->locals, settings->home.topics_max, settings->subscriptions_max, subscribers, ready, counters);
    if (error) goto undo_home;
    error = table_init(&engine->by_pair);
    if (error) goto undo_locals;
    error = patterns_init(&engine->patterns, settings);
    if (error) goto undo_pairs;
    return 0;
undo_pairs:  table_deinit(&engine->by_pair);
undo_locals: locals_deinit(&engine->locals);
undo_home:   home_deinit(&engine->home);
    return error;
}

void engine_deinit(struct engine *engine)
{
    patterns_deinit(&engine->patterns);
    table_deinit(&engine->by_pair);
    locals_deinit(&engine->locals);
    home_deinit(&engine->home);
}

enum link_result engine_publish(struct engine *engine, struct publish_ask *ask, struct publish_reply *reply)
{
    ask->hash = engine_name_hash(engine, ask->topic);
    return link_publish(engine_link_of(engine, ask->hash), ask, reply);
}

enum link_result engine_delete(struct engine *engine, struct delete_ask *ask, struct delete_reply *reply)
{
    ask->hash = engine_name_hash(engine, ask->topic);
    return link_delete(engine_link_of(engine, ask->hash), ask, reply);
}

enum link_result engine_query(struct engine *engine, struct query_ask *ask, struct query_reply *reply, struct text *answer)
{
    if (ask->kind == QUERY_NAMES) return link_query(&engine->self, ask, reply, answer);
    ask->hash = engine_name_hash(engine, ask->topic);
    return link_query(engine_link_of(engine, ask->hash), ask, reply, answer);
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

void engine_tell(struct engine *engine)
{
    home_tell(&engine->home);
}

void engine_trim(struct engine *engine)
{
    home_trim(&engine->home);
}

uint32_t engine_take_dirty(struct engine *engine, struct subscriber *subscriber)
{
    uint32_t index = subscriber->dirty.first;
    if (index != POOL_NONE) subscription_unlink(&engine->locals.subscriptions, &subscriber->dirty, index);
    return index;
}

void engine_sent(struct engine *engine, uint32_t index, struct mark mark)
{
    struct subscription *subscription = subscription_at(&engine->locals.subscriptions, index);
    counter_add(engine->counters, COUNTER_FRAMES_SENT, mark.seq - subscription->next_seq);
    subscription->next_seq = mark.seq;
    subscription->jumped = 0;
    subscription->at = mark.at;
    following_enlist(engine, index);
}

void engine_unsent(struct engine *engine, uint32_t index)
{
    struct subscription *subscription = subscription_at(&engine->locals.subscriptions, index);
    struct subscriber *subscriber = pool_at(engine->locals.subscribers, subscription->subscriber);
    subscription_push_first(&engine->locals.subscriptions, &subscriber->dirty, index, IN_DIRTY);
}
