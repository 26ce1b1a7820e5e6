/* See flood.h. The attackers know nothing but how to send: what a connection sends is made once; it is sent again and again, and who is sent
 * away comes back. */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/flood.h"
#include "bench/machine.h"
#include "core/base/text.h"
#include "core/io/client.h"
#include "core/proto/mask.h"
#include "core/proto/ws_frame.h"

#define CONNECTIONS_MAX 20000
#define ITEMS_MAX       32
#define SUBSCRIPTIONS   20000
#define LISTED          1000
#define SENDS_A_TURN    16

/* What is sent on one connection. */
struct item {
    bool        handshake; /* first, and then these are frames */
    struct text first;     /* sent once, before */
    struct text bytes;     /* sent over and over */
    uint32_t    times;     /* then the connection is closed; 0: never by us */
    bool        hold;      /* instead it is held, and nothing more is sent */
};

struct attacker {
    int      fd;
    uint32_t item, times;
    size_t   at;
};

static struct counters none, *done = &none; /* then a page that both processes see */

static struct attack {
    uint32_t         connections, items;
    struct item      item[ITEMS_MAX];
    bool             reads;     /* what comes back */
    size_t           step;      /* bytes of a send; 0: all */
    int              round_ms;  /* between two rounds */
    struct client_url url;
    struct addrinfo *to;
    struct attacker  attackers[CONNECTIONS_MAX];
} attack;

/* ---- what is sent ------------------------------------------------------------------------------------------------ */

static struct item *new_item(bool handshake, uint32_t times)
{
    struct item *item = &attack.item[attack.items++];
    item->handshake = handshake;
    item->times = times;
    return item;
}

static void add_frame(struct text *text, uint8_t first, struct span payload)
{
    static const uint8_t key[4] = { 0x5a, 0xc3, 0x3c, 0xa5 };
    char header[WS_HEADER_BYTES_MAX];
    uint32_t size = ws_client_header_write(header, WS_TEXT, payload.size, key);
    header[0] = (char)first;
    text_add(text, span_of(header, size));
    size_t at = text->size;
    text_add(text, payload);
    if (payload.size) mask_apply(text->bytes + at, payload.size, key, 0);
}

static void make_slowloris(void)
{
    struct item *item = new_item(false, 0);
    text_add_string(&item->bytes, "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ");
    for (int i = 0; i < 4096; i++) text_add_char(&item->bytes, 'a');
    attack.step = 1;
    attack.round_ms = 1000;
    attack.reads = true;
}

static void make_subscribe(void)
{
    struct item *item = new_item(true, 1);
    for (int i = 0; i < SUBSCRIPTIONS; i++) {
        char request[100];
        int size = snprintf(request, sizeof request, "{\"op\":\"subscribe\",\"id\":%d,\"topics\":[\"flood.t%d\"]}", i, i);
        add_frame(&item->bytes, 0x81, span_of(request, (size_t)size));
    }
    attack.reads = true;
}

static void make_pings(void)
{
    struct item *item = new_item(true, 0);
    for (int i = 0; i < 4096; i++) add_frame(&item->bytes, 0x89, SPAN_LITERAL("0123456789"));
}

static void make_lists(void)
{
    struct item *item = new_item(true, 0);
    struct text request = { 0 };
    text_add_string(&request, "{\"op\":\"subscribe\",\"topics\":[\"flood.l\"");
    for (int i = 0; i < LISTED; i++) text_print(&request, ",\"flood.l%d\"", i);
    text_add_string(&request, "]}");
    add_frame(&item->first, 0x81, text_span(&request));
    text_free(&request);
    for (int i = 0; i < 1024; i++) add_frame(&item->bytes, 0x81, SPAN_LITERAL("{\"op\":\"list\",\"id\":1}"));
}

static void make_illegal(void)
{
    static const struct {
        uint8_t     first;
        struct span payload;
    } frames[] = {
        { 0x83, SPAN_LITERAL("x") }, { 0xc1, SPAN_LITERAL("x") }, { 0x09, SPAN_LITERAL("x") }, { 0x80, SPAN_LITERAL("x") }, { 0x82, SPAN_LITERAL("x") },
        { 0x81, SPAN_LITERAL("\xff\xfe") }, { 0x88, SPAN_LITERAL("\x03\xed") }, { 0x88, SPAN_LITERAL("\x03") }, { 0x81, SPAN_LITERAL("{") }, { 0x81, SPAN_LITERAL("[]") },
        { 0x81, SPAN_LITERAL("{\"op\":\"nothing\"}") }, { 0x81, SPAN_LITERAL("{\"op\":\"subscribe\",\"topics\":[\"a b\"]}") }, { 0x81, SPAN_LITERAL("{\"op\":\"publish\",\"topic\":\"a\",\"data\":1}") },
        { 0x81, SPAN_LITERAL("{\"op\":\"ping\",\"id\":{}}") }, { 0x81, SPAN_LITERAL("\n\n\n{\n[\n\"\n") },
    };
    static const struct span raw[] = { SPAN_LITERAL("\x81\x01x"), SPAN_LITERAL("\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\2\3\4"), SPAN_LITERAL("\x81\xff\0\0\0\0\0 \0\0\1\2\3\4"), SPAN_LITERAL("\x89\xfe\1\0\1\2\3\4") };
    static const struct span http[] = { SPAN_LITERAL("\0\0\0\0\r\n\r\n"), SPAN_LITERAL("GET / HTTP/9.9\r\n\r\n"), SPAN_LITERAL("GET /v1/topics/a%zz HTTP/1.1\r\nHost: x\r\n\r\n"), SPAN_LITERAL("BREW / HTTP/1.1\r\nHost: x\r\n\r\n"),
                                        SPAN_LITERAL("POST /v1/publish HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), SPAN_LITERAL("GET /v1/ws HTTP/1.1\r\nHost: x\r\n\r\n") };
    enum { TIMES = 200 };
    for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) add_frame(&new_item(true, TIMES)->bytes, frames[i].first, frames[i].payload);
    for (size_t i = 0; i < sizeof raw / sizeof *raw; i++) text_add(&new_item(true, TIMES)->bytes, raw[i]);
    for (size_t i = 0; i < sizeof http / sizeof *http; i++) text_add(&new_item(false, TIMES)->bytes, http[i]);
    struct item *deep = new_item(true, TIMES), *long_head = new_item(false, 1);
    struct text nested = { 0 };
    text_add_string(&nested, "{\"op\":\"publish\",\"topic\":\"a\",\"data\":");
    for (int i = 0; i < 5000; i++) text_add_char(&nested, '[');
    add_frame(&deep->bytes, 0x81, text_span(&nested));
    text_free(&nested);
    text_add_string(&long_head->bytes, "GET /");
    for (int i = 0; i < 20000; i++) text_add_char(&long_head->bytes, 'x');
    attack.reads = true;
}

static void make_incomplete(void)
{
    enum { BYTES = 1000000, LEFT_OUT = 1000 };
    struct item *item = new_item(true, 0);
    char *payload = malloc(BYTES);
    if (!payload) return;
    memset(payload, ' ', BYTES);
    add_frame(&item->bytes, 0x81, span_of(payload, BYTES));
    item->bytes.size -= LEFT_OUT;
    item->hold = true;
    attack.reads = true;
    free(payload);
}

static const struct {
    void (*make)(void);
    uint32_t connections;
} kinds[] = {
    [FLOOD_SLOWLORIS] = { make_slowloris, 5000 }, [FLOOD_SUBSCRIBE] = { make_subscribe, 1 }, [FLOOD_PINGS] = { make_pings, 4 },
    [FLOOD_LISTS] = { make_lists, 4 },            [FLOOD_ILLEGAL] = { make_illegal, 8 },
    [FLOOD_INCOMPLETE] = { make_incomplete, 500 },
};

/* ---- sending ----------------------------------------------------------------------------------------------------- */

static void hang_up(struct attacker *one)
{
    if (one->fd >= 0) close(one->fd);
    one->fd = -1;
    one->at = one->times = 0;
}

/* Everything of the answer's head; false: it was no 101. */
static bool shake_hands(int fd)
{
    char request[600], answer[2048];
    size_t size = 0;
    int request_size = snprintf(request, sizeof request, "GET /v1/ws HTTP/1.1\r\nHost: %s:%s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: cmluZ2Nhc3QtYmVuY2ggIQ==\r\n\r\n",
                                attack.url.host, attack.url.port);
    if (send(fd, request, (size_t)request_size, MSG_NOSIGNAL) != request_size) return false;
    while (size < sizeof answer) {
        ssize_t got = recv(fd, answer + size, sizeof answer - size, 0);
        if (got <= 0) return false;
        size += (size_t)got;
        if (memmem(answer, size, "\r\n\r\n", 4)) return memcmp(answer, "HTTP/1.1 101", 12) == 0;
    }
    return false;
}

static bool come_in(struct attacker *one, uint32_t index)
{
    struct timeval patience = { .tv_sec = 2 };
    const struct item *item = &attack.item[one->item];
    one->fd = socket(attack.to->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (one->fd < 0) return false;
    setsockopt(one->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(one->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    bool in = connect(one->fd, attack.to->ai_addr, attack.to->ai_addrlen) == 0 && (!item->handshake || shake_hands(one->fd));
    in = in && (item->first.size == 0 || send(one->fd, item->first.bytes, item->first.size, MSG_NOSIGNAL) == (ssize_t)item->first.size);
    if (!in) hang_up(one);
    counter_add(done, COUNTER_ACCEPTED, in);
    return in;
}

/* Sends what the socket takes; true: it took some. */
static bool push(struct attacker *one, uint32_t index)
{
    static char away[64 * 1024];
    bool some = false;
    if (one->fd < 0 && !come_in(one, index)) return false;
    for (uint32_t sends = 0; one->fd >= 0 && sends < (attack.step ? 1 : SENDS_A_TURN); sends++) {
        const struct item *item = &attack.item[one->item];
        size_t size = item->bytes.size - one->at;
        if (attack.step && size > attack.step) size = attack.step;
        bool held = item->hold && one->times > 0;
        ssize_t sent = held ? 0 : send(one->fd, item->bytes.bytes + one->at, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        ssize_t got = attack.reads ? recv(one->fd, away, sizeof away, MSG_DONTWAIT) : 1;
        bool gone = (sent < 0 && errno != EAGAIN) || got == 0;
        if (sent > 0) {
            one->at += (size_t)sent;
            counter_add(done, COUNTER_SENDS, 1);
            counter_add(done, COUNTER_BYTES_SENT, (uint64_t)sent);
            some = true;
        }
        bool whole = one->at == item->bytes.size;
        if (whole) one->at = 0, one->times++;
        if (!gone && held) break;
        if (!gone && !(whole && item->times && one->times == item->times)) {
            if (sent < 0) break;
            continue;
        }
        hang_up(one);
        one->item = (one->item + 1) % attack.items;
        some = true;
    }
    return some;
}

__attribute__((noreturn)) static void run(void)
{
    for (;;) {
        bool some = false;
        for (uint32_t i = 0; i < attack.connections; i++) some |= push(&attack.attackers[i], i);
        if (attack.round_ms) poll(NULL, 0, attack.round_ms);
        else if (!some) poll(NULL, 0, 1); /* all sockets are full */
    }
}

pid_t flood_attack(enum flood_kind kind, const char *url, uint32_t connections)
{
    const char *why;
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
    if (!attack.items) {
        kinds[kind].make();
        attack.connections = connections ? connections : kinds[kind].connections;
        if (attack.connections > CONNECTIONS_MAX || !client_url_read(span_of_string(url), &attack.url, &why)) return -1;
        if (getaddrinfo(attack.url.host, attack.url.port, &hints, &attack.to) != 0) return -1;
        void *page = mmap(NULL, sizeof *done, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED) return -1;
        done = page;
        for (uint32_t i = 0; i < attack.connections; i++) attack.attackers[i] = (struct attacker){ .fd = -1, .item = i % attack.items };
    }
    pid_t parent = getpid(), child = fork();
    if (child != 0) return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    /* All that is left of the processors: else the ordinary ones' reader waits for us, not for the gateway. Niceness alone does not do that: from
     * Linux 6.6 on who runs keeps the CPU for its slice of some 3 ms, whoever wakes. */
    setpriority(PRIO_PROCESS, 0, 19);
    sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){ 0 });
    run();
}

void flood_end(pid_t attacker)
{
    kill(attacker, SIGKILL);
    waitpid(attacker, NULL, 0);
}

const struct counters *flood_done(void)
{
    return done;
}
