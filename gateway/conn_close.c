/* How a WebSocket opens and closes, and how a connection says its last word. See conn.h. */
#include "core/base/check.h"
#include "core/proto/utf8.h"
#include "gateway/access.h"
#include "gateway/conn_parts.h"
#include "gateway/http_exchange.h"
#include "gateway/messages.h"
#include "gateway/ws_reader.h"

void conn_open(struct shard *shard, struct conn *conn, enum conn_kind kind)
{
    conn_set_state(conn, CONN_OPEN);
    conn->kind = (uint8_t)kind;
    conn->position_ms = 0; /* a deadline stood there */
    counter_add(&shard->counters, conn_kind_counter(conn), 1);
    counter_add(&shard->counters, COUNTER_WEBSOCKETS_DEFLATE, conn->deflates);
    conn_arm_timer(shard, conn, shard_now_ms(shard) + conn->heartbeat_ms);
    access_begin(shard, conn);
}

static enum counter counter_of(uint16_t code)
{
    switch (code) {
    case 1000: return COUNTER_CLOSE_1000;
    case 1001: return COUNTER_CLOSE_1001;
    case 1002: return COUNTER_CLOSE_1002;
    case 1003: return COUNTER_CLOSE_1003;
    case 1007: return COUNTER_CLOSE_1007;
    case 1008: return COUNTER_CLOSE_1008;
    case 1009: return COUNTER_CLOSE_1009;
    case 1011: return COUNTER_CLOSE_1011;
    case 1013: return COUNTER_CLOSE_1013;
    case 4400: return COUNTER_CLOSE_4400;
    case 4401: return COUNTER_CLOSE_4401;
    case 4403: return COUNTER_CLOSE_4403;
    case 4408: return COUNTER_CLOSE_4408;
    case 4429: return COUNTER_CLOSE_4429;
    default: return COUNTER_CLOSE_OTHER; /* what the peer chose, echoed */
    }
}

void conn_log_closed(struct shard *shard, const struct conn *conn, uint16_t code, const char *why)
{
    struct log_line line;
    if (!log_begin(&shard->logger, EVENT_CLOSED, &line)) return;
    log_line_number(&line, "conn", conn_index(shard, conn));
    if (code) log_line_number(&line, "code", code);
    char room[ADDRESS_TEXT_BYTES];
    if (conn_address(conn)) log_line_string(&line, "address", address_write(conn_address(conn), room));
    log_line_string(&line, "why", why);
    log_end(&shard->logger, &line);
}

static void add_close(struct shard *shard, struct conn *conn, uint16_t code, const char *reason)
{
    char frame[127];
    struct span text = span_of_string(reason);
    if (!utf8_valid(text)) text = SPAN_LITERAL("the request holds what is not UTF-8"); /* it quoted the client's own bytes */
    uint32_t bytes = ws_close_write(frame, code, text);
    counter_add(&shard->counters, counter_of(code), 1);
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
    if (conn->kind != CONN_KIND_ECHO && is_told_before(code)) message_closing(shard, conn, code == WS_CLOSE_GOING_AWAY ? "shutdown" : reason);
    conn_leave(shard, conn); /* after a close frame no more updates */
    if (conn->kind != CONN_KIND_STREAM) add_close(shard, conn, code, reason);
    conn_set_state(conn, CONN_CLOSING);
    if (conn->kind == CONN_KIND_STREAM) conn_linger(shard, conn);
    else conn_deadline(shard, conn, shard->settings->deadline_close_ms);
}

void conn_fail(struct shard *shard, struct conn *conn, uint16_t code, const char *reason)
{
    if (conn->state == CONN_OPEN) {
        conn_log_closed(shard, conn, code, reason);
        conn_leave(shard, conn);
        add_close(shard, conn, code, reason);
        conn_set_state(conn, CONN_CLOSING);
    }
    conn->end_later = true;
    conn_linger(shard, conn); /* where frames begin is not to be trusted any more: no close frame of its is awaited */
}

void conn_closed_by_peer(struct shard *shard, struct conn *conn, uint16_t code)
{
    if (conn->state == CONN_OPEN) {
        conn_leave(shard, conn);
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
    uint64_t now_ms = shard_now_ms(shard);
    bool heard = conn->state == CONN_HTTP && conn->asked && now_ms < conn->deadline_ms; /* a refused body is; no flood of frames, and nobody who was not let in or whose time is over */
    conn->linger_until_ms = now_ms + (heard ? shard->settings->deadline_body_ms : 0);
    conn_set_state(conn, CONN_LINGER);
    conn_deadline(shard, conn, shard->settings->deadline_close_ms);
    if (conn->paused) conn_resume_receiving(shard, conn);
    if (conn_unsent(conn) == 0) conn_end_sending(shard, conn);
}
