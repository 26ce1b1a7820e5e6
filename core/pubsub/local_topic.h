/* A local topic: what one shard knows of a topic that is followed here, wherever its home is. Its shard's thread only.
 *
 * It knows by notices, by value: epoch, ends, and the segments on loan. The subscriptions that are caught up wait here. */
#ifndef CORE_PUBSUB_LOCAL_TOPIC_H
#define CORE_PUBSUB_LOCAL_TOPIC_H

#include "core/base/bitset.h"
#include "core/base/counters.h"
#include "core/base/table.h"
#include "core/pubsub/link.h"
#include "core/pubsub/subscription.h"

struct local_topic {
    char                    *name; /* owned */
    uint32_t                 name_bytes;
    uint32_t                 generation; /* of our interest */
    uint64_t                 hash;
    struct chain             chain;   /* segments on loan; read-only */
    struct ends              ends;    /* as told last */
    struct subscription_ring waiting; /* subscriptions that are caught up */
    uint32_t                 subscriptions_count;
    uint32_t                 life;    /* 0 until born for the first time; counts epochs, so that a cursor of an older one is known */
    char                     epoch[EPOCH_BYTES];
    /* Where a cut of a long range ended, for the next subscription that begins at the same place. */
    struct mark              memo_from, memo_to;
    uint64_t                 memo_bytes;
};

struct locals {
    struct pool     topics; /* of struct local_topic */
    struct table    by_name;
    struct pool     subscriptions;
    struct pool    *subscribers; /* the caller's; each item begins with a struct subscriber */
    struct bitset  *ready;       /* the caller's: subscribers with something to send that are not blocked, by index */
    struct counters *counters;
    uint32_t        generation;  /* of the newest interest */
};

/* 0 or -errno. Borrows subscribers, ready and counters. */
int  locals_init(struct locals *locals, uint32_t topics_max, uint32_t subscriptions_max, struct pool *subscribers, struct bitset *ready, struct counters *counters);
void locals_deinit(struct locals *locals);

static inline struct local_topic *local_topic_at(const struct locals *locals, uint32_t index)
{
    return pool_at(&locals->topics, index);
}

static inline struct span local_topic_name(const struct local_topic *local)
{
    return span_of(local->name, local->name_bytes);
}

static inline bool local_topic_born(const struct local_topic *local)
{
    return local->ends.last.seq > 0;
}

/* POOL_NONE: not followed here. */
uint32_t locals_find(const struct locals *locals, struct span name, uint64_t hash);
/* Makes one, with a new generation; POOL_NONE: no room. */
uint32_t locals_make(struct locals *locals, struct span name, uint64_t hash);
/* Takes one out, without subscriptions. */
void locals_drop(struct locals *locals, uint32_t index);

/* A notice came: takes over what it tells, gives back what fell out of the window, wakes those who wait.
 * Returns the lowest segment that is still held. */
uint32_t locals_told(struct locals *locals, const struct notice *notice);

#endif
