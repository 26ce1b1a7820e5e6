/* See peer_publisher.h. */
#include "bench/peer_publisher.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench/machine.h"
#include "core/proto/mask.h"
#include "core/proto/ws_frame.h"

#define OUT_BYTES       (64u << 10)
#define LINES_A_MESSAGE 16 /* of ringcast, as in `fanout` */
#define POSTS_IN_FLIGHT 64
#define CONNECT_NS      5000000000

static bool by_websocket(const struct peer_publisher *self)
{
    return self->peer->kind->dialect == PEER_RINGCAST || self->peer->kind->dialect == PEER_WS || self->peer->kind->dialect == PEER_BARE;
}

int peer_publisher_begin(struct peer_publisher *self, const struct peer *peer, uint32_t message_bytes)
{
    char url[80];
    struct timespec wall;
    struct client_url parts;
    const char *fault = "";
    clock_gettime(CLOCK_REALTIME, &wall);
    *self = (struct peer_publisher){ .peer = peer, .message_bytes = message_bytes,
                                     .wall_us = (int64_t)wall.tv_sec * 1000000 + wall.tv_nsec / 1000 - now_ns() / 1000 };
    client_init(&self->client, -1);
    self->out = malloc(OUT_BYTES);
    if (!self->out) return snprintf(self->why, sizeof self->why, "no memory"), -1;
    snprintf(url, sizeof url, "ws://127.0.0.1:%u%s", peer->port_publish, peer->kind->dialect == PEER_RINGCAST ? "/v1/ws" : "/pub");
    if (by_websocket(self)) {
        const char *key = peer->kind->dialect == PEER_RINGCAST ? PEER_KEY : NULL;
        if (client_connect(&self->client, span_of_string(url), "/", key) == CLIENT_OK) return 0;
    } else if (client_url_read(span_of_string(url), &parts, &fault)) {
        self->client.fd = client_dial(&parts, -1, now_ns() + CONNECT_NS, self->client.why);
    }
    if (self->client.fd < 0) return snprintf(self->why, sizeof self->why, "publisher: %s", self->client.why), -1;
    if (peer->kind->dialect == PEER_NATS) self->out_size = (uint32_t)sprintf(self->out, "CONNECT {\"verbose\":false,\"pedantic\":false}\r\n");
    return 0;
}

void peer_publisher_end(struct peer_publisher *self)
{
    if (self->client.fd >= 0) close(self->client.fd);
    self->client.fd = -1;
    client_close(&self->client);
    free(self->out);
    self->out = NULL;
}

/* 0: all is written; 1: the socket is full; -1. */
static int push(struct peer_publisher *self)
{
    while (self->out_start < self->out_size) {
        ssize_t sent = send(self->client.fd, self->out + self->out_start, self->out_size - self->out_start, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return 1;
        if (sent < 0) return snprintf(self->why, sizeof self->why, "publisher: %s", strerror(errno)), -1;
        self->out_start += (uint32_t)sent;
    }
    self->out_start = self->out_size = 0;
    return 0;
}

/* One message of a WebSocket or one request: so many updates, as far as one takes several. */
static uint32_t encode(struct peer_publisher *self, uint32_t count, double due_ns, double step_ns)
{
    static const uint8_t key[4] = { 0x5a, 0xc3, 0x3c, 0xa5 };
    char *payload = self->out + OUT_BYTES - PEER_REQUEST_BYTES_MAX, *body = self->out + self->out_size + WS_HEADER_BYTES_MAX;
    uint32_t size = 0;
    for (uint32_t i = 0; i < count; i++, due_ns += step_ns) {
        uint64_t number = ++self->published;
        uint32_t bytes = peer_payload_write(self->peer->kind, number, (int64_t)(due_ns * 1e-3) + self->wall_us, self->message_bytes, payload);
        size += peer_request_write(self->peer->kind, span_of(payload, bytes), body + size);
    }
    char *at = self->out + self->out_size;
    uint32_t header = 0;
    if (by_websocket(self)) {
        header = ws_client_header_write(at, WS_TEXT, size, key);
        mask_apply(body, size, key, 0);
    }
    memmove(at + header, body, size);
    self->out_size += header + size;
    return count;
}

int64_t peer_publisher_publish(struct peer_publisher *self, uint64_t count, double due_ns, double step_ns)
{
    enum peer_dialect dialect = self->peer->kind->dialect;
    uint64_t done = 0;
    uint32_t most = dialect == PEER_RINGCAST ? LINES_A_MESSAGE : 1;
    for (int full = push(self); full == 0 && done < count; full = push(self)) {
        bool room = true;
        while (done < count && room) {
            if (dialect == PEER_HTTP && self->published - self->answered >= POSTS_IN_FLIGHT) return (int64_t)done;
            uint32_t lines = count - done < most ? (uint32_t)(count - done) : most;
            done += encode(self, lines, due_ns + (double)done * step_ns, step_ns);
            room = OUT_BYTES - self->out_size > most * (self->message_bytes + 128) + 2 * PEER_REQUEST_BYTES_MAX;
            if (dialect == PEER_HTTP && done == count) break;
        }
        if (full < 0) break;
    }
    return self->why[0] ? -1 : (int64_t)done;
}

/* Counts a word in what came, where it may have been cut. */
static uint32_t count_word(const char *bytes, size_t size, const char *word)
{
    uint32_t count = 0;
    size_t word_size = strlen(word);
    for (const char *at = bytes; (at = memmem(at, size - (size_t)(at - bytes), word, word_size)); at += word_size) count++;
    return count;
}

int peer_publisher_listen(struct peer_publisher *self)
{
    char bytes[16384 + sizeof self->tail];
    if (push(self) < 0) return -1;
    for (;;) {
        memcpy(bytes, self->tail, self->tail_size);
        ssize_t got = recv(self->client.fd, bytes + self->tail_size, 16384, MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
        if (got <= 0) return snprintf(self->why, sizeof self->why, "publisher: the peer closed the connection"), -1;
        size_t size = self->tail_size + (size_t)got;
        const char *complaint = self->peer->kind->complaint, *found = memmem(bytes, size, complaint, strlen(complaint));
        if (found) {
            int rest = (int)(size - (size_t)(found - bytes));
            snprintf(self->why, sizeof self->why, "publisher: the peer complains: %.*s", rest < 120 ? rest : 120, found);
            return -1;
        }
        if (self->peer->kind->dialect == PEER_HTTP) {
            self->answered += count_word(bytes, size, "HTTP/1.1 20");
            self->tail_size = size < 10 ? (uint32_t)size : 10; /* one byte less than the word: none is counted twice */
            memcpy(self->tail, bytes + size - self->tail_size, self->tail_size);
        }
    }
}
