#include "gateway/fanout_parts.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/check.h"
#include "core/io/deflate.h"
#include "gateway/deflated_lines.h"
#include "gateway/messages.h"
#include "gateway/stream.h"

struct fanout *fanout_make(bool tls)
{
    struct fanout *fanout = calloc(1, sizeof *fanout);
    if (!fanout || !tls) return fanout;
    fanout->sealed = malloc(SEALED_BYTES + TLS_RECORD_BYTES_MAX);
    fanout->gathered = fanout->sealed ? fanout->sealed + SEALED_BYTES : NULL;
    if (fanout->sealed) return fanout;
    free(fanout);
    return NULL;
}

void fanout_free(struct fanout *fanout)
{
    if (fanout) free(fanout->sealed);
    free(fanout);
}

static struct local_topic *local_of(const struct shard *shard, uint32_t subscription)
{
    const struct locals *locals = &shard->engine.locals;
    return local_topic_at(locals, subscription_at(&locals->subscriptions, subscription)->local);
}

static void tell_news(struct shard *shard, struct conn *conn, const struct local_topic *local, const struct subscription *subscription, const struct cursor_news *news)
{
    struct span by = subscription->by == BY_NAME ? SPAN_NONE : pattern_text(&shard->engine.patterns, subscription->by);
    if (news->new_life) message_topic(shard, conn, local_topic_name(local), span_of(local->epoch, EPOCH_BYTES), 0, by, -1);
    if (news->gap_to) message_gap(shard, conn, local_topic_name(local), news->gap_from, news->gap_to);
}

/* Takes a connection's dirty subscriptions as far as one send may carry, and tells their news. */
static uint32_t take_ranges(struct shard *shard, struct conn *conn, uint64_t bytes_max)
{
    struct fanout *fanout = shard->fanout;
    struct engine *engine = &shard->engine;
    uint32_t first = fanout->ranges_count;
    uint64_t bytes = 0;
    if (format_is_lines(conn->subscriber.format)) bytes_max = RANGE_LINES_BYTES_MAX;
    /* Each range may bring a gap to be told. Where enough is queued that goes out alone first: what a peer is told can't pile up. */
    while (conn_out_waiting(conn) <= CONN_OUT_MAX && bytes < bytes_max && fanout->ranges_count < RANGES_MAX && fanout->ranges_count - first < BATCH_SEND_PIECES_MAX / 2) {
        uint32_t index = engine_take_dirty(engine, &conn->subscriber);
        if (index == POOL_NONE) break;
        struct subscription *subscription = subscription_at(&engine->locals.subscriptions, index);
        struct local_topic *local = local_topic_at(&engine->locals, subscription->local);
        struct cursor_news news;
        bool pending = cursor_advance(local, subscription, conn->subscriber.behind, &shard->counters, &news);
        tell_news(shard, conn, local, subscription, &news);
        if (!pending) {
            engine_sent(engine, index, (struct mark){ subscription->at, subscription->next_seq });
            continue;
        }
        struct staged_range *staged = &fanout->ranges[fanout->ranges_count++];
        staged->subscription = index;
        cursor_cut(local, subscription, &staged->range);
        if (subscription->fresh) staged->range.oldest_us = 0; /* a snapshot's age is no delay */
        if (shard->tracing) trace_staged(shard->tracing->trace, local_topic_name(local), staged->range.from.seq, staged->range.to.seq);
        bytes += staged->range.bytes;
    }
    return fanout->ranges_count - first;
}

/* The same compressed, where that was negotiated and makes it smaller; false: it is for add_lines(). */
static bool add_deflated_lines(struct shard *shard, const struct conn *conn, struct staged_send *staged)
{
    struct send_batch *batch = shard->batch;
    const struct staged_range *ranges = &shard->fanout->ranges[staged->ranges_first];
    struct span payloads[BATCH_SEND_PIECES_MAX / 2];
    uint64_t before = 0, after = 0;
    if (!conn->deflates || staged->ranges_count == 0) return false;
    for (uint32_t i = 0; i < staged->ranges_count; i++) before += ranges[i].range.bytes;
    if (before <= shard->settings->compression_threshold) return false;
    for (uint32_t i = 0; i < staged->ranges_count; i++) {
        payloads[i] = deflated_lines_of(shard, local_of(shard, ranges[i].subscription), &ranges[i].range);
        if (!payloads[i].bytes) return false;
        if (i + 1 < staged->ranges_count) payloads[i].size += DEFLATE_JOINT_BYTES; /* it stands behind */
        after += payloads[i].size;
    }
    if (after >= before - 1) return false;
    uint32_t header_bytes = ws_server_header_write(staged->header, WS_TEXT, after);
    staged->header[0] |= WS_RSV1;
    send_batch_add(batch, staged->header, header_bytes);
    for (uint32_t i = 0; i < staged->ranges_count; i++) send_batch_add(batch, payloads[i].bytes, payloads[i].size);
    return true;
}

/* Ranges of lines make one message: its header, and all of them but the last line's end. The header and one piece for each range
 * always fit; a range is cut so that they do. */
static void add_lines(struct shard *shard, struct staged_send *staged)
{
    struct send_batch *batch = shard->batch;
    struct staged_range *ranges = &shard->fanout->ranges[staged->ranges_first];
    struct piece pieces[BATCH_SEND_PIECES_MAX];
    uint32_t count = 0, room = send_batch_pieces_left(batch) - 1;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < staged->ranges_count; i++) {
        count += range_pieces(local_of(shard, ranges[i].subscription), &ranges[i].range, pieces + count, room - count - (staged->ranges_count - 1 - i));
        bytes += ranges[i].range.bytes;
    }
    if (count == 0) return;
    pieces[count - 1].size--;
    send_batch_add(batch, staged->header, ws_server_header_write(staged->header, WS_TEXT, bytes - 1));
    for (uint32_t i = 0; i < count; i++) send_batch_add(batch, pieces[i].bytes, pieces[i].size);
}

static void add_ranges(struct shard *shard, const struct staged_send *staged)
{
    struct send_batch *batch = shard->batch;
    for (uint32_t i = 0; i < staged->ranges_count; i++) {
        struct staged_range *ranged = &shard->fanout->ranges[staged->ranges_first + i];
        struct piece pieces[BATCH_SEND_PIECES_MAX];
        /* One piece at least is left for each range still to come. */
        uint32_t pieces_max = send_batch_pieces_left(batch) - (staged->ranges_count - 1 - i);
        uint32_t count = range_pieces(local_of(shard, ranged->subscription), &ranged->range, pieces, pieces_max);
        for (uint32_t p = 0; p < count; p++) send_batch_add(batch, pieces[p].bytes, pieces[p].size);
    }
}

static inline void gather(struct shard *shard, struct conn *conn, struct staged_send *staged, uint64_t bytes_max)
{
    struct send_batch *batch = shard->batch;
    staged->ranges_first = shard->fanout->ranges_count;
    staged->ranges_count = take_ranges(shard, conn, bytes_max);
    staged->out_bytes = conn_out_waiting(conn);

    send_batch_begin(batch, conn->file, conn_index(shard, conn));
    if (staged->out_bytes > 0) send_batch_add(batch, conn->out.bytes + conn->out_sent, staged->out_bytes);
    if (!format_is_lines(conn->subscriber.format)) add_ranges(shard, staged);
    else if (!add_deflated_lines(shard, conn, staged)) add_lines(shard, staged);
    if (staged->ranges_count > 0) {
        conn->message_ms = shard_now_ms(shard);
        if (conn->kind == CONN_KIND_STREAM) stream_moved(shard, conn);
    }
}

void fanout_gather(struct shard *shard, struct conn *conn, struct staged_send *staged, uint64_t bytes_max)
{
    gather(shard, conn, staged, bytes_max);
}

static void stage(struct shard *shard, struct conn *conn)
{
    struct send_batch *batch = shard->batch;
    if (conn->tls) {
        fanout_tls_stage(shard, conn);
        return;
    }
    gather(shard, conn, &shard->fanout->sends[batch->count], SEND_BYTES_MAX);
    if (send_batch_end(batch) == 0) conn->blocked_ms = 0; /* what it had no room for is not wanted any more */
}

/* The rest of a frame that was cut goes out before anything else, whatever becomes of its log meanwhile. */
static void carry(struct conn *conn, const struct local_topic *local, struct mark frame, uint64_t into)
{
    text_add(&conn->out, span_of(chain_bytes(&local->chain, frame.at) + into, chain_frame_bytes(&local->chain, frame.at) - into));
}

/* A message of lines that was begun is finished: its length was told. */
static void carry_lines(struct shard *shard, struct conn *conn, const struct staged_send *staged, const struct send_entry *entry, uint64_t taken)
{
    const struct staged_range *ranges = &shard->fanout->ranges[staged->ranges_first];
    uint64_t skip = taken;
    for (uint32_t i = 0; i < entry->pieces_count; i++) {
        const struct iovec *piece = &shard->batch->pieces[entry->pieces_first + i];
        if (skip < piece->iov_len) text_add(&conn->out, span_of((const char *)piece->iov_base + skip, piece->iov_len - skip));
        skip -= skip < piece->iov_len ? skip : piece->iov_len;
    }
    for (uint32_t i = 0; i < staged->ranges_count; i++) engine_sent(&shard->engine, ranges[i].subscription, ranges[i].range.to);
}

/* The socket took `taken` bytes of ranges, less than all: cursors move over whole frames, the rest stays dirty. */
static void settle_ranges(struct shard *shard, struct conn *conn, const struct staged_send *staged, uint64_t taken)
{
    struct engine *engine = &shard->engine;
    const struct staged_range *ranges = &shard->fanout->ranges[staged->ranges_first];
    uint32_t whole = 0;
    for (; whole < staged->ranges_count && taken >= ranges[whole].range.bytes; whole++) {
        taken -= ranges[whole].range.bytes;
        engine_sent(engine, ranges[whole].subscription, ranges[whole].range.to);
    }
    /* Those that were not begun are dirty as before, the first and in their order; the one that was cut goes behind them. */
    for (uint32_t i = staged->ranges_count; i-- > whole + (taken > 0);) engine_unsent(engine, ranges[i].subscription);
    if (taken > 0) {
        const struct staged_range *cut = &ranges[whole];
        const struct local_topic *local = local_of(shard, cut->subscription);
        uint64_t into;
        struct mark mark = range_sent(local, &cut->range, taken, &into);
        if (into > 0) {
            carry(conn, local, mark, into);
            mark = chain_next(&local->chain, mark);
        }
        engine_sent(engine, cut->subscription, mark);
    }
}

void fanout_move(struct shard *shard, struct conn *conn, const struct staged_send *staged, const struct send_entry *entry, uint64_t taken)
{
    uint64_t of_out = taken < staged->out_bytes ? taken : staged->out_bytes;
    conn_out_taken(conn, of_out);
    if (taken > of_out && format_is_lines(conn->subscriber.format)) carry_lines(shard, conn, staged, entry, taken);
    else settle_ranges(shard, conn, staged, taken - of_out);
}

static void settle_short(struct shard *shard, struct conn *conn, const struct staged_send *staged, const struct send_entry *entry)
{
    uint64_t taken = entry->result > 0 ? (uint64_t)entry->result : 0;
    bool progress = taken > 0;
    fanout_move(shard, conn, staged, entry, taken);
    counter_add(&shard->counters, COUNTER_SHORT_SENDS, 1);
    conn_on_full(shard, conn, progress);
}

/* The delay of a range is that of its oldest update, until the kernel has it. */
static void observe(struct counters *counters, const struct range *range, uint64_t now_us)
{
    if (range->oldest_us == 0) return;
    uint64_t delay_us = now_us > range->oldest_us ? now_us - range->oldest_us : 0;
    counter_observe(counters, COUNTER_DELAY_0, COUNTER_DELAY_INF, 16, delay_us);
}

void fanout_move_all(struct shard *shard, struct conn *conn, const struct staged_send *staged)
{
    const struct staged_range *ranges = &shard->fanout->ranges[staged->ranges_first];
    conn_out_taken(conn, staged->out_bytes);
    for (uint32_t i = 0; i < staged->ranges_count; i++) engine_sent(&shard->engine, ranges[i].subscription, ranges[i].range.to);
}

void fanout_observe(struct shard *shard, const struct staged_send *staged, uint64_t now_us)
{
    const struct staged_range *ranges = &shard->fanout->ranges[staged->ranges_first];
    uint64_t frames = 0;
    for (uint32_t i = 0; i < staged->ranges_count; i++) {
        observe(&shard->counters, &ranges[i].range, now_us);
        frames += ranges[i].range.to.seq - ranges[i].range.from.seq;
    }
    if (frames > 0) counter_observe(&shard->counters, COUNTER_SEND_FRAMES_0, COUNTER_SEND_FRAMES_INF, 1, frames);
}

static void settle_whole(struct shard *shard, struct conn *conn, const struct staged_send *staged, uint64_t now_us)
{
    const struct staged_range *ranges = &shard->fanout->ranges[staged->ranges_first];
    uint64_t frames = 0;
    conn_out_taken(conn, staged->out_bytes);
    for (uint32_t i = 0; i < staged->ranges_count; i++) {
        observe(&shard->counters, &ranges[i].range, now_us);
        frames += ranges[i].range.to.seq - ranges[i].range.from.seq;
        engine_sent(&shard->engine, ranges[i].subscription, ranges[i].range.to);
    }
    if (frames > 0) counter_observe(&shard->counters, COUNTER_SEND_FRAMES_0, COUNTER_SEND_FRAMES_INF, 1, frames);
    if (conn->subscriber.dirty.first == POOL_NONE) conn->subscriber.behind = false; /* it has caught up */
    conn_on_sent(shard, conn);
    if (conn->state != CONN_JOINING && (conn->subscriber.dirty.first != POOL_NONE || conn_out_waiting(conn) > 0))
        bitset_add(&shard->ready, conn_index(shard, conn));
}

static void settle_failed(struct shard *shard, struct conn *conn, const struct staged_send *staged)
{
    const struct staged_range *ranges = &shard->fanout->ranges[staged->ranges_first];
    for (uint32_t i = staged->ranges_count; i-- > 0;) engine_unsent(&shard->engine, ranges[i].subscription);
    conn_join(shard, conn, WHY_SEND_FAILED);
}

static void submit_and_settle(struct shard *shard)
{
    struct send_batch *batch = shard->batch;
    if (batch->count == 0) return;
    if (shard->tracing) trace_submitted(shard->tracing->trace);
    send_batch_submit(batch);
    if (shard->tracing) trace_settled(shard->tracing->trace);
    uint64_t bytes_sent = 0, now_us = clock_wall_us();
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct send_entry *entry = &batch->entries[i];
        const struct staged_send *staged = &shard->fanout->sends[i];
        struct conn *conn = conn_at(shard, entry->owner);
        if (entry->result > 0) bytes_sent += (uint64_t)entry->result;
        bool alive = entry->result >= 0 || entry->result == -EAGAIN || entry->result == -EINTR || entry->result == -ENOBUFS || entry->result == -ENOMEM;
        if (conn->tls && alive) fanout_tls_settle(shard, conn, staged, entry, now_us);
        else if (conn->tls) conn_join(shard, conn, WHY_SEND_FAILED); /* its cursors have moved already */
        else if (entry->result == (int64_t)entry->bytes) settle_whole(shard, conn, staged, now_us);
        else if (alive) settle_short(shard, conn, staged, entry);
        else settle_failed(shard, conn, staged);
    }
    counter_add(&shard->counters, COUNTER_BYTES_SENT, bytes_sent);
    counter_add(&shard->counters, COUNTER_RANGES, shard->fanout->ranges_count);
    send_batch_reset(batch);
    shard->fanout->ranges_count = shard->fanout->sealed_used = 0;
    deflated_lines_forget(shard->compression.lines, DEFLATED_LINES_BYTES_MAX);
}

/* A long flush looks after the other shards between its batches, at most every millisecond. */
static void look_after_links(struct shard *shard)
{
    enum { LOOK_US = 1000 };
    if (shard->settings->shards == 1) return;
    uint64_t now_us = clock_mono_us();
    if (now_us - shard->fanout->looked_us < LOOK_US) return;
    shard->fanout->looked_us = now_us;
    engine_receive(&shard->engine);
    engine_tell(&shard->engine);
}

/* One pass over the ready connections with numbers in [from, to), in memory order. */
static void pass(struct shard *shard, uint32_t from, uint32_t to)
{
    for (uint32_t index = from; (index = bitset_next(&shard->ready, index)) < to; index++) {
        bitset_remove(&shard->ready, index);
        struct conn *conn = conn_at(shard, index);
        CHECK(!conn->subscriber.blocked && conn->state != CONN_JOINING && conn->state != CONN_FREE);
        stage(shard, conn);
        if (send_batch_full(shard->batch) || shard->fanout->ranges_count + BATCH_SEND_PIECES_MAX > RANGES_MAX || shard->fanout->sealed_used > SEALED_FULL || deflated_lines_kept(shard->compression.lines) > DEFLATED_LINES_BYTES_MAX) {
            submit_and_settle(shard);
            look_after_links(shard);
        }
    }
    submit_and_settle(shard);
}

void fanout_from_first(struct fanout *fanout)
{
    fanout->start = 0;
}

void fanout_start(struct shard *shard)
{
    if (shard->fanout->sealed) tls_session_arena(shard->fanout->sealed, SEALED_BYTES);
}

bool fanout_flush(struct shard *shard)
{
    struct fanout *fanout = shard->fanout;
    for (uint32_t i = 0; i < PASSES_MAX && shard->ready.members > 0; i++) {
        uint32_t start = fanout->start;
        if (start >= shard->conns.touched) start = 0;
        fanout->start = start + 1 + shard->conns.touched / 16;
        pass(shard, start, shard->conns.items_max);
        if (start > 0) pass(shard, 0, start);
    }
    deflated_lines_forget(shard->compression.lines, DEFLATED_LINES_AT_REST);
    if (shard->tracing && shard->ready.members == 0) trace_close(shard->tracing->trace);
    return shard->ready.members > 0;
}
