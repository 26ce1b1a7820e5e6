/* See client.h. The socket never blocks; all waiting is in wait_until(), so all of it can be stopped. */
#include "core/io/client.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/base/random.h"
#include "core/proto/http.h"
#include "core/proto/json.h"
#include "core/proto/mask.h"
#include "core/proto/ws_frame.h"
#include "core/proto/ws_handshake.h"

#define IN_BYTES_FIRST (64u << 10)
#define IN_ROOM_LEAST  (16u << 10) /* room that a receive finds */
#define GOODBYE_NS     250000000
#define REFUSAL_NS     300000000 /* to wait for the body of a refused handshake */

int64_t client_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void client_init(struct client *client, int stop_fd) { *client = (struct client){ .fd = -1, .stop_fd = stop_fd }; }

/* ---- how it ends ------------------------------------------------------------------------------------------------- */

static void drop(struct client *client)
{
    if (client->tls) tls_client_end(client->tls);
    tls_client_free(client->tls);
    client->tls = NULL;
    if (client->fd >= 0) close(client->fd);
    client->fd = -1;
    client->in_start = client->in_size = client->out_start = client->out_size = client->parts_size = 0;
    client->in_fragments = false;
}

__attribute__((format(printf, 2, 3))) static int gone(struct client *client, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(client->why, sizeof client->why, format, arguments);
    va_end(arguments);
    drop(client);
    return CLIENT_GONE;
}

static int gone_by_error(struct client *client, const char *what)
{
    bool by_tls = client->tls && errno == EPROTO;
    char words[CLIENT_WHY_BYTES / 2];
    snprintf(words, sizeof words, "%s", by_tls ? tls_client_why(client->tls) : strerror(errno)); /* gone() frees the first */
    return gone(client, "%s: %s", what, words);
}

/* Until one of the events is there: CLIENT_OK; else CLIENT_QUIET or CLIENT_STOPPED. */
static int wait_until(const struct client *client, short events, int64_t deadline_ns)
{
    int fd = client->fd, stop_fd = client->stop_fd;
    if ((events & POLLIN) && client->tls && tls_client_holds(client->tls)) return CLIENT_OK;
    for (;;) {
        struct pollfd polled[2] = { { .fd = fd, .events = events }, { .fd = stop_fd, .events = POLLIN } };
        struct timespec left = { 0 };
        if (deadline_ns != CLIENT_NEVER) {
            int64_t left_ns = deadline_ns - client_now_ns();
            if (left_ns > 0) left = (struct timespec){ left_ns / 1000000000, left_ns % 1000000000 };
        }
        int ready = ppoll(polled, 2, deadline_ns == CLIENT_NEVER ? NULL : &left, NULL);
        if (ready > 0 && polled[1].revents) return CLIENT_STOPPED; /* a negative stop_fd is passed over by poll */
        if (ready > 0) return CLIENT_OK;
        if (ready == 0 && deadline_ns != CLIENT_NEVER && client_now_ns() >= deadline_ns) return CLIENT_QUIET;
    }
}

/* ---- bytes ------------------------------------------------------------------------------------------------------- */

/* Reads what is there. CLIENT_OK: some came, CLIENT_QUIET: none is there or there is no room for it. */
static int read_some(struct client *client)
{
    if (client->in_start == client->in_size) client->in_start = client->in_size = 0;
    if (client->in_room - client->in_size < IN_ROOM_LEAST && client->in_start > 0) {
        memmove(client->in, client->in + client->in_start, client->in_size - client->in_start);
        client->in_size -= client->in_start;
        client->in_start = 0;
    }
    if (client->in_room - client->in_size < IN_ROOM_LEAST && client->in_room < 2 * CLIENT_MESSAGE_BYTES_MAX) {
        size_t room = client->in_room ? 2 * client->in_room : IN_BYTES_FIRST;
        char *in = realloc(client->in, room);
        if (!in) return gone(client, "no memory for what the gateway sends");
        client->in = in;
        client->in_room = room;
    }
    if (client->in_size == client->in_room) return CLIENT_QUIET;
    ssize_t got = stream_receive(client->fd, client->tls, client->in + client->in_size, client->in_room - client->in_size);
    if (got == 0) return gone(client, "the gateway closed the connection without a word");
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return CLIENT_QUIET;
    if (got < 0) return gone_by_error(client, "receiving failed");
    client->in_size += (size_t)got;
    return CLIENT_OK;
}

int client_push(struct client *client)
{
    if (client->fd < 0) return CLIENT_GONE;
    while (client->out_start < client->out_size) {
        ssize_t sent = stream_send(client->fd, client->tls, client->out + client->out_start, client_unsent(client));
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0 && errno == EAGAIN) return CLIENT_OK;
        if (sent < 0) return gone_by_error(client, "sending failed");
        client->out_start += (size_t)sent;
    }
    client->out_start = client->out_size = 0;
    return CLIENT_OK;
}

int client_flush(struct client *client)
{
    for (;;) {
        int result = client_push(client);
        if (result != CLIENT_OK || client_unsent(client) == 0) return result;
        /* What the gateway says meanwhile is taken in: it may be waiting for that before it takes more from us. */
        bool room = client->in_size - client->in_start < 2 * CLIENT_MESSAGE_BYTES_MAX - IN_ROOM_LEAST;
        result = wait_until(client, (short)(POLLOUT | (room ? POLLIN : 0)), CLIENT_NEVER);
        if (result == CLIENT_OK && room) result = read_some(client);
        if (result < 0) return result;
    }
}

/* Room for at least one byte in the out buffer, waiting for it where need be. */
static int make_room(struct client *client)
{
    if (client->out_size < CLIENT_OUT_BYTES) return CLIENT_OK;
    return client_flush(client);
}

/* The keys only have to be new to whoever sits between (RFC 6455, 10.3); the kernel seeds them for each connection. */
static void next_mask_key(struct client *client, uint8_t key[4])
{
    uint32_t word = (uint32_t)random_next(&client->random);
    memcpy(key, &word, 4);
}

static int send_frame(struct client *client, enum ws_opcode opcode, struct span payload)
{
    if (client->fd < 0) return CLIENT_GONE;
    if (client->out_size > CLIENT_OUT_BYTES - WS_HEADER_BYTES_MAX) {
        int result = client_flush(client);
        if (result != CLIENT_OK) return result;
    }
    uint8_t key[4];
    next_mask_key(client, key);
    client->out_size += ws_client_header_write(client->out + client->out_size, opcode, payload.size, key);
    for (size_t done = 0; done < payload.size;) {
        int result = make_room(client);
        if (result != CLIENT_OK) return result;
        size_t piece = payload.size - done, room = CLIENT_OUT_BYTES - client->out_size;
        if (piece > room) piece = room;
        memcpy(client->out + client->out_size, payload.bytes + done, piece);
        mask_apply(client->out + client->out_size, piece, key, done);
        client->out_size += piece;
        done += piece;
    }
    return CLIENT_OK;
}

int client_send_text(struct client *client, struct span text) { return send_frame(client, WS_TEXT, text); }

/* ---- messages ---------------------------------------------------------------------------------------------------- */

static int on_close(struct client *client, struct span payload)
{
    uint16_t code = 1005;
    struct span reason = SPAN_NONE;
    if (ws_close_read(payload, &code, &reason) != WS_CLOSE_NONE || payload.size == 0) code = 1005, reason = SPAN_NONE;
    client->close_code = code;
    /* The answer is a courtesy: where there is no room for it, the connection just ends. */
    if (client->out_size <= CLIENT_OUT_BYTES - WS_HEADER_BYTES_MAX - 2) {
        uint8_t number[2] = { (uint8_t)(code >> 8), (uint8_t)code };
        send_frame(client, WS_CLOSE, span_of((char *)number, payload.size >= 2 ? 2 : 0));
        client_push(client);
    }
    if (code == 1005) return gone(client, "the gateway closed the connection without a code");
    return gone(client, "the gateway closed the connection: %u %.*s", code, (int)reason.size,
                reason.size ? reason.bytes : "");
}

static int on_ping(struct client *client, struct span payload)
{
    /* A pong that finds no room is left out: the gateway pings again, and so much unsent says enough. */
    if (client->out_size > CLIENT_OUT_BYTES - WS_HEADER_BYTES_MAX - WS_CONTROL_BYTES_MAX) return CLIENT_OK;
    int result = send_frame(client, WS_PONG, payload);
    return result == CLIENT_OK ? client_push(client) : result;
}

static int add_fragment(struct client *client, struct span piece)
{
    if (client->parts_size + piece.size > CLIENT_MESSAGE_BYTES_MAX)
        return gone(client, "the gateway sent a message of more than %u bytes", CLIENT_MESSAGE_BYTES_MAX);
    if (client->parts_size + piece.size > client->parts_room) {
        size_t room = 2 * (client->parts_size + piece.size);
        char *parts = realloc(client->parts, room);
        if (!parts) return gone(client, "no memory for what the gateway sends");
        client->parts = parts;
        client->parts_room = room;
    }
    span_write(piece, client->parts + client->parts_size);
    client->parts_size += piece.size;
    return CLIENT_OK;
}

/* Takes one whole frame from the in buffer. CLIENT_OK: it ended a message, CLIENT_QUIET: take the next. */
static int on_frame(struct client *client, const struct ws_header *header, struct span payload, struct span *message)
{
    int result = CLIENT_QUIET;
    switch (header->opcode) {
    case WS_PING: result = on_ping(client, payload); return result == CLIENT_OK ? CLIENT_QUIET : result;
    case WS_PONG: return CLIENT_QUIET;
    case WS_CLOSE: return on_close(client, payload);
    case WS_TEXT:
    case WS_BINARY:
        if (client->in_fragments) return gone(client, "the gateway began a message within another");
        if (header->fin) {
            *message = payload;
            return CLIENT_OK;
        }
        client->parts_size = 0;
        client->in_fragments = true;
        break;
    default:
        if (!client->in_fragments) return gone(client, "the gateway continued a message that it had not begun");
    }
    result = add_fragment(client, payload);
    if (result != CLIENT_OK) return result;
    if (!header->fin) return CLIENT_QUIET;
    client->in_fragments = false;
    *message = span_of(client->parts ? client->parts : "", client->parts_size);
    return CLIENT_OK;
}

/* The next message among the bytes received. CLIENT_QUIET: they hold no whole one. */
static int take_message(struct client *client, struct span *message)
{
    for (;;) {
        struct span bytes = span_of(client->in + client->in_start, client->in_size - client->in_start);
        if (bytes.size == 0) return CLIENT_QUIET;
        struct ws_header header;
        const char *why = "";
        enum decode decoded = ws_frame_decode(bytes, false, false, &header, &why);
        if (decoded == DECODE_BAD) return gone(client, "the gateway broke the WebSocket protocol: %s", why);
        if (decoded == DECODE_MORE) return CLIENT_QUIET;
        if (header.payload_bytes > CLIENT_MESSAGE_BYTES_MAX)
            return gone(client, "the gateway sent a message of more than %u bytes", CLIENT_MESSAGE_BYTES_MAX);
        size_t frame_bytes = header.header_bytes + (size_t)header.payload_bytes;
        if (bytes.size < frame_bytes) return CLIENT_QUIET;
        client->in_start += frame_bytes;
        int result = on_frame(client, &header, span_of(bytes.bytes + header.header_bytes, (size_t)header.payload_bytes),
                              message);
        if (result != CLIENT_QUIET) return result;
    }
}

int client_receive(struct client *client, struct span *message, int64_t deadline_ns)
{
    for (;;) {
        if (client->fd < 0) return CLIENT_GONE;
        int result = take_message(client, message);
        if (result != CLIENT_QUIET) return result;
        result = read_some(client);
        if (result == CLIENT_OK) continue;
        if (result < 0 || deadline_ns == CLIENT_NOW) return result;
        result = client_push(client);
        if (result != CLIENT_OK) return result;
        short events = (short)(POLLIN | (client_unsent(client) ? POLLOUT : 0));
        result = wait_until(client, events, deadline_ns);
        if (result != CLIENT_OK) return result;
    }
}

/* ---- the handshake ----------------------------------------------------------------------------------------------- */

static void base64_16(const uint8_t bytes[16], char text[25])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int i = 0, at = 0; i < 16; i += 3) {
        uint32_t three = (uint32_t)bytes[i] << 16 | (i + 1 < 16 ? (uint32_t)bytes[i + 1] << 8 | bytes[i + 2] : 0);
        for (int shift = 18; shift >= 0; shift -= 6) text[at++] = digits[(three >> shift) & 63];
    }
    memcpy(text + 22, "==", 3);
}

/* The gateway's own words in {"error":{"message":…}}; whatever else the body is stays unsaid. */
static int refused(struct client *client, struct span body)
{
    char words[200] = "";
    struct json_value whole, key, value;
    if (json_validate(body, 8, &whole) == JSON_OK && whole.kind == JSON_OBJECT) {
        for (size_t at = 0; json_member_next(whole.text, &at, &key, &value);) {
            if (!json_string_is(&key, "error") || value.kind != JSON_OBJECT) continue;
            struct span error = value.text;
            for (size_t inner = 0; json_member_next(error, &inner, &key, &value);) {
                if (!json_string_is(&key, "message") || value.kind != JSON_STRING) continue;
                long size = json_string_unescape(&value, words, sizeof words - 1);
                words[size > 0 ? size : 0] = 0;
            }
        }
    }
    return gone(client, "the gateway refused: %u %s%s%s", client->status, http_status_text(client->status),
                words[0] ? ": " : "", words);
}

/* Offset behind the empty line that ends the head, or 0. */
static size_t head_end(const struct client *client)
{
    const char *end = span_find_string(span_of(client->in, client->in_size), "\r\n\r\n");
    return end ? (size_t)(end - client->in) + 4 : 0;
}

static int judge_answer(struct client *client, size_t head_bytes, const char *ws_key)
{
    struct span head = span_of(client->in, head_bytes), name, value, accept = SPAN_NONE, length = SPAN_NONE;
    if (head.size < 13 || memcmp(head.bytes, "HTTP/1.1 ", 9) != 0)
        return gone(client, "what answers there does not speak HTTP/1.1");
    client->status = (uint16_t)strtoul(head.bytes + 9, NULL, 10);
    uint32_t at = (uint32_t)(span_find(head, '\n') - head.bytes) + 1;
    while (http_header_next(head, &at, &name, &value)) {
        if (http_token_is(name, "sec-websocket-accept")) accept = value;
        if (http_token_is(name, "content-length")) length = value;
    }
    client->in_start = head_bytes;
    if (client->status != 101) {
        size_t wanted = length.size ? strtoul(length.bytes, NULL, 10) : 0;
        int64_t deadline_ns = client_now_ns() + REFUSAL_NS;
        if (wanted > 4096) wanted = 4096;
        while (client->in_size - client->in_start < wanted) {
            if (wait_until(client, POLLIN, deadline_ns) != CLIENT_OK) break;
            ssize_t got = stream_receive(client->fd, client->tls, client->in + client->in_size, client->in_room - client->in_size);
            if (got < 0 && errno == EAGAIN) continue;
            if (got <= 0) break;
            client->in_size += (size_t)got;
        }
        return refused(client, span_of(client->in + client->in_start, client->in_size - client->in_start));
    }
    char right[WS_ACCEPT_BYTES];
    ws_accept(span_of_string(ws_key), right);
    if (!span_equals(accept, span_of(right, sizeof right)))
        return gone(client, "what answers there is no WebSocket server: its Sec-WebSocket-Accept is wrong");
    return CLIENT_OK;
}

static int shake_hands(struct client *client, const struct client_url *url, const char *path, const char *key,
                       int64_t deadline_ns)
{
    uint8_t random[16];
    char ws_key[25];
    random_fill(random, sizeof random);
    random_fill(&client->random, sizeof client->random);
    base64_16(random, ws_key);
    bool bare = url->target.size == 0 || span_is(url->target, "/");
    int size = snprintf(
        client->out, CLIENT_OUT_BYTES,
        "GET %.*s HTTP/1.1\r\nHost: %s%s%s:%s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\nSec-WebSocket-Protocol: ringcast.v1\r\n%s%s%s\r\n",
        bare ? (int)strlen(path) : (int)url->target.size, bare ? path : url->target.bytes, url->bracketed ? "[" : "",
        url->host, url->bracketed ? "]" : "", url->port, ws_key, key ? "Authorization: Bearer " : "", key ? key : "",
        key ? "\r\n" : "");
    if (size >= (int)CLIENT_OUT_BYTES) return gone(client, "the URL is too long");
    client->out_size = (size_t)size;
    int result = client_push(client);
    while (result == CLIENT_OK && head_end(client) == 0) {
        if (client->in_size > CLIENT_HEAD_BYTES_MAX) return gone(client, "what answers there does not speak HTTP/1.1");
        result = wait_until(client, (short)(POLLIN | (client_unsent(client) ? POLLOUT : 0)), deadline_ns);
        if (result == CLIENT_QUIET) return gone(client, "the gateway did not answer the handshake in time");
        if (result == CLIENT_OK) result = client_push(client);
        if (result == CLIENT_OK && read_some(client) == CLIENT_GONE) result = CLIENT_GONE;
    }
    if (result == CLIENT_STOPPED) drop(client);
    return result == CLIENT_OK ? judge_answer(client, head_end(client), ws_key) : result;
}

int client_connect(struct client *client, struct span text, const char *path, const char *key)
{
    struct client_url url;
    const char *why;
    drop(client);
    client->status = client->close_code = 0;
    if (!client_url_read(text, &url, &why)) return gone(client, "%s: %.*s", why, (int)text.size, text.bytes);
    for (const char *at = key; at && *at; at++)
        if (*at < '!' || *at > '~') return gone(client, "the key holds a character that no key can hold");
    if (!client->out && !(client->out = malloc(CLIENT_OUT_BYTES))) return gone(client, "no memory for a connection");
    int64_t deadline_ns = client_now_ns() + CLIENT_CONNECT_NS;
    client->fd = client_dial(&url, client->stop_fd, deadline_ns, client->why);
    if (client->fd < 0) {
        int result = client->fd;
        client->fd = -1;
        return result;
    }
    if (url.secure) {
        if (!client->trust) client->trust = tls_trust_make(client->why, sizeof client->why);
        int result = client->trust ? client_secure(client->fd, &url, client->trust, client->stop_fd, deadline_ns, &client->tls, client->why) : CLIENT_GONE;
        if (result != CLIENT_OK) return drop(client), result;
    }
    return shake_hands(client, &url, path, key, deadline_ns);
}

void client_close(struct client *client)
{
    struct span ignored;
    int64_t deadline_ns = client_now_ns() + GOODBYE_NS;
    bool room = client->out_size <= CLIENT_OUT_BYTES - WS_HEADER_BYTES_MAX - 2; /* else it would wait to say goodbye */
    if (client->fd >= 0 && room && send_frame(client, WS_CLOSE, span_of("\x03\xe8", 2)) == CLIENT_OK)
        while (client_receive(client, &ignored, deadline_ns) == CLIENT_OK) continue;
    drop(client);
    tls_trust_free(client->trust);
    free(client->in);
    free(client->out);
    free(client->parts);
    client_init(client, client->stop_fd);
}
