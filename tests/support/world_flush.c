/* The turn's second half in a world: what gateway/fanout.c does, with sockets that are numbers. See world.h. */
#include "tests/support/world.h"

typedef unsigned long long number;

static struct subscription *subscription_of(const struct world *world, uint32_t index)
{
    return subscription_at(&world->engine.locals.subscriptions, index);
}

static struct local_topic *local_of(const struct world *world, uint32_t subscription)
{
    return local_topic_at(&world->engine.locals, subscription_of(world, subscription)->local);
}

static uint32_t past_of(const struct world *world, const struct local_topic *local)
{
    return history_find(&world->history, local_topic_name(local));
}

static void add_message(struct world *world, struct sim_conn *conn)
{
    message_add(conn->subscriber.format, text_span(&world->message), &conn->out);
    world->message.size = 0;
}

static void tell_news(struct world *world, struct sim_conn *conn, const struct local_topic *local, const struct subscription *subscription, const struct cursor_news *news)
{
    struct span name = local_topic_name(local);
    uint32_t past = past_of(world, local);
    if (news->new_life && !world_breaks(world, BREAK_BIRTH_UNTOLD)) {
        struct span by = subscription->by == BY_NAME ? SPAN_NONE : pattern_text(&world->engine.patterns, subscription->by);
        text_print(&world->message, "{\"op\":\"topic\",\"topic\":\"%.*s\",\"epoch\":\"%.8s\",\"seq\":0", (int)name.size, name.bytes, local->epoch);
        if (by.bytes) text_print(&world->message, ",\"by\":\"%.*s\"", (int)by.size, by.bytes);
        text_add_char(&world->message, '}');
        add_message(world, conn);
    }
    if (!news->gap_to) return;
    world->seen.gaps++;
    gap_judge(&world->history, conn->subscriber.format, past, news->gap_from, news->gap_to, &world->fault);
    if (conn->caught_up[past] && !world->pressed)
        fault_say(&world->fault, "%.*s: a gap from %llu to %llu for one that kept up", (int)name.size, name.bytes, (number)news->gap_from, (number)news->gap_to);
    if (world_breaks(world, BREAK_GAP_UNTOLD)) return;
    text_print(&world->message, "{\"op\":\"gap\",\"topic\":\"%.*s\",\"from\":%llu,\"to\":%llu}", (int)name.size, name.bytes, (number)news->gap_from, (number)news->gap_to);
    add_message(world, conn);
}

/* `latest` for one that is behind: what is newest now; on a keyed topic it goes on from the newest key, or loses nothing. For one that
 * kept up: all of it, as long as it is no more than one pass may carry. */
static void judge_latest(struct world *world, const struct sim_conn *conn, const struct local_topic *local, const struct range *range)
{
    uint32_t past = past_of(world, local);
    const char *name = world->history.topics[past].name;
    const struct past_life *life = history_life(&world->history, past);
    const struct followed *followed = &conn->reader->as_told.followed[past];
    uint64_t key_seq = history_at(life, life->newest)->key_seq;
    bool paced = conn->reader->as_asked.followed[past].max_hz > 0;
    if ((conn->subscriber.behind || paced) && range->from.seq < key_seq && key_seq >= history_floor(life, conn->subscriber.format))
        fault_say(&world->fault, "%s (latest): sent from %llu on, which is superseded by %llu", name, (number)range->from.seq, (number)key_seq);
    bool of_this_life = followed->on && !followed->unborn && followed->life == world->history.topics[past].lives_count - 1;
    if (paced || !conn->caught_up[past] || world->pressed || !of_this_life || range->from.seq == followed->next) return;
    if (history_bytes_most(life, followed->next) <= RANGE_BYTES_MAX)
        fault_say(&world->fault, "%s (latest): jumps from %llu to %llu, although it kept up", name, (number)followed->next, (number)range->from.seq);
}

/* Where a subscription's range begins, after its news were told; false: it is caught up. */
static bool advance(struct world *world, struct sim_conn *conn, uint32_t index)
{
    struct subscription *subscription = subscription_of(world, index);
    struct local_topic *local = local_of(world, index);
    struct cursor_news news;
    uint8_t mode = subscription->mode;
    bool paced = subscription->paced;
    if (world_breaks(world, BREAK_SUPERSEDED_SENT)) subscription->mode = MODE_EVERY;
    if (world_breaks(world, BREAK_PACED_SENT_ALL)) subscription->paced = false;
    bool behind = conn->subscriber.behind || world_breaks(world, BREAK_JUMP_NEEDLESS);
    bool pending = cursor_advance(local, subscription, behind, &world->counters, &news);
    subscription->mode = mode;
    subscription->paced = paced;
    tell_news(world, conn, local, subscription, &news);
    if (pending && mode == MODE_LATEST && conn->subscriber.behind && world_breaks(world, BREAK_KEY_SKIPPED)) {
        subscription->next_seq = local->ends.last.seq;
        subscription->at = local->ends.last.at;
    }
    return pending;
}

static void take_ranges(struct world *world, struct sim_conn *conn, struct world_send *send)
{
    uint64_t bytes = 0;
    while (bytes < world->plan.send_bytes_max && world->ranges_count < world->plan.ranges_max && send->ranges_count < world->plan.send_pieces_max / 2) {
        uint32_t index = engine_take_dirty(&world->engine, &conn->subscriber);
        if (index == POOL_NONE) break;
        struct subscription *subscription = subscription_of(world, index);
        if (!advance(world, conn, index)) {
            engine_sent(&world->engine, index, (struct mark){ subscription->at, subscription->next_seq });
            continue;
        }
        struct world_range *ranged = &world->ranges[world->ranges_count];
        ranged->subscription = index;
        cursor_cut(local_of(world, index), subscription, &ranged->range);
        if (subscription->mode == MODE_LATEST) judge_latest(world, conn, local_of(world, index), &ranged->range);
        if (subscription->mode == MODE_EVERY && world_breaks(world, BREAK_RANGE_DROPPED)) {
            engine_sent(&world->engine, index, ranged->range.to);
            continue;
        }
        world->ranges_count++;
        send->ranges_count++;
        bytes += ranged->range.bytes;
    }
}

static void add_piece(struct world_send *send, const char *bytes, uint64_t size)
{
    send->pieces[send->pieces_count++] = (struct piece){ bytes, size };
    send->bytes += size;
}

static void stage(struct world *world, uint32_t index)
{
    struct sim_conn *conn = world_conn(world, index);
    struct world_send *send = &world->sends[world->sends_count];
    *send = (struct world_send){ .conn = index, .ranges_first = world->ranges_count };
    take_ranges(world, conn, send);
    send->out_bytes = conn->out.size - conn->out_sent;
    if (send->out_bytes > 0) add_piece(send, conn->out.bytes + conn->out_sent, send->out_bytes);
    for (uint32_t i = 0; i < send->ranges_count; i++) {
        struct world_range *ranged = &world->ranges[send->ranges_first + i];
        uint32_t pieces_max = world->plan.send_pieces_max - send->pieces_count - (send->ranges_count - 1 - i);
        send->pieces_count += range_pieces(local_of(world, ranged->subscription), &ranged->range, &send->pieces[send->pieces_count], pieces_max);
        send->bytes += ranged->range.bytes;
    }
    if (send->pieces_count > 0) world->sends_count++;
}

/* ---- submit: the sockets take what they have room for ------------------------------------------------------------------ */

/* What each promised of its bytes, before anybody could have changed a log. */
static void deliver(struct world *world, struct sim_conn *conn, const struct world_send *send, uint64_t taken)
{
    uint64_t in_pieces = 0;
    for (uint32_t i = 0; i < send->pieces_count; i++) {
        const struct piece *piece = &send->pieces[i];
        in_pieces += piece->size;
        uint64_t size = piece->size < taken ? piece->size : taken;
        reader_receives(conn->reader, span_of(piece->bytes, size));
        taken -= size;
    }
    if (in_pieces != send->bytes) fault_say(&world->fault, "pieces of %llu bytes for ranges of %llu", (number)in_pieces, (number)send->bytes);
}

static void submit(struct world *world)
{
    for (uint32_t i = 0; i < world->sends_count && !fault_found(&world->fault); i++) {
        struct world_send *send = &world->sends[i];
        struct sim_conn *conn = world_conn(world, send->conn);
        uint64_t taken = send->bytes < conn->room ? send->bytes : conn->room;
        send->result = conn->broken ? -1 : (int64_t)taken;
        if (conn->broken) continue;
        if (conn->room != UINT64_MAX) conn->room -= taken;
        deliver(world, conn, send, taken);
    }
}

/* ---- settle ------------------------------------------------------------------------------------------------------------ */

static void sent_up_to(struct world *world, struct sim_conn *conn, const struct world_range *ranged, struct mark mark)
{
    world_judge_pace(world, conn, ranged->subscription, ranged->range.from.seq, mark.seq);
    engine_sent(&world->engine, ranged->subscription, mark);
}

static void settle_short(struct world *world, struct sim_conn *conn, const struct world_send *send, uint64_t taken)
{
    struct engine *engine = &world->engine;
    const struct world_range *ranges = &world->ranges[send->ranges_first];
    uint64_t of_out = taken < send->out_bytes ? taken : send->out_bytes;
    taken -= of_out;
    conn->out_sent += of_out;
    if (conn->out_sent == conn->out.size) conn->out.size = conn->out_sent = 0;
    uint32_t whole = 0;
    for (; whole < send->ranges_count && taken >= ranges[whole].range.bytes; whole++) {
        taken -= ranges[whole].range.bytes;
        sent_up_to(world, conn, &ranges[whole], ranges[whole].range.to);
    }
    for (uint32_t i = send->ranges_count; i-- > whole + (taken > 0);) engine_unsent(engine, ranges[i].subscription);
    if (taken > 0) {
        const struct world_range *cut = &ranges[whole];
        const struct local_topic *local = local_of(world, cut->subscription);
        uint64_t into;
        struct mark mark = range_sent(local, &cut->range, taken, &into);
        if (into > 0) {
            world->seen.cuts++;
            const char *frame = chain_bytes(&local->chain, mark.at);
            if (!world_breaks(world, BREAK_CARRY_LOST)) text_add(&conn->out, span_of(frame + into, chain_frame_bytes(&local->chain, mark.at) - into));
            mark = chain_next(&local->chain, mark);
        }
        sent_up_to(world, conn, cut, mark);
    }
    conn->subscriber.blocked = conn->subscriber.behind = true;
    bitset_remove(&world->ready, send->conn);
}

static struct mark mark_after(struct world *world, const struct world_range *ranged)
{
    const struct local_topic *local = local_of(world, ranged->subscription);
    if (world_breaks(world, BREAK_RANGE_TWICE)) return ranged->range.from;
    bool every = subscription_of(world, ranged->subscription)->mode == MODE_EVERY;
    if (every && ranged->range.to.seq <= local->ends.last.seq && world_breaks(world, BREAK_CURSOR_TOO_FAR))
        return chain_next(&local->chain, chain_settle(&local->chain, ranged->range.to));
    return ranged->range.to;
}

static void settle_whole(struct world *world, struct sim_conn *conn, const struct world_send *send)
{
    const struct world_range *ranges = &world->ranges[send->ranges_first];
    conn->out_sent += send->out_bytes;
    for (uint32_t i = 0; i < send->ranges_count; i++) sent_up_to(world, conn, &ranges[i], mark_after(world, &ranges[i]));
    if (conn->subscriber.dirty.first == POOL_NONE) conn->subscriber.behind = false;
    if (conn->out_sent == conn->out.size) {
        text_free(&conn->out);
        conn->out_sent = 0;
    }
    if (conn->subscriber.dirty.first != POOL_NONE || conn->out.size > 0) bitset_add(&world->ready, send->conn);
}

static void settle_failed(struct world *world, const struct world_send *send)
{
    const struct world_range *ranges = &world->ranges[send->ranges_first];
    for (uint32_t i = send->ranges_count; i-- > 0;) engine_unsent(&world->engine, ranges[i].subscription);
    world_disconnect(world, send->conn);
}

/* What must not happen between stage and settle: the logs move on. */
static void disturb(struct world *world)
{
    char data[200];
    memset(data, '7', sizeof data);
    for (uint32_t topic = 0; topic < world->history.topics_count; topic++)
        for (int i = 0; i < 40; i++) world_publish(world, topic, span_of(data, sizeof data), false, true);
    engine_tell(&world->engine);
    engine_trim(&world->engine);
    engine_tell(&world->engine);
}

static void submit_and_settle(struct world *world)
{
    if (world->sends_count > 0 && world->ranges_count > 0 && world_breaks(world, BREAK_TRIM_WHILE_STAGED)) disturb(world);
    submit(world);
    for (uint32_t i = 0; i < world->sends_count && !fault_found(&world->fault); i++) {
        const struct world_send *send = &world->sends[i];
        struct sim_conn *conn = world_conn(world, send->conn);
        if (send->result < 0) settle_failed(world, send);
        else if ((uint64_t)send->result == send->bytes) settle_whole(world, conn, send);
        else settle_short(world, conn, send, (uint64_t)send->result);
    }
    world->sends_count = world->ranges_count = 0;
}

/* ---- the flush and the turn -------------------------------------------------------------------------------------------- */

static void pass(struct world *world, uint32_t from, uint32_t to)
{
    for (uint32_t index = from; (index = bitset_next(&world->ready, index)) < to; index++) {
        bitset_remove(&world->ready, index);
        if (world_conn(world, index)->subscriber.blocked) fault_say(&world->fault, "a subscriber is ready although it is blocked");
        stage(world, index);
        if (fault_found(&world->fault)) return;
        if (world->sends_count < world->plan.sends_max && world->ranges_count + world->plan.send_pieces_max <= world->plan.ranges_max) continue;
        submit_and_settle(world);
        if (fault_found(&world->fault)) return;
        if (world->between) world->between(world, world->between_context);
    }
    submit_and_settle(world);
}

static bool flush(struct world *world)
{
    for (uint32_t i = 0; i < world->plan.passes_max && world->ready.members > 0 && !fault_found(&world->fault); i++) {
        uint32_t start = world_random(world, world->conns.touched);
        pass(world, start, world->conns.items_max);
        if (start > 0 && !fault_found(&world->fault)) pass(world, 0, start);
    }
    return world->ready.members > 0;
}

/* Those who wait have all that there is: with no more than a turn's news they are never outrun. */
static void note_caught_up(struct world *world)
{
    for (uint32_t i = 0; i < world->history.topics_count; i++) world->newest_then[i] = history_life(&world->history, i)->newest;
    const struct locals *locals = &world->engine.locals;
    for (uint32_t i = 0; (i = bitset_next(&world->live, i)) != BITSET_NONE; i++) {
        struct sim_conn *conn = world_conn(world, i);
        for (uint32_t at = conn->subscriber.siblings_first; at != POOL_NONE; at = subscription_of(world, at)->sibling_next) {
            const struct subscription *subscription = subscription_of(world, at);
            conn->caught_up[past_of(world, local_topic_at(locals, subscription->local))] = subscription->list == IN_WAITING && !conn->subscriber.behind;
        }
    }
}

static void spoil_a_byte(struct world *world)
{
    uint32_t index = world_random(world, world->conns.touched);
    if (!bitset_has(&world->live, index) || world_conn(world, index)->subscriber.dirty.first == POOL_NONE) return;
    const struct local_topic *local = local_of(world, world_conn(world, index)->subscriber.dirty.first);
    const struct position head = local->ends.head;
    if (local->ends.last.seq > 0) ((char *)(uintptr_t)chain_bytes(&local->chain, head))[-2] ^= 1;
}

static void cut_a_window(struct world *world)
{
    static const struct window none = { 0 };
    struct topic *topic = (struct topic *)(uintptr_t)world_topic(world, world_random(world, world->history.topics_count));
    if (topic) log_trim(&topic->log, &none, world->clock.wall_us);
}

void world_turn(struct world *world)
{
    world->seen.turns++;
    if (world->breakage == BREAK_TRIM_FIRST) {
        engine_trim(&world->engine);
        world_note_forgotten(world);
        history_trim(&world->history, world->clock.wall_us);
    }
    world_break_rests(world);
    engine_tick(&world->engine);
    engine_tell(&world->engine);
    if (world_breaks(world, BREAK_BYTE_FOREIGN)) spoil_a_byte(world);
    if (world_breaks(world, BREAK_WAKE_LOST) && world->ready.members > 0) bitset_remove(&world->ready, bitset_next(&world->ready, 0));
    bool busy = flush(world);
    if (fault_found(&world->fault)) return;
    note_caught_up(world);
    world_check_rests(world);
    engine_trim(&world->engine);
    world_note_forgotten(world);
    if (world_breaks(world, BREAK_WINDOW_SHORT)) cut_a_window(world);
    history_trim(&world->history, world->clock.wall_us);
    world->pressed = false;
    world_check_windows(world);
    if (world_chance(world, 8) && world->breakage == BREAK_NOTHING) world_check(world);
    for (uint32_t i = 0; !busy && (i = bitset_next(&world->live, i)) != BITSET_NONE; i++) {
        const struct sim_conn *conn = world_conn(world, i);
        if (!conn->subscriber.blocked && (conn->subscriber.dirty.first != POOL_NONE || conn->out.size > conn->out_sent))
            fault_say(&world->fault, "a subscriber has news and room, and nobody sends it anything");
    }
}
