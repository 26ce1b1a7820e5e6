/* See machine.h. */
#include "bench/machine.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

bool machine_pin(int64_t cpu)
{
    if (cpu < 0) return true;
    cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET((size_t)cpu, &only);
    if (cpu < CPU_SETSIZE && sched_setaffinity(0, sizeof only, &only) == 0) return true;
    fprintf(stderr, "ringcast-bench: can't run on CPU %lld: %s (this machine has %ld)\n", (long long)cpu,
            strerror(errno), sysconf(_SC_NPROCESSORS_ONLN));
    return false;
}

uint64_t machine_files(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0) return 1024;
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    getrlimit(RLIMIT_NOFILE, &files);
    return files.rlim_cur;
}

static int64_t idle_ns(int64_t cpu)
{
    char line[512], name[32];
    long long user, nice, system, idle, iowait;
    int64_t found = -1;
    snprintf(name, sizeof name, "cpu%lld ", (long long)cpu);
    FILE *file = fopen("/proc/stat", "re");
    while (file && found < 0 && fgets(line, sizeof line, file)) {
        if (strncmp(line, name, strlen(name)) != 0) continue;
        if (sscanf(line + strlen(name), "%lld %lld %lld %lld %lld", &user, &nice, &system, &idle, &iowait) == 5)
            found = (idle + iowait) * (1000000000 / sysconf(_SC_CLK_TCK));
    }
    if (file) fclose(file);
    return found;
}

static int64_t timeval_ns(struct timeval time)
{
    return (int64_t)time.tv_sec * 1000000000 + (int64_t)time.tv_usec * 1000;
}

struct usage machine_usage(int64_t cpu)
{
    struct rusage own;
    getrusage(RUSAGE_SELF, &own);
    return (struct usage){ .at_ns = now_ns(),
                           .process_ns = timeval_ns(own.ru_utime) + timeval_ns(own.ru_stime),
                           .cpu_idle_ns = cpu < 0 ? -1 : idle_ns(cpu) };
}

double usage_process(struct usage before, struct usage after)
{
    return (double)(after.process_ns - before.process_ns) / (double)(after.at_ns - before.at_ns);
}

double usage_cpu(struct usage before, struct usage after)
{
    double process = usage_process(before, after);
    if (before.cpu_idle_ns < 0 || after.cpu_idle_ns < 0) return process;
    double busy = 1 - (double)(after.cpu_idle_ns - before.cpu_idle_ns) / (double)(after.at_ns - before.at_ns);
    return busy > process ? busy : process;
}

int64_t machine_resident(int64_t pid)
{
    char path[64], line[256];
    long long kibibytes = -1;
    snprintf(path, sizeof path, "/proc/%lld/status", (long long)pid);
    FILE *file = fopen(path, "re");
    while (file && kibibytes < 0 && fgets(line, sizeof line, file)) sscanf(line, "VmRSS: %lld kB", &kibibytes);
    if (file) fclose(file);
    return kibibytes < 0 ? -1 : kibibytes * 1024;
}

struct machine_memory machine_memory(int64_t pid)
{
    char path[64], line[256];
    long long kibibytes;
    struct machine_memory memory = { -1, -1 };
    snprintf(path, sizeof path, "/proc/%lld/smaps_rollup", (long long)pid);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "Rss: %lld kB", &kibibytes) == 1) memory = (struct machine_memory){ kibibytes * 1024, 0 };
        if (sscanf(line, "Private_Clean: %lld kB", &kibibytes) == 1) memory.own += kibibytes * 1024;
        if (sscanf(line, "Private_Dirty: %lld kB", &kibibytes) == 1) memory.own += kibibytes * 1024;
    }
    if (file) fclose(file);
    return memory;
}

int64_t machine_process_ns(int64_t pid)
{
    clockid_t clock;
    struct timespec used;
    if (clock_getcpuclockid((pid_t)pid, &clock) != 0 || clock_gettime(clock, &used) != 0) return -1;
    return (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
}

int64_t machine_socket_bytes(void)
{
    char line[256];
    long long pages = -1;
    FILE *file = fopen("/proc/net/sockstat", "re");
    while (file && pages < 0 && fgets(line, sizeof line, file))
        sscanf(line, "TCP: inuse %*d orphan %*d tw %*d alloc %*d mem %lld", &pages);
    if (file) fclose(file);
    return pages < 0 ? -1 : pages * sysconf(_SC_PAGESIZE);
}
