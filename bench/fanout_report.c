/* What came of a `fanout`. */
#include <stdio.h>
#include <stdlib.h>

#include "bench/fanout.h"
#include "bench/report.h"

#define UNPUBLISHED_MOST 0.01 /* of those published */
#define BUSY_MOST 0.90 /* of the load's own CPU; beyond it the load measures itself */

static int by_size(const void *a, const void *b)
{
    uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;
    return (one > other) - (one < other);
}

uint64_t fanout_delivered(const struct fanout *self, uint32_t *readers)
{
    uint64_t sum = 0;
    *readers = 0;
    for (uint32_t i = 0; i < self->subscribers.count; i++) {
        if (self->role[i] != FANOUT_READS) continue;
        sum += self->end.delivered[i] - self->begin.delivered[i];
        ++*readers;
    }
    return sum;
}

/* What each connection that reads was delivered within the measurement, sorted. */
static void sort_delivered(const struct fanout *self, uint64_t *delivered)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < self->subscribers.count; i++)
        if (self->role[i] == FANOUT_READS) delivered[count++] = self->end.delivered[i] - self->begin.delivered[i];
    qsort(delivered, count, sizeof *delivered, by_size);
}

static void tell_plan(const struct fanout *self, struct report *report)
{
    const struct fanout_plan *plan = &self->plan;
    report_text(report, "reader", "reader", plan->sweep ? "sweeping" : "verifying");
    report_text(report, "mode", "mode", plan->mode == FANOUT_LATEST ? "latest" : "every");
    report_count(report, "subscribers", "subscribers", plan->subscribers, "");
    if (plan->stalled) report_count(report, "stalled", "of which do not read", plan->stalled, "");
    if (plan->slow) report_count(report, "slow", "of which read slowly", plan->slow, "");
    if (plan->churning) report_count(report, "churn", "of which are cut again and again", plan->churning, "");
    report_text(report, "format", "format", plan->format == UPDATES_RAW ? "raw" : plan->format == UPDATES_ARRAY ? "array" : "json");
    if (plan->zipf > 0) report_real(report, "zipf", "topics by Zipf's law", plan->zipf, 2, "");
    report_count(report, "topics", "topics", plan->topics, "");
    report_count(report, "subscriptions_each", "subscriptions of each", plan->each, "");
    report_count(report, "frame_bytes", "bytes of a frame", plan->bytes, "");
    if (plan->window)
        report_count(report, "window", "window", plan->window, "updates");
    else if (plan->round)
        report_count(report, "round", "round", plan->round, "updates");
    else if (plan->rate > 0)
        report_real(report, "rate", "rate", plan->rate, 1, "updates/s");
    else
        report_text(report, "publisher", "publisher", "unbounded");
}

/* The gateway's own word, over the time between its two pages. */
static void tell_gateway(const struct fanout *self, struct report *report, double delivered_per_s)
{
    const struct metrics *before = &self->asked_before.metrics, *after = &self->asked_after.metrics;
    if (!before->has_page || !after->has_page) {
        report_text(report, "metrics", "gateway's metrics", after->why[0] ? after->why : "not asked for");
        return;
    }
    double wall_s = (double)(after->at_ns - before->at_ns) * 1e-9, sends = after->sends - before->sends;
    if (before->has_idle && after->has_idle && after->shards) {
        double busy = 1 - (after->idle_s - before->idle_s) / (wall_s * after->shards);
        report_real(report, "gateway_busy", "gateway busy", 100 * busy, 2, "%");
        report_real(report, "delivered_per_busy_s", "delivered/s of its busy time",
                    busy > 0 ? delivered_per_s / (busy * after->shards) : 0, 0, "");
        report_real(report, "sends_per_busy_s", "sends/s of its busy time",
                    busy > 0 ? sends / wall_s / (busy * after->shards) : 0, 0, "");
    }
    if (after->has_sends && self->begin.pid_ns >= 0 && self->end.pid_ns > self->begin.pid_ns) {
        double process_s = (double)(self->end.pid_ns - self->begin.pid_ns) * 1e-9, seconds = (double)(self->end.usage.at_ns - self->begin.usage.at_ns) * 1e-9;
        report_real(report, "sends_per_process_s", "sends/s of its processor time", sends / wall_s * seconds / process_s, 0, "");
    }
    if (after->has_sends) {
        report_real(report, "bytes_per_send", "bytes for each send", sends > 0 ? (after->bytes - before->bytes) / sends : 0, 0, "");
        report_real(report, "frames_per_send", "frames for each send",
                    sends > 0 ? (after->frames - before->frames) / sends : 0, 2, "");
        report_real(report, "ranges_per_send", "ranges for each send", sends > 0 ? (after->ranges - before->ranges) / sends : 0, 2, "");
        report_real(report, "sends_per_s", "sends/s", sends / wall_s, 0, "");
        report_real(report, "gateway_bytes_per_s", "bytes/s sent", (after->bytes - before->bytes) / wall_s, 0, "");
        report_real(report, "enters_per_s", "system calls of its rings", (after->enters - before->enters) / wall_s, 0, "/s");
        report_real(report, "sends_per_enter", "sends for each of them",
                    after->enters > before->enters ? sends / (after->enters - before->enters) : 0, 2, "");
        report_count(report, "gateway_gaps", "gaps told", (uint64_t)(after->gaps - before->gaps), "");
        report_count(report, "short_sends", "short sends", (uint64_t)(after->short_sends - before->short_sends), "");
    }
}

void fanout_tell_delays(struct report *report, const struct histogram *delays, const char *name_prefix, const char *label_prefix)
{
    static const struct {
        double share;
        const char *name, *label;
    } rows[] = {
        { 0.50, "p50", "p50" },      { 0.90, "p90", "p90" },          { 0.99, "p99", "p99" },
        { 0.999, "p999", "p99.9" },  { 0.9999, "p9999", "p99.99" },   { 1, "max", "max" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char name[48], label[64];
        snprintf(name, sizeof name, "%s_%s_ms", name_prefix, rows[i].name);
        snprintf(label, sizeof label, "%s %s", label_prefix, rows[i].label);
        report_real(report, name, label, (double)histogram_at(delays, rows[i].share) * 1e-6, 3, "ms");
    }
}

/* From when each update was due; without --rate, from when it was written, which tells nothing of what could not be. */
static void tell_delays(const struct fanout *self, struct report *report)
{
    fanout_tell_delays(report, &self->verify.delays, "delay", "delay");
    if (self->plan.rate > 0) report_count(report, "unpublished", "due, but not taken in time", self->unpublished, "updates");
    if ((double)self->unpublished > UNPUBLISHED_MOST * (double)(self->end.published - self->begin.published))
        report_warn(report, "the gateway did not take updates at this rate: those that were never sent have no delay, and this run does not count");
    if (!self->verify.lasts) return;
    report_count(report, "last_updates", "updates that all had", self->lasts.delays.total, "");
    if (self->lasts.given_up > self->lasts.delays.total / 1000) {
        report_warn(report, "too many updates were on their way at once: who was the last to get each is not known");
        return;
    }
    fanout_tell_delays(report, &self->lasts.delays, "last", "to the last subscriber");
}

void fanout_tell_truth(const struct fanout *self, struct report *report)
{
    const struct verify *verify = &self->verify;
    if (self->sweeping) {
        report_yes(report, "exact", "every byte accounted for", self->exact);
        return;
    }
    report_count(report, "updates_checked", "updates checked in all", verify->updates_right, "");
    report_count(report, "lost", "lost", verify->lost, "");
    report_count(report, "doubled", "doubled or out of order", verify->doubled, "");
    report_count(report, "changed", "changed", verify->changed, "");
    report_count(report, "gaps", "gaps", verify->gaps, "");
    report_count(report, "gap_updates", "updates in gaps", verify->gap_updates, "");
    report_count(report, "gaps_wrong", "gaps not exact", verify->gaps_wrong, "");
    if (verify->latest) report_count(report, "skipped", "superseded (latest)", verify->skipped, "");
    report_count(report, "errors", "errors", verify->errors + verify->strange + self->publisher.errors, "");
    if (verify->first[0]) report_text(report, "first", "the first of these", verify->first);
}

void fanout_warn_busy(const struct fanout *self, struct report *report)
{
    char sentence[200];
    double process = usage_process(self->begin.usage, self->end.usage), cpu = usage_cpu(self->begin.usage, self->end.usage);
    if (cpu <= BUSY_MOST || self->sweeping || self->plan.spin) return;
    snprintf(sentence, sizeof sentence, "THE LOAD'S CPU WAS %.0f %% BUSY (%.0f %% by the load itself): delays and rates are its own, and this run does not count",
             100 * cpu, 100 * process);
    report_warn(report, sentence);
}

static void tell_machine(const struct fanout *self, struct report *report)
{
    double process = usage_process(self->begin.usage, self->end.usage),
           cpu = usage_cpu(self->begin.usage, self->end.usage);
    double seconds = (double)(self->end.usage.at_ns - self->begin.usage.at_ns) * 1e-9;
    report_real(report, "load_process", "load's processor time", 100 * process, 1, "% of a CPU");
    if (self->plan.cpu >= 0) report_real(report, "load_cpu", "load's CPU busy", 100 * cpu, 1, "%");
    if (self->begin.pid_ns >= 0 && self->end.pid_ns >= 0)
        report_real(report, "gateway_process", "gateway's processor time",
                    100e-9 * (double)(self->end.pid_ns - self->begin.pid_ns) / seconds, 1, "% of a CPU");
    if (self->resident_most >= 0) {
        report_real(report, "resident_first_mib", "gateway's memory, first", (double)self->resident_first / 1048576, 2,
                    "MiB");
        report_real(report, "resident_last_mib", "gateway's memory, last", (double)self->resident_last / 1048576, 2,
                    "MiB");
        report_real(report, "resident_most_mib", "gateway's memory, most", (double)self->resident_most / 1048576, 2,
                    "MiB");
    }
    if (self->sockets_most >= 0) {
        report_real(report, "sockets_first_mib", "kernel's TCP memory, first", (double)self->sockets_first / 1048576, 2,
                    "MiB");
        report_real(report, "sockets_most_mib", "kernel's TCP memory, most", (double)self->sockets_most / 1048576, 2,
                    "MiB");
    }
    if (self->sweeping && self->sweep.records)
        report_text(report, "load_note", "load", "sweeps without sleeping, COUNTS TLS RECORDS BY THEIR HEADERS AND DECRYPTS NONE: its CPU is always full");
    else if (self->sweeping)
        report_text(report, "load_note", "load", "sweeps without sleeping: its CPU is always full");
    else if (self->plan.spin)
        report_text(report, "load_note", "load", "spins: its CPU is always full");
    fanout_warn_busy(self, report);
}

int fanout_tell(struct fanout *self)
{
    struct report report = { .json = self->plan.json };
    uint64_t *delivered = calloc(self->subscribers.count, sizeof *delivered);
    uint32_t readers;
    if (!delivered) return 1;
    uint64_t sum = fanout_delivered(self, &readers);
    sort_delivered(self, delivered);
    double seconds = (double)(self->end.usage.at_ns - self->begin.usage.at_ns) * 1e-9, per_s = (double)sum / seconds;
    uint64_t published = self->end.published - self->begin.published;
    uint32_t closed = (self->sweeping ? self->sweep.ended : self->subscribers.ended) - self->stalled_closed;

    report_begin(&report, "fanout");
    tell_plan(self, &report);
    report_real(&report, "seconds", "seconds", seconds, 3, "");
    report_real(&report, "published_per_s", "published/s", (double)published / seconds, 0, "");
    report_real(&report, "delivered_per_s", "delivered/s", per_s, 0, "");
    tell_gateway(self, &report, per_s);
    if (!self->sweeping) tell_delays(self, &report);
    if (self->plan.trace) traces_tell(&self->traces, &report);
    report_count(&report, "least", "to a connection, fewest", delivered[0], "");
    report_count(&report, "median", "to a connection, median", delivered[readers / 2], "");
    report_count(&report, "most", "to a connection, most", delivered[readers - 1], "");
    report_real(&report, "fairness", "fewest to most", delivered[readers - 1] ? (double)delivered[0] / (double)delivered[readers - 1] : 0, 3, "");
    fanout_tell_truth(self, &report);
    if (self->churns) {
        report_count(&report, "cuts", "cut, and connected anew", self->churn.cuts, "times");
        report_count(&report, "cuts_in_frame", "of that within a frame", self->churn.cuts_in_frame, "times");
        report_count(&report, "resumed", "resumed", self->verify.resumed, "times");
    }
    report_yes(&report, "complete", "all have all in the end", self->drained);
    report_count(&report, "closed", "closed connections", closed, "");
    if ((self->plan.stalled || self->plan.slow) && !self->sweeping) {
        report_count(&report, "stalled_caught_up", "stalled or slow, caught up", self->stalled_caught_up, "");
        report_count(&report, "stalled_closed", "stalled or slow, closed", self->stalled_closed, "");
    }
    tell_machine(self, &report);
    /* Gaps are the price of an unbounded publisher; then the bytes of a sweep can't add up. */
    bool gaps_allowed = self->plan.unbounded && self->sweeping;
    bool fine =
        !verify_failed(&self->verify) && self->publisher.errors == 0 && closed == 0 && (self->drained || gaps_allowed);
    if (closed)
        report_warn(&report, self->subscribers.why[0] ? self->subscribers.why : "the gateway closed connections");
    if (self->publisher.errors) report_warn(&report, self->publisher.why);
    report_end(&report);
    free(delivered);
    return fine ? 0 : 1;
}
