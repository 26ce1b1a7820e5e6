#include "core/pubsub/patterns.h"

#include <stdlib.h>

#include "core/base/reserve.h"
#include "core/proto/topic_name.h"
#include "core/pubsub/finding.h"
#include "core/pubsub/following.h"
#include "core/pubsub/pattern_interest.h"

int patterns_init(struct patterns *patterns, const struct engine_settings *settings)
{
    *patterns = (struct patterns){ .lingering = TO_TELL_EMPTY, .findings = TO_TELL_EMPTY, .finding_looks = FINDING_LOOKS_EACH_TURN };
    int error = pool_init(&patterns->pool, sizeof(struct pattern), settings->patterns_max);
    if (error) return error;
    error = pool_init(&patterns->subscriptions, sizeof(struct pattern_subscription), settings->patterns_max);
    if (error) goto undo_pool;
    error = pattern_index_init(&patterns->index, settings->hash_key);
    if (error) goto undo_subscriptions;
    return 0;
undo_subscriptions: pool_deinit(&patterns->subscriptions);
undo_pool:          pool_deinit(&patterns->pool);
    return error;
}

void patterns_deinit(struct patterns *patterns, uint32_t shards_count)
{
    CHECK(patterns->subscriptions.used == 0); /* subscribers are gone before their engine */
    for (uint32_t index = 0; index < patterns->pool.touched; index++) { /* what lingers, or waits to be told off */
        if (patterns->generations.of[index * (shards_count + 1) + shards_count] == 0) continue;
        struct pattern *pattern = pool_at(&patterns->pool, index);
        if (pattern->finding) text_free(&pattern->finding->names);
        free(pattern->finding);
        free(pattern->text);
        free(pattern->tell_next);
    }
    generations_deinit(&patterns->generations);
    pattern_index_deinit(&patterns->index);
    pool_deinit(&patterns->subscriptions);
    pool_deinit(&patterns->pool);
    free(patterns->matched);
}

static struct pattern_subscription *subscription_of(const struct patterns *patterns, uint32_t index)
{
    return pool_at(&patterns->subscriptions, index);
}

static struct pattern *pattern_at(const struct patterns *patterns, uint32_t index)
{
    return pool_at(&patterns->pool, index);
}

struct span pattern_text(const struct patterns *patterns, uint32_t index)
{
    return pattern_name(patterns, subscription_of(patterns, index)->pattern);
}

static struct subscriber *subscriber_at(const struct engine *engine, uint32_t index)
{
    return pool_at(engine->locals.subscribers, index);
}

/* Patterns and who follows them. */

static uint32_t find(const struct engine *engine, uint32_t subscriber, struct span text)
{
    const struct patterns *patterns = &engine->patterns;
    for (uint32_t at = subscriber_at(engine, subscriber)->patterns_first; at != POOL_NONE; at = subscription_of(patterns, at)->sibling_next)
        if (span_equals(pattern_text(patterns, at), text)) return at;
    return POOL_NONE;
}

bool engine_follows_pattern(const struct engine *engine, uint32_t subscriber, struct span pattern)
{
    return find(engine, subscriber, pattern) != POOL_NONE;
}

static void unlink_sibling(struct engine *engine, uint32_t index)
{
    struct patterns *patterns = &engine->patterns;
    const struct pattern_subscription *gone = subscription_of(patterns, index);
    struct subscriber *subscriber = subscriber_at(engine, gone->subscriber);
    uint32_t *at = &subscriber->patterns_first;
    while (*at != index) at = &subscription_of(patterns, *at)->sibling_next;
    *at = gone->sibling_next;
    subscriber->patterns_count--;
}

/* Ends a pattern subscription that is out of its subscriber's list already. */
static void end_unlinked(struct engine *engine, uint32_t index)
{
    struct patterns *patterns = &engine->patterns;
    struct pattern_subscription *gone = subscription_of(patterns, index);
    uint32_t pattern = gone->pattern;
    if (gone->prev == POOL_NONE) pattern_at(patterns, pattern)->first = gone->next;
    else subscription_of(patterns, gone->prev)->next = gone->next;
    if (gone->next != POOL_NONE) subscription_of(patterns, gone->next)->prev = gone->prev;
    pool_give(&patterns->subscriptions, index);
    patterns_drop_if_unused(engine, pattern);
}

static uint32_t make(struct engine *engine, uint32_t subscriber_index, struct span text)
{
    struct patterns *patterns = &engine->patterns;
    uint32_t pattern_index = patterns_find_or_make(engine, text);
    if (pattern_index == POOL_NONE) return POOL_NONE;
    struct pattern *pattern = pattern_at(patterns, pattern_index);
    CHECK(patterns_ready(engine, pattern_index)); /* engine_prepare_pattern() said so */
    uint32_t index = pattern->refused ? POOL_NONE : pool_take(&patterns->subscriptions);
    if (index == POOL_NONE) {
        patterns_drop_if_unused(engine, pattern_index);
        return POOL_NONE;
    }
    struct subscriber *subscriber = subscriber_at(engine, subscriber_index);
    *subscription_of(patterns, index) = (struct pattern_subscription){
        .subscriber = subscriber_index, .pattern = pattern_index, .next = pattern->first, .prev = POOL_NONE, .sibling_next = subscriber->patterns_first,
    };
    if (pattern->first != POOL_NONE) subscription_of(patterns, pattern->first)->prev = index;
    pattern->first = index;
    subscriber->patterns_first = index;
    subscriber->patterns_count++;
    return index;
}

bool engine_subscribe_pattern(struct engine *engine, uint32_t subscriber, const struct pattern_ask *ask, bool *again)
{
    uint32_t index = find(engine, subscriber, ask->pattern);
    *again = index != POOL_NONE;
    if (!*again) index = make(engine, subscriber, ask->pattern);
    if (index == POOL_NONE) return false;
    struct pattern_subscription *subscription = subscription_of(&engine->patterns, index);
    subscription->mode = (uint8_t)ask->mode;
    subscription->snapshot = ask->snapshot;
    subscription->max_hz = ask->max_hz;
    subscription->order = ++engine->patterns.order; /* the last subscribed rules */
    return true;
}

/* Covering topics. */

/* A subscription for this pattern's sake; one that is there by an older pattern is taken over, by a name is left alone. */
static enum subscribe_verdict cover_one(struct engine *engine, uint32_t index, struct subscribe_ask *ask, struct subscribe_reply *reply)
{
    const struct pattern_subscription *pattern = subscription_of(&engine->patterns, index);
    uint32_t made;
    enum subscribe_verdict verdict = following_make(engine, pattern->subscriber, ask, index, &made, reply);
    if (verdict != SUBSCRIBE_DONE || !reply->again) return verdict;
    struct subscription *known = subscription_at(&engine->locals.subscriptions, made);
    if (known->by == BY_NAME || subscription_of(&engine->patterns, known->by)->order > pattern->order) return verdict;
    if (!pace_set(engine, made, pattern->max_hz)) return SUBSCRIBE_FULL;
    known->by = index;
    following_set_mode(engine, made, (enum mode)pattern->mode);
    return verdict;
}

struct covering {
    struct engine              *engine;
    uint32_t                    index;
    const struct pattern_cover *cover;
    enum subscribe_verdict      verdict;
};

static bool cover_match(struct covering *covering, struct span topic)
{
    struct engine *engine = covering->engine;
    const struct pattern_subscription *pattern = subscription_of(&engine->patterns, covering->index);
    struct subscribe_ask ask = { .topic = topic, .mode = (enum mode)pattern->mode, .snapshot = pattern->snapshot, .max_hz = pattern->max_hz };
    struct subscribe_reply reply;
    const struct pattern_cover *cover = covering->cover;
    if (cover->resume) cover->resume(cover->context, &ask);
    covering->verdict = cover_one(engine, covering->index, &ask, &reply);
    if (covering->verdict == SUBSCRIBE_TOPICS_FULL) { /* no memory for this topic's log in this format: the others may have */
        counter_add(engine->counters, COUNTER_BIRTHS_NOT_COVERED, 1);
        covering->verdict = SUBSCRIBE_DONE;
        return true;
    }
    if (covering->verdict != SUBSCRIBE_DONE) return false;
    /* In its own format it may be known here and its birth not yet told: then op:topic comes with that. */
    if (!reply.again && reply.born) cover->covered(cover->context, &ask, &reply);
    return true;
}

/* What was found and is there still: born, or, of another shard, its birth was told. */
enum presence { GONE, THERE, NEWBORN };

static enum presence presence_of(const struct engine *engine, struct span topic)
{
    uint64_t hash = engine_name_hash(engine, topic);
    if (engine_home_of(engine, hash) == engine->settings.shard) {
        const struct topic *ours = home_find(&engine->home, topic, hash);
        return ours && log_newest_seq(&ours->log) > 0 ? THERE : GONE;
    }
    uint32_t index = locals_find(&engine->locals, topic, hash, FORMAT_JSON);
    if (index == POOL_NONE) return GONE;
    const struct local_topic *local = local_topic_at(&engine->locals, index);
    return local_topic_born(local) ? THERE : local->newborn ? NEWBORN : GONE; /* one that is to be born is covered then */
}

static bool cover_found(struct covering *covering, struct span topic)
{
    struct engine *engine = covering->engine;
    enum presence presence = presence_of(engine, topic);
    if (presence == THERE) return cover_match(covering, topic);
    if (presence == GONE) return true;
    /* Its birth was told before this pattern was followed, its first updates come after: as if it were born from now on. */
    const struct pattern_subscription *pattern = subscription_of(&engine->patterns, covering->index);
    struct subscribe_ask ask = { .topic = topic, .mode = (enum mode)pattern->mode, .snapshot = pattern->snapshot, .max_hz = pattern->max_hz, .newborn = true };
    struct subscribe_reply reply;
    covering->verdict = cover_one(engine, covering->index, &ask, &reply);
    return covering->verdict == SUBSCRIBE_DONE;
}

enum subscribe_verdict engine_cover(struct engine *engine, uint32_t subscriber, struct span pattern, const struct pattern_cover *cover)
{
    struct covering covering = { engine, find(engine, subscriber, pattern), cover, SUBSCRIBE_DONE };
    CHECK(covering.index != POOL_NONE);
    bool made;
    uint32_t index = subscription_of(&engine->patterns, covering.index)->pattern;
    const struct finding *finding = finding_complete(engine, index, &made);
    if (!finding) covering.verdict = SUBSCRIBE_FULL;
    struct span name;
    for (size_t at = 0; finding && (name = finding_next(finding, &at)).bytes && cover_found(&covering, name);) {}
    if (made) finding_end(engine, index);
    return covering.verdict;
}

bool engine_visit_matches(struct engine *engine, struct span pattern, bool (*visit)(void *context, struct span topic), void *context)
{
    uint32_t index = patterns_find_or_make(engine, pattern);
    if (index == POOL_NONE) return false;
    bool made;
    const struct finding *finding = finding_complete(engine, index, &made);
    struct span name;
    for (size_t at = 0; finding && (name = finding_next(finding, &at)).bytes;)
        if (presence_of(engine, name) != GONE && !visit(context, name)) break;
    bool all = finding && !finding->capped;
    if (made) finding_end(engine, index);
    patterns_drop_if_unused(engine, index);
    return all;
}

static void note_cover(void *context, uint32_t pattern)
{
    (void)pattern;
    *(bool *)context = true;
}

bool patterns_cover(const struct patterns *patterns, struct span topic)
{
    bool covered = false;
    if (patterns->index.count > 0) pattern_index_match(&patterns->index, topic, note_cover, &covered);
    return covered;
}

static void collect(void *context, uint32_t pattern)
{
    struct patterns *patterns = context;
    if (patterns->matched_count == patterns->matched_capacity) {
        patterns->matched_capacity = patterns->matched_capacity ? patterns->matched_capacity * 2 : 16;
        patterns->matched = reserve_resize(patterns->matched, patterns->matched_capacity * sizeof *patterns->matched);
    }
    patterns->matched[patterns->matched_count++] = pattern;
}

void patterns_on_birth(struct engine *engine, struct span topic)
{
    struct patterns *patterns = &engine->patterns;
    patterns->matched_count = 0;
    engine->home.looks += pattern_index_match(&patterns->index, topic, collect, patterns);
    for (uint32_t i = 0; i < patterns->matched_count; i++) {
        uint32_t next;
        finding_birth(engine, patterns->matched[i], topic);
        for (uint32_t at = pattern_at(patterns, patterns->matched[i])->first; at != POOL_NONE; at = next) {
            const struct pattern_subscription *pattern = subscription_of(patterns, at);
            uint32_t subscriber = pattern->subscriber;
            struct subscribe_ask ask = { .topic = topic, .mode = (enum mode)pattern->mode, .snapshot = pattern->snapshot, .max_hz = pattern->max_hz, .newborn = true };
            struct subscribe_reply reply;
            next = pattern->next;
            engine->home.looks++;
            bool excess = subscriber_at(engine, subscriber)->subscriptions_count >= engine->settings.subscriptions_each_max;
            if (excess || cover_one(engine, at, &ask, &reply) != SUBSCRIBE_DONE) counter_add(engine->counters, COUNTER_BIRTHS_NOT_COVERED, 1);
        }
    }
}

void patterns_take_over(struct engine *engine, uint32_t index)
{
    struct subscription *subscription = subscription_at(&engine->locals.subscriptions, index);
    const struct patterns *patterns = &engine->patterns;
    struct span topic = local_topic_name(local_topic_at(&engine->locals, subscription->local));
    uint32_t best = POOL_NONE;
    for (uint32_t at = subscriber_at(engine, subscription->subscriber)->patterns_first; at != POOL_NONE; at = subscription_of(patterns, at)->sibling_next) {
        bool newer = best == POOL_NONE || subscription_of(patterns, at)->order > subscription_of(patterns, best)->order;
        if (newer && topic_pattern_matches(pattern_text(patterns, at), topic)) best = at;
    }
    if (best == POOL_NONE) {
        following_end(engine, index);
        return;
    }
    subscription->by = best;
    CHECK(pace_set(engine, index, subscription_of(patterns, best)->max_hz)); /* there is a pace for each subscription; nobody could be refused here */
    following_set_mode(engine, index, (enum mode)subscription_of(patterns, best)->mode);
}

void engine_unsubscribe_pattern(struct engine *engine, uint32_t subscriber_index, struct span text)
{
    uint32_t index = find(engine, subscriber_index, text);
    if (index == POOL_NONE) return;
    /* Out of the subscriber's list first, so that it does not take over what it leaves. */
    unlink_sibling(engine, index);
    uint32_t next;
    for (uint32_t at = subscriber_at(engine, subscriber_index)->siblings_first; at != POOL_NONE; at = next) {
        const struct subscription *subscription = subscription_at(&engine->locals.subscriptions, at);
        next = subscription->sibling_next;
        if (subscription->by == index) patterns_take_over(engine, at);
    }
    end_unlinked(engine, index);
}

void patterns_end_all(struct engine *engine, uint32_t subscriber)
{
    uint32_t first;
    while ((first = subscriber_at(engine, subscriber)->patterns_first) != POOL_NONE) {
        unlink_sibling(engine, first);
        end_unlinked(engine, first);
    }
}
