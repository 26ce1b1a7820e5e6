#include "core/pubsub/pairs.h"

#include <errno.h>
#include <sys/mman.h>

/* Indices are ours, not the client's: no key is needed. */
static uint32_t pair_hash(uint32_t subscriber, uint32_t local)
{
    uint64_t pair = ((uint64_t)subscriber << 32 | local) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(pair >> 32);
}

static uint32_t hash_of(const struct pairs *pairs, uint32_t index)
{
    const struct subscription *subscription = subscription_at(pairs->subscriptions, index);
    return pair_hash(subscription->subscriber, subscription->local);
}

/* The bucket with one bit more, or, where that is not there yet, the one that is still to be split. */
static uint32_t bucket_of(const struct pairs *pairs, uint32_t hash)
{
    uint32_t bucket = hash & (pairs->mask << 1 | 1);
    return bucket < pairs->buckets ? bucket : hash & pairs->mask;
}

int pairs_init(struct pairs *pairs, const struct pool *subscriptions, uint32_t subscriptions_max)
{
    if (subscriptions_max == 0 || subscriptions_max > UINT32_C(1) << 30) return -EINVAL;
    void *heads = mmap(NULL, subscriptions_max * sizeof *pairs->heads, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (heads == MAP_FAILED) return -ENOMEM;
    *pairs = (struct pairs){ .subscriptions = subscriptions, .heads = heads, .heads_max = subscriptions_max, .buckets = 1 };
    pairs->heads[0] = POOL_NONE;
    return 0;
}

void pairs_deinit(struct pairs *pairs)
{
    munmap(pairs->heads, pairs->heads_max * sizeof *pairs->heads);
    *pairs = (struct pairs){ 0 };
}

uint32_t pairs_find(const struct pairs *pairs, uint32_t subscriber, uint32_t local)
{
    uint32_t index = pairs->heads[bucket_of(pairs, pair_hash(subscriber, local))];
    while (index != POOL_NONE) {
        const struct subscription *subscription = subscription_at(pairs->subscriptions, index);
        if (subscription->subscriber == subscriber && subscription->local == local) break;
        index = subscription->pair_next;
    }
    return index;
}

/* Adds a bucket, which takes its part of the one whose turn it is. */
static void split(struct pairs *pairs)
{
    uint32_t added = pairs->buckets++, *stay = &pairs->heads[added & pairs->mask], *go = &pairs->heads[added];
    if (added == pairs->mask * 2 + 1) pairs->mask = added; /* the last of its round */
    uint32_t index = *stay;
    while (index != POOL_NONE) {
        uint32_t **end = bucket_of(pairs, hash_of(pairs, index)) == added ? &go : &stay;
        **end = index;
        *end = &subscription_at(pairs->subscriptions, index)->pair_next;
        index = **end;
    }
    *stay = *go = POOL_NONE;
}

void pairs_insert(struct pairs *pairs, uint32_t index)
{
    uint32_t *head = &pairs->heads[bucket_of(pairs, hash_of(pairs, index))];
    subscription_at(pairs->subscriptions, index)->pair_next = *head;
    *head = index;
    if (++pairs->count > pairs->buckets && pairs->buckets < pairs->heads_max) split(pairs);
}

void pairs_remove(struct pairs *pairs, uint32_t index)
{
    uint32_t *link = &pairs->heads[bucket_of(pairs, hash_of(pairs, index))];
    while (*link != index) {
        CHECK(*link != POOL_NONE); /* else it was never in */
        link = &subscription_at(pairs->subscriptions, *link)->pair_next;
    }
    *link = subscription_at(pairs->subscriptions, index)->pair_next;
    pairs->count--;
}
