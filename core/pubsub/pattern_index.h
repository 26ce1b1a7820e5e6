/* Many patterns, and which of them cover a name: what a shard asks whenever a topic is born.
 *
 * A trie of tokens. A pattern's value stands at the node where the pattern ends; a final '>' is no node but a second
 * value of the node before it. With the values a.b 1, a.* 2, a.> 3, *.b 4:
 *
 *     root ── a  rest 3 ── b  end 1        A literal child is found in one table for all nodes, keyed by (parent, token);
 *      │       └────────── *  end 2        the '*' child by its index in the parent. A node without child and without
 *      └───── * ────────── b  end 4        value is given back at once, so an empty index is the root alone.
 *
 * A match walks every path that fits. Each node has one way to it, so no match looks at more nodes than there are: stars
 * upon stars can't multiply. Typically it is a few for each token of the name. One thread. */
#ifndef CORE_PUBSUB_PATTERN_INDEX_H
#define CORE_PUBSUB_PATTERN_INDEX_H

#include "core/base/pool.h"
#include "core/base/siphash.h"
#include "core/base/span.h"
#include "core/base/table.h"

#define PATTERN_INDEX_NONE UINT32_MAX
/* At most so many nodes: 256 MiB if ever all were used. A pattern needs no more than it has tokens, of which it can have 64. */
#define PATTERN_INDEX_NODES_MAX (UINT32_C(1) << 22)

struct pattern_index {
    struct pool  nodes;    /* struct pattern_node, private; the root among them */
    struct table literals; /* every node but the root and the '*' ones, by (parent, token) */
    uint32_t     root;
    uint32_t     count; /* patterns */
    uint8_t      hash_key[SIPHASH_KEY_BYTES];
};

/* The key is copied; it must be random, since tokens come from outside. Returns 0 or -errno; on an error there is
 * nothing to undo. */
int pattern_index_init(struct pattern_index *index, const uint8_t hash_key[SIPHASH_KEY_BYTES]);
/* Frees all, with whatever patterns are still there. */
void pattern_index_deinit(struct pattern_index *index);

/* `pattern` is valid (topic_pattern_fault), a plain name too, and borrowed for this call; `value` is not PATTERN_INDEX_NONE.
 * Returns 0, -EEXIST where the pattern is there already (its value stays), or -ENOMEM (nothing changed). */
int pattern_index_add(struct pattern_index *index, struct span pattern, uint32_t value);
/* Writes the pattern's value and forgets both. false: it is not there, and *value is not written. */
bool pattern_index_remove(struct pattern_index *index, struct span pattern, uint32_t *value);
/* The value of exactly this pattern, not of those that cover it; PATTERN_INDEX_NONE where it is not there. */
uint32_t pattern_index_find(const struct pattern_index *index, struct span pattern);

/* Calls `visit` once for each pattern that covers the name, in no particular order; `visit` must not change the index.
 * `name` is valid (topic_name_fault). Returns how many nodes it looked at: the measure of its cost, 1 to all. */
uint32_t pattern_index_match(const struct pattern_index *index, struct span name,
                             void (*visit)(void *context, uint32_t value), void *context);

#endif
