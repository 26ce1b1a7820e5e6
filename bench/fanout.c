/* See fanout.h. */
#include "bench/fanout.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/flags.h"

static int measure(struct fanout *self)
{
    const struct fanout_plan *plan = &self->plan;
    bool asked = strcmp(plan->metrics_url, "none") != 0;
    bool fine = fanout_start(self) && fanout_run(self, plan->warmup);
    if (fine) {
        if (asked) metrics_ask(&self->asked_before, plan->metrics_url, plan->metrics_key);
        fanout_take_mark(self, &self->begin);
        histogram_clear(&self->verify.delays);
        histogram_clear(&self->lasts.delays);
        self->verify.due_from_ns = now_ns();
        self->verify.due_until_ns = INT64_MAX;
        fine = fanout_run(self, plan->seconds);
        self->verify.due_until_ns = now_ns();
        if (plan->rate > 0) self->unpublished = schedule_late(&self->schedule, self->verify.due_until_ns);
        fanout_take_mark(self, &self->end);
        if (asked) metrics_ask(&self->asked_after, plan->metrics_url, plan->metrics_key);
        metrics_await(&self->asked_before);
        metrics_await(&self->asked_after);
    }
    if (fine) fanout_drain(self);
    if (fine && plan->trace) fine = traces_fetch(&self->traces, plan->metrics_url, plan->metrics_key, self->why);
    if (!fine) fprintf(stderr, "ringcast-bench fanout: %s\n", self->why);
    int status = fine ? fanout_tell(self) : 1;
    fanout_stop(self);
    return status;
}

/* ---- the command line -------------------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static int refuse(const struct fanout_plan *plan, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "ringcast-bench %s: ", plan->command);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return 2;
}

/* The metrics page of the same gateway. */
static const char *metrics_beside(const char *url)
{
    static char beside[400];
    struct client_url parts;
    const char *why;
    if (!client_url_read(span_of_string(url), &parts, &why)) return "none";
    snprintf(beside, sizeof beside, parts.bracketed ? "http%s://[%s]:%s/metrics" : "http%s://%s:%s/metrics", parts.secure ? "s" : "", parts.host,
             parts.port);
    return beside;
}

int fanout_prepare(struct fanout *self)
{
    struct fanout_plan *plan = &self->plan;
    const char *why;
    uint64_t files = machine_files();
    if ((plan->window > 0) + (plan->rate > 0) + plan->unbounded + (plan->round > 0) > 1)
        return refuse(plan, "--window, --round, --rate and --unbounded exclude one another");
    if (plan->window == 0 && plan->rate == 0 && !plan->unbounded && plan->round == 0) plan->window = 128;
    if (plan->round > 0) plan->batch = plan->round;
    if (plan->each == 0 || plan->each > plan->topics) plan->each = plan->topics;
    if (plan->subscribers + 16 > files)
        return refuse(plan, "%llu subscribers need more files than the limit of %llu allows",
                       (unsigned long long)plan->subscribers, (unsigned long long)files);
    if (plan->sweep && plan->mode == FANOUT_LATEST && (plan->window || plan->round))
        return refuse(plan, "--sweep counts bytes, and with --mode latest bytes do not tell what was skipped: use --rate or "
                       "--unbounded");
    if (plan->stalled + plan->slow + plan->churning >= plan->subscribers)
        return refuse(plan, "--stalled, --slow and --churn together are less than --subscribers: someone has to read");
    if (plan->churning && (plan->sweep || plan->format != UPDATES_JSON))
        return refuse(plan, "--churn resumes by what acks say, which --sweep does not read and other formats than json do not have");
    if (plan->format == UPDATES_RAW && plan->topics > 1) return refuse(plan, "--format raw says no topic: it takes --topics 1");
    if (plan->format == UPDATES_RAW && !plan->sweep && (plan->unbounded || plan->stalled || plan->slow))
        return refuse(plan, "--format raw tells no gaps: with --unbounded, --stalled or --slow nobody knows what was lost; use --sweep");
    if (plan->deflate && plan->sweep) return refuse(plan, "--sweep counts bytes, and compressed updates have no size of their own");
    if (plan->trace && plan->rate == 0) return refuse(plan, "--trace follows updates of their own: it takes --rate");
    if (plan->trace && (plan->sweep || plan->topics > LASTS_TOPICS_MAX))
        return refuse(plan, "--trace sees who has each update: it takes a reader that looks (no --sweep) and at most %d topics", LASTS_TOPICS_MAX);
    if (plan->trace && plan->metrics_url && strcmp(plan->metrics_url, "none") == 0) return refuse(plan, "--trace asks where metrics are: not --metrics-url none");
    if (plan->spin && plan->sweep) return refuse(plan, "--sweep never sleeps: --spin is for the verifying reader");
    if (plan->each * (strlen(plan->topic) + 7) > 14000)
        return refuse(plan, "the names of %llu topics do not fit into one request", (unsigned long long)plan->each);
    if ((why = updates_init(&self->updates, (enum updates_format)plan->format, plan->topic, (uint32_t)plan->topics, plan->bytes, self->why)))
        return refuse(plan, "%s", why);
    if (!plan->metrics_url) plan->metrics_url = metrics_beside(plan->url);
    if (!plan->metrics_key) plan->metrics_key = plan->key;
    return machine_pin((int64_t)plan->cpu) ? 0 : 2;
}

int fanout_main(int argc, char **argv)
{
    static struct fanout self;
    struct fanout_plan *plan = &self.plan;
    *plan = (struct fanout_plan){ .command = "fanout",
                                  .url = "ws://127.0.0.1:8080",
                                  .topic = "bench",
                                  .subscribers = 1000,
                                  .topics = 1,
                                  .bytes = 100,
                                  .batch = 16,
                                  .slow_bytes = 32768,
                                  .churn_every = 2,
                                  .seconds = 5,
                                  .warmup = 1,
                                  .cpu = -1 };
    const struct flag flags[] = {
        { "url", FLAG_TEXT, &plan->url, "URL", "the gateway (ws://127.0.0.1:8080)", 0, 0 },
        { "key", FLAG_TEXT, &plan->key, "KEY", "a key that may publish", 0, 0 },
        { "subscribers", FLAG_COUNT, &plan->subscribers, "N", "connections (1000)", 1, 100000 },
        { "topics", FLAG_COUNT, &plan->topics, "T", "topics, published in turn or by --zipf (1)", 1, UPDATE_TOPICS_MAX },
        { "each", FLAG_COUNT, &plan->each, "S", "subscriptions of a connection (all topics)", 1, 1000 },
        { "zipf", FLAG_REAL, &plan->zipf, "S", "the n-th topic is published and followed with a weight of 1/n^S (0: in turn)", 0,
          ZIPF_EXPONENT_MAX },
        { "format", FLAG_CHOICE, &plan->format, "json|array|raw", "of what subscribers get (json)", 0, 0 },
        { "deflate", FLAG_YES, &plan->deflate, NULL, "they read it by permessage-deflate", 0, 0 },
        { "topic", FLAG_TEXT, &plan->topic, "NAME", "the topic; with several NAME.0 and so on (bench)", 0, 0 },
        { "bytes", FLAG_COUNT, &plan->bytes, "B", "size of a frame on the wire, header and all (100)", 1,
          UPDATE_BYTES_MAX },
        { "mode", FLAG_CHOICE, &plan->mode, "every|latest", "(every)", 0, 0 },
        { "window", FLAG_COUNT, &plan->window, "W", "at most W updates not yet with the slowest that reads (128)", 1,
          1e6 },
        { "round", FLAG_COUNT, &plan->round, "W", "W updates in one message whenever all have all, so that each send carries W", 1,
          PUBLISHER_BATCH_MOST },
        { "rate", FLAG_REAL, &plan->rate, "R", "updates a second in all; delays count from when each was due", 0.001,
          1e8 },
        { "lockstep", FLAG_YES, &plan->lockstep, NULL, "with --window: publish on the last one's ack, so that each send carries one update", 0, 0 },
        { "unbounded", FLAG_YES, &plan->unbounded, NULL, "as fast as the gateway's socket takes them", 0, 0 },
        { "publish-batch", FLAG_COUNT, &plan->batch, "L", "requests of a message, at most (16)", 1,
          PUBLISHER_BATCH_MOST },
        { "seconds", FLAG_REAL, &plan->seconds, "S", "how long to measure (5)", 0.01, 86400 },
        { "warmup", FLAG_REAL, &plan->warmup, "S", "how long to run before (1)", 0, 3600 },
        { "stalled", FLAG_COUNT, &plan->stalled, "K", "that many of N do not read until the end (0)", 0, 100000 },
        { "slow", FLAG_COUNT, &plan->slow, "K", "that many read --slow-bytes a second (0)", 0, 100000 },
        { "slow-bytes", FLAG_COUNT, &plan->slow_bytes, "B", "(32768)", 100, 1e9 },
        { "churn", FLAG_COUNT, &plan->churning, "K", "that many are cut again and again, and resume (0)", 0, 100000 },
        { "churn-every", FLAG_REAL, &plan->churn_every, "S", "the longest that one of those lives (2)", 0.01, 86400 },
        { "spin", FLAG_YES, &plan->spin, NULL, "the verifying reader never sleeps either", 0, 0 },
        { "sweep", FLAG_YES, &plan->sweep, NULL, "the floor's reader: counts bytes, looks at none, never sleeps", 0,
          0 },
        { "trace", FLAG_YES, &plan->trace, NULL, "where the time of an update goes, door by door; the gateway was started with --trace 1", 0, 0 },
        { "cpu", FLAG_REAL, &plan->cpu, "C", "run on this CPU alone", 0, 1023 },
        { "metrics-url", FLAG_TEXT, &plan->metrics_url, "URL|none", "the gateway's metrics (/metrics beside --url)", 0,
          0 },
        { "metrics-key", FLAG_TEXT, &plan->metrics_key, "KEY", "the gateway's admin key, where it has one (--key)", 0,
          0 },
        { "pid", FLAG_COUNT, &plan->pid, "P", "the gateway's process: its memory and processor time", 1, 1e9 },
        { "json", FLAG_YES, &plan->json, NULL, "one JSON object instead of a table", 0, 0 },
        { 0 },
    };
    enum flags_result read = flags_read("fanout", flags, argc, argv, NULL, 0);
    if (read == FLAGS_HELP) {
        printf("usage: ringcast-bench fanout --key KEY [flags]\nMany subscribers and one publisher against a running "
               "gateway.\n\n");
        flags_help(flags);
    }
    if (read != FLAGS_OK) return read == FLAGS_HELP ? 0 : 2;
    int wrong = fanout_prepare(&self);
    return wrong ? wrong : measure(&self);
}
