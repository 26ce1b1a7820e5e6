/* The CPUs that this process may use: how many shards to run by default, and where to pin them. */
#ifndef GATEWAY_CPUS_H
#define GATEWAY_CPUS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* The smaller of the CPUs in the affinity mask and the cgroup's cpu.max rounded up (cgroups(7), "cpu.max"); at least 1. */
uint32_t cpus_usable(void);

/* Whether so many shards have each a CPU to themselves, and all of it: as many as the affinity mask has, and no quota below that. Elsewhere
 * pinning does harm: of two gateways on one host both would sit on the first CPUs, and under a quota the CPUs are shared with others anyway. */
bool cpus_are_ours(uint32_t shards);
/* Pins a thread to the `index`-th CPU of the affinity mask; where the mask has fewer, it stays as it is. */
void cpus_pin(pthread_t thread, uint32_t index);

#endif
