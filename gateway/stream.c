#include "gateway/stream.h"

#include <stdio.h>

#include "gateway/access.h"
#include "gateway/http_answer.h"
#include "gateway/http_call.h"
#include "gateway/http_exchange.h"
#include "gateway/memory.h"
#include "gateway/messages.h"
#include "gateway/origin.h"
#include "gateway/publish.h"
#include "gateway/session.h"
#include "gateway/subscribing.h"

enum {
    TOPICS_MAX = 100,
    POSITION_INTERVAL_MS = 1000,
    POSITION_BYTES_MAX = 8 * 1024, /* it comes back in a head, of which limits.head allows 16 KiB; topics beyond it begin anew */
};

/* ---- the position ---------------------------------------------------------------------------------------------------- */

/* Of which topics a position is: names and patterns of a request, in any order. The same in each gateway and each life of one. */
static uint64_t names_sum(uint64_t sum, struct span name)
{
    static const uint8_t key[SIPHASH_KEY_BYTES];
    return sum + siphash(key, name);
}

static uint64_t names_followed(const struct shard *shard, const struct conn *conn)
{
    const struct engine *engine = &shard->engine;
    uint64_t sum = 0;
    for (uint32_t at = conn->subscriber.patterns_first; at != POOL_NONE;) {
        const struct pattern_subscription *pattern = pool_at(&engine->patterns.subscriptions, at);
        sum = names_sum(sum, pattern_text(&engine->patterns, at));
        at = pattern->sibling_next;
    }
    for (uint32_t at = conn->subscriber.siblings_first; at != POOL_NONE;) {
        const struct subscription *subscription = subscription_at(&engine->locals.subscriptions, at);
        if (subscription->by == BY_NAME) sum = names_sum(sum, local_topic_name(local_topic_at(&engine->locals, subscription->local)));
        at = subscription->sibling_next;
    }
    return sum;
}

static uint64_t names_asked(const struct shard *shard, const struct topics_asked *asked)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < asked->count; i++) sum = names_sum(sum, topics_asked_name(shard, &asked->list[i]));
    return sum;
}

/* One topic's part: <epoch>:<seq>:<name>, the name percent-encoded, so that it can stand in a header. False: it has none, since nothing of
 * it was sent. */
static bool add_part(struct shard *shard, const struct subscription *subscription, struct text *text)
{
    const struct local_topic *local = local_topic_at(&shard->engine.locals, subscription->local);
    uint64_t due_seq = subscription_due_seq(subscription);
    if (subscription->life != local->life || local->life == 0 || due_seq <= 1) return false;
    text_add(text, span_of(local->epoch, EPOCH_BYTES));
    text_print(text, ":%llu:", (unsigned long long)due_seq - 1);
    struct span name = local_topic_name(local);
    for (size_t i = 0; i < name.size; i++) {
        uint8_t byte = (uint8_t)name.bytes[i];
        if (byte > ' ' && byte < 0x7f && byte != '%') text_add_char(text, (char)byte);
        else text_print(text, "%%%02X", byte);
    }
    return true;
}

/* The parts of all topics of which something was sent. Where they are all, a last part says so, by the names that were asked for: after a break the
 * others, which were not there yet, begin with their first update and not with their newest. */
static void add_position(struct shard *shard, struct conn *conn)
{
    bool all = true;
    struct text *text = &shard->scratch;
    const struct pool *subscriptions = &shard->engine.locals.subscriptions;
    text->size = 0;
    text_add_string(text, "id: ");
    size_t start = text->size;
    for (uint32_t at = conn->subscriber.siblings_first; at != POOL_NONE; at = subscription_at(subscriptions, at)->sibling_next) {
        size_t before = text->size;
        if (before > start) text_add_char(text, ',');
        bool has_part = add_part(shard, subscription_at(subscriptions, at), text);
        if (has_part && text->size - start <= POSITION_BYTES_MAX) continue;
        text->size = before;
        all = all && !has_part;
        if (before - start > POSITION_BYTES_MAX - 512) { /* no part is longer */
            all = false;
            break;
        }
    }
    if (all) text_print(text, "%s*%016llx", text->size > start ? "," : "", (unsigned long long)names_followed(shard, conn));
    if (text->size == start) return;
    text_add_string(text, "\n\n");
    conn_add(shard, conn, text_span(text));
}

void stream_moved(struct shard *shard, struct conn *conn)
{
    if (conn->moved) return;
    conn->moved = true;
    uint64_t now_ms = shard_now_ms(shard), due_ms = conn->position_ms + POSITION_INTERVAL_MS;
    if (due_ms <= now_ms) due_ms = now_ms + 1; /* what is about to be sent belongs to it */
    if (conn->timer.due_ms > due_ms) wheel_arm(&shard->wheel, &conn->timer, due_ms);
}

uint64_t stream_tell_position(struct shard *shard, struct conn *conn)
{
    uint64_t now_ms = shard_now_ms(shard);
    if (!conn->moved) return UINT64_MAX;
    if (now_ms < conn->position_ms + POSITION_INTERVAL_MS) return conn->position_ms + POSITION_INTERVAL_MS;
    if (conn->subscriber.blocked) return now_ms + POSITION_INTERVAL_MS; /* one that waits would be old when it is taken */
    conn->moved = false;
    conn->position_ms = now_ms;
    add_position(shard, conn);
    return UINT64_MAX;
}

/* The part that says that there are no more: `*` and the sum of the names, which must be those of this request. */
static bool is_last_part(const struct shard *shard, const struct topics_asked *asked, struct span part)
{
    char expected[18];
    snprintf(expected, sizeof expected, "*%016llx", (unsigned long long)names_asked(shard, asked));
    return span_is(part, expected);
}

/* What Last-Event-ID says; parts that say nothing are left out: those topics begin anew. */
static void read_position(struct shard *shard, struct topics_asked *asked, struct span position)
{
    while (position.size > 0) {
        const char *comma = span_find(position, ',');
        struct span part = span_of(position.bytes, comma ? (size_t)(comma - position.bytes) : position.size);
        position = span_skip(position, comma ? part.size + 1 : part.size);
        if (is_last_part(shard, asked, part)) asked->resume_rest = true;
        const char *colon = part.size > EPOCH_BYTES ? span_find(span_skip(part, EPOCH_BYTES + 1), ':') : NULL;
        if (!colon || part.bytes[EPOCH_BYTES] != ':') continue;
        struct span digits = span_of(part.bytes + EPOCH_BYTES + 1, (size_t)(colon - part.bytes) - EPOCH_BYTES - 1);
        struct span encoded = span_skip(part, (size_t)(colon + 1 - part.bytes));
        char name[3 * TOPIC_NAME_BYTES_MAX];
        uint64_t seq;
        long size = encoded.size <= sizeof name ? http_percent_decode(encoded, name) : 0;
        if (size <= 0 || !query_number(digits, 1, INT64_MAX, &seq)) continue;
        topics_asked_resume_at(shard, asked, span_of(name, (size_t)size), span_of(part.bytes, EPOCH_BYTES), seq);
    }
}

/* ---- the request ----------------------------------------------------------------------------------------------------- */

/* What the query asks for, before anybody is asked for its topics; NULL, or the code of what is wrong. */
static const char *read_query(const struct http_call *call, struct subscribe_options *options, struct topics_asked *asked, const char **why)
{
    static const char *const names[] = { "topics", "mode", "snapshot", "max_hz", "heartbeat_ms" };
    struct span values[5];
    struct session_query query = { .fault = call_parameters(call, names, values, 5) };
    query.topics = values[0], query.mode = values[1], query.snapshot = values[2], query.max_hz = values[3], query.heartbeat_ms = values[4];
    struct conn *conn = call->conn;
    const char *code = access_read_fault(call->shard, conn, SPAN_NONE, asked->why);
    *why = asked->why;
    if (code) return code;
    *why = session_query_fault(&query, conn, options);
    if (!*why && query.topics.size == 0) *why = "topics is missing or empty: name at least one";
    if (*why) return "bad_request";
    if (!topics_asked_add_list(call->shard, asked, query.topics) || !access_subscribe(call->shard, conn, asked, options)) {
        *why = asked->why;
        return asked->code;
    }
    *why = "a stream follows at most 100 topics";
    if (asked->count > TOPICS_MAX) return "bad_request";
    *why = NULL;
    read_position(call->shard, asked, call->request->last_event_id);
    return NULL;
}

static void begin(const struct http_call *call, struct topics_asked *asked, const struct subscribe_options *options)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\nX-Accel-Buffering: no\r\nConnection: close\r\n";
    struct shard *shard = call->shard;
    struct conn *conn = call->conn;
    size_t before = conn->out.size;
    shard->scratch.size = 0;
    text_add_string(&shard->scratch, head); /* it ends with the connection, and each event says where it ends */
    http_add_date(shard, &shard->scratch);
    origin_add_headers(shard, conn, &shard->scratch);
    text_add_string(&shard->scratch, "\r\n");
    conn_add(shard, conn, text_span(&shard->scratch));
    if (call->request->method == HTTP_HEAD) {
        conn_linger(shard, conn);
        return;
    }
    message_hello(shard, conn);
    if (subscribing_begin(shard, conn, SPAN_NONE, true, asked, options)) {
        conn_open(shard, conn, CONN_KIND_STREAM);
        if (asked->untold) memory_shed(shard, conn);
        return;
    }
    conn->out.size = before; /* nothing of it was said */
    call_error(call, asked->code, asked->why);
}

static void serve(const struct http_call *call, struct topics_asked *asked)
{
    struct shard *shard = call->shard;
    struct subscribe_options options;
    const char *why, *code = read_query(call, &options, asked, &why);
    if (!code) {
        call->conn->subscriber.format = FORMAT_SSE;
        switch (subscribing_prepare(shard, call->conn, asked)) {
        case NOT_READY: http_expect_again(call->conn, call->head); return;
        case READY: begin(call, asked, &options); return;
        case READY_NEVER: code = asked->code, why = asked->why;
        }
    }
    call_error(call, code, why);
}

void http_stream(const struct http_call *call)
{
    struct topics_asked asked;
    if (call->request->chunked || (call->request->has_length && call->request->content_length > 0)) {
        call_error(call, "bad_request", "a stream's request has no body");
        return;
    }
    if (call->shard->state != SHARD_OPEN) {
        call_error(call, "shutting_down", "the gateway is draining");
        return;
    }
    if (!call_admitted(call)) return;
    topics_asked_init(call->shard, &asked);
    serve(call, &asked);
    topics_asked_free(&asked);
    if (call->conn->state != CONN_HTTP || call->conn->awaits > 0) return;
    call->conn->subscriber.format = FORMAT_JSON; /* refused: it may become a WebSocket yet */
    call->conn->heartbeat_ms = (uint32_t)call->shard->settings->heartbeat_ms;
}
