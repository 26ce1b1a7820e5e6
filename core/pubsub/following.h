/* Following: how a subscriber comes to have a subscription to one topic, by name or for a pattern's sake, and loses it.
 * Its shard's thread only. */
#ifndef CORE_PUBSUB_FOLLOWING_H
#define CORE_PUBSUB_FOLLOWING_H

#include "core/pubsub/engine.h"

uint64_t     engine_name_hash(const struct engine *engine, struct span name);
/* How long a topic of another shard, or a pattern, stays known here when nobody follows it any more. */
#define LINGER_US UINT64_C(1000000)

/* The link to a topic's home. The upper half of the hash tells the home, the lower half a place in its tables. */
static inline uint32_t engine_home_of(const struct engine *engine, uint64_t hash)
{
    return (uint32_t)((hash >> 32) % engine->settings.shards_count);
}
struct link *engine_link_of(struct engine *engine, uint64_t hash);

/* POOL_NONE: the subscriber does not follow the topic. */
uint32_t following_find(const struct engine *engine, uint32_t subscriber, struct span topic);

/* Makes a subscription, there by a name or for a pattern subscription. One that is there already is left as it is, and
 * reply->again says so. *made: its index. */
enum subscribe_verdict following_make(struct engine *engine, uint32_t subscriber, const struct subscribe_ask *ask, uint32_t by, uint32_t *made, struct subscribe_reply *reply);
void                   following_end(struct engine *engine, uint32_t subscription);

/* Changes the mode; the position is kept. */
void following_set_mode(struct engine *engine, uint32_t subscription, enum mode mode);
/* Puts a subscription that stands in no list into the one it belongs into: waiting where it is caught up, else dirty. */
void following_enlist(struct engine *engine, uint32_t subscription);
/* Out of the list that it stands in: not for one that rests. */
void following_delist(struct engine *engine, uint32_t subscription);


/* The local topic, in JSON, of a topic of another shard, made where it is new, and then its home is asked; POOL_NONE: no room. It stays
 * for a second. again: where it was refused it is asked for anew.
 * Whatever format a subscriber reads, what it is told of a topic, its epoch and seq, is known by the one in JSON. That in its own
 * format may come later: until then the subscription waits at its seq. */
uint32_t following_prepare(struct engine *engine, struct span name, uint64_t hash, bool again);
/* Whether one is known here in this format and live. */
bool following_is_live(const struct engine *engine, struct span name, uint64_t hash, enum wire_format format);
/* Its home answered: it is live from now on, or refused. */
void     following_answered(struct engine *engine, uint32_t local, enum local_state state);
void     following_tick(struct engine *engine);

#endif
