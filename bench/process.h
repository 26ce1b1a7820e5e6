/* Another program, started for a measurement: found by name, run on a CPU of its own in a process group of its own, waited for until
 * it answers, ended with all that it started. It ends with us too, however we end. */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PROCESS_PATH_BYTES 400
#define PROCESS_WHY_BYTES  320

struct process {
    pid_t pid; /* and its group; 0: it does not run */
    char  log[PROCESS_PATH_BYTES]; /* what it says */
    char  why[PROCESS_WHY_BYTES];
};

/* Finds a program in PATH and where Debian has servers; a name with a slash is tried as it is. False: it is not there. */
bool process_find(const char *name, char path[PROCESS_PATH_BYTES]);

/* A port of the loopback that nobody listens on now. 0: there is none. */
uint16_t process_free_port(void);

/* Starts argv[0] (a path).
 *   cpu       it runs there alone; -1: anywhere
 *   log       a file for all that it says, written anew */
bool process_start(struct process *process, const char *const argv[], int64_t cpu, const char *log);

/* Waits until it takes connections at this port. False, with `why` (its last words where it ended). */
bool process_await(struct process *process, uint16_t port, int64_t patience_ns);

/* Asks it to end, then makes it. */
void process_stop(struct process *process);

/* Of its whole group: processor time in ns; resident memory in bytes, where pages that several share count for each. */
int64_t process_ns(const struct process *process);
int64_t process_resident(const struct process *process);

/* Runs a command to its end; what it says on both outputs (`with_errors`) or on the first, with an end mark, is the caller's to free.
 *   status    its exit status; 128 + signal where it was killed
 *   returns   NULL: it could not be run, or said more than 1 MiB */
char *process_capture(const char *const argv[], bool with_errors, int *status);

#endif
