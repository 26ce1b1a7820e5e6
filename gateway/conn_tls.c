#include "gateway/conn_tls.h"

#include <stdlib.h>

#include "core/base/reserve.h"
#include "core/proto/proxy_protocol.h"
#include "gateway/conn_parts.h"
#include "gateway/http_exchange.h"
#include "gateway/memory.h"

static void make_ready(struct shard *shard, struct conn *conn)
{
    if (tls_session_unsent(&conn->tls->session).size > 0 && !conn->subscriber.blocked) bitset_add(&shard->ready, conn_index(shard, conn));
}

static char *copy_of(struct span bytes)
{
    char *copy = reserve_resize(NULL, bytes.size);
    span_write(bytes, copy);
    return copy;
}

/* ---- the handshake ------------------------------------------------------------------------------------------------------ */

void conn_tls_came(struct shard *shard, struct conn *conn, struct span bytes)
{
    uint32_t left = conn->input_size - conn->input_at;
    char *held = reserve_resize(NULL, left + bytes.size);
    if (left > 0) memcpy(held, conn->held + conn->input_at, left);
    span_write(bytes, held + left);
    free(conn->held);
    conn->held = held;
    conn->input_at = 0;
    conn->input_size = left + (uint32_t)bytes.size;
    memory_weigh(shard, conn);
    conn_list_push(shard, &shard->shaking, conn);
}

static void drop_input(struct conn *conn)
{
    free(conn->held);
    conn->held = NULL;
    conn->input_at = conn->input_size = 0;
}

/* Whoever speaks plain HTTP here is told so in plain HTTP. */
static void refuse_plain(struct shard *shard, struct conn *conn)
{
    static const char *const methods[] = { "GET ", "HEAD", "POST", "DELE", "OPTI", "PUT " };
    bool http = false;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) http |= conn->input_size >= 4 && memcmp(conn->held, methods[i], 4) == 0;
    drop_input(conn);
    counter_add(&shard->counters, COUNTER_TLS_HANDSHAKES_FAILED, 1);
    if (!http) {
        conn_log_closed(shard, conn, 0, "what it sent is no TLS");
        conn_join(shard, conn, WHY_DONE);
        return;
    }
    http_refuse_plain(shard, conn);
    conn_arm_recv(shard, conn);
}

/* What a trusted proxy says before its client's first byte, in clear. False: it can't go on yet, or not at all. */
static bool greet(struct shard *shard, struct conn *conn, struct span *in)
{
    struct proxy_header header;
    const char *why;
    enum decode verdict = proxy_header_decode(*in, &header, &why);
    if (verdict == DECODE_MORE) {
        conn_arm_recv(shard, conn);
        return false;
    }
    if (verdict == DECODE_DONE && header.version == 0 && shard->settings->proxy_protocol == PROXY_PROTOCOL_REQUIRE) {
        verdict = DECODE_BAD;
        why = "the connection must begin with the header of the PROXY protocol: listen.proxy-protocol is require";
    }
    if (verdict == DECODE_BAD) {
        counter_add(&shard->counters, COUNTER_TLS_HANDSHAKES_FAILED, 1);
        conn_log_closed(shard, conn, 0, why);
        conn_join(shard, conn, WHY_DONE);
        return false;
    }
    conn->greets = false;
    if (header.version == 0) return true;
    *in = span_skip(*in, header.bytes);
    conn->input_at += (uint32_t)header.bytes;
    if (!header.proxied) return true;
    conn->address = header.source;
    conn->proxy = admission_trusts(shard, &conn->address);
    if (admission_count(shard, conn)) return true;
    counter_add(&shard->counters, COUNTER_CONNECTIONS_REFUSED, 1);
    conn->refusal = LIMIT_CONNECTIONS_PER_ADDRESS + 1;
    return true;
}

/* False: it can't begin yet, or not at all. */
static bool begin(struct shard *shard, struct conn *conn, struct span in)
{
    int look = tls_hello_look(in);
    if (look == 0) {
        conn_arm_recv(shard, conn);
        return false;
    }
    if (look < 0) {
        refuse_plain(shard, conn);
        return false;
    }
    struct conn_tls *tls = reserve_zeroed(1, sizeof *tls);
    if (!tls_session_init(&tls->session, shard->tls, in)) {
        free(tls);
        conn_join(shard, conn, WHY_SHED);
        return false;
    }
    conn->tls = tls;
    counter_add(&shard->counters, COUNTER_TLS_CONNECTIONS, 1);
    return true;
}

void conn_tls_broke(struct shard *shard, struct conn *conn)
{
    conn->tls->told = true;
    conn_log_closed(shard, conn, 0, tls_session_why(&conn->tls->session));
    if (conn->state == CONN_OPEN) {
        conn_leave(shard, conn);
        conn_set_state(conn, CONN_CLOSING);
    }
    text_free(&conn->out); /* nothing can be sealed any more */
    conn->out_sent = 0;
    conn->pong_at = NO_PONG;
    conn_linger(shard, conn); /* its alert goes out */
}

static void opened(struct shard *shard, struct conn *conn)
{
    struct conn_tls *tls = conn->tls;
    counter_add(&shard->counters, tls->session.resumed ? COUNTER_TLS_HANDSHAKES_RESUMED : COUNTER_TLS_HANDSHAKES_FULL, 1);
    if (conn->input_at < conn->input_size) { /* its first request came with the end of its handshake */
        tls->held = conn->held;
        tls->in_at = conn->input_at;
        tls->in_size = conn->input_size;
        conn->held = NULL;
        conn->input_at = conn->input_size = 0;
    } else drop_input(conn);
    conn_set_state(conn, CONN_HTTP);
    conn_deadline(shard, conn, shard->settings->deadline_head_ms);
    if (conn->refusal) http_refuse(shard, conn, (enum limit)(conn->refusal - 1));
    if (conn_tls_waits(conn)) conn_list_push(shard, &shard->input, conn);
    else conn_arm_recv(shard, conn);
}

static void shake(struct shard *shard, struct conn *conn)
{
    struct span in = span_of(conn->held + conn->input_at, conn->input_size - conn->input_at);
    if (conn->greets && !greet(shard, conn, &in)) return;
    if (!conn->tls && !begin(shard, conn, in)) return;
    enum tls_state state = tls_session_shake(&conn->tls->session, shard->tls, &in);
    conn->input_at = conn->input_size - (uint32_t)in.size;
    make_ready(shard, conn);
    if (state == TLS_OPEN) opened(shard, conn);
    else {
        drop_input(conn);
        if (state == TLS_BROKEN) {
            counter_add(&shard->counters, COUNTER_TLS_HANDSHAKES_FAILED, 1);
            conn_tls_broke(shard, conn);
        }
        conn_arm_recv(shard, conn);
    }
    memory_weigh(shard, conn);
}

void conns_shake(struct shard *shard)
{
    for (uint64_t left = shard->settings->limits_handshakes_per_turn; left > 0; left--) {
        struct conn *conn = conn_list_pop(shard, &shard->shaking);
        if (!conn) return;
        shake(shard, conn);
    }
    if (shard->shaking.first != POOL_NONE) counter_add(&shard->counters, COUNTER_TLS_HANDSHAKES_POSTPONED, 1);
}

/* ---- what comes --------------------------------------------------------------------------------------------------------- */

static void give_ciphertext(struct shard *shard, struct conn *conn)
{
    struct conn_tls *tls = conn->tls;
    free(tls->held);
    tls->held = NULL;
    tls->in_at = tls->in_size = 0;
    if (conn->buffer != NO_BUFFER) recv_buffers_give(&shard->recv_buffers, conn->buffer);
    conn->buffer = NO_BUFFER;
}

static const char *ciphertext(const struct shard *shard, const struct conn *conn)
{
    return conn->tls->held ? conn->tls->held : conn->buffer != NO_BUFFER ? recv_buffer(&shard->recv_buffers, conn->buffer) : "";
}

/* It has said close_notify: as if its end had come, but properly; we say ours. */
static void ended(struct shard *shard, struct conn *conn)
{
    conn->tls->told = true;
    conn->end_at_rest = true;
    if (conn->state == CONN_OPEN) {
        conn_leave(shard, conn);
        conn_set_state(conn, CONN_CLOSING);
    }
    conn_linger(shard, conn);
}

bool conn_tls_read(struct shard *shard, struct conn *conn)
{
    struct conn_tls *tls = conn->tls;
    if (conn->state == CONN_LINGER) give_ciphertext(shard, conn); /* thrown away */
    if (tls->told || (!conn_tls_waits(conn) && tls->session.state == TLS_OPEN)) return false;
    drop_input(conn);
    struct span in = span_of(ciphertext(shard, conn) + tls->in_at, tls->in_size - tls->in_at);
    conn->input_size = (uint32_t)tls_session_open(&tls->session, &in, shard->plain, TLS_RECORD_BYTES_MAX);
    tls->in_at = tls->in_size - (uint32_t)in.size;
    make_ready(shard, conn);
    if (conn->input_size > 0) return true;
    if (tls->session.state == TLS_ENDED) ended(shard, conn);
    else if (tls->session.state == TLS_BROKEN) conn_tls_broke(shard, conn);
    return false;
}

void conn_tls_put_away(struct shard *shard, struct conn *conn, bool away)
{
    struct conn_tls *tls = conn->tls;
    if (conn->input_at == conn->input_size) drop_input(conn);
    else if (!conn->held) {
        struct span rest = span_of(shard->plain + conn->input_at, conn->input_size - conn->input_at);
        conn->held = copy_of(rest);
        conn->input_at = 0;
        conn->input_size = (uint32_t)rest.size;
    }
    if (tls->in_at == tls->in_size) give_ciphertext(shard, conn);
    else if (away && !tls->held) {
        struct span rest = span_of(ciphertext(shard, conn) + tls->in_at, tls->in_size - tls->in_at);
        char *held = copy_of(rest);
        give_ciphertext(shard, conn);
        tls->held = held;
        tls->in_size = (uint32_t)rest.size;
    }
}

bool conn_tls_must_wait(const struct conn *conn)
{
    return conn->tls->session.answers_bytes > CONN_OUT_MAX;
}

void conn_tls_cut(struct shard *shard, const struct conn *conn)
{
    if (conn->tls->session.state == TLS_ENDED || conn->state == CONN_LINGER) return;
    counter_add(&shard->counters, COUNTER_TLS_CUT, 1);
    conn_log_closed(shard, conn, 0, "its end came without close_notify");
}

/* ---- its end ------------------------------------------------------------------------------------------------------------ */

bool conn_tls_goodbye(struct shard *shard, struct conn *conn)
{
    if (conn->tls->session.closed) return false;
    tls_session_close(&conn->tls->session);
    make_ready(shard, conn);
    return tls_session_unsent(&conn->tls->session).size > 0;
}

void conn_tls_free(struct shard *shard, struct conn *conn)
{
    counter_sub(&shard->counters, COUNTER_TLS_CONNECTIONS, 1);
    tls_session_deinit(&conn->tls->session);
    free(conn->tls->held);
    free(conn->tls);
    conn->tls = NULL;
}

size_t conn_tls_weight(const struct conn *conn)
{
    const struct conn_tls *tls = conn->tls;
    return tls_session_weight(&tls->session) + (tls->held ? tls->in_size : 0);
}
