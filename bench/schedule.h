/* When updates are due at a steady rate, whatever became of those before. A delay is counted from when its update was due, not
 * from when it could be sent: a server that stands still for a second at 50 updates a second then shows 50 delays, from one second
 * down, and not one (that omission is what makes percentiles lie). Pure. */
#ifndef BENCH_SCHEDULE_H
#define BENCH_SCHEDULE_H

#include <stdint.h>

struct schedule {
    double due_ns;  /* when the next one is due */
    double step_ns; /* between two */
};

/* The first one is due at once. `rate` is updates a second, above 0. */
static inline void schedule_begin(struct schedule *schedule, double rate, int64_t at_ns)
{
    *schedule = (struct schedule){ .due_ns = (double)at_ns, .step_ns = 1e9 / rate };
}

/* How many are due by now. */
static inline uint64_t schedule_owed(const struct schedule *schedule, int64_t at_ns)
{
    double late_ns = (double)at_ns - schedule->due_ns;
    return late_ns < 0 ? 0 : (uint64_t)(late_ns / schedule->step_ns) + 1;
}

/* How many were due this long before, and are not sent yet: the rate is not kept. A sender that sleeps may be late by a little. */
#define SCHEDULE_LATE_NS 50000000
static inline uint64_t schedule_late(const struct schedule *schedule, int64_t at_ns)
{
    return schedule_owed(schedule, at_ns - SCHEDULE_LATE_NS);
}

/* So many were sent. */
static inline void schedule_done(struct schedule *schedule, uint64_t count)
{
    schedule->due_ns += (double)count * schedule->step_ns;
}

/* How long there is nothing to do, but at most so long. */
static inline int64_t schedule_wait_ns(const struct schedule *schedule, int64_t at_ns, int64_t most_ns)
{
    double left_ns = schedule->due_ns - (double)at_ns;
    return left_ns <= 0 ? 0 : left_ns < (double)most_ns ? (int64_t)left_ns : most_ns;
}

#endif
