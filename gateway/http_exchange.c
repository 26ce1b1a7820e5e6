#include "gateway/http_exchange.h"

#include <stdlib.h>

#include "core/base/check.h"
#include "gateway/http_answer.h"
#include "gateway/http_routes.h"
#include "gateway/publish.h"
#include "gateway/publish_lines.h"

void http_exchange_free(struct conn *conn)
{
    struct http_exchange *exchange = conn->exchange;
    text_free(&exchange->head);
    text_free(&exchange->answer);
    text_free(&exchange->body);
    free(exchange);
    conn->exchange = NULL;
}

static struct http_exchange *exchange_of(struct conn *conn)
{
    if (!conn->exchange) conn->exchange = calloc(1, sizeof *conn->exchange);
    CHECK(conn->exchange);
    return conn->exchange;
}

static void refuse(struct shard *shard, struct conn *conn, uint16_t status, const char *code, const char *why, const char *headers)
{
    struct text body = { 0 };
    http_error_body(&body, code, why);
    http_answer(shard, conn, &(struct http_answer){ .status = status, .body = text_span(&body), .headers = headers, .close = true });
    text_free(&body);
}

void http_refuse_full(struct shard *shard, struct conn *conn)
{
    refuse(shard, conn, 503, "busy", "limits.connections is reached", "Retry-After: 5\r\n");
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

/* The body has come as a whole. */
static void end_body(struct shard *shard, struct conn *conn, struct span last)
{
    struct http_exchange *exchange = conn->exchange;
    struct http_answer answer = { .status = 200, .head_only = exchange->head_only, .close = !exchange->keep_alive };
    struct text body = { 0 };
    if (exchange->use == BODY_DISCARD) {
        answer.status = exchange->status;
        answer.type = exchange->type;
        answer.headers = exchange->headers;
        text_add(&body, text_span(&exchange->answer));
    } else if (exchange->use == BODY_LINES) {
        publish_lines_end(shard, exchange, &body);
    } else {
        struct publish_outcome outcome;
        if (exchange->body.size > 0) text_add(&exchange->body, last);
        publish_body(shard, span_of(exchange->topic, exchange->topic_bytes), exchange->body.size > 0 ? text_span(&exchange->body) : last, exchange->key, &outcome);
        if (outcome.code) {
            answer.status = http_status_of(outcome.code);
            if (answer.status == 503) answer.headers = "Retry-After: 1\r\n";
            http_error_body(&body, outcome.code, outcome.why);
        } else {
            publish_write_reply(&body, "{", &outcome);
            text_add_char(&body, '}');
        }
    }
    answer.body = text_span(&body);
    http_exchange_free(conn);
    http_answer(shard, conn, &answer);
    text_free(&body);
}

/* A piece of the body; `last`: with it the body ends. */
static void take_body(struct shard *shard, struct conn *conn, struct span piece, bool last)
{
    struct http_exchange *exchange = conn->exchange;
    exchange->body_bytes += piece.size;
    uint64_t most = exchange->use == BODY_PUBLISH ? shard->settings->limits_payload + PUBLISH_SPACE_MAX : shard->settings->limits_body;
    if (exchange->body_bytes > most) { /* only where it is chunked: a length was judged before */
        refuse(shard, conn, 413, "too_large", exchange->use == BODY_PUBLISH ? "the payload is larger than limits.payload" : "the body is larger than limits.body", NULL);
        return;
    }
    if (exchange->use == BODY_LINES) publish_lines_feed(shard, exchange, piece);
    else if (exchange->use == BODY_PUBLISH && !last) text_add(&exchange->body, piece);
    if (last) end_body(shard, conn, piece);
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
    http_route(shard, conn, head, request);
    if (conn->exchange && conn->exchange->in_body && !conn->exchange->chunked && conn->exchange->left == 0) take_body(shard, conn, span_of("", 0), true);
}

static void refuse_head(struct shard *shard, struct conn *conn, const struct http_fault *fault)
{
    refuse(shard, conn, fault->status, fault->status == 414 || fault->status == 431 ? "too_large" : "bad_request", fault->why, NULL);
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
    bool line_ended = memchr(bytes.bytes, '\n', bytes.size) != NULL;
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

size_t http_feed(struct shard *shard, struct conn *conn, char *bytes, size_t size)
{
    struct span all = span_of(bytes, size);
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
