/* See compare.h. Peers take turns in each scenario, as often as asked; each run has a fresh server. What is told is the
 * median of the runs that count; where none does, of those whose load was too busy, and the column of runs says 0. */
#include "bench/compare.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/contest.h"
#include "bench/flags.h"
#include "bench/machine.h"
#include "bench/median.h"
#include "bench/report.h"

#define PEERS_MAX  8
#define ROUNDS_MAX 21
#define UNPUBLISHED_MOST 0.01
#define BUSY_MOST  0.90 /* of the load's CPU: beyond it the load measures itself */

enum fact {
    WINDOW_PER_S, SATURATED_PER_S, SATURATED_LEAST, SATURATED_MIB, SATURATED_SOCKETS, DELAY_P50, DELAY_P99, LAST_P50, LAST_P99, LAST_MAX, RESIDENT_EACH,
    COUNTED, /* runs of each scenario that count */
    FACTS = COUNTED + CONTEST_SCENARIOS
};

static const struct report_column columns[FACTS] = {
    [WINDOW_PER_S] = { "window_delivered_per_s", "window /s", 0 },
    [SATURATED_PER_S] = { "saturated_delivered_per_s", "unbounded /s", 0 },
    [SATURATED_LEAST] = { "saturated_least_share", "least/most", 2 },
    [SATURATED_MIB] = { "saturated_resident_mib", "resident MiB", 0 },
    [SATURATED_SOCKETS] = { "saturated_sockets_mib", "sockets MiB", 0 },
    [DELAY_P50] = { "delay_p50_ms", "p50 ms", 2 },
    [DELAY_P99] = { "delay_p99_ms", "p99 ms", 2 },
    [LAST_P50] = { "last_p50_ms", "last p50", 2 },
    [LAST_P99] = { "last_p99_ms", "last p99", 2 },
    [LAST_MAX] = { "last_max_ms", "last max", 2 },
    [RESIDENT_EACH] = { "resident_bytes_each", "bytes/conn", 0 },
    [COUNTED + CONTEST_WINDOW] = { "window_counted", "runs: window", 0 },
    [COUNTED + CONTEST_SATURATED] = { "saturated_counted", "unbounded", 0 },
    [COUNTED + CONTEST_DELAY] = { "delay_counted", "delays", 0 },
    [COUNTED + CONTEST_MEMORY] = { "memory_counted", "memory", 0 },
};

struct compare {
    struct contest_plan plan;
    const char *gateway, *confs, *only, *peer;
    char        peer_name[24];
    struct peer_kind peer_kind; /* of --peer */
    int         scenario; /* enum contest_scenario; CONTEST_SCENARIOS: all */
    uint64_t rounds, bytes, server_cpu, load_cpu;
    bool json;
    struct peer peers[PEERS_MAX];
    int  peers_count;
    bool there[PEERS_MAX];
    /* What the runs found: those that count, and apart from them those whose load was too busy. */
    struct found {
        double values[ROUNDS_MAX];
        uint32_t count;
    } found[PEERS_MAX][FACTS], busy[PEERS_MAX][FACTS];
    uint32_t counted[PEERS_MAX][CONTEST_SCENARIOS];
    double busiest_own[PEERS_MAX][CONTEST_SCENARIOS]; /* of runs whose load was too busy: how much of that was the load itself, at most */
    char warnings[24][400];
    int warnings_count;
};

__attribute__((format(printf, 2, 3))) static void warn(struct compare *self, const char *format, ...)
{
    if (self->warnings_count == sizeof self->warnings / sizeof *self->warnings) return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(self->warnings[self->warnings_count++], sizeof *self->warnings, format, arguments);
    va_end(arguments);
}

static void keep(struct found *found, double value)
{
    found->values[found->count++] = value;
}

static void keep_all(struct found *found, enum contest_scenario scenario, const struct contest_result *result)
{
    if (scenario == CONTEST_WINDOW) {
        keep(&found[WINDOW_PER_S], result->delivered_per_s);
    } else if (scenario == CONTEST_MEMORY) {
        keep(&found[RESIDENT_EACH], result->resident_each);
    } else if (scenario == CONTEST_SATURATED) {
        keep(&found[SATURATED_PER_S], result->delivered_per_s);
        keep(&found[SATURATED_LEAST], result->most ? (double)result->least / (double)result->most : 0);
        keep(&found[SATURATED_MIB], result->resident_most / 1048576);
        keep(&found[SATURATED_SOCKETS], result->sockets_most / 1048576);
    } else {
        const int64_t delays[] = { result->delay_p50_ns, result->delay_p99_ns, result->last_p50_ns, result->last_p99_ns, result->last_max_ns };
        for (int i = 0; i < 5; i++) keep(&found[DELAY_P50 + i], (double)delays[i] * 1e-6);
    }
}

static const char *const scenarios[] = { "window", "unbounded", "delay", "memory" };

static void tell_run(const char *title, enum contest_scenario scenario, const struct contest_result *result)
{
    fprintf(stderr, "%-16s %-9s ", title, scenarios[scenario]);
    if (scenario == CONTEST_MEMORY) fprintf(stderr, "%11.0f bytes for each further connection", result->resident_each);
    else
        fprintf(stderr, "%11.0f delivered/s, %9.0f published/s, server %3.0f %%, load %3.0f %% (own %3.0f %%), last p50 %.2f ms", result->delivered_per_s, result->published_per_s,
                100 * result->peer_busy, 100 * result->load_busy, 100 * result->load_own, (double)result->last_p50_ns * 1e-6);
    fprintf(stderr, "%s%s\n", result->why[0] ? ": " : "", result->why);
}

static void run_one(struct compare *self, int peer, enum contest_scenario scenario)
{
    struct contest_result result = { 0 };
    struct peer *one = &self->peers[peer];
    if (!peer_start(one, self->confs, (int64_t)self->server_cpu)) {
        warn(self, "%s does not start: %s", one->kind->title, one->why);
        peer_stop(one);
        self->there[peer] = false;
        return;
    }
    contest_run(&self->plan, one, scenario, &result);
    peer_stop(one);
    const char *what = scenarios[scenario];
    tell_run(one->kind->title, scenario, &result);
    if (!result.done) return warn(self, "%s, %s: %s", one->kind->title, what, result.why);
    if (result.closed) warn(self, "%s, %s: it closed %u of the connections (%s)", one->kind->title, what, result.closed, result.why);
    if (result.stuck) return warn(self, "%s, %s: updates were lost and its window never emptied: this run does not count", one->kind->title, what);
    double due = (double)result.unpublished + result.published_per_s * self->plan.seconds;
    if ((double)result.unpublished > UNPUBLISHED_MOST * due || (double)result.missing > UNPUBLISHED_MOST * due * (double)self->plan.connections)
        return warn(self, "%s, %s: it does not keep up: %llu of %.0f updates were not taken, %llu deliveries came over 2 s late or never: this run does not count",
                    one->kind->title, what, (unsigned long long)result.unpublished, due, (unsigned long long)result.missing);
    if (result.load_busy > BUSY_MOST) {
        double *own = &self->busiest_own[peer][scenario];
        if (result.load_own > *own) *own = result.load_own;
        return keep_all(self->busy[peer], scenario, &result);
    }
    keep_all(self->found[peer], scenario, &result);
    self->counted[peer][scenario]++;
}

static int tell(struct compare *self)
{
    struct report report = { .json = self->json };
    const char *rows[PEERS_MAX];
    double cells[PEERS_MAX * FACTS];
    int rows_count = 0;
    report_begin(&report, "compare");
    report_count(&report, "connections", "connections", self->plan.connections, "");
    report_count(&report, "frame_bytes", "bytes of a frame", self->bytes, "");
    report_count(&report, "growth", "further connections, for memory", self->plan.growth, "");
    report_count(&report, "window", "window", self->plan.window, "updates");
    report_real(&report, "rate", "rate of the delays", self->plan.rate, 1, "updates/s");
    report_count(&report, "rounds", "rounds", self->rounds, "");
    report_real(&report, "seconds", "seconds of each run", self->plan.seconds, 1, "");
    for (int p = 0; p < self->peers_count; p++) {
        const struct peer *peer = &self->peers[p];
        char name[32];
        snprintf(name, sizeof name, "peer_%s", peer->kind->name);
        report_text(&report, name, peer->kind->title, peer->version[0] && !peer->why[0] ? peer->version : peer->why);
        if (!self->there[p]) continue;
        for (int f = 0; f < COUNTED; f++) {
            const struct found *found = self->found[p][f].count ? &self->found[p][f] : &self->busy[p][f];
            cells[rows_count * FACTS + f] = found->count ? median(found->values, found->count) : NAN;
        }
        for (int s = 0; s < CONTEST_SCENARIOS; s++) cells[rows_count * FACTS + COUNTED + s] = self->counted[p][s];
        rows[rows_count++] = peer->kind->title;
    }
    report_table(&report, "peers", "server", columns, FACTS, rows, rows_count, cells);
    for (int i = 0; i < self->warnings_count; i++) report_warn(&report, self->warnings[i]);
    report_end(&report);
    return rows_count ? 0 : 1;
}

static void warn_of_busy_loads(struct compare *self)
{
    static const enum fact first[] = { WINDOW_PER_S, SATURATED_PER_S, DELAY_P50, RESIDENT_EACH };
    for (int p = 0; p < self->peers_count; p++)
        for (int s = 0; s < CONTEST_SCENARIOS; s++) {
            uint32_t busy = self->busy[p][first[s]].count;
            if (busy)
                warn(self, "%s, %s: in %u of %llu runs THE LOAD'S CPU WAS OVER 90 %% BUSY (at most %.0f %% by the load itself): they do not count, the server may do more",
                     self->peers[p].kind->title, scenarios[s], busy, (unsigned long long)self->rounds, 100 * self->busiest_own[p][s]);
        }
}

static bool asked_for(const struct compare *self, const char *name)
{
    size_t size = strlen(name);
    for (const char *at = self->only; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strncmp(at, name, size) == 0 && (at[size] == ',' || !at[size])) return true;
    return !self->only;
}

/* The bare loop has no rule for who does not keep up: it is there for delays alone. */
static bool is_asked(const struct compare *self, int peer, enum contest_scenario scenario)
{
    if (self->peers[peer].kind->dialect == PEER_BARE && scenario != CONTEST_DELAY) return false;
    return self->scenario == CONTEST_SCENARIOS || self->scenario == (int)scenario;
}

static void find(struct compare *self, const struct peer_kind *kind)
{
    int p = self->peers_count++;
    self->there[p] = peer_find(&self->peers[p], kind, self->gateway);
    if (!self->there[p]) fprintf(stderr, "skipped: %s, %s\n", kind->title, self->peers[p].why);
}

static int run(struct compare *self)
{
    for (int k = 0; k < peer_kinds_count; k++)
        if (asked_for(self, peer_kinds[k].name)) find(self, &peer_kinds[k]);
    if (self->peer) find(self, &self->peer_kind);
    if (!machine_pin((int64_t)self->load_cpu)) return 2;
    for (uint64_t round = 0; round < self->rounds; round++)
        for (int scenario = 0; scenario < CONTEST_SCENARIOS; scenario++)
            for (int p = 0; p < self->peers_count; p++)
                if (self->there[p] && is_asked(self, p, (enum contest_scenario)scenario)) run_one(self, p, (enum contest_scenario)scenario);
    warn_of_busy_loads(self);
    return tell(self);
}

static int refuse(const char *sentence)
{
    fprintf(stderr, "ringcast-bench compare: %s\n", sentence);
    return 2;
}

/* A server of the user's own, `NAME=COMMAND`. */
static bool read_peer(struct compare *self)
{
    size_t name_size = strcspn(self->peer, "=");
    if (name_size == 0 || name_size >= sizeof self->peer_name || !strstr(self->peer + name_size, "@PORT@")) return false;
    if (strspn(self->peer, "abcdefghijklmnopqrstuvwxyz0123456789_-") < name_size) return false;
    for (int k = 0; k < peer_kinds_count; k++)
        if (strlen(peer_kinds[k].name) == name_size && memcmp(peer_kinds[k].name, self->peer, name_size) == 0) return false; /* both would be one row */
    memcpy(self->peer_name, self->peer, name_size);
    self->peer_kind = (struct peer_kind){ .name = self->peer_name, .title = self->peer_name, .dialect = PEER_WS, .command = self->peer + name_size + 1,
                                          .target = "/sub", .complaint = "error" };
    return true;
}

int compare_main(int argc, char **argv)
{
    static struct compare self = { .plan = { .connections = 1000, .growth = 4000, .window = 128, .rate = 50, .seconds = 3, .warmup = 1 },
                                   .gateway = "build/release/ringcast", .confs = "bench/peers", .scenario = CONTEST_SCENARIOS, .rounds = 1, .bytes = 100, .load_cpu = 1 };
    const struct flag flags[] = {
        { "gateway", FLAG_TEXT, &self.gateway, "PROGRAM", "ours (build/release/ringcast)", 0, 0 },
        { "peers", FLAG_TEXT, &self.confs, "FOLDER", "how the others are set up (bench/peers)", 0, 0 },
        { "only", FLAG_TEXT, &self.only, "NAME,...", "of ringcast, nginx, nats, bare (a loop of sends, delays alone), ws (all)", 0, 0 },
        { "peer", FLAG_TEXT, &self.peer, "NAME=COMMAND", "and a server of your own: a shell command with @PORT@; what comes at /pub goes to all at /sub", 0, 0 },
        { "scenario", FLAG_CHOICE, &self.scenario, "window|unbounded|delay|memory|all", "(all)", 0, 0 },
        { "connections", FLAG_COUNT, &self.plan.connections, "N", "subscribers of the one topic (1000)", 1, 100000 },
        { "growth", FLAG_COUNT, &self.plan.growth, "N", "memory: what so many further connections add (4000)", 1, 100000 },
        { "bytes", FLAG_COUNT, &self.bytes, "B", "size of an update's WebSocket frame (100)", 100, 2000 },
        { "window", FLAG_COUNT, &self.plan.window, "W", "updates not yet with the slowest reader, at most (128)", 1, 1e6 },
        { "rate", FLAG_REAL, &self.plan.rate, "R", "updates a second for the delays (50)", 0.1, 1e6 },
        { "seconds", FLAG_REAL, &self.plan.seconds, "S", "how long each run measures (3)", 0.1, 3600 },
        { "warmup", FLAG_REAL, &self.plan.warmup, "S", "and runs before (1)", 0, 3600 },
        { "rounds", FLAG_COUNT, &self.rounds, "R", "so often in turn; medians are told (1)", 1, ROUNDS_MAX },
        { "server-cpu", FLAG_COUNT, &self.server_cpu, "C", "(0)", 0, 1023 },
        { "load-cpu", FLAG_COUNT, &self.load_cpu, "C", "(1)", 0, 1023 },
        { "json", FLAG_YES, &self.json, NULL, "one JSON object instead of a table", 0, 0 },
        { 0 },
    };
    enum flags_result read = flags_read("compare", flags, argc, argv, NULL, 0);
    if (read == FLAGS_HELP) {
        printf("usage: ringcast-bench compare [flags]\nThe same load against this gateway and other servers that are installed.\n\n");
        flags_help(flags);
    }
    if (read != FLAGS_OK) return read == FLAGS_HELP ? 0 : 2;
    uint64_t growth = self.scenario == CONTEST_SCENARIOS || self.scenario == CONTEST_MEMORY ? self.plan.growth : 0;
    if (self.plan.connections + growth + 64 > machine_files()) return refuse("--connections, and --growth for memory, are more than the limit of open files allows");
    if (self.peer && !read_peer(&self)) return refuse("--peer takes NAME=COMMAND: a name of a-z, 0-9, _ and - that no other has, and a command with @PORT@ in it, such as 'mine=node server.js @PORT@'");
    if (self.bytes == 128 || self.bytes == 129) return refuse("--bytes: no frame has 128 or 129");
    self.plan.message_bytes = self.bytes - (self.bytes < 128 ? 2 : 4);
    self.plan.cpu = (int64_t)self.load_cpu;
    return run(&self);
}
