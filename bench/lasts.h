/* When the last subscriber of each update has it: counts for the newest updates of each topic who has come, and keeps the delay of
 * the one that completes the count. One thread. */
#ifndef BENCH_LASTS_H
#define BENCH_LASTS_H

#include <stdint.h>

#include "bench/histogram.h"

/* Updates of a topic on their way at once; what is older and not with all is given up. So many entries in all, shared by the topics: */
#define LASTS_ENTRIES   (1u << 18)
#define LASTS_DEPTH_MIN 256
#define LASTS_DEPTH_MAX 65536
#define LASTS_TOPICS_MAX 1000 /* of more nobody asks */

struct lasts {
    uint32_t  topics, depth;
    uint32_t *followers; /* of each topic: how many have to come; the owner's to fill */
    struct lasts_update {
        uint64_t number; /* 0: none */
        uint32_t count;
    } *updates;          /* depth for each topic */
    struct histogram delays; /* ns, of the last of each update */
    uint64_t  given_up;
};

/* 0 or -ENOMEM. */
int  lasts_init(struct lasts *lasts, uint32_t topics);
void lasts_deinit(struct lasts *lasts);

/* A subscriber has update `number` (from 1 on) of a topic, so long after it was due. */
void lasts_seen(struct lasts *lasts, uint32_t topic, uint64_t number, int64_t delay_ns);

#endif
