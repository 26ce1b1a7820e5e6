/* System: the gateway's own figures, published to topics of its own for whoever holds the admin key.
 *
 *   $sys.shard.N   one shard: published by itself, wherever the topic lives
 *   $sys.gateway   all of them: published by the shard that is its home, from everybody's counters
 *
 * Once a second while somebody follows any of them, and otherwise in turns that there are anyway, at most once a second: a gateway at
 * rest stays asleep, and whoever reads one by HTTP gets a fresh one, since asking is what wakes its home. It costs a shard some 30 µs
 * each second. Its shard's thread only; what shards share is one atomic count, and their counters. */
#ifndef GATEWAY_SYSTEM_H
#define GATEWAY_SYSTEM_H

#include "core/pubsub/home.h"
#include "gateway/figures.h"

struct shard;

struct system {
    struct figures shard, gateway; /* the looks before */
    uint64_t       idle_us;        /* of this shard then */
    uint64_t       idle_all_us[SHARDS_MAX]; /* of each; kept by the home of $sys.gateway, as cpu_us is */
    uint64_t       cpu_us;
    uint64_t       published_us;   /* by the monotonic clock */
    uint32_t       followed;       /* as others were told */
    bool           watched;        /* somebody follows one, as far as this shard knew when it was last asked how long it may sleep */
    struct text    text;
};

void system_begin(struct shard *shard);
void system_end(struct shard *shard);

/* Once a turn, before what came in is served: publishes what is due. */
void system_publish(struct shard *shard);
/* Once a turn, after that: who follows ours is made known to all shards. */
void system_tell(struct shard *shard);
/* When system_publish() wants to be called at the latest, by clock->mono_us; UINT64_MAX: nobody follows. */
uint64_t system_due_us(struct shard *shard);
/* Somebody came to follow since that was said: the look before sleeping, after wake_sleep_begin(). */
bool system_is_news(const struct shard *shard);

#endif
