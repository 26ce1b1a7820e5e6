/* Time, read once a turn and then used by all: everything in one turn happens at one moment.
 *
 * mono_us never goes back and is what deadlines are made of; wall_us is since the Unix epoch and may jump when someone sets
 * the clock. Both are in microseconds. A struct clock belongs to one thread. */
#ifndef CORE_BASE_CLOCK_H
#define CORE_BASE_CLOCK_H

#include <stdint.h>

struct clock {
    uint64_t mono_us;
    uint64_t wall_us;
};

/* Reads CLOCK_MONOTONIC and CLOCK_REALTIME, each once. */
void clock_tick(struct clock *clock);

/* The monotonic clock now, for measuring and for what has no turn. Any thread. */
uint64_t clock_mono_us(void);
/* The same in nanoseconds. */
uint64_t clock_mono_ns(void);
/* The wall clock now, likewise. */
uint64_t clock_wall_us(void);

#endif
