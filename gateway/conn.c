#include "gateway/conn.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "core/base/check.h"
#include "core/proto/utf8.h"
#include "gateway/http_exchange.h"
#include "gateway/messages.h"
#include "gateway/ws_reader.h"

#define BIT(n) (1u << (n))

static const uint8_t may_follow[] = {
    [CONN_FREE] = BIT(CONN_HTTP),
    [CONN_HTTP] = BIT(CONN_OPEN) | BIT(CONN_LINGER) | BIT(CONN_JOINING),
    [CONN_OPEN] = BIT(CONN_CLOSING) | BIT(CONN_JOINING),
    [CONN_CLOSING] = BIT(CONN_LINGER) | BIT(CONN_JOINING),
    [CONN_LINGER] = BIT(CONN_JOINING),
    [CONN_JOINING] = BIT(CONN_FREE),
};

void conn_set_state(struct conn *conn, enum conn_state next)
{
    CHECK(may_follow[conn->state] & BIT(next));
    conn->state = (uint8_t)next;
}

/* Operations in the kernel's hands. */
static bool op_held(const struct conn *conn, enum operation operation)
{
    return conn->ops & BIT(operation);
}

static uint64_t token_of(const struct shard *shard, const struct conn *conn, enum operation operation)
{
    return token_make(operation, conn->generation, conn_index(shard, conn));
}

static uint64_t op_begin(struct shard *shard, struct conn *conn, enum operation operation)
{
    CHECK(!op_held(conn, operation));
    conn->ops |= BIT(operation);
    return token_of(shard, conn, operation);
}

static void op_end(struct conn *conn, enum operation operation)
{
    CHECK(op_held(conn, operation));
    conn->ops &= ~BIT(operation);
}

static void list_push(struct shard *shard, struct conn_list *list, struct conn *conn)
{
    CHECK(!conn->listed);
    uint32_t index = conn_index(shard, conn);
    conn->listed = true;
    conn->list_next = POOL_NONE;
    if (list->first == POOL_NONE) list->first = index;
    else conn_at(shard, list->last)->list_next = index;
    list->last = index;
}

static struct conn *list_pop(struct shard *shard, struct conn_list *list)
{
    if (list->first == POOL_NONE) return NULL;
    struct conn *conn = conn_at(shard, list->first);
    list->first = conn->list_next;
    conn->listed = false;
    return conn;
}

static void arm_recv(struct shard *shard, struct conn *conn)
{
    if (op_held(conn, OP_RECV)) return;
    ring_recv(&shard->ring, conn->file, RECV_BUFFERS_GROUP, op_begin(shard, conn, OP_RECV));
}

static void arm_timer(struct shard *shard, struct conn *conn, uint64_t due_ms)
{
    bool again_first = conn->again_ms && conn->again_ms < due_ms;
    wheel_arm(&shard->wheel, &conn->timer, again_first ? conn->again_ms : due_ms);
}

void conn_deadline(struct shard *shard, struct conn *conn, uint64_t after_ms)
{
    conn->deadline_ms = shard_now_ms(shard) + after_ms;
    arm_timer(shard, conn, conn->deadline_ms);
}

void conn_accepted(struct shard *shard, uint32_t file)
{
    uint32_t index = pool_take(&shard->conns);
    if (index == POOL_NONE) { /* a slot of the table is free before we are told that its last connection is gone */
        counter_add(&shard->counters, COUNTER_CONNECTIONS_REFUSED, 1);
        ring_close(&shard->ring, file, token_make(OP_NONE, 0, 0));
        return;
    }
    struct conn *conn = conn_at(shard, index);
    *conn = (struct conn){ .file = file, .generation = ++shard->generation & TOKEN_GENERATION_MASK, .buffer = NO_BUFFER, .pong_at = NO_PONG };
    subscriber_init(&conn->subscriber);
    timer_init(&conn->timer);
    conn->heartbeat_ms = (uint32_t)shard->settings->heartbeat_ms;
    conn->received_ms = conn->message_ms = shard_now_ms(shard);
    bitset_add(&shard->live, index);
    conn_set_state(conn, CONN_HTTP);
    conn_deadline(shard, conn, shard->settings->deadline_head_ms);
    counter_add(&shard->counters, COUNTER_ACCEPTED, 1);
    counter_add(&shard->counters, COUNTER_CONNECTIONS_OPEN, 1);
    if (shard->conns.used > shard->connections_max) {
        counter_add(&shard->counters, COUNTER_CONNECTIONS_REFUSED, 1);
        http_refuse_full(shard, conn);
    }
    arm_recv(shard, conn);
}

/* Joining. */

static void retire(struct shard *shard, struct conn *conn)
{
    conn_set_state(conn, CONN_FREE);
    counter_sub(&shard->counters, COUNTER_CONNECTIONS_OPEN, 1);
    bitset_remove(&shard->live, conn_index(shard, conn));
    pool_give(&shard->conns, conn_index(shard, conn));
}

static void try_close_file(struct shard *shard, struct conn *conn)
{
    if (conn->ops != 0) return; /* the kernel may still write here; the last completion calls us again */
    ring_close(&shard->ring, conn->file, op_begin(shard, conn, OP_CLOSE));
}

static void give_buffer(struct shard *shard, struct conn *conn)
{
    if (conn->buffer != NO_BUFFER) recv_buffers_give(&shard->recv_buffers, conn->buffer);
    conn->buffer = NO_BUFFER;
    free(conn->held);
    conn->held = NULL;
    conn->input_at = conn->input_size = 0;
}

static void unlist(struct shard *shard, struct conn_list *list, struct conn *conn)
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

static void count_end(struct shard *shard, enum why_joined why)
{
    static const enum counter counters[] = {
        [WHY_PEER_LEFT] = COUNTER_CLOSED_BY_PEER,   [WHY_DONE] = COUNTER_CLOSED_BY_US,      [WHY_RECV_FAILED] = COUNTER_CLOSED_BY_PEER,
        [WHY_SEND_FAILED] = COUNTER_CLOSED_BY_PEER, [WHY_DEADLINE] = COUNTER_CLOSED_DEADLINE, [WHY_TOO_SLOW] = COUNTER_CLOSED_SLOW,
        [WHY_SILENT] = COUNTER_CLOSED_SILENT,       [WHY_ENDED] = COUNTER_CLOSED_BY_US,
    };
    counter_add(&shard->counters, counters[why], 1);
}

static void leave_websocket(struct shard *shard, struct conn *conn)
{
    engine_unsubscribe_all(&shard->engine, conn_index(shard, conn));
    shard->websockets--;
    counter_sub(&shard->counters, COUNTER_WEBSOCKETS_OPEN, 1);
}

void conn_join(struct shard *shard, struct conn *conn, enum why_joined why)
{
    if (conn->state == CONN_JOINING) return;
    count_end(shard, why);
    if (conn->state == CONN_OPEN) leave_websocket(shard, conn);
    if (conn->reader) ws_reader_free(conn);
    if (conn->exchange) http_exchange_free(conn);
    conn_set_state(conn, CONN_JOINING);
    if (conn->listed) {
        unlist(shard, &shard->input, conn);
        if (conn->listed) unlist(shard, &shard->starved, conn);
    }
    give_buffer(shard, conn);
    text_free(&conn->out);
    conn->out_sent = 0;
    bitset_remove(&shard->ready, conn_index(shard, conn));
    wheel_cancel(&shard->wheel, &conn->timer);
    for (enum operation operation = OP_RECV; operation <= OP_ROOM; operation++)
        if (op_held(conn, operation)) ring_cancel(&shard->ring, token_of(shard, conn, operation), token_make(OP_NONE, 0, 0));
    try_close_file(shard, conn);
}

void conn_on_over(struct shard *shard, struct conn *conn, enum operation operation)
{
    op_end(conn, operation);
    if (conn->state != CONN_JOINING) return;
    if (operation == OP_CLOSE) retire(shard, conn);
    else try_close_file(shard, conn);
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
        if (result == -ENOBUFS) {
            counter_add(&shard->counters, COUNTER_RECEIVE_STARVED, 1);
            list_push(shard, &shard->starved, conn);
        } else if (result == -EINTR || result == -EAGAIN) arm_recv(shard, conn);
        else if (result == 0 && conn_out_waiting(conn) > 0 && (conn->state == CONN_HTTP || conn->state == CONN_LINGER)) {
            conn->end_at_rest = true; /* it has asked all, and still reads: its answers go out first */
            conn_linger(shard, conn);
        }
        else conn_join(shard, conn, result == 0 ? WHY_PEER_LEFT : WHY_RECV_FAILED);
        return;
    }
    counter_add(&shard->counters, COUNTER_BYTES_RECEIVED, (uint64_t)result);
    conn->received_ms = shard_now_ms(shard);
    conn->ping_sent = false;
    conn->buffer = completion_buffer(completion);
    conn->input_at = 0;
    conn->input_size = (uint32_t)result;
    list_push(shard, &shard->input, conn);
}

void conns_rearm(struct shard *shard)
{
    uint32_t free = RECV_BUFFERS_COUNT - shard->recv_buffers.out; /* more would only starve again */
    for (struct conn *conn; free > 0 && (conn = list_pop(shard, &shard->starved)); free--) arm_recv(shard, conn);
}

static char *input_bytes(const struct shard *shard, const struct conn *conn)
{
    return conn->held ? conn->held : recv_buffer(&shard->recv_buffers, conn->buffer);
}

/* Its replies wait for room: what it sent meanwhile waits too, in memory of its own and not in a receive buffer, of which
 * there are few. At most one buffer's worth, since nothing more is received. */
static void pause_receiving(struct shard *shard, struct conn *conn)
{
    conn->paused = true;
    counter_add(&shard->counters, COUNTER_RECEIVE_PAUSED, 1);
    if (conn->buffer == NO_BUFFER) return;
    uint32_t left = conn->input_size - conn->input_at;
    char *held = malloc(left);
    CHECK(held);
    memcpy(held, recv_buffer(&shard->recv_buffers, conn->buffer) + conn->input_at, left);
    give_buffer(shard, conn);
    conn->held = held;
    conn->input_size = left;
}

/* Hands input to whoever reads it now: one request, frame or piece of a body at a time. Returns the bytes consumed. */
static size_t feed(struct shard *shard, struct conn *conn, char *bytes, size_t size)
{
    switch ((enum conn_state)conn->state) {
    case CONN_HTTP: return http_feed(shard, conn, bytes, size);
    case CONN_OPEN:
    case CONN_CLOSING: return ws_feed(shard, conn, bytes, size);
    default: return size; /* LINGER: thrown away */
    }
}

static bool replies_wait(const struct conn *conn)
{
    return conn_out_waiting(conn) > CONN_OUT_MAX && (conn->state == CONN_HTTP || conn->state == CONN_OPEN);
}

static size_t consume(struct shard *shard, struct conn *conn)
{
    uint32_t before = conn->input_at;
    size_t of_lines = 0;
    while (conn->state != CONN_JOINING && !replies_wait(conn) && of_lines == 0) {
        if (ws_lines_wait(conn)) of_lines = ws_feed_lines(shard, conn);
        else if (conn->input_at < conn->input_size)
            conn->input_at += (uint32_t)feed(shard, conn, input_bytes(shard, conn) + conn->input_at, conn->input_size - conn->input_at);
        else break;
    }
    if (conn->state == CONN_JOINING) return 0;
    size_t consumed = conn->input_at - before + of_lines;
    bool more = conn->input_at < conn->input_size;
    if (!more) give_buffer(shard, conn);
    if (replies_wait(conn)) pause_receiving(shard, conn); /* not re-arming is pausing */
    else if (more || ws_lines_wait(conn)) list_push(shard, &shard->input, conn); /* the others first */
    else arm_recv(shard, conn);
    return consumed;
}

size_t conns_consume(struct shard *shard, size_t bytes_max)
{
    size_t consumed = 0;
    while (consumed < bytes_max) {
        struct conn *conn = list_pop(shard, &shard->input);
        if (!conn) break;
        consumed += consume(shard, conn);
    }
    return consumed;
}

static void resume_receiving(struct shard *shard, struct conn *conn)
{
    conn->paused = false;
    if (conn->input_at < conn->input_size || ws_lines_wait(conn)) list_push(shard, &shard->input, conn);
    else arm_recv(shard, conn);
}

/* Sending. */

void conn_add(struct shard *shard, struct conn *conn, struct span bytes)
{
    if (conn->state == CONN_JOINING) return;
    text_add(&conn->out, bytes);
    conn->pong_at = NO_PONG;
    if (!conn->subscriber.blocked) bitset_add(&shard->ready, conn_index(shard, conn));
}

void conn_add_frame(struct shard *shard, struct conn *conn, enum ws_opcode opcode, struct span payload)
{
    char header[WS_SERVER_HEADER_BYTES_MAX];
    uint32_t header_bytes = ws_server_header_write(header, opcode, payload.size);
    conn_add(shard, conn, span_of(header, header_bytes));
    conn_add(shard, conn, payload);
}

void conn_add_message(struct shard *shard, struct conn *conn, struct span text)
{
    conn_add_frame(shard, conn, WS_TEXT, text);
    conn->message_ms = shard_now_ms(shard);
}

void conn_add_pong(struct shard *shard, struct conn *conn, struct span payload)
{
    /* Unsent pongs collapse into the newest (RFC 6455, 5.5.3). */
    if (conn->pong_at != NO_PONG && conn->pong_at >= conn->out_sent) conn->out.size = conn->pong_at;
    uint32_t at = (uint32_t)conn->out.size;
    conn_add_frame(shard, conn, WS_PONG, payload);
    conn->pong_at = at;
}

void conn_out_taken(struct conn *conn, size_t bytes)
{
    conn->out_sent += (uint32_t)bytes;
    /* A peer may leave some of it for ever while more is queued: cut, it holds no more than what waits and as much again. */
    if (conn->out_sent == 0 || conn->out_sent < conn->out.size - conn->out_sent) return;
    text_cut(&conn->out, 0, conn->out_sent);
    conn->pong_at = conn->pong_at != NO_PONG && conn->pong_at >= conn->out_sent ? conn->pong_at - conn->out_sent : NO_PONG;
    conn->out_sent = 0;
}

/* The last byte is out. */
static void end_sending(struct shard *shard, struct conn *conn)
{
    if (conn->end_at_rest) {
        conn_join(shard, conn, WHY_DONE); /* RFC 6455, 7.1.1: the server closes first */
        return;
    }
    if (conn->shut) return;
    conn->shut = true;
    conn_deadline(shard, conn, shard->settings->deadline_close_ms);
    ring_shutdown(&shard->ring, conn->file, op_begin(shard, conn, OP_SHUTDOWN));
}

void conn_on_sent(struct shard *shard, struct conn *conn)
{
    if (conn->state == CONN_JOINING) return;
    conn->blocked_ms = 0;
    if (conn->out.size == 0) {
        text_free(&conn->out); /* at rest a connection owns no buffer */
        if (conn->state == CONN_LINGER) {
            end_sending(shard, conn);
            return;
        }
    }
    if (conn->paused && !replies_wait(conn)) resume_receiving(shard, conn);
}

void conn_on_full(struct shard *shard, struct conn *conn, bool progress)
{
    if (conn->state == CONN_JOINING) return;
    if (progress || conn->blocked_ms == 0) conn->blocked_ms = shard_now_ms(shard);
    conn->subscriber.blocked = true;
    conn->subscriber.behind = true;
    bitset_remove(&shard->ready, conn_index(shard, conn));
    ring_poll_room(&shard->ring, conn->file, op_begin(shard, conn, OP_ROOM));
    uint64_t due_ms = conn->blocked_ms + shard->settings->deadline_write_ms;
    if (conn->state == CONN_OPEN && conn->timer.due_ms > due_ms) arm_timer(shard, conn, due_ms);
    if (conn->paused && !replies_wait(conn)) resume_receiving(shard, conn);
}

static void unblock(struct shard *shard, struct conn *conn)
{
    conn->subscriber.blocked = false;
    conn->again_ms = 0;
    bitset_add(&shard->ready, conn_index(shard, conn));
}

void conn_on_room(struct shard *shard, struct conn *conn, const struct completion *completion)
{
    enum { TRY_AGAIN_MS_MAX = 250 };
    conn_on_over(shard, conn, OP_ROOM);
    if (conn->state == CONN_JOINING) return;
    bool peer_ended_only = completion->result > 0 && !(completion->result & (POLLOUT | POLLERR | POLLHUP));
    if (!peer_ended_only) {
        unblock(shard, conn);
        return;
    }
    /* It reads still, but its end was sent, and with that every poll is over at once: the timer tries again, after as long as
     * it has been stuck already. */
    uint64_t now_ms = shard_now_ms(shard), after_ms = now_ms - conn->blocked_ms + 1;
    conn->again_ms = now_ms + (after_ms < TRY_AGAIN_MS_MAX ? after_ms : TRY_AGAIN_MS_MAX);
    if (conn->timer.due_ms > conn->again_ms) arm_timer(shard, conn, conn->again_ms);
}

/* Closing. */

void conn_open(struct shard *shard, struct conn *conn, enum conn_kind kind)
{
    conn_set_state(conn, CONN_OPEN);
    conn->kind = (uint8_t)kind;
    shard->websockets++;
    counter_add(&shard->counters, COUNTER_WEBSOCKETS_OPEN, 1);
    arm_timer(shard, conn, shard_now_ms(shard) + conn->heartbeat_ms);
}

static void add_close(struct shard *shard, struct conn *conn, uint16_t code, const char *reason)
{
    char frame[127];
    struct span text = span_of_string(reason);
    if (!utf8_valid(text)) text = SPAN_LITERAL("the request holds what is not UTF-8"); /* it quoted the client's own bytes */
    uint32_t bytes = ws_close_write(frame, code, text);
    conn_add(shard, conn, span_of(frame, bytes));
}

/* Whether `closing` is said before a close with this code (PROTOCOL.md). */
static bool is_told_before(uint16_t code)
{
    return code == WS_CLOSE_GOING_AWAY || code == WS_CLOSE_POLICY || code == WS_CLOSE_INTERNAL || code == WS_CLOSE_TRY_LATER || code >= 4000;
}

void conn_close(struct shard *shard, struct conn *conn, uint16_t code, const char *reason)
{
    if (conn->state != CONN_OPEN) return;
    if (conn->kind == CONN_KIND_SESSION && is_told_before(code)) message_closing(shard, conn, code == WS_CLOSE_GOING_AWAY ? "shutdown" : reason);
    leave_websocket(shard, conn); /* after a close frame no more updates */
    conn->close_code = code;
    add_close(shard, conn, code, reason);
    conn_set_state(conn, CONN_CLOSING);
    conn_deadline(shard, conn, shard->settings->deadline_close_ms);
}

void conn_fail(struct shard *shard, struct conn *conn, uint16_t code, const char *reason)
{
    if (conn->state == CONN_OPEN) {
        leave_websocket(shard, conn);
        conn->close_code = code;
        add_close(shard, conn, code, reason);
        conn_set_state(conn, CONN_CLOSING);
    }
    conn_linger(shard, conn); /* where frames begin is not to be trusted any more: no close frame of its is awaited */
}

void conn_closed_by_peer(struct shard *shard, struct conn *conn, uint16_t code)
{
    if (conn->state == CONN_OPEN) {
        leave_websocket(shard, conn);
        add_close(shard, conn, code, ""); /* its code is echoed (RFC 6455, 5.5.1) */
        conn_set_state(conn, CONN_CLOSING);
    }
    conn->end_at_rest = true;
    conn_linger(shard, conn);
}

void conn_linger(struct shard *shard, struct conn *conn)
{
    if (conn->state == CONN_LINGER || conn->state == CONN_JOINING) return;
    CHECK(conn->state != CONN_OPEN); /* a WebSocket says goodbye first */
    if (conn->reader) ws_reader_free(conn);
    if (conn->exchange) http_exchange_free(conn);
    conn_set_state(conn, CONN_LINGER);
    conn_deadline(shard, conn, shard->settings->deadline_close_ms);
    if (conn->paused) resume_receiving(shard, conn);
    if (conn_out_waiting(conn) == 0) end_sending(shard, conn);
}

/* Time. */

static void check_life(struct shard *shard, struct conn *conn)
{
    uint64_t now_ms = shard_now_ms(shard), beat = conn->heartbeat_ms;
    if (conn->blocked_ms && now_ms - conn->blocked_ms >= shard->settings->deadline_write_ms) {
        conn_join(shard, conn, WHY_TOO_SLOW); /* its socket is full: no close frame would fit */
        return;
    }
    /* What a paused connection sent is waiting for us: silence is no sign then. */
    if (conn->paused) conn->received_ms = now_ms;
    if (now_ms - conn->received_ms >= 2 * beat) {
        counter_add(&shard->counters, COUNTER_CLOSED_SILENT, 1);
        conn_close(shard, conn, WS_CLOSE_TIMEOUT, "no sign of life for twice heartbeat_ms");
        return;
    }
    /* Both in one send where they are due at about the same time. */
    uint64_t slack = beat / 16;
    if (now_ms - conn->received_ms + slack >= beat && !conn->ping_sent) {
        conn_add_frame(shard, conn, WS_PING, SPAN_NONE);
        conn->ping_sent = true;
    }
    if (now_ms - conn->message_ms + slack >= beat && !conn->subscriber.blocked && conn->kind == CONN_KIND_SESSION) message_heartbeat(shard, conn);

    uint64_t due_ms = conn->received_ms + (conn->ping_sent ? 2 : 1) * beat;
    if (conn->kind == CONN_KIND_SESSION && !conn->subscriber.blocked && conn->message_ms + beat < due_ms) due_ms = conn->message_ms + beat;
    if (conn->blocked_ms && conn->blocked_ms + shard->settings->deadline_write_ms < due_ms) due_ms = conn->blocked_ms + shard->settings->deadline_write_ms;
    arm_timer(shard, conn, due_ms > now_ms ? due_ms : now_ms + 1);
}

void conn_on_timer(struct shard *shard, struct conn *conn)
{
    uint64_t now_ms = shard_now_ms(shard);
    if (conn->again_ms && now_ms >= conn->again_ms) unblock(shard, conn);
    if (conn->state == CONN_OPEN) check_life(shard, conn);
    else if (now_ms < conn->deadline_ms) arm_timer(shard, conn, conn->deadline_ms);
    else if (conn->state == CONN_HTTP) http_on_deadline(shard, conn);
    else if (conn->state == CONN_LINGER && conn->blocked_ms && now_ms - conn->blocked_ms < shard->settings->deadline_write_ms)
        arm_timer(shard, conn, conn->blocked_ms + shard->settings->deadline_write_ms); /* it still takes its last answer, slowly */
    else conn_join(shard, conn, WHY_DEADLINE);
}
