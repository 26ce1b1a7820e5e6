/* A subscription: a cursor in a topic's log, and the one list that it stands in. Nothing else is kept for it: no queue.
 *
 *   caught up     it waits in its local topic's waiting list; an append moves it
 *   has news      it stands in its subscriber's dirty list, until a flush has sent it up to the head
 *   rests         it stands in no list until its time comes (core/pubsub/pace.h)
 * A subscriber is what subscribes: the pub/sub half of a connection. Its shard's thread only. */
#ifndef CORE_PUBSUB_SUBSCRIPTION_H
#define CORE_PUBSUB_SUBSCRIPTION_H

#include <assert.h>
#include <stdbool.h>

#include "core/base/pool.h"
#include "core/pubsub/chain.h"

enum mode { MODE_LATEST, MODE_EVERY };

enum subscription_list { IN_NONE, IN_WAITING, IN_DIRTY, IN_RESTING };

#define SUBSCRIBER_BITS 24 /* more connections than one process may have files */

/* 56 bytes. All links are indices into the pool of subscriptions. */
struct subscription {
    uint64_t        next_seq;   /* of the frame at the cursor */
    struct position at;         /* the cursor; unknown, or left behind by the tail, it is sought by next_seq */
    uint32_t        subscriber : SUBSCRIBER_BITS; /* by index in the pool of subscribers */
    uint32_t        mode : 1;   /* enum mode */
    uint32_t        list : 2;   /* enum subscription_list */
    uint32_t        fresh : 1;  /* it begins with what was there before it, and nothing of that was sent yet */
    uint32_t        skips : 1;  /* latest: it goes on with the newest key whatever lies between (resumed, or was `every`) */
    uint32_t        paced : 1;  /* latest: its updates a second are bounded, and it always goes on with the newest key */
    uint32_t        local;      /* its local topic, by index */
    uint32_t        jumped;     /* so many before next_seq a jump of `latest` leaves out, once it is sent: below them all was sent or told as a gap */
    uint32_t        by;         /* the pattern subscription that it is there for; BY_NAME: it was asked for by name */
    uint32_t        life;       /* of the local topic that the cursor belongs to; 0: the topic was not yet born */
    uint32_t        next, prev; /* in the list that it stands in */
    uint32_t        sibling_next, sibling_prev; /* all of one subscriber's, in the order of subscribing */
    uint32_t        pair_next;  /* in its bucket (pairs.h) */
};
#define BY_NAME POOL_NONE
static_assert(sizeof(struct subscription) <= 56, "a million of them are promised");

/* A list through next and prev. */
struct subscription_ring {
    uint32_t first, last; /* POOL_NONE: empty */
};
#define SUBSCRIPTION_RING_EMPTY ((struct subscription_ring){ POOL_NONE, POOL_NONE })

/* All below was sent, or told as a gap. */
static inline uint64_t subscription_due_seq(const struct subscription *subscription)
{
    return subscription->next_seq - subscription->jumped;
}

/* Stands first in whatever subscribes, in a pool of its own. */
struct subscriber {
    struct subscription_ring dirty;
    uint32_t                 siblings_first, siblings_last;
    uint32_t                 patterns_first; /* its pattern subscriptions, the newest first */
    uint32_t                 patterns_count;
    uint32_t                 subscriptions_count;
    enum wire_format         format;  /* the caller's: what it reads; not changed while it follows anything */
    bool                     behind;  /* the caller's: it could not take all that was pending, and has not caught up since */
    bool                     blocked; /* the caller's: it can take nothing now; its news wait, and it is not made ready */
};

static inline struct subscription *subscription_at(const struct pool *subscriptions, uint32_t index)
{
    return pool_at(subscriptions, index);
}

void subscription_push_last(const struct pool *subscriptions, struct subscription_ring *ring, uint32_t index, enum subscription_list list);
void subscription_push_first(const struct pool *subscriptions, struct subscription_ring *ring, uint32_t index, enum subscription_list list);
/* Takes the first one out; NULL: the list is empty. */
static inline struct subscription *subscription_take_first(const struct pool *subscriptions, struct subscription_ring *ring)
{
    if (ring->first == POOL_NONE) return NULL;
    struct subscription *subscription = subscription_at(subscriptions, ring->first);
    ring->first = subscription->next;
    if (ring->first == POOL_NONE) ring->last = POOL_NONE;
    else subscription_at(subscriptions, ring->first)->prev = POOL_NONE;
    subscription->list = IN_NONE;
    return subscription;
}
void subscription_unlink(const struct pool *subscriptions, struct subscription_ring *ring, uint32_t index);

#endif
