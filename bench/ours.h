/* Our own gateway, started for a measurement: whoever has OURS_KEY may do all with it. */
#ifndef BENCH_OURS_H
#define BENCH_OURS_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/process.h"

struct ours {
    struct process process;
    uint16_t       port;
    char           url[48], pid[16], log[64];
    char           why[PROCESS_WHY_BYTES];
};

#define OURS_KEY "bench-may-do-all-with-this"

/* Starts it.
 *   program   found in PATH, or a path
 *   shards    how many
 *   cpu       for all of them; -1: anywhere
 *   returns   false, with `why` */
bool ours_start(struct ours *ours, const char *program, uint32_t shards, int64_t cpu);
void ours_stop(struct ours *ours);

#endif
