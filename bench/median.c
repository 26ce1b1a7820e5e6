/* See median.h. */
#include "bench/median.h"

#include <stdlib.h>
#include <string.h>

static int by_size(const void *a, const void *b)
{
    double one = *(const double *)a, other = *(const double *)b;
    return (one > other) - (one < other);
}

struct spread_of median_spread(const double *values, uint64_t count)
{
    double sorted[MEDIAN_OF_MOST];
    memcpy(sorted, values, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, by_size);
    return (struct spread_of){ sorted[0], (sorted[(count - 1) / 2] + sorted[count / 2]) / 2, sorted[count - 1] };
}

double median(const double *values, uint64_t count) { return median_spread(values, count).median; }
