/* The middle of what several runs found, and how far they lie apart. Pure. */
#ifndef BENCH_MEDIAN_H
#define BENCH_MEDIAN_H

#include <stdint.h>

#define MEDIAN_OF_MOST 128

/* Of `count` values, 1 to MEDIAN_OF_MOST; of an even number the mean of the middle two. They are not moved. */
double median(const double *values, uint64_t count);

struct spread_of {
    double least, median, most;
};
struct spread_of median_spread(const double *values, uint64_t count);

#endif
