#include "core/pubsub/following.h"

#include "core/base/siphash.h"
#include "core/pubsub/interests.h"
#include "core/pubsub/pattern_interest.h"

uint64_t engine_name_hash(const struct engine *engine, struct span name)
{
    return siphash(engine->settings.hash_key, name);
}

struct link *engine_link_of(struct engine *engine, uint64_t hash)
{
    return &engine->links[engine_home_of(engine, hash)];
}

static void sibling_add(struct engine *engine, struct subscriber *subscriber, uint32_t index)
{
    struct pool *pool = &engine->locals.subscriptions;
    struct subscription *subscription = subscription_at(pool, index);
    subscription->sibling_prev = subscriber->siblings_last;
    subscription->sibling_next = POOL_NONE;
    if (subscriber->siblings_last == POOL_NONE) subscriber->siblings_first = index;
    else subscription_at(pool, subscriber->siblings_last)->sibling_next = index;
    subscriber->siblings_last = index;
    subscriber->subscriptions_count++;
}

static void sibling_remove(struct engine *engine, struct subscriber *subscriber, uint32_t index)
{
    struct pool *pool = &engine->locals.subscriptions;
    const struct subscription *subscription = subscription_at(pool, index);
    if (subscription->sibling_prev == POOL_NONE) subscriber->siblings_first = subscription->sibling_next;
    else subscription_at(pool, subscription->sibling_prev)->sibling_next = subscription->sibling_next;
    if (subscription->sibling_next == POOL_NONE) subscriber->siblings_last = subscription->sibling_prev;
    else subscription_at(pool, subscription->sibling_next)->sibling_prev = subscription->sibling_prev;
    subscriber->subscriptions_count--;
}

void following_enlist(struct engine *engine, uint32_t index)
{
    struct subscription *subscription = subscription_at(&engine->locals.subscriptions, index);
    struct local_topic *local = local_topic_at(&engine->locals, subscription->local);
    bool caught_up = !local_topic_born(local) || (subscription->life == local->life && subscription->next_seq > local->ends.last.seq);
    if (caught_up) {
        subscription_push_last(&engine->locals.subscriptions, &local->waiting, index, IN_WAITING);
        return;
    }
    struct subscriber *subscriber = pool_at(engine->locals.subscribers, subscription->subscriber);
    subscription_push_last(&engine->locals.subscriptions, &subscriber->dirty, index, IN_DIRTY);
    if (!subscriber->blocked) bitset_add(engine->locals.ready, subscription->subscriber);
}

static struct subscription_ring *ring_of(struct engine *engine, const struct subscription *subscription)
{
    if (subscription->list == IN_WAITING) return &local_topic_at(&engine->locals, subscription->local)->waiting;
    struct subscriber *subscriber = pool_at(engine->locals.subscribers, subscription->subscriber);
    return &subscriber->dirty;
}

void following_delist(struct engine *engine, uint32_t index)
{
    subscription_unlink(&engine->locals.subscriptions, ring_of(engine, subscription_at(&engine->locals.subscriptions, index)), index);
}

static bool resumes(const struct local_topic *known, struct span epoch, uint64_t seq)
{
    return local_topic_born(known) && span_equals(epoch, span_of(known->epoch, EPOCH_BYTES)) && seq <= known->ends.last.seq;
}

/* Where a new subscription begins. known: the local topic by which it is told, in its own format or in JSON. */
static void set_cursor(struct subscription *subscription, const struct local_topic *local, const struct local_topic *known, const struct subscribe_ask *ask, struct subscribe_reply *reply)
{
    const struct ends *ends = &known->ends;
    subscription->life = local->life;
    subscription->at = POSITION_UNKNOWN;
    subscription->next_seq = 1;
    if (ask->newborn) subscription->life = 0; /* of no life yet, so that op:topic comes first, even where this format was told of it before */
    if (ask->newborn || !local_topic_born(known)) return;

    if (ask->resume && (ask->resume_any || resumes(known, ask->resume_epoch, ask->resume_seq))) {
        reply->resumed = true;
        subscription->next_seq = ask->resume_seq + 1;
        subscription->skips = ask->resume_seq < ends->last.seq; /* latest: the newest, if newer */
    } else if (ask->snapshot) {
        subscription->next_seq = ends->key.seq;
        subscription->at = ends->key.at;
    } else {
        subscription->next_seq = ends->last.seq + 1;
        subscription->at = ends->head;
    }
    subscription->fresh = subscription->next_seq <= ends->last.seq;
    if (known != local) subscription->at = POSITION_UNKNOWN; /* each format has positions of its own */
}

/* The position is kept: `every` goes on from the last sent, so a jump that was not sent yet is taken back. */
void following_set_mode(struct engine *engine, uint32_t index, enum mode mode)
{
    struct subscription *subscription = subscription_at(&engine->locals.subscriptions, index);
    if (subscription->mode == MODE_EVERY && mode == MODE_LATEST && subscription->list == IN_DIRTY) subscription->skips = true;
    subscription->mode = mode;
    if (mode == MODE_LATEST || subscription->jumped == 0) return;
    subscription->next_seq = subscription_due_seq(subscription);
    subscription->jumped = 0;
    subscription->at = POSITION_UNKNOWN;
}

/* ---- topics of other shards: prepared, lingering --------------------------------------------------------------------- */

static void linger(struct engine *engine, uint32_t index)
{
    struct locals *locals = &engine->locals;
    struct local_topic *local = local_topic_at(locals, index);
    local->ending = false;
    if (local->lingers) return;
    local->lingers = true;
    local->linger_us = engine->clock->mono_us;
    local->linger_next = POOL_NONE;
    if (locals->lingering.first == POOL_NONE) locals->lingering.first = index;
    else local_topic_at(locals, locals->lingering.last)->linger_next = index;
    locals->lingering.last = index;
}

static uint32_t prepare(struct engine *engine, struct span name, uint64_t hash, enum wire_format format, bool again)
{
    struct locals *locals = &engine->locals;
    uint32_t index = locals_find(locals, name, hash, format);
    if (index == POOL_NONE) index = locals_make(locals, name, hash, format, true);
    if (index == POOL_NONE) return POOL_NONE;
    struct local_topic *local = local_topic_at(locals, index);
    if (again && local->state == LOCAL_REFUSED) local->state = LOCAL_WANTED;
    if (local->state == LOCAL_REFUSED) return index; /* for a second, however often one tries */
    if (local->state == LOCAL_WANTED) link_mark_local(engine_link_of(engine, hash), index);
    local->idle_us = engine->clock->mono_us;
    if (local->subscriptions_count == 0) linger(engine, index);
    return index;
}

uint32_t following_prepare(struct engine *engine, struct span name, uint64_t hash, bool again)
{
    return prepare(engine, name, hash, FORMAT_JSON, again);
}

bool following_is_live(const struct engine *engine, struct span name, uint64_t hash, enum wire_format format)
{
    uint32_t index = locals_find(&engine->locals, name, hash, format);
    return index != POOL_NONE && local_topic_at(&engine->locals, index)->state == LOCAL_LIVE;
}

void following_answered(struct engine *engine, uint32_t index, enum local_state state)
{
    struct local_topic *local = local_topic_at(&engine->locals, index);
    CHECK(local->state == LOCAL_ASKED);
    local->state = (uint8_t)state;
    local->idle_us = engine->clock->mono_us;
    if (state == LOCAL_REFUSED) linger(engine, index); /* a format has subscriptions already: it is asked for anew after a second */
    struct awaiter awaiter;
    while (awaiting_take(&engine->awaiting, &local->awaiters, &awaiter)) {
        if (awaiter.pattern) patterns_match_live(engine, awaiter.who);
        else CHECK(awaiting_add(&engine->awaiting, &engine->awaiting.due, awaiter.who, false)); /* its place is free again */
    }
}

/* What a pattern covers is kept for those who follow the pattern next. */
static bool may_end(const struct engine *engine, const struct local_topic *local)
{
    if (local->state == LOCAL_WANTED || local->state == LOCAL_ASKED || engine->clock->mono_us - local->idle_us < LINGER_US) return false;
    bool there = local_topic_born(local) || local->newborn;
    return local->state == LOCAL_REFUSED || local->chain.format != FORMAT_JSON || !there || !patterns_cover(&engine->patterns, local_topic_name(local));
}

void following_tick(struct engine *engine)
{
    enum { EACH_TICK = 1024 };
    struct locals *locals = &engine->locals;
    for (uint32_t count = 0; count < EACH_TICK && locals->lingering.first != POOL_NONE; count++) {
        uint32_t index = locals->lingering.first;
        struct local_topic *local = local_topic_at(locals, index);
        if (engine->clock->mono_us - local->linger_us < LINGER_US) return;
        locals->lingering.first = local->linger_next;
        local->lingers = false;
        if (local->subscriptions_count > 0) {
            if (local->state != LOCAL_REFUSED) continue;
            local->state = LOCAL_WANTED;
            link_mark_local(engine_link_of(engine, local->hash), index);
            continue;
        }
        if (!may_end(engine, local)) {
            linger(engine, index);
            continue;
        }
        local->ending = true;
        link_mark_local(engine_link_of(engine, local->hash), index);
    }
}

static void drop_if_unused(struct engine *engine, uint32_t index)
{
    struct local_topic *local = local_topic_at(&engine->locals, index);
    if (local->subscriptions_count > 0) return;
    local->idle_us = engine->clock->mono_us;
    if (local->remote) {
        linger(engine, index);
        return;
    }
    home_interest_end(&engine->home, engine->settings.shard, local->topic, local->generation);
    locals_drop(&engine->locals, index);
}

/* A topic of our own; interested in where it is new. POOL_NONE: no room. */
static uint32_t follow_own(struct engine *engine, struct span name, uint64_t hash, enum wire_format format)
{
    struct home *home = &engine->home;
    uint32_t index = locals_find(&engine->locals, name, hash, format), us = engine->settings.shard;
    if (index != POOL_NONE) {
        /* It may have grown in this turn: the ack's seq is the newest at this moment. */
        if (home->to_tell[us].first != POOL_NONE) home_tell_topic(home, us, local_topic_at(&engine->locals, index)->topic);
        return index;
    }
    index = locals_make(&engine->locals, name, hash, format, false);
    if (index == POOL_NONE) return POOL_NONE;
    struct local_topic *local = local_topic_at(&engine->locals, index);
    struct interest_ask ask = { name, hash, format, index, local->generation };
    if (!home_interest(home, us, &ask)) {
        locals_drop(&engine->locals, index);
        return POOL_NONE;
    }
    local->topic = home_find_index(home, name, hash, format);
    local->state = LOCAL_LIVE;
    return index;
}

/* The local topic by which a subscriber is told of one of another shard: in its own format where that is live, else in JSON; NULL: there
 * is none, it was not prepared. */
static const struct local_topic *known_by(const struct engine *engine, struct span name, uint64_t hash, enum wire_format format)
{
    if (format != FORMAT_JSON && !following_is_live(engine, name, hash, format)) format = FORMAT_JSON;
    uint32_t index = locals_find(&engine->locals, name, hash, format);
    return index == POOL_NONE ? NULL : local_topic_at(&engine->locals, index);
}

enum resume_news engine_resume_news(const struct engine *engine, struct span topic, enum wire_format format, struct span epoch, uint64_t seq, uint32_t *home)
{
    uint64_t hash = engine_name_hash(engine, topic);
    *home = engine_home_of(engine, hash);
    if (*home == engine->settings.shard) return RESUME_TOLD;
    const struct local_topic *known = known_by(engine, topic, hash, format);
    if (!known) return RESUME_DOUBTED;
    if (known->state == LOCAL_WANTED || known->state == LOCAL_ASKED) return RESUME_AWAITS;
    return resumes(known, epoch, seq) ? RESUME_TOLD : RESUME_DOUBTED;
}

/* The local topic in the subscriber's format. *known: by which it is told. */
static enum subscribe_verdict follow(struct engine *engine, const struct subscribe_ask *ask, uint32_t by, enum wire_format format, uint32_t *index, const struct local_topic **known)
{
    uint64_t hash = engine_name_hash(engine, ask->topic);
    if (engine_link_of(engine, hash)->self) {
        *index = follow_own(engine, ask->topic, hash, format);
        if (*index == POOL_NONE) return SUBSCRIBE_TOPICS_FULL;
        *known = local_topic_at(&engine->locals, *index);
        return SUBSCRIBE_DONE;
    }
    *known = known_by(engine, ask->topic, hash, format);
    if (!*known || (by == BY_NAME && (*known)->state != LOCAL_LIVE)) return SUBSCRIBE_NOT_READY; /* what a pattern covers may be asked for still */
    if ((*known)->chain.format == format) {
        *index = pool_index(&engine->locals.topics, *known);
        return SUBSCRIBE_DONE;
    }
    *index = prepare(engine, ask->topic, hash, format, false);
    if (*index == POOL_NONE) return SUBSCRIBE_TOPICS_FULL;
    if (local_topic_born(*known)) locals_expect_life(local_topic_at(&engine->locals, *index), (*known)->epoch);
    return SUBSCRIBE_DONE;
}

static void reply_with(struct subscribe_reply *reply, const struct local_topic *local)
{
    reply->born = local_topic_born(local);
    reply->seq = local->ends.last.seq;
    memcpy(reply->epoch, local->epoch, EPOCH_BYTES);
}

enum subscribe_verdict following_make(struct engine *engine, uint32_t subscriber_index, const struct subscribe_ask *ask, uint32_t by, uint32_t *made, struct subscribe_reply *reply)
{
    *reply = (struct subscribe_reply){ 0 };
    struct subscriber *subscriber = pool_at(engine->locals.subscribers, subscriber_index);
    const struct local_topic *known;
    uint32_t local_index;
    enum subscribe_verdict verdict = follow(engine, ask, by, subscriber->format, &local_index, &known);
    if (verdict != SUBSCRIBE_DONE) return verdict;
    struct local_topic *local = local_topic_at(&engine->locals, local_index);

    uint32_t index = *made = pairs_find(&engine->by_pair, subscriber_index, local_index);
    if (index != POOL_NONE) {
        reply_with(reply, known);
        reply->again = true;
        return SUBSCRIBE_DONE;
    }
    index = pool_take(&engine->locals.subscriptions);
    if (index == POOL_NONE) {
        drop_if_unused(engine, local_index);
        return SUBSCRIBE_FULL;
    }
    struct subscription *subscription = subscription_at(&engine->locals.subscriptions, index);
    *subscription = (struct subscription){ .subscriber = subscriber_index, .local = local_index, .mode = ask->mode, .by = by };
    if (!pace_set(engine, index, ask->max_hz)) {
        pool_give(&engine->locals.subscriptions, index);
        drop_if_unused(engine, local_index);
        return SUBSCRIBE_FULL;
    }
    pairs_insert(&engine->by_pair, index);
    set_cursor(subscription, local, known, ask, reply);
    sibling_add(engine, subscriber, index);
    local->subscriptions_count++;
    local->ending = false;
    counter_add(engine->counters, COUNTER_SUBSCRIPTIONS, 1);
    following_enlist(engine, index);
    reply_with(reply, known);
    *made = index;
    return SUBSCRIBE_DONE;
}

void following_end(struct engine *engine, uint32_t index)
{
    struct subscription *subscription = subscription_at(&engine->locals.subscriptions, index);
    uint32_t local_index = subscription->local;
    if (subscription->list != IN_RESTING) following_delist(engine, index);
    pace_end(engine, index);
    sibling_remove(engine, pool_at(engine->locals.subscribers, subscription->subscriber), index);
    pairs_remove(&engine->by_pair, index);
    pool_give(&engine->locals.subscriptions, index);
    local_topic_at(&engine->locals, local_index)->subscriptions_count--;
    counter_sub(engine->counters, COUNTER_SUBSCRIPTIONS, 1);
    drop_if_unused(engine, local_index);
}


uint32_t following_find(const struct engine *engine, uint32_t subscriber, struct span topic)
{
    const struct subscriber *known = pool_at(engine->locals.subscribers, subscriber);
    uint32_t local = locals_find(&engine->locals, topic, engine_name_hash(engine, topic), known->format);
    return local == POOL_NONE ? POOL_NONE : pairs_find(&engine->by_pair, subscriber, local);
}
