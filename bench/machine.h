/* What a measurement needs from the machine: its clock, a place to run, files, and who used the processor. Linux
 * only. */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* Nanoseconds of CLOCK_MONOTONIC. */
static inline int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Runs this process on one CPU alone; -1: wherever it likes. False, with a sentence on stderr, where that is not
 * possible. */
bool machine_pin(int64_t cpu);

/* Raises the limit of open files as far as allowed; returns it. */
uint64_t machine_files(void);

/* Where the processor's time went up to now. The CPU's idle time includes what softirqs and other processes left
 * over. */
struct usage {
    int64_t at_ns;
    int64_t process_ns; /* of this process, user and system */
    int64_t cpu_idle_ns; /* of the CPU that was asked for; -1 where none was */
};
struct usage machine_usage(int64_t cpu);

/* Shares of one CPU between two readings: of this process; of the whole CPU (the process's where no CPU was named). */
double usage_process(struct usage before, struct usage after);
double usage_cpu(struct usage before, struct usage after);

/* Of another process: resident memory in bytes, processor time in ns; -1 where it can't be read. */
int64_t machine_resident(int64_t pid);
int64_t machine_process_ns(int64_t pid);

/* Of another process, in bytes: resident, and of that what it shares with nobody; -1 where it can't be read. */
struct machine_memory {
    int64_t resident, own;
};
struct machine_memory machine_memory(int64_t pid);

/* Bytes that all TCP sockets of this network namespace hold in the kernel; -1 where it can't be read. */
int64_t machine_socket_bytes(void);

#endif
