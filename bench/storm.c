/* See storm.h. A `fanout` at a steady rate; in each storm a part of its connections is reset at once, and each shakes hands, subscribes
 * and resumes from the last seq that it has. Delays are those of the others, quiet and in storms; all is verified. */
#include "bench/storm.h"

#include <stdio.h>
#include <stdlib.h>

#include "bench/fanout.h"
#include "bench/flags.h"
#include "bench/median.h"

#define SLICE_S    0.01
#define STORMS_MAX 100
#define BACK_NS    30000000000 /* within which all are back */
#define PAUSE_S    0.2         /* between two storms */

struct storm {
    struct fanout fanout;
    uint64_t storms;
    double back_s[STORMS_MAX]; /* until all were acknowledged again */
    uint64_t back_count;
    struct histogram quiet, quiet_lasts; /* delays before the storms */
};

static bool come_back(struct storm *self)
{
    struct fanout *fanout = &self->fanout;
    int64_t from_ns = now_ns();
    churn_cut_all(&fanout->churn);
    while (fanout->verify.acks < fanout->subscribers.count) {
        if (now_ns() - from_ns > BACK_NS)
            return snprintf(fanout->why, sizeof fanout->why, "after %u of %u connections nobody comes back any more", fanout->verify.acks,
                            fanout->subscribers.count), false;
        if (!fanout_run(fanout, SLICE_S)) return false;
    }
    self->back_s[self->back_count++] = (double)(now_ns() - from_ns) * 1e-9;
    return true;
}

static bool measure(struct storm *self)
{
    struct fanout *fanout = &self->fanout;
    if (!fanout_start(fanout)) return false;
    churn_rest(&fanout->churn);
    if (!fanout_run(fanout, fanout->plan.warmup)) return false;
    histogram_clear(&fanout->verify.delays);
    histogram_clear(&fanout->lasts.delays);
    fanout->verify.due_from_ns = now_ns();
    fanout->verify.due_until_ns = INT64_MAX;
    if (!fanout_run(fanout, fanout->plan.seconds)) return false;
    fanout->verify.due_until_ns = now_ns();
    if (!fanout_run(fanout, PAUSE_S)) return false; /* what was due in the quiet comes in yet */
    self->quiet = fanout->verify.delays;
    self->quiet_lasts = fanout->lasts.delays;
    histogram_clear(&fanout->verify.delays);
    histogram_clear(&fanout->lasts.delays);
    fanout->verify.due_from_ns = now_ns();
    fanout->verify.due_until_ns = INT64_MAX;
    fanout_take_mark(fanout, &fanout->begin);
    for (uint64_t i = 0; i < self->storms; i++)
        if (!come_back(self) || !fanout_run(fanout, PAUSE_S)) return false;
    fanout->verify.due_until_ns = now_ns();
    fanout_take_mark(fanout, &fanout->end);
    fanout_drain(fanout);
    return true;
}

static int tell(struct storm *self)
{
    struct fanout *fanout = &self->fanout;
    struct report report = { .json = fanout->plan.json };
    struct spread_of back = median_spread(self->back_s, self->back_count);
    double cut = (double)fanout->plan.churning;
    report_begin(&report, "storm");
    report_count(&report, "connections", "connections", fanout->plan.subscribers, "");
    report_count(&report, "storming", "of which are cut and come back", fanout->plan.churning, "");
    report_count(&report, "storms", "storms", self->storms, "");
    report_real(&report, "rate", "rate", fanout->plan.rate, 1, "updates/s");
    report_real(&report, "connects_per_s", "at first, connected", (double)fanout->plan.subscribers / fanout->connected_s, 0, "/s");
    report_real(&report, "back_s", "all back and resumed, median", back.median, 3, "s");
    report_real(&report, "back_most_s", "all back and resumed, slowest", back.most, 3, "s");
    report_real(&report, "reconnects_per_s", "reconnects, median", cut / back.median, 0, "/s");
    report_count(&report, "resumed", "resumed", fanout->verify.resumed, "times");
    fanout_tell_delays(&report, &self->quiet, "quiet_delay", "delay before");
    fanout_tell_delays(&report, &fanout->verify.delays, "storm_delay", "delay in storms");
    fanout_tell_delays(&report, &self->quiet_lasts, "quiet_last", "before, to the last");
    fanout_tell_delays(&report, &fanout->lasts.delays, "storm_last", "in storms, to the last");
    fanout_tell_truth(fanout, &report);
    report_yes(&report, "complete", "all have all in the end", fanout->drained);
    report_real(&report, "load_cpu", "load's CPU busy", 100 * usage_cpu(fanout->begin.usage, fanout->end.usage), 1, "%");
    if (fanout->begin.pid_ns >= 0)
        report_real(&report, "gateway_process", "gateway's processor time",
                    100 * (double)(fanout->end.pid_ns - fanout->begin.pid_ns) / (double)(fanout->end.usage.at_ns - fanout->begin.usage.at_ns), 1,
                    "% of a CPU");
    if (fanout->resident_most >= 0) {
        report_real(&report, "resident_first_mib", "gateway's memory, first", (double)fanout->resident_first / 1048576, 2, "MiB");
        report_real(&report, "resident_most_mib", "gateway's memory, most", (double)fanout->resident_most / 1048576, 2, "MiB");
    }
    fanout_warn_busy(fanout, &report);
    report_end(&report);
    return verify_failed(&fanout->verify) || !fanout->drained || fanout->subscribers.ended ? 1 : 0;
}

int storm_main(int argc, char **argv)
{
    static struct storm self = { .storms = 5 };
    struct fanout_plan *plan = &self.fanout.plan;
    *plan = (struct fanout_plan){ .command = "storm", .url = "ws://127.0.0.1:8080", .topic = "storm", .subscribers = 2000, .churning = 1000,
                                  .topics = 1, .bytes = 100, .batch = 16, .rate = 100, .seconds = 3, .warmup = 0.5, .churn_every = 86400,
                                  .cpu = -1, .metrics_url = "none" };
    const struct flag flags[] = {
        { "url", FLAG_TEXT, &plan->url, "URL", "the gateway (ws://127.0.0.1:8080)", 0, 0 },
        { "key", FLAG_TEXT, &plan->key, "KEY", "a key that may publish", 0, 0 },
        { "connections", FLAG_COUNT, &plan->subscribers, "N", "in all (2000)", 2, 100000 },
        { "storming", FLAG_COUNT, &plan->churning, "K", "of which are cut at once and come back (1000)", 1, 100000 },
        { "storms", FLAG_COUNT, &self.storms, "N", "(5)", 1, STORMS_MAX },
        { "topics", FLAG_COUNT, &plan->topics, "T", "(1)", 1, 1000 },
        { "each", FLAG_COUNT, &plan->each, "S", "subscriptions of a connection (all topics)", 1, 1000 },
        { "rate", FLAG_REAL, &plan->rate, "R", "updates a second in all (100)", 0.1, 1e6 },
        { "bytes", FLAG_COUNT, &plan->bytes, "B", "size of a frame (100)", 1, UPDATE_BYTES_MAX },
        { "seconds", FLAG_REAL, &plan->seconds, "S", "how long to measure before the storms (3)", 0.1, 3600 },
        { "cpu", FLAG_REAL, &plan->cpu, "C", "run on this CPU alone", 0, 1023 },
        { "pid", FLAG_COUNT, &plan->pid, "P", "the gateway's process: its memory and processor time", 1, 1e9 },
        { "json", FLAG_YES, &plan->json, NULL, "one JSON object instead of a table", 0, 0 },
        { 0 },
    };
    enum flags_result read = flags_read("storm", flags, argc, argv, NULL, 0);
    if (read == FLAGS_HELP) {
        printf("usage: ringcast-bench storm --key KEY [flags]\nMany connections are lost at once, and come back to resume.\n\n");
        flags_help(flags);
    }
    if (read != FLAGS_OK) return read == FLAGS_HELP ? 0 : 2;
    int status = fanout_prepare(&self.fanout);
    if (status) return status;
    bool fine = measure(&self);
    if (!fine) fprintf(stderr, "ringcast-bench storm: %s\n", self.fanout.why);
    status = fine ? tell(&self) : 1;
    fanout_stop(&self.fanout);
    return status;
}
