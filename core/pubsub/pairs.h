/* Pairs: which subscription one subscriber has to one local topic.
 *
 *   heads[bucket] -> subscription -> pair_next -> ...        buckets grow one by one as subscriptions come, two for two
 * A linear hash table: it never stands still to move all, and costs a subscription two indices of four bytes. The range of
 * heads is reserved at once, as a pool's is; a page of it costs memory when it is first written. One thread.
 * Source: W. Litwin, "Linear hashing: a new tool for file and table addressing" (VLDB 1980). */
#ifndef CORE_PUBSUB_PAIRS_H
#define CORE_PUBSUB_PAIRS_H

#include "core/pubsub/subscription.h"

struct pairs {
    const struct pool *subscriptions; /* borrowed */
    uint32_t          *heads;         /* POOL_NONE: the bucket is empty */
    uint32_t           heads_max;
    uint32_t           buckets;       /* in use: mask < buckets <= 2 * mask + 1, so that one more bit tells where those that were split went */
    uint32_t           mask;
    uint32_t           count;
};

/* 0, -EINVAL or -ENOMEM. Borrows the pool, of at most subscriptions_max. */
int  pairs_init(struct pairs *pairs, const struct pool *subscriptions, uint32_t subscriptions_max);
void pairs_deinit(struct pairs *pairs);

/* POOL_NONE: there is none. */
uint32_t pairs_find(const struct pairs *pairs, uint32_t subscriber, uint32_t local);
/* The subscription, whose subscriber and local are set, must not be in yet; it must be. */
void pairs_insert(struct pairs *pairs, uint32_t subscription);
void pairs_remove(struct pairs *pairs, uint32_t subscription);

#endif
