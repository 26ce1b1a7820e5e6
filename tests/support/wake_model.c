/* See wake_model.h. The steps c1, c2, c3, p1 and p2 are those of wake.h; beside each stands the line that it mirrors. */
#include "tests/support/wake_model.h"

#include "core/base/check.h"

/* The consumer: a turn of gateway/shard.c. */
enum { AT_COMPLETIONS, AT_TAKE, AT_C1, AT_CONSUMER_FENCE, AT_C2, AT_WAITING, AT_C3 };
/* A producer: engine_tell() of a shard, or shard_command() of the main thread. */
enum { AT_REST, AT_PRODUCER_FENCE, AT_P2, AT_P2_EXCHANGE, AT_P1_LATE };
/* The read of the eventfd in the consumer's ring. */
enum { READ_ARMED, READ_DONE, READ_STAGED };

enum { BUFFER_MAX = 4 };

struct walk {
    const struct wake_plan  *plan;
    const struct wake_state *from;
    wake_state_emit         *emit;
    void                    *context;
};

/* Memory. */

/* A store to the flag reaches memory. */
static void land(struct wake_state *state, unsigned value)
{
    uint8_t can = value ? CAN_BE_1 : CAN_BE_0;
    if (value) state->claimed = 0; /* another sleep */
    state->flag = (uint8_t)value;
    state->since_told |= can;
    for (uint32_t i = 0; i < WAKE_PRODUCERS_MAX; i++) state->queues[i].can_read |= can;
}

static void land_oldest(struct wake_state *state)
{
    land(state, state->buffer & 1u);
    state->buffer >>= 1;
    state->buffered--;
}

/* The consumer writes the flag. */
static void store_flag(const struct wake_plan *plan, struct wake_state *state, unsigned value)
{
    if (plan->sequential) {
        land(state, value);
        return;
    }
    if (state->buffered == BUFFER_MAX) land_oldest(state); /* only where its fence is missing */
    state->buffer |= (uint8_t)(value << state->buffered);
    state->buffered++;
}

static bool is_done(const struct wake_plan *plan, const struct wake_state *state, uint32_t index)
{
    return state->queues[index].pc == AT_REST && state->queues[index].published == plan->items[index];
}

/* One shape for states that can't be told apart: what a producer with its fence ahead could read now, it will not. */
static void normalise(const struct wake_plan *plan, struct wake_state *state)
{
    uint8_t newest = state->flag ? CAN_BE_1 : CAN_BE_0;
    if (plan->sequential) state->since_told = newest;
    for (uint32_t i = 0; i < plan->producers; i++) {
        struct wake_model_queue *queue = &state->queues[i];
        bool fence_ahead = queue->pc != AT_P2 && plan->fault != FAULT_NO_PRODUCER_FENCE;
        if (plan->sequential) {
            queue->can_read = newest;
            queue->floor = queue->fenced = queue->published;
        } else if (is_done(plan, state, i) || fence_ahead) queue->can_read = 0;
    }
}

static void step(struct walk *walk, struct wake_state next, const char *name, unsigned wrong)
{
    normalise(walk->plan, &next);
    walk->emit(walk->context, &next, (struct wake_step){ name, wrong, false });
}

/* The consumer. */

/* Where a turn ends: to the next sleep. */
static void lie_down(const struct wake_plan *plan, struct wake_state *state)
{
    state->pc = plan->fault == FAULT_LOOK_BEFORE_FLAG ? AT_C2 : AT_C1;
    state->queue = 0;
}

/* ring_wait(): what is staged is submitted, also where it doesn't wait. */
static void submit(struct wake_state *state)
{
    if (state->read == READ_STAGED) state->read = READ_ARMED;
}

static void get_up(const struct wake_plan *plan, struct wake_state *state)
{
    bool now = plan->fault != FAULT_CLEAR_AFTER_TAKING && plan->fault != FAULT_NO_SLEEP_END && plan->fault != FAULT_CLEAR_BEFORE_WAIT;
    state->pc = now ? AT_C3 : AT_COMPLETIONS;
}

static void take_completions(struct walk *walk)
{
    struct wake_state next = *walk->from;
    next.posted = 0;
    if (next.read == READ_DONE && walk->plan->fault != FAULT_READ_ONCE) next.read = READ_STAGED; /* arm_wake() */
    next.pc = AT_TAKE;
    next.queue = 0;
    step(walk, next, "take_completions", 0);
}

/* spsc_take() of one queue, to its end or not: a turn's batch is bounded. */
static void take(struct walk *walk)
{
    const struct wake_model_queue *from = &walk->from->queues[walk->from->queue];
    for (uint8_t count = from->floor; count <= from->published; count++) {
        struct wake_state next = *walk->from;
        struct wake_model_queue *queue = &next.queues[next.queue];
        queue->seen = queue->floor = count;
        if (++next.queue == walk->plan->producers) {
            if (walk->plan->fault == FAULT_CLEAR_AFTER_TAKING) next.pc = AT_C3;
            else lie_down(walk->plan, &next);
            next.queue = 0;
        }
        uint8_t taken = queue->taken;
        queue->taken = count;
        step(walk, next, "take all", 0);
        if (count <= taken + 1) continue;
        queue->taken = (uint8_t)(taken + 1);
        step(walk, next, "take one", 0);
    }
}

static void look_done(struct walk *walk, struct wake_state next, bool empty)
{
    const struct wake_plan *plan = walk->plan;
    bool last = ++next.queue == plan->producers;
    if (empty && !last) {
        step(walk, next, "c2 empty", 0);
        return;
    }
    next.queue = 0;
    if (empty && plan->fault == FAULT_LOOK_BEFORE_FLAG) next.pc = AT_C1;
    else {
        submit(&next);
        if (empty && plan->fault == FAULT_CLEAR_BEFORE_WAIT) store_flag(plan, &next, 0);
        if (empty && plan->fault != FAULT_NEVER_WAITS) next.pc = AT_WAITING;
        else get_up(plan, &next);
    }
    step(walk, next, empty ? "c2 empty, the last" : "c2 not empty", 0);
}

/* c2   spsc_empty(): published_seen != taken, or the load of published */
static void look(struct walk *walk)
{
    const struct wake_model_queue *from = &walk->from->queues[walk->from->queue];
    if (from->seen != from->taken) {
        look_done(walk, *walk->from, false);
        return;
    }
    for (uint8_t count = from->floor; count <= from->published; count++) {
        struct wake_state next = *walk->from;
        struct wake_model_queue *queue = &next.queues[next.queue];
        queue->seen = queue->floor = count;
        look_done(walk, next, count == queue->taken);
    }
}

/* wake_sleep_begin(): full_fence(). Its last store was c1; a 0 after it is an exchange's. */
static void consumer_fence(const struct wake_plan *plan, struct wake_state *state)
{
    while (state->buffered > 0) land_oldest(state);
    state->since_told = state->flag ? CAN_BE_1 : CAN_BE_1 | CAN_BE_0;
    for (uint32_t i = 0; i < plan->producers; i++)
        if (state->queues[i].floor < state->queues[i].fenced) state->queues[i].floor = state->queues[i].fenced;
}

static void consumer(struct walk *walk)
{
    const struct wake_plan *plan = walk->plan;
    struct wake_state next = *walk->from;
    switch (next.pc) {
    case AT_COMPLETIONS: take_completions(walk); return;
    case AT_TAKE: take(walk); return;
    case AT_C1: /* wake_sleep_begin(): store(asleep, 1, relaxed) */
        store_flag(plan, &next, 1);
        next.pc = AT_CONSUMER_FENCE;
        step(walk, next, "c1", 0);
        return;
    case AT_CONSUMER_FENCE:
        if (plan->fault != FAULT_NO_CONSUMER_FENCE) consumer_fence(plan, &next);
        next.pc = AT_C2;
        if (plan->fault == FAULT_LOOK_BEFORE_FLAG) {
            submit(&next);
            next.pc = AT_WAITING;
        }
        step(walk, next, "the consumer's fence", 0);
        return;
    case AT_C2: look(walk); return;
    case AT_WAITING: /* ring_wait() comes back */
        get_up(plan, &next);
        normalise(plan, &next);
        walk->emit(walk->context, &next, next.posted ? (struct wake_step){ "woken", 0, false } : (struct wake_step){ "up for another reason", 0, true });
        return;
    case AT_C3: /* wake_sleep_end(): store(asleep, 0, relaxed) */
        store_flag(plan, &next, 0);
        if (plan->fault == FAULT_CLEAR_AFTER_TAKING) lie_down(plan, &next);
        else next.pc = AT_COMPLETIONS;
        step(walk, next, "c3", 0);
        return;
    }
    CHECK(!"a consumer nowhere");
}

/* A producer. */

/* wake_needed(): load(asleep, relaxed) */
static void check(struct walk *walk, uint32_t index)
{
    uint8_t can_read = walk->from->queues[index].can_read;
    struct wake_state next = *walk->from;
    next.queues[index].pc = walk->plan->fault == FAULT_PUBLISH_AFTER_CHECK ? AT_P1_LATE : AT_REST;
    if (can_read & CAN_BE_0) step(walk, next, "p2 awake", 0);
    next.queues[index].pc = AT_P2_EXCHANGE;
    if (can_read & CAN_BE_1) step(walk, next, "p2 asleep", 0);
}

/* wake_needed(): exchange(asleep, 0); if it was 1, ring_message() stages the wake-up or wake_send() is next. */
static void exchange(struct walk *walk, uint32_t index)
{
    struct wake_state next = *walk->from;
    unsigned wrong = 0;
    bool is_up = (next.pc == AT_COMPLETIONS || next.pc == AT_TAKE) && next.buffered == 0;
    bool sends = next.flag || walk->plan->fault == FAULT_PLAIN_FLAG;
    next.queues[index].pc = walk->plan->fault == FAULT_PUBLISH_AFTER_CHECK ? AT_P1_LATE : AT_REST;
    if (sends) {
        wrong = (next.claimed ? WRONG_TWICE : 0u) | (is_up ? WRONG_NEEDLESS : 0u);
        land(&next, 0);
        next.claimed = 1;
        next.queues[index].staged = 1;
    }
    step(walk, next, sends ? "p2 exchange, sends" : "p2 exchange, another sends", wrong);
}

static void producer(struct walk *walk, uint32_t index)
{
    const struct wake_plan *plan = walk->plan;
    struct wake_state next = *walk->from;
    struct wake_model_queue *queue = &next.queues[index];
    bool late = plan->fault == FAULT_PUBLISH_AFTER_CHECK;
    switch (queue->pc) {
    case AT_REST:
        if (queue->published == plan->items[index]) return;
        queue->pc = AT_PRODUCER_FENCE;
        if (late) {
            step(walk, next, "a producer begins", 0);
            return;
        }
        queue->published++; /* p1   spsc_publish(): store(published, release) */
        if (plan->fault == FAULT_NO_PRODUCER_FENCE) queue->pc = AT_P2;
        step(walk, next, "p1", 0);
        return;
    case AT_PRODUCER_FENCE: /* wake_needed(): full_fence() */
        queue->fenced = queue->published;
        queue->can_read = next.since_told;
        queue->pc = AT_P2;
        step(walk, next, "a producer's fence", 0);
        return;
    case AT_P2: check(walk, index); return;
    case AT_P2_EXCHANGE: exchange(walk, index); return;
    case AT_P1_LATE:
        queue->published++;
        queue->pc = AT_REST;
        step(walk, next, "p1, too late", 0);
        return;
    }
    CHECK(!"a producer nowhere");
}

/* The wake-up on its way. */

static bool is_main(const struct wake_plan *plan, uint32_t index)
{
    return plan->main_thread && index == 0;
}

static void send(struct walk *walk, uint32_t index)
{
    struct wake_state next = *walk->from;
    if (!next.queues[index].staged || walk->plan->fault == FAULT_MESSAGE_UNSENT) return;
    next.queues[index].staged = 0;
    if (is_main(walk->plan, index)) next.eventfd = 1; /* wake_send() */
    else next.posted = 1; /* ring_submit() or ring_wait() of the peer: IORING_OP_MSG_RING */
    step(walk, next, "the wake-up is sent", 0);
}

static void complete_read(struct walk *walk)
{
    struct wake_state next = *walk->from;
    if (!next.eventfd || next.read != READ_ARMED) return;
    next.eventfd = 0;
    next.read = READ_DONE;
    next.posted = 1;
    step(walk, next, "the eventfd is read", 0);
}

/* The whole. */

struct wake_state wake_state_first(const struct wake_plan *plan)
{
    CHECK(plan->producers >= 1 && plan->producers <= WAKE_PRODUCERS_MAX);
    struct wake_state state = { .since_told = CAN_BE_0, .pc = AT_COMPLETIONS };
    for (uint32_t i = 0; i < plan->producers; i++) state.queues[i].can_read = CAN_BE_0;
    normalise(plan, &state);
    return state;
}

void wake_state_next(const struct wake_plan *plan, const struct wake_state *state, wake_state_emit *emit, void *context)
{
    struct walk walk = { plan, state, emit, context };
    consumer(&walk);
    if (state->buffered > 0) {
        struct wake_state next = *state;
        land_oldest(&next);
        step(&walk, next, "the consumer's store lands", 0);
    }
    for (uint32_t i = 0; i < plan->producers; i++) {
        producer(&walk, i);
        send(&walk, i);
    }
    complete_read(&walk);
}

static bool under_way(const struct wake_plan *plan, const struct wake_state *state)
{
    bool staged = false;
    for (uint32_t i = 0; i < plan->producers; i++) staged |= state->queues[i].staged;
    return staged || state->posted || (state->eventfd && state->read == READ_ARMED);
}

unsigned wake_state_wrong(const struct wake_plan *plan, const struct wake_state *state)
{
    bool left = false;
    if (state->pc != AT_WAITING || under_way(plan, state)) return 0;
    for (uint32_t i = 0; i < plan->producers; i++) {
        if (state->queues[i].pc != AT_REST) return 0;
        left |= state->queues[i].taken != state->queues[i].published;
    }
    return left ? WRONG_LOST : 0;
}

bool wake_state_is_end(const struct wake_plan *plan, const struct wake_state *state)
{
    if (state->pc != AT_WAITING || state->buffered > 0 || state->eventfd || under_way(plan, state)) return false;
    for (uint32_t i = 0; i < plan->producers; i++)
        if (!is_done(plan, state, i) || state->queues[i].taken != plan->items[i]) return false;
    return true;
}
