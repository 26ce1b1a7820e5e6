/* Numbers by Zipf's law: the n-th of `count` is chosen with a weight of 1/n^exponent; exponent 0 chooses all alike. One thread. */
#ifndef BENCH_ZIPF_H
#define BENCH_ZIPF_H

#include <stdint.h>

#define ZIPF_EXPONENT_MAX 10

struct zipf {
    uint32_t count;
    double  *sums; /* of the weights up to each */
};

/* 0 or -ENOMEM. */
int  zipf_init(struct zipf *zipf, uint32_t count, double exponent);
void zipf_deinit(struct zipf *zipf);

/* The next one, 0 to count - 1; `random` is the generator's state (random_next). */
uint32_t zipf_choose(const struct zipf *zipf, uint64_t *random);

#endif
