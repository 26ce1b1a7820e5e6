/* How a WebSocket opens and closes, and how a connection says its last word. See conn.h. */
#include "core/base/check.h"
#include "core/proto/utf8.h"
#include "gateway/conn_parts.h"
#include "gateway/http_exchange.h"
#include "gateway/messages.h"
#include "gateway/ws_reader.h"

void conn_open(struct shard *shard, struct conn *conn, enum conn_kind kind)
{
    conn_set_state(conn, CONN_OPEN);
    conn->kind = (uint8_t)kind;
    counter_add(&shard->counters, COUNTER_WEBSOCKETS_OPEN, 1);
    conn_arm_timer(shard, conn, shard_now_ms(shard) + conn->heartbeat_ms);
}

void conn_log_closed(struct shard *shard, const struct conn *conn, uint16_t code, const char *why)
{
    struct log_line line;
    if (!log_begin(&shard->logger, EVENT_CLOSED, &line)) return;
    log_line_number(&line, "conn", conn_index(shard, conn));
    if (code) log_line_number(&line, "code", code);
    log_line_string(&line, "why", why);
    log_end(&shard->logger, &line);
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
    if (code != WS_CLOSE_GOING_AWAY) conn_log_closed(shard, conn, code, reason);
    if (conn->kind == CONN_KIND_SESSION && is_told_before(code)) message_closing(shard, conn, code == WS_CLOSE_GOING_AWAY ? "shutdown" : reason);
    conn_leave_websocket(shard, conn); /* after a close frame no more updates */
    add_close(shard, conn, code, reason);
    conn_set_state(conn, CONN_CLOSING);
    conn_deadline(shard, conn, shard->settings->deadline_close_ms);
}

void conn_fail(struct shard *shard, struct conn *conn, uint16_t code, const char *reason)
{
    if (conn->state == CONN_OPEN) {
        conn_log_closed(shard, conn, code, reason);
        conn_leave_websocket(shard, conn);
        add_close(shard, conn, code, reason);
        conn_set_state(conn, CONN_CLOSING);
    }
    conn_linger(shard, conn); /* where frames begin is not to be trusted any more: no close frame of its is awaited */
}

void conn_closed_by_peer(struct shard *shard, struct conn *conn, uint16_t code)
{
    if (conn->state == CONN_OPEN) {
        conn_leave_websocket(shard, conn);
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
    if (conn->paused) conn_resume_receiving(shard, conn);
    if (conn_out_waiting(conn) == 0) conn_end_sending(shard, conn);
}
