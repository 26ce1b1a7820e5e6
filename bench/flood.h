/* `ringcast-bench flood KIND`: some clients that misbehave as fast as they can, and what the others and the gateway's memory notice of it.
 * Ordinary subscribers are measured while nobody disturbs and while the flood runs, in turns; p99 of their delay is compared.
 *
 * flood.c is the measurement; flood_attack.c is who floods, in a process of its own. */
#ifndef BENCH_FLOOD_H
#define BENCH_FLOOD_H

#include <stdint.h>
#include <sys/types.h>

#include "core/base/counters.h"

enum flood_kind { FLOOD_SLOWLORIS, FLOOD_SUBSCRIBE, FLOOD_PINGS, FLOOD_LISTS, FLOOD_ILLEGAL, FLOOD_INCOMPLETE };
#define FLOOD_KINDS "slowloris|subscribe|pings|lists|illegal|incomplete"

int flood_main(int argc, char **argv);

/* Begins to flood, in a child of this process; -1: it can't. `connections` 0: as many as the kind has by itself. */
pid_t flood_attack(enum flood_kind kind, const char *url, uint32_t connections);
/* Ends it, and with it its connections. */
void flood_end(pid_t attacker);
/* What the floods did in all: connections made (ACCEPTED), SENDS, BYTES_SENT. Written by the attacker alone; zeros before the first flood. */
const struct counters *flood_done(void);

#endif
