/* Request heads that pass: how they read, at which byte they are complete, how long they may be. */
#include "tests/unit/http_heads.h"

#include <stdio.h>

/* ---- what passes ---- */

static void tell(char **out, const char *name, struct span value)
{
    if (value.bytes) *out += sprintf(*out, " %s=%.*s", name, (int)value.size, value.bytes);
}

/* A request as one line: what is absent or false is left out. */
static void describe(const struct http_request *request, char *out)
{
    static const char *const methods[] = { "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "OTHER" };
    out += sprintf(out, "%s 1.%d %.*s", methods[request->method], request->minor, (int)request->path.size,
                   request->path.bytes);
    tell(&out, "?", request->query);
    if (request->keep_alive) out += sprintf(out, " keep");
    if (request->chunked) out += sprintf(out, " chunked");
    if (request->has_length) out += sprintf(out, " length=%llu", (unsigned long long)request->content_length);
    if (request->expect_continue) out += sprintf(out, " continue");
    if (request->connection_upgrade) out += sprintf(out, " upgrade");
    if (request->upgrade_websocket) out += sprintf(out, " websocket");
    tell(&out, "host", request->host);
    tell(&out, "origin", request->origin);
    tell(&out, "authorization", request->authorization);
    tell(&out, "x-api-key", request->x_api_key);
    tell(&out, "accept", request->accept);
    tell(&out, "last-event-id", request->last_event_id);
    tell(&out, "content-type", request->content_type);
    tell(&out, "ws-key", request->ws_key);
    tell(&out, "ws-version", request->ws_version);
    tell(&out, "ws-protocols", request->ws_protocols);
    tell(&out, "ws-extensions", request->ws_extensions);
}

/* clang-format off */
static const struct { struct span head; const char *reads, *name; } goods[] = {
#define READS(head, reads, name) { SPAN_LITERAL(head), reads, name }
    READS(GET END, "GET 1.1 / keep host=x", "the least"),
    READS("\r\n" GET END, "GET 1.1 / keep host=x", "one empty line before is skipped"),
    READS("GET / HTTP/1.2\r\nHost: x\r\n\r\n", "GET 1.1 / keep host=x", "1.2 is served as 1.1"),
    READS("GET / HTTP/1.9\r\nHost: x\r\n\r\n", "GET 1.1 / keep host=x", "and 1.9"),
    READS("GET / HTTP/1.0\r\n\r\n", "GET 1.0 /", "1.0 needs no Host and closes"),
    READS("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET 1.0 / keep", "1.0 that asks to stay"),
    READS(GET "Connection: close\r\n" END, "GET 1.1 / host=x", "1.1 that closes"),
    READS(GET "Connection: keep-alive, CLOSE\r\n" END, "GET 1.1 / host=x", "close beats keep-alive"),
    READS("GET / HTTP/1.0\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", "GET 1.0 /", "also in two lines"),
    READS("HEAD /a" H11 "host:x\r\n\r\n", "HEAD 1.1 /a keep host=x", "HEAD; names in any case, no space after the colon"),
    READS("POST /a" H11 "HOST: x\r\n\r\n", "POST 1.1 /a keep host=x", "POST"),
    READS("PUT /a" H11 "Host:\t x \t\r\n\r\n", "PUT 1.1 /a keep host=x", "PUT; white space around a value"),
    READS("DELETE /a" H11 "Host: x\r\n\r\n", "DELETE 1.1 /a keep host=x", "DELETE"),
    READS("OPTIONS /a" H11 "Host: x\r\n\r\n", "OPTIONS 1.1 /a keep host=x", "OPTIONS"),
    READS("OPTIONS *" H11 "Host: x\r\n\r\n", "OPTIONS 1.1 * keep host=x", "OPTIONS for the whole server"),
    READS("PATCH /a" H11 "Host: x\r\n\r\n", "PATCH 1.1 /a keep host=x", "PATCH"),
    READS("BREW /a" H11 "Host: x\r\n\r\n", "OTHER 1.1 /a keep host=x", "a method that we don't know"),
    READS("get /a" H11 "Host: x\r\n\r\n", "OTHER 1.1 /a keep host=x", "methods are case-sensitive"),
    READS("GE /a" H11 "Host: x\r\n\r\n", "OTHER 1.1 /a keep host=x", "a method's beginning is another method"),
    READS("GET /a?b=c" H11 "Host: x\r\n\r\n", "GET 1.1 /a ?=b=c keep host=x", "a query"),
    READS("GET /a?" H11 "Host: x\r\n\r\n", "GET 1.1 /a ?= keep host=x", "an empty query is there"),
    READS("GET /a?b?c" H11 "Host: x\r\n\r\n", "GET 1.1 /a ?=b?c keep host=x", "the query begins at the first '?'"),
    READS("GET /a%2Fb%" H11 "Host: x\r\n\r\n", "GET 1.1 /a%2Fb% keep host=x", "percent-encoding is left alone"),
    READS("GET /?t=fx.>,a|b\"{}<^`\\" H11 "Host: x\r\n\r\n", "GET 1.1 / ?=t=fx.>,a|b\"{}<^`\\ keep host=x", "marks that clients forget to encode"),
    READS("GET //a" H11 "Host: x\r\n\r\n", "GET 1.1 //a keep host=x", "a path may begin with two slashes"),
    READS("GET http://y/a?b" H11 "Host: x\r\n\r\n", "GET 1.1 /a ?=b keep host=y", "absolute form: its host counts"),
    READS("GET HTTPS://y:8443/a" H11 "Host: x\r\n\r\n", "GET 1.1 /a keep host=y:8443", "absolute form, https in capitals, a port"),
    READS("GET ws://y?b" H11 "Host: y\r\n\r\n", "GET 1.1 / ?=b keep host=y", "absolute form without a path means the root"),
    READS("GET wss://[::1]:9" H11 "Host: y\r\n\r\n", "GET 1.1 / keep host=[::1]:9", "absolute form, an IPv6 address"),
    READS("GET http://y/" H11 "Host: y\r\n\r\n", "GET 1.1 / keep host=y", "absolute form, the root"),
    READS("GET http://y/ HTTP/1.0\r\n\r\n", "GET 1.0 / host=y", "absolute form in 1.0 needs no Host line"),
    READS("GET /http://y" H11 "Host: x\r\n\r\n", "GET 1.1 /http://y keep host=x", "a path that looks like an address"),
    READS("GET /" H11 "Host: example.com:8080\r\n\r\n", "GET 1.1 / keep host=example.com:8080", "a port"),
    READS("GET /" H11 "Host: example.com:\r\n\r\n", "GET 1.1 / keep host=example.com:", "RFC 3986: a port may be empty"),
    READS("GET /" H11 "Host: [2001:db8::1]:80\r\n\r\n", "GET 1.1 / keep host=[2001:db8::1]:80", "an IPv6 address"),
    READS("GET /" H11 "Host: [::ffff:127.0.0.1]\r\n\r\n", "GET 1.1 / keep host=[::ffff:127.0.0.1]", "an IPv6 address that ends in an IPv4 one"),
    READS("GET /" H11 "Host: a-b_c.d~%20!$&'()*+;=\r\n\r\n", "GET 1.1 / keep host=a-b_c.d~%20!$&'()*+;=", "all that RFC 3986 lets a name be made of"),
    READS("GET /" H11 "Host: 127.0.0.1:65535\r\n\r\n", "GET 1.1 / keep host=127.0.0.1:65535", "the last port"),
    READS(POST "Content-Length: 5\r\n" END "hello", "POST 1.1 / keep length=5 host=x", "a length"),
    READS(POST "content-length:0\r\n" END, "POST 1.1 / keep length=0 host=x", "a length of zero is there"),
    READS(POST "Content-Length: 007\r\n" END, "POST 1.1 / keep length=7 host=x", "1*DIGIT allows zeros before"),
    READS(POST "Content-Length: 9223372036854775807\r\n" END, "POST 1.1 / keep length=9223372036854775807 host=x", "the longest"),
    READS(POST "Transfer-Encoding: chunked\r\n" END, "POST 1.1 / keep chunked host=x", "chunked"),
    READS(POST "transfer-encoding:\tChunKed \r\n" END, "POST 1.1 / keep chunked host=x", "chunked in any case"),
    READS(POST "Expect: 100-Continue\r\n" END, "POST 1.1 / keep continue host=x", "100-continue"),
    READS("POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", "POST 1.0 /", "RFC 9110, 10.1.1: not for 1.0"),
    READS(GET "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: k\r\nSec-WebSocket-Version: 13\r\n" END,
          "GET 1.1 / keep upgrade websocket host=x ws-key=k ws-version=13", "a handshake"),
    READS(GET "Upgrade: h2c, WebSocket\r\nConnection: keep-alive\r\nConnection: foo , UPGRADE\r\n" END, "GET 1.1 / keep upgrade websocket host=x", "lists, cases and lines"),
    READS(GET "Upgrade: websocket2, xwebsocket\r\nConnection: upgraded\r\n" END, "GET 1.1 / keep host=x", "words that only look like it"),
    READS(GET "Upgrade: h2c\r\nUpgrade: websocket\r\n" END, "GET 1.1 / keep websocket host=x", "Upgrade in two lines"),
    READS(GET "Connection: ,, ,upgrade,\r\n" END, "GET 1.1 / keep upgrade host=x", "empty list elements"),
    READS(GET "Origin: null\r\nAuthorization: Bearer a b\r\nX-API-Key: k\r\nAccept: */*\r\nLast-Event-ID: 7\r\nContent-Type: a/b\r\n" END,
          "GET 1.1 / keep host=x origin=null authorization=Bearer a b x-api-key=k accept=*/* last-event-id=7 content-type=a/b", "all others"),
    READS(GET "Origin:\r\nX-Api-Key: \t \r\n" END, "GET 1.1 / keep host=x origin= x-api-key=", "an empty value is there"),
    READS(GET "Accept: a\r\nAccept: b\r\n" END, "GET 1.1 / keep host=x accept=a", "of several the first"),
    READS(GET "Sec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Extensions: c; d=1\r\n" END, "GET 1.1 / keep host=x ws-protocols=a, b ws-extensions=c; d=1", "offers"),
    READS(GET "Sec-WebSocket-Protocol: a \r\nSec-WebSocket-Protocol:b\r\nsec-websocket-protocol: c\r\n" END,
          "GET 1.1 / keep host=x ws-protocols=a \r\nSec-WebSocket-Protocol:b\r\nsec-websocket-protocol: c", "offers in lines that follow one another"),
    READS(GET "Sec-WebSocket-Extensions: a\r\nX: y\r\nSec-WebSocket-Extensions: b\r\n" END, "GET 1.1 / keep host=x ws-extensions=a", "offers in lines apart: the first run"),
    READS(GET "X: \x80\xff\t\"a\\b\"\r\n!#$%&'*+-.^_`|~09azAZ: y\r\n" END, "GET 1.1 / keep host=x", "all that names and values may hold"),
    READS(GET "Hosts: y\r\nHos: z\r\nContent-Lengths: a\r\nTransfer-Encodings: b\r\nX-Host: z\r\n" END, "GET 1.1 / keep host=x", "names that only look like it"),
};
/* clang-format on */

static void good_heads_read_as_they_stand(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof goods / sizeof *goods; i++) {
        char text[2000];
        struct http_request request;
        struct http_fault fault = { 0, NULL };
        struct span guarded = guard_span(goods[i].head);
        if (http_request_decode(guarded, HEAD_MAX, &request, &fault) != DECODE_DONE)
            fail_msg("%s: %u %s", goods[i].name, fault.status, fault.why);
        describe(&request, text);
        if (strcmp(text, goods[i].reads) != 0) fail_msg("%s: %s", goods[i].name, text);
        const char *end = strstr(goods[i].head.bytes + 2, "\r\n\r\n") + 4;
        if (request.head_bytes != (size_t)(end - goods[i].head.bytes)) fail_msg("%s: head_bytes", goods[i].name);
        guard_free(guarded.bytes);
    }
}

static void good_heads_are_done_at_their_last_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof goods / sizeof *goods; i++) {
        struct http_request request, whole;
        struct http_fault fault;
        assert_int_equal(decode(goods[i].head, HEAD_MAX, &whole, &fault), DECODE_DONE);
        for (size_t size = 0; size <= goods[i].head.size; size++) {
            struct span prefix = span_of(goods[i].head.bytes, size);
            enum decode answer = decode(prefix, HEAD_MAX, &request, &fault),
                        expected = size < whole.head_bytes ? DECODE_MORE : DECODE_DONE;
            if (answer != expected) fail_msg("%s: %zu bytes", goods[i].name, size);
            if (decode(prefix, whole.head_bytes, &request, &fault) != expected)
                fail_msg("%s: %zu bytes, with just the room", goods[i].name, size);
            if (answer == DECODE_DONE && request.head_bytes != whole.head_bytes)
                fail_msg("%s: head_bytes", goods[i].name);
        }
    }
}

static void the_body_and_the_next_request_are_left_alone(void **state)
{
    (void)state;
    static const struct span seconds[] = { SPAN_LITERAL("GET / HTTP/1.1\r\nbroken"), SPAN_LITERAL("\0\xff\r\n"),
                                           SPAN_LITERAL("\r\n") };
    for (size_t i = 0; i < 3; i++) {
        char bytes[200];
        size_t first = sizeof(GET END) - 1;
        memcpy(bytes, GET END, first);
        memcpy(bytes + first, seconds[i].bytes, seconds[i].size);
        struct http_request request;
        struct http_fault fault;
        assert_int_equal(decode(span_of(bytes, first + seconds[i].size), HEAD_MAX, &request, &fault), DECODE_DONE);
        assert_int_equal(request.head_bytes, first);
    }
}

/* Every head with every byte changed to what hurts most: nothing crashes, and no answer is taken back. */
static void changed_heads_are_answered_once(void **state)
{
    (void)state;
    static const char hurtful[] = "\0\t\n\r :,;\"#?/%@*0z[\x7f\x80\xff";
    unsigned done = 0, refused = 0;
    for (size_t i = 0; i < sizeof goods / sizeof *goods; i++)
        for (size_t at = 0; at < goods[i].head.size; at++)
            for (size_t j = 0; j < sizeof hurtful - 1; j++) {
                char head[500];
                memcpy(head, goods[i].head.bytes, goods[i].head.size);
                head[at] = hurtful[j];
                struct http_fault fault;
                enum decode answer = walk_prefixes(span_of(head, goods[i].head.size), HEAD_MAX, goods[i].name, &fault);
                done += answer == DECODE_DONE, refused += answer == DECODE_BAD;
            }
    assert_true(done > 1000 && refused > 1000);
}

/* ---- limits ---- */

static void a_head_beyond_its_limit_is_refused(void **state)
{
    (void)state;
    static char head[3000];
    for (size_t target = 1; target < 1200; target += 7) {
        size_t at = (size_t)sprintf(head, "GET /");
        memset(head + at, 'a', target);
        at += target;
        at += (size_t)sprintf(head + at, " HTTP/1.1\r\n");
        size_t line = at;
        at += (size_t)sprintf(head + at, "Host: x\r\nX: ");
        memset(head + at, 'b', 300);
        at += 300;
        at += (size_t)sprintf(head + at, "\r\n\r\n");
        const size_t limits[] = { 16, line - 1, line, line + 1, line + 15, at - 3, at - 1, at, at + 1 };
        for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
            struct http_fault fault;
            enum decode answer = walk_prefixes(span_of(head, at), limits[i], "limit", &fault);
            unsigned status = limits[i] >= at ? 0 : limits[i] >= line ? 431 : 414;
            if (answer != (status ? DECODE_BAD : DECODE_DONE) || fault.status != status)
                fail_msg("line %zu, head %zu, limit %zu: %u", line, at, limits[i], fault.status);
            struct http_request request; /* as soon as it is full: it lacks its end */
            if (status && decode(span_of(head, limits[i]), limits[i], &request, &fault) != DECODE_BAD)
                fail_msg("limit %zu: late", limits[i]);
            if (status && decode(span_of(head, limits[i] - 1), limits[i], &request, &fault) != DECODE_MORE)
                fail_msg("limit %zu: early", limits[i]);
        }
    }
}

static void a_hundred_headers_are_the_most(void **state)
{
    (void)state;
    static char head[2000];
    for (int count = 98; count <= 102; count++) {
        size_t at = (size_t)sprintf(head, "GET /" H11 "Host: x\r\n");
        for (int i = 1; i < count; i++) at += (size_t)sprintf(head + at, "X: %d\r\n", i);
        at += (size_t)sprintf(head + at, "\r\n");
        struct http_fault fault;
        enum decode answer = walk_prefixes(span_of(head, at), HEAD_MAX, "headers", &fault);
        if (answer != (count <= 100 ? DECODE_DONE : DECODE_BAD)) fail_msg("%d headers", count);
        assert_int_equal(fault.status, count <= 100 ? 0 : 431);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_heads_read_as_they_stand),
        cmocka_unit_test(good_heads_are_done_at_their_last_byte),
        cmocka_unit_test(the_body_and_the_next_request_are_left_alone),
        cmocka_unit_test(changed_heads_are_answered_once),
        cmocka_unit_test(a_head_beyond_its_limit_is_refused),
        cmocka_unit_test(a_hundred_headers_are_the_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
