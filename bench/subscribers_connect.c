/* See subscribers_connect.h. */
#include "bench/subscribers_connect.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/inflated.h"
#include "bench/machine.h"
#include "core/io/client.h"
#include "core/proto/ws_deflate.h"
#include "core/proto/ws_handshake.h"

#define AT_ONCE        256         /* connections on their way; listen queues take more */
#define PORTS_A_SOURCE 20000       /* of the ephemeral ones that one source address has towards one destination */
#define PATIENCE_NS    20000000000 /* without any progress */
#define KEY            "cmluZ2Nhc3QtYmVuY2ggIQ==" /* of the handshake; any 16 bytes in base64 */

/* What all connections of a crowd share while they get in. */
static struct entrance {
    struct client_url url;
    struct sockaddr_in to;
    const char *key;
    char request[20000];
} entrance;

static void send_request(struct subscribers *self, uint32_t index)
{
    struct subscriber *one = &self->all[index];
    char target[16000];
    self->write_target(self->owner, index, target, sizeof target);
    int request_size =
        snprintf(entrance.request, sizeof entrance.request,
                 "GET %s HTTP/1.1\r\nHost: %s:%s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\n%s%s%s%s\r\n",
                 target, entrance.url.host, entrance.url.port, entrance.key ? "Authorization: Bearer " : "",
                 entrance.key ? entrance.key : "", entrance.key ? "\r\n" : "",
                 self->deflate ? "Sec-WebSocket-Extensions: " WS_DEFLATE_OFFER "\r\n" : "");
    ssize_t sent = stream_send(one->fd, one->tls, entrance.request, (size_t)request_size);
    if (sent != request_size)
        return subscriber_end(self, index, sent < 0 ? strerror(errno) : "the request was taken in part only");
    struct epoll_event event = { .events = EPOLLIN, .data.u64 = index };
    one->state = SUBSCRIBER_SHAKING;
    epoll_ctl(self->poll, EPOLL_CTL_MOD, one->fd, &event);
}

void subscriber_secure(struct subscribers *self, uint32_t index)
{
    struct subscriber *one = &self->all[index];
    char words[200];
    enum tls_client_step step = tls_client_shake(one->tls);
    if (step == TLS_CLIENT_READY) return send_request(self, index);
    if (step == TLS_CLIENT_FAILED) {
        snprintf(words, sizeof words, "no TLS: %s", tls_client_why(one->tls));
        return subscriber_end(self, index, words);
    }
    struct epoll_event event = { .events = step == TLS_CLIENT_READS ? EPOLLIN : EPOLLOUT, .data.u64 = index };
    epoll_ctl(self->poll, EPOLL_CTL_MOD, one->fd, &event);
}

void subscriber_connected(struct subscribers *self, uint32_t index)
{
    struct subscriber *one = &self->all[index];
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(one->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error)
        return subscriber_end(self, index, strerror(error ? error : errno));
    if (!entrance.url.secure) return send_request(self, index);
    one->state = SUBSCRIBER_SECURING;
    one->tls = tls_client_make(self->trust, entrance.url.host, one->fd);
    if (!one->tls) return subscriber_end(self, index, "no memory for TLS");
    subscriber_secure(self, index);
}

void subscriber_begin(struct subscribers *self, uint32_t index)
{
    struct subscriber *one = &self->all[index];
    one->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (one->fd < 0) {
        self->ended++;
        one->state = SUBSCRIBER_ENDED;
        if (!self->why[0])
            snprintf(self->why, sizeof self->why, "connection %u: no socket: %s", index, strerror(errno));
        return;
    }
    bool loopback = ntohl(entrance.to.sin_addr.s_addr) >> 24 == 127;
    if (loopback && self->count > PORTS_A_SOURCE) {
        struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr = { htonl(0x7f000001 + index / PORTS_A_SOURCE) } };
        setsockopt(one->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){ 1 },
                   sizeof(int)); /* the port is chosen by connect */
        if (bind(one->fd, (struct sockaddr *)&from, sizeof from) != 0)
            return subscriber_end(self, index, strerror(errno));
    }
    struct epoll_event event = { .events = EPOLLOUT, .data.u64 = index };
    one->state = SUBSCRIBER_CONNECTING;
    if (connect(one->fd, (struct sockaddr *)&entrance.to, sizeof entrance.to) != 0 && errno != EINPROGRESS)
        return subscriber_end(self, index, strerror(errno));
    epoll_ctl(self->poll, EPOLL_CTL_ADD, one->fd, &event);
}

static bool look_up(struct subscribers *self, const char *url, const char *key)
{
    struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV }, *found;
    const char *fault;
    entrance.key = key;
    if (!client_url_read(span_of_string(url), &entrance.url, &fault)) {
        snprintf(self->why, sizeof self->why, "%s: %s", fault, url);
        return false;
    }
    if (entrance.url.secure && !self->trust && !(self->trust = tls_trust_make(self->why, sizeof self->why))) return false;
    int unknown = getaddrinfo(entrance.url.host, entrance.url.port, &hints, &found);
    if (unknown) {
        snprintf(self->why, sizeof self->why, "%s has no IPv4 address: %s", entrance.url.host, gai_strerror(unknown));
        return false;
    }
    memcpy(&entrance.to, found->ai_addr, sizeof entrance.to);
    freeaddrinfo(found);
    return true;
}

bool subscribers_connect(struct subscribers *self, const char *url, const char *key)
{
    return subscribers_connect_some(self, url, key, self->count);
}

bool subscribers_connect_some(struct subscribers *self, const char *url, const char *key, uint32_t count)
{
    if (!look_up(self, url, key)) return false;
    ws_accept(SPAN_LITERAL(KEY), self->accept);
    if (self->deflate && !self->inflated && !(self->inflated = inflated_make())) return snprintf(self->why, sizeof self->why, "no memory"), false;
    uint32_t begun = self->opened, settled = begun;
    int64_t progress_ns = now_ns();
    while (self->opened < count && self->ended == 0) {
        while (begun < count && begun - self->opened < AT_ONCE && self->ended == 0) subscriber_begin(self, begun++);
        subscribers_turn(self, 100000000);
        if (self->opened > settled) progress_ns = now_ns();
        settled = self->opened;
        if (now_ns() - progress_ns > PATIENCE_NS) {
            snprintf(self->why, sizeof self->why, "after %u of %u connections the gateway takes no more", settled, count);
            return false;
        }
    }
    return self->ended == 0;
}
