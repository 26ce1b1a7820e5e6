/* Pattern interest: the patterns that one shard follows, and what each home knows of them. With several shards a pattern is told to all
 * homes; each tells what it has that the pattern covers, then that these were all, and from then on every birth.
 *
 *   wanted    on at a home    answered by it    its matches live        engine_subscribe_pattern() may follow when all of it is true
 *
 * A pattern that nobody follows lingers a second. Its shard's thread only. */
#ifndef CORE_PUBSUB_PATTERN_INTEREST_H
#define CORE_PUBSUB_PATTERN_INTEREST_H

#include "core/pubsub/engine.h"

/* The pattern, POOL_NONE: not followed here. */
uint32_t patterns_find(const struct patterns *patterns, struct span text);
/* The same; where it is new it is told to all homes. POOL_NONE: no room. */
uint32_t patterns_find_or_make(struct engine *engine, struct span text);
/* It is in use, now. */
void patterns_touch(struct engine *engine, uint32_t pattern);
/* Its last pattern subscription went: it is let go, at once where there is one shard alone, else after it lingered. */
void patterns_drop_if_unused(struct engine *engine, uint32_t pattern);
void patterns_tick(struct engine *engine);
/* When that wants to be called; UINT64_MAX: no matter. */
uint64_t patterns_due_us(const struct engine *engine);
/* All homes answered, and what they told is live. */
bool patterns_ready(const struct engine *engine, uint32_t pattern);

/* For the link to a home: what is to be told of a pattern now; *text is borrowed. */
enum pattern_due { PATTERN_NOTHING, PATTERN_ON, PATTERN_OFF };
enum pattern_due patterns_due(struct engine *engine, uint32_t pattern, uint32_t home, struct span *text, uint32_t *generation);
/* That was told; returns the next one in the list. */
uint32_t patterns_told(struct engine *engine, uint32_t pattern, uint32_t home);

/* Whether an answer of this generation is still awaited from that home. */
bool patterns_awaits(const struct engine *engine, uint32_t pattern, uint32_t home, uint32_t generation);
/* A match came: the pattern is not ready before the local topic is live. */
void patterns_await(struct engine *engine, uint32_t pattern, uint32_t local);
void patterns_match_live(struct engine *engine, uint32_t pattern);
/* All matches of that home were told, or it refused. */
void patterns_answered(struct engine *engine, uint32_t pattern, uint32_t home, bool refused);

#endif
