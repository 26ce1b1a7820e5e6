#include "core/pubsub/pace.h"

#include "core/pubsub/following.h"

int paces_init(struct paces *paces, uint32_t paces_max, uint64_t mono_us)
{
    int error = pool_init(&paces->pool, sizeof(struct pace), paces_max);
    if (error) return error;
    error = table_init(&paces->by_subscription);
    if (error) goto undo_pool;
    wheel_init(&paces->wheel, mono_us / 1000);
    return 0;
undo_pool: pool_deinit(&paces->pool);
    return error;
}

void paces_deinit(struct paces *paces)
{
    CHECK(paces->pool.used == 0); /* subscriptions are gone before their engine */
    table_deinit(&paces->by_subscription);
    pool_deinit(&paces->pool);
}

static uint32_t hash_of(uint32_t subscription)
{
    return (uint32_t)((subscription * UINT64_C(0x9e3779b97f4a7c15)) >> 32);
}

static struct pace *pace_of(const struct engine *engine, uint32_t subscription)
{
    const struct table *table = &engine->paces.by_subscription;
    for (uint32_t at = table_first(table, hash_of(subscription)); at != TABLE_NONE; at = table_following(table, hash_of(subscription), at)) {
        struct pace *pace = pool_at(&engine->paces.pool, table->slots[at].index);
        if (pace->subscription == subscription) return pace;
    }
    CHECK(false); /* it is paced */
    return NULL;
}

static struct subscription *subscription_of(const struct engine *engine, uint32_t index)
{
    return subscription_at(&engine->locals.subscriptions, index);
}

/* Rounded up, so that the rate is never above what was asked for. */
static uint64_t interval_of(double max_hz)
{
    double us = 1e6 / max_hz; /* infinite for the smallest */
    if (us >= (double)PACE_INTERVAL_US_MAX) return PACE_INTERVAL_US_MAX;
    if (us <= (double)PACE_INTERVAL_US_MIN) return PACE_INTERVAL_US_MIN;
    uint64_t whole = (uint64_t)us;
    return us > (double)whole ? whole + 1 : whole;
}

static uint64_t grid_of(const struct pace *pace)
{
    return pace->interval_us / 16 > 1000 ? pace->interval_us / 16 : 1000;
}

static uint64_t round_up(uint64_t us, uint64_t grid_us)
{
    return (us + grid_us - 1) / grid_us * grid_us;
}

/* Later than this after it was due it was not the turn that took long: it had nothing to send, or could not. */
#define LATE_US 20000

/* No earlier than us, and so that the next range follows what is sent now closely enough for the turn's sake and no closer. */
static uint64_t at_least(const struct pace *pace, uint64_t us, uint64_t now_us)
{
    return us + PACE_SLACK_US < now_us + pace->interval_us ? now_us + pace->interval_us - PACE_SLACK_US : us;
}

/* When the next range may begin, after one was begun now. */
static uint64_t due_after(const struct pace *pace, uint64_t now_us)
{
    uint64_t grid_us = grid_of(pace), late_us = grid_us > LATE_US ? grid_us : LATE_US;
    bool in_time = pace->due_us > 0 && now_us <= pace->due_us + late_us;
    return in_time ? at_least(pace, pace->due_us + pace->interval_us, now_us) : round_up(now_us + pace->interval_us, grid_us);
}

static void rest(struct engine *engine, struct pace *pace)
{
    struct subscription *subscription = subscription_of(engine, pace->subscription);
    CHECK(subscription->list == IN_NONE);
    subscription->list = IN_RESTING;
    wheel_arm(&engine->paces.wheel, &pace->timer, (pace->due_us + 999) / 1000);
    counter_add(engine->counters, COUNTER_RESTS, 1);
}

/* A range, or a part of it, was sent: true: up to its end. */
static bool range_ends(struct engine *engine, struct pace *pace)
{
    const struct subscription *subscription = subscription_of(engine, pace->subscription);
    uint64_t now_us = engine->clock->mono_us;
    if (pace->until_seq == 0) {
        pace->until_seq = local_topic_at(&engine->locals, subscription->local)->ends.last.seq;
        pace->due_us = due_after(pace, now_us);
    } else { /* a range that takes long counts from its end */
        pace->due_us = at_least(pace, pace->due_us, now_us);
    }
    pace->sent_us = now_us;
    if (subscription->next_seq <= pace->until_seq) return false; /* it was cut */
    pace->until_seq = 0;
    return true;
}

void pace_sent(struct engine *engine, uint32_t index, uint64_t frames)
{
    struct pace *pace = pace_of(engine, index);
    if (frames > 0 && range_ends(engine, pace)) rest(engine, pace);
    else following_enlist(engine, index);
}

/* It is about to be sent: whether it must wait for its time; then it rests. */
static bool puts_off(struct engine *engine, uint32_t index)
{
    struct pace *pace = pace_of(engine, index);
    if (pace->until_seq == 0) return false;
    const struct subscription *subscription = subscription_of(engine, index);
    const struct local_topic *local = local_topic_at(&engine->locals, subscription->local);
    const struct ends *ends = &local->ends;
    bool goes_on = subscription->life == local->life && subscription->next_seq >= ends->key.seq && subscription->next_seq >= ends->tail.seq;
    if (goes_on) return false;
    pace->until_seq = 0; /* the rest of it is superseded, lost or of an older life */
    if (pace->due_us <= engine->clock->mono_us) return false;
    rest(engine, pace);
    return true;
}

uint32_t pace_take(struct engine *engine, struct subscriber *subscriber, uint32_t index)
{
    while (puts_off(engine, index)) {
        index = subscriber->dirty.first;
        const struct subscription *subscription = subscription_take_first(&engine->locals.subscriptions, &subscriber->dirty);
        if (!subscription || !subscription->paced) break;
    }
    return index;
}

/* ---- set, changed, ended ------------------------------------------------------------------------------------------------ */

static bool make(struct engine *engine, uint32_t index, double max_hz)
{
    struct paces *paces = &engine->paces;
    uint32_t pace_index = pool_take(&paces->pool);
    if (pace_index == POOL_NONE) return false;
    struct pace *pace = pool_at(&paces->pool, pace_index);
    *pace = (struct pace){ .max_hz = max_hz, .interval_us = interval_of(max_hz), .subscription = index };
    timer_init(&pace->timer);
    if (table_insert(&paces->by_subscription, hash_of(index), pace_index)) {
        pool_give(&paces->pool, pace_index);
        return false;
    }
    subscription_of(engine, index)->paced = true;
    return true;
}

static void change(struct engine *engine, struct pace *pace, double max_hz)
{
    if (pace->max_hz == max_hz) return;
    pace->max_hz = max_hz;
    pace->interval_us = interval_of(max_hz);
    if (pace->sent_us == 0) return;
    pace->due_us = round_up(pace->sent_us + pace->interval_us, grid_of(pace));
    if (timer_armed(&pace->timer)) {
        wheel_arm(&engine->paces.wheel, &pace->timer, (pace->due_us + 999) / 1000);
        return;
    }
    if (pace->due_us <= engine->clock->mono_us || pace->until_seq > 0) return;
    following_delist(engine, pace->subscription); /* it had rested enough, but not for this rate */
    rest(engine, pace);
}

void pace_end(struct engine *engine, uint32_t index)
{
    struct paces *paces = &engine->paces;
    struct subscription *subscription = subscription_of(engine, index);
    if (!subscription->paced) return;
    struct pace *pace = pace_of(engine, index);
    wheel_cancel(&paces->wheel, &pace->timer);
    table_remove(&paces->by_subscription, hash_of(index), pool_index(&paces->pool, pace));
    pool_give(&paces->pool, pool_index(&paces->pool, pace));
    subscription->paced = false;
    if (subscription->list == IN_RESTING) subscription->list = IN_NONE;
}

bool pace_set(struct engine *engine, uint32_t index, double max_hz)
{
    struct subscription *subscription = subscription_of(engine, index);
    if (max_hz > 0 && !subscription->paced) return make(engine, index, max_hz);
    if (max_hz > 0) {
        change(engine, pace_of(engine, index), max_hz);
        return true;
    }
    if (!subscription->paced) return true;
    bool rested = subscription->list == IN_RESTING;
    pace_end(engine, index);
    if (rested) following_enlist(engine, index);
    if (subscription->list == IN_DIRTY) subscription->skips = true; /* what it was kept from is superseded */
    return true;
}

double pace_max_hz(const struct engine *engine, uint32_t index)
{
    return subscription_of(engine, index)->paced ? pace_of(engine, index)->max_hz : 0;
}

/* ---- time -------------------------------------------------------------------------------------------------------------- */

static void release(void *context, struct timer *timer)
{
    struct engine *engine = context;
    const struct pace *pace = (const struct pace *)timer;
    struct subscription *subscription = subscription_of(engine, pace->subscription);
    CHECK(subscription->list == IN_RESTING);
    subscription->list = IN_NONE;
    following_enlist(engine, pace->subscription);
}

void pace_tick(struct engine *engine)
{
    wheel_advance(&engine->paces.wheel, engine->clock->mono_us / 1000, release, engine);
}

uint64_t pace_due_us(const struct engine *engine)
{
    uint64_t now_ms = engine->clock->mono_us / 1000;
    int64_t wait_ms = wheel_next_ms(&engine->paces.wheel, now_ms);
    return wait_ms < 0 ? UINT64_MAX : (now_ms + (uint64_t)wait_ms) * 1000;
}
