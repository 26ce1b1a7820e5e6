/* A rate limit: so many in a second, with bursts of so many seconds' worth (the generic cell rate algorithm, ITU-T I.371).
 *
 *   now ...... due     what was taken is paid back by due, and taking is refused while that is more than a burst ahead
 * Zeroed it is full. 8 bytes, no timer. One thread. */
#ifndef CORE_BASE_RATE_H
#define CORE_BASE_RATE_H

#include <stdbool.h>
#include <stdint.h>

#define RATE_SECOND_US UINT64_C(1000000)

struct rate {
    uint64_t due_us;
};

/* Takes `count`, where the burst is not used up before; what is taken beyond it is owed. per_second is 1 to 1,000,000. */
static inline bool rate_take(struct rate *rate, uint64_t now_us, uint64_t per_second, uint64_t burst_us, uint64_t count)
{
    uint64_t due_us = rate->due_us > now_us ? rate->due_us : now_us;
    if (due_us - now_us >= burst_us) return false;
    rate->due_us = due_us + count * RATE_SECOND_US / per_second;
    return true;
}

/* What was taken was not used. */
static inline void rate_give(struct rate *rate, uint64_t per_second, uint64_t count)
{
    uint64_t us = count * RATE_SECOND_US / per_second;
    rate->due_us = rate->due_us > us ? rate->due_us - us : 0;
}

/* How long until taking is not refused any more; 0: at once. */
static inline uint64_t rate_wait_us(const struct rate *rate, uint64_t now_us, uint64_t burst_us)
{
    return rate->due_us >= now_us + burst_us ? rate->due_us - now_us - burst_us + 1 : 0;
}

#endif
