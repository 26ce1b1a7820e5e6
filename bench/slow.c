/* See slow.h. First the others alone, then all; both with the same publisher. Memory of the gateway and of the kernel's sockets is
 * looked at all the while. Sockets of the slow ones are this machine's own, both ends: the kernel's figure holds what the readers'
 * side keeps too. */
#include "bench/slow.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/fanout.h"
#include "bench/flags.h"

#define ROWS_MAX 24

enum column { AT_S, DELIVERED, RESIDENT, SOCKETS, COLUMNS };
static const struct report_column columns[COLUMNS] = {
    { "at_s", "after s", 1 }, { "delivered_per_s", "delivered/s", 0 }, { "resident_mib", "resident MiB", 2 }, { "sockets_mib", "sockets MiB", 2 },
};

struct slow {
    struct fanout fanout;
    struct fanout_plan plan;
    uint64_t readers, rows;
    double settle; /* seconds at most, until their sockets are full */
    double settled_s;
    double cells[ROWS_MAX * COLUMNS];
    double alone_per_s;
};

/* A stalled one is sent to like any other until its socket is full, and what it is asked is what it costs from then on: so the
 * measurement waits until the kernel's memory has stopped growing. */
static bool fill(struct slow *self)
{
    enum { LOOKS_A_SECOND = 4, STILL = 3 };
    int64_t from_ns = now_ns(), before = machine_socket_bytes();
    for (int still = 0; still < STILL && (double)(now_ns() - from_ns) * 1e-9 < self->settle;) {
        if (!fanout_run(&self->fanout, 1.0 / LOOKS_A_SECOND)) return false;
        int64_t bytes = machine_socket_bytes();
        still = bytes < before + before / 100 ? still + 1 : 0;
        if (bytes > before) before = bytes;
    }
    self->settled_s = (double)(now_ns() - from_ns) * 1e-9;
    return true;
}

/* Delivered a second to those who read; `rows`: in so many parts, each a row of the table. */
static bool run(struct slow *self, bool alone, double *per_s)
{
    struct fanout *fanout = &self->fanout;
    uint32_t readers;
    *fanout = (struct fanout){ .plan = self->plan };
    if (alone) fanout->plan.stalled = fanout->plan.slow = 0, fanout->plan.subscribers = self->readers;
    if (fanout_prepare(fanout) != 0) return snprintf(fanout->why, sizeof fanout->why, "the plan is not possible"), false;
    if (!fanout_start(fanout) || !fanout_run(fanout, self->plan.warmup) || (!alone && !fill(self))) return false;
    uint64_t before = 0;
    fanout_take_mark(fanout, &fanout->begin);
    for (uint64_t row = 0; row < (alone ? 1 : self->rows); row++) {
        int64_t from_ns = now_ns();
        if (!fanout_run(fanout, self->plan.seconds / (double)(alone ? 1 : self->rows))) return false;
        fanout_take_mark(fanout, &fanout->end);
        double *cells = &self->cells[row * COLUMNS];
        uint64_t delivered = fanout_delivered(fanout, &readers);
        cells[AT_S] = (double)(fanout->end.usage.at_ns - fanout->begin.usage.at_ns) * 1e-9;
        cells[DELIVERED] = (double)(delivered - before) / ((double)(now_ns() - from_ns) * 1e-9);
        cells[RESIDENT] = fanout->resident_last >= 0 ? (double)fanout->resident_last / 1048576 : NAN;
        cells[SOCKETS] = (double)machine_socket_bytes() / 1048576;
        before = delivered;
    }
    *per_s = (double)fanout_delivered(fanout, &readers) / ((double)(fanout->end.usage.at_ns - fanout->begin.usage.at_ns) * 1e-9);
    fanout_drain(fanout);
    return true;
}

static int tell(struct slow *self, double per_s)
{
    struct fanout *fanout = &self->fanout;
    struct report report = { .json = self->plan.json };
    char names[ROWS_MAX][24];
    const char *rows[ROWS_MAX];
    double stalled = (double)(self->plan.stalled + self->plan.slow);
    report_begin(&report, "slow");
    report_count(&report, "readers", "connections that read", self->readers, "");
    report_count(&report, "stalled", "that do not read", self->plan.stalled, "");
    report_count(&report, "slow", "that read slowly", self->plan.slow, "");
    report_count(&report, "slow_bytes", "what a slow one reads", self->plan.slow_bytes, "bytes/s");
    report_real(&report, "alone_per_s", "delivered/s, readers alone", self->alone_per_s, 0, "");
    report_real(&report, "delivered_per_s", "delivered/s, beside the others", per_s, 0, "");
    report_real(&report, "ratio", "the second to the first", per_s / self->alone_per_s, 3, "");
    report_real(&report, "settled_s", "until the sockets of the others were full", self->settled_s, 1, "s");
    if (fanout->resident_most >= 0) {
        report_real(&report, "resident_first_mib", "gateway's memory, first", (double)fanout->resident_first / 1048576, 2, "MiB");
        report_real(&report, "resident_most_mib", "gateway's memory, most", (double)fanout->resident_most / 1048576, 2, "MiB");
    }
    report_real(&report, "sockets_first_mib", "kernel's TCP memory, first", (double)fanout->sockets_first / 1048576, 2, "MiB");
    report_real(&report, "sockets_most_mib", "kernel's TCP memory, most", (double)fanout->sockets_most / 1048576, 2, "MiB");
    report_real(&report, "sockets_bytes_each", "for each slow one, at most", (double)(fanout->sockets_most - fanout->sockets_first) / stalled, 0, "bytes");
    if (!fanout->sweeping) fanout_tell_truth(fanout, &report);
    report_yes(&report, "complete", "who reads has all in the end", fanout->drained);
    if (!fanout->sweeping) {
        report_count(&report, "caught_up", "slow ones that caught up", fanout->stalled_caught_up, "");
        report_count(&report, "closed", "slow ones that were closed", fanout->stalled_closed, "");
    }
    for (uint64_t row = 0; row < self->rows; row++) {
        snprintf(names[row], sizeof names[row], "%llu", (unsigned long long)row + 1);
        rows[row] = names[row];
    }
    report_table(&report, "over_time", "part", columns, COLUMNS, rows, (int)self->rows, self->cells);
    fanout_warn_busy(fanout, &report);
    report_end(&report);
    bool gaps_allowed = self->plan.unbounded && fanout->sweeping;
    return verify_failed(&fanout->verify) || (!fanout->drained && !gaps_allowed) ? 1 : 0;
}

int slow_main(int argc, char **argv)
{
    static struct slow self = { .readers = 1000, .rows = 10, .settle = 20 };
    struct fanout_plan *plan = &self.plan;
    *plan = (struct fanout_plan){ .command = "slow", .url = "ws://127.0.0.1:8080", .topic = "slow", .stalled = 500, .slow = 0, .slow_bytes = 32768,
                                  .topics = 1, .bytes = 100, .batch = 16, .seconds = 10, .warmup = 0.5, .cpu = -1, .metrics_url = "none" };
    const struct flag flags[] = {
        { "url", FLAG_TEXT, &plan->url, "URL", "the gateway (ws://127.0.0.1:8080)", 0, 0 },
        { "key", FLAG_TEXT, &plan->key, "KEY", "a key that may publish", 0, 0 },
        { "readers", FLAG_COUNT, &self.readers, "N", "connections that read (1000)", 1, 100000 },
        { "stalled", FLAG_COUNT, &plan->stalled, "K", "beside them, that do not read until the end (500)", 0, 100000 },
        { "slow", FLAG_COUNT, &plan->slow, "K", "beside them, that read --slow-bytes a second (0)", 0, 100000 },
        { "slow-bytes", FLAG_COUNT, &plan->slow_bytes, "B", "(32768)", 100, 1e9 },
        { "stalled-buffer", FLAG_COUNT, &plan->stalled_buffer, "B", "receive buffer of those that do not read: their side is this machine's too; 0: the kernel's (0)", 0, 1e9 },
        { "settle", FLAG_REAL, &self.settle, "S", "how long at most to wait until their sockets are full (20)", 0, 3600 },
        { "window", FLAG_COUNT, &plan->window, "W", "at most W updates not yet with the slowest that reads (128)", 1, 1e6 },
        { "rate", FLAG_REAL, &plan->rate, "R", "updates a second", 0.001, 1e8 },
        { "unbounded", FLAG_YES, &plan->unbounded, NULL, "as fast as the gateway's socket takes them", 0, 0 },
        { "bytes", FLAG_COUNT, &plan->bytes, "B", "size of a frame (100)", 1, UPDATE_BYTES_MAX },
        { "seconds", FLAG_REAL, &plan->seconds, "S", "each of both measurements (10)", 0.1, 86400 },
        { "rows", FLAG_COUNT, &self.rows, "N", "of the table over time (10)", 1, ROWS_MAX },
        { "sweep", FLAG_YES, &plan->sweep, NULL, "the floor's reader: counts bytes, looks at none, never sleeps", 0, 0 },
        { "cpu", FLAG_REAL, &plan->cpu, "C", "run on this CPU alone", 0, 1023 },
        { "pid", FLAG_COUNT, &plan->pid, "P", "the gateway's process: its memory", 1, 1e9 },
        { "json", FLAG_YES, &plan->json, NULL, "one JSON object instead of a table", 0, 0 },
        { 0 },
    };
    enum flags_result read = flags_read("slow", flags, argc, argv, NULL, 0);
    if (read == FLAGS_HELP) {
        printf("usage: ringcast-bench slow --key KEY [flags]\nReaders that stand still or crawl: what they cost the others, and in memory.\n\n");
        flags_help(flags);
    }
    if (read != FLAGS_OK) return read == FLAGS_HELP ? 0 : 2;
    if (plan->stalled + plan->slow == 0) return fprintf(stderr, "ringcast-bench slow: --stalled or --slow says how many are\n"), 2;
    plan->subscribers = self.readers + plan->stalled + plan->slow;
    double per_s = 0;
    bool fine = run(&self, true, &self.alone_per_s);
    if (fine) fanout_stop(&self.fanout);
    fine = fine && run(&self, false, &per_s);
    if (!fine) fprintf(stderr, "ringcast-bench slow: %s\n", self.fanout.why);
    int status = fine ? tell(&self, per_s) : 1;
    fanout_stop(&self.fanout);
    return status;
}
