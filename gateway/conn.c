#include "gateway/conn_parts.h"

#include <errno.h>

#include "core/base/check.h"
#include "gateway/access.h"
#include "gateway/conn_tls.h"
#include "gateway/http_exchange.h"
#include "gateway/memory.h"
#include "gateway/messages.h"
#include "gateway/stream.h"
#include "gateway/ws_reader.h"

#define BIT(n) (1u << (n))

static const uint8_t may_follow[] = {
    [CONN_FREE] = BIT(CONN_HANDSHAKE) | BIT(CONN_HTTP),
    [CONN_HANDSHAKE] = BIT(CONN_HTTP) | BIT(CONN_LINGER) | BIT(CONN_JOINING),
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
    if (next == CONN_CLOSING || next == CONN_LINGER) conn->discarded_ms = 0;
}

/* Operations in the kernel's hands. */
bool conn_op_held(const struct conn *conn, enum operation operation)
{
    return conn->ops & BIT(operation);
}

static uint64_t token_of(const struct shard *shard, const struct conn *conn, enum operation operation)
{
    return token_make(operation, conn->generation, conn_index(shard, conn));
}

uint64_t conn_op_begin(struct shard *shard, struct conn *conn, enum operation operation)
{
    CHECK(!conn_op_held(conn, operation));
    conn->ops |= BIT(operation);
    return token_of(shard, conn, operation);
}

void conn_op_end(struct conn *conn, enum operation operation)
{
    CHECK(conn_op_held(conn, operation));
    conn->ops &= ~BIT(operation);
}

void conn_arm_timer(struct shard *shard, struct conn *conn, uint64_t due_ms)
{
    bool again_first = conn->again_ms && conn->again_ms < due_ms;
    wheel_arm(&shard->wheel, &conn->timer, again_first ? conn->again_ms : due_ms);
}

void conn_deadline(struct shard *shard, struct conn *conn, uint64_t after_ms)
{
    conn->deadline_ms = shard_now_ms(shard) + after_ms;
    conn_arm_timer(shard, conn, conn->deadline_ms);
}

const struct address *conn_address(const struct conn *conn)
{
    return conn_op_held(conn, OP_PEER) || !address_known(&conn->address) ? NULL : &conn->address;
}

/* Who it is is known: whether it may stay. */
static void admit(struct shard *shard, struct conn *conn, const struct ring_peer *peer)
{
    conn->requests = (struct rate){ 0 }; /* it stood where the peer was told */
    conn->address = ring_peer_address(peer);
    conn->proxy = admission_trusts(shard, &conn->address);
    conn->greets = conn->proxy && shard->settings->proxy_protocol != PROXY_PROTOCOL_OFF;
    if (conn->state == CONN_HTTP) http_admit(shard, conn);
    else if (conn->state == CONN_HANDSHAKE) http_admit_later(shard, conn);
    if (conn->state == CONN_JOINING) return;
    conn_arm_recv(shard, conn);
}

void conn_on_peer(struct shard *shard, struct conn *conn, const struct completion *completion)
{
    struct ring_peer peer = conn->peer;
    conn_on_over(shard, conn, OP_PEER);
    if (completion->result < 0) peer = (struct ring_peer){ 0 }; /* it has gone already */
    if (conn->state != CONN_JOINING && conn->state != CONN_FREE) admit(shard, conn, &peer);
}

void conn_accepted(struct shard *shard, uint32_t file, bool secure, const struct ring_peer *peer)
{
    uint32_t index = pool_take(&shard->conns);
    if (index == POOL_NONE) { /* a slot of the table is free before we are told that its last connection is gone */
        counter_add(&shard->counters, COUNTER_CONNECTIONS_REFUSED, 1);
        ring_close(&shard->ring, file, token_make(OP_NONE, 0, 0));
        return;
    }
    struct conn *conn = conn_at(shard, index);
    *conn = (struct conn){ .file = file, .generation = ++shard->generation & TOKEN_GENERATION_MASK, .buffer = NO_BUFFER, .pong_at = NO_PONG, .counted = POOL_NONE };
    subscriber_init(&conn->subscriber);
    timer_init(&conn->timer);
    conn->heartbeat_ms = (uint32_t)shard->settings->heartbeat_ms;
    conn->received_ms = conn->message_ms = shard_now_ms(shard);
    bitset_add(&shard->live, index);
    conn_set_state(conn, secure ? CONN_HANDSHAKE : CONN_HTTP);
    conn_deadline(shard, conn, secure ? shard->settings->deadline_handshake_ms : shard->settings->deadline_head_ms);
    counter_add(&shard->counters, COUNTER_ACCEPTED, 1);
    counter_add(&shard->counters, COUNTER_CONNECTIONS_OPEN, 1);
    if (shard->conns.used > shard->connections_max || shard_total(shard, COUNTER_CONNECTIONS_OPEN) > shard->settings->limits_connections) {
        counter_add(&shard->counters, COUNTER_CONNECTIONS_REFUSED, 1);
        if (secure) conn->refusal = LIMIT_CONNECTIONS + 1;
        else http_refuse(shard, conn, LIMIT_CONNECTIONS);
        conn_arm_recv(shard, conn);
        return;
    }
    if (peer) admit(shard, conn, peer);
    else ring_peer(&shard->ring, file, (secure ? &shard->tls_listener : &shard->listener)->family, &conn->peer, conn_op_begin(shard, conn, OP_PEER));
}

/* Joining. */

static void retire(struct shard *shard, struct conn *conn)
{
    conn_set_state(conn, CONN_FREE);
    admission_uncount(shard, conn);
    counter_sub(&shard->counters, COUNTER_CONNECTIONS_OPEN, 1);
    bitset_remove(&shard->live, conn_index(shard, conn));
    pool_give(&shard->conns, conn_index(shard, conn));
}

static void try_close_file(struct shard *shard, struct conn *conn)
{
    if (conn->ops != 0) return; /* the kernel may still write here; the last completion calls us again */
    ring_close(&shard->ring, conn->file, conn_op_begin(shard, conn, OP_CLOSE));
}

static void count_end(struct shard *shard, enum why_joined why)
{
    static const enum counter counters[] = {
        [WHY_PEER_LEFT] = COUNTER_CLOSED_BY_PEER,   [WHY_DONE] = COUNTER_CLOSED_BY_US,      [WHY_RECV_FAILED] = COUNTER_CLOSED_BY_PEER,
        [WHY_SEND_FAILED] = COUNTER_CLOSED_BY_PEER, [WHY_DEADLINE] = COUNTER_CLOSED_DEADLINE, [WHY_TOO_SLOW] = COUNTER_CLOSED_SLOW,
        [WHY_SILENT] = COUNTER_CLOSED_SILENT,       [WHY_ENDED] = COUNTER_CLOSED_BY_US,     [WHY_SHED] = COUNTER_CLOSED_BY_US,
    };
    counter_add(&shard->counters, counters[why], 1);
}

static void log_end_of(struct shard *shard, const struct conn *conn, enum why_joined why)
{
    static const char *const words[] = { [WHY_RECV_FAILED] = "receiving failed", [WHY_SEND_FAILED] = "sending failed", [WHY_DEADLINE] = "a deadline passed",
                                         [WHY_TOO_SLOW] = "it took nothing for deadline.write-ms", [WHY_SILENT] = "it was silent", [WHY_ENDED] = NULL,
                                         [WHY_SHED] = "limits.memory is reached" };
    if (words[why]) conn_log_closed(shard, conn, 0, words[why]);
}

void conn_leave(struct shard *shard, struct conn *conn)
{
    engine_unsubscribe_all(&shard->engine, conn_index(shard, conn));
    counter_sub(&shard->counters, conn_kind_counter(conn), 1);
    counter_sub(&shard->counters, COUNTER_WEBSOCKETS_DEFLATE, conn->deflates);
}

void conn_join(struct shard *shard, struct conn *conn, enum why_joined why)
{
    if (conn->state == CONN_JOINING) return;
    count_end(shard, why);
    log_end_of(shard, conn, why);
    if (conn->state == CONN_OPEN) conn_leave(shard, conn);
    counter_sub(&shard->counters, COUNTER_CONNECTIONS_BLOCKED, conn->subscriber.blocked);
    if (conn->reader) ws_reader_free(conn);
    if (conn->exchange) http_exchange_free(conn);
    conn_set_state(conn, CONN_JOINING);
    if (conn->listed) {
        conn_unlist(shard, &shard->input, conn);
        if (conn->listed) conn_unlist(shard, &shard->starved, conn);
        if (conn->listed) conn_unlist(shard, &shard->shaking, conn);
    }
    conn_give_buffer(shard, conn);
    text_free(&conn->out);
    if (conn->tls) conn_tls_free(shard, conn);
    memory_forget(shard, conn);
    access_forget(conn);
    conn->out_sent = 0;
    bitset_remove(&shard->ready, conn_index(shard, conn));
    bitset_remove(&shard->stalled, conn_index(shard, conn));
    wheel_cancel(&shard->wheel, &conn->timer);
    for (enum operation operation = OP_RECV; operation <= OP_ROOM; operation++)
        if (conn_op_held(conn, operation)) ring_cancel(&shard->ring, token_of(shard, conn, operation), token_make(OP_NONE, 0, 0));
    try_close_file(shard, conn);
}

void conn_on_over(struct shard *shard, struct conn *conn, enum operation operation)
{
    conn_op_end(conn, operation);
    if (conn->state != CONN_JOINING) return;
    if (operation == OP_CLOSE) retire(shard, conn);
    else try_close_file(shard, conn);
}

void conn_on_close(struct shard *shard, struct conn *conn, const struct completion *completion)
{
    if (completion->result != -ENOMEM) {
        conn_on_over(shard, conn, OP_CLOSE);
        return;
    }
    conn_op_end(conn, OP_CLOSE); /* Linux 6.1 takes memory to take it out of the table: left there, its place would be lost for ever */
    try_close_file(shard, conn);
}

/* Time. */

static void check_life(struct shard *shard, struct conn *conn)
{
    uint64_t now_ms = shard_now_ms(shard), beat = conn->heartbeat_ms;
    if (conn->blocked_ms && now_ms - conn->blocked_ms >= shard->settings->deadline_write_ms) {
        conn_join(shard, conn, WHY_TOO_SLOW); /* its socket is full: no close frame would fit */
        return;
    }
    if (conn->auth_due_ms && now_ms >= conn->auth_due_ms) {
        conn_close(shard, conn, WS_CLOSE_UNAUTHORIZED, access_over_why(conn));
        return;
    }
    /* What a paused connection sent is waiting for us, and a stream's reader says nothing: silence is no sign then. */
    if (conn->paused || conn->kind == CONN_KIND_STREAM) conn->received_ms = now_ms;
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
    bool beats = conn->kind != CONN_KIND_ECHO && format_inflated(conn->subscriber.format) != FORMAT_RAW && !conn->subscriber.blocked;
    if (now_ms - conn->message_ms + slack >= beat && beats) message_heartbeat(shard, conn);

    uint64_t due_ms = conn->received_ms + (conn->ping_sent ? 2 : 1) * beat;
    if (beats && conn->message_ms + beat < due_ms) due_ms = conn->message_ms + beat;
    uint64_t position_due_ms = conn->kind == CONN_KIND_STREAM ? stream_tell_position(shard, conn) : UINT64_MAX;
    if (position_due_ms < due_ms) due_ms = position_due_ms;
    if (conn->blocked_ms && conn->blocked_ms + shard->settings->deadline_write_ms < due_ms) due_ms = conn->blocked_ms + shard->settings->deadline_write_ms;
    if (conn->auth_due_ms && conn->auth_due_ms < due_ms) due_ms = conn->auth_due_ms;
    conn_arm_timer(shard, conn, due_ms > now_ms ? due_ms : now_ms + 1);
}

void conn_on_timer(struct shard *shard, struct conn *conn)
{
    uint64_t now_ms = shard_now_ms(shard);
    if (conn_tls_is_lost(conn)) {
        conn_tls_broke(shard, conn);
        return;
    }
    if (conn->again_ms && now_ms >= conn->again_ms) conn_unblock(shard, conn);
    if ((conn->state == CONN_LINGER || conn->state == CONN_CLOSING) && !conn->listed && !conn->paused) conn_arm_recv(shard, conn); /* it rested */
    if (conn->state == CONN_OPEN) check_life(shard, conn);
    else if (now_ms < conn->deadline_ms) conn_arm_timer(shard, conn, conn->deadline_ms);
    else if (conn->state == CONN_HTTP) http_on_deadline(shard, conn);
    else if (conn_end_waits(conn)) {
        conn_deadline(shard, conn, shard->settings->deadline_close_ms);
        conn_end_sending(shard, conn);
    } else if (conn->state == CONN_LINGER && conn->blocked_ms && now_ms - conn->blocked_ms < shard->settings->deadline_write_ms)
        conn_arm_timer(shard, conn, conn->blocked_ms + shard->settings->deadline_write_ms); /* it still takes its last answer, slowly */
    else conn_join(shard, conn, WHY_DEADLINE);
}
