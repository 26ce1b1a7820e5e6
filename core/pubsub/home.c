#include "core/pubsub/home.h"

#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/random.h"
#include "core/pubsub/births.h"
#include "core/pubsub/interests.h"

static struct topic *topic_at(const struct home *home, uint32_t index)
{
    return pool_at(&home->topics, index);
}

int home_init(struct home *home, const struct home_settings *settings, struct link *links, uint32_t shard, uint32_t shards_count, const struct clock *clock, struct counters *counters)
{
    CHECK(shards_count <= SHARDS_MAX);
    *home = (struct home){
        .settings = *settings,
        .links = links,
        .shard = shard,
        .shards_count = shards_count,
        .clock = clock,
        .counters = counters,
        .to_trim = { POOL_NONE, POOL_NONE },
        .longs = { POOL_NONE, POOL_NONE },
    };
    for (uint32_t i = 0; i < shards_count; i++) home->to_tell[i] = (struct topic_list){ POOL_NONE, POOL_NONE };
    random_fill(&home->epoch_state, sizeof home->epoch_state);
    segment_store_init(&home->store, settings->log_bytes_max);
    int error = pool_init(&home->topics, sizeof(struct topic), (settings->topics_max + SYSTEM_TOPICS_MAX) * FORMATS_COUNT);
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

void home_change(struct home *home, const struct home_settings *settings)
{
    home->settings.log_bytes_max = home->store.bytes_max = settings->log_bytes_max;
    home->settings.topic_ttl_us = settings->topic_ttl_us;
    home->settings.window = settings->window;
}

void home_deinit(struct home *home)
{
    for (uint32_t at = 0; at <= home->by_name.mask; at++) {
        if (home->by_name.slots[at].index == TABLE_NONE) continue;
        struct topic *topic = topic_at(home, home->by_name.slots[at].index);
        log_deinit(&topic->log, &home->store);
        free(topic->interests);
        if (topic->main == topic) free(topic->name);
    }
    matches_deinit(home);
    pattern_index_deinit(&home->patterns);
    pool_deinit(&home->pattern_shards);
    names_deinit(&home->names);
    table_deinit(&home->by_name);
    pool_deinit(&home->topics);
    segment_store_deinit(&home->store);
}

uint32_t home_find_index(const struct home *home, struct span name, uint64_t name_hash, enum wire_format format)
{
    const struct table *table = &home->by_name;
    uint32_t hash = format_hash(name_hash, format);
    for (uint32_t at = table_first(table, hash); at != TABLE_NONE; at = table_following(table, hash, at)) {
        const struct topic *topic = topic_at(home, table->slots[at].index);
        if (topic->log.chain.format == format && span_equals(topic_name(topic), name)) return table->slots[at].index;
    }
    return POOL_NONE;
}

const struct topic *home_find(const struct home *home, struct span name, uint64_t hash)
{
    uint32_t index = home_find_index(home, name, hash, FORMAT_JSON);
    return index == POOL_NONE ? NULL : topic_at(home, index);
}

static void name_epoch(struct home *home, char epoch[EPOCH_BYTES])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    uint64_t random = random_next(&home->epoch_state);
    for (int i = 0; i < EPOCH_BYTES; i++, random /= 62) epoch[i] = digits[random % 62];
}

static bool is_system(const struct topic *topic)
{
    return topic_name_reserved(topic_name(topic));
}

/* Some two minutes of figures. */
static const struct window *window_of(const struct home *home, const struct topic *topic)
{
    static const struct window system = { .updates_max = 120, .bytes_max = 256 * 1024, .age_max_us = UINT64_C(300000000) };
    return is_system(topic) ? &system : &home->settings.window;
}

/* Nobody else publishes to such names; whoever follows one that is none is counted as ever. */
static bool is_own(const struct topic *topic)
{
    return is_system(topic) && log_newest_seq(&topic->log) > 0;
}

static bool has_room(const struct home *home, struct span name)
{
    return home->topics_count < home->settings.topics_max + (topic_name_reserved(name) ? SYSTEM_TOPICS_MAX : 0);
}

static void count_topic(struct home *home, bool more)
{
    home->topics_count += more ? 1 : -1u;
    counter_add(home->counters, COUNTER_TOPICS, more ? 1 : UINT64_MAX);
}

/* It was counted as any until its first update. */
static void count_own(struct home *home, bool more)
{
    home->system_count += more ? 1 : -1u;
    if (more) count_topic(home, false);
}

static uint32_t make(struct home *home, struct span name, uint64_t hash)
{
    uint32_t index = has_room(home, name) ? pool_take(&home->topics) : POOL_NONE;
    if (index == POOL_NONE) return POOL_NONE;
    struct topic *topic = topic_at(home, index);
    *topic = (struct topic){
        .name = malloc(name.size), .name_bytes = (uint32_t)name.size, .hash = format_hash(hash, FORMAT_JSON), .main = topic,
        .trim_next = POOL_NONE, .quiet_us = home->clock->mono_us,
    };
    log_init(&topic->log, FORMAT_JSON, 0);
    if (!topic->name || table_insert(&home->by_name, topic->hash, index)) {
        free(topic->name);
        pool_give(&home->topics, index);
        return POOL_NONE;
    }
    memcpy(topic->name, name.bytes, name.size);
    name_epoch(home, topic->epoch);
    count_topic(home, true);
    return index;
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

/* Of allocated memory, in the segments of a log from one number on, below another. */
static uint64_t segments_bytes(const struct log *log, uint32_t from, uint32_t below)
{
    uint64_t bytes = 0;
    for (; from != below; from++) bytes += sizeof(struct segment) + chain_at(&log->chain, from)->segment->size;
    return bytes;
}

static void trim(struct home *home, struct topic *topic, uint32_t index, const struct window *window)
{
    uint32_t tail = topic->log.ends.tail.at.segment, trimmed = log_trim(&topic->log, window, home->clock->wall_us);
    bool for_age = window->age_max_us > 0; /* not to make room: then what is newest was perhaps not sent yet */
    if (for_age && log_shrink(&topic->log, &home->store, window, home->clock->wall_us)) trimmed++;
    if (trimmed == 0) return;
    home->on_loan_bytes += segments_bytes(&topic->log, tail, tail + trimmed);
    counter_add(home->counters, COUNTER_SEGMENTS_TRIMMED, trimmed);
    interests_mark_all(home, topic, index); /* its tail moved, and the loans come back so */
    interests_release(home, topic);
}

static bool has_more_than_newest(const struct topic *topic)
{
    return log_newest_seq(&topic->log) > 0 && topic->log.ends.tail.at.segment != topic->log.ends.head.segment;
}

void home_grown(struct home *home, struct topic *topic)
{
    if (topic->is_long || !has_more_than_newest(topic)) return;
    uint32_t index = pool_index(&home->topics, topic);
    struct topic_list *list = &home->longs;
    topic->is_long = true;
    topic->long_next = POOL_NONE;
    topic->long_prev = list->last;
    if (list->first == POOL_NONE) list->first = index;
    else topic_at(home, list->last)->long_next = index;
    list->last = index;
}

static void unlink_long(struct home *home, struct topic *topic)
{
    if (!topic->is_long) return;
    topic->is_long = false;
    if (topic->long_prev == POOL_NONE) home->longs.first = topic->long_next;
    else topic_at(home, topic->long_prev)->long_next = topic->long_next;
    if (topic->long_next == POOL_NONE) home->longs.last = topic->long_prev;
    else topic_at(home, topic->long_next)->long_prev = topic->long_prev;
}

/* Makes room under the budget of all logs: leaves one topic after the other its newest segment alone until `bytes` are free, or will be
 * when other shards have given back what they hold. What is trimmed so is a gap for whoever had not read it. Where each has its newest
 * alone there is nothing to be looked through: being answered `busy` costs no more than a publish. */
static void reclaim(struct home *home, uint64_t bytes)
{
    static const struct window none = { 0 };
    home_tell_shard(home, home->shard); /* our own loans come back at once */
    while (home->longs.first != POOL_NONE) {
        if (home->store.bytes_used - home->on_loan_bytes + bytes + segment_store_spare(&home->store) <= home->store.bytes_max) break;
        uint32_t index = home->longs.first;
        struct topic *topic = topic_at(home, index);
        unlink_long(home, topic);
        trim(home, topic, index, &none);
        home_tell_topic(home, home->shard, index);
    }
}

static uint32_t make_format(struct home *home, struct topic *main, uint64_t hash, enum wire_format format)
{
    uint32_t index = pool_take(&home->topics);
    if (index == POOL_NONE) return POOL_NONE;
    struct topic *topic = topic_at(home, index);
    *topic = (struct topic){
        .name = main->name, .name_bytes = main->name_bytes, .hash = format_hash(hash, format), .main = main,
        .trim_next = POOL_NONE, .quiet_us = home->clock->mono_us,
    };
    memcpy(topic->epoch, main->epoch, EPOCH_BYTES);
    log_init(&topic->log, format, 0);
    const struct window *window = window_of(home, main);
    bool filled = topic_fill(topic, &home->store, window, home->settings.compressor);
    if (!filled) {
        reclaim(home, main->log.window_bytes);
        filled = topic_fill(topic, &home->store, window, home->settings.compressor);
    }
    if (!filled || table_insert(&home->by_name, topic->hash, index)) {
        log_deinit(&topic->log, &home->store);
        pool_give(&home->topics, index);
        counter_add(home->counters, COUNTER_FORMATS_REFUSED, 1);
        return POOL_NONE;
    }
    topic->next_format = main->next_format;
    main->next_format = topic;
    home_grown(home, topic);
    return index;
}

uint32_t home_find_or_make(struct home *home, struct span name, uint64_t hash, enum wire_format format)
{
    uint32_t index = home_find_index(home, name, hash, format);
    if (index != POOL_NONE) return index;
    if (format == FORMAT_JSON) return make(home, name, hash);
    uint32_t main = home_find_or_make(home, name, hash, FORMAT_JSON);
    if (main == POOL_NONE) return POOL_NONE;
    index = make_format(home, topic_at(home, main), hash, format);
    if (index == POOL_NONE) home_forget_if_unborn(home, main);
    return index;
}

/* The most that segments for this update can take, one in each of the topic's logs: sizes are rounded up to a power of two. */
static uint64_t segments_bytes_bound(const struct topic *topic, const struct publish_ask *ask)
{
    enum { AROUND_BYTES = 256 }; /* headers, keys and digits of a frame, with room to spare */
    uint64_t bytes = 0;
    for (; topic; topic = topic->next_format) bytes += 2 * (ask->data.size + ask->topic.size + AROUND_BYTES) + SEGMENT_BYTES_MIN;
    return bytes;
}

void home_publish(struct home *home, const struct publish_ask *ask, struct publish_reply *reply)
{
    uint32_t index = home_find_or_make(home, ask->topic, ask->hash, FORMAT_JSON);
    if (index == POOL_NONE) {
        reply->verdict = PUBLISH_TOPICS_FULL;
        return;
    }
    struct topic *topic = topic_at(home, index);
    mark_to_trim(home, topic, index); /* first: what is to be trimmed is not forgotten while room is made for it */
    const struct window *window = window_of(home, topic);
    bool first = log_newest_seq(&topic->log) == 0;
    if (first && names_add(&home->names, topic_name(topic))) {
        reply->verdict = PUBLISH_BUSY;
        return;
    }
    if (first) births_tell(home, topic, index); /* before the first append, so that nothing of it is missed */
    for (struct topic *one = topic->next_format; one; one = one->next_format) mark_to_trim(home, one, pool_index(&home->topics, one)); /* a birth may have made some */
    bool done = topic_append(topic, &home->store, window, home->settings.compressor, ask->data, ask->line_break, ask->key, home->clock->wall_us);
    if (!done) {
        reclaim(home, segments_bytes_bound(topic, ask));
        done = topic_append(topic, &home->store, window, home->settings.compressor, ask->data, ask->line_break, ask->key, home->clock->wall_us);
    }
    if (!done) {
        if (first) names_remove(&home->names, topic_name(topic));
        counter_add(home->counters, COUNTER_PUBLISH_BUSY, 1);
        reply->verdict = PUBLISH_BUSY;
        return;
    }
    topic->quiet_us = home->clock->mono_us;
    for (struct topic *one = topic; one; one = one->next_format) {
        interests_mark_all(home, one, pool_index(&home->topics, one));
        home_grown(home, one);
    }
    if (!is_system(topic)) counter_add(home->counters, COUNTER_UPDATES_IN, 1);
    else if (first) count_own(home, true);

    if (home->trace) trace_appended(home->trace, topic_name(topic), log_newest_seq(&topic->log));
    reply->verdict = PUBLISH_DONE;
    reply->seq = log_newest_seq(&topic->log);
    memcpy(reply->epoch, topic->epoch, EPOCH_BYTES);
}

bool home_delete(struct home *home, struct span name, uint64_t hash)
{
    uint32_t index = home_find_index(home, name, hash, FORMAT_JSON);
    if (index == POOL_NONE) return false;
    struct topic *topic = topic_at(home, index);
    if (log_newest_seq(&topic->log) == 0) return false;
    names_remove(&home->names, topic_name(topic));
    name_epoch(home, topic->epoch);
    topic->looked_seq = 0;
    for (struct topic *one = topic; one; one = one->next_format) {
        home->on_loan_bytes += segments_bytes(&one->log, one->log.ends.tail.at.segment, log_next_number(&one->log));
        log_forget(&one->log);
        memcpy(one->epoch, topic->epoch, EPOCH_BYTES);
        interests_mark_all(home, one, pool_index(&home->topics, one));
        interests_release(home, one);
    }
    return true;
}

/* Each sweep looks at so many places of the table, and at a hundredth of it where that is more, and forgets no more than so many: some
 * milliseconds where all is to be forgotten, a round in ten seconds where nothing is. */
enum { SWEEP_INTERVAL_US = 100000, SWEEP_PLACES = 256, SWEEPS_EACH_ROUND = 100, SWEEP_FORGETS = 1024 };

/* A topic that nobody follows, and that was never published to or not for long; in another format, that nobody followed for long. */
static bool is_forgotten(const struct home *home, const struct topic *topic)
{
    bool is_main = topic->main == topic;
    if (topic->to_trim || topic->interested || topic->to_tell || (is_main && topic->next_format)) return false;
    if (log_newest_seq(&topic->log) == 0) return true;
    uint64_t kept_us = home->settings.topic_ttl_us;
    if (!is_main && kept_us > FORMAT_KEPT_US) kept_us = FORMAT_KEPT_US;
    return home->clock->mono_us - topic->quiet_us >= kept_us;
}

static void unlink_format(struct topic *topic)
{
    struct topic **at = &topic->main->next_format;
    while (*at != topic) at = &(*at)->next_format;
    *at = topic->next_format;
}

static void forget(struct home *home, struct topic *topic, uint32_t index)
{
    bool is_main = topic->main == topic, own = is_own(topic);
    table_remove(&home->by_name, topic->hash, index);
    unlink_long(home, topic);
    if (!is_main) unlink_format(topic);
    else if (log_newest_seq(&topic->log) > 0) names_remove(&home->names, topic_name(topic));
    log_deinit(&topic->log, &home->store);
    free(topic->interests);
    if (is_main && own) count_own(home, false);
    else if (is_main) count_topic(home, false);
    if (is_main) free(topic->name);
    pool_give(&home->topics, index);
}

void home_forget_if_unborn(struct home *home, uint32_t index)
{
    struct topic *topic = topic_at(home, index), *main = topic->main;
    if (log_newest_seq(&topic->log) > 0 || topic->log.chain.count > 0 || !is_forgotten(home, topic)) return;
    forget(home, topic, index);
    if (main != topic) home_forget_if_unborn(home, pool_index(&home->topics, main));
}

/* Quiet topics lose what is too old without an append, and those that nobody needs are forgotten: a few ten times a second. */
static void sweep(struct home *home)
{
    if (home->clock->mono_us - home->sweep_us < SWEEP_INTERVAL_US) return;
    home->sweep_us = home->clock->mono_us;
    uint32_t slots = home->by_name.mask + 1, places = slots / SWEEPS_EACH_ROUND;
    if (places < SWEEP_PLACES) places = SWEEP_PLACES < slots ? SWEEP_PLACES : slots;
    for (uint32_t looked = 0, forgotten = 0; looked < places && forgotten < SWEEP_FORGETS;) {
        uint32_t index = home->by_name.slots[home->sweep_at & home->by_name.mask].index;
        struct topic *topic = index == TABLE_NONE ? NULL : topic_at(home, index);
        if (topic && is_forgotten(home, topic)) {
            forget(home, topic, index); /* and looks at this place again: what stood behind it may have moved here */
            forgotten++;
            continue;
        }
        if (topic) trim(home, topic, index, window_of(home, topic));
        home->sweep_at++;
        looked++;
    }
}

/* What it has had since it was looked at last. */
static void look_for_top(struct home *home, struct topic *topic)
{
    uint64_t seq = log_newest_seq(&topic->log);
    if (topic->main != topic || seq <= topic->looked_seq || is_system(topic)) return;
    home->top_looks--;
    top_add(&home->top, topic_name(topic), topic->hash, seq - topic->looked_seq);
    topic->looked_seq = seq;
}

void home_trim(struct home *home)
{
    while (home->to_trim.first != POOL_NONE) {
        uint32_t index = home->to_trim.first;
        struct topic *topic = topic_at(home, index);
        home->to_trim.first = topic->trim_next;
        topic->to_trim = false;
        if (home->top_looks > 0) look_for_top(home, topic);
        trim(home, topic, index, window_of(home, topic));
    }
    sweep(home);
    counter_set(home->counters, COUNTER_MEMORY_LOGS, home->store.bytes_used);
}
