/* See bare.h. Who asks for /pub is the publisher, all others are subscribers and never read from again; connections stay until the process
 * ends. It sleeps in epoll_wait, as the gateway sleeps in its ring, and sends as the gateway does (and floor.c). */
#include "bench/bare.h"

#include <errno.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/flags.h"
#include "bench/machine.h"
#include "core/proto/mask.h"
#include "core/proto/ws_frame.h"
#include "core/proto/ws_handshake.h"

#define SENDS_AN_ENTER 256
#define FILES_MAX      20000
#define IN_BYTES       (256u << 10)
#define LOWAT_BYTES    16384
#define EVENTS         64

struct bare {
    struct io_uring ring;
    int      listener, poll, publisher; /* -1: none yet */
    uint32_t subscribers;               /* their files stand in the ring's table from 0 on */
    char    *in, *out;                  /* of the publisher: what came; the frames that it makes */
    size_t   in_size, out_size;
};

static int die(const char *what)
{
    fprintf(stderr, "ringcast-bench bare: %s: %s\n", what, strerror(errno));
    return 1;
}

static bool listen_at(struct bare *self, uint16_t port)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
    int on = 1, lowat = LOWAT_BYTES;
    struct epoll_event event = { .events = EPOLLIN };
    self->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    self->poll = epoll_create1(EPOLL_CLOEXEC);
    event.data.fd = self->listener;
    return self->listener >= 0 && self->poll >= 0 && setsockopt(self->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
           setsockopt(self->listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 &&
           setsockopt(self->listener, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof lowat) == 0 && bind(self->listener, (struct sockaddr *)&at, sizeof at) == 0 &&
           listen(self->listener, 4096) == 0 && epoll_ctl(self->poll, EPOLL_CTL_ADD, self->listener, &event) == 0;
}

static void forget(struct bare *self, int fd)
{
    epoll_ctl(self->poll, EPOLL_CTL_DEL, fd, NULL);
    close(fd);
}

/* The handshake, which comes in one piece over loopback. */
static void shake_hands(struct bare *self, int fd)
{
    static const char name[] = "Sec-WebSocket-Key: ";
    char request[8192], accept[WS_ACCEPT_BYTES], answer[200];
    ssize_t size = recv(fd, request, sizeof request - 1, MSG_DONTWAIT);
    request[size > 0 ? size : 0] = 0;
    const char *key = strstr(request, name);
    if (!key || self->subscribers == FILES_MAX) {
        forget(self, fd); /* or somebody who looks whether we are there */
        return;
    }
    key += strlen(name);
    ws_accept(span_of(key, strcspn(key, "\r")), accept);
    int answer_size = snprintf(answer, sizeof answer, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %.*s\r\n\r\n", WS_ACCEPT_BYTES, accept);
    if (send(fd, answer, (size_t)answer_size, MSG_NOSIGNAL) != answer_size) {
        forget(self, fd);
        return;
    }
    if (strncmp(request, "GET /pub ", 9) == 0) {
        self->publisher = fd;
        return;
    }
    epoll_ctl(self->poll, EPOLL_CTL_DEL, fd, NULL);
    if (io_uring_register_files_update(&self->ring, self->subscribers, &fd, 1) == 1) self->subscribers++;
}

/* What the publisher said becomes frames of ours, back to back. False: it closed, or was not understood. */
static bool take(struct bare *self)
{
    size_t at = 0;
    ssize_t size = recv(self->publisher, self->in + self->in_size, IN_BYTES - self->in_size, MSG_DONTWAIT);
    if (size <= 0) return size < 0 && errno == EAGAIN;
    self->in_size += (size_t)size;
    for (self->out_size = 0;;) {
        struct ws_header header;
        const char *why;
        enum decode verdict = ws_frame_decode(span_of(self->in + at, self->in_size - at), true, false, &header, &why);
        if (verdict == DECODE_BAD) return false;
        if (verdict == DECODE_MORE || self->in_size - at < header.header_bytes + header.payload_bytes) break;
        char *payload = self->in + at + header.header_bytes;
        at += header.header_bytes + header.payload_bytes;
        if (header.opcode != WS_TEXT) continue;
        mask_apply(payload, header.payload_bytes, header.mask_key, 0);
        self->out_size += ws_server_header_write(self->out + self->out_size, WS_TEXT, header.payload_bytes);
        memcpy(self->out + self->out_size, payload, header.payload_bytes);
        self->out_size += header.payload_bytes;
    }
    memmove(self->in, self->in + at, self->in_size - at);
    self->in_size -= at;
    return true;
}

/* False: a send was short. */
static bool send_to_all(struct bare *self)
{
    struct io_uring_cqe *cqe;
    for (uint32_t i = 0; i < self->subscribers; i++) {
        struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);
        io_uring_prep_send(sqe, (int)i, self->out, self->out_size, MSG_WAITALL | MSG_DONTWAIT | MSG_NOSIGNAL);
        io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS);
        if ((i + 1) % SENDS_AN_ENTER == 0 || i + 1 == self->subscribers) io_uring_submit_and_get_events(&self->ring);
    }
    return io_uring_peek_cqe(&self->ring, &cqe) != 0; /* a whole send is silent */
}

static int serve(struct bare *self)
{
    struct epoll_event events[EVENTS];
    for (;;) {
        int count = epoll_wait(self->poll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == self->listener) {
                int one = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
                struct epoll_event event = { .events = EPOLLIN, .data.fd = one };
                if (one >= 0) epoll_ctl(self->poll, EPOLL_CTL_ADD, one, &event);
            } else if (fd == self->publisher) {
                if (!take(self)) return 0;
                if (self->out_size > 0 && !send_to_all(self)) return fprintf(stderr, "ringcast-bench bare: a subscriber does not keep up\n"), 1;
            } else {
                shake_hands(self, fd);
            }
        }
    }
}

int bare_main(int argc, char **argv)
{
    static struct bare self = { .publisher = -1 };
    uint64_t port = 0;
    const struct flag flags[] = {
        { "port", FLAG_COUNT, &port, "P", "of 127.0.0.1", 1, 65535 },
        { 0 },
    };
    enum flags_result read = flags_read("bare", flags, argc, argv, NULL, 0);
    if (read == FLAGS_HELP) {
        printf("usage: ringcast-bench bare --port P\nA bare loop of sends, for `compare`: each message of /pub goes to all who asked for anything else.\n\n");
        flags_help(flags);
    }
    if (read != FLAGS_OK || port == 0) return read == FLAGS_HELP ? 0 : 2;
    struct io_uring_params params = { .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN };
    machine_files();
    self.in = malloc(IN_BYTES);
    self.out = malloc(2 * IN_BYTES); /* a frame of ours is no longer than its masked one */
    if (!self.in || !self.out || !listen_at(&self, (uint16_t)port)) return die("set-up");
    errno = -io_uring_queue_init_params(SENDS_AN_ENTER, &self.ring, &params);
    if (errno == 0) errno = -io_uring_register_files_sparse(&self.ring, FILES_MAX);
    return errno ? die("io_uring") : serve(&self);
}
