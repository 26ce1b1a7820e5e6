/* See zipf.h. */
#include "bench/zipf.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "core/base/random.h"

int zipf_init(struct zipf *self, uint32_t count, double exponent)
{
    double sum = 0;
    *self = (struct zipf){ .count = count, .sums = malloc(count * sizeof *self->sums) };
    for (uint32_t i = 0; self->sums && i < count; i++) self->sums[i] = sum += pow(i + 1, -exponent);
    return self->sums ? 0 : -ENOMEM;
}

void zipf_deinit(struct zipf *self)
{
    free(self->sums);
    self->sums = NULL;
}

uint32_t zipf_choose(const struct zipf *self, uint64_t *random)
{
    double wanted = (double)(random_next(random) >> 11) * 0x1p-53 * self->sums[self->count - 1];
    uint32_t low = 0, high = self->count - 1;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (self->sums[middle] <= wanted) low = middle + 1;
        else high = middle;
    }
    return low;
}
