#include "core/pubsub/local_topic.h"

#include <stdlib.h>
#include <string.h>

int locals_init(struct locals *locals, uint32_t topics_max, uint32_t subscriptions_max, struct pool *subscribers, struct bitset *ready, struct counters *counters)
{
    *locals = (struct locals){ .subscribers = subscribers, .ready = ready, .counters = counters };
    int error = pool_init(&locals->topics, sizeof(struct local_topic), topics_max);
    if (error) return error;
    error = pool_init(&locals->subscriptions, sizeof(struct subscription), subscriptions_max);
    if (error) goto undo_topics;
    error = table_init(&locals->by_name);
    if (error) goto undo_subscriptions;
    return 0;
undo_subscriptions: pool_deinit(&locals->subscriptions);
undo_topics:        pool_deinit(&locals->topics);
    return error;
}

static void clear(struct local_topic *local)
{
    chain_deinit(&local->chain); /* the segments are on loan: their home frees them */
    free(local->name);
}

void locals_deinit(struct locals *locals)
{
    for (uint32_t at = 0; at <= locals->by_name.mask; at++)
        if (locals->by_name.slots[at].index != TABLE_NONE) clear(local_topic_at(locals, locals->by_name.slots[at].index));
    table_deinit(&locals->by_name);
    pool_deinit(&locals->subscriptions);
    pool_deinit(&locals->topics);
}

uint32_t locals_find(const struct locals *locals, struct span name, uint64_t hash)
{
    const struct table *table = &locals->by_name;
    for (uint32_t at = table_first(table, (uint32_t)hash); at != TABLE_NONE; at = table_following(table, (uint32_t)hash, at))
        if (span_equals(local_topic_name(local_topic_at(locals, table->slots[at].index)), name)) return table->slots[at].index;
    return POOL_NONE;
}

uint32_t locals_make(struct locals *locals, struct span name, uint64_t hash)
{
    uint32_t index = pool_take(&locals->topics);
    if (index == POOL_NONE) return POOL_NONE;
    struct local_topic *local = local_topic_at(locals, index);
    *local = (struct local_topic){
        .name = malloc(name.size),
        .name_bytes = (uint32_t)name.size,
        .hash = hash,
        .generation = ++locals->generation,
        .waiting = SUBSCRIPTION_RING_EMPTY,
    };
    if (!local->name || table_insert(&locals->by_name, (uint32_t)hash, index)) {
        free(local->name);
        pool_give(&locals->topics, index);
        return POOL_NONE;
    }
    memcpy(local->name, name.bytes, name.size);
    return index;
}

void locals_drop(struct locals *locals, uint32_t index)
{
    struct local_topic *local = local_topic_at(locals, index);
    CHECK(local->subscriptions_count == 0);
    table_remove(&locals->by_name, (uint32_t)local->hash, index);
    clear(local);
    pool_give(&locals->topics, index);
}

/* Moves all that wait to their subscribers' dirty lists, in their order, and touches nobody else. */
static void wake(struct locals *locals, struct local_topic *local)
{
    uint32_t index = local->waiting.first;
    local->waiting = SUBSCRIPTION_RING_EMPTY;
    while (index != POOL_NONE) {
        struct subscription *subscription = subscription_at(&locals->subscriptions, index);
        struct subscriber *subscriber = pool_at(locals->subscribers, subscription->subscriber);
        uint32_t next = subscription->next;
        if (next != POOL_NONE) __builtin_prefetch(subscription_at(&locals->subscriptions, next));
        subscription->list = IN_NONE;
        subscription_push_last(&locals->subscriptions, &subscriber->dirty, index, IN_DIRTY);
        if (!subscriber->blocked) bitset_add(locals->ready, subscription->subscriber);
        index = next;
    }
}

static void take_segments(struct local_topic *local, const struct notice *notice)
{
    for (uint32_t i = 0; i < notice->segments_count; i++) {
        const struct chain_link *link = &notice->segments[i];
        if (chain_holds(&local->chain, link->segment->number)) chain_at(&local->chain, link->segment->number)->end = link->end;
        else CHECK(chain_push(&local->chain, *link) == 0);
    }
}

uint32_t locals_told(struct locals *locals, const struct notice *notice)
{
    struct local_topic *local = local_topic_at(locals, notice->local);
    if (local->generation != notice->generation) return UINT32_MAX; /* of an interest that is over: nothing is held */
    if (notice->ends.last.seq == 0) { /* not born yet, or forgotten */
        while (local->chain.count > 0) chain_drop_first(&local->chain);
        local->ends = notice->ends;
        local->memo_bytes = 0;
        return UINT32_MAX; /* nothing is held, nor what came and went untold */
    }
    bool new_life = local->life == 0 || memcmp(local->epoch, notice->epoch, EPOCH_BYTES) != 0;
    if (new_life) {
        while (local->chain.count > 0) chain_drop_first(&local->chain);
        memcpy(local->epoch, notice->epoch, EPOCH_BYTES);
        local->life++;
        local->ends = (struct ends){ 0 }; /* not born before all of it was told */
        local->memo_bytes = 0;
    }
    take_segments(local, notice);
    if (notice->more) return local->chain.number;

    bool news = new_life || notice->ends.last.seq != local->ends.last.seq;
    local->ends = notice->ends;
    while (local->chain.count > 0 && local->chain.number != local->ends.tail.at.segment) chain_drop_first(&local->chain);
    local->memo_bytes = 0;
    if (news) wake(locals, local);
    return local->chain.number;
}
