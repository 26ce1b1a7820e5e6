#include "core/pubsub/subscription.h"

void subscription_push_last(const struct pool *subscriptions, struct subscription_ring *ring, uint32_t index, enum subscription_list list)
{
    struct subscription *subscription = subscription_at(subscriptions, index);
    CHECK(subscription->list == IN_NONE);
    subscription->list = list;
    subscription->next = POOL_NONE;
    subscription->prev = ring->last;
    if (ring->last == POOL_NONE) ring->first = index;
    else subscription_at(subscriptions, ring->last)->next = index;
    ring->last = index;
}

void subscription_push_first(const struct pool *subscriptions, struct subscription_ring *ring, uint32_t index, enum subscription_list list)
{
    struct subscription *subscription = subscription_at(subscriptions, index);
    CHECK(subscription->list == IN_NONE);
    subscription->list = list;
    subscription->prev = POOL_NONE;
    subscription->next = ring->first;
    if (ring->first == POOL_NONE) ring->last = index;
    else subscription_at(subscriptions, ring->first)->prev = index;
    ring->first = index;
}

void subscription_unlink(const struct pool *subscriptions, struct subscription_ring *ring, uint32_t index)
{
    struct subscription *subscription = subscription_at(subscriptions, index);
    CHECK(subscription->list != IN_NONE);
    if (subscription->prev == POOL_NONE) ring->first = subscription->next;
    else subscription_at(subscriptions, subscription->prev)->next = subscription->next;
    if (subscription->next == POOL_NONE) ring->last = subscription->prev;
    else subscription_at(subscriptions, subscription->next)->prev = subscription->prev;
    subscription->list = IN_NONE;
}
