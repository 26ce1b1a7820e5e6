/* Figures: what happened between two looks at the counters, as the members of a JSON object.
 *
 * Names are those of /metrics, without ringcast_ before and _total behind. All counters are there by construction: a new one in the table
 * of core/base/counters.h needs nothing here. Pure but for the looking; any thread. */
#ifndef GATEWAY_FIGURES_H
#define GATEWAY_FIGURES_H

#include "core/base/counters.h"
#include "core/base/text.h"

/* One look: of one shard, or the sum of several. */
struct figures {
    uint64_t at_us;   /* by the monotonic clock */
    uint64_t cells[COUNTERS_COUNT];
};

/* Adds the cells of one owner. */
void figures_add(struct figures *figures, const struct counters *counters);

/* "interval_ms":…, then these, each followed by a comma but the last:
 *   "now":{…}          levels as they are
 *   "per_second":{…}   counts, and times in seconds, as they went between the looks; those that stood still are left out
 *   "frames_per_send":…
 *   "delay_us":{"count":…,"p50":…,"p90":…,"p99":…,"most":…} of what was delivered between the looks, within the histogram's buckets; "count":0 alone where nothing was
 *   "memory_bytes":{…} by kind
 *   "limit_hits":{…}, "closes":{…}, …   families since the start; those that are 0 are left out
 * `before` may be one of zeroes at another time. */
void figures_write(const struct figures *before, const struct figures *now, struct text *text);

/* "name":value with tenths, where there is something before it a comma first. */
void figures_write_tenths(struct text *text, const char *name, double value);

/* The share of an interval that was not idle, from 0 to 1. */
double figures_busy(uint64_t idle_before_us, uint64_t idle_us, uint64_t interval_us);

#endif
