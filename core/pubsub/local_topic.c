#include "core/pubsub/local_topic.h"

#include <stdlib.h>
#include <string.h>

int locals_init(struct locals *locals, uint32_t topics_max, uint32_t subscriptions_max, struct pool *subscribers, struct bitset *ready, struct counters *counters)
{
    CHECK(subscribers->items_max <= UINT32_C(1) << SUBSCRIBER_BITS);
    *locals = (struct locals){ .subscribers = subscribers, .ready = ready, .counters = counters, .lingering = TO_TELL_EMPTY };
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
    names_deinit(&locals->remote);
    generations_deinit(&locals->generations);
    table_deinit(&locals->by_name);
    pool_deinit(&locals->subscriptions);
    pool_deinit(&locals->topics);
}

uint32_t locals_find(const struct locals *locals, struct span name, uint64_t name_hash, enum wire_format format)
{
    const struct table *table = &locals->by_name;
    uint32_t hash = format_hash(name_hash, format);
    for (uint32_t at = table_first(table, hash); at != TABLE_NONE; at = table_following(table, hash, at)) {
        const struct local_topic *local = local_topic_at(locals, table->slots[at].index);
        if (local->chain.format == format && span_equals(local_topic_name(local), name)) return table->slots[at].index;
    }
    return POOL_NONE;
}

void locals_fetch(const struct locals *locals, uint32_t hash, enum locals_fetch what)
{
    const struct table *table = &locals->by_name;
    if (what == LOCALS_FETCH_PLACE) {
        __builtin_prefetch(&table->slots[hash & table->mask]);
        return;
    }
    uint32_t at = table_first(table, hash);
    if (at == TABLE_NONE) return;
    const struct local_topic *local = local_topic_at(locals, table->slots[at].index);
    if (what == LOCALS_FETCH_NAME) {
        __builtin_prefetch(local->name);
        return;
    }
    for (size_t line = 0; line < sizeof *local; line += 64) __builtin_prefetch((const char *)local + line, 1);
}

/* Those whom patterns look for. */
static bool is_listed(const struct local_topic *local)
{
    return local->remote && local->chain.format == FORMAT_JSON;
}

uint32_t locals_make(struct locals *locals, struct span name, uint64_t hash, enum wire_format format, bool remote)
{
    uint32_t index = pool_take(&locals->topics);
    if (index == POOL_NONE) return POOL_NONE;
    struct local_topic *local = local_topic_at(locals, index);
    *local = (struct local_topic){
        .name = malloc(name.size),
        .name_bytes = (uint32_t)name.size,
        .hash = hash,
        .waiting = SUBSCRIPTION_RING_EMPTY,
        .awaiters = AWAITER_LIST_EMPTY,
        .remote = remote,
        .state = LOCAL_WANTED,
    };
    if (!local->name) goto undo_pool;
    memcpy(local->name, name.bytes, name.size);
    chain_init(&local->chain, format);
    local->generation = generation_begin(&locals->generations, index);
    if (local->generation == 0) goto undo_name;
    if (is_listed(local) && names_add(&locals->remote, local_topic_name(local))) goto undo_generation;
    if (table_insert(&locals->by_name, format_hash(hash, format), index)) goto undo_listed;
    if (remote) counter_add(locals->counters, COUNTER_INTERESTS, 1);
    return index;
undo_listed:     if (is_listed(local)) names_remove(&locals->remote, local_topic_name(local));
undo_generation: generation_end(&locals->generations, index);
undo_name:       free(local->name);
undo_pool:       pool_give(&locals->topics, index);
    return POOL_NONE;
}

/* Loans end by being told so: until then the home keeps the segment. */
static void drop_segments(struct locals *locals, struct local_topic *local, uint32_t count)
{
    if (local->remote) counter_sub(locals->counters, COUNTER_LOANS, count);
    while (count-- > 0) chain_drop_first(&local->chain);
}

void locals_drop(struct locals *locals, uint32_t index)
{
    struct local_topic *local = local_topic_at(locals, index);
    CHECK(local->subscriptions_count == 0);
    CHECK(local->awaiters.first == POOL_NONE && !local->to_tell && !local->lingers);
    drop_segments(locals, local, local->chain.count);
    table_remove(&locals->by_name, format_hash(local->hash, local->chain.format), index);
    generation_end(&locals->generations, index);
    if (is_listed(local)) names_remove(&locals->remote, local_topic_name(local));
    if (local->remote) counter_sub(locals->counters, COUNTER_INTERESTS, 1);
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

static void look_for_top(struct locals *locals, struct local_topic *local)
{
    if (local->sent == 0 || topic_name_reserved(local_topic_name(local))) return;
    locals->top_looks--;
    top_add(&locals->top, local_topic_name(local), (uint32_t)local->hash, local->sent);
    local->sent = 0;
}

static void take_segments(struct locals *locals, struct local_topic *local, const struct notice *notice)
{
    if (notice->segments_count == 0) return;
    uint32_t first = notice_segment(notice, 0)->segment->number;
    /* What lies between was trimmed before it was told on: so was all that we have. */
    if (local->chain.count > 0 && segment_number_before(local->chain.number + local->chain.count, first)) drop_segments(locals, local, local->chain.count);
    for (uint32_t i = 0; i < notice->segments_count; i++) {
        const struct lent *lent = notice_segment(notice, i);
        if (chain_holds(&local->chain, lent->segment->number)) {
            struct chain_link *known = chain_at(&local->chain, lent->segment->number);
            if (local->remote) __builtin_prefetch(lent->segment->bytes + known->end); /* it is in its home's cache, and wanted when this turn is flushed */
            known->end = lent->end;
            continue;
        }
        chain_push_surely(&local->chain, (struct chain_link){ .segment = lent->segment, .end = lent->end, .first_key = NO_KEY }); /* what its home has told can't be refused */
        if (local->remote) counter_add(locals->counters, COUNTER_LOANS, 1);
    }
}

void locals_expect_life(struct local_topic *local, const char epoch[EPOCH_BYTES])
{
    CHECK(!local_topic_born(local));
    if (local->life > 0 && memcmp(local->epoch, epoch, EPOCH_BYTES) == 0) return;
    memcpy(local->epoch, epoch, EPOCH_BYTES);
    local->life++;
}

void locals_end_life(struct locals *locals, struct local_topic *local)
{
    drop_segments(locals, local, local->chain.count);
    local->ends = (struct ends){ 0 };
    local->memo_bytes = 0;
}

void locals_told(struct locals *locals, const struct notice *notice)
{
    struct local_topic *local = local_topic_at(locals, notice->local);
    CHECK(local->generation == notice->generation);
    local->newborn = false;
    if (notice->ends.last.seq == 0) { /* not born yet, or forgotten */
        locals_end_life(locals, local);
        local->chain.number = notice->next_segment;
        return;
    }
    bool new_life = local->life == 0 || memcmp(local->epoch, notice->epoch, EPOCH_BYTES) != 0;
    if (new_life) {
        drop_segments(locals, local, local->chain.count);
        memcpy(local->epoch, notice->epoch, EPOCH_BYTES);
        local->life++;
    }
    take_segments(locals, local, notice);
    bool news = new_life || notice->ends.last.seq != local->ends.last.seq;
    if (locals->trace && news && local->remote && local->state == LOCAL_LIVE) /* the first notice of an interest is no news */
        trace_heard(locals->trace, local_topic_name(local), new_life ? 0 : local->ends.last.seq, notice->ends.last.seq);
    local->ends = notice->ends;
    CHECK(chain_holds(&local->chain, local->ends.tail.at.segment) && chain_holds(&local->chain, local->ends.head.segment));
    drop_segments(locals, local, local->ends.tail.at.segment - local->chain.number);
    local->memo_bytes = 0;
    if (news && locals->top_looks > 0) look_for_top(locals, local);
    if (news) wake(locals, local);
    if (locals->trace && news) trace_woken(locals->trace, local_topic_name(local), local->ends.last.seq);
}
