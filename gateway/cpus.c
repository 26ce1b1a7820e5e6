#include "gateway/cpus.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

static uint32_t of_affinity(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set)) return 1;
    return (uint32_t)CPU_COUNT(&set);
}

/* This process's cgroup under the unified hierarchy: the line "0::/path" of /proc/self/cgroup. In a container the root of what
 * is mounted is its own. */
static FILE *open_cpu_max(void)
{
    char line[512], path[640];
    FILE *file = fopen("/proc/self/cgroup", "re"), *cpu_max = NULL;
    while (file && !cpu_max && fgets(line, sizeof line, file)) {
        if (strncmp(line, "0::", 3) != 0) continue;
        line[strcspn(line, "\n")] = '\0';
        snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", line + 3);
        cpu_max = fopen(path, "re");
    }
    if (file) fclose(file);
    return cpu_max ? cpu_max : fopen("/sys/fs/cgroup/cpu.max", "re");
}

/* "200000 100000": so many microseconds in each period; "max 100000": no bound. */
static uint32_t of_cgroup(void)
{
    unsigned long quota_us, period_us;
    FILE *file = open_cpu_max();
    if (!file) return UINT32_MAX;
    int read = fscanf(file, "%lu %lu", &quota_us, &period_us);
    fclose(file);
    if (read != 2 || period_us == 0) return UINT32_MAX;
    return (uint32_t)((quota_us + period_us - 1) / period_us);
}

uint32_t cpus_usable(void)
{
    uint32_t affinity = of_affinity(), cgroup = of_cgroup(), least = affinity < cgroup ? affinity : cgroup;
    return least > 0 ? least : 1;
}

bool cpus_are_ours(uint32_t shards)
{
    return shards > 1 && shards == of_affinity() && shards <= of_cgroup();
}

void cpus_pin(pthread_t thread, uint32_t index)
{
    cpu_set_t all, one;
    if (sched_getaffinity(0, sizeof all, &all)) return;
    uint32_t seen = 0;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &all) || seen++ != index) continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        pthread_setaffinity_np(thread, sizeof one, &one); /* where it may not, it runs wherever it is put */
        return;
    }
}
