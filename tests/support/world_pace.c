/* Whether max_hz is kept: by what was sent when, and by nothing that the engine remembers of it. See world.h. */
#include "tests/support/world.h"

typedef unsigned long long number;

enum { SLACK_US = 2000 }; /* as promised in core/pubsub/pace.h */

static uint64_t interval_of(double max_hz)
{
    double us = 1e6 / max_hz;
    return us < 1000 ? 1000 : us > 86400e6 ? UINT64_C(86400000000) : (uint64_t)us;
}

static uint32_t past_of(const struct world *world, uint32_t subscription)
{
    const struct locals *locals = &world->engine.locals;
    return history_find(&world->history, local_topic_name(local_topic_at(locals, subscription_at(&locals->subscriptions, subscription)->local)));
}

void world_note_paces(struct world *world, struct sim_conn *conn)
{
    for (uint32_t past = 0; past < world->history.topics_count; past++) {
        const struct followed *asked = &conn->reader->as_asked.followed[past];
        struct sim_pace *pace = &conn->paces[past];
        double max_hz = asked->on ? asked->max_hz : 0;
        if (max_hz == pace->max_hz) continue;
        if (max_hz == 0) *pace = (struct sim_pace){ 0 };
        pace->max_hz = max_hz;
        if (pace->begun_count == 0) continue;
        pace->begun_us[0] = pace->begun_us[(pace->begun_count - 1) % SIM_PACE_BEGUN]; /* the last one counts on */
        pace->begun_count = 1;
    }
}

/* n intervals lie between n + 1 ranges. */
static void judge_begin(struct world *world, struct sim_pace *pace, const char *name)
{
    uint64_t now_us = world->clock.mono_us, interval_us = interval_of(pace->max_hz);
    for (uint64_t back = 1; back <= pace->begun_count && back < SIM_PACE_BEGUN; back++) {
        uint64_t then_us = pace->begun_us[(pace->begun_count - back) % SIM_PACE_BEGUN];
        if (now_us - then_us + SLACK_US < back * interval_us)
            fault_say(&world->fault, "%s (%g Hz): too soon: %llu updates in %llu us", name, pace->max_hz, (number)back + 1, (number)(now_us - then_us));
    }
    pace->begun_us[pace->begun_count++ % SIM_PACE_BEGUN] = now_us;
}

void world_judge_pace(struct world *world, struct sim_conn *conn, uint32_t subscription, uint64_t from_seq, uint64_t to_seq)
{
    world_note_paces(world, conn); /* what was born since */
    uint32_t past = past_of(world, subscription);
    const struct past_topic *topic = &world->history.topics[past];
    struct sim_pace *pace = &conn->paces[past];
    if (pace->max_hz == 0 || to_seq == from_seq) return;
    bool goes_on = pace->next <= pace->until && pace->next == from_seq && pace->life == topic->lives_count;
    bool keyed = history_life(&world->history, past)->keyed;
    if (!keyed && to_seq - from_seq != 1) fault_say(&world->fault, "%s (%g Hz): more than one update at once: %llu to %llu", topic->name, pace->max_hz, (number)from_seq, (number)to_seq - 1);
    if (!goes_on) {
        judge_begin(world, pace, topic->name);
        pace->until = local_topic_at(&world->engine.locals, subscription_at(&world->engine.locals.subscriptions, subscription)->local)->ends.last.seq;
    } else {
        world->seen.ranges_on++;
    }
    pace->life = topic->lives_count;
    pace->next = to_seq;
    pace->sent_us = world->clock.mono_us;
}

void world_check_rests(struct world *world)
{
    const struct pool *pool = &world->engine.locals.subscriptions;
    uint64_t now_us = world->clock.mono_us;
    for (uint32_t i = 0; (i = bitset_next(&world->live, i)) != BITSET_NONE; i++) {
        const struct sim_conn *conn = world_conn(world, i);
        for (uint32_t at = conn->subscriber.siblings_first; at != POOL_NONE; at = subscription_at(pool, at)->sibling_next) {
            if (subscription_at(pool, at)->list != IN_RESTING) continue;
            uint32_t past = past_of(world, at);
            const char *name = world->history.topics[past].name;
            const struct sim_pace *pace = &conn->paces[past];
            world->seen.rests++;
            if (pace->max_hz == 0 || pace->sent_us == 0) {
                fault_say(&world->fault, "%s: rests, though %s", name, pace->max_hz == 0 ? "it has no limit" : "nothing was sent");
                continue;
            }
            uint64_t interval_us = interval_of(pace->max_hz), grid_us = interval_us / 16 > 1000 ? interval_us / 16 : 1000;
            if (now_us > pace->sent_us + interval_us + grid_us + 1001) /* and what the wheel and the interval are rounded up by */
                fault_say(&world->fault, "%s (%g Hz): rests too long: for %llu us", name, pace->max_hz, (number)(now_us - pace->sent_us));
        }
    }
}

void world_break_rests(struct world *world)
{
    struct paces *paces = &world->engine.paces;
    bool cut_short = world_breaks(world, BREAK_REST_CUT_SHORT), endless = world_breaks(world, BREAK_REST_ENDLESS);
    if (!cut_short && !endless) return;
    for (uint32_t i = 0; i <= paces->by_subscription.mask; i++) {
        if (paces->by_subscription.slots[i].index == TABLE_NONE) continue;
        struct pace *pace = pool_at(&paces->pool, paces->by_subscription.slots[i].index);
        if (!timer_armed(&pace->timer)) continue;
        if (cut_short) wheel_arm(&paces->wheel, &pace->timer, 0);
        else wheel_cancel(&paces->wheel, &pace->timer);
    }
}
