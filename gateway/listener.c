#include "gateway/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/check.h"

enum { ACCEPT_BACKLOG = 4096, HOST_BYTES = 128 };

/* Splits "host:port" or "[host]:port". */
static bool split(const char *address, char *host, size_t host_size, const char **port)
{
    const char *colon = strrchr(address, ':');
    char *end;
    if (!colon || colon[1] < '0' || colon[1] > '9') return false;
    unsigned long number = strtoul(colon + 1, &end, 10);
    if (*end || number < 1 || number > 65535) return false;
    const char *from = address, *to = colon;
    if (*from == '[') {
        if (to == from || to[-1] != ']') return false;
        from++;
        to--;
    } else if (memchr(from, ':', (size_t)(to - from))) {
        return false; /* an IPv6 address without brackets */
    }
    if ((size_t)(to - from) >= host_size) return false;
    memcpy(host, from, (size_t)(to - from));
    host[to - from] = '\0';
    *port = colon + 1;
    return true;
}

bool listener_address_valid(const char *address)
{
    char host[HOST_BYTES];
    const char *port;
    return split(address, host, sizeof host, &port);
}

uint16_t listener_address_port(const char *address)
{
    char host[HOST_BYTES];
    const char *port;
    return split(address, host, sizeof host, &port) ? (uint16_t)strtoul(port, NULL, 10) : 0;
}

uint16_t listener_port(int descriptor)
{
    struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
    socklen_t bytes = sizeof address;
    if (getsockname(descriptor, (struct sockaddr *)&address, &bytes)) return 0;
    if (address.ss_family == AF_INET) return ntohs(((const struct sockaddr_in *)&address)->sin_port);
    return address.ss_family == AF_INET6 ? ntohs(((const struct sockaddr_in6 *)&address)->sin6_port) : 0;
}

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127;
    return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
}

/* Whether the address is free: a socket that does not share its port can be bound to it. */
static int probe(const struct addrinfo *info)
{
    int on = 1, error = 0, descriptor = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -errno;
    if (setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) || bind(descriptor, info->ai_addr, info->ai_addrlen) || listen(descriptor, 1)) error = -errno;
    close(descriptor);
    return error;
}

static int open_at(struct listener *listener, const struct addrinfo *info, uint32_t backlog_bytes)
{
    int on = 1, lowat = (int)backlog_bytes;
    listener->descriptor = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener->descriptor < 0) return -errno;
    listener->family = info->ai_family;
    listener->loopback = is_loopback(info->ai_addr);
    if (setsockopt(listener->descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on)
        || setsockopt(listener->descriptor, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on)
        || setsockopt(listener->descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on)
        || setsockopt(listener->descriptor, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof lowat)
        || bind(listener->descriptor, info->ai_addr, info->ai_addrlen) || listen(listener->descriptor, ACCEPT_BACKLOG)) {
        int error = -errno;
        close(listener->descriptor);
        return error;
    }
    return 0;
}

int listener_open(struct listener *listener, const char *address, bool first, uint32_t backlog_bytes, char *why, int why_size)
{
    char host[HOST_BYTES];
    const char *port;
    *listener = (struct listener){ .descriptor = -1 };
    CHECK(split(address, host, sizeof host, &port)); /* the settings were judged */
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV }, *info;
    int fault = getaddrinfo(*host ? host : NULL, port, &hints, &info);
    if (fault) {
        snprintf(why, (size_t)why_size, "can't listen on \"%s\": %s", address, gai_strerror(fault));
        return -1;
    }
    int error = first ? probe(info) : 0;
    if (!error) error = open_at(listener, info, backlog_bytes);
    freeaddrinfo(info);
    if (error == 0) return 0;
    if (error == -EADDRINUSE) snprintf(why, (size_t)why_size, "can't listen on %s: the port is in use; is another gateway running? Choose another with --listen", address);
    else snprintf(why, (size_t)why_size, "can't listen on %s: %s", address, strerror(-error));
    return -1;
}

int listener_adopt(struct listener *listener, int descriptor, uint32_t backlog_bytes, char *why, int why_size)
{
    struct sockaddr_storage address;
    socklen_t address_bytes = sizeof address, number_bytes = sizeof(int);
    int on = 1, lowat = (int)backlog_bytes, listens = 0;
    *listener = (struct listener){ .descriptor = -1 };
    bool fits = getsockname(descriptor, (struct sockaddr *)&address, &address_bytes) == 0 && (address.ss_family == AF_INET || address.ss_family == AF_INET6)
                && getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &number_bytes) == 0 && listens;
    if (!fits) {
        snprintf(why, (size_t)why_size, "descriptor %d, which was handed over (LISTEN_FDS), is no listening TCP socket", descriptor);
        return -1;
    }
    if (setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 && setsockopt(descriptor, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof lowat) == 0)
        listener->descriptor = fcntl(descriptor, F_DUPFD_CLOEXEC, 0); /* shards may share it */
    if (listener->descriptor < 0) {
        snprintf(why, (size_t)why_size, "can't use descriptor %d, which was handed over (LISTEN_FDS): %s", descriptor, strerror(errno));
        return -1;
    }
    listener->loopback = is_loopback((const struct sockaddr *)&address);
    listener->family = address.ss_family;
    return 0;
}

void listener_close(struct listener *listener)
{
    if (listener->descriptor >= 0) close(listener->descriptor);
    listener->descriptor = -1;
}
