/* See demo.h. A random walk that is drawn back to where it began, with a spread, at uneven rates: a few instruments
 * are hot, most are quiet, and now and then some of them burst. All that is due at a tick of TICK_NS goes into one
 * message. */
#include "gateway/demo.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/random.h"
#include "core/io/client.h"
#include "gateway/logger.h"

#define TICK_NS         10000000
#define RATE_HOTTEST    45.0   /* updates a second; each further one has RATE_FALL of the one before: some 260 in all */
#define RATE_FALL       0.83
#define BURST_EVERY_S   12.0   /* on average */
#define BURST_SECONDS   1.0
#define BURST_FACTOR    12.0
#define BURST_MEMBERS   4
#define REVERSION_PER_S 0.004  /* how fast a price is drawn back */
#define BACKOFF_FIRST_MS 50
#define BACKOFF_MOST_MS  2000
#define LINE_BYTES_MAX   256
#define MESSAGE_BYTES    (32u << 10)

struct instrument {
    const char *topic, *name;
    double      start;      /* the price that it is drawn back to */
    double      volatility; /* relative, for the square root of a second */
    double      spread;     /* in money */
    double      price;
    double      rate;       /* updates a second */
    uint64_t    volume;
    int64_t     due_ns, last_ns, burst_until_ns;
};

#define ITEM(symbol, words, at, moves, apart) \
    { .topic = "demo." symbol, .name = words, .start = at, .volatility = moves * 1e-4, .spread = apart }

static struct instrument instruments[] = {
    ITEM("ZEPH", "Zephyr Kites", 189.32, 3.0, 0.02), ITEM("QUOK", "Quokka Robotics", 412.75, 3.5, 0.05),
    ITEM("BREZ", "Brezel Works", 64.18, 2.5, 0.01), ITEM("LUMO", "Lumo Lanterns", 27.44, 4.0, 0.01),
    ITEM("TIDL", "Tidal Clocks", 118.90, 2.0, 0.02), ITEM("OKRA", "Okra & Sons", 9.87, 3.0, 0.01),
    ITEM("VELO", "Velodrome Bakery", 73.05, 2.2, 0.01), ITEM("MOSS", "Mossgarden Paper", 33.61, 1.8, 0.01),
    ITEM("KITE", "Kitefin Submarines", 256.40, 2.8, 0.04), ITEM("PLUM", "Plumcake Software", 541.12, 3.2, 0.08),
    ITEM("NIMB", "Nimbus Umbrellas", 14.26, 2.6, 0.01), ITEM("FJOR", "Fjordline Ferries", 88.73, 1.6, 0.02),
    ITEM("GLOW", "Glowworm Optics", 151.08, 2.9, 0.03), ITEM("HUSK", "Huskwood Mills", 21.95, 1.5, 0.01),
    ITEM("IBEX", "Ibex Cable Cars", 97.31, 2.1, 0.02), ITEM("JUNI", "Juniper Typewriters", 45.67, 1.9, 0.01),
    ITEM("KELP", "Kelpforest Foods", 38.52, 1.7, 0.01), ITEM("LYNX", "Lynx & Lark Radio", 132.49, 2.3, 0.02),
    ITEM("MIRA", "Mirabelle Motors", 205.16, 3.1, 0.03), ITEM("NOOK", "Nook Furniture", 17.83, 1.4, 0.01),
    ITEM("OTTR", "Otter Pipelines", 59.94, 2.0, 0.01), ITEM("PIXL", "Pixelfield Farms", 77.20, 2.7, 0.02),
    ITEM("RUNE", "Runestone Archives", 310.55, 1.3, 0.06), ITEM("SALT", "Saltmarsh Ceramics", 12.08, 1.6, 0.01),
    ITEM("TUFA", "Tufa Cement", 29.77, 1.2, 0.01), ITEM("UMBR", "Umbra Sunglasses", 66.36, 2.4, 0.02),
    ITEM("WICK", "Wickerman Baskets", 8.41, 1.8, 0.01), ITEM("XYLO", "Xylophone Hire", 103.62, 1.5, 0.03),
    ITEM("YARN", "Yarnbomb Textiles", 24.99, 1.3, 0.01), ITEM("ZINC", "Zincroof Theatres", 48.10, 1.1, 0.02),
};
#define INSTRUMENTS (sizeof instruments / sizeof *instruments)

/* Written by demo_start before the thread begins, read by the thread alone after it; stop_fd is the only thing they
 * share while it runs. */
static struct demo {
    pthread_t     thread;
    bool          running;
    int           stop_fd;
    char          url[300];
    char          key[300];
    struct client client;
    struct clock  clock;
    struct logger logger;
    uint64_t      random;
    int64_t       next_burst_ns;
    bool          complained; /* about this connection */
    char          message[MESSAGE_BYTES];
} demo;

/* ---- chance ------------------------------------------------------------------------------------------------------ */

/* In [0, 1). */
static double chance(void)
{
    return (double)(random_next(&demo.random) >> 11) * 0x1p-53;
}

/* Mean 0, deviation 1; four uniform ones are bell-shaped enough for a demo. */
static double bell(void)
{
    return (chance() + chance() + chance() + chance() - 2.0) * 1.7320508;
}

static int64_t waiting_ns(double mean_s)
{
    return (int64_t)(-log(1.0 - chance()) * mean_s * 1e9);
}

/* ---- the market -------------------------------------------------------------------------------------------------- */

static void open_market(int64_t now_ns)
{
    double rate = RATE_HOTTEST;
    for (size_t i = 0; i < INSTRUMENTS; i++, rate *= RATE_FALL) {
        struct instrument *one = &instruments[i];
        one->price = one->start;
        one->rate = rate;
        one->last_ns = now_ns;
        one->due_ns = now_ns + waiting_ns(0.5); /* each shows itself at once */
    }
    demo.next_burst_ns = now_ns + waiting_ns(BURST_EVERY_S);
}

static void maybe_burst(int64_t now_ns)
{
    if (now_ns < demo.next_burst_ns) return;
    for (int i = 0; i < BURST_MEMBERS; i++) {
        struct instrument *one = &instruments[(size_t)(chance() * INSTRUMENTS)];
        one->burst_until_ns = now_ns + waiting_ns(BURST_SECONDS);
        one->due_ns = now_ns;
    }
    demo.next_burst_ns = now_ns + waiting_ns(BURST_EVERY_S);
}

static void move(struct instrument *one, int64_t now_ns)
{
    double passed_s = (double)(now_ns - one->last_ns) * 1e-9;
    bool bursting = now_ns < one->burst_until_ns;
    if (passed_s > 60) passed_s = 60;
    one->price += one->start * one->volatility * sqrt(passed_s) * bell() * (bursting ? 2 : 1);
    one->price += (one->start - one->price) * REVERSION_PER_S * passed_s;
    if (one->price < one->start / 2) one->price = one->start / 2;
    one->volume += 1 + (uint64_t)(chance() * chance() * 400);
    one->last_ns = now_ns;
    double rate = bursting ? one->rate * BURST_FACTOR : one->rate;
    if (bursting && rate < BURST_FACTOR) rate = BURST_FACTOR; /* a quiet one bursts too */
    one->due_ns += waiting_ns(1 / rate); /* from when it was due: the ticks do not slow the rate down */
}

static size_t write_line(const struct instrument *one, char *out, size_t room)
{
    double half = one->spread / 2 * (1 + chance());
    double bid = floor((one->price - half) * 100) / 100, ask = ceil((one->price + half) * 100) / 100;
    int size = snprintf(out, room,
                        "{\"op\":\"publish\",\"topic\":\"%s\",\"data\":{\"p\":%.2f,\"b\":%.2f,\"a\":%.2f,\"v\":%llu,"
                        "\"name\":\"%s\",\"synthetic\":true}}\n",
                        one->topic, one->price, bid, ask, (unsigned long long)one->volume, one->name);
    return (size_t)size;
}

/* Moves all that is due and writes a request for each; the size of the message, 0 where nothing is due. */
static size_t write_due(int64_t now_ns)
{
    size_t size = 0;
    maybe_burst(now_ns);
    for (size_t i = 0; i < INSTRUMENTS; i++) {
        struct instrument *one = &instruments[i];
        for (int times = 0; one->due_ns <= now_ns && times < 4 && MESSAGE_BYTES - size > LINE_BYTES_MAX; times++) {
            move(one, now_ns);
            size += write_line(one, demo.message + size, MESSAGE_BYTES - size);
        }
        if (one->due_ns < now_ns) one->due_ns = now_ns; /* what the machine was too slow for is not made up for */
    }
    return size;
}

/* ---- the thread -------------------------------------------------------------------------------------------------- */

static bool to_reports(void *context, struct span line)
{
    return reports_text(context, REPORT_LINE, line);
}

static void complain(struct span why)
{
    struct log_line line;
    clock_tick(&demo.clock);
    if (!log_begin(&demo.logger, EVENT_DEMO_FAILED, &line)) return;
    log_line_text(&line, "why", why);
    log_end(&demo.logger, &line);
}

/* Takes what the gateway answers until the deadline; it answers errors only, since no request has an id. */
static int listen_until(int64_t deadline_ns)
{
    struct span said;
    int result;
    while ((result = client_receive(&demo.client, &said, deadline_ns)) == CLIENT_OK) {
        bool error = span_find_string(said, "\"op\":\"error\"");
        if (error && !demo.complained) complain(said);
        if (error) demo.complained = true;
    }
    return result;
}

/* From one connection's beginning to its end. */
static int publish_until_gone(uint32_t *backoff_ms)
{
    int result = client_connect(&demo.client, span_of_string(demo.url), "/v1/ws", demo.key);
    if (result != CLIENT_OK) return result;
    demo.complained = false;
    int64_t tick_ns = client_now_ns();
    for (;;) {
        size_t size = write_due(tick_ns);
        result = size ? client_send_text(&demo.client, span_of(demo.message, size)) : CLIENT_OK;
        if (result == CLIENT_OK) result = client_flush(&demo.client);
        if (result != CLIENT_OK) return result;
        *backoff_ms = BACKOFF_FIRST_MS;
        tick_ns += TICK_NS;
        int64_t now_ns = client_now_ns();
        if (tick_ns < now_ns - 1000000000) tick_ns = now_ns; /* the gateway held us up: do not hurry after it */
        result = listen_until(tick_ns);
        if (result != CLIENT_QUIET) return result;
    }
}

static void *run(void *nothing)
{
    (void)nothing;
    uint32_t backoff_ms = BACKOFF_FIRST_MS;
    bool told = false;
    open_market(client_now_ns());
    while (publish_until_gone(&backoff_ms) == CLIENT_GONE) {
        uint16_t status = demo.client.status;
        if (status >= 400 && status < 500 && !told) { /* anything else passes: the gateway is starting or draining */
            complain(span_of_string(demo.client.why));
            told = true;
        }
        struct pollfd polled = { .fd = demo.stop_fd, .events = POLLIN };
        if (poll(&polled, 1, (int)(backoff_ms / 2 + (uint32_t)(chance() * backoff_ms / 2))) != 0) break;
        backoff_ms = 2 * backoff_ms > BACKOFF_MOST_MS ? BACKOFF_MOST_MS : 2 * backoff_ms;
    }
    client_close(&demo.client);
    return NULL;
}

int demo_start(const struct settings *settings, struct reports *reports)
{
    if (snprintf(demo.url, sizeof demo.url, "ws://%s", settings->listen) >= (int)sizeof demo.url ||
        snprintf(demo.key, sizeof demo.key, "%s", settings->publish_key) >= (int)sizeof demo.key)
        return -ENAMETOOLONG;
    demo.logger = (struct logger){ .shard = LOGGER_NO_SHARD, .clock = &demo.clock, .context = reports, .sink = to_reports };
    logger_adopt(&demo.logger, settings);
    random_fill(&demo.random, sizeof demo.random);
    demo.stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (demo.stop_fd < 0) return -errno;
    client_init(&demo.client, demo.stop_fd);

    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* the thread inherits it */
    int error = pthread_create(&demo.thread, NULL, run, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error) close(demo.stop_fd);
    demo.running = !error;
    return -error;
}

void demo_stop(void)
{
    if (!demo.running) return;
    uint64_t one = 1;
    CHECK(write(demo.stop_fd, &one, sizeof one) == sizeof one);
    pthread_join(demo.thread, NULL);
    close(demo.stop_fd);
    demo.running = false;
}
