#include "gateway/http_exchange.h"

#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/reserve.h"
#include "core/proto/proxy_protocol.h"
#include "gateway/http_answer.h"
#include "gateway/http_gather.h"
#include "gateway/http_routes.h"
#include "gateway/limits.h"
#include "gateway/pending.h"
#include "gateway/publish.h"
#include "gateway/publish_lines.h"

void http_exchange_free(struct conn *conn)
{
    struct http_exchange *exchange = conn->exchange;
    text_free(&exchange->head);
    text_free(&exchange->answer);
    text_free(&exchange->body);
    text_free(&exchange->rest);
    if (exchange->gather) gather_free(exchange->gather);
    free(exchange);
    conn->exchange = NULL;
}

static struct http_exchange *exchange_of(struct conn *conn)
{
    if (!conn->exchange) conn->exchange = reserve_zeroed(1, sizeof *conn->exchange);
    return conn->exchange;
}

static void refuse(struct shard *shard, struct conn *conn, uint16_t status, const char *code, const char *why, const char *headers)
{
    struct text body = { 0 };
    http_error_body(&body, code, why);
    http_answer(shard, conn, &(struct http_answer){ .status = status, .body = text_span(&body), .headers = headers, .close = true });
    text_free(&body);
}

void http_refuse(struct shard *shard, struct conn *conn, enum limit limit)
{
    const char *why = limit_hit(shard, conn, limit);
    refuse(shard, conn, http_status_of(limit_code(limit)), limit_code(limit), why, "Retry-After: 5\r\n");
}

void http_admit(struct shard *shard, struct conn *conn)
{
    if (shard->settings->proxy_protocol == PROXY_PROTOCOL_REQUIRE && !conn->proxy)
        refuse(shard, conn, 400, "bad_request", "this port is for proxies.trusted alone: listen.proxy-protocol is require", NULL);
    else if (shard->shedding) http_refuse(shard, conn, LIMIT_MEMORY);
    else if (!admission_count(shard, conn)) http_refuse(shard, conn, LIMIT_CONNECTIONS_PER_ADDRESS);
    else return;
    counter_add(&shard->counters, COUNTER_CONNECTIONS_REFUSED, 1);
}

void http_admit_later(struct shard *shard, struct conn *conn)
{
    bool foreign = shard->settings->proxy_protocol == PROXY_PROTOCOL_REQUIRE && !conn->proxy;
    if (!foreign && !shard->shedding && admission_count(shard, conn)) return;
    counter_add(&shard->counters, COUNTER_CONNECTIONS_REFUSED, 1);
    if (foreign || shard->shedding) conn_join(shard, conn, WHY_SHED); /* no handshake is worth while */
    else conn->refusal = LIMIT_CONNECTIONS_PER_ADDRESS + 1;
}

void http_refuse_plain(struct shard *shard, struct conn *conn)
{
    refuse(shard, conn, 400, "bad_request", "this port speaks TLS: use https:// or wss://", NULL);
}

size_t http_exchange_bytes(const struct conn *conn)
{
    const struct http_exchange *exchange = conn->exchange;
    if (!exchange) return 0;
    size_t bytes = sizeof *exchange + exchange->head.capacity + exchange->answer.capacity + exchange->body.capacity + exchange->rest.capacity;
    return bytes + (exchange->gather ? gather_bytes(exchange->gather) : 0);
}

void http_on_deadline(struct shard *shard, struct conn *conn)
{
    bool idle = !conn->exchange;
    if (idle && conn->blocked_ms && shard_now_ms(shard) - conn->blocked_ms < shard->settings->deadline_write_ms) {
        conn_deadline(shard, conn, shard->settings->deadline_write_ms); /* it still takes its answer, slowly */
        return;
    }
    counter_add(&shard->counters, COUNTER_CLOSED_DEADLINE, 1);
    if (idle) conn_linger(shard, conn); /* between requests nobody waits for an answer */
    else refuse(shard, conn, 408, "bad_request", conn->exchange->in_body ? "the request's body did not come in time" : "the request's head did not come in time", NULL);
}

struct http_exchange *http_expect_body(struct shard *shard, struct conn *conn, const struct http_request *request, enum body_use use)
{
    struct http_exchange *exchange = exchange_of(conn);
    exchange->in_body = true;
    exchange->chunked = request->chunked;
    exchange->left = request->has_length ? request->content_length : 0;
    exchange->use = use;
    exchange->keep_alive = request->keep_alive && request->minor > 0; /* HTTP/1.0 is answered and closed */
    exchange->head_only = request->method == HTTP_HEAD;
    conn_deadline(shard, conn, shard->settings->deadline_body_ms);
    if (request->expect_continue && use != BODY_DISCARD) conn_add(shard, conn, SPAN_LITERAL("HTTP/1.1 100 Continue\r\n\r\n"));
    return exchange;
}

struct http_exchange *http_expect_reply(struct conn *conn, const struct http_request *request)
{
    struct http_exchange *exchange = exchange_of(conn);
    exchange->in_body = exchange->ended = true;
    exchange->use = BODY_NONE;
    /* A body that nobody asked for is not read: the connection ends with the answer. */
    bool has_body = request->chunked || (request->has_length && request->content_length > 0);
    exchange->keep_alive = request->keep_alive && request->minor > 0 && !has_body;
    exchange->head_only = request->method == HTTP_HEAD;
    return exchange;
}

void http_expect_again(struct conn *conn, struct span head)
{
    struct http_exchange *exchange = exchange_of(conn);
    exchange->in_body = exchange->ended = true;
    exchange->use = BODY_NONE;
    text_add(&exchange->head, head);
}

bool http_awaits(const struct conn *conn)
{
    return conn->exchange && conn->exchange->ended && conn->asks > 0;
}

bool http_rest_waits(const struct conn *conn)
{
    return conn->exchange && (conn->exchange->rest.size > 0 || conn->exchange->ended);
}

void http_exchange_end(struct shard *shard, struct conn *conn, struct http_answer *answer)
{
    answer->head_only = conn->exchange->head_only;
    answer->close = !conn->exchange->keep_alive;
    http_exchange_free(conn);
    http_answer(shard, conn, answer);
}

void http_published(struct shard *shard, struct conn *conn, const struct publish_outcome *outcome)
{
    struct http_answer answer = { .status = 200 };
    struct text body = { 0 };
    if (!conn->exchange || conn->exchange->use != BODY_PUBLISH) return; /* its deadline has passed meanwhile */
    if (outcome->code) {
        answer.status = http_status_of(outcome->code);
        if (answer.status == 503) answer.headers = "Retry-After: 1\r\n";
        http_error_body(&body, outcome->code, outcome->why);
    } else {
        publish_write_reply(&body, "{", outcome);
        text_add_char(&body, '}');
    }
    answer.body = text_span(&body);
    http_exchange_end(shard, conn, &answer);
    text_free(&body);
}

void http_deleted(struct shard *shard, struct conn *conn, bool found)
{
    struct text body = { 0 };
    if (!conn->exchange) return;
    if (!found) http_error_body(&body, "not_found", "the topic has no update");
    http_exchange_end(shard, conn, &(struct http_answer){ .status = found ? 204 : 404, .body = text_span(&body) });
    text_free(&body);
}

static void publish_whole(struct shard *shard, struct conn *conn)
{
    struct http_exchange *exchange = conn->exchange;
    struct publish_outcome outcome;
    struct span topic = span_of(exchange->topic, exchange->topic_bytes);
    uint32_t ticket = pending_make(shard, conn, PENDING_HTTP, 0);
    publish_body(shard, topic, text_span(&exchange->body), exchange->key, ticket, &outcome);
    if (outcome.sent) {
        pending_sent(shard, ticket, SPAN_NONE, topic);
        return;
    }
    pending_drop(shard, ticket);
    if (outcome.full) {
        if (!conn_stall(shard, conn)) return;
        outcome.code = "busy";
        outcome.why = PUBLISH_STALLED_WHY;
    }
    conn_unstall(conn);
    http_published(shard, conn, &outcome);
}

static void end_lines(struct shard *shard, struct conn *conn)
{
    struct text body = { 0 };
    if (!publish_lines_last(shard, conn) || conn->asks > 0) return;
    publish_lines_end(conn->exchange, &body);
    http_exchange_end(shard, conn, &(struct http_answer){ .status = 200, .body = text_span(&body) });
    text_free(&body);
}

static void end_discard(struct shard *shard, struct conn *conn)
{
    struct text body = conn->exchange->answer;
    struct http_answer answer = { .status = conn->exchange->status, .type = conn->exchange->type, .headers = conn->exchange->headers, .body = text_span(&body) };
    conn->exchange->answer = (struct text){ 0 };
    http_exchange_end(shard, conn, &answer);
    text_free(&body);
}

static void serve_again(struct shard *shard, struct conn *conn)
{
    struct text head = conn->exchange->head;
    struct http_request request;
    struct http_fault fault;
    conn->exchange->head = (struct text){ 0 };
    http_exchange_free(conn);
    CHECK(http_request_decode(text_span(&head), head.size + 1, &request, &fault) == DECODE_DONE);
    http_route(shard, conn, text_span(&head), &request);
    text_free(&head);
}

void http_go_on(struct shard *shard, struct conn *conn)
{
    struct http_exchange *exchange = conn->exchange;
    if (exchange->rest.size > 0) {
        size_t served = publish_lines_feed(shard, conn, text_span(&exchange->rest));
        text_cut(&exchange->rest, 0, served);
        if (exchange->rest.size > 0) return;
        text_free(&exchange->rest);
    }
    if (!exchange->ended) return;
    switch (exchange->use) {
    case BODY_DISCARD: end_discard(shard, conn); break;
    case BODY_PUBLISH: publish_whole(shard, conn); break;
    case BODY_LINES: end_lines(shard, conn); break;
    case BODY_NONE:
        if (exchange->gather) gather_go_on(shard, conn);
        else if (exchange->head.size > 0) serve_again(shard, conn);
        break;
    }
}

/* A piece of the body; `last`: with it the body ends. */
static void take_body(struct shard *shard, struct conn *conn, struct span piece, bool last)
{
    struct http_exchange *exchange = conn->exchange;
    exchange->body_bytes += piece.size;
    uint64_t most = exchange->use == BODY_PUBLISH ? shard->settings->limits_payload + PUBLISH_SPACE_MAX : shard->settings->limits_body;
    if (exchange->body_bytes > most) { /* only where it is chunked: a length was judged before */
        refuse(shard, conn, 413, "too_large", limit_hit(shard, conn, exchange->use == BODY_PUBLISH ? LIMIT_PAYLOAD : LIMIT_BODY), NULL);
        return;
    }
    if (exchange->use == BODY_LINES) {
        size_t served = exchange->rest.size > 0 ? 0 : publish_lines_feed(shard, conn, piece);
        text_add(&exchange->rest, span_skip(piece, served));
    } else if (exchange->use == BODY_PUBLISH) {
        text_add(&exchange->body, piece);
    }
    exchange->ended = last;
    if (last) http_go_on(shard, conn);
}

static size_t feed_chunked(struct shard *shard, struct conn *conn, struct span bytes)
{
    struct http_exchange *exchange = conn->exchange;
    struct span piece;
    size_t eaten;
    switch (http_chunked_feed(&exchange->chunks, bytes, &piece, &eaten)) {
    case DECODE_DONE: take_body(shard, conn, span_of(bytes.bytes, 0), true); break;
    case DECODE_MORE: take_body(shard, conn, piece, false); break;
    case DECODE_BAD: refuse(shard, conn, 400, "bad_request", "the chunked body is malformed", NULL); return bytes.size;
    }
    return eaten > 0 ? eaten : bytes.size;
}

static size_t feed_body(struct shard *shard, struct conn *conn, struct span bytes)
{
    struct http_exchange *exchange = conn->exchange;
    if (exchange->chunked) return feed_chunked(shard, conn, bytes);
    size_t count = bytes.size < exchange->left ? bytes.size : (size_t)exchange->left;
    exchange->left -= count;
    take_body(shard, conn, span_of(bytes.bytes, count), exchange->left == 0);
    return count;
}

/* A head is complete. A body of no bytes ends at once. */
static void serve(struct shard *shard, struct conn *conn, struct span head, const struct http_request *request)
{
    counter_add(&shard->counters, COUNTER_HTTP_REQUESTS, 1);
    conn->asked = true;
    http_route(shard, conn, head, request);
    if (conn->exchange && conn->exchange->in_body && !conn->exchange->ended && !conn->exchange->chunked && conn->exchange->left == 0) take_body(shard, conn, span_of("", 0), true);
}

static void refuse_head(struct shard *shard, struct conn *conn, const struct http_fault *fault)
{
    bool too_large = fault->status == 414 || fault->status == 431;
    if (too_large) limit_hit(shard, conn, LIMIT_HEAD);
    refuse(shard, conn, fault->status, too_large ? "too_large" : "bad_request", fault->why, NULL);
}

/* A head in pieces: collected, and read again when a line has ended. */
static size_t feed_head(struct shard *shard, struct conn *conn, struct span bytes)
{
    struct http_exchange *exchange = exchange_of(conn);
    struct http_request request;
    struct http_fault fault;
    size_t before = exchange->head.size;
    if (before == 0) conn_deadline(shard, conn, shard->settings->deadline_head_ms);
    text_add(&exchange->head, bytes);
    /* a CR without LF ends no line, but shows a fault */
    bool line_ended = span_find(bytes, '\n') || span_find(bytes, '\r');
    if (!line_ended && exchange->head.size <= shard->settings->limits_head) return bytes.size;
    switch (http_request_decode(text_span(&exchange->head), shard->settings->limits_head, &request, &fault)) {
    case DECODE_MORE: return bytes.size;
    case DECODE_BAD: refuse_head(shard, conn, &fault); return bytes.size;
    case DECODE_DONE: break;
    }
    struct text head = exchange->head; /* the exchange may go while it is served */
    exchange->head = (struct text){ 0 };
    http_exchange_free(conn);
    serve(shard, conn, span_of(head.bytes, request.head_bytes), &request);
    text_free(&head);
    return request.head_bytes - before;
}

/* What a trusted proxy says before its client's first byte. */
static size_t feed_greeting(struct shard *shard, struct conn *conn, struct span bytes)
{
    struct http_exchange *exchange = exchange_of(conn);
    struct proxy_header header;
    const char *why;
    size_t before = exchange->head.size;
    text_add(&exchange->head, bytes);
    enum decode verdict = proxy_header_decode(text_span(&exchange->head), &header, &why);
    if (verdict == DECODE_MORE) return bytes.size;
    conn->greets = false;
    if (verdict == DECODE_DONE && header.version == 0 && shard->settings->proxy_protocol == PROXY_PROTOCOL_REQUIRE) {
        verdict = DECODE_BAD;
        why = "the connection must begin with the header of the PROXY protocol: listen.proxy-protocol is require";
    }
    if (verdict == DECODE_BAD) {
        refuse(shard, conn, 400, "bad_request", why, NULL);
        return bytes.size;
    }
    if (header.version == 0) { /* they are a request's */
        exchange->head.size = before;
        if (before == 0) http_exchange_free(conn);
        return http_feed(shard, conn, (char *)(uintptr_t)bytes.bytes, bytes.size);
    }
    http_exchange_free(conn);
    if (!header.proxied) return header.bytes - before;
    conn->address = header.source;
    conn->proxy = admission_trusts(shard, &conn->address);
    if (admission_count(shard, conn)) return header.bytes - before;
    counter_add(&shard->counters, COUNTER_CONNECTIONS_REFUSED, 1);
    http_refuse(shard, conn, LIMIT_CONNECTIONS_PER_ADDRESS);
    return bytes.size;
}

size_t http_feed(struct shard *shard, struct conn *conn, char *bytes, size_t size)
{
    struct span all = span_of(bytes, size);
    if (conn->greets) return feed_greeting(shard, conn, all);
    if (conn->exchange && conn->exchange->in_body) return feed_body(shard, conn, all);
    if (conn->exchange) return feed_head(shard, conn, all);
    struct http_request request;
    struct http_fault fault;
    switch (http_request_decode(all, shard->settings->limits_head, &request, &fault)) {
    case DECODE_MORE: return feed_head(shard, conn, all);
    case DECODE_BAD: refuse_head(shard, conn, &fault); return size;
    case DECODE_DONE: break;
    }
    serve(shard, conn, span_of(bytes, request.head_bytes), &request);
    return request.head_bytes;
}
