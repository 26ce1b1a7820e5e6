#include "core/pubsub/home.h"

#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/random.h"
#include "core/proto/topic_name.h"

static struct topic *topic_at(const struct home *home, uint32_t index)
{
    return pool_at(&home->topics, index);
}

int home_init(struct home *home, const struct home_settings *settings, struct link **links, uint32_t shards_count, const struct clock *clock, struct counters *counters)
{
    CHECK(shards_count <= SHARDS_MAX);
    *home = (struct home){
        .settings = *settings,
        .links = links,
        .shards_count = shards_count,
        .clock = clock,
        .counters = counters,
        .to_trim = { POOL_NONE, POOL_NONE },
    };
    for (uint32_t shard = 0; shard < shards_count; shard++) home->to_tell[shard] = (struct topic_list){ POOL_NONE, POOL_NONE };
    random_fill(&home->epoch_state, sizeof home->epoch_state);
    segment_store_init(&home->store, settings->log_bytes_max);
    int error = pool_init(&home->topics, sizeof(struct topic), settings->topics_max);
    if (error) return error;
    error = table_init(&home->by_name);
    if (error) goto undo_topics;
    error = pool_init(&home->pattern_shards, sizeof(uint64_t), settings->patterns_max);
    if (error) goto undo_names;
    error = pattern_index_init(&home->patterns, settings->hash_key);
    if (error) goto undo_shards;
    return 0;
undo_shards: pool_deinit(&home->pattern_shards);
undo_names:  table_deinit(&home->by_name);
undo_topics: pool_deinit(&home->topics);
    return error;
}

void home_deinit(struct home *home)
{
    for (uint32_t at = 0; at <= home->by_name.mask; at++) {
        if (home->by_name.slots[at].index == TABLE_NONE) continue;
        struct topic *topic = topic_at(home, home->by_name.slots[at].index);
        log_deinit(&topic->json, &home->store);
        free(topic->interests);
        free(topic->name);
    }
    pattern_index_deinit(&home->patterns);
    pool_deinit(&home->pattern_shards);
    names_deinit(&home->names);
    table_deinit(&home->by_name);
    pool_deinit(&home->topics);
    segment_store_deinit(&home->store);
}

static uint32_t find_index(const struct home *home, struct span name, uint32_t hash)
{
    const struct table *table = &home->by_name;
    for (uint32_t at = table_first(table, hash); at != TABLE_NONE; at = table_following(table, hash, at))
        if (span_equals(topic_name(topic_at(home, table->slots[at].index)), name)) return table->slots[at].index;
    return POOL_NONE;
}

const struct topic *home_find(const struct home *home, struct span name, uint64_t hash)
{
    uint32_t index = find_index(home, name, (uint32_t)hash);
    return index == POOL_NONE ? NULL : topic_at(home, index);
}

static void name_epoch(struct home *home, char epoch[EPOCH_BYTES])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    uint64_t random = random_next(&home->epoch_state);
    for (int i = 0; i < EPOCH_BYTES; i++, random /= 62) epoch[i] = digits[random % 62];
}

/* Finds a topic or makes it known; POOL_NONE: limits.topics is reached or there is no memory. */
static uint32_t find_or_make(struct home *home, struct span name, uint32_t hash)
{
    uint32_t index = find_index(home, name, hash);
    if (index != POOL_NONE) return index;
    index = pool_take(&home->topics);
    if (index == POOL_NONE) return POOL_NONE;
    struct topic *topic = topic_at(home, index);
    *topic = (struct topic){ .name = malloc(name.size), .name_bytes = (uint32_t)name.size, .hash = hash, .trim_next = POOL_NONE };
    if (!topic->name || table_insert(&home->by_name, hash, index)) {
        free(topic->name);
        pool_give(&home->topics, index);
        return POOL_NONE;
    }
    memcpy(topic->name, name.bytes, name.size);
    name_epoch(home, topic->epoch);
    counter_add(home->counters, COUNTER_TOPICS, 1);
    return index;
}

static void mark_to_tell(struct home *home, struct topic *topic, uint32_t index, uint32_t shard)
{
    struct interest *interest = &topic->interests[shard];
    if (interest->to_tell) return;
    interest->to_tell = true;
    interest->tell_next = POOL_NONE;
    struct topic_list *list = &home->to_tell[shard];
    if (list->first == POOL_NONE) list->first = index;
    else topic_at(home, list->last)->interests[shard].tell_next = index;
    list->last = index;
}

static void mark_to_tell_all(struct home *home, struct topic *topic, uint32_t index)
{
    if (!topic->interests) return;
    for (uint32_t shard = 0; shard < home->shards_count; shard++)
        if (topic->interests[shard].on) mark_to_tell(home, topic, index, shard);
}

static void mark_to_trim(struct home *home, struct topic *topic, uint32_t index)
{
    if (topic->to_trim) return;
    topic->to_trim = true;
    topic->trim_next = POOL_NONE;
    if (home->to_trim.first == POOL_NONE) home->to_trim.first = index;
    else topic_at(home, home->to_trim.last)->trim_next = index;
    home->to_trim.last = index;
}

/* Frees what no shard has on loan. */
static void release(struct home *home, struct topic *topic)
{
    uint32_t held_from = UINT32_MAX;
    if (topic->interests)
        for (uint32_t shard = 0; shard < home->shards_count; shard++) {
            const struct interest *interest = &topic->interests[shard];
            if (interest->on && interest->held_from < held_from) held_from = interest->held_from;
        }
    log_release(&topic->json, &home->store, held_from);
}

static void trim(struct home *home, struct topic *topic, uint32_t index, const struct window *window)
{
    uint32_t trimmed = log_trim(&topic->json, window, home->clock->wall_us);
    if (trimmed == 0) return;
    counter_add(home->counters, COUNTER_SEGMENTS_TRIMMED, trimmed);
    mark_to_tell_all(home, topic, index); /* its tail moved, and the loans come back so */
    release(home, topic);
}

/* Makes room under the budget of all logs: goes around the topics and leaves each its newest segment alone until `bytes` are
 * free. What is trimmed so is a gap for whoever had not read it. */
static void reclaim(struct home *home, uint64_t bytes)
{
    static const struct window none = { 0 };
    uint32_t slots = home->by_name.mask + 1;
    for (uint32_t looked = 0; looked < slots; looked++) {
        if (home->store.bytes_used + bytes <= home->store.bytes_max) return;
        uint32_t index = home->by_name.slots[home->reclaim_at++ & home->by_name.mask].index;
        if (index == TABLE_NONE) continue;
        struct topic *topic = topic_at(home, index);
        if (topic->json.chain.count < (log_newest_seq(&topic->json) > 0 ? 2 : 1)) continue; /* a deleted one may go as a whole */
        trim(home, topic, index, &none);
        home_tell(home); /* loans come back with it */
        release(home, topic);
    }
}

/* The most that a segment for this update can take: sizes are rounded up to a power of two. */
static uint64_t segment_bytes_bound(const struct publish_ask *ask)
{
    enum { AROUND_BYTES = 256 }; /* headers, keys and digits of a frame, with room to spare */
    return 2 * (ask->data.size + ask->topic.size + AROUND_BYTES) + SEGMENT_BYTES_MIN;
}

struct birth {
    struct home *home;
    struct span  topic;
    uint64_t     shards; /* a bit for each that follows a pattern which covers it */
};

static void note_shards(void *context, uint32_t index)
{
    struct birth *birth = context;
    birth->shards |= *(const uint64_t *)pool_at(&birth->home->pattern_shards, index);
}

/* Each shard is told once, however many of its patterns cover the topic. */
static void tell_birth(struct home *home, struct span topic)
{
    struct birth birth = { home, topic, 0 };
    pattern_index_match(&home->patterns, topic, note_shards, &birth);
    for (; birth.shards; birth.shards &= birth.shards - 1) link_birth(home->links[__builtin_ctzll(birth.shards)], topic);
}

void home_pattern(struct home *home, uint32_t shard, struct span pattern, bool on)
{
    uint32_t index = pattern_index_find(&home->patterns, pattern);
    if (index == PATTERN_INDEX_NONE) {
        index = on ? pool_take(&home->pattern_shards) : POOL_NONE;
        if (index == POOL_NONE) return;
        *(uint64_t *)pool_at(&home->pattern_shards, index) = 0;
        if (pattern_index_add(&home->patterns, pattern, index)) {
            pool_give(&home->pattern_shards, index);
            counter_add(home->counters, COUNTER_BIRTHS_NOT_COVERED, 1);
            return;
        }
    }
    uint64_t *shards = pool_at(&home->pattern_shards, index), bit = UINT64_C(1) << shard;
    *shards = on ? *shards | bit : *shards & ~bit;
    if (*shards) return;
    pattern_index_remove(&home->patterns, pattern, &index);
    pool_give(&home->pattern_shards, index);
}

/* What all names that a pattern covers begin with: its tokens before the first wild one. */
static struct span literal_prefix(struct span pattern)
{
    size_t size = 0;
    for (size_t i = 0; i < pattern.size && pattern.bytes[i] != '*' && pattern.bytes[i] != '>'; i++)
        if (pattern.bytes[i] == '.') size = i + 1;
    return span_of(pattern.bytes, size);
}

void home_match(struct home *home, struct span pattern, bool (*visit)(void *context, struct span topic), void *context)
{
    struct span prefix = literal_prefix(pattern);
    for (uint32_t at = names_seek(&home->names, prefix, SPAN_NONE); at < home->names.count; at++) {
        struct span name = home->names.list[at];
        if (name.size < prefix.size || memcmp(name.bytes, prefix.bytes, prefix.size) != 0) break;
        if (topic_pattern_matches(pattern, name) && !visit(context, name)) break;
    }
}

void home_publish(struct home *home, const struct publish_ask *ask, struct publish_reply *reply)
{
    uint32_t index = find_or_make(home, ask->topic, (uint32_t)ask->hash);
    if (index == POOL_NONE) {
        reply->verdict = PUBLISH_TOPICS_FULL;
        return;
    }
    struct topic *topic = topic_at(home, index);
    mark_to_trim(home, topic, index); /* first: what is to be trimmed is not forgotten while room is made for it */
    const struct window *window = &home->settings.window;
    bool first = log_newest_seq(&topic->json) == 0;
    if (first && names_add(&home->names, topic_name(topic))) {
        reply->verdict = PUBLISH_BUSY;
        return;
    }
    if (first) tell_birth(home, topic_name(topic)); /* before the first append, so that nothing of it is missed */
    bool done = topic_append(topic, &home->store, window, ask->data, ask->line_break, ask->key, home->clock->wall_us);
    if (!done) {
        reclaim(home, segment_bytes_bound(ask));
        done = topic_append(topic, &home->store, window, ask->data, ask->line_break, ask->key, home->clock->wall_us);
    }
    if (!done) {
        if (first) home->names.count--;
        counter_add(home->counters, COUNTER_PUBLISH_BUSY, 1);
        reply->verdict = PUBLISH_BUSY;
        return;
    }
    mark_to_tell_all(home, topic, index);
    counter_add(home->counters, COUNTER_UPDATES_IN, 1);

    reply->verdict = PUBLISH_DONE;
    reply->seq = log_newest_seq(&topic->json);
    memcpy(reply->epoch, topic->epoch, EPOCH_BYTES);
}

bool home_delete(struct home *home, struct span name, uint64_t hash)
{
    uint32_t index = find_index(home, name, (uint32_t)hash);
    if (index == POOL_NONE) return false;
    struct topic *topic = topic_at(home, index);
    if (log_newest_seq(&topic->json) == 0) return false;
    log_forget(&topic->json);
    names_remove(&home->names, topic_name(topic));
    name_epoch(home, topic->epoch);
    mark_to_tell_all(home, topic, index);
    release(home, topic);
    return true;
}

/* Tells one shard of one topic: all its segments from the newest told one on, then its ends. False: no room. */
static bool tell(struct home *home, struct topic *topic, uint32_t shard)
{
    struct interest *interest = &topic->interests[shard];
    const struct log *log = &topic->json;
    struct notice notice = { .local = interest->local, .generation = interest->generation, .ends = log->ends };
    if (log_newest_seq(log) > 0) memcpy(notice.epoch, topic->epoch, EPOCH_BYTES);

    uint32_t number = interest->told_segment;
    if (log->chain.count > 0 && !chain_holds(&log->chain, number)) number = log->chain.number; /* freed before it was told on */
    do {
        notice.segments_count = 0;
        while (chain_holds(&log->chain, number) && notice.segments_count < NOTICE_SEGMENTS_MAX)
            notice.segments[notice.segments_count++] = *chain_at(&log->chain, number++);
        notice.more = chain_holds(&log->chain, number);
        if (!link_tell(home->links[shard], &notice, &interest->held_from)) return false;
        if (notice.segments_count > 0) interest->told_segment = number - 1;
    } while (notice.more);
    return true;
}

bool home_interest(struct home *home, uint32_t shard, const struct interest_ask *ask)
{
    uint32_t index = find_or_make(home, ask->topic, (uint32_t)ask->hash);
    if (index == POOL_NONE) return false;
    struct topic *topic = topic_at(home, index);
    if (!topic->interests) {
        topic->interests = calloc(home->shards_count, sizeof *topic->interests);
        CHECK(topic->interests);
    }
    struct interest *interest = &topic->interests[shard];
    interest->on = true;
    interest->local = ask->local;
    interest->generation = ask->generation;
    interest->held_from = topic->json.chain.number;
    interest->told_segment = topic->json.chain.number;
    mark_to_tell(home, topic, index, shard);
    home_tell_topic(home, shard, ask->topic, ask->hash);
    return true;
}

/* A topic that nobody follows, and that was never published to or not for long. */
static bool is_forgotten(const struct home *home, const struct topic *topic)
{
    if (log_newest_seq(&topic->json) > 0 && home->clock->wall_us < topic->ts_us + home->settings.topic_ttl_us) return false;
    if (topic->to_trim) return false;
    if (topic->interests)
        for (uint32_t shard = 0; shard < home->shards_count; shard++)
            if (topic->interests[shard].on || topic->interests[shard].to_tell) return false;
    return true;
}

static void forget(struct home *home, struct topic *topic, uint32_t index)
{
    table_remove(&home->by_name, topic->hash, index);
    if (log_newest_seq(&topic->json) > 0) names_remove(&home->names, topic_name(topic));
    log_deinit(&topic->json, &home->store);
    free(topic->interests);
    free(topic->name);
    pool_give(&home->topics, index);
    counter_sub(home->counters, COUNTER_TOPICS, 1);
}

/* Names that were followed and never published to must not fill limits.topics: they go with their last follower. */
static void forget_if_unborn(struct home *home, struct topic *topic, uint32_t index)
{
    if (log_newest_seq(&topic->json) == 0 && topic->json.chain.count == 0 && is_forgotten(home, topic)) forget(home, topic, index);
}

void home_uninterest(struct home *home, uint32_t shard, struct span name, uint64_t hash, uint32_t generation)
{
    uint32_t index = find_index(home, name, (uint32_t)hash);
    if (index == POOL_NONE) return;
    struct topic *topic = topic_at(home, index);
    struct interest *interest = topic->interests ? &topic->interests[shard] : NULL;
    if (!interest || !interest->on || interest->generation != generation) return;
    interest->on = false;
    release(home, topic);
    forget_if_unborn(home, topic, index);
}

void home_tell(struct home *home)
{
    for (uint32_t shard = 0; shard < home->shards_count; shard++) {
        struct topic_list *list = &home->to_tell[shard];
        while (list->first != POOL_NONE) {
            uint32_t index = list->first;
            struct topic *topic = topic_at(home, index);
            struct interest *interest = &topic->interests[shard];
            if (interest->on) {
                if (!tell(home, topic, shard)) break;
                release(home, topic);
            }
            interest->to_tell = false;
            list->first = interest->tell_next;
            if (!interest->on) forget_if_unborn(home, topic, index);
        }
    }
}

void home_tell_topic(struct home *home, uint32_t shard, struct span name, uint64_t hash)
{
    uint32_t index = find_index(home, name, (uint32_t)hash);
    if (index == POOL_NONE) return;
    struct topic *topic = topic_at(home, index);
    if (!topic->interests || !topic->interests[shard].on || !topic->interests[shard].to_tell) return;
    tell(home, topic, shard); /* it keeps its place in the list: telling twice does no harm, and taking it out would need a search */
    release(home, topic);
}

enum { SWEEP_INTERVAL_US = 100000, SWEEP_TOPICS = 256 };

/* Quiet topics lose what is too old without an append, and those that nobody needs are forgotten: a few ten times a second. */
static void sweep(struct home *home)
{
    if (home->clock->mono_us - home->sweep_us < SWEEP_INTERVAL_US) return;
    home->sweep_us = home->clock->mono_us;
    for (uint32_t looked = 0; looked < SWEEP_TOPICS && looked <= home->by_name.mask; looked++) {
        uint32_t index = home->by_name.slots[home->sweep_at++ & home->by_name.mask].index;
        if (index == TABLE_NONE) continue;
        struct topic *topic = topic_at(home, index);
        if (is_forgotten(home, topic)) forget(home, topic, index);
        else trim(home, topic, index, &home->settings.window);
    }
}

void home_trim(struct home *home)
{
    while (home->to_trim.first != POOL_NONE) {
        uint32_t index = home->to_trim.first;
        struct topic *topic = topic_at(home, index);
        home->to_trim.first = topic->trim_next;
        topic->to_trim = false;
        trim(home, topic, index, &home->settings.window);
    }
    sweep(home);
    counter_set(home->counters, COUNTER_LOG_BYTES, home->store.bytes_used);
}
