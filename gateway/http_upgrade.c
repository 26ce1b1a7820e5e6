/* The WebSocket handshake as an HTTP request is judged: what is missing, who may come in, which sub-protocol (RFC 6455, 4.2). */
#include <stdio.h>

#include "core/proto/ws_deflate.h"
#include "core/proto/ws_handshake.h"
#include "gateway/access.h"
#include "gateway/http_call.h"
#include "gateway/http_exchange.h"
#include "gateway/origin.h"
#include "gateway/session.h"

#define PROTOCOL_NAME "ringcast.v1"
#define TOKEN_PREFIX "ringcast.token."

static void need_upgrade(const struct http_call *call, const char *why)
{
    call_refuse(call, 426, "bad_request", why, "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
}

/* The page that connects must come from this host, or stand in `origins`. */
static bool origin_fits(const struct http_call *call)
{
    uint16_t place;
    return origin_judge(call->shard->settings, call->request->origin, call->request->host, &place) != ORIGIN_FOREIGN;
}

/* What is offered as sub-protocols: ours, and a token. */
struct offers {
    bool        ours;
    struct span token;
};

static struct offers read_offers(const struct http_call *call)
{
    struct offers offers = { .token = SPAN_NONE };
    struct span name, value, element;
    uint32_t at = call->request->headers_at;
    while (http_header_next(call->head, &at, &name, &value)) {
        if (!http_token_is(name, "sec-websocket-protocol")) continue;
        while (http_list_next(&value, &element)) {
            if (span_is(element, PROTOCOL_NAME)) offers.ours = true;
            else if (element.size > sizeof TOKEN_PREFIX - 1 && memcmp(element.bytes, TOKEN_PREFIX, sizeof TOKEN_PREFIX - 1) == 0)
                offers.token = span_skip(element, sizeof TOKEN_PREFIX - 1);
        }
    }
    return offers;
}

static void answer_101(const struct http_call *call, bool ours, const struct ws_deflate *agreed)
{
    char accept[WS_ACCEPT_BYTES], extensions[WS_DEFLATE_ANSWER_BYTES_MAX], head[512];
    uint32_t extensions_bytes = agreed->accepted ? ws_deflate_answer_write(extensions, agreed) : 0;
    ws_accept(call->request->ws_key, accept);
    int size = snprintf(head, sizeof head, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %.*s\r\n%s%s%.*s%s\r\n",
                        WS_ACCEPT_BYTES, accept, ours ? "Sec-WebSocket-Protocol: " PROTOCOL_NAME "\r\n" : "",
                        agreed->accepted ? "Sec-WebSocket-Extensions: " : "", (int)extensions_bytes, extensions, agreed->accepted ? "\r\n" : "");
    conn_add(call->shard, call->conn, span_of(head, (size_t)size));
}

/* False: what stands there is no list of extensions. */
static bool read_extensions(const struct http_call *call, struct ws_deflate *agreed)
{
    struct span name, value;
    uint32_t at = call->request->headers_at;
    *agreed = (struct ws_deflate){ 0 };
    while (http_header_next(call->head, &at, &name, &value))
        if (http_token_is(name, "sec-websocket-extensions") && !ws_deflate_offers_read(value, agreed)) return false;
    if (!call->shard->settings->compression) agreed->accepted = false;
    return true;
}

/* NULL, or what is wrong with the request as a handshake; answered here. */
static bool refuse_handshake(const struct http_call *call, struct ws_deflate *agreed)
{
    const struct http_request *request = call->request;
    bool may_upgrade = request->method == HTTP_GET && request->minor > 0; /* HEAD is answered as a GET that asks for no upgrade */
    if (!may_upgrade || !request->upgrade_websocket || !request->connection_upgrade) need_upgrade(call, "this is a WebSocket endpoint: connect with a WebSocket client");
    else if (!span_is(request->ws_version, "13")) need_upgrade(call, "Sec-WebSocket-Version must be 13");
    else if (!request->ws_key.bytes || !ws_key_valid(request->ws_key)) call_error(call, "bad_request", "Sec-WebSocket-Key must be the base64 of 16 bytes");
    else if (!read_extensions(call, agreed)) call_error(call, "bad_request", "Sec-WebSocket-Extensions is not a list of extensions");
    else if (request->chunked || (request->has_length && request->content_length > 0)) call_error(call, "bad_request", "a handshake has no body");
    else if (!origin_fits(call)) call_error(call, "forbidden", "pages of this origin may not connect: see the setting origins");
    else if (call->shard->state != SHARD_OPEN) call_error(call, "shutting_down", "the gateway is draining");
    else return false;
    return true;
}

void http_upgrade(const struct http_call *call, enum conn_kind kind)
{
    static const char *const names[] = { "topics", "mode", "format", "snapshot", "batch", "max_hz", "heartbeat_ms", "token" };
    struct span values[8];
    struct ws_deflate agreed;
    if (refuse_handshake(call, &agreed) || !call_admitted(call)) return;
    struct shard *shard = call->shard;
    struct conn *conn = call->conn;
    struct offers offers = read_offers(call);
    conn->deflates = agreed.accepted;
    struct session_query query = { .fault = call_parameters(call, names, values, 8) };
    query.topics = values[0], query.mode = values[1], query.format = values[2], query.snapshot = values[3];
    query.batch = values[4], query.max_hz = values[5], query.heartbeat_ms = values[6];

    struct span token = offers.token.bytes ? offers.token : values[7];
    const char *why;
    if (!query.fault && !conn->credential && token.bytes && !access_show(shard, conn, token, &why)) query.token_fault = why;
    if (!token.bytes) access_show_certificate(shard, conn); /* where the headers showed nothing either */
    if (kind == CONN_KIND_SESSION && !session_prepare(shard, conn, &query)) {
        http_expect_again(conn, call->head);
        return;
    }
    answer_101(call, offers.ours, &agreed);
    if (kind == CONN_KIND_SESSION) session_begin(shard, conn, &query);
    else conn_open(shard, conn, kind);
}
