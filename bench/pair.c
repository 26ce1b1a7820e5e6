/* See pair.h. Machines drift by a third within minutes, so what counts is the ratio of two runs beside each other. Each run is
 * a command of its own (`fanout`, `floor`); the first pair warms all and is thrown away. */
#include "bench/pair.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/flags.h"
#include "bench/machine.h"
#include "bench/median.h"
#include "bench/ours.h"
#include "bench/report.h"
#include "bench/said.h"

#define PAIRS_MAX           100
#define UNBOUNDED_FRAMES    64   /* of the floor's sends that an unbounded publisher's delivery is measured by */
#define FLOOR_FRAMES_MOST   4096

/* TLS: the same gateway and load without it takes the place of the floor. */
enum variant { WINDOW, ONE, UNBOUNDED, FEW, MANY, TLS, VARIANTS };
static const struct {
    const char *name, *title;
    double      frames;   /* of the floor's sends; 0: as many as the gateway's had */
    const char *load[11]; /* of `fanout` */
} variants[VARIANTS] = {
    [WINDOW] = { "window", "--window 128", 0, { "--window", "128" } },
    [ONE] = { "one", "one update a send", 1, { "--window", "16", "--lockstep" } },
    [UNBOUNDED] = { "unbounded", "unbounded", UNBOUNDED_FRAMES, { "--unbounded" } },
    /* Of 10 topics of a connection; the busiest carry most. */
    [FEW] = { "few", "Zipf, few ranges", 0, { "--topics", "100", "--each", "10", "--zipf", "1", "--window", "16" } },
    [MANY] = { "many", "Zipf, many ranges", 0, { "--topics", "100", "--each", "10", "--zipf", "1", "--window", "512" } },
    [TLS] = { "tls", "TLS, to plain", 0, { "--window", "128" } },
};
#define LOADS "window|one|unbounded|few|many|tls|all"

enum fact { COUNTED, DELIVERED, PER_BUSY_S, FRAMES, RANGES, FLOOR, RATIO, RATIO_LEAST, RATIO_MOST, WALL_RATIO, PROCESS_RATIO, PROCESS_LEAST, PROCESS_MOST, FACTS };
static const struct report_column columns[FACTS] = {
    [COUNTED] = { "pairs", "pairs", 0 },
    [DELIVERED] = { "delivered_per_s", "delivered/s", 0 },
    [PER_BUSY_S] = { "delivered_per_busy_s", "of busy time", 0 },
    [FRAMES] = { "frames_per_send", "frames/send", 1 },
    [RANGES] = { "ranges_per_send", "ranges/send", 1 },
    [FLOOR] = { "floor_per_s", "floor/s", 0 }, /* or of plain's busy time */
    [RATIO] = { "ratio", "ratio", 3 },
    [RATIO_LEAST] = { "ratio_least", "least", 3 },
    [RATIO_MOST] = { "ratio_most", "most", 3 },
    [WALL_RATIO] = { "ratio_by_wall", "by the wall", 3 },
    /* Of processor time alone: what other processes took of the CPU meanwhile is neither's. */
    [PROCESS_RATIO] = { "ratio_by_process", "by processor time", 3 },
    [PROCESS_LEAST] = { "ratio_by_process_least", "least", 3 },
    [PROCESS_MOST] = { "ratio_by_process_most", "most", 3 },
};

struct pair {
    const char *gateway, *authority;
    uint64_t pairs, connections, bytes, server_cpu, load_cpu;
    double seconds;
    bool json;
    double found[VARIANTS][FACTS][PAIRS_MAX]; /* what is least and most stays empty */
    uint64_t counted[VARIANTS];
    char why[640];
};

__attribute__((format(printf, 2, 3))) static bool failed(struct pair *self, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(self->why, sizeof self->why, format, arguments);
    va_end(arguments);
    return false;
}

/* One run of the gateway. per_process_s: frames for each second of its processor time. */
static bool run_gateway(struct pair *self, enum variant variant, const struct ours *ours, bool tls, double found[FACTS], double *per_process_s)
{
    char connections[24], bytes[24], seconds[24], cpu[24], warning[300];
    snprintf(connections, sizeof connections, "%llu", (unsigned long long)self->connections);
    snprintf(bytes, sizeof bytes, "%llu", (unsigned long long)self->bytes);
    snprintf(seconds, sizeof seconds, "%g", self->seconds);
    snprintf(cpu, sizeof cpu, "%llu", (unsigned long long)self->load_cpu);
    const char *argv[30] = { "fanout", "--url", tls ? ours->tls_url : ours->url, "--key", OURS_KEY, "--pid", ours->pid, "--subscribers", connections, "--bytes", bytes,
                             "--seconds", seconds, "--warmup", "0.5", "--cpu", cpu, "--sweep" };
    int at = 18, status = 1;
    double sends_per_process_s = 0;
    for (int i = 0; variants[variant].load[i]; i++) argv[at++] = variants[variant].load[i];
    if (tls) argv[at++] = "--cacert", argv[at++] = ours->authority;
    char *said = said_by(argv, &status);
    bool has = said_real(said, "delivered_per_s", &found[DELIVERED]) && said_real(said, "frames_per_send", &found[FRAMES]) &&
               said_real(said, "ranges_per_send", &found[RANGES]) &&
               said_real(said, "delivered_per_busy_s", &found[PER_BUSY_S]);
    said_real(said, "sends_per_process_s", &sends_per_process_s); /* absent where it was given none */
    *per_process_s = sends_per_process_s * found[FRAMES];
    said_warning(said, warning, sizeof warning);
    free(said);
    if (status != 0) return failed(self, "fanout (%s) ended with %d: %s", variants[variant].name, status, warning);
    return has ? true : failed(self, "fanout (%s) does not know the gateway's sends and its busy time", variants[variant].name);
}

/* One run of the floor at so many frames for each send. False: it failed; `counts` false: it was disturbed. */
static bool run_floor(struct pair *self, double frames, double *per_s, double *per_process_s, bool *counts)
{
    char connections[24], bytes[24], seconds[24], many[24], cpus[2][24];
    double fine = 0, sends_per_s = 0, sends_per_process_s = 0;
    int status = 1;
    snprintf(connections, sizeof connections, "%llu", (unsigned long long)self->connections);
    snprintf(bytes, sizeof bytes, "%llu", (unsigned long long)self->bytes);
    snprintf(seconds, sizeof seconds, "%g", self->seconds);
    snprintf(many, sizeof many, "%.2f", frames < 1 ? 1 : frames > FLOOR_FRAMES_MOST ? FLOOR_FRAMES_MOST : frames);
    snprintf(cpus[0], sizeof cpus[0], "%llu", (unsigned long long)self->server_cpu);
    snprintf(cpus[1], sizeof cpus[1], "%llu", (unsigned long long)self->load_cpu);
    const char *const argv[] = { "floor", "--connections", connections, "--frames", many, "--bytes", bytes, "--seconds", seconds,
                                 "--sender-cpu", cpus[0], "--reader-cpu", cpus[1], NULL };
    char *said = said_by(argv, &status);
    bool has = said_real(said, "frames_per_s", per_s) && said_real(said, "sends_per_s", &sends_per_s) && said_real(said, "sends_per_process_s", &sends_per_process_s) &&
               said_real(said, "counts", &fine);
    if (has) *per_process_s = *per_s / sends_per_s * sends_per_process_s;
    free(said);
    *counts = fine != 0;
    return has ? true : failed(self, "floor ended with %d", status);
}

static void keep(struct pair *self, enum variant variant, const double found[FACTS])
{
    for (int f = 0; f < FACTS; f++) self->found[variant][f][self->counted[variant]] = found[f];
    self->counted[variant]++;
}

static bool run_variant(struct pair *self, enum variant variant)
{
    struct ours ours;
    bool fine = ours_start(&ours, self->gateway, 1, (int64_t)self->server_cpu, variant == TLS ? self->authority : NULL);
    if (!fine) failed(self, "%s", ours.why);
    for (uint64_t pair = 0; fine && pair < self->pairs; pair++) {
        double found[FACTS] = { 0 };
        double plain_per_s = 0, per_process_s = 0, floor_per_process_s = 0;
        bool counts = false;
        fine = run_gateway(self, variant, &ours, variant == TLS, found, &per_process_s);
        double frames = variants[variant].frames > 0 ? variants[variant].frames : found[FRAMES];
        if (variant == TLS) {
            double plain[FACTS];
            fine = fine && run_gateway(self, variant, &ours, false, plain, &floor_per_process_s);
            found[FLOOR] = plain[PER_BUSY_S], plain_per_s = plain[DELIVERED];
            counts = found[FLOOR] > 0;
        } else fine = fine && run_floor(self, frames, &found[FLOOR], &floor_per_process_s, &counts);
        if (!fine) break;
        counts = counts && found[PER_BUSY_S] > 0 && per_process_s > 0 && floor_per_process_s > 0; /* its idle time is told by turns: a run may end before one that says how long it slept */
        found[RATIO] = found[PER_BUSY_S] / found[FLOOR];
        found[PROCESS_RATIO] = per_process_s / floor_per_process_s;
        found[WALL_RATIO] = found[DELIVERED] / (variant == TLS ? plain_per_s : found[FLOOR]);
        fprintf(stderr, "%-18s pair %llu: %.2f M delivered/s (%.1f a send), %s %.2f M: %.3f, by the wall %.3f, by processor time %.3f%s\n", variants[variant].title,
                (unsigned long long)pair, found[PER_BUSY_S] * 1e-6, found[FRAMES], variant == TLS ? "plain" : "floor", found[FLOOR] * 1e-6, found[RATIO], found[WALL_RATIO], found[PROCESS_RATIO],
                pair == 0 ? " (not counted)" : counts ? "" : " (disturbed: not counted)");
        if (pair > 0 && counts) keep(self, variant, found);
    }
    ours_stop(&ours);
    return fine;
}

static int tell(struct pair *self, const bool *asked)
{
    struct report report = { .json = self->json };
    const char *rows[VARIANTS];
    double cells[VARIANTS * FACTS];
    int rows_count = 0;
    bool enough = true;
    report_begin(&report, "pair");
    report_count(&report, "connections", "connections", self->connections, "");
    report_count(&report, "frame_bytes", "bytes of a frame", self->bytes, "");
    report_real(&report, "seconds", "seconds of each run", self->seconds, 1, "");
    report_text(&report, "ratio_of", "ratio", "delivered in each second of the gateway's busy time, to the floor's frames a second");
    for (int v = 0; v < VARIANTS; v++) {
        if (!asked[v]) continue;
        double *row = &cells[rows_count * FACTS];
        for (int f = 0; f < FACTS; f++) row[f] = self->counted[v] ? median(self->found[v][f], self->counted[v]) : NAN;
        if (self->counted[v]) {
            struct spread_of spread = median_spread(self->found[v][RATIO], self->counted[v]);
            row[RATIO_LEAST] = spread.least, row[RATIO_MOST] = spread.most;
            spread = median_spread(self->found[v][PROCESS_RATIO], self->counted[v]);
            row[PROCESS_LEAST] = spread.least, row[PROCESS_MOST] = spread.most;
        }
        row[COUNTED] = (double)self->counted[v];
        enough = enough && self->counted[v] >= (self->pairs - 1 < 5 ? self->pairs - 1 : 5);
        rows[rows_count++] = variants[v].title;
    }
    report_table(&report, "variants", "medians", columns, FACTS, rows, rows_count, cells);
    if (self->why[0]) report_warn(&report, self->why);
    if (!enough) report_warn(&report, "fewer than five pairs count: the ratios say little");
    report_end(&report);
    return self->why[0] ? 1 : 0;
}

int pair_main(int argc, char **argv)
{
    static struct pair self = { .gateway = "build/release/ringcast", .authority = "build/authority", .pairs = 8, .connections = 1000, .bytes = 100, .load_cpu = 1, .seconds = 2 };
    int variant = VARIANTS;
    bool asked[VARIANTS];
    const struct flag flags[] = {
        { "gateway", FLAG_TEXT, &self.gateway, "PROGRAM", "(build/release/ringcast)", 0, 0 },
        { "load", FLAG_CHOICE, &variant, LOADS, "tls: against the same without it; all: the others (all)", 0, 0 },
        { "authority", FLAG_TEXT, &self.authority, "FOLDER", "of deploy/local-authority, for tls (build/authority)", 0, 0 },
        { "pairs", FLAG_COUNT, &self.pairs, "N", "of each load, the first uncounted (8)", 2, PAIRS_MAX },
        { "connections", FLAG_COUNT, &self.connections, "N", "(1000)", 1, 100000 },
        { "bytes", FLAG_COUNT, &self.bytes, "B", "of a frame (100)", 90, 60000 },
        { "seconds", FLAG_REAL, &self.seconds, "S", "of each run (2)", 0.1, 600 },
        { "server-cpu", FLAG_COUNT, &self.server_cpu, "C", "of the gateway and of the floor's sender (0)", 0, 1023 },
        { "load-cpu", FLAG_COUNT, &self.load_cpu, "C", "(1)", 0, 1023 },
        { "json", FLAG_YES, &self.json, NULL, "one JSON object instead of a table", 0, 0 },
        { 0 },
    };
    enum flags_result read = flags_read("pair", flags, argc, argv, NULL, 0);
    if (read == FLAGS_HELP) {
        printf("usage: ringcast-bench pair [flags]\nThe gateway and the floor in alternation: the ratio, with its spread.\n\n");
        flags_help(flags);
    }
    if (read != FLAGS_OK) return read == FLAGS_HELP ? 0 : 2;
    machine_files();
    for (int v = 0; v < VARIANTS; v++) {
        asked[v] = variant == v || (variant == VARIANTS && v != TLS);
        if (asked[v] && !run_variant(&self, (enum variant)v)) break;
    }
    return tell(&self, asked);
}
