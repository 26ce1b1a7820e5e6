/* A local topic: what one shard knows of a topic that is followed here, wherever its home is. Its shard's thread only. One for each
 * format that somebody here reads.
 *
 * It knows by notices, by value: epoch, ends, and the segments on loan. The subscriptions that are caught up wait here. */
#ifndef CORE_PUBSUB_LOCAL_TOPIC_H
#define CORE_PUBSUB_LOCAL_TOPIC_H

#include "core/base/bitset.h"
#include "core/base/counters.h"
#include "core/base/table.h"
#include "core/pubsub/awaiting.h"
#include "core/pubsub/generation.h"
#include "core/pubsub/link.h"
#include "core/pubsub/names.h"
#include "core/pubsub/subscription.h"
#include "core/pubsub/top.h"
#include "core/pubsub/trace.h"

/* How its home sees our interest. */
enum local_state {
    LOCAL_WANTED,  /* it does not know yet: to be asked when there is room */
    LOCAL_ASKED,   /* it was asked; the first notice is awaited */
    LOCAL_LIVE,    /* it told, and tells whatever is new; always so for topics of this shard */
    LOCAL_REFUSED, /* limits.topics is reached there; forgotten after a second */
};

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
    uint64_t                 memo_seq;
    struct mark              memo_to;
    uint64_t                 memo_bytes, memo_us;
    uint64_t                 sent; /* updates to subscribers, since locals->top looked at it last */

    /* Its link to the home. */
    uint32_t            topic;     /* the home's, by index: once live */
    uint32_t            held_told; /* the lowest segment that we hold, as the home knows it */
    uint32_t            tell_next; /* the next one to be told to the same home */
    uint32_t            linger_next;
    uint64_t            linger_us; /* when it was put in the list of those that may be let go */
    uint64_t            idle_us;   /* since when nobody follows it, nor prepared it anew */
    struct awaiter_list awaiters;  /* for it to be live */
    uint8_t             state;     /* enum local_state */
    bool                remote;
    bool                to_tell;   /* stands in its link's list */
    bool                lingers;   /* stands in the list of those that may be let go */
    bool                ending;    /* it lingered long enough: ends when its turn to be told comes, unless wanted again */
    bool                newborn;   /* its birth, or that it has an update, was told; no notice of that life yet */
};

struct locals {
    struct pool        topics; /* of struct local_topic */
    struct table       by_name;
    struct generations generations; /* of topics, by index */
    struct names       remote;      /* names of those in JSON whose home is elsewhere, for those whom a pattern covers */
    struct to_tell     lingering;   /* through linger_next, the longest first */
    struct pool        subscriptions;
    struct pool       *subscribers; /* the caller's; each item begins with a struct subscriber */
    struct bitset     *ready;       /* the caller's: subscribers with something to send that are not blocked, by index */
    struct counters   *counters;
    struct trace      *trace;     /* borrowed; NULL: nothing is traced */
    struct top         top;       /* topics by updates sent from here */
    uint32_t           top_looks; /* how many more of them may be looked at for that now */
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

/* The lowest segment that we hold, or below which we hold none. */
static inline uint32_t local_topic_held_from(const struct local_topic *local)
{
    return segment_number_before(local->held_told, local->chain.number) ? local->chain.number : local->held_told;
}

/* POOL_NONE: not followed here, or not in this format. */
uint32_t locals_find(const struct locals *locals, struct span name, uint64_t hash, enum wire_format format);
/* Fetches what locals_find() will look at in JSON, for those who look up many: the place in the table early, the topic later, its name last. */
enum locals_fetch { LOCALS_FETCH_PLACE, LOCALS_FETCH_TOPIC, LOCALS_FETCH_NAME };
void locals_fetch(const struct locals *locals, uint32_t hash, enum locals_fetch what);
/* Makes one, with a new generation; POOL_NONE: no room. */
uint32_t locals_make(struct locals *locals, struct span name, uint64_t hash, enum wire_format format, bool remote);
/* Takes one out, without subscriptions. */
void locals_drop(struct locals *locals, uint32_t index);
/* It is known of the topic, which was told of in another format, that it is in the life of this epoch; in this format nothing was told
 * yet. So a subscription's cursor can be set for that life already. */
void locals_expect_life(struct local_topic *local, const char epoch[EPOCH_BYTES]);
/* A notice of this local topic's interest came: takes over what it tells, gives back what fell out of the window, wakes those who
 * wait. */
void locals_told(struct locals *locals, const struct notice *notice);
/* Its life is over: gives back all. Those who follow it wait for the next. */
void locals_end_life(struct locals *locals, struct local_topic *local);

#endif
