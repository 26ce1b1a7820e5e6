/* See beside.h. Four runs in turn, each a command of its own, as in pair.c; the first turn warms all and is thrown away:
 *
 *   one shard, its load elsewhere     `fanout --round W` against a gateway of one shard
 *   S shards, their load beside them  the same against S, each pinned to a CPU, the load on any
 *   one floor, its reader elsewhere   `floor --apart`, one sender for all connections
 *   S floors, their reader beside     `floor --apart --senders S --beside`
 *
 * By rounds each send carries the same W frames in all of them, which a window does not hold equal. What is compared is sends for each
 * second of processor time of those who send. That holds what the kernel does in their name: over loopback the receiving half of each
 * send's path. */
#include "bench/beside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/flags.h"
#include "bench/machine.h"
#include "bench/median.h"
#include "bench/ours.h"
#include "bench/report.h"
#include "bench/said.h"

#define PAIRS_MAX  100
#define FRAMES_OFF 0.05 /* of W: a run whose sends carried more or less does not count */

enum kind { SHARD_ONE, SHARDS, FLOOR_ONE, FLOORS, KINDS };
static const char *const kinds[KINDS] = { "one shard", "shards", "one floor", "floors" };

enum fact { PER_PROCESS_S, PER_S, FRAMES, BYTES, FACTS };
static const struct report_column columns[FACTS] = {
    [PER_PROCESS_S] = { "sends_per_process_s", "sends/s of processor time", 0 },
    [PER_S] = { "sends_per_s", "sends/s", 0 },
    [FRAMES] = { "frames_per_send", "frames/send", 2 },
    [BYTES] = { "bytes_per_send", "bytes/send", 0 },
};

enum ratio { OF_SHARDS, OF_FLOORS, ONE_TO_FLOOR, ALL_TO_FLOORS, RATIOS };
static const struct {
    const char *name, *label;
    enum kind   of, to;
} ratios[RATIOS] = {
    [OF_SHARDS] = { "shards", "shards to one", SHARDS, SHARD_ONE },
    [OF_FLOORS] = { "floors", "floors to one", FLOORS, FLOOR_ONE },
    [ONE_TO_FLOOR] = { "one_to_floor", "one shard to one floor", SHARD_ONE, FLOOR_ONE },
    [ALL_TO_FLOORS] = { "shards_to_floors", "shards to floors", SHARDS, FLOORS },
};

struct beside {
    const char *gateway;
    uint64_t    pairs, shards, connections, round, bytes, server_cpu, load_cpu;
    double      seconds;
    bool        json;
    double      found[KINDS][FACTS][PAIRS_MAX];
    double      ratio[RATIOS][PAIRS_MAX];
    uint64_t    counted;
    char        why[640];
};

struct texts { char connections[24], round[24], bytes[24], seconds[24], shards[24], server_cpu[24], load_cpu[24]; };

static struct texts texts_of(const struct beside *self)
{
    struct texts texts;
    snprintf(texts.connections, sizeof texts.connections, "%llu", (unsigned long long)self->connections);
    snprintf(texts.round, sizeof texts.round, "%llu", (unsigned long long)self->round);
    snprintf(texts.bytes, sizeof texts.bytes, "%llu", (unsigned long long)self->bytes);
    snprintf(texts.seconds, sizeof texts.seconds, "%g", self->seconds);
    snprintf(texts.shards, sizeof texts.shards, "%llu", (unsigned long long)self->shards);
    snprintf(texts.server_cpu, sizeof texts.server_cpu, "%llu", (unsigned long long)self->server_cpu);
    snprintf(texts.load_cpu, sizeof texts.load_cpu, "%llu", (unsigned long long)self->load_cpu);
    return texts;
}

/* Runs a command and takes the facts that it tells; false: `why`. */
static bool run(struct beside *self, enum kind kind, const char *const argv[], double found[FACTS])
{
    char warning[300];
    int status = 1;
    bool has = true;
    char *said = said_by(argv, &status);
    for (int f = 0; f < FACTS; f++) has = (said_real(said, columns[f].name, &found[f]) || f == BYTES) && has;
    said_warning(said, warning, sizeof warning);
    free(said);
    if (status != 0 || !has) snprintf(self->why, sizeof self->why, "%s: `%s` ended with %d: %s", kinds[kind], argv[0], status, has ? warning : "it does not tell its sends or its processor time");
    return status == 0 && has;
}

static bool run_gateway(struct beside *self, enum kind kind, double found[FACTS])
{
    struct ours ours;
    struct texts texts = texts_of(self);
    bool alone = kind == SHARD_ONE;
    bool fine = ours_start(&ours, self->gateway, alone ? 1 : (uint32_t)self->shards, alone ? (int64_t)self->server_cpu : -1, NULL);
    if (!fine) snprintf(self->why, sizeof self->why, "%s", ours.why);
    const char *const argv[] = { "fanout", "--url", ours.url, "--key", OURS_KEY, "--pid", ours.pid, "--subscribers", texts.connections, "--bytes", texts.bytes, "--round", texts.round,
                                 "--seconds", texts.seconds, "--warmup", "0.5", "--sweep", alone ? "--cpu" : NULL, texts.load_cpu, NULL };
    fine = fine && run(self, kind, argv, found);
    ours_stop(&ours);
    return fine;
}

static bool run_floor(struct beside *self, enum kind kind, double found[FACTS])
{
    struct texts texts = texts_of(self);
    bool alone = kind == FLOOR_ONE;
    const char *const argv[] = { "floor", "--apart", "--connections", texts.connections, "--bytes", texts.bytes, "--frames", texts.round, "--seconds", texts.seconds,
                                 "--sender-cpu", texts.server_cpu, "--reader-cpu", texts.load_cpu, "--senders", alone ? "1" : texts.shards, alone ? NULL : "--beside", NULL };
    bool fine = run(self, kind, argv, found);
    found[BYTES] = found[FRAMES] * (double)self->bytes;
    return fine;
}

static bool run_pair(struct beside *self, uint64_t pair)
{
    double found[KINDS][FACTS] = { 0 };
    bool counts = true;
    for (enum kind kind = 0; kind < KINDS; kind++) {
        if (!(kind == SHARD_ONE || kind == SHARDS ? run_gateway : run_floor)(self, kind, found[kind])) return false;
        double off = found[kind][FRAMES] / (double)self->round - 1;
        counts = counts && off < FRAMES_OFF && off > -FRAMES_OFF;
    }
    fprintf(stderr, "pair %llu:", (unsigned long long)pair);
    for (enum kind kind = 0; kind < KINDS; kind++)
        fprintf(stderr, "%s %s %.0f k/s of processor time (%.2f frames)", kind ? "," : "", kinds[kind], found[kind][PER_PROCESS_S] * 1e-3, found[kind][FRAMES]);
    fprintf(stderr, "%s\n", pair == 0 ? " (not counted)" : counts ? "" : " (frames differ: not counted)");
    if (pair == 0 || !counts) return true;
    for (enum kind kind = 0; kind < KINDS; kind++)
        for (int f = 0; f < FACTS; f++) self->found[kind][f][self->counted] = found[kind][f];
    for (int r = 0; r < RATIOS; r++) self->ratio[r][self->counted] = found[ratios[r].of][PER_PROCESS_S] / found[ratios[r].to][PER_PROCESS_S];
    self->counted++;
    return true;
}

static int tell(struct beside *self)
{
    struct report report = { .json = self->json };
    report_begin(&report, "beside");
    report_count(&report, "connections", "connections", self->connections, "");
    report_count(&report, "shards", "shards, and floors", self->shards, "");
    report_count(&report, "frame_bytes", "bytes of a frame", self->bytes, "");
    report_real(&report, "seconds", "seconds of each run", self->seconds, 1, "");
    report_count(&report, "pairs", "pairs that count", self->counted, "");
    if (self->counted > 0) {
        static const struct report_column of[] = { { "ratio", "ratio", 3 }, { "least", "least", 3 }, { "most", "most", 3 } };
        const char *names[RATIOS];
        double cells[KINDS * FACTS], spreads[RATIOS * 3];
        for (int k = 0; k < KINDS; k++)
            for (int f = 0; f < FACTS; f++) cells[k * FACTS + f] = median(self->found[k][f], self->counted);
        report_table(&report, "runs", "medians", columns, FACTS, kinds, KINDS, cells);
        for (int r = 0; r < RATIOS; r++) {
            struct spread_of spread = median_spread(self->ratio[r], self->counted);
            spreads[r * 3] = spread.median, spreads[r * 3 + 1] = spread.least, spreads[r * 3 + 2] = spread.most;
            names[r] = self->json ? ratios[r].name : ratios[r].label;
        }
        report_table(&report, "ratios", "sends/s of processor time", of, 3, names, RATIOS, spreads);
    }
    if (self->why[0]) report_warn(&report, self->why);
    if (self->counted < (self->pairs - 1 < 5 ? self->pairs - 1 : 5)) report_warn(&report, "fewer than five pairs count: the ratios say little");
    report_end(&report);
    return self->why[0] ? 1 : 0;
}

int beside_main(int argc, char **argv)
{
    static struct beside self = { .gateway = "build/release/ringcast", .pairs = 8, .shards = 2, .connections = 1000, .round = 16, .bytes = 100, .load_cpu = 1, .seconds = 2 };
    const struct flag flags[] = {
        { "gateway", FLAG_TEXT, &self.gateway, "PROGRAM", "(build/release/ringcast)", 0, 0 },
        { "pairs", FLAG_COUNT, &self.pairs, "N", "of runs in turn, the first uncounted (8)", 2, PAIRS_MAX },
        { "shards", FLAG_COUNT, &self.shards, "S", "and floors, against one (2)", 2, 64 },
        { "connections", FLAG_COUNT, &self.connections, "N", "(1000)", 1, 100000 },
        { "round", FLAG_COUNT, &self.round, "W", "frames of each send (16)", 1, 256 },
        { "bytes", FLAG_COUNT, &self.bytes, "B", "of a frame (100)", 90, 60000 },
        { "seconds", FLAG_REAL, &self.seconds, "S", "of each run (2)", 0.1, 600 },
        { "server-cpu", FLAG_COUNT, &self.server_cpu, "C", "of the one shard and of the first floor (0)", 0, 1023 },
        { "load-cpu", FLAG_COUNT, &self.load_cpu, "C", "of the load that is not beside them (1)", 0, 1023 },
        { "json", FLAG_YES, &self.json, NULL, "one JSON object instead of a table", 0, 0 },
        { 0 },
    };
    enum flags_result read = flags_read("beside", flags, argc, argv, NULL, 0);
    if (read == FLAGS_HELP) {
        printf("usage: ringcast-bench beside [flags]\nSeveral shards with their load beside them on the same CPUs, against one; and the floor likewise.\n\n");
        flags_help(flags);
    }
    if (read != FLAGS_OK) return read == FLAGS_HELP ? 0 : 2;
    machine_files();
    for (uint64_t pair = 0; pair < self.pairs; pair++)
        if (!run_pair(&self, pair)) break;
    return tell(&self);
}
