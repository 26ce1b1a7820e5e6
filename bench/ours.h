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
    char           tls_url[48], authority[400]; /* with TLS: and the file to trust; else empty */
    char           why[PROCESS_WHY_BYTES];
};

#define OURS_KEY "bench-may-do-all-with-this"

/* Starts it.
 *   program   found in PATH, or a path
 *   shards    how many
 *   cpu       for all of them; -1: anywhere
 *   tls       a folder as deploy/local-authority leaves it (ca.pem, server.pem, server.key); NULL: no TLS
 *   returns   false, with `why` */
bool ours_start(struct ours *ours, const char *program, uint32_t shards, int64_t cpu, const char *tls);
void ours_stop(struct ours *ours);

#endif
