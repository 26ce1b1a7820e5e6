/* Interests: which shards follow the topics of one home, what they were told and what they hold. One thread, the home's. */
#ifndef CORE_PUBSUB_INTERESTS_H
#define CORE_PUBSUB_INTERESTS_H

#include "core/pubsub/home.h"

/* False: the topic is new and limits.topics is reached. The asking shard is told with the next home_tell(); our own at once. */
bool home_interest(struct home *home, uint32_t shard, const struct interest_ask *ask);
/* The shard holds no segment below held_from; it holds none at all, and is interested no more. */
void home_held(struct home *home, uint32_t shard, uint32_t topic, uint32_t generation, uint32_t held_from);
void home_interest_end(struct home *home, uint32_t shard, uint32_t topic, uint32_t generation);

/* There is news of the topic for one shard, or for all that are interested. */
void interests_mark(struct home *home, struct topic *topic, uint32_t index, uint32_t shard);
void interests_mark_all(struct home *home, struct topic *topic, uint32_t index);
/* The topic was born: the shard is to be told so before it is told of anything else. False: no memory. */
bool interests_mark_birth(struct home *home, struct topic *topic, uint32_t index, uint32_t shard);

/* Frees what no shard has on loan. */
void interests_release(struct home *home, struct topic *topic);

#endif
