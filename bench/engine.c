/* See engine.h. Work for each shard is the same however many there are: so many topics, so many subscriptions spread over
 * the topics of all, so many updates published to as many topics, whose homes are everywhere. So an update is delivered to as many. */
#include "bench/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/engine_run.h"
#include "bench/flags.h"
#include "bench/machine.h"
#include "bench/median.h"
#include "bench/report.h"

#define PAIRS_MAX 99

struct engine_bench {
    struct engine_plan plan;
    uint64_t pairs;
    bool spins, json;
    char data[4096];
};

/* ---- what is told --------------------------------------------------------------------------------------------------- */

enum fact {
    DELIVERED_PER_S, RANGES_PER_S, PUBLISHED_PER_S, SECONDS, DELIVERED, PUBLISHED, RANGES, UPDATES_PER_RANGE, RANGES_PER_SEND, TURNS, BUSY,
    PER_CPU_S, LINE_NS, ASKS, ASKS_FULL, TELLS, NOTICES, LOANS, WAKES_ASKED, WAKES_SENT, SEGMENTS_TRIMMED, GAP_UPDATES, WRONG, FACTS
};

static const struct {
    const char *name, *label, *unit;
    int decimals;
} facts[FACTS] = {
    [DELIVERED_PER_S] = { "delivered_per_s", "delivered", "updates/s", 0 },
    [RANGES_PER_S] = { "ranges_per_s", "ranges cut", "/s", 0 },
    [PUBLISHED_PER_S] = { "published_per_s", "published", "updates/s", 0 },
    [SECONDS] = { "seconds", "seconds", "", 3 },
    [DELIVERED] = { "delivered", "delivered", "updates", 0 },
    [PUBLISHED] = { "published", "published", "updates", 0 },
    [RANGES] = { "ranges", "ranges", "", 0 },
    [UPDATES_PER_RANGE] = { "updates_per_range", "updates of a range", "", 2 },
    [RANGES_PER_SEND] = { "ranges_per_send", "ranges of a send", "", 2 },
    [TURNS] = { "turns", "turns", "", 0 },
    [BUSY] = { "busy", "busy", "% of the shards' time", 1 },
    [PER_CPU_S] = { "delivered_per_cpu_s", "delivered for each second of a CPU", "updates", 0 },
    [LINE_NS] = { "line_ns", "a line's way from CPU to CPU", "ns", 0 },
    [ASKS] = { "asks", "asks", "", 0 },
    [ASKS_FULL] = { "asks_full", "asks without room", "", 0 },
    [TELLS] = { "tells", "tells", "", 0 },
    [NOTICES] = { "notices", "notices", "", 0 },
    [LOANS] = { "loans", "segments on loan at the end", "", 0 },
    [WAKES_ASKED] = { "wakes_asked", "looks whether a peer sleeps", "", 0 },
    [WAKES_SENT] = { "wakes_sent", "wake-ups", "", 0 },
    [SEGMENTS_TRIMMED] = { "segments_trimmed", "segments trimmed", "", 0 },
    [GAP_UPDATES] = { "gap_updates", "updates lost in gaps", "", 0 },
    [WRONG] = { "wrong", "what must not happen", "", 0 },
};

static void find_facts(const struct engine_plan *plan, const struct engine_result *result, double found[FACTS])
{
    found[DELIVERED_PER_S] = result->delivered / result->seconds;
    found[RANGES_PER_S] = result->ranges / result->seconds;
    found[PUBLISHED_PER_S] = result->published / result->seconds;
    found[SECONDS] = result->seconds;
    found[DELIVERED] = result->delivered;
    found[PUBLISHED] = result->published;
    found[RANGES] = result->ranges;
    found[UPDATES_PER_RANGE] = result->delivered / result->ranges;
    found[RANGES_PER_SEND] = result->ranges / result->sends;
    found[TURNS] = result->turns;
    found[BUSY] = 100 - 100 * result->asleep_ns * 1e-9 / (result->seconds * (double)plan->load.shards);
    found[PER_CPU_S] = result->delivered / (result->cpu_ns * 1e-9);
    found[LINE_NS] = result->line_ns;
    found[ASKS] = result->asks;
    found[ASKS_FULL] = result->asks_full;
    found[TELLS] = result->tells;
    found[NOTICES] = result->notices;
    found[LOANS] = result->loans;
    found[WAKES_ASKED] = result->wakes_asked;
    found[WAKES_SENT] = result->wakes_sent;
    found[SEGMENTS_TRIMMED] = result->segments_trimmed;
    found[GAP_UPDATES] = result->gap_updates;
    found[WRONG] = result->wrong;
}

static void tell_plan(const struct engine_bench *self, struct report *report)
{
    static const char *const readings[] = { [READ_LINE] = "its first line", [READ_FRAMES] = "each frame's header", [READ_COPY] = "copied" };
    const struct engine_load *load = &self->plan.load;
    report_count(report, "shards", "shards", load->shards, "");
    report_count(report, "threads", "threads", self->plan.threaded ? load->shards : 1, "");
    report_count(report, "topics", "topics of each shard", load->topics, "");
    report_count(report, "subscriptions", "subscriptions of each shard", load->subscriptions, "");
    report_real(report, "fan_out", "subscriptions of a topic", (double)load->subscriptions / (double)load->topics, 1, "in all shards");
    report_count(report, "follows", "subscriptions of a connection", load->follows, "");
    report_count(report, "updates", "updates of each shard", self->plan.updates, "");
    report_count(report, "burst", "updates of a turn", load->burst, "");
    report_count(report, "bytes", "bytes of an update's data", load->bytes, "");
    report_text(report, "reading", "of a range is read", readings[load->reading]);
    report_yes(report, "quiet", "publishes want no reply", load->quiet);
    report_yes(report, "sleeps", "idle shards sleep", load->sleeps);
}

static void tell_facts(struct report *report, const char *prefix, const char *of, const double found[FACTS])
{
    for (int i = 0; i < FACTS; i++) {
        char name[64], label[64];
        snprintf(name, sizeof name, "%s%s", prefix, facts[i].name);
        snprintf(label, sizeof label, "%s%s", facts[i].label, of);
        report_real(report, name, label, found[i], facts[i].decimals, facts[i].unit);
    }
}

static void warn(struct report *report, const double found[FACTS])
{
    if (found[GAP_UPDATES] > 0) report_warn(report, "updates were lost in gaps: this run does not count");
    if (found[WRONG] > 0) report_warn(report, "the engine did what it must not: this run does not count");
}

/* ---- what is done --------------------------------------------------------------------------------------------------- */

static void find_medians(double found[][FACTS], uint64_t count, double medians[FACTS])
{
    for (int i = 0; i < FACTS; i++) {
        double of[PAIRS_MAX];
        for (uint64_t p = 0; p < count; p++) of[p] = found[p][i];
        medians[i] = median(of, count);
    }
}

static bool run_once(const struct engine_plan *plan, double found[FACTS])
{
    struct engine_result result;
    if (!engine_run(plan, &result)) return false;
    find_facts(plan, &result, found);
    return true;
}

static int run(struct engine_bench *self)
{
    struct report report = { .json = self->json };
    double found[FACTS];
    if (!run_once(&self->plan, found)) return 1;
    report_begin(&report, "engine");
    tell_plan(self, &report);
    tell_facts(&report, "", "", found);
    warn(&report, found);
    report_end(&report);
    return found[WRONG] > 0 || found[GAP_UPDATES] > 0;
}

/* One shard and all of them in turn, so that whatever disturbs the machine disturbs both; the first pair warms it. */
static int run_pairs(struct engine_bench *self)
{
    static double one[PAIRS_MAX][FACTS], all[PAIRS_MAX][FACTS], gains[PAIRS_MAX], range_gains[PAIRS_MAX], cpu_gains[PAIRS_MAX];
    struct engine_plan alone = self->plan;
    uint64_t count = self->pairs - 1;
    alone.load.shards = 1;
    for (uint64_t pair = 0; pair < self->pairs; pair++) {
        uint64_t at = pair > 0 ? pair - 1 : 0;
        if (!run_once(&alone, one[at]) || !run_once(&self->plan, all[at])) return 1;
        gains[at] = all[at][DELIVERED_PER_S] / one[at][DELIVERED_PER_S];
        range_gains[at] = all[at][RANGES_PER_S] / one[at][RANGES_PER_S];
        cpu_gains[at] = (double)self->plan.load.shards * all[at][PER_CPU_S] / one[at][PER_CPU_S];
        fprintf(stderr, "pair %llu: 1 shard %.1f M delivered/s, %llu shards %.1f M: %.2f, by processor time %.2f, a line %.0f ns%s\n", (unsigned long long)pair,
                one[at][DELIVERED_PER_S] * 1e-6, (unsigned long long)self->plan.load.shards,
                all[at][DELIVERED_PER_S] * 1e-6, gains[at], cpu_gains[at], all[at][LINE_NS], pair == 0 ? " (not counted)" : "");
    }
    struct report report = { .json = self->json };
    double of_one[FACTS], of_all[FACTS];
    find_medians(one, count, of_one);
    find_medians(all, count, of_all);
    report_begin(&report, "engine");
    tell_plan(self, &report);
    report_count(&report, "pairs", "pairs counted", count, "");
    report_real(&report, "gain", "delivered/s against one shard", median(gains, count), 3, "times (the medians of all below)");
    report_real(&report, "cpu_gain", "the same by processor time", median(cpu_gains, count), 3, "times (if no other process took any)");
    report_real(&report, "range_gain", "ranges/s against one shard", median(range_gains, count), 3, "times");
    tell_facts(&report, "one_", ", one shard", of_one);
    tell_facts(&report, "all_", ", all shards", of_all);
    warn(&report, of_one);
    warn(&report, of_all);
    report_end(&report);
    return of_all[WRONG] > 0 || of_one[WRONG] > 0;
}

/* A JSON object of so many bytes. */
static void fill_data(struct engine_bench *self)
{
    static const char begin[] = "{\"price\":189.32,\"text\":\"";
    size_t size = (size_t)self->plan.load.bytes;
    memset(self->data, 'x', size);
    memcpy(self->data, begin, sizeof begin - 1);
    memcpy(self->data + size - 2, "\"}", 2);
    self->plan.load.data = span_of(self->data, size);
}

static uint64_t rounded_up(uint64_t count, uint64_t to)
{
    return (count + to - 1) / to * to;
}

static int refuse(const char *sentence)
{
    fprintf(stderr, "ringcast-bench engine: %s\n", sentence);
    return 2;
}

int engine_main(int argc, char **argv)
{
    struct engine_bench self = {
        .plan = { .updates = 100000, .load = { .shards = 2, .topics = 10, .subscriptions = 1000, .follows = 1, .lead = 16, .bytes = 64 } },
    };
    struct engine_load *load = &self.plan.load;
    uint64_t threads = 0;
    const struct flag flags[] = {
        { "shards", FLAG_COUNT, &load->shards, "N", "(2)", 1, SHARDS_MAX },
        { "threads", FLAG_COUNT, &threads, "N", "1: shards take turns in one; else as many as shards (as many)", 1, SHARDS_MAX },
        { "topics", FLAG_COUNT, &load->topics, "T", "of each shard; homes are as their hashes say (10)", 1, 1e6 },
        { "subscriptions", FLAG_COUNT, &load->subscriptions, "S", "of each shard, spread over the topics of all (1000)", 1, 1e6 },
        { "follows", FLAG_COUNT, &load->follows, "F", "topics that one connection follows (1)", 1, 1e4 },
        { "updates", FLAG_COUNT, &self.plan.updates, "U", "that each shard publishes, rounded up to even rounds of all topics (100000)", 1, 1e9 },
        { "burst", FLAG_COUNT, &load->burst, "B", "updates that a shard publishes in a turn (as many as topics)", 1, 1e6 },
        { "lead", FLAG_COUNT, &load->lead, "L", "bursts that a shard may be ahead of the slowest (16)", 1, 1000 },
        { "bytes", FLAG_COUNT, &load->bytes, "S", "bytes of an update's data (64)", 32, sizeof self.data },
        { "read", FLAG_CHOICE, &load->reading, "line|frames|copy", "what is done with a range's bytes (line)", 0, 0 },
        { "quiet", FLAG_YES, &load->quiet, NULL, "publishes that want no reply", 0, 0 },
        { "spin", FLAG_YES, &self.spins, NULL, "idle shards don't sleep", 0, 0 },
        { "cpu", FLAG_COUNT, &self.plan.cpu, "C", "the first thread's; the others' follow (0)", 0, 1023 },
        { "pairs", FLAG_COUNT, &self.pairs, "P", "one shard and all of them in turn so often, the first uncounted", 2, PAIRS_MAX },
        { "json", FLAG_YES, &self.json, NULL, "one JSON object instead of a table", 0, 0 },
        { 0 },
    };
    enum flags_result read = flags_read("engine", flags, argc, argv, NULL, 0);
    if (read == FLAGS_HELP) {
        printf("usage: ringcast-bench engine [flags]\n"
               "The pubsub engine without sockets: publishing, linking, waking and cutting ranges.\n"
               "Instructions: valgrind --tool=callgrind --toggle-collect=engine_run_measured ringcast-bench engine --threads 1 ...\n\n");
        flags_help(flags);
    }
    if (read != FLAGS_OK) return read == FLAGS_HELP ? 0 : 2;
    if (threads == 0) threads = load->shards;
    if (threads != 1 && threads != load->shards) return refuse("--threads is 1 or as many as --shards");
    if (load->subscriptions % load->follows) return refuse("--subscriptions is a multiple of --follows");
    if (load->follows > load->topics) return refuse("--follows is at most --topics: a connection follows a topic once");
    if (load->burst == 0) load->burst = load->topics;
    if (load->lead * load->burst > ENGINE_WINDOW / 2 * load->topics)
        return refuse("--lead times --burst is at most 500 times --topics: a topic keeps 1,000 updates");
    self.plan.threaded = threads > 1 || self.pairs > 0;
    self.plan.updates = rounded_up(self.plan.updates, load->shards * load->topics);
    self.plan.warmup = rounded_up(self.plan.updates / 10, load->shards * load->topics);
    load->sleeps = !self.spins && threads > 1;
    fill_data(&self);
    return self.pairs ? run_pairs(&self) : run(&self);
}
