/* See subscribe.h. One update goes into every topic, so that each ack has an epoch and a seq to be checked against; then
 * all connections stand, and all requests go out at once. The time counts from the first byte sent to the last ack. At
 * the end one more update goes into every topic, and each subscription must get its own. */
#include "bench/subscribe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "bench/flags.h"
#include "bench/machine.h"
#include "bench/report.h"
#include "bench/subscribe_check.h"
#include "bench/subscribers.h"
#include "core/io/client.h"
#include "core/proto/mask.h"
#include "core/proto/ws_frame.h"

#define BATCH_ROWS     256
#define IN_FLIGHT_MOST 8192
#define ROW_BYTES_MAX  (CHECK_DATA_BYTES_MAX + SPREAD_NAME_BYTES_MAX + 64)
#define PATIENCE_NS    20000000000 /* without any progress */
#define REQUEST_MOST   2000 /* topics: an ack of so many fits into what subscribers.h reads */

/* What one connection has still to send. */
struct request_bytes {
    char  *bytes;
    size_t size, sent;
};

struct subscribe {
    const char *url, *key;
    uint64_t topics, connections, subscriptions, each_request, pid;
    int kind; /* enum spread_kind */
    double settle_s, cpu;
    bool snapshot, json;

    struct spread spread;
    struct subscribe_check check;
    struct subscribers subscribers;
    struct client publisher;
    struct request_bytes *requests;
    char why[320];

    int64_t publish_ns, connect_ns, ack_ns, update_ns; /* what each stage took */
    uint64_t request_bytes, gateway_ns;
    struct machine_memory memory[5];
};
enum { EMPTY, PUBLISHED, CONNECTED, ACKED, SETTLED };

static bool failed(struct subscribe *self, const char *why)
{
    if (why != self->why) snprintf(self->why, sizeof self->why, "%s", why);
    return false;
}

static void measure(struct subscribe *self, int stage)
{
    if (self->pid) self->memory[stage] = machine_memory((int64_t)self->pid);
}

/* Lets the gateway come to rest: what an allocator holds of passing work for some seconds is not what a subscription costs. */
static void settle(struct subscribe *self)
{
    int64_t until_ns = now_ns() + (int64_t)(self->settle_s * 1e9);
    struct span unwanted;
    while (now_ns() < until_ns) {
        if (self->subscribers.all) subscribers_turn(&self->subscribers, 50000000);
        client_receive(&self->publisher, &unwanted, self->subscribers.all ? CLIENT_NOW : client_now_ns() + 50000000);
    }
}

/* ---- publishing -------------------------------------------------------------------------------------------------- */

static size_t write_rows(uint32_t from, uint32_t to, uint32_t round, char *out)
{
    size_t size = 0;
    for (uint32_t topic = from; topic < to; topic++) {
        char name[SPREAD_NAME_BYTES_MAX], data[CHECK_DATA_BYTES_MAX];
        uint32_t name_size = spread_name(topic, name), data_size = subscribe_check_data(topic, round, data);
        size += (size_t)snprintf(out + size, ROW_BYTES_MAX, "%s{\"op\":\"publish\",\"id\":%u,\"topic\":\"%.*s\",\"data\":%.*s}",
                                 size ? "\n" : "", topic, (int)name_size, name, (int)data_size, data);
    }
    return size;
}

/* One update into each topic, each answered. The subscribers read meanwhile. */
static bool publish_round(struct subscribe *self, uint32_t round)
{
    static char rows[BATCH_ROWS * ROW_BYTES_MAX];
    uint32_t sent = 0, answered = 0, topics = (uint32_t)self->topics;
    int64_t progress_ns = now_ns();
    while (answered < topics && self->check.wrong == 0) {
        if (sent < topics && sent - answered < IN_FLIGHT_MOST) {
            uint32_t to = topics - sent < BATCH_ROWS ? topics : sent + BATCH_ROWS;
            size_t size = write_rows(sent, to, round, rows);
            if (client_send_text(&self->publisher, span_of(rows, size)) != CLIENT_OK
                || client_push(&self->publisher) != CLIENT_OK)
                return failed(self, self->publisher.why);
            sent = to;
        }
        bool reads = self->subscribers.all != NULL;
        if (reads) subscribers_turn(&self->subscribers, 0);
        int64_t wait_ns = sent < topics && sent - answered < IN_FLIGHT_MOST ? CLIENT_NOW : client_now_ns() + 1000000;
        struct span text;
        int result;
        while ((result = client_receive(&self->publisher, &text, wait_ns)) == CLIENT_OK) {
            if (subscribe_check_published(&self->check, round, text)) answered++, progress_ns = now_ns();
            wait_ns = CLIENT_NOW;
        }
        if (result != CLIENT_QUIET) return failed(self, self->publisher.why);
        if (now_ns() - progress_ns > PATIENCE_NS) return failed(self, "the gateway stopped answering the publisher");
    }
    return self->check.wrong == 0 || failed(self, self->check.first);
}

/* ---- subscribing ------------------------------------------------------------------------------------------------- */

static void write_target(void *owner, uint32_t index, char *out, size_t room)
{
    (void)owner, (void)index;
    snprintf(out, room, "/v1/ws?heartbeat_ms=60000");
}

static void on_text(void *owner, uint32_t index, struct span text, int64_t at_ns)
{
    (void)at_ns;
    subscribe_check_text(&((struct subscribe *)owner)->check, index, text);
}

/* One request a frame, `id` counting from 0. Returns the size of all. */
static size_t write_requests(const struct subscribe *self, const uint32_t *topics, char *out)
{
    static const uint8_t key[4] = { 0x1b, 0xd4, 0x72, 0x9e }; /* nobody sits between a bench and its gateway */
    uint32_t each = self->spread.each, per_request = (uint32_t)self->each_request, id = 0;
    size_t size = 0;
    for (uint32_t from = 0; from < each; from += per_request, id++) {
        char *frame = out + size, *text = frame + WS_HEADER_BYTES_MAX;
        uint32_t to = each - from < per_request ? each : from + per_request;
        size_t at = (size_t)sprintf(text, "{\"op\":\"subscribe\",\"id\":%u,%s\"topics\":[", id,
                                    self->snapshot ? "" : "\"snapshot\":false,");
        for (uint32_t i = from; i < to; i++) {
            text[at++] = '"';
            at += spread_name(topics[i], text + at);
            memcpy(text + at, i + 1 == to ? "\"]" : "\",", 2);
            at += 2;
        }
        text[at++] = '}';
        uint32_t header = ws_client_header_write(frame, WS_TEXT, at, key);
        memmove(frame + header, text, at);
        mask_apply(frame + header, at, key, 0);
        size += header + at;
    }
    return size;
}

static bool write_all_requests(struct subscribe *self)
{
    uint32_t *topics = malloc(self->spread.each * sizeof *topics);
    size_t frames = self->spread.each / self->each_request + 1;
    size_t room = frames * (WS_HEADER_BYTES_MAX + 64) + self->spread.each * (SPREAD_NAME_BYTES_MAX + 3);
    self->requests = calloc(self->connections, sizeof *self->requests);
    bool memory = topics && self->requests;
    for (uint32_t i = 0; memory && i < self->connections; i++) {
        struct request_bytes *one = &self->requests[i];
        if (!(memory = (one->bytes = malloc(room)) != NULL)) break;
        spread_shuffled(&self->spread, i, topics);
        one->size = write_requests(self, topics, one->bytes);
        self->request_bytes += one->size;
    }
    free(topics);
    return memory || failed(self, "no memory for the requests");
}

/* Sends what the sockets take; returns how many connections have more to send. */
static uint32_t send_some(struct subscribe *self)
{
    uint32_t unsent = 0;
    for (uint32_t i = 0; i < self->connections; i++) {
        struct request_bytes *one = &self->requests[i];
        if (one->sent == one->size || self->subscribers.all[i].state != SUBSCRIBER_OPEN) continue;
        ssize_t sent = stream_send(self->subscribers.all[i].fd, self->subscribers.all[i].tls, one->bytes + one->sent, one->size - one->sent);
        if (sent > 0) one->sent += (size_t)sent;
        if (sent < 0 && errno != EAGAIN && errno != EINTR) {
            failed(self, "a connection failed while it subscribed");
            return UINT32_MAX;
        }
        unsent += one->sent < one->size;
    }
    return unsent;
}

/* Reads until a count has reached what is due, or nothing has moved for as long as patience lasts. */
static bool read_until(struct subscribe *self, const uint64_t *count, uint64_t due, const char *what)
{
    int64_t progress_ns = now_ns();
    for (uint64_t before = *count; *count < due; before = *count) {
        if (self->check.wrong) return failed(self, self->check.first);
        if (self->subscribers.ended) return failed(self, self->subscribers.why);
        subscribers_turn(&self->subscribers, 10000000);
        int64_t at_ns = now_ns();
        subscribers_live(&self->subscribers, at_ns);
        if (*count > before) progress_ns = at_ns;
        if (at_ns - progress_ns < PATIENCE_NS) continue;
        snprintf(self->why, sizeof self->why, "%llu of %llu %s came, and no more", (unsigned long long)*count,
                 (unsigned long long)due, what);
        return false;
    }
    return self->check.wrong == 0 || failed(self, self->check.first);
}

static bool subscribe_all(struct subscribe *self, uint64_t due)
{
    int64_t from_ns = now_ns();
    for (uint32_t unsent; (unsent = send_some(self)) > 0;) {
        if (unsent == UINT32_MAX || self->check.wrong) break;
        subscribers_turn(&self->subscribers, 0);
        if (now_ns() - from_ns > PATIENCE_NS) return failed(self, "the gateway does not take the requests");
    }
    if (self->why[0]) return false;
    if (!read_until(self, &self->check.acked, due, "subscriptions")) return false;
    self->ack_ns = now_ns() - from_ns;
    return true;
}

/* ---- the stages -------------------------------------------------------------------------------------------------- */

static bool run_stages(struct subscribe *self)
{
    uint64_t all = self->connections * self->subscriptions;
    if (client_connect(&self->publisher, span_of_string(self->url), "/v1/ws", self->key) != CLIENT_OK)
        return failed(self, self->publisher.why);
    settle(self);
    measure(self, EMPTY);
    int64_t from_ns = now_ns();
    if (!publish_round(self, 0)) return false;
    self->publish_ns = now_ns() - from_ns;
    settle(self);
    measure(self, PUBLISHED);

    if (subscribers_init(&self->subscribers, (uint32_t)self->connections) != 0) return failed(self, "no memory");
    self->subscribers.owner = self;
    self->subscribers.write_target = write_target;
    self->subscribers.on_text = on_text;
    from_ns = now_ns();
    if (!subscribers_connect(&self->subscribers, self->url, NULL)) return failed(self, self->subscribers.why);
    self->connect_ns = now_ns() - from_ns;
    settle(self);
    measure(self, CONNECTED);

    uint64_t before_ns = self->pid ? (uint64_t)machine_process_ns((int64_t)self->pid) : 0;
    if (!subscribe_all(self, all)) return false;
    if (self->pid) self->gateway_ns = (uint64_t)machine_process_ns((int64_t)self->pid) - before_ns;
    measure(self, ACKED);
    if (self->snapshot && !read_until(self, &self->check.updates[0], all, "snapshots")) return false;
    settle(self);
    measure(self, SETTLED);

    from_ns = now_ns();
    if (!publish_round(self, 1) || !read_until(self, &self->check.updates[1], all, "updates")) return false;
    self->update_ns = now_ns() - from_ns;
    return true;
}

static void tell_memory(const struct subscribe *self, struct report *report)
{
    static const char *const names[][2] = {
        { "resident_empty", "resident, empty" },
        { "resident_published", "resident, topics published" },
        { "resident_connected", "resident, connected" },
        { "resident_acked", "resident at the last ack" },
        { "resident_settled", "resident, settled" },
    };
    double all = (double)(self->connections * self->subscriptions);
    for (int i = EMPTY; i <= SETTLED; i++)
        report_real(report, names[i][0], names[i][1], (double)self->memory[i].resident / 1024, 0, "KiB");
    report_real(report, "own_settled", "of that its own alone", (double)self->memory[SETTLED].own / 1024, 0, "KiB");
    report_real(report, "bytes_per_topic", "growth for each topic",
                (double)(self->memory[PUBLISHED].resident - self->memory[EMPTY].resident) / (double)self->topics, 1,
                "bytes, its log among them");
    report_real(report, "bytes_per_connection", "growth for each connection",
                (double)(self->memory[CONNECTED].resident - self->memory[PUBLISHED].resident) / (double)self->connections, 0,
                "bytes");
    report_real(report, "bytes_per_subscription", "growth for each subscription",
                (double)(self->memory[SETTLED].resident - self->memory[CONNECTED].resident) / all, 1,
                "bytes, what shards know of its topic among them");
}

static int tell(struct subscribe *self, bool complete)
{
    struct report report = { .json = self->json };
    report_begin(&report, "subscribe");
    report_count(&report, "topics", "topics", self->topics, "");
    report_count(&report, "connections", "connections", self->connections, "");
    report_count(&report, "subscriptions", "subscriptions of each", self->subscriptions, "");
    report_count(&report, "request", "topics in one request", self->each_request, "");
    report_text(&report, "spread", "spread", self->kind == SPREAD_ZIPF ? "zipf" : "round");
    report_real(&report, "publish_s", "an update into every topic", (double)self->publish_ns * 1e-9, 3, "s");
    report_real(&report, "connect_s", "connected within", (double)self->connect_ns * 1e-9, 3, "s");
    report_real(&report, "request_bytes", "bytes of requests", (double)self->request_bytes, 0, "");
    report_count(&report, "acked", "subscriptions acknowledged", self->check.acked, "");
    report_real(&report, "ack_s", "first byte to last ack", (double)self->ack_ns * 1e-9, 3, "s");
    if (self->pid)
        report_real(&report, "gateway_s", "gateway's processor time", (double)self->gateway_ns * 1e-9, 2, "s");
    if (self->pid) tell_memory(self, &report);
    if (self->snapshot) report_count(&report, "snapshots", "snapshots received", self->check.updates[0], "");
    report_count(&report, "updates", "updates received", self->check.updates[1], "");
    report_real(&report, "update_s", "one more to all of them", (double)self->update_ns * 1e-9, 3, "s");
    report_count(&report, "wrong", "wrong", self->check.wrong, "");
    report_yes(&report, "complete", "all were told all", complete);
    if (!complete) report_warn(&report, self->why);
    report_end(&report);
    return complete ? 0 : 1;
}

static int run(struct subscribe *self)
{
    if (self->pid && machine_memory((int64_t)self->pid).resident < 0)
        return fprintf(stderr, "ringcast-bench subscribe: there is no process %llu that may be looked at\n",
                       (unsigned long long)self->pid), 1;
    if (spread_init(&self->spread, (enum spread_kind)self->kind, 1, (uint32_t)self->topics, (uint32_t)self->connections,
                    (uint32_t)self->subscriptions) != 0
        || subscribe_check_init(&self->check, &self->spread, (uint32_t)self->each_request) != 0 || !write_all_requests(self))
        return fprintf(stderr, "ringcast-bench subscribe: no memory\n"), 1;
    client_init(&self->publisher, -1);
    int status = tell(self, run_stages(self));
    client_close(&self->publisher);
    if (self->subscribers.all) subscribers_deinit(&self->subscribers);
    for (uint32_t i = 0; i < self->connections; i++) free(self->requests[i].bytes);
    free(self->requests);
    subscribe_check_deinit(&self->check);
    spread_deinit(&self->spread);
    return status;
}

int subscribe_main(int argc, char **argv)
{
    static struct subscribe self;
    self = (struct subscribe){ .url = "ws://127.0.0.1:8080", .topics = 100000, .connections = 1000, .subscriptions = 1000,
                               .settle_s = 1, .cpu = -1 };
    const struct flag flags[] = {
        { "url", FLAG_TEXT, &self.url, "URL", "the gateway (ws://127.0.0.1:8080)", 0, 0 },
        { "key", FLAG_TEXT, &self.key, "KEY", "a key that may publish", 0, 0 },
        { "topics", FLAG_COUNT, &self.topics, "T", "(100000)", 1, 1e7 },
        { "connections", FLAG_COUNT, &self.connections, "N", "(1000)", 1, 100000 },
        { "subscriptions", FLAG_COUNT, &self.subscriptions, "S", "topics that each connection follows (1000)", 1, 1e6 },
        { "request", FLAG_COUNT, &self.each_request, "R", "topics in one request (all, at most 2000)", 1, REQUEST_MOST },
        { "spread", FLAG_CHOICE, &self.kind, "round|zipf", "which topics: all alike, or few by many (round)", 0, 0 },
        { "snapshot", FLAG_YES, &self.snapshot, NULL, "ask for the newest update of each, too", 0, 0 },
        { "settle", FLAG_REAL, &self.settle_s, "S", "rest before memory is read (1)", 0, 3600 },
        { "pid", FLAG_COUNT, &self.pid, "P", "the gateway's process: its memory and processor time", 1, 1e9 },
        { "cpu", FLAG_REAL, &self.cpu, "C", "run on this CPU alone", 0, 1023 },
        { "json", FLAG_YES, &self.json, NULL, "one JSON object instead of a table", 0, 0 },
        { 0 },
    };
    enum flags_result read = flags_read("subscribe", flags, argc, argv, NULL, 0);
    if (read == FLAGS_HELP) {
        printf("usage: ringcast-bench subscribe [flags]\nVery many subscriptions: how fast they are acknowledged, and what "
               "each costs. Every ack and update is checked.\n\n");
        flags_help(flags);
    }
    if (read != FLAGS_OK) return read == FLAGS_HELP ? 0 : 2;
    if (!self.key) return fprintf(stderr, "ringcast-bench subscribe: --key is missing: it publishes into every topic\n"), 2;
    if (self.subscriptions > self.topics)
        return fprintf(stderr, "ringcast-bench subscribe: --subscriptions is at most --topics: each is another one\n"), 2;
    if (!self.each_request) self.each_request = self.subscriptions < REQUEST_MOST ? self.subscriptions : REQUEST_MOST;
    if (self.connections + 16 > machine_files())
        return fprintf(stderr, "ringcast-bench subscribe: the limit of files is less than these connections need\n"), 2;
    if (!machine_pin((int64_t)self.cpu)) return 2;
    return run(&self);
}
