/* See histogram.h. */
#include "bench/histogram.h"

#include <string.h>

void histogram_clear(struct histogram *histogram)
{
    memset(histogram, 0, sizeof *histogram);
    histogram->least = INT64_MAX;
    histogram->most = INT64_MIN;
}

/* The largest value that falls into a bucket. */
static int64_t bucket_end(uint32_t bucket)
{
    if (bucket < HISTOGRAM_FINE) return bucket;
    uint32_t doublings = bucket / HISTOGRAM_FINE - 1;
    return ((int64_t)(bucket % HISTOGRAM_FINE + HISTOGRAM_FINE + 1) << doublings) - 1;
}

int64_t histogram_at(const struct histogram *histogram, double share)
{
    if (histogram->total == 0) return 0;
    uint64_t wanted = (uint64_t)(share * (double)histogram->total), seen = 0;
    if (wanted >= histogram->total) return histogram->most;
    for (uint32_t bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        seen += histogram->counts[bucket];
        if (seen > wanted) return bucket_end(bucket) < histogram->most ? bucket_end(bucket) : histogram->most;
    }
    return histogram->most;
}
