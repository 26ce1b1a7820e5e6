#include "core/pubsub/births.h"

#include <stdlib.h>

#include "core/proto/topic_name.h"
#include "core/pubsub/interests.h"
#include "core/pubsub/peer.h"
#include "core/pubsub/wires.h"

bool home_pattern(struct home *home, uint32_t shard, struct span pattern, bool on)
{
    uint32_t index = pattern_index_find(&home->patterns, pattern);
    if (index == PATTERN_INDEX_NONE) {
        if (!on) return true;
        index = pool_take(&home->pattern_shards);
        if (index == POOL_NONE) return false;
        *(uint64_t *)pool_at(&home->pattern_shards, index) = 0;
        if (pattern_index_add(&home->patterns, pattern, index)) {
            pool_give(&home->pattern_shards, index);
            return false;
        }
    }
    uint64_t *shards = pool_at(&home->pattern_shards, index), bit = UINT64_C(1) << shard;
    *shards = on ? *shards | bit : *shards & ~bit;
    if (*shards) return true;
    pattern_index_remove(&home->patterns, pattern, &index);
    pool_give(&home->pattern_shards, index);
    return true;
}

struct span pattern_prefix(struct span pattern)
{
    size_t size = 0;
    for (size_t i = 0; i < pattern.size && pattern.bytes[i] != '*' && pattern.bytes[i] != '>'; i++)
        if (pattern.bytes[i] == '.') size = i + 1;
    return span_of(pattern.bytes, size);
}

/* ---- a topic's birth ------------------------------------------------------------------------------------------------- */

struct birth {
    struct home *home;
    uint64_t     shards; /* a bit for each that follows a pattern which covers it */
};

static void note_shards(void *context, uint32_t index)
{
    struct birth *birth = context;
    birth->shards |= *(const uint64_t *)pool_at(&birth->home->pattern_shards, index);
}

void births_tell(struct home *home, struct topic *topic, uint32_t index)
{
    struct birth birth = { home, 0 };
    home->looks += pattern_index_match(&home->patterns, topic_name(topic), note_shards, &birth);
    for (; birth.shards; birth.shards &= birth.shards - 1) {
        uint32_t shard = (uint32_t)__builtin_ctzll(birth.shards);
        if (shard == home->shard) peer_birth(&home->links[shard], topic_name(topic), topic->epoch);
        else if (!interests_mark_birth(home, topic, index, shard)) counter_add(home->counters, COUNTER_BIRTHS_NOT_COVERED, 1);
    }
}

/* ---- the topics that are there --------------------------------------------------------------------------------------- */

/* One shard is being told what one pattern covers. At most one for each pattern that it follows. */
struct matches {
    struct matches *next;
    uint32_t        pattern, generation; /* the shard's */
    uint32_t        pattern_bytes, after_bytes;
    bool            begun;
    char            after[TOPIC_NAME_BYTES_MAX]; /* the name looked at last */
    char            text[];                      /* the pattern */
};

/* In a turn: names looked at, and matches told, so that notices have their share of the link. */
enum { LOOKED_EACH_TURN = 4096, MATCHES_EACH_TURN = TELLS_MAX / 4 };

bool matches_begin(struct home *home, uint32_t shard, struct span pattern, uint32_t index, uint32_t generation)
{
    struct matches *matches = malloc(sizeof *matches + pattern.size);
    if (!matches) return false;
    *matches = (struct matches){ .pattern = index, .generation = generation, .pattern_bytes = (uint32_t)pattern.size };
    memcpy(matches->text, pattern.bytes, pattern.size);
    struct matches **last = &home->matches[shard];
    while (*last) last = &(*last)->next;
    *last = matches;
    return true;
}

void matches_end(struct home *home, uint32_t shard, struct span pattern)
{
    for (struct matches **at = &home->matches[shard]; *at; at = &(*at)->next) {
        struct matches *gone = *at;
        if (!span_equals(span_of(gone->text, gone->pattern_bytes), pattern)) continue;
        *at = gone->next;
        free(gone);
        return;
    }
}

void matches_deinit(struct home *home)
{
    for (uint32_t shard = 0; shard < home->shards_count; shard++)
        for (struct matches *next; home->matches[shard]; home->matches[shard] = next) {
            next = home->matches[shard]->next;
            free(home->matches[shard]);
        }
}

/* Goes on behind the name looked at last. True: all were told. */
static bool go_on(struct home *home, struct link *link, struct matches *matches, uint32_t *looked, uint32_t *told)
{
    struct span pattern = span_of(matches->text, matches->pattern_bytes), prefix = pattern_prefix(pattern);
    struct span after = matches->begun ? span_of(matches->after, matches->after_bytes) : SPAN_NONE;
    struct span name;
    struct name_place place = names_seek(&home->names, prefix, after);
    for (; (name = names_at(&home->names, place)).bytes; place = names_following(&home->names, place)) {
        if (!span_begins(name, prefix)) return true;
        if (++*looked > LOOKED_EACH_TURN || *told == MATCHES_EACH_TURN || !peer_has_room(link)) return false;
        if (topic_pattern_matches(pattern, name)) {
            peer_match(link, matches->pattern, matches->generation, name);
            ++*told;
        }
        memcpy(matches->after, name.bytes, name.size);
        matches->after_bytes = (uint32_t)name.size;
        matches->begun = true;
    }
    return true;
}

void matches_tell(struct home *home, uint32_t shard)
{
    struct link *link = &home->links[shard];
    uint32_t looked = 0, told = 0;
    struct matches *first;
    while ((first = home->matches[shard])) {
        if (!go_on(home, link, first, &looked, &told) || !peer_has_room(link)) return;
        peer_matches_end(link, first->pattern, first->generation);
        home->matches[shard] = first->next;
        free(first);
    }
}
