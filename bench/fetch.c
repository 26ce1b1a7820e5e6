/* See fetch.h. */
#include "bench/fetch.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/machine.h"
#include "core/proto/http.h"

#define IN_BYTES_FIRST (64u << 10)

/* How an answer's body ends. */
struct framing {
    bool chunked, has_length, keeps;
    uint64_t length;
};

int fetch_init(struct fetch *fetch, const char *url, const char *key)
{
    const char *why = "";
    *fetch = (struct fetch){ .fd = -1, .key = key };
    if (client_url_read(span_of_string(url), &fetch->url, &why)) return 0;
    snprintf(fetch->why, sizeof fetch->why, "%s: %s", why, url);
    return -1;
}

static void hang_up(struct fetch *fetch)
{
    tls_client_free(fetch->tls);
    fetch->tls = NULL;
    if (fetch->fd >= 0) close(fetch->fd);
    fetch->fd = -1;
}

void fetch_deinit(struct fetch *fetch)
{
    hang_up(fetch);
    tls_trust_free(fetch->trust);
    fetch->trust = NULL;
    free(fetch->in);
    fetch->in = NULL;
}

__attribute__((format(printf, 2, 3))) static int failed(struct fetch *fetch, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(fetch->why, sizeof fetch->why, format, arguments);
    va_end(arguments);
    hang_up(fetch);
    return -1;
}

static int await(struct fetch *fetch, short events, int64_t deadline_ns)
{
    struct pollfd polled = { .fd = fetch->fd, .events = events };
    if ((events & POLLIN) && fetch->tls && tls_client_holds(fetch->tls)) return 0;
    int64_t left_ms = (deadline_ns - now_ns()) / 1000000 + 1;
    int ready = left_ms > 0 ? poll(&polled, 1, (int)left_ms) : 0;
    if (ready == 0) return failed(fetch, "the gateway did not answer in time");
    return ready < 0 && errno != EINTR ? failed(fetch, "waiting failed: %s", strerror(errno)) : 0;
}

static int send_all(struct fetch *fetch, struct span bytes, int64_t deadline_ns)
{
    while (bytes.size) {
        ssize_t sent = stream_send(fetch->fd, fetch->tls, bytes.bytes, bytes.size);
        if (sent < 0 && errno != EAGAIN && errno != EINTR) return failed(fetch, "sending failed: %s", strerror(errno));
        if (sent > 0)
            bytes = span_skip(bytes, (size_t)sent);
        else if (await(fetch, POLLOUT, deadline_ns) < 0)
            return -1;
    }
    return 0;
}

/* 1: some bytes came, 0: the other side has ended, -1. */
static int read_more(struct fetch *fetch, int64_t deadline_ns)
{
    if (fetch->in_room - fetch->in_size < IN_BYTES_FIRST / 2) {
        size_t room = fetch->in_room ? 2 * fetch->in_room : IN_BYTES_FIRST;
        char *in = room > FETCH_ANSWER_BYTES_MAX ? NULL : realloc(fetch->in, room);
        if (!in) return failed(fetch, "the answer is too large");
        fetch->in = in;
        fetch->in_room = room;
    }
    for (;;) {
        ssize_t got = stream_receive(fetch->fd, fetch->tls, fetch->in + fetch->in_size, fetch->in_room - fetch->in_size);
        if (got >= 0) fetch->in_size += (size_t)got;
        if (got >= 0) return got > 0;
        if (errno != EAGAIN && errno != EINTR) return failed(fetch, "receiving failed: %s", strerror(errno));
        if (await(fetch, POLLIN, deadline_ns) < 0) return -1;
    }
}

static bool read_head(struct fetch *fetch, struct span head, struct framing *framing)
{
    struct span name, value;
    if (head.size < 13 || memcmp(head.bytes, "HTTP/1.", 7) != 0) return false;
    *framing = (struct framing){ .keeps = head.bytes[7] == '1' };
    fetch->status = (uint16_t)strtoul(head.bytes + 9, NULL, 10);
    uint32_t at = (uint32_t)(span_find(head, '\n') - head.bytes) + 1;
    while (http_header_next(head, &at, &name, &value)) {
        if (http_token_is(name, "content-length"))
            framing->has_length = true, framing->length = strtoull(value.bytes, NULL, 10);
        if (http_token_is(name, "transfer-encoding") && http_token_is(value, "chunked")) framing->chunked = true;
        if (http_token_is(name, "connection") && http_token_is(value, "close")) framing->keeps = false;
    }
    if (fetch->status == 204 || fetch->status == 304) framing->has_length = true, framing->length = 0;
    return true;
}

/* Joins the chunks in place, behind the head. */
static int read_chunks(struct fetch *fetch, size_t head_bytes, struct span *answer, int64_t deadline_ns)
{
    struct http_chunked state = { 0 };
    size_t at = head_bytes, joined = head_bytes;
    for (;;) {
        struct span body;
        size_t eaten = 0;
        enum decode decoded = http_chunked_feed(&state, span_of(fetch->in + at, fetch->in_size - at), &body, &eaten);
        if (decoded == DECODE_BAD) return failed(fetch, "the answer's chunks are broken");
        if (body.size) memmove(fetch->in + joined, body.bytes, body.size);
        joined += body.size;
        at += eaten;
        if (decoded == DECODE_DONE) break;
        if (eaten > 0 && at < fetch->in_size) continue;
        int more = read_more(fetch, deadline_ns);
        if (more <= 0) return more < 0 ? more : failed(fetch, "the answer ended in the middle");
    }
    *answer = span_of(fetch->in + head_bytes, joined - head_bytes);
    return 0;
}

static int read_answer(struct fetch *fetch, struct span *answer, int64_t deadline_ns)
{
    struct framing framing;
    const char *end;
    int more = 1;
    while (!(end = span_find_string(span_of(fetch->in, fetch->in_size), "\r\n\r\n"))) {
        if (fetch->in_size > CLIENT_HEAD_BYTES_MAX) return failed(fetch, "what answers there does not speak HTTP/1.1");
        more = read_more(fetch, deadline_ns);
        if (more <= 0) return more < 0 ? more : failed(fetch, "the gateway closed the connection without an answer");
    }
    size_t head_bytes = (size_t)(end - fetch->in) + 4;
    if (!read_head(fetch, span_of(fetch->in, head_bytes), &framing))
        return failed(fetch, "what answers there does not speak HTTP/1.1");
    if (framing.chunked) {
        if (read_chunks(fetch, head_bytes, answer, deadline_ns) < 0) return -1;
    } else {
        while (more > 0 && (!framing.has_length || fetch->in_size - head_bytes < framing.length))
            more = read_more(fetch, deadline_ns);
        if (more < 0) return more;
        if (framing.has_length && fetch->in_size - head_bytes < framing.length)
            return failed(fetch, "the answer ended in the middle");
        *answer =
            span_of(fetch->in + head_bytes, framing.has_length ? (size_t)framing.length : fetch->in_size - head_bytes);
    }
    if (!framing.keeps || (!framing.chunked && !framing.has_length)) hang_up(fetch);
    return 0;
}

static int dial(struct fetch *fetch, int64_t deadline_ns)
{
    fetch->fd = client_dial(&fetch->url, -1, deadline_ns, fetch->why);
    if (fetch->fd < 0) return fetch->fd = -1, -1;
    if (!fetch->url.secure) return 0;
    if (!fetch->trust) fetch->trust = tls_trust_make(fetch->why, sizeof fetch->why);
    if (fetch->trust && client_secure(fetch->fd, &fetch->url, fetch->trust, -1, deadline_ns, &fetch->tls, fetch->why) == CLIENT_OK) return 0;
    hang_up(fetch);
    return -1;
}

static int try_once(struct fetch *fetch, const char *method, struct span target, struct span body, struct span *answer)
{
    char head[2048];
    int64_t deadline_ns = now_ns() + FETCH_PATIENCE_NS;
    if (fetch->fd < 0 && dial(fetch, deadline_ns) < 0) return -1;
    int size = snprintf(head, sizeof head, "%s %.*s HTTP/1.1\r\nHost: %s%s%s:%s\r\n%s%s%s%s", method, (int)target.size,
                        target.bytes, fetch->url.bracketed ? "[" : "", fetch->url.host, fetch->url.bracketed ? "]" : "",
                        fetch->url.port, fetch->key ? "Authorization: Bearer " : "", fetch->key ? fetch->key : "",
                        fetch->key ? "\r\n" : "", body.bytes ? "Content-Type: application/x-ndjson\r\n" : "");
    if (size < (int)sizeof head && body.bytes)
        size += snprintf(head + size, sizeof head - (size_t)size, "Content-Length: %zu\r\n", body.size);
    if (size < (int)sizeof head) size += snprintf(head + size, sizeof head - (size_t)size, "\r\n");
    if (size >= (int)sizeof head) return failed(fetch, "the URL or the key is too long");
    fetch->in_size = 0;
    if (send_all(fetch, span_of(head, (size_t)size), deadline_ns) < 0) return -1;
    if (send_all(fetch, body, deadline_ns) < 0) return -1;
    return read_answer(fetch, answer, deadline_ns);
}

int fetch_exchange(struct fetch *fetch, const char *method, const char *target, struct span body, struct span *answer)
{
    struct span where = target                   ? span_of_string(target)
                        : fetch->url.target.size ? fetch->url.target
                                                 : SPAN_LITERAL("/");
    bool kept = fetch->fd >= 0;
    int result = try_once(fetch, method, where, body, answer);
    /* A POST is not repeated: what became of it can't be known. */
    if (result < 0 && kept && fetch->in_size == 0 && strcmp(method, "GET") == 0)
        result = try_once(fetch, method, where, body, answer);
    return result;
}
