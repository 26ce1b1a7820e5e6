#include "core/pubsub/pattern_interest.h"

#include <stdlib.h>

#include "core/pubsub/births.h"
#include "core/pubsub/finding.h"
#include "core/pubsub/following.h"

static struct pattern *pattern_at(const struct patterns *patterns, uint32_t index)
{
    return pool_at(&patterns->pool, index);
}

static struct span text_of(const struct pattern *pattern)
{
    return span_of(pattern->text, pattern->text_bytes);
}

static uint64_t bit_of(uint32_t shard)
{
    return UINT64_C(1) << shard;
}

static uint64_t all_homes(const struct engine *engine)
{
    return UINT64_MAX >> (64 - engine->settings.shards_count);
}

/* Of a pattern at one home; behind those of all homes one for the pattern itself. */
static uint32_t generation_index(const struct engine *engine, uint32_t pattern, uint32_t home)
{
    return pattern * (engine->settings.shards_count + 1) + home;
}

uint32_t patterns_find(const struct patterns *patterns, struct span text)
{
    uint32_t index = pattern_index_find(&patterns->index, text);
    return index == PATTERN_INDEX_NONE ? POOL_NONE : index;
}

/* ---- made, wanted, let go -------------------------------------------------------------------------------------------- */

static void release(struct engine *engine, uint32_t index)
{
    struct patterns *patterns = &engine->patterns;
    struct pattern *pattern = pattern_at(patterns, index);
    CHECK(pattern->first == POOL_NONE && pattern->pending == 0 && pattern->awaiters.first == POOL_NONE && !pattern->lingers && !pattern->finding);
    generation_end(&patterns->generations, generation_index(engine, index, engine->settings.shards_count));
    free(pattern->text);
    free(pattern->tell_next);
    pool_give(&patterns->pool, index);
}

static void forget(struct engine *engine, uint32_t index)
{
    uint32_t value;
    CHECK(pattern_index_remove(&engine->patterns.index, text_of(pattern_at(&engine->patterns, index)), &value) && value == index);
    release(engine, index);
}

/* To our own home at once, to the others when there is room. */
static void tell_homes(struct engine *engine, uint32_t index)
{
    struct pattern *pattern = pattern_at(&engine->patterns, index);
    uint32_t us = engine->settings.shard;
    bool known = home_pattern(&engine->home, us, text_of(pattern), pattern->wanted);
    if (pattern->wanted) {
        pattern->answered |= bit_of(us);
        if (!known) pattern->refused = true;
    }
    for (uint32_t shard = 0; shard < engine->settings.shards_count; shard++)
        if (shard != us) link_mark_pattern(&engine->links[shard], index);
}

static void want(struct engine *engine, uint32_t index)
{
    struct pattern *pattern = pattern_at(&engine->patterns, index);
    pattern->wanted = true;
    pattern->refused = false;
    pattern->answered &= pattern->on; /* those that were not told yet that we let it go need not be asked again */
    tell_homes(engine, index);
}

uint32_t patterns_find_or_make(struct engine *engine, struct span text)
{
    struct patterns *patterns = &engine->patterns;
    uint32_t index = patterns_find(patterns, text), shards = engine->settings.shards_count;
    if (index != POOL_NONE) {
        if (!pattern_at(patterns, index)->wanted) want(engine, index);
        return index;
    }
    index = pool_take(&patterns->pool);
    if (index == POOL_NONE) return POOL_NONE;
    struct pattern *pattern = pattern_at(patterns, index);
    *pattern = (struct pattern){
        .text = malloc(text.size), .text_bytes = (uint32_t)text.size, .tell_next = malloc(shards * sizeof *pattern->tell_next),
        .first = POOL_NONE, .awaiters = AWAITER_LIST_EMPTY,
    };
    if (!pattern->text || !pattern->tell_next) goto undo;
    memcpy(pattern->text, text.bytes, text.size);
    if (generation_begin(&patterns->generations, generation_index(engine, index, shards)) == 0) goto undo;
    if (pattern_index_add(&patterns->index, text, index)) {
        release(engine, index);
        return POOL_NONE;
    }
    want(engine, index);
    return index;
undo:
    free(pattern->text);
    free(pattern->tell_next);
    pool_give(&patterns->pool, index);
    return POOL_NONE;
}

void patterns_touch(struct engine *engine, uint32_t index)
{
    struct patterns *patterns = &engine->patterns;
    struct pattern *pattern = pattern_at(patterns, index);
    pattern->idle_us = engine->clock->mono_us;
    if (pattern->lingers || pattern->first != POOL_NONE) return;
    pattern->lingers = true;
    pattern->linger_us = pattern->idle_us;
    pattern->linger_next = POOL_NONE;
    if (patterns->lingering.first == POOL_NONE) patterns->lingering.first = index;
    else pattern_at(patterns, patterns->lingering.last)->linger_next = index;
    patterns->lingering.last = index;
}

static void let_go(struct engine *engine, uint32_t index)
{
    struct pattern *pattern = pattern_at(&engine->patterns, index);
    pattern->wanted = false;
    finding_end(engine, index);
    tell_homes(engine, index);
    if (pattern->on == 0 && pattern->to_tell == 0) forget(engine, index);
}

void patterns_drop_if_unused(struct engine *engine, uint32_t index)
{
    const struct pattern *pattern = pattern_at(&engine->patterns, index);
    if (pattern->first != POOL_NONE) return;
    if (engine->settings.shards_count == 1 && !pattern->lingers && !pattern->finding) let_go(engine, index);
    else patterns_touch(engine, index);
}

/* What is still being answered is not let go: so no answer comes to a pattern that is not there. */
static bool may_go(const struct engine *engine, const struct pattern *pattern)
{
    return pattern->answered == all_homes(engine) && pattern->pending == 0 && !pattern->finding && engine->clock->mono_us - pattern->idle_us >= LINGER_US;
}

void patterns_tick(struct engine *engine)
{
    struct patterns *patterns = &engine->patterns;
    uint32_t index;
    while ((index = patterns->lingering.first) != POOL_NONE) {
        struct pattern *pattern = pattern_at(patterns, index);
        if (engine->clock->mono_us - pattern->linger_us < LINGER_US) return;
        patterns->lingering.first = pattern->linger_next;
        pattern->lingers = false;
        if (pattern->first != POOL_NONE) continue;
        if (may_go(engine, pattern)) {
            let_go(engine, index);
            continue;
        }
        uint64_t idle_us = pattern->idle_us;
        patterns_touch(engine, index);
        pattern->idle_us = idle_us;
        pattern->linger_us = engine->clock->mono_us;
    }
}

uint64_t patterns_due_us(const struct engine *engine)
{
    const struct patterns *patterns = &engine->patterns;
    return patterns->lingering.first == POOL_NONE ? UINT64_MAX : pattern_at(patterns, patterns->lingering.first)->linger_us + LINGER_US;
}

/* ---- told to homes --------------------------------------------------------------------------------------------------- */

enum pattern_due patterns_due(struct engine *engine, uint32_t index, uint32_t home, struct span *text, uint32_t *generation)
{
    struct patterns *patterns = &engine->patterns;
    struct pattern *pattern = pattern_at(patterns, index);
    *text = text_of(pattern);
    bool on = pattern->on & bit_of(home);
    if (on == pattern->wanted) return PATTERN_NOTHING;
    if (on) return PATTERN_OFF;
    *generation = generation_begin(&patterns->generations, generation_index(engine, index, home));
    CHECK(*generation != 0); /* its place was made with the pattern */
    return PATTERN_ON;
}

uint32_t patterns_told(struct engine *engine, uint32_t index, uint32_t home)
{
    struct patterns *patterns = &engine->patterns;
    struct pattern *pattern = pattern_at(patterns, index);
    uint32_t next = pattern->tell_next[home];
    uint64_t bit = bit_of(home);
    pattern->to_tell &= ~bit;
    if (pattern->wanted) {
        pattern->on |= bit;
        return next;
    }
    if (pattern->on & bit) generation_end(&patterns->generations, generation_index(engine, index, home));
    pattern->on &= ~bit;
    pattern->answered &= ~bit;
    if (pattern->on == 0 && pattern->to_tell == 0) forget(engine, index);
    return next;
}

/* ---- answered -------------------------------------------------------------------------------------------------------- */

bool patterns_ready(const struct engine *engine, uint32_t index)
{
    const struct pattern *pattern = pattern_at(&engine->patterns, index);
    return pattern->answered == all_homes(engine) && pattern->pending == 0;
}

static void tell_if_ready(struct engine *engine, uint32_t index)
{
    if (patterns_ready(engine, index)) awaiting_due(&engine->awaiting, &pattern_at(&engine->patterns, index)->awaiters);
}

bool patterns_awaits(const struct engine *engine, uint32_t index, uint32_t home, uint32_t generation)
{
    return generation_is(&engine->patterns.generations, generation_index(engine, index, home), generation);
}

void patterns_await(struct engine *engine, uint32_t index, uint32_t local_index)
{
    struct local_topic *local = local_topic_at(&engine->locals, local_index);
    if (local->state != LOCAL_WANTED && local->state != LOCAL_ASKED) return;
    if (awaiting_add(&engine->awaiting, &local->awaiters, index, true)) pattern_at(&engine->patterns, index)->pending++;
    else pattern_at(&engine->patterns, index)->refused = true;
}

void patterns_match_live(struct engine *engine, uint32_t index)
{
    pattern_at(&engine->patterns, index)->pending--;
    tell_if_ready(engine, index);
}

void patterns_answered(struct engine *engine, uint32_t index, uint32_t home, bool refused)
{
    struct pattern *pattern = pattern_at(&engine->patterns, index);
    pattern->answered |= bit_of(home);
    if (refused) {
        pattern->refused = true;
        pattern->on &= ~bit_of(home); /* it does not know the pattern */
        generation_end(&engine->patterns.generations, generation_index(engine, index, home));
    }
    tell_if_ready(engine, index);
}

enum link_result engine_prepare_pattern(struct engine *engine, struct span text, uint32_t ticket)
{
    if (!engine->hooks.live) return LINK_DONE; /* one shard alone, and nobody who could be told later */
    uint32_t index = patterns_find_or_make(engine, text);
    if (index == POOL_NONE) return LINK_REFUSED;
    struct pattern *pattern = pattern_at(&engine->patterns, index);
    bool ready = patterns_ready(engine, index);
    enum finding_stage found = ready && !pattern->refused ? finding_prepare(engine, index) : FINDING_OURS;
    bool refused = ready && (pattern->refused || found == FINDING_REFUSED);
    if (!refused || !pattern->lingers) patterns_touch(engine, index);
    if (refused) return LINK_REFUSED; /* for a second: then it is let go, and asked for anew */
    if (ready && found == FINDING_DONE) return LINK_DONE;
    if (awaiting_add(&engine->awaiting, &pattern->awaiters, ticket, false)) return LINK_SENT;
    engine->full = engine->awaiting.full = true;
    return LINK_FULL;
}
