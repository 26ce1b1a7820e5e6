#include "gateway/session.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/base/check.h"
#include "core/proto/jwt.h"
#include "gateway/access.h"
#include "gateway/conn_parts.h"
#include "gateway/limits.h"
#include "gateway/memory.h"
#include "gateway/messages.h"
#include "gateway/pending.h"
#include "gateway/publish.h"
#include "gateway/request.h"
#include "gateway/subscribing.h"

/* Where a request stands: for its error, line counts from 1, 0 where the message is one request. */
struct asking {
    const struct request *request;
    uint32_t              line;
};

static void refuse(struct shard *shard, struct conn *conn, const struct asking *asking, const char *code, const char *why)
{
    message_error(shard, conn, asking->request->id, asking->line, code, why);
}

/* Requests of subscribing. */

static bool read_mode(struct span text, enum mode *mode)
{
    if (span_is(text, "latest")) *mode = MODE_LATEST;
    else if (span_is(text, "every")) *mode = MODE_EVERY;
    else return false;
    return true;
}

/* The same as a value of a request, where it may be spelled with escapes. */
static bool read_json_mode(const struct json_value *value, enum mode *mode)
{
    *mode = json_string_is(value, "every") ? MODE_EVERY : MODE_LATEST;
    return *mode == MODE_EVERY || json_string_is(value, "latest");
}

/* max_hz, after the mode: 0 is no limit. NULL, or what is wrong with it. */
static const char *read_max_hz(const struct json_value *value, struct subscribe_options *options)
{
    if (value->kind != JSON_NUMBER) return "\"max_hz\" must be a number";
    if (!json_double(value, &options->max_hz)) return "\"max_hz\" is beyond all bounds: 0 means no limit";
    if (options->max_hz < 0) return "\"max_hz\" must not be negative: 0 means no limit";
    if (options->max_hz > 0 && options->mode == MODE_EVERY) return "\"max_hz\" above 0 goes with mode \"latest\" only: \"every\" leaves nothing out";
    options->max_hz += 0.0; /* -0 is listed as 0 */
    return NULL;
}

/* The options of a request; NULL, or what is wrong with them. */
static const char *read_options(const struct request *request, struct subscribe_options *options)
{
    const struct json_value *values = request->values;
    *options = (struct subscribe_options){ .mode = MODE_LATEST, .snapshot = true };
    if (request_has(request, KEY_MODE) && !read_json_mode(&values[KEY_MODE], &options->mode))
        return "\"mode\" must be \"latest\" or \"every\"";
    if (request_has(request, KEY_MAX_HZ)) {
        const char *why = read_max_hz(&values[KEY_MAX_HZ], options);
        if (why) return why;
    }
    if (request_has(request, KEY_SNAPSHOT)) {
        enum json_kind kind = values[KEY_SNAPSHOT].kind;
        if (kind != JSON_TRUE && kind != JSON_FALSE) return "\"snapshot\" must be true or false";
        options->snapshot = kind == JSON_TRUE;
    }
    return NULL;
}

/* Requests take effect in order for each topic: what was published before, to whatever home, has taken effect first. */
static bool settled(struct conn *conn)
{
    conn->settles = conn->asks > 0;
    return !conn->settles;
}

static bool on_subscribe(struct shard *shard, struct conn *conn, const struct asking *asking)
{
    const struct request *request = asking->request;
    struct subscribe_options options;
    struct topics_asked asked;
    if (!settled(conn)) return false;
    topics_asked_init(shard, &asked);
    asked.code = access_read_fault(shard, conn, SPAN_NONE, asked.why); /* rights are judged before the topic */
    const char *why = asked.code ? NULL : read_options(request, &options);
    if (!why && !asked.code && !request_has(request, KEY_TOPICS)) why = "\"topics\" is missing";
    if (why || asked.code) {
        refuse(shard, conn, asking, why ? "bad_request" : asked.code, why ? why : asked.why);
        topics_asked_free(&asked);
        return true;
    }
    enum readiness readiness = READY_NEVER;
    bool fine = topics_asked_add_array(shard, &asked, &request->values[KEY_TOPICS])
                && access_subscribe(shard, conn, &asked, &options)
                && (!request_has(request, KEY_RESUME) || topics_asked_resume(shard, &asked, &request->values[KEY_RESUME]));
    if (fine) readiness = subscribing_prepare(shard, conn, &asked);
    if (readiness == READY && !subscribing_begin(shard, conn, request->id, request->id.bytes != NULL, &asked, &options)) readiness = READY_NEVER;
    if (readiness == READY_NEVER) refuse(shard, conn, asking, asked.code, asked.why);
    if (asked.untold) memory_shed(shard, conn);
    topics_asked_free(&asked);
    return readiness != NOT_READY;
}

/* False: there is no memory for it. */
static bool write_unsubscribed(struct shard *shard, struct conn *conn, struct span id, const struct topics_asked *asked)
{
    enum { AROUND_BYTES = 3 };
    message_begin(shard, "unsubscribed", id);
    text_add_string(&shard->scratch, ",\"topics\":");
    for (uint32_t i = 0; i < asked->count; i++) {
        struct span name = topics_asked_name(shard, &asked->list[i]);
        if (!message_fits(shard, conn, name.size + AROUND_BYTES)) return false;
        text_add_string(&shard->scratch, i == 0 ? "[\"" : ",\"");
        text_add(&shard->scratch, name);
        text_add_char(&shard->scratch, '"');
    }
    text_add_char(&shard->scratch, ']');
    message_send(shard, conn);
    return true;
}

static bool on_unsubscribe(struct shard *shard, struct conn *conn, const struct asking *asking)
{
    const struct request *request = asking->request;
    struct topics_asked asked;
    if (!settled(conn)) return false;
    topics_asked_init(shard, &asked);
    if (!request_has(request, KEY_TOPICS)) refuse(shard, conn, asking, "bad_request", "\"topics\" is missing");
    else if (!topics_asked_add_array(shard, &asked, &request->values[KEY_TOPICS])) refuse(shard, conn, asking, asked.code, asked.why);
    else {
        for (uint32_t i = 0; i < asked.count; i++) subscribing_end(shard, conn, &asked.list[i]);
        if (request->id.bytes && !write_unsubscribed(shard, conn, request->id, &asked)) memory_shed(shard, conn);
    }
    topics_asked_free(&asked);
    return true;
}

/* What stands around the names of one subscription in a list, or in an ack. */
enum { LISTED_BYTES = 128 };

/* With as many digits as it needs. */
static void add_real(struct text *text, double real)
{
    char digits[40];
    bool whole = real < 1e15 && real == (double)(uint64_t)real;
    if (whole) snprintf(digits, sizeof digits, "%.0f", real);
    for (int precision = 1; !whole && precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, real);
        if (strtod(digits, NULL) == real) break;
    }
    text_add_string(text, digits);
}

static void add_listed(struct text *text, struct span topic, uint8_t mode, double max_hz)
{
    bool first = text->bytes[text->size - 1] == '[';
    text_add_string(text, first ? "{\"topic\":\"" : ",{\"topic\":\"");
    text_add(text, topic);
    text_print(text, "\",\"mode\":\"%s\",\"max_hz\":", mode == MODE_EVERY ? "every" : "latest");
    add_real(text, max_hz);
}

/* False: there is no memory for it. */
static bool write_list(struct shard *shard, struct conn *conn, struct span id)
{
    const struct engine *engine = &shard->engine;
    struct text *text = &shard->scratch;
    message_begin(shard, "subscriptions", id);
    text_add_string(text, ",\"topics\":[");
    for (uint32_t at = conn->subscriber.patterns_first; at != POOL_NONE;) {
        const struct pattern_subscription *pattern = pool_at(&engine->patterns.subscriptions, at);
        if (!message_fits(shard, conn, LISTED_BYTES + TOPIC_NAME_BYTES_MAX)) return false;
        add_listed(text, pattern_text(&engine->patterns, at), pattern->mode, pattern->max_hz);
        text_add_char(text, '}');
        at = pattern->sibling_next;
    }
    for (uint32_t at = conn->subscriber.siblings_first; at != POOL_NONE;) {
        const struct subscription *subscription = subscription_at(&engine->locals.subscriptions, at);
        if (!message_fits(shard, conn, LISTED_BYTES + 2 * TOPIC_NAME_BYTES_MAX)) return false;
        add_listed(text, local_topic_name(local_topic_at(&engine->locals, subscription->local)), subscription->mode, pace_max_hz(engine, at));
        text_print(text, ",\"seq\":%llu", (unsigned long long)(subscription_due_seq(subscription) - 1));
        if (subscription->by != BY_NAME) {
            text_add_string(text, ",\"by\":\"");
            text_add(text, pattern_text(&engine->patterns, subscription->by));
            text_add_char(text, '"');
        }
        text_add_char(text, '}');
        at = subscription->sibling_next;
    }
    text_add_char(text, ']');
    message_send(shard, conn);
    return true;
}

static bool on_list(struct shard *shard, struct conn *conn, const struct asking *asking)
{
    if (!write_list(shard, conn, asking->request->id)) memory_shed(shard, conn);
    return true;
}

static bool on_ping(struct shard *shard, struct conn *conn, const struct asking *asking)
{
    message_begin(shard, "pong", asking->request->id);
    text_print(&shard->scratch, ",\"ts\":%llu", (unsigned long long)shard->clock.wall_us);
    message_send(shard, conn);
    return true;
}

static bool on_auth(struct shard *shard, struct conn *conn, const struct asking *asking)
{
    const struct request *request = asking->request;
    const struct json_value *token = &request->values[KEY_TOKEN];
    const char *why;
    char room[JWT_BYTES_MAX];
    if (!request_has(request, KEY_TOKEN) || token->kind != JSON_STRING) {
        refuse(shard, conn, asking, "bad_request", "\"token\" is missing or not a string");
        return true;
    }
    struct span text = json_string_inside(token);
    if (token->escaped) {
        long size = json_string_unescape(token, room, sizeof room);
        text = span_of(room, size < 0 ? 0 : (size_t)size);
    }
    if (!access_show(shard, conn, text, &why)) {
        refuse(shard, conn, asking, "unauthorized", why);
        return true;
    }
    if (request->id.bytes) {
        int64_t left_ms = access_left_ms(shard, conn);
        message_begin(shard, "authenticated", request->id);
        if (left_ms >= 0) text_print(&shard->scratch, ",\"expires_ms\":%lld", (long long)left_ms);
        message_send(shard, conn);
    }
    access_settle(shard, conn);
    return true;
}

/* Publishing. */

static bool on_publish(struct shard *shard, struct conn *conn, const struct asking *asking)
{
    const struct request *request = asking->request;
    struct publish_request publish = publish_request_of(request, conn->credential);
    struct publish_outcome outcome;
    uint32_t ticket = pending_make(shard, conn, PENDING_PUBLISH, asking->line);
    publish_one(shard, &publish, ticket, &outcome);
    if (outcome.sent) {
        pending_sent(shard, ticket, request->id, outcome.topic);
        conn_unstall(conn);
        return true;
    }
    pending_drop(shard, ticket);
    if (outcome.full) {
        if (!conn_stall(shard, conn)) return false;
        outcome.code = "busy";
        outcome.why = PUBLISH_STALLED_WHY;
    }
    conn_unstall(conn);
    message_published(shard, conn, request->id, asking->line, &outcome);
    /* Publishing is not measured; being refused is, but for want of room. */
    bool fault = outcome.code && strcmp(outcome.code, "busy") != 0;
    if (fault && limit_request(shard, conn, 1) == REQUEST_ABUSE) conn_close(shard, conn, WS_CLOSE_RATE_LIMITED, limit_why(LIMIT_REQUESTS_PER_SECOND));
    return true;
}

/* Requests. */

static const struct op {
    const char *name;
    bool (*serve)(struct shard *, struct conn *, const struct asking *);
} ops[] = {
    { "publish", on_publish }, { "subscribe", on_subscribe }, { "unsubscribe", on_unsubscribe },
    { "ping", on_ping },       { "list", on_list },           { "auth", on_auth },
};

/* It came too often: told so; who goes on is sent away. */
static void refuse_excess(struct shard *shard, struct conn *conn, const struct asking *asking, enum request_verdict verdict)
{
    refuse(shard, conn, asking, limit_code(LIMIT_REQUESTS_PER_SECOND), limit_why(LIMIT_REQUESTS_PER_SECOND));
    if (verdict == REQUEST_ABUSE) conn_close(shard, conn, WS_CLOSE_RATE_LIMITED, limit_why(LIMIT_REQUESTS_PER_SECOND));
}

/* Any other than a publish. */
static bool serve_measured(struct shard *shard, struct conn *conn, const struct asking *asking, const struct op *op)
{
    enum { LISTED_AT_ONCE = 64 }; /* a long list is as much work as many requests */
    uint64_t count = op && op->serve == on_list ? 1 + conn->subscriber.subscriptions_count / LISTED_AT_ONCE : 1;
    enum request_verdict verdict = limit_request(shard, conn, count);
    const struct request *request = asking->request;
    if (verdict != REQUEST_FINE) refuse_excess(shard, conn, asking, verdict);
    else if (request->code) refuse(shard, conn, asking, request->code, request->why);
    else if (!request_has(request, KEY_OP) || request->values[KEY_OP].kind != JSON_STRING) refuse(shard, conn, asking, "bad_request", "\"op\" is missing or not a string");
    else if (!op) refuse(shard, conn, asking, "unknown_op", "\"op\" must be one of subscribe, unsubscribe, publish, auth, list, ping");
    else if (!op->serve(shard, conn, asking)) {
        limit_request_back(shard, conn, count);
        return false;
    }
    conn->hears = false; /* it was for this request, which may have been refused before it came to it again */
    return true;
}

/* False: it waits for other shards, and is to come again as a whole. */
static bool on_request(struct shard *shard, struct conn *conn, const struct asking *asking)
{
    const struct request *request = asking->request;
    counter_add(&shard->counters, COUNTER_REQUESTS, 1);
    bool named = !request->code && request_has(request, KEY_OP) && request->values[KEY_OP].kind == JSON_STRING;
    for (size_t i = 0; named && i < sizeof ops / sizeof *ops; i++) {
        if (!json_string_is(&request->values[KEY_OP], ops[i].name)) continue;
        return ops[i].serve == on_publish ? on_publish(shard, conn, asking) : serve_measured(shard, conn, asking, &ops[i]);
    }
    return serve_measured(shard, conn, asking, NULL);
}

static size_t line_bytes(struct span text)
{
    const char *end = span_find(text, '\n');
    return end ? (size_t)(end - text.bytes) : text.size;
}

static bool on_line(struct shard *shard, struct conn *conn, struct span text, uint32_t line)
{
    struct request request;
    if (request_blank(text)) return true;
    request_read_line(text, &request);
    return on_request(shard, conn, &(struct asking){ &request, line });
}

/* A line with its end. */
static size_t whole_line(struct span text)
{
    size_t bytes = line_bytes(text);
    return bytes < text.size ? bytes + 1 : bytes;
}

/* So that a message of a megabyte of updates is not one turn, in which it would outrun those who read. */
enum { LINES_BYTES_MAX = 16 * 1024 };

size_t session_on_lines(struct shard *shard, struct conn *conn, struct span text, uint32_t *line)
{
    size_t served = 0;
    while (served < text.size && served < LINES_BYTES_MAX && shard->toil < LINES_BYTES_MAX && conn->state == CONN_OPEN && !conn_must_wait(conn)) {
        struct span rest = span_skip(text, served);
        if (!on_line(shard, conn, span_of(rest.bytes, line_bytes(rest)), *line + 1)) break;
        ++*line;
        served += whole_line(rest);
    }
    return served;
}

size_t session_on_message(struct shard *shard, struct conn *conn, struct span text, uint32_t *line)
{
    struct request request;
    size_t end = request_read(text, &request), served = 0;
    *line = 0;
    if (request.complete && request_blank(span_skip(text, end))) { /* one object as a whole */
        return on_request(shard, conn, &(struct asking){ &request, 0 }) ? text.size : 0;
    }
    /* Otherwise each line is one. What was read above is the first line's, where it ends on it: not to be scanned again. */
    size_t first_bytes = line_bytes(text);
    if (request.complete && end <= first_bytes && request_blank(span_of(text.bytes + end, first_bytes - end))) {
        if (!on_request(shard, conn, &(struct asking){ &request, 1 })) return 0;
        *line = 1;
        served = whole_line(text);
    }
    return served + session_on_lines(shard, conn, span_skip(text, served), line);
}

/* The handshake's query. */

static bool read_format(const struct session_query *query, bool deflates, enum wire_format *format)
{
    bool batch = false;
    *format = FORMAT_JSON;
    if (query->format.bytes)
        while (!span_is(query->format, formats[*format].name))
            if (++*format > FORMAT_RAW) return false;
    if (query->batch.bytes) query_boolean(query->batch, &batch);
    if (batch && *format == FORMAT_JSON) *format = FORMAT_LINES;
    if (batch && *format == FORMAT_ARRAY) *format = FORMAT_ARRAY_LINES;
    if (deflates && *format <= FORMAT_RAW) *format += FORMAT_JSON_DEFLATED - FORMAT_JSON;
    return true;
}

const char *session_query_fault(const struct session_query *query, struct conn *conn, struct subscribe_options *options)
{
    *options = (struct subscribe_options){ .mode = MODE_LATEST, .snapshot = true };
    if (query->fault) return query->fault;
    if (query->mode.bytes && !read_mode(query->mode, &options->mode)) return "mode must be latest or every";
    enum wire_format format;
    if (!read_format(query, conn->deflates, &format)) return "format must be json, array or raw";
    bool batch;
    if (query->snapshot.bytes && !query_boolean(query->snapshot, &options->snapshot)) return "snapshot must be true, false, 1 or 0";
    if (query->batch.bytes && !query_boolean(query->batch, &batch)) return "batch must be true, false, 1 or 0";
    if (query->max_hz.bytes) {
        struct json_value number;
        if (json_validate(query->max_hz, 1, &number) != JSON_OK) return "max_hz must be a number";
        const char *why = read_max_hz(&number, options);
        if (why) return why;
    }
    if (query->heartbeat_ms.bytes) {
        uint64_t heartbeat_ms;
        if (!query_number(query->heartbeat_ms, 1000, 60000, &heartbeat_ms)) return "heartbeat_ms must be from 1000 to 60000";
        conn->heartbeat_ms = (uint32_t)heartbeat_ms;
    }
    return NULL;
}

bool session_prepare(struct shard *shard, struct conn *conn, const struct session_query *query)
{
    struct topics_asked asked;
    struct subscribe_options options = { .mode = MODE_LATEST };
    bool ready = true; /* what is wrong is told after the handshake */
    if (!read_format(query, conn->deflates, &conn->subscriber.format)) conn->subscriber.format = FORMAT_JSON;
    if (query->fault || query->token_fault || query->topics.size == 0) return true;
    topics_asked_init(shard, &asked);
    if (topics_asked_add_list(shard, &asked, query->topics) && access_subscribe(shard, conn, &asked, &options)) ready = subscribing_prepare(shard, conn, &asked) != NOT_READY;
    topics_asked_free(&asked);
    return ready;
}

/* 4400 is final: clients that took it for that would never ask again for what has no room now. */
static uint16_t close_code_of(const char *code, bool passes)
{
    if (passes) return WS_CLOSE_TRY_LATER;
    if (strcmp(code, "unauthorized") == 0) return WS_CLOSE_UNAUTHORIZED;
    return strcmp(code, "forbidden") == 0 ? WS_CLOSE_FORBIDDEN : WS_CLOSE_BAD_REQUEST;
}

void session_begin(struct shard *shard, struct conn *conn, const struct session_query *query)
{
    struct subscribe_options options;
    struct topics_asked asked;
    const char *why = session_query_fault(query, conn, &options), *code = "bad_request";
    conn_open(shard, conn, CONN_KIND_SESSION);
    message_hello(shard, conn);
    if (query->token_fault) {
        message_error(shard, conn, SPAN_NONE, 0, "unauthorized", query->token_fault);
        conn_close(shard, conn, WS_CLOSE_UNAUTHORIZED, query->token_fault);
        return;
    }
    topics_asked_init(shard, &asked);
    if (!why && query->topics.size > 0) {
        asked.code = access_read_fault(shard, conn, SPAN_NONE, asked.why);
        bool done = !asked.code && topics_asked_add_list(shard, &asked, query->topics) && access_subscribe(shard, conn, &asked, &options)
                    && subscribing_begin(shard, conn, SPAN_NONE, true, &asked, &options);
        if (!done) code = asked.code, why = asked.why;
    }
    if (why) {
        message_error(shard, conn, SPAN_NONE, 0, code, why);
        conn_close(shard, conn, close_code_of(code, asked.passes), why);
    }
    if (asked.untold) memory_shed(shard, conn);
    topics_asked_free(&asked);
}
