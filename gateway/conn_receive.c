/* What a connection receives: armed one shot at a time, consumed in turn, paused while its replies wait. See conn.h. */
#include <errno.h>
#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/reserve.h"
#include "gateway/conn_parts.h"
#include "gateway/conn_tls.h"
#include "gateway/http_exchange.h"
#include "gateway/memory.h"
#include "gateway/pending.h"
#include "gateway/ws_reader.h"

void conn_list_push(struct shard *shard, struct conn_list *list, struct conn *conn)
{
    CHECK(!conn->listed);
    uint32_t index = conn_index(shard, conn);
    conn->listed = true;
    conn->list_next = POOL_NONE;
    if (list->first == POOL_NONE) list->first = index;
    else conn_at(shard, list->last)->list_next = index;
    list->last = index;
}

struct conn *conn_list_pop(struct shard *shard, struct conn_list *list)
{
    if (list->first == POOL_NONE) return NULL;
    struct conn *conn = conn_at(shard, list->first);
    list->first = conn->list_next;
    conn->listed = false;
    return conn;
}

void conn_arm_recv(struct shard *shard, struct conn *conn)
{
    if (conn_op_held(conn, OP_RECV)) return;
    ring_recv(&shard->ring, conn->file, RECV_BUFFERS_GROUP, conn_op_begin(shard, conn, OP_RECV));
}

void conn_give_buffer(struct shard *shard, struct conn *conn)
{
    if (conn->buffer != NO_BUFFER) recv_buffers_give(&shard->recv_buffers, conn->buffer);
    conn->buffer = NO_BUFFER;
    free(conn->held);
    conn->held = NULL;
    conn->input_at = conn->input_size = 0;
}

void conn_unlist(struct shard *shard, struct conn_list *list, struct conn *conn)
{
    uint32_t index = conn_index(shard, conn), before = POOL_NONE;
    for (uint32_t at = list->first; at != POOL_NONE; before = at, at = conn_at(shard, at)->list_next) {
        if (at != index) continue;
        if (before == POOL_NONE) list->first = conn->list_next;
        else conn_at(shard, before)->list_next = conn->list_next;
        if (list->last == index) list->last = before;
        conn->listed = false;
        return;
    }
}

/* Receiving. */

void conn_on_recv(struct shard *shard, struct conn *conn, const struct completion *completion)
{
    int32_t result = completion->result;
    if (completion_has_buffer(completion)) recv_buffers_taken(&shard->recv_buffers);
    conn_on_over(shard, conn, OP_RECV);
    if (conn->state == CONN_JOINING || result <= 0) {
        if (completion_has_buffer(completion)) recv_buffers_give(&shard->recv_buffers, completion_buffer(completion));
        if (conn->state == CONN_JOINING) return;
        if (result == -ENOBUFS || result == -ENOMEM) {
            counter_add(&shard->counters, COUNTER_RECEIVE_STARVED, 1);
            log_event(&shard->logger, EVENT_RECEIVE_STARVED);
            conn_list_push(shard, &shard->starved, conn);
        } else if (result == -EINTR || result == -EAGAIN) conn_arm_recv(shard, conn);
        else if (result == 0 && conn_unsent(conn) > 0 && (conn->state == CONN_HTTP || conn->state == CONN_LINGER)) {
            conn->end_at_rest = true; /* it has asked all, and still reads: its answers go out first */
            conn_linger(shard, conn);
        } else if (result == 0 && conn_end_waits(conn)) {
            conn->end_at_rest = true;
            conn_end_sending(shard, conn);
        } else {
            if (result == 0 && conn->tls) conn_tls_cut(shard, conn);
            conn_join(shard, conn, result == 0 ? WHY_PEER_LEFT : WHY_RECV_FAILED);
        }
        return;
    }
    counter_add(&shard->counters, COUNTER_BYTES_RECEIVED, (uint64_t)result);
    conn->received_ms = shard_now_ms(shard);
    conn->ping_sent = false;
    if (conn->state == CONN_HANDSHAKE) {
        conn_tls_came(shard, conn, span_of(recv_buffer(&shard->recv_buffers, completion_buffer(completion)), (size_t)result));
        recv_buffers_give(&shard->recv_buffers, completion_buffer(completion));
        return;
    }
    conn->buffer = completion_buffer(completion);
    if (shard->tracing) shard->tracing->came_ns[conn->buffer] = clock_mono_ns();
    if (conn->tls) {
        conn->tls->in_at = 0;
        conn->tls->in_size = (uint32_t)result;
    } else {
        conn->input_at = 0;
        conn->input_size = (uint32_t)result;
    }
    conn_list_push(shard, &shard->input, conn);
}

void conns_rearm(struct shard *shard)
{
    uint32_t free = RECV_BUFFERS_COUNT - shard->recv_buffers.out; /* more would only starve again */
    for (struct conn *conn; free > 0 && (conn = conn_list_pop(shard, &shard->starved)); free--) conn_arm_recv(shard, conn);
}

static char *input_bytes(const struct shard *shard, const struct conn *conn)
{
    return conn->held ? conn->held : conn->tls ? shard->plain : recv_buffer(&shard->recv_buffers, conn->buffer);
}

/* Its replies wait for room: what it sent meanwhile waits too, in memory of its own and not in a receive buffer, of which
 * there are few. At most one buffer's worth, since nothing more is received. */
static void pause_receiving(struct shard *shard, struct conn *conn)
{
    conn->paused = true;
    counter_add(&shard->counters, COUNTER_RECEIVE_PAUSED, 1);
    if (conn->tls) conn_tls_put_away(shard, conn, true);
    if (conn->tls || conn->buffer == NO_BUFFER) return;
    uint32_t left = conn->input_size - conn->input_at;
    char *held = reserve_resize(NULL, left);
    memcpy(held, recv_buffer(&shard->recv_buffers, conn->buffer) + conn->input_at, left);
    conn_give_buffer(shard, conn);
    conn->held = held;
    conn->input_size = left;
}

/* Hands input to whoever reads it now: one request, frame or piece of a body at a time. Returns the bytes consumed. */
static size_t feed(struct shard *shard, struct conn *conn, char *bytes, size_t size)
{
    switch ((enum conn_state)conn->state) {
    case CONN_HTTP: return http_feed(shard, conn, bytes, size);
    case CONN_OPEN:
    case CONN_CLOSING: return conn->kind == CONN_KIND_STREAM ? size : ws_feed(shard, conn, bytes, size);
    default: return size; /* LINGER: thrown away */
    }
}

bool conn_must_wait(const struct conn *conn)
{
    if (conn->state != CONN_HTTP && conn->state != CONN_OPEN) return false;
    if (conn->tls && conn_tls_must_wait(conn)) return true;
    return conn_out_waiting(conn) > CONN_OUT_MAX || conn->stalled || conn->awaits > 0 || (conn->settles && conn->asks > 0) || conn->asks >= ASKS_OF_CONN_MAX || http_awaits(conn);
}

/* What little a client sent may have been much before it was compressed: after so many bytes it is another's turn. */
enum { INFLATED_BYTES_MAX = 64 * 1024 };

/* What a turn takes in is bounded in bytes, and cheap bytes are not the whole price: a ping of 16 bytes costs what 100 bytes of updates do, and
 * a byte alone a receive, 3 us. So each frame, request or piece weighs STEP at least and each visit VISIT; and one visit VISIT_MOST at most, so that
 * who sends the most does not stand before the others. */
enum { STEP = 128, VISIT = 512, VISIT_MOST = 16 * 1024 };

/* What a connection that ends still sends is thrown away, or looked through for its close frame, a buffer for each millisecond at most (16 MB/s;
 * a late turn catches up). Read as fast as it can be sent it showed in the others' delay: nobody is closed as often as who floods. But many
 * clients look for no answer before all is sent, and are told of a broken pipe instead where we end before: so who goes on sending is heard out. */
static void arm_discard(struct shard *shard, struct conn *conn, bool was_full)
{
    enum { CATCH_UP_MS = 16 };
    uint64_t now_ms = shard_now_ms(shard), end_ms = now_ms + shard->settings->deadline_close_ms;
    if (conn->state == CONN_LINGER && conn->deadline_ms < conn->linger_until_ms) conn->deadline_ms = end_ms < conn->linger_until_ms ? end_ms : conn->linger_until_ms;
    if (was_full) conn->discarded_ms = (conn->discarded_ms + CATCH_UP_MS > now_ms ? conn->discarded_ms : now_ms - CATCH_UP_MS) + 1;
    if (was_full && conn->discarded_ms > now_ms) conn_arm_timer(shard, conn, conn->discarded_ms); /* conn_on_timer() arms */
    else conn_arm_recv(shard, conn);
}

/* Returns its weight in bytes. */
static size_t consume(struct shard *shard, struct conn *conn)
{
    size_t weight = 0;
    shard->compression.inflated_bytes = 0;
    shard->toil = 0;
    if (shard->tracing) shard->tracing->received_ns = conn->buffer != NO_BUFFER ? shard->tracing->came_ns[conn->buffer] : 0;
    bool was_full = (conn->tls ? conn->tls->in_size : conn->input_size) >= RECV_BUFFER_BYTES / 2;
    while (conn->state != CONN_JOINING && !conn_must_wait(conn) && weight < VISIT_MOST && shard->toil < VISIT_MOST && shard->compression.inflated_bytes < INFLATED_BYTES_MAX) {
        size_t eaten = 0;
        if (ws_lines_wait(conn)) eaten = ws_feed_lines(shard, conn);
        else if (http_rest_waits(conn)) http_go_on(shard, conn);
        else if (conn->input_at < conn->input_size) {
            eaten = feed(shard, conn, input_bytes(shard, conn) + conn->input_at, conn->input_size - conn->input_at);
            conn->input_at += (uint32_t)eaten;
        } else if (!conn->tls || !conn_tls_read(shard, conn)) break;
        weight += eaten > STEP ? eaten : STEP;
    }
    if (conn->state == CONN_JOINING) return VISIT;
    weight += shard->compression.inflated_bytes + shard->toil;
    bool more = conn->input_at < conn->input_size || conn_tls_waits(conn);
    if (conn->tls) conn_tls_put_away(shard, conn, false);
    else if (!more) conn_give_buffer(shard, conn);
    if (conn_must_wait(conn)) pause_receiving(shard, conn); /* not re-arming is pausing */
    else if (more || ws_lines_wait(conn) || http_rest_waits(conn)) conn_list_push(shard, &shard->input, conn); /* the others first */
    else if (conn->state == CONN_LINGER || conn->state == CONN_CLOSING) arm_discard(shard, conn, was_full);
    else conn_arm_recv(shard, conn);
    memory_weigh(shard, conn);
    return weight > VISIT ? weight : VISIT;
}

size_t conns_consume(struct shard *shard, size_t weight_max)
{
    size_t weight = 0;
    while (weight < weight_max) {
        struct conn *conn = conn_list_pop(shard, &shard->input);
        if (!conn) break;
        weight += consume(shard, conn);
    }
    return weight;
}

void conn_resume_receiving(struct shard *shard, struct conn *conn)
{
    conn->paused = false;
    if (conn->input_at < conn->input_size || conn_tls_waits(conn) || ws_lines_wait(conn) || http_rest_waits(conn)) conn_list_push(shard, &shard->input, conn);
    else conn_arm_recv(shard, conn);
}
