/* What one of our own commands said with --json, read by whoever ran it. */
#ifndef BENCH_SAID_H
#define BENCH_SAID_H

#include <stdbool.h>

/* Runs this very program with `argv` (argv[0] is the command, NULL ends it) and --json. What it said is the caller's to free;
 * NULL: it said nothing. `status`: as it ended. */
char *said_by(const char *const argv[], int *status);

/* A number or a boolean (1, 0) of the object. False: it is not there. */
bool said_real(const char *said, const char *name, double *real);

/* The first of its warnings, "" where there is none; cut to `room`. */
void said_warning(const char *said, char *out, unsigned room);

#endif
