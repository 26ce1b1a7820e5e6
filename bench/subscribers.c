/* See subscribers.h. */
#include "bench/subscribers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/inflated.h"
#include "bench/machine.h"
#include "bench/subscribers_connect.h"
#include "core/proto/mask.h"
#include "core/proto/ws_deflate.h"
#include "core/proto/ws_frame.h"

#define EVENTS_A_TURN 64 /* so that a publisher beside it has its turn soon */

int subscribers_init(struct subscribers *self, uint32_t count)
{
    *self = (struct subscribers){ .count = count, .pong_ns = now_ns() };
    self->all = calloc(count, sizeof *self->all);
    self->buffer = malloc(SUBSCRIBER_FRAME_BYTES_MAX);
    self->poll = epoll_create1(EPOLL_CLOEXEC);
    if (!self->all || !self->buffer || self->poll < 0) return -ENOMEM;
    for (uint32_t i = 0; i < count; i++) self->all[i].fd = -1;
    return 0;
}

void subscribers_deinit(struct subscribers *self)
{
    for (uint32_t i = 0; self->all && i < self->count; i++) {
        tls_client_free(self->all[i].tls);
        if (self->all[i].fd >= 0) close(self->all[i].fd);
        free(self->all[i].carry);
    }
    tls_trust_free(self->trust);
    inflated_free(self->inflated);
    if (self->poll >= 0) close(self->poll);
    free(self->buffer);
    free(self->all);
    self->all = NULL;
}

void subscriber_end(struct subscribers *self, uint32_t index, const char *why)
{
    struct subscriber *one = &self->all[index];
    if (!self->why[0]) snprintf(self->why, sizeof self->why, "connection %u: %s", index, why);
    if (one->state == SUBSCRIBER_OPEN) self->opened--;
    tls_client_free(one->tls);
    one->tls = NULL;
    close(one->fd);
    one->fd = -1;
    one->state = SUBSCRIBER_ENDED;
    self->ended++;
}

/* ---- frames ------------------------------------------------------------------------------------------------------ */

static void send_control(struct subscriber *one, enum ws_opcode opcode, struct span payload)
{
    static const uint8_t key[4] = { 0x5a, 0xc3, 0x3c, 0xa5 }; /* nobody sits between a bench and its gateway */
    char frame[WS_HEADER_BYTES_MAX + WS_CONTROL_BYTES_MAX];
    uint32_t size = ws_client_header_write(frame, opcode, payload.size, key);
    span_write(payload, frame + size);
    mask_apply(frame + size, payload.size, key, 0);
    /* Where the socket has no room for it, the gateway has more from us to read than it needs for a sign of life. */
    if (stream_send(one->fd, one->tls, frame, size + payload.size) < 0) return;
}

static void on_close(struct subscribers *self, uint32_t index, struct span payload)
{
    char words[200];
    struct span reason = SPAN_NONE;
    uint16_t code = 0;
    ws_close_read(payload, &code, &reason);
    snprintf(words, sizeof words, "the gateway closed it: %u %.*s", code, (int)reason.size,
             reason.size ? reason.bytes : "");
    self->all[index].close_code = code;
    subscriber_end(self, index, words);
}

static void on_control(struct subscribers *self, uint32_t index, uint8_t opcode, struct span payload)
{
    if (opcode == WS_PING) send_control(&self->all[index], WS_PONG, payload);
    else if (opcode == WS_CLOSE) on_close(self, index, payload);
    else if (opcode != WS_PONG) subscriber_end(self, index, "the gateway sent a frame that is neither text nor control");
}

/* Hands out payloads as they come; returns how many bytes were taken. Control frames are taken whole. */
static size_t take_pieces(struct subscribers *self, uint32_t index, struct span bytes, int64_t at_ns)
{
    struct subscriber *one = &self->all[index];
    struct span rest = bytes;
    while (one->state == SUBSCRIBER_OPEN && rest.size) {
        struct ws_header header;
        const char *why = "";
        if (one->piece_left) {
            size_t size = one->piece_left < rest.size ? (size_t)one->piece_left : rest.size;
            self->on_piece(self->owner, index, span_of(rest.bytes, size), at_ns);
            one->piece_left -= size;
            rest = span_skip(rest, size);
            continue;
        }
        enum decode decoded = ws_frame_decode(rest, false, false, &header, &why);
        if (decoded == DECODE_BAD) subscriber_end(self, index, why);
        if (decoded != DECODE_DONE) break;
        bool data = header.opcode <= WS_BINARY;
        if (!data && rest.size < header.header_bytes + header.payload_bytes) break;
        rest = span_skip(rest, header.header_bytes);
        if (data) {
            one->piece_left = header.payload_bytes;
            continue;
        }
        on_control(self, index, header.opcode, span_of(rest.bytes, (size_t)header.payload_bytes));
        rest = span_skip(rest, (size_t)header.payload_bytes);
    }
    return bytes.size - rest.size;
}

/* A whole text frame's. */
static void on_payload(struct subscribers *self, uint32_t index, struct span payload, bool compressed, int64_t at_ns)
{
    struct span text = compressed ? inflated_message(self->inflated, payload) : payload;
    if (text.bytes) self->on_text(self->owner, index, text, at_ns);
    else subscriber_end(self, index, "the gateway sent a compressed message that is broken");
}

/* Hands out the whole frames of `bytes`; returns how many bytes they took. The connection may have ended. */
static size_t take_frames(struct subscribers *self, uint32_t index, struct span bytes, int64_t at_ns)
{
    struct subscriber *one = &self->all[index];
    size_t at = 0;
    while (one->state == SUBSCRIBER_OPEN) {
        struct ws_header header;
        const char *why = "";
        struct span rest = span_skip(bytes, at);
        if (rest.size == 0) break;
        enum decode decoded = ws_frame_decode(rest, false, self->deflate, &header, &why);
        if (decoded == DECODE_MORE) break;
        if (decoded == DECODE_BAD) {
            subscriber_end(self, index, why);
            break;
        }
        size_t frame_bytes = header.header_bytes + (size_t)header.payload_bytes;
        if (header.payload_bytes > SUBSCRIBER_FRAME_BYTES_MAX / 2) {
            subscriber_end(self, index, "the gateway sent a frame that is too large for this tool");
            break;
        }
        if (rest.size < frame_bytes) break;
        at += frame_bytes;
        struct span payload = span_of(rest.bytes + header.header_bytes, (size_t)header.payload_bytes);
        if (header.opcode == WS_TEXT && header.fin)
            on_payload(self, index, payload, header.rsv1, at_ns);
        else
            on_control(self, index, header.opcode, payload);
    }
    return at;
}

/* ---- the handshake ----------------------------------------------------------------------------------------------- */

/* It agreed to what was offered. */
static bool has_agreed(const struct subscribers *self, struct span head)
{
    static const char name[] = "\r\nSec-WebSocket-Extensions: ";
    const char *line = span_find_string(head, name), *value = line ? line + sizeof name - 1 : NULL;
    if (!self->deflate) return !line;
    const char *end = value ? span_find(span_skip(head, (size_t)(value - head.bytes)), '\r') : NULL;
    return end && ws_deflate_answer_fits(span_of(value, (size_t)(end - value)));
}

/* Bytes that the answer's head takes; 0: it is not whole yet. Ends the connection where it is no good answer. */
static size_t take_answer(struct subscribers *self, uint32_t index, struct span bytes)
{
    char words[200];
    const char *head_end = span_find_string(bytes, "\r\n\r\n");
    if (!head_end) return 0;
    size_t head_bytes = (size_t)(head_end - bytes.bytes) + 4;
    const char *line_end = span_find(bytes, '\r');
    if (bytes.size > 12 && memcmp(bytes.bytes, "HTTP/1.1 101 ", 13) == 0 &&
        memmem(bytes.bytes, head_bytes, self->accept, sizeof self->accept)) {
        if (!has_agreed(self, span_of(bytes.bytes, head_bytes))) {
            subscriber_end(self, index, self->deflate ? "the gateway does not agree to compress" : "the gateway agreed to what was not offered");
            return 0;
        }
        self->all[index].state = SUBSCRIBER_OPEN;
        self->opened++;
        if (self->on_open) self->on_open(self->owner, index);
        return head_bytes;
    }
    snprintf(words, sizeof words, "the gateway answered: %.*s", (int)(line_end - bytes.bytes), bytes.bytes);
    subscriber_end(self, index, words);
    return 0;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static bool keep(struct subscriber *one, struct span rest)
{
    if (rest.size > one->carry_room) {
        char *carry = realloc(one->carry, rest.size);
        if (!carry) return false;
        one->carry = carry;
        one->carry_room = (uint32_t)rest.size;
    }
    span_write(rest, one->carry);
    one->carry_size = (uint32_t)rest.size;
    return true;
}

static const char *broken(const struct subscriber *one) { return one->tls && errno == EPROTO ? tls_client_why(one->tls) : strerror(errno); }

static void read_one(struct subscribers *self, uint32_t index, size_t bytes_most)
{
    struct subscriber *one = &self->all[index];
    size_t size = one->carry_size;
    if (size) memcpy(self->buffer, one->carry, size);
    if (bytes_most > SUBSCRIBER_FRAME_BYTES_MAX - size) bytes_most = SUBSCRIBER_FRAME_BYTES_MAX - size;
    if (one->cut_at && bytes_most > one->cut_at - one->received) bytes_most = (size_t)(one->cut_at - one->received);
    ssize_t got = stream_receive(one->fd, one->tls, self->buffer + size, bytes_most);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) {
        char words[200];
        snprintf(words, sizeof words, "%s", got == 0 ? "the gateway closed it without a word" : broken(one)); /* what is told goes with it */
        return subscriber_end(self, index, words);
    }
    int64_t at_ns = now_ns();
    struct span bytes = span_of(self->buffer, size + (size_t)got);
    one->received += (uint64_t)got;
    if (one->state == SUBSCRIBER_SHAKING) {
        size_t head_bytes = take_answer(self, index, bytes);
        if (one->state == SUBSCRIBER_OPEN) bytes = span_skip(bytes, head_bytes);
        got = (ssize_t)bytes.size;
    }
    if (one->state == SUBSCRIBER_OPEN) {
        one->bytes += (uint64_t)got;
        size_t taken = self->on_piece ? take_pieces(self, index, bytes, at_ns) : take_frames(self, index, bytes, at_ns);
        bytes = span_skip(bytes, taken);
    }
    bool lives = one->state == SUBSCRIBER_SHAKING || one->state == SUBSCRIBER_OPEN;
    if (lives && !keep(one, bytes)) return subscriber_end(self, index, "no memory");
    if (lives && one->cut_at == one->received) self->on_cut_due(self->owner, index);
}

void subscribers_turn(struct subscribers *self, int64_t wait_ns)
{
    struct epoll_event events[EVENTS_A_TURN];
    struct timespec wait = { wait_ns / 1000000000, wait_ns % 1000000000 };
    self->foreign = false;
    int ready = epoll_pwait2(self->poll, events, EVENTS_A_TURN, &wait, NULL);
    for (int i = 0; i < ready; i++) {
        if (events[i].data.u64 & SUBSCRIBERS_FOREIGN) {
            self->foreign = true;
            continue;
        }
        uint32_t index = (uint32_t)events[i].data.u64;
        struct subscriber *one = &self->all[index];
        if (one->state == SUBSCRIBER_CONNECTING)
            subscriber_connected(self, index);
        else if (one->state == SUBSCRIBER_SECURING)
            subscriber_secure(self, index);
        else if (one->state == SUBSCRIBER_SHAKING || one->state == SUBSCRIBER_OPEN)
            do read_one(self, index, SUBSCRIBER_FRAME_BYTES_MAX);
            while (one->tls && one->state == SUBSCRIBER_OPEN && !one->stalled && tls_client_holds(one->tls));
    }
}

/* ---- living ------------------------------------------------------------------------------------------------------ */

void subscribers_live(struct subscribers *self, int64_t at_ns)
{
    for (uint32_t sent = 0; self->pong_ns <= at_ns && sent < self->count; sent++) {
        struct subscriber *one = &self->all[self->pong_next];
        self->pong_next = self->pong_next + 1 == self->count ? 0 : self->pong_next + 1;
        self->pong_ns += SUBSCRIBERS_SILENT_NS / self->count;
        if (one->state == SUBSCRIBER_OPEN) send_control(one, WS_PONG, SPAN_LITERAL(""));
    }
}

void subscribers_unwatch(struct subscribers *self, uint32_t index)
{
    struct epoll_event event = { 0 };
    epoll_ctl(self->poll, EPOLL_CTL_DEL, self->all[index].fd, &event);
}

void subscribers_stall(struct subscribers *self, uint32_t index, bool stalled)
{
    struct subscriber *one = &self->all[index];
    if (one->state != SUBSCRIBER_OPEN || one->stalled == stalled) return;
    struct epoll_event event = { .events = stalled ? 0 : EPOLLIN, .data.u64 = index };
    one->stalled = stalled;
    epoll_ctl(self->poll, stalled ? EPOLL_CTL_DEL : EPOLL_CTL_ADD, one->fd, &event);
}

void subscribers_sip(struct subscribers *self, uint32_t index, uint32_t bytes_most)
{
    if (self->all[index].state == SUBSCRIBER_OPEN && self->all[index].stalled) read_one(self, index, bytes_most);
}

/* ---- cutting ----------------------------------------------------------------------------------------------------- */

void subscribers_cut(struct subscribers *self, uint32_t index, bool reset)
{
    struct subscriber *one = &self->all[index];
    if (one->state == SUBSCRIBER_OPEN) self->opened--;
    if (reset)
        setsockopt(one->fd, SOL_SOCKET, SO_LINGER, &(struct linger){ .l_onoff = 1 }, sizeof(struct linger));
    else
        shutdown(one->fd, SHUT_RDWR);
    tls_client_free(one->tls);
    one->tls = NULL;
    close(one->fd);
    one->fd = -1;
    one->state = SUBSCRIBER_NONE;
    one->carry_size = 0;
    one->received = one->cut_at = one->piece_left = 0;
}

void subscribers_begin_again(struct subscribers *self, uint32_t index)
{
    if (self->all[index].state == SUBSCRIBER_NONE) subscriber_begin(self, index);
}

bool subscribers_send_text(struct subscribers *self, uint32_t index, struct span text)
{
    static const uint8_t key[4] = { 0x5a, 0xc3, 0x3c, 0xa5 };
    struct subscriber *one = &self->all[index];
    char *frame = malloc(WS_HEADER_BYTES_MAX + text.size);
    if (!frame || one->state != SUBSCRIBER_OPEN) return free(frame), false;
    uint32_t header_bytes = ws_client_header_write(frame, WS_TEXT, text.size, key);
    memcpy(frame + header_bytes, text.bytes, text.size);
    mask_apply(frame + header_bytes, text.size, key, 0);
    ssize_t size = (ssize_t)(header_bytes + text.size), sent = stream_send(one->fd, one->tls, frame, (size_t)size);
    free(frame);
    return sent == size;
}
