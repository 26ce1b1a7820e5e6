/* See idle.h. The gateway's memory is read before the first connection and, once all stand and it has settled, after
 * the last; its processor time over the seconds in between. */
#include "bench/idle.h"

#include <stdio.h>

#include "bench/flags.h"
#include "bench/machine.h"
#include "bench/report.h"
#include "bench/subscribers.h"

#define SETTLE_NS 1000000000

struct idle {
    const char *url, *key, *topic;
    uint64_t connections, topics, pid;
    double seconds;
    bool json, deflate;
    struct subscribers subscribers;
    uint64_t messages; /* received by all, hello and acks among them */
};

static void write_target(void *owner, uint32_t index, char *out, size_t room)
{
    const struct idle *self = owner;
    snprintf(out, room, "/v1/ws?topics=%s.%llu", self->topic, (unsigned long long)(index % self->topics));
}

static void on_text(void *owner, uint32_t index, struct span text, int64_t at_ns)
{
    (void)index, (void)text, (void)at_ns;
    ((struct idle *)owner)->messages++;
}

/* Answers pings and nothing else: here the gateway is to do all that it does for the quiet. */
static void hold(struct idle *self, double seconds)
{
    int64_t until_ns = now_ns() + (int64_t)(seconds * 1e9);
    while (now_ns() < until_ns) subscribers_turn(&self->subscribers, 50000000);
}

static int run(struct idle *self)
{
    int64_t pid = (int64_t)self->pid, resident_before = self->pid ? machine_resident(pid) : -1,
            sockets_before = machine_socket_bytes();
    if (self->pid && resident_before < 0)
        return fprintf(stderr, "ringcast-bench idle: there is no process %lld\n", (long long)pid), 1;
    if (subscribers_init(&self->subscribers, (uint32_t)self->connections) != 0)
        return fprintf(stderr, "ringcast-bench idle: no memory\n"), 1;
    self->subscribers.owner = self;
    self->subscribers.write_target = write_target;
    self->subscribers.on_text = on_text;
    self->subscribers.deflate = self->deflate;
    int64_t from_ns = now_ns();
    if (!subscribers_connect(&self->subscribers, self->url, self->key))
        return fprintf(stderr, "ringcast-bench idle: %s\n", self->subscribers.why), 1;
    double connected_s = (double)(now_ns() - from_ns) * 1e-9;
    hold(self, SETTLE_NS * 1e-9);
    int64_t resident_full = self->pid ? machine_resident(pid) : -1,
            used_before_ns = self->pid ? machine_process_ns(pid) : -1;
    uint64_t messages_before = self->messages;
    from_ns = now_ns();
    hold(self, self->seconds);
    double held_s = (double)(now_ns() - from_ns) * 1e-9;
    int64_t resident_after = self->pid ? machine_resident(pid) : -1,
            used_after_ns = self->pid ? machine_process_ns(pid) : -1;

    struct report report = { .json = self->json };
    report_begin(&report, "idle");
    report_count(&report, "connections", "connections", self->connections, "");
    report_real(&report, "connected_s", "connected within", connected_s, 3, "s");
    report_real(&report, "held_s", "held for", held_s, 1, "s");
    report_count(&report, "open", "still open", self->subscribers.opened, "");
    report_count(&report, "messages", "messages while held", self->messages - messages_before, "");
    if (self->pid) {
        report_real(&report, "resident_before_kib", "gateway's memory before", (double)resident_before / 1024, 0,
                    "KiB");
        report_real(&report, "resident_after_kib", "gateway's memory after", (double)resident_after / 1024, 0, "KiB");
        report_real(&report, "bytes_per_connection", "growth for each connection",
                    (double)(resident_full - resident_before) / (double)self->connections, 0, "bytes");
        report_real(&report, "bytes_per_connection_after", "the same, at the end",
                    (double)(resident_after - resident_before) / (double)self->connections, 0, "bytes");
        report_real(&report, "gateway_process", "gateway's processor time",
                    100e-9 * (double)(used_after_ns - used_before_ns) / held_s, 2, "% of a CPU");
    }
    report_real(&report, "kernel_bytes_per_connection", "kernel's TCP memory for each",
                (double)(machine_socket_bytes() - sockets_before) / (double)self->connections, 0, "bytes");
    if (self->subscribers.why[0]) report_warn(&report, self->subscribers.why);
    report_end(&report);
    return self->subscribers.ended ? 1 : 0;
}

int idle_main(int argc, char **argv)
{
    struct idle self = {
        .url = "ws://127.0.0.1:8080", .topic = "idle", .connections = 10000, .topics = 1, .seconds = 10
    };
    double cpu = -1;
    const struct flag flags[] = {
        { "url", FLAG_TEXT, &self.url, "URL", "the gateway (ws://127.0.0.1:8080)", 0, 0 },
        { "key", FLAG_TEXT, &self.key, "KEY", "a key, where subscribing needs one", 0, 0 },
        { "connections", FLAG_COUNT, &self.connections, "N", "(10000)", 1, 100000 },
        { "topic", FLAG_TEXT, &self.topic, "NAME", "subscriptions are to NAME.0 and so on (idle)", 0, 0 },
        { "topics", FLAG_COUNT, &self.topics, "T", "topics that they share (1)", 1, 1e6 },
        { "seconds", FLAG_REAL, &self.seconds, "S", "how long to hold them (10)", 0, 86400 },
        { "deflate", FLAG_YES, &self.deflate, NULL, "with permessage-deflate", 0, 0 },
        { "pid", FLAG_COUNT, &self.pid, "P", "the gateway's process: its memory and processor time", 1, 1e9 },
        { "cpu", FLAG_REAL, &cpu, "C", "run on this CPU alone", 0, 1023 },
        { "json", FLAG_YES, &self.json, NULL, "one JSON object instead of a table", 0, 0 },
        { 0 },
    };
    enum flags_result read = flags_read("idle", flags, argc, argv, NULL, 0);
    if (read == FLAGS_HELP) {
        printf("usage: ringcast-bench idle [flags]\nConnections that do nothing, and what they cost the gateway.\n\n");
        flags_help(flags);
    }
    if (read != FLAGS_OK) return read == FLAGS_HELP ? 0 : 2;
    uint64_t files = machine_files();
    if (self.connections + 16 > files) {
        fprintf(stderr, "ringcast-bench idle: %llu connections need more files than the limit of %llu allows\n",
                (unsigned long long)self.connections, (unsigned long long)files);
        return 2;
    }
    if (!machine_pin((int64_t)cpu)) return 2;
    int status = run(&self);
    subscribers_deinit(&self.subscribers);
    return status;
}
