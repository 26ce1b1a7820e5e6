/* See health.h. */
#include "gateway/health.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/io/client.h"
#include "gateway/settings_read.h"

#define PATIENCE_NS INT64_C(3000000000) /* less than the time that a container engine leaves a probe: see deploy/ */
#define URL_BYTES   2048

enum { STATUS_LINE_BYTES = sizeof "HTTP/1.1 200" - 1 };

bool health_url(const char *listen, const char *path, char *url, size_t size)
{
    const char *port = strrchr(listen, ':');
    if (!port) return false;
    size_t host_size = (size_t)(port - listen);
    bool any = host_size == 0 || (host_size == 7 && memcmp(listen, "0.0.0.0", 7) == 0);
    bool any6 = host_size == 4 && memcmp(listen, "[::]", 4) == 0;
    const char *host = any ? "127.0.0.1" : any6 ? "[::1]" : listen;
    if (any || any6) host_size = strlen(host);
    return snprintf(url, size, "http://%.*s%s%s", (int)host_size, host, port, path) < (int)size;
}

static int sick(const char *url, const char *why)
{
    fprintf(stderr, "ringcast health: %s: %s\n", url, why);
    return 1;
}

/* False: the time was over. */
static bool wait_for(int descriptor, short events, int64_t deadline_ns)
{
    struct pollfd polled = { .fd = descriptor, .events = events };
    int64_t left_ns = deadline_ns - client_now_ns();
    return left_ns > 0 && poll(&polled, 1, (int)(left_ns / 1000000) + 1) > 0;
}

static const char *broken(const struct tls_client *tls) { return tls && errno == EPROTO ? tls_client_why(tls) : strerror(errno); }

static const char *send_all(int descriptor, struct tls_client *tls, const char *bytes, size_t size, int64_t deadline_ns)
{
    while (size > 0) {
        if (!wait_for(descriptor, POLLOUT, deadline_ns)) return "it takes no request";
        ssize_t sent = stream_send(descriptor, tls, bytes, size);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR)) continue;
        if (sent < 0) return broken(tls);
        bytes += sent;
        size -= (size_t)sent;
    }
    return NULL;
}

static const char *receive_all(int descriptor, struct tls_client *tls, char *bytes, size_t size, int64_t deadline_ns)
{
    while (size > 0) {
        bool held = tls && tls_client_holds(tls);
        if (!held && !wait_for(descriptor, POLLIN, deadline_ns)) return "no answer in time";
        ssize_t got = stream_receive(descriptor, tls, bytes, size);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
        if (got < 0) return broken(tls);
        if (got == 0) return "it closed the connection without an answer";
        bytes += got;
        size -= (size_t)got;
    }
    return NULL;
}

/* The first of the answer, over what is connected; NULL, or what went wrong. */
static const char *exchange(int descriptor, struct tls_client *tls, const char *request, size_t size, char *answer, int64_t deadline_ns)
{
    const char *fault = send_all(descriptor, tls, request, size, deadline_ns);
    return fault ? fault : receive_all(descriptor, tls, answer, STATUS_LINE_BYTES, deadline_ns);
}

/* The status of the answer, or 0 with the reason in why[CLIENT_WHY_BYTES]. trust: of https. */
static int ask(const struct client_url *url, const char *path, struct tls_trust *trust, char *why)
{
    struct tls_client *tls = NULL;
    char request[URL_BYTES + 512], answer[STATUS_LINE_BYTES + 1] = "";
    int64_t deadline_ns = client_now_ns() + PATIENCE_NS;
    bool bare = url->target.size == 0 || span_is(url->target, "/");
    int size = snprintf(request, sizeof request, "GET %.*s HTTP/1.1\r\nHost: %s%s%s:%s\r\nConnection: close\r\n\r\n",
                        bare ? (int)strlen(path) : (int)url->target.size, bare ? path : url->target.bytes,
                        url->bracketed ? "[" : "", url->host, url->bracketed ? "]" : "", url->port);
    int descriptor = client_dial(url, -1, deadline_ns, why);
    if (descriptor < 0) return 0;
    if (url->secure && client_secure(descriptor, url, trust, -1, deadline_ns, &tls, why) != CLIENT_OK) return close(descriptor), 0;
    char words[CLIENT_WHY_BYTES] = "";
    const char *fault = exchange(descriptor, tls, request, (size_t)size, answer, deadline_ns);
    if (fault) fault = strncpy(words, fault, sizeof words - 1); /* some of its words go with TLS */
    tls_client_free(tls);
    close(descriptor);
    const char *digits = answer + STATUS_LINE_BYTES - 3;
    if (!fault && (strncmp(answer, "HTTP/1.", 7) != 0 || strspn(digits, "0123456789") != 3))
        fault = "what answers there does not speak HTTP/1.1";
    if (fault) {
        snprintf(why, CLIENT_WHY_BYTES, "%s", fault);
        return 0;
    }
    return (digits[0] - '0') * 100 + (digits[1] - '0') * 10 + (digits[2] - '0');
}

static int judge(const char *text, bool alive)
{
    struct client_url url;
    const char *fault;
    char why[CLIENT_WHY_BYTES] = "";
    if (strlen(text) >= URL_BYTES) return sick("the URL", "it is too long");
    for (const char *at = text; *at; at++)
        if (*at <= ' ' || *at > '~') return sick("the URL", "it holds a character that no URL holds");
    if (!client_url_read(span_of_string(text), &url, &fault)) return sick(text, fault);
    struct tls_trust *trust = url.secure ? tls_trust_make(why, sizeof why) : NULL;
    int status = url.secure && !trust ? 0 : ask(&url, alive ? "/healthz" : "/readyz", trust, why);
    tls_trust_free(trust);
    if (status == 0) return sick(text, why);
    if (status == 200 || alive) return 0;
    snprintf(why, sizeof why, "it answers %d", status);
    return sick(text, why);
}

int health_main(int argc, char **argv)
{
    static struct configuration configuration;
    char why[1024], url[URL_BYTES];
    bool alive = argc > 1 && strcmp(argv[1], "--alive") == 0;
    int first = alive ? 2 : 1;
    if (argc == first + 1 && argv[first][0] != '-') return judge(argv[first], alive);
    int result = configuration_read(&configuration, argc - first, argv + first, why, sizeof why);
    if (result > 0) {
        printf("usage: ringcast health [--alive] [URL | --config FILE | --listen ADDRESS]\n\nExit status 0 where GET "
               "/readyz is answered by 200 (--alive: where GET /healthz is answered at all), else 1.\n");
        return 0;
    }
    if (result == 0 && health_url(configuration.settings.listen, "", url, sizeof url)) return judge(url, alive);
    fprintf(stderr, "ringcast health: %s\n", result ? why : "listen is too long");
    return 1;
}
