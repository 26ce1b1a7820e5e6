/* A run: shards made, subscribed, warmed, measured and ended. What is measured is a fixed number of updates, from the first
 * one published until the last subscription has the last one. */
#ifndef BENCH_ENGINE_RUN_H
#define BENCH_ENGINE_RUN_H

#include "bench/engine_shard.h"

struct engine_plan {
    struct engine_load load;
    uint64_t updates;  /* that each shard's publishers publish */
    uint64_t warmup;   /* and before the measurement */
    bool     threaded; /* a thread for each shard; else they take turns in one */
    uint64_t cpu;      /* of the first thread; the others' follow */
};

/* Of all shards together. */
struct engine_result {
    double line_ns; /* how long a line takes from the first thread's CPU to the second's; 0: there is no second */
    double seconds, cpu_ns, delivered, published, ranges, sends, turns;
    double asks, asks_full, tells, notices, loans, segments_trimmed;
    double wakes_asked, wakes_sent, asleep_ns, gap_updates, wrong;
};

/* False: it could not be, with the sentence on stderr. */
bool engine_run(const struct engine_plan *plan, struct engine_result *result);

/* What callgrind counts: `--toggle-collect=engine_run_measured`. Takes turns in this thread until all have all. */
void engine_run_measured(struct engine_shard *shards, uint64_t count);

#endif
