/* Where a client goes: URLs, names, and a connection, in TLS or not, that can be given up. See client.h. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/io/client.h"

static bool begins(struct span text, const char *with)
{
    size_t size = strlen(with);
    return text.size >= size && memcmp(text.bytes, with, size) == 0;
}

static bool read_port(struct span text, char port[6])
{
    uint32_t number = 0;
    if (text.size == 0 || text.size > 5) return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.bytes[i] < '0' || text.bytes[i] > '9') return false;
        number = number * 10 + (uint32_t)(text.bytes[i] - '0');
    }
    snprintf(port, 6, "%u", number);
    return number > 0 && number < 65536;
}

bool client_url_read(struct span text, struct client_url *url, const char **why)
{
    *url = (struct client_url){ .port = "80" };
    for (size_t i = 0; i < text.size; i++)
        if (text.bytes[i] <= ' ' || text.bytes[i] > '~') return *why = "a URL holds printable ASCII only", false;
    static const char *const schemes[] = { "ws://", "http://", "wss://", "https://" };
    bool named = false;
    for (size_t i = 0; i < 4 && !named; i++) {
        if (!(named = begins(text, schemes[i]))) continue;
        text = span_skip(text, strlen(schemes[i]));
        url->secure = i >= 2;
    }
    if (!named && span_find_string(text, "://")) return *why = "a URL here begins with ws://, wss://, http:// or https://", false;
    if (url->secure) memcpy(url->port, "443", 4);

    size_t place_size = 0;
    while (place_size < text.size && !strchr("/?#", text.bytes[place_size])) place_size++;
    struct span place = span_of(text.bytes, place_size);
    url->target = span_skip(text, place_size);
    const char *fragment = span_find(url->target, '#');
    if (fragment) url->target.size = (size_t)(fragment - url->target.bytes);
    if (url->target.size && url->target.bytes[0] == '?')
        return *why = "a query needs a path before it, as in /v1/ws?…", false;
    if (span_find(place, '@')) return *why = "a URL here has no user name: give the key as --key", false;

    struct span host = place, port = SPAN_NONE;
    if (place.size && place.bytes[0] == '[') {
        const char *end = span_find(place, ']');
        if (!end) return *why = "an IPv6 address ends with ]", false;
        host = span_of(place.bytes + 1, (size_t)(end - place.bytes) - 1);
        port = span_skip(place, host.size + 2);
        url->bracketed = true;
        if (port.size && port.bytes[0] != ':') return *why = "after ] comes :port", false;
    } else {
        const char *colon = span_find(place, ':');
        if (colon) host.size = (size_t)(colon - place.bytes);
        port = span_skip(place, host.size);
    }
    if (port.size && !read_port(span_skip(port, 1), url->port))
        return *why = "a port is a number from 1 to 65535", false;
    if (host.size == 0) return *why = "the URL names no host", false;
    if (host.size >= sizeof url->host) return *why = "the host's name is too long", false;
    memcpy(url->host, host.bytes, host.size);
    return true;
}

/* Until the connection stands or failed: 0, or an error number; ETIMEDOUT after the deadline, ECANCELED if stopped. */
static int await_connected(int fd, int stop_fd, int64_t deadline_ns)
{
    for (;;) {
        int64_t left_ns = deadline_ns - client_now_ns();
        if (left_ns <= 0) return ETIMEDOUT;
        struct timespec left = { left_ns / 1000000000, left_ns % 1000000000 };
        struct pollfd polled[2] = { { .fd = fd, .events = POLLOUT }, { .fd = stop_fd, .events = POLLIN } };
        if (ppoll(polled, 2, &left, NULL) <= 0) continue;
        if (polled[1].revents) return ECANCELED;
        int error = 0;
        socklen_t size = sizeof error;
        return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
    }
}

/* localhost is this computer, also where no file says so (RFC 6761, 6.3): a minimal container has none. */
static int look_up(const struct client_url *url, struct addrinfo **found)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
    int unknown = getaddrinfo(url->host, url->port, &hints, found);
    if (unknown && strcasecmp(url->host, "localhost") == 0) unknown = getaddrinfo(NULL, url->port, &hints, found);
    return unknown;
}

int client_dial(const struct client_url *url, int stop_fd, int64_t deadline_ns, char *why)
{
    struct addrinfo *found;
    int unknown = look_up(url, &found);
    if (unknown) {
        snprintf(why, CLIENT_WHY_BYTES, "%s is not known: %s", url->host, gai_strerror(unknown));
        return CLIENT_GONE;
    }
    int error = EHOSTUNREACH, fd = -1;
    for (struct addrinfo *at = found; at && fd < 0 && error != ECANCELED; at = at->ai_next) {
        fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        error = fd < 0 ? errno : connect(fd, at->ai_addr, at->ai_addrlen) == 0 ? 0 : errno;
        if (error == EINPROGRESS) error = await_connected(fd, stop_fd, deadline_ns);
        if (error && fd >= 0) close(fd);
        if (error) fd = -1;
    }
    freeaddrinfo(found);
    if (error == ECANCELED) return CLIENT_STOPPED;
    if (fd < 0) {
        snprintf(why, CLIENT_WHY_BYTES, "can't reach %s:%s: %s", url->host, url->port, strerror(error));
        return CLIENT_GONE;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    return fd;
}

int client_secure(int fd, const struct client_url *url, struct tls_trust *trust, int stop_fd, int64_t deadline_ns,
                  struct tls_client **tls, char *why)
{
    enum tls_client_step step;
    int stopped = 0;
    *tls = tls_client_make(trust, url->host, fd);
    if (!*tls) return snprintf(why, CLIENT_WHY_BYTES, "no memory for TLS"), CLIENT_GONE;
    while ((step = tls_client_shake(*tls)) == TLS_CLIENT_READS || step == TLS_CLIENT_WRITES) {
        int64_t left_ns = deadline_ns - client_now_ns();
        if (left_ns <= 0) break;
        struct timespec left = { left_ns / 1000000000, left_ns % 1000000000 };
        struct pollfd polled[2] = { { .fd = fd, .events = step == TLS_CLIENT_READS ? POLLIN : POLLOUT }, { .fd = stop_fd, .events = POLLIN } };
        if (ppoll(polled, 2, &left, NULL) > 0 && (stopped = polled[1].revents)) break;
    }
    if (step == TLS_CLIENT_READY) return CLIENT_OK;
    snprintf(why, CLIENT_WHY_BYTES, "no TLS with %s:%s: %s", url->host, url->port, step == TLS_CLIENT_FAILED ? tls_client_why(*tls) : "no answer in time");
    tls_client_free(*tls);
    *tls = NULL;
    return stopped ? CLIENT_STOPPED : CLIENT_GONE;
}
