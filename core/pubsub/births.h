/* Births: the patterns that shards follow at one home, and how each learns of the topics that they cover: at a topic's birth, and of
 * those that are there when it begins to follow. One thread, the home's. */
#ifndef CORE_PUBSUB_BIRTHS_H
#define CORE_PUBSUB_BIRTHS_H

#include "core/pubsub/home.h"

/* A shard follows a pattern, or no longer. False: no room. */
bool home_pattern(struct home *home, uint32_t shard, struct span pattern, bool on);
/* What all names that a pattern covers begin with: its tokens before the first wild one. */
struct span pattern_prefix(struct span pattern);

/* A topic is being born: each shard with a pattern that covers it is told once, our own at once. */
void births_tell(struct home *home, struct topic *topic, uint32_t index);

/* The topics that are there are told to the shard bit by bit, then that these were all. False: no memory. */
bool matches_begin(struct home *home, uint32_t shard, struct span pattern, uint32_t pattern_index, uint32_t generation);
/* It follows the pattern no longer: what is left of them is not told. */
void matches_end(struct home *home, uint32_t shard, struct span pattern);
void matches_tell(struct home *home, uint32_t shard);
void matches_deinit(struct home *home);

#endif
