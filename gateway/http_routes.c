#include "gateway/http_routes.h"

#include <stdio.h>

#include "core/base/check.h"
#include "core/proto/topic_name.h"
#include "gateway/access.h"
#include "gateway/http_answer.h"
#include "gateway/http_call.h"
#include "gateway/http_exchange.h"
#include "gateway/limits.h"
#include "gateway/messages.h"
#include "gateway/origin.h"
#include "gateway/pending.h"
#include "gateway/publish.h"
#include "gateway/publish_lines.h"
#include "gateway/session.h"
#include "gateway/stream.h"
#include "gateway/web.h"

uint16_t http_status_of(const char *code)
{
    static const struct {
        const char *code;
        uint16_t    status;
    } statuses[] = {
        { "bad_request", 400 }, { "bad_json", 400 },  { "bad_topic", 400 },     { "bad_payload", 400 },  { "unauthorized", 401 },
        { "forbidden", 403 },   { "not_found", 404 }, { "too_large", 413 },     { "rate_limited", 429 }, { "too_many_topics", 503 },
        { "busy", 503 },        { "shutting_down", 503 },
    };
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        if (strcmp(statuses[i].code, code) == 0) return statuses[i].status;
    return 500;
}

static bool has_body(const struct http_request *request)
{
    return request->chunked || (request->has_length && request->content_length > 0);
}

/* HTTP/1.0 is answered and closed, whatever it asks for. */
static bool call_keeps_alive(const struct http_request *request)
{
    return request->keep_alive && request->minor > 0;
}

void call_answer(const struct http_call *call, uint16_t status, const char *type, const char *headers, struct span body)
{
    const struct http_request *request = call->request;
    if (has_body(request) && !request->expect_continue) { /* it is read first, so that what follows it is the next request; who waits for our 100 gets the answer instead */
        if (!request->chunked && request->content_length <= call->shard->settings->limits_body) {
            struct http_exchange *exchange = http_expect_body(call->shard, call->conn, request, BODY_DISCARD);
            exchange->status = status;
            exchange->type = type;
            exchange->headers = headers;
            text_add(&exchange->answer, body);
            return;
        }
    }
    http_answer(call->shard, call->conn,
                &(struct http_answer){
                    .status = status,
                    .type = type,
                    .headers = headers,
                    .body = body,
                    .head_only = request->method == HTTP_HEAD,
                    .close = !call_keeps_alive(request) || has_body(request),
                });
}

void call_refuse(const struct http_call *call, uint16_t status, const char *code, const char *why, const char *headers)
{
    struct text body = { 0 };
    http_error_body(&body, code, why);
    call_answer(call, status, NULL, headers, text_span(&body));
    text_free(&body);
}

void call_error(const struct http_call *call, const char *code, const char *why)
{
    uint16_t status = http_status_of(code);
    call_refuse(call, status, code, why, status == 503 ? "Retry-After: 1\r\n" : status == 401 ? "WWW-Authenticate: Bearer\r\n" : NULL);
}

bool call_admitted(const struct http_call *call)
{
    if (admission_forwarded(call->shard, call->conn, call->head, call->request)) return true;
    counter_add(&call->shard->counters, COUNTER_CONNECTIONS_REFUSED, 1);
    call_refuse(call, 429, limit_code(LIMIT_CONNECTIONS_PER_ADDRESS), limit_hit(call->shard, call->conn, LIMIT_CONNECTIONS_PER_ADDRESS), "Retry-After: 5\r\n");
    return false;
}

const char *call_parameters(const struct http_call *call, const char *const *names, struct span *values, uint32_t count)
{
    struct text *room = &call->shard->query;
    struct span query = call->request->query, name, value;
    room->size = 0;
    text_reserve(room, query.size + 1); /* decoded it is never longer, so that nothing moves below */
    for (uint32_t i = 0; i < count; i++) values[i] = SPAN_NONE;
    while (http_query_next(&query, &name, &value)) {
        char decoded_name[64];
        long name_size = name.size <= sizeof decoded_name ? http_percent_decode(name, decoded_name) : 0;
        if (name_size < 0) continue; /* a name that is none is not one of ours */
        for (uint32_t i = 0; i < count; i++) {
            if (!span_is(span_of(decoded_name, (size_t)name_size), names[i])) continue;
            if (values[i].bytes) return "a parameter of the query is given twice";
            char *at = room->bytes + room->size;
            long size = http_percent_decode(value, at);
            if (size < 0) return "the query holds a broken percent-encoding";
            room->size += (size_t)size;
            values[i] = span_of(at, (size_t)size);
        }
    }
    return NULL;
}

/* Where a path looks for a credential. */
enum credential_in {
    IN_NOTHING, /* it looks at none */
    IN_HEADERS, /* token= is its own matter: a WebSocket's is told after the handshake */
    IN_ALL,
};

/* Who asks. NULL, or the code of what is wrong with the credential, which is refused whatever is asked for. */
static const char *authorize(const struct http_call *call, enum credential_in in, const char **why)
{
    static const char *const names[] = { "token" };
    const struct http_request *request = call->request;
    struct span token = request->x_api_key;
    if (in == IN_NOTHING) return NULL;
    if (request->authorization.bytes) {
        token = request->authorization;
        bool bearer = token.size > 7 && http_token_is(span_of(token.bytes, 6), "bearer") && token.bytes[6] == ' ';
        token = bearer ? span_skip(token, 7) : span_of("", 0);
        while (token.size > 0 && token.bytes[0] == ' ') token = span_skip(token, 1);
    }
    *why = !token.bytes && in == IN_ALL ? call_parameters(call, names, &token, 1) : NULL;
    if (*why) return "bad_request";
    if (token.bytes) return access_show(call->shard, call->conn, token, why) ? NULL : "unauthorized";
    /* A browser shows its user's certificate whoever's page asks: a foreign one's must not publish by it. */
    if (in == IN_ALL && call->origin != ORIGIN_FOREIGN) access_show_certificate(call->shard, call->conn);
    return NULL;
}

/* Publishing. */

static void declared_too_large(const struct http_call *call, const char *why)
{
    struct text body = { 0 };
    http_error_body(&body, "too_large", why);
    http_answer(call->shard, call->conn, &(struct http_answer){ .status = 413, .body = text_span(&body), .close = true });
    text_free(&body);
}

/* After rights and topic: NULL where its length is missing or too large, and answered so. */
static struct http_exchange *expect_payload(const struct http_call *call, enum body_use use)
{
    const struct http_request *request = call->request;
    const struct settings *settings = call->shard->settings;
    if (!request->chunked && !request->has_length) {
        call_refuse(call, 411, "bad_request", "the request needs a Content-Length or a chunked body", NULL);
        return NULL;
    }
    uint64_t most = use == BODY_PUBLISH ? settings->limits_payload + PUBLISH_SPACE_MAX : settings->limits_body;
    if (request->has_length && request->content_length > most) {
        declared_too_large(call, limit_hit(call->shard, call->conn, use == BODY_PUBLISH ? LIMIT_PAYLOAD : LIMIT_BODY));
        return NULL;
    }
    return http_expect_body(call->shard, call->conn, request, use);
}

/* NULL, or the code of what is wrong with a publish as far as its head tells, in the order of PROTOCOL.md. */
static const char *judge_publish(const struct http_call *call, bool *key, char room[ACCESS_WHY_BYTES], const char **why)
{
    static const char *const names[] = { "key" };
    struct span value;
    const char *code = access_publish_fault(call->shard, call->conn->credential, call->topic, room);
    *why = room;
    if (code) return code;
    *why = call->topic_why ? call->topic_why : publish_topic_fault(call->topic);
    if (*why) return "bad_topic";
    *key = false;
    *why = call_parameters(call, names, &value, 1);
    if (!*why && value.bytes && !query_boolean(value, key)) *why = "key must be true, false, 1 or 0";
    return *why ? "bad_request" : NULL;
}

static void post_topic(const struct http_call *call)
{
    bool key;
    char room[ACCESS_WHY_BYTES];
    const char *why, *code = judge_publish(call, &key, room, &why);
    if (code) {
        counter_add(&call->shard->counters, COUNTER_PUBLISH_REFUSED, 1);
        call_error(call, code, why);
        return;
    }
    struct http_exchange *exchange = expect_payload(call, BODY_PUBLISH);
    if (!exchange) return;
    exchange->key = key;
    exchange->topic_bytes = (uint32_t)call->topic.size;
    memcpy(exchange->topic, call->topic.bytes, call->topic.size);
}

static void delete_topic(const struct http_call *call)
{
    char room[ACCESS_WHY_BYTES];
    const char *why = room, *code = access_publish_fault(call->shard, call->conn->credential, call->topic, room);
    if (!code && (why = call->topic_why ? call->topic_why : publish_topic_fault(call->topic))) code = "bad_topic";
    if (code) {
        call_error(call, code, why);
        return;
    }
    struct delete_ask ask = { .topic = call->topic };
    struct delete_reply reply;
    uint32_t ticket = pending_make(call->shard, call->conn, PENDING_HTTP, 0);
    enum link_result result = ticket == TICKET_NONE ? LINK_FULL : engine_delete(&call->shard->engine, &ask, ticket, &reply);
    if (result == LINK_SENT) {
        http_expect_reply(call->conn, call->request);
        pending_sent(call->shard, ticket, SPAN_NONE, SPAN_NONE);
        return;
    }
    pending_drop(call->shard, ticket);
    if (result != LINK_DONE) call_error(call, "busy", "the topic's shard has no room for another request");
    else if (!reply.found) call_error(call, "not_found", "the topic has no update");
    else call_answer(call, 204, NULL, NULL, SPAN_NONE);
}

static void post_many(const struct http_call *call)
{
    char why[ACCESS_WHY_BYTES];
    const char *code = access_publish_fault(call->shard, call->conn->credential, SPAN_NONE, why);
    if (code && !call->conn->credential) call_error(call, code, why); /* with one each line is judged */
    else expect_payload(call, BODY_LINES);
}

/* Health and pages. */

static void get_health(const struct http_call *call)
{
    call_answer(call, 200, "text/plain; charset=utf-8", NULL, SPAN_LITERAL("ok\n"));
}

static void get_ready(const struct http_call *call)
{
    if (call->shard->state == SHARD_OPEN) call_answer(call, 200, "text/plain; charset=utf-8", NULL, SPAN_LITERAL("ready\n"));
    else call_refuse(call, 503, "shutting_down", "the gateway is draining", "Retry-After: 10\r\n");
}

/* A browser that has this very page gets 304 (9110, 13.1.2). */
static bool has_page(const struct http_call *call, const char *etag)
{
    uint32_t at = call->request->headers_at;
    struct span name, list, element;
    while (http_header_next(call->head, &at, &name, &list)) {
        if (!http_token_is(name, "if-none-match")) continue;
        while (http_list_next(&list, &element)) {
            if (element.size > 2 && element.bytes[0] == 'W' && element.bytes[1] == '/') element = span_skip(element, 2);
            if (span_is(element, etag) || span_is(element, "*")) return true;
        }
    }
    return false;
}

static void get_page(const struct http_call *call)
{
    const struct web_page *page = web_page(call->request->path);
    CHECK(page); /* each route to here has one */
    bool has = has_page(call, page->etag);
    call_answer(call, has ? 304 : 200, page->type, page->headers, has ? SPAN_NONE : page->body);
}

/* Whether who asks is a person with a browser, who would rather see a page than JSON. */
static bool wants_page(const struct http_call *call)
{
    uint32_t at = call->request->headers_at;
    struct span name, list, element;
    while (http_header_next(call->head, &at, &name, &list)) {
        if (!http_token_is(name, "accept")) continue;
        while (http_list_next(&list, &element))
            if (element.size >= 9 && memcmp(element.bytes, "text/html", 9) == 0) return true;
    }
    return false;
}

/* A browser can't show a key where it navigates: it gets the page with 401 or 403, and that asks for the key and reads $sys.> with it. The page
 * holds nothing but its own words. */
static void get_dash(const struct http_call *call)
{
    char room[ACCESS_WHY_BYTES];
    const char *why, *code = authorize(call, IN_ALL, &why);
    if (!code) {
        code = access_admin_fault(call->shard, call->conn, "/dash", room);
        why = room;
    }
    const struct web_page *page = web_page(call->request->path);
    CHECK(page);
    if (!code) get_page(call);
    else if (!wants_page(call) || strcmp(code, "bad_request") == 0) call_error(call, code, why);
    else if (http_status_of(code) == 401) call_answer(call, 401, page->type, page->headers_refused, page->body);
    else call_answer(call, http_status_of(code), page->type, page->headers, page->body);
}

static void upgrade_session(const struct http_call *call)
{
    http_upgrade(call, CONN_KIND_SESSION);
}

static void upgrade_echo(const struct http_call *call)
{
    if (call->shard->settings->echo) http_upgrade(call, CONN_KIND_ECHO);
    else call_error(call, "not_found", "the echo is off: start the gateway with --echo");
}

/* The table. `<topic>` stands for one segment of the path, percent-encoded. */
static const struct route {
    const char *path;
    void (*get)(const struct http_call *);
    void (*post)(const struct http_call *);
    void (*delete)(const struct http_call *);
    enum credential_in credential;
} routes[] = {
    { "/v1/ws", upgrade_session, NULL, NULL, IN_HEADERS },
    { "/v1/stream", http_stream, NULL, NULL, IN_ALL },
    { "/v1/echo", upgrade_echo, NULL, NULL, IN_HEADERS },
    { "/v1/topics", http_get_names, NULL, NULL, IN_ALL },
    { "/v1/topics/<topic>", http_get_newest, post_topic, delete_topic, IN_ALL },
    { "/v1/topics/<topic>/history", http_get_history, NULL, NULL, IN_ALL },
    { "/v1/last", http_get_last, NULL, NULL, IN_ALL },
    { "/v1/publish", NULL, post_many, NULL, IN_ALL },
    { "/healthz", get_health, NULL, NULL, IN_NOTHING },
    { "/readyz", get_ready, NULL, NULL, IN_NOTHING },
    { "/metrics", http_get_metrics, NULL, NULL, IN_ALL },
    { "/", get_page, NULL, NULL, IN_NOTHING },
    { "/board.css", get_page, NULL, NULL, IN_NOTHING },
    { "/board.js", get_page, NULL, NULL, IN_NOTHING },
    { "/board_table.js", get_page, NULL, NULL, IN_NOTHING },
    { "/board_history.js", get_page, NULL, NULL, IN_NOTHING },
    { "/board_topic.js", get_page, NULL, NULL, IN_NOTHING },
    { "/board_values.js", get_page, NULL, NULL, IN_NOTHING },
    { "/dash", get_dash, NULL, NULL, IN_NOTHING },
    { "/dash.css", get_page, NULL, NULL, IN_NOTHING },
    { "/dash.js", get_page, NULL, NULL, IN_NOTHING },
    { "/dash_findings.js", get_page, NULL, NULL, IN_NOTHING },
    { "/dash_parts.js", get_page, NULL, NULL, IN_NOTHING },
    { "/ringcast.js", get_page, NULL, NULL, IN_NOTHING },
};
enum { ROUTES_COUNT = sizeof routes / sizeof *routes };

/* Whether a path is of this form; *topic: the segment at <topic>, still encoded. */
static bool path_matches(const char *form, struct span path, struct span *topic)
{
    static const char mark[] = "<topic>";
    const char *at = strstr(form, mark);
    *topic = SPAN_NONE;
    if (!at) return span_is(path, form);
    size_t before = (size_t)(at - form);
    struct span after = span_of_string(at + sizeof mark - 1);
    if (path.size < before + after.size || memcmp(path.bytes, form, before) != 0) return false;
    if (memcmp(path.bytes + path.size - after.size, after.bytes, after.size) != 0) return false;
    *topic = span_of(path.bytes + before, path.size - before - after.size);
    return topic->size > 0 && !span_find(*topic, '/');
}

/* What a path knows, as OPTIONS and 405 say it, and as a preflight does (the Fetch standard, 3.2.3). */
struct methods {
    const char *allow, *preflight;
};
#define METHODS(list)                                                                                                              \
    {                                                                                                                              \
        "Allow: " list "\r\n", "Access-Control-Allow-Methods: " list "\r\n"                                                        \
                               "Access-Control-Allow-Headers: Authorization, X-API-Key, Content-Type, Last-Event-ID\r\n"           \
                               "Access-Control-Max-Age: 7200\r\n"                                                                  \
    }
static const struct methods reading = METHODS("GET, HEAD, OPTIONS"), writing = METHODS("POST, OPTIONS"), both = METHODS("GET, HEAD, POST, DELETE, OPTIONS");

static void answer_options(const struct http_call *call, const struct methods *methods)
{
    uint16_t place;
    switch (origin_judge(call->shard->settings, call->request->origin, call->request->host, &place)) {
    case ORIGIN_NONE: call_answer(call, 204, NULL, methods->allow, SPAN_NONE); return;
    case ORIGIN_SAME:
    case ORIGIN_LISTED: call_answer(call, 204, NULL, methods->preflight, SPAN_NONE); return;
    case ORIGIN_FOREIGN: call_error(call, "forbidden", "pages of this origin may not ask: see the setting origins"); return;
    }
}

static void dispatch(struct http_call *call, const struct route *route)
{
    const struct methods *methods = route->delete ? &both : route->get ? &reading : &writing;
    enum http_method method = call->request->method;
    if (method == HTTP_OPTIONS) answer_options(call, methods);
    else if ((method == HTTP_GET || method == HTTP_HEAD) && route->get) route->get(call);
    else if (method == HTTP_POST && route->post) route->post(call);
    else if (method == HTTP_DELETE && route->delete) route->delete(call);
    else call_refuse(call, 405, "bad_request", "this path does not know that method", methods->allow);
}

/* Publishing with a right is not measured, and a proxy's connection carries many clients' requests. */
static bool asks_too_often(const struct http_call *call)
{
    char why[ACCESS_WHY_BYTES];
    bool publishes = call->request->method == HTTP_POST && !access_publish_fault(call->shard, call->conn->credential, SPAN_NONE, why);
    if (call->conn->proxy || publishes) return false;
    switch (limit_request(call->shard, call->conn, 1)) {
    case REQUEST_FINE: return false;
    case REQUEST_EXCESS: call_refuse(call, 429, limit_code(LIMIT_REQUESTS_PER_SECOND), limit_why(LIMIT_REQUESTS_PER_SECOND), "Retry-After: 1\r\n"); return true;
    case REQUEST_ABUSE: http_refuse(call->shard, call->conn, LIMIT_REQUESTS_PER_SECOND); return true;
    }
    return true;
}

/* The topic of a path; room: for the longest that can be right. */
static void read_topic(struct http_call *call, struct span encoded, char *room, size_t room_bytes)
{
    long size = encoded.size <= room_bytes ? http_percent_decode(encoded, room) : 0;
    call->topic = span_of(room, size > 0 ? (size_t)size : 0);
    if (encoded.size > room_bytes) call->topic_why = "a topic is longer than 128 bytes";
    else if (size < 0) call->topic_why = "the path holds a broken percent-encoding";
    else call->topic_why = topic_name_fault(call->topic);
}

void http_route(struct shard *shard, struct conn *conn, struct span head, const struct http_request *request)
{
    struct http_call call = { .shard = shard, .conn = conn, .head = head, .request = request };
    call.origin = origin_judge(shard->settings, request->origin, request->host, &conn->origin);
    access_forget(conn); /* each request shows its own */
    for (size_t i = 0; i < ROUTES_COUNT; i++) {
        struct span encoded;
        if (!path_matches(routes[i].path, request->path, &encoded)) continue;
        char room[3 * TOPIC_NAME_BYTES_MAX];
        const char *why;
        if (encoded.bytes) read_topic(&call, encoded, room, sizeof room);
        const char *code = authorize(&call, routes[i].credential, &why);
        if (asks_too_often(&call)) return;
        if (!code) dispatch(&call, &routes[i]);
        else call_error(&call, code, why);
        return;
    }
    if (asks_too_often(&call)) return;
    if (request->method == HTTP_OPTIONS && span_is(request->path, "*")) call_answer(&call, 204, NULL, "Allow: GET, HEAD, POST, DELETE, OPTIONS\r\n", SPAN_NONE);
    else call_error(&call, "not_found", "there is nothing at this path");
}
