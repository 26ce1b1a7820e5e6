/* See flood.h. */
#include "bench/flood.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/fanout.h"
#include "bench/flags.h"
#include "bench/histogram.h"
#include "bench/report.h"

#define ROUNDS_MAX 101

struct flood {
    const char   *kind_name;
    int           kind;
    uint64_t      connections, rounds;
    double        settle;
    struct fanout fanout;
    double        quiet_us[ROUNDS_MAX], flooded_us[ROUNDS_MAX], ratio[ROUNDS_MAX]; /* p99 of each round */
    double        quiet_p50_us[ROUNDS_MAX], flooded_p50_us[ROUNDS_MAX];
    int64_t       resident_before, resident_most, sockets_before, sockets_most, pid_ns;
    uint64_t      delivered;
};

static int compare(const void *a, const void *b)
{
    double difference = *(const double *)a - *(const double *)b;
    return difference < 0 ? -1 : difference > 0;
}

static double median(const double *of, uint64_t count)
{
    double sorted[ROUNDS_MAX];
    memcpy(sorted, of, count * sizeof *of);
    qsort(sorted, count, sizeof *sorted, compare);
    return sorted[count / 2];
}

/* One phase: it settles, then is measured. */
static bool phase(struct flood *self, double *p50_us, double *p99_us)
{
    struct fanout *fanout = &self->fanout;
    if (!fanout_run(fanout, self->settle)) return false;
    histogram_clear(&fanout->verify.delays);
    fanout->verify.due_from_ns = now_ns();
    fanout->verify.due_until_ns = fanout->verify.due_from_ns + (int64_t)(fanout->plan.seconds * 1e9);
    bool fine = fanout_run(fanout, fanout->plan.seconds) && fanout_run(fanout, self->settle); /* those due at the end may come late */
    *p50_us = (double)histogram_at(&fanout->verify.delays, 0.5) / 1e3;
    *p99_us = (double)histogram_at(&fanout->verify.delays, 0.99) / 1e3;
    self->delivered += fanout->verify.delays.total;
    return fine;
}

static bool rounds(struct flood *self)
{
    struct fanout *fanout = &self->fanout;
    self->resident_before = fanout->resident_first;
    self->sockets_before = fanout->sockets_first;
    for (uint64_t i = 0; i < self->rounds; i++) {
        if (!phase(self, &self->quiet_p50_us[i], &self->quiet_us[i])) return false;
        int64_t before_ns = fanout->plan.pid ? machine_process_ns((int64_t)fanout->plan.pid) : 0;
        pid_t attacker = flood_attack((enum flood_kind)self->kind, fanout->plan.url, (uint32_t)self->connections);
        if (attacker < 0) return snprintf(fanout->why, sizeof fanout->why, "the flood could not begin"), false;
        bool fine = phase(self, &self->flooded_p50_us[i], &self->flooded_us[i]);
        flood_end(attacker);
        if (fanout->plan.pid) self->pid_ns += machine_process_ns((int64_t)fanout->plan.pid) - before_ns;
        if (!fine) return false;
        self->ratio[i] = self->quiet_us[i] > 0 ? self->flooded_us[i] / self->quiet_us[i] : 0;
    }
    self->resident_most = fanout->resident_most;
    self->sockets_most = fanout->sockets_most;
    return true;
}

static int tell(const struct flood *self)
{
    const struct fanout *fanout = &self->fanout;
    struct report report = { .json = fanout->plan.json };
    report_begin(&report, "flood");
    report_text(&report, "kind", "flood", self->kind_name);
    report_count(&report, "subscribers", "ordinary subscribers", fanout->plan.subscribers, "");
    report_real(&report, "rate", "updates published", fanout->plan.rate, 0, "/s");
    report_count(&report, "rounds", "rounds, each undisturbed and flooded", self->rounds, "");
    report_real(&report, "p50_us", "median delay undisturbed, median of rounds", median(self->quiet_p50_us, self->rounds), 1, "us");
    report_real(&report, "p50_flooded_us", "the same flooded", median(self->flooded_p50_us, self->rounds), 1, "us");
    report_real(&report, "p99_us", "p99 of delay undisturbed, median of rounds", median(self->quiet_us, self->rounds), 1, "us");
    report_real(&report, "p99_flooded_us", "the same flooded", median(self->flooded_us, self->rounds), 1, "us");
    report_real(&report, "p99_ratio", "ratio, median of rounds", median(self->ratio, self->rounds), 2, "");
    if (self->resident_before >= 0) {
        report_real(&report, "resident_before_kib", "gateway's memory before", (double)self->resident_before / 1024, 0, "KiB");
        report_real(&report, "resident_most_kib", "the most of it while flooded", (double)self->resident_most / 1024, 0, "KiB");
        report_real(&report, "gateway_process", "gateway's processor time while flooded", 100e-9 * (double)self->pid_ns / ((fanout->plan.seconds + 2 * self->settle) * (double)self->rounds), 1, "% of a CPU");
    }
    report_real(&report, "sockets_before_kib", "kernel's TCP memory before", (double)self->sockets_before / 1024, 0, "KiB");
    report_real(&report, "sockets_most_kib", "the most of it while flooded", (double)self->sockets_most / 1024, 0, "KiB");
    report_count(&report, "flood_connections", "connections that the flood made", counter_read(flood_done(), COUNTER_ACCEPTED), "");
    report_count(&report, "flood_sends", "sends of the flood", counter_read(flood_done(), COUNTER_SENDS), "");
    report_real(&report, "flood_mib", "bytes of the flood that were taken", (double)counter_read(flood_done(), COUNTER_BYTES_SENT) / 1048576, 1, "MiB");
    report_count(&report, "delivered", "updates delivered and compared", self->delivered, "");
    if (verify_failed(&fanout->verify)) report_warn(&report, fanout->verify.first);
    report_end(&report);
    return verify_failed(&fanout->verify) ? 1 : 0;
}

int flood_main(int argc, char **argv)
{
    static struct flood self = { .rounds = 5, .settle = 1 };
    struct fanout_plan *plan = &self.fanout.plan;
    *plan = (struct fanout_plan){ .url = "ws://127.0.0.1:8080", .topic = "bench", .subscribers = 200, .topics = 1, .each = 1, .bytes = 100, .batch = 16, .rate = 1000, .seconds = 3, .cpu = -1 };
    const struct flag flags[] = {
        { "kind", FLAG_CHOICE, &self.kind, FLOOD_KINDS, "who floods: heads that never end, 20,000 subscriptions, pings or lists without reading, illegal messages, messages of 1 MB that never end (slowloris)", 0, 0 },
        { "url", FLAG_TEXT, &plan->url, "URL", "the gateway (ws://127.0.0.1:8080)", 0, 0 },
        { "key", FLAG_TEXT, &plan->key, "KEY", "a key that may publish", 0, 0 },
        { "connections", FLAG_COUNT, &self.connections, "N", "that flood (5000, 1, 4, 4, 8, 500)", 1, 20000 },
        { "subscribers", FLAG_COUNT, &plan->subscribers, "N", "ordinary ones (200)", 1, 100000 },
        { "rate", FLAG_REAL, &plan->rate, "R", "updates a second (1000)", 1, 1e6 },
        { "rounds", FLAG_COUNT, &self.rounds, "N", "each undisturbed and flooded (5)", 1, ROUNDS_MAX },
        { "seconds", FLAG_REAL, &plan->seconds, "S", "of each half of a round (3)", 0.01, 3600 },
        { "settle", FLAG_REAL, &self.settle, "S", "before each half is measured (1)", 0, 60 },
        { "pid", FLAG_COUNT, &plan->pid, "P", "the gateway's process: its memory and processor time", 1, 1e9 },
        { "cpu", FLAG_REAL, &plan->cpu, "C", "run on this CPU alone, flood and all", 0, 1023 },
        { "json", FLAG_YES, &plan->json, NULL, "one JSON object instead of a table", 0, 0 },
        { 0 },
    };
    static const char *const names[] = { "slowloris", "subscribe", "pings", "lists", "illegal", "incomplete" };
    enum flags_result read = flags_read("flood", flags, argc, argv, NULL, 0);
    if (read == FLAGS_HELP) {
        printf("usage: ringcast-bench flood --key KEY [flags]\nOrdinary subscribers' delay and the gateway's memory while others flood it.\n\n");
        flags_help(flags);
    }
    if (read != FLAGS_OK) return read == FLAGS_HELP ? 0 : 2;
    self.kind_name = names[self.kind];
    machine_files();
    const char *why = updates_init(&self.fanout.updates, UPDATES_JSON, plan->topic, 1, plan->bytes, self.fanout.why);
    if (why || !machine_pin((int64_t)plan->cpu)) return fprintf(stderr, "ringcast-bench flood: %s\n", why ? why : "can't be pinned"), 2;
    bool fine = fanout_start(&self.fanout) && fanout_run(&self.fanout, self.settle) && rounds(&self);
    if (!fine) fprintf(stderr, "ringcast-bench flood: %s\n", self.fanout.why);
    int status = fine ? tell(&self) : 1;
    fanout_stop(&self.fanout);
    return status;
}
