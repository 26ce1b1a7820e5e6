/* See clock.h. Both clocks are read through the vDSO, without entering the kernel. */
#include "core/base/clock.h"

#include <time.h>

#include "core/base/check.h"

static uint64_t read_us(clockid_t id)
{
    struct timespec now;
    CHECK(clock_gettime(id, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void clock_tick(struct clock *clock)
{
    clock->mono_us = read_us(CLOCK_MONOTONIC);
    clock->wall_us = read_us(CLOCK_REALTIME);
}

uint64_t clock_mono_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

uint64_t clock_mono_ns(void)
{
    struct timespec now;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t clock_wall_us(void)
{
    return read_us(CLOCK_REALTIME);
}
