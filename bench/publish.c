/* See publish.h. What is sent is made once and sent over and over, so that the load costs little beside the gateway; each update has an
 * ack or not, and in the end one is asked for whose seq must be as far from the first one's as updates were sent. */
#include "bench/publish.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/fetch.h"
#include "bench/flags.h"
#include "bench/machine.h"
#include "bench/report.h"
#include "bench/updates.h"
#include "core/base/text.h"

#define MESSAGES     64 /* that differ */
#define BATCH_MOST   256
#define OUT_MOST     (CLIENT_OUT_BYTES / 2)
#define WAIT_MS      5
#define PATIENCE_NS  30000000000
#define BODY_BYTES   (4u << 20) /* limits.body is 8 MiB */

struct publish {
    const char *url, *key, *topic;
    uint64_t    bytes, batch, pid;
    double      seconds, warmup, cpu;
    bool        acks, lines, json;
    struct updates updates;
    struct client  client;
    struct fetch   fetch;
    struct text    message[MESSAGES]; /* with lines, the first is a body */
    uint64_t       lines_count;       /* of the body */
    uint64_t       sent, acked;       /* updates */
    char           why[CLIENT_WHY_BYTES + 64];
};

static bool failed(struct publish *self, const char *why)
{
    snprintf(self->why, sizeof self->why, "%s", why);
    return false;
}

/* ---- what is sent ------------------------------------------------------------------------------------------------ */

static void make_messages(struct publish *self)
{
    char request[UPDATE_REQUEST_BYTES_MAX];
    for (uint64_t i = 0; i < MESSAGES * self->batch; i++) {
        struct text *message = &self->message[i / self->batch];
        size_t size = update_request_write(&self->updates, 0, 100000000 + i, updates_clock_us(&self->updates, now_ns()), self->acks ? i + 1 : 0, request);
        text_add(message, span_of(request, size));
        text_add_char(message, '\n');
    }
}

/* The same updates as lines: a request without its "op". */
static void make_body(struct publish *self)
{
    static const char begin[] = "{\"op\":\"publish\",";
    char request[UPDATE_REQUEST_BYTES_MAX];
    struct text *body = &self->message[0];
    while (body->size < BODY_BYTES) {
        size_t size = update_request_write(&self->updates, 0, 100000000 + self->lines_count++, updates_clock_us(&self->updates, now_ns()), 0, request);
        text_add_char(body, '{');
        text_add(body, span_of(request + strlen(begin), size - strlen(begin)));
        text_add_char(body, '\n');
    }
}

/* ---- by WebSocket ------------------------------------------------------------------------------------------------ */

static bool member(struct span text, const char *name, uint64_t *number)
{
    const char *at = span_find_string(text, name);
    if (!at) return false;
    *number = strtoull(at + strlen(name), NULL, 10); /* an object ends with a brace: no digit stands behind it */
    return true;
}

static bool is_ack(struct span text)
{
    static const char ack[] = "{\"op\":\"published\"";
    return text.size >= sizeof ack && memcmp(text.bytes, ack, sizeof ack - 1) == 0;
}

/* Takes what has come. */
static bool take_acks(struct publish *self)
{
    struct span text;
    int result;
    while ((result = client_receive(&self->client, &text, CLIENT_NOW)) == CLIENT_OK) {
        if (span_find_string(text, "\"op\":\"error\"")) return snprintf(self->why, sizeof self->why, "the gateway answers %.*s", (int)(text.size < 200 ? text.size : 200), text.bytes), false;
        self->acked += is_ack(text);
    }
    return result == CLIENT_QUIET ? true : failed(self, self->client.why);
}

/* One more, whose ack tells its seq; all acks before it come first. */
static bool ask(struct publish *self, uint64_t *seq)
{
    char request[UPDATE_REQUEST_BYTES_MAX];
    struct span text;
    int64_t until_ns = client_now_ns() + PATIENCE_NS;
    size_t size = update_request_write(&self->updates, 0, 100000000, updates_clock_us(&self->updates, now_ns()), 999999999, request);
    if (client_send_text(&self->client, span_of(request, size)) != CLIENT_OK || client_flush(&self->client) != CLIENT_OK) return failed(self, self->client.why);
    self->sent++;
    while (client_receive(&self->client, &text, until_ns) == CLIENT_OK) {
        uint64_t id = 0;
        self->acked += is_ack(text);
        if (member(text, "\"id\":", &id) && id == 999999999) return member(text, "\"seq\":", seq) ? true : failed(self, "the last publish was refused");
    }
    return failed(self, "the last ack did not come");
}

static bool send_messages(struct publish *self, double seconds)
{
    int64_t until_ns = now_ns() + (int64_t)(seconds * 1e9);
    for (uint64_t next = 0; now_ns() < until_ns;) {
        while (client_unsent(&self->client) + self->message[next].size < OUT_MOST) {
            if (client_send_text(&self->client, text_span(&self->message[next])) != CLIENT_OK) return failed(self, self->client.why);
            self->sent += self->batch;
            next = (next + 1) % MESSAGES;
        }
        if (client_push(&self->client) != CLIENT_OK) return failed(self, self->client.why);
        if (!take_acks(self)) return false;
        struct pollfd ready = { .fd = self->client.fd, .events = (short)(POLLIN | (client_unsent(&self->client) ? POLLOUT : 0)) };
        if (client_unsent(&self->client) > OUT_MOST / 2) poll(&ready, 1, WAIT_MS);
    }
    return client_flush(&self->client) == CLIENT_OK ? true : failed(self, self->client.why);
}

/* ---- over HTTP --------------------------------------------------------------------------------------------------- */

static bool send_bodies(struct publish *self, double seconds)
{
    int64_t until_ns = now_ns() + (int64_t)(seconds * 1e9);
    while (now_ns() < until_ns) {
        struct span answer;
        uint64_t published = 0;
        if (fetch_exchange(&self->fetch, "POST", "/v1/publish", text_span(&self->message[0]), &answer)) return failed(self, self->fetch.why);
        if (!member(answer, "\"published\":", &published) || published != self->lines_count)
            return snprintf(self->why, sizeof self->why, "of %llu lines %llu were published: %.*s", (unsigned long long)self->lines_count, (unsigned long long)published, (int)(answer.size < 200 ? answer.size : 200), answer.bytes), false;
        self->sent += published;
    }
    return true;
}

/* ---- the run ----------------------------------------------------------------------------------------------------- */

static bool run(struct publish *self, double seconds)
{
    return self->lines ? send_bodies(self, seconds) : send_messages(self, seconds);
}

static void tell(const struct publish *self, double seconds, uint64_t updates, uint64_t acks, int64_t pid_ns, struct usage before, struct usage after)
{
    struct report report = { .json = self->json };
    report_begin(&report, "publish");
    report_text(&report, "way", "by", self->lines ? "lines over HTTP" : "WebSocket");
    if (!self->lines) report_count(&report, "batch", "requests of a message", self->batch, "");
    report_count(&report, "frame_bytes", "bytes of a subscriber's frame", self->bytes, "");
    report_real(&report, "seconds", "seconds", seconds, 3, "");
    report_count(&report, "updates", "updates taken, proved by the topic's numbering", updates, "");
    report_real(&report, "updates_per_s", "updates/s", (double)updates / seconds, 0, "");
    if (self->acks) report_count(&report, "acks", "acks", acks, "");
    if (self->pid) {
        report_real(&report, "gateway_process", "gateway's processor time", 100e-9 * (double)pid_ns / seconds, 1, "% of a CPU");
        report_real(&report, "updates_per_busy_s", "updates for each second of it", pid_ns > 0 ? (double)updates / ((double)pid_ns * 1e-9) : 0, 0, "");
    }
    report_real(&report, "load_process", "load's processor time", 100 * usage_process(before, after), 1, "% of a CPU");
    report_end(&report);
}

static int measure(struct publish *self)
{
    uint64_t first = 0, last = 0;
    client_init(&self->client, -1);
    if (fetch_init(&self->fetch, self->url, self->key)) return fprintf(stderr, "ringcast-bench publish: %s\n", self->fetch.why), 2;
    bool fine = client_connect(&self->client, span_of_string(self->url), "/v1/ws", self->key) == CLIENT_OK || failed(self, self->client.why);
    fine = fine && run(self, self->warmup) && ask(self, &first);
    self->sent = self->acked = 0;
    int64_t from_ns = now_ns(), pid_ns = self->pid ? machine_process_ns((int64_t)self->pid) : 0;
    struct usage before = machine_usage((int64_t)self->cpu), after;
    fine = fine && run(self, self->seconds) && ask(self, &last);
    after = machine_usage((int64_t)self->cpu);
    double seconds = (double)(now_ns() - from_ns) * 1e-9;
    if (self->pid) pid_ns = machine_process_ns((int64_t)self->pid) - pid_ns;
    if (fine && last - first != self->sent) {
        snprintf(self->why, sizeof self->why, "%llu updates were sent, and the topic went on by %llu", (unsigned long long)self->sent, (unsigned long long)(last - first));
        fine = false;
    }
    if (fine && self->acks && self->acked != self->sent) fine = failed(self, "acks are missing");
    if (fine) tell(self, seconds, self->sent, self->acked, pid_ns, before, after);
    else fprintf(stderr, "ringcast-bench publish: %s\n", self->why);
    client_close(&self->client);
    fetch_deinit(&self->fetch);
    return fine ? 0 : 1;
}

int publish_main(int argc, char **argv)
{
    static struct publish self = { .url = "ws://127.0.0.1:8080", .topic = "publish", .bytes = 100, .batch = 16, .seconds = 3, .warmup = 0.5, .cpu = -1 };
    const struct flag flags[] = {
        { "url", FLAG_TEXT, &self.url, "URL", "the gateway (ws://127.0.0.1:8080)", 0, 0 },
        { "key", FLAG_TEXT, &self.key, "KEY", "a key that may publish", 0, 0 },
        { "topic", FLAG_TEXT, &self.topic, "NAME", "nobody else may publish to it meanwhile (publish)", 0, 0 },
        { "bytes", FLAG_COUNT, &self.bytes, "B", "that a frame to a subscriber would have (100)", 1, UPDATE_BYTES_MAX },
        { "batch", FLAG_COUNT, &self.batch, "N", "requests of a message (16)", 1, BATCH_MOST },
        { "acks", FLAG_YES, &self.acks, NULL, "each update is acknowledged", 0, 0 },
        { "lines", FLAG_YES, &self.lines, NULL, "by POST /v1/publish, 4 MiB of lines a request, each answered with their number", 0, 0 },
        { "seconds", FLAG_REAL, &self.seconds, "S", "how long to measure (3)", 0.01, 3600 },
        { "warmup", FLAG_REAL, &self.warmup, "S", "how long to run before (0.5)", 0, 60 },
        { "cpu", FLAG_REAL, &self.cpu, "C", "run on this CPU alone", 0, 1023 },
        { "pid", FLAG_COUNT, &self.pid, "P", "the gateway's process: its processor time", 1, 1e9 },
        { "json", FLAG_YES, &self.json, NULL, "one JSON object instead of a table", 0, 0 },
        { 0 },
    };
    enum flags_result read = flags_read("publish", flags, argc, argv, NULL, 0);
    if (read == FLAGS_HELP) {
        printf("usage: ringcast-bench publish --key KEY [flags]\nOne connection publishes as fast as the gateway takes it; nobody listens.\n\n");
        flags_help(flags);
    }
    if (read != FLAGS_OK) return read == FLAGS_HELP ? 0 : 2;
    const char *why = self.lines && self.acks ? "--lines are answered by their number: they have no --acks" : updates_init(&self.updates, UPDATES_JSON, self.topic, 1, self.bytes, self.why);
    if (why || !machine_pin((int64_t)self.cpu)) return fprintf(stderr, "ringcast-bench publish: %s\n", why ? why : "can't be pinned"), 2;
    if (self.lines) make_body(&self);
    else make_messages(&self);
    return measure(&self);
}
