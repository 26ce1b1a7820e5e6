/* Randomness of two kinds: from the kernel, for keys and epochs; and a seeded sequence, for schedules and jitter, which is no secret. */
#ifndef CORE_BASE_RANDOM_H
#define CORE_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Fills `bytes` from the kernel's generator; without it the process ends. Any thread. */
void random_fill(void *bytes, size_t size);

/* The next number of the sequence that `state` stands in; any value starts one. The same seed gives the same numbers on every
 * machine. Source: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators" (2014), splitmix64. */
uint64_t random_next(uint64_t *state);

/* One of 0 .. bound - 1, bound at least 1; the small unevenness for bounds near 2^32 is fit for schedules only. */
static inline uint32_t random_below(uint64_t *state, uint32_t bound)
{
    return (uint32_t)((random_next(state) >> 32) * bound >> 32);
}

#endif
