/* See pattern_index.h. Promise: a match costs no more than the nodes that fit the name, and nobody outside can make two
 * tokens collide. */
#include "core/pubsub/pattern_index.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "core/proto/topic_name.h"

enum {
    TOKENS_MAX = (TOPIC_NAME_BYTES_MAX + 1) / 2, /* each has a byte, and a dot between two */
    TOKEN_INLINE_BYTES = 32,
};

struct pattern_node {
    uint32_t parent;     /* POOL_NONE: the root */
    uint32_t salt;       /* this node's share in the hashes of its children */
    uint32_t star;       /* the child '*', or POOL_NONE */
    uint32_t literals;   /* how many other children */
    uint32_t first;      /* the one that came when there was none, while it stays; else POOL_NONE */
    uint32_t end_value;  /* of the pattern that ends here, or PATTERN_INDEX_NONE */
    uint32_t rest_value; /* of the pattern that goes on here with a final '>', or PATTERN_INDEX_NONE */
    uint8_t  token_size; /* in bytes; 0: this is the root or a '*' */
    union {
        char  token[TOKEN_INLINE_BYTES];
        char *long_token; /* owned; where token_size > TOKEN_INLINE_BYTES */
    };
};

static_assert(sizeof(struct pattern_node) == 64, "a node is one cache line");
static_assert(TOPIC_NAME_BYTES_MAX <= UINT8_MAX, "a token's size must fit");

static struct pattern_node *node_at(const struct pattern_index *index, uint32_t node)
{
    return pool_at(&index->nodes, node);
}

/* ---- tokens and their hashes ----------------------------------------------------------------------------------------- */

/* Simple tabulation hashing: the exclusive or of two secret functions, one of the parent and one of the token, holds under
 * linear probing (Patrascu and Thorup, "The Power of Simple Tabulation Hashing", 2012), and a match hashes each token once
 * for all nodes. */
static uint32_t token_hash(const struct pattern_index *index, struct span token)
{
    return (uint32_t)siphash(index->hash_key, token);
}

/* Eight bytes with a NUL among them: never what a token is. */
static uint32_t node_salt(const struct pattern_index *index, uint32_t node)
{
    uint64_t text = node;
    return (uint32_t)siphash(index->hash_key, span_of((const char *)&text, sizeof text));
}

static bool is_star(struct span token)
{
    return token.size == 1 && token.bytes[0] == '*';
}

/* ---- nodes ----------------------------------------------------------------------------------------------------------- */

static struct span node_token(const struct pattern_node *node)
{
    return span_of(node->token_size > TOKEN_INLINE_BYTES ? node->long_token : node->token, node->token_size);
}

/* `hash` is the token's alone. An only child is not looked up: long tails of hostile patterns are chains of such, made one
 * after the other, so that a walk along them runs through memory in order. */
static uint32_t literal_child(const struct pattern_index *index, uint32_t parent, struct span token, uint32_t hash)
{
    const struct table *table = &index->literals;
    const struct pattern_node *above = node_at(index, parent);
    if (above->literals == 1 && above->first != POOL_NONE)
        return span_equals(node_token(node_at(index, above->first)), token) ? above->first : POOL_NONE;

    hash ^= above->salt;
    for (uint32_t at = table_first(table, hash); at != TABLE_NONE; at = table_following(table, hash, at)) {
        uint32_t child = table->slots[at].index;
        const struct pattern_node *node = node_at(index, child);
        if (node->parent == parent && span_equals(node_token(node), token)) return child;
    }
    return POOL_NONE;
}

static uint32_t child_of(const struct pattern_index *index, uint32_t parent, struct span token)
{
    if (is_star(token)) return node_at(index, parent)->star;
    return literal_child(index, parent, token, token_hash(index, token));
}

/* A node without token, known to nobody; POOL_NONE where there is no room. */
static uint32_t make_node(struct pattern_index *index, uint32_t parent)
{
    uint32_t node = pool_take(&index->nodes);
    if (node == POOL_NONE) return POOL_NONE;
    *node_at(index, node) = (struct pattern_node){
        .parent = parent,
        .salt = node_salt(index, node),
        .star = POOL_NONE,
        .first = POOL_NONE,
        .end_value = PATTERN_INDEX_NONE,
        .rest_value = PATTERN_INDEX_NONE,
    };
    return node;
}

static bool set_token(struct pattern_node *node, struct span token)
{
    CHECK(token.size > 0 && token.size <= TOPIC_NAME_BYTES_MAX);
    char *to = node->token;
    if (token.size > TOKEN_INLINE_BYTES) to = node->long_token = malloc(token.size);
    if (!to) return false;
    memcpy(to, token.bytes, token.size);
    node->token_size = (uint8_t)token.size;
    return true;
}

static void free_token(struct pattern_node *node)
{
    if (node->token_size > TOKEN_INLINE_BYTES) free(node->long_token);
}

/* The new child, or POOL_NONE (nothing changed) where there is no memory. */
static uint32_t add_child(struct pattern_index *index, uint32_t parent, struct span token)
{
    struct pattern_node *above = node_at(index, parent);
    uint32_t child = make_node(index, parent);
    if (child == POOL_NONE) return POOL_NONE;
    if (is_star(token)) {
        above->star = child;
        return child;
    }

    struct pattern_node *node = node_at(index, child);
    if (!set_token(node, token)) goto undo_node;
    if (table_insert(&index->literals, token_hash(index, token) ^ above->salt, child) != 0) goto undo_token;
    if (above->literals++ == 0) above->first = child;
    return child;
undo_token: free_token(node);
undo_node:  pool_give(&index->nodes, child);
    return POOL_NONE;
}

static bool is_barren(const struct pattern_node *node)
{
    return node->literals == 0 && node->star == POOL_NONE && node->end_value == PATTERN_INDEX_NONE &&
           node->rest_value == PATTERN_INDEX_NONE;
}

/* Gives a node back, then its parent, and so on, as far as nothing hangs on them. */
static void prune(struct pattern_index *index, uint32_t child)
{
    while (child != index->root) {
        struct pattern_node *node = node_at(index, child);
        if (!is_barren(node)) return;
        uint32_t parent = node->parent;
        struct pattern_node *above = node_at(index, parent);
        if (node->token_size == 0) {
            CHECK(above->star == child);
            above->star = POOL_NONE;
        } else {
            CHECK(above->literals > 0);
            table_remove(&index->literals, token_hash(index, node_token(node)) ^ above->salt, child);
            above->literals--;
            if (above->first == child) above->first = POOL_NONE;
            free_token(node);
        }
        pool_give(&index->nodes, child);
        child = parent;
    }
}

/* ---- the set --------------------------------------------------------------------------------------------------------- */

int pattern_index_init(struct pattern_index *index, const uint8_t hash_key[SIPHASH_KEY_BYTES])
{
    *index = (struct pattern_index){ 0 };
    memcpy(index->hash_key, hash_key, sizeof index->hash_key);
    int error = pool_init(&index->nodes, sizeof(struct pattern_node), PATTERN_INDEX_NODES_MAX);
    if (error) return error;
    error = table_init(&index->literals);
    if (error) goto undo_nodes;
    index->root = make_node(index, POOL_NONE);
    CHECK(index->root != POOL_NONE); /* the first of all */
    return 0;
undo_nodes: pool_deinit(&index->nodes);
    return error;
}

void pattern_index_deinit(struct pattern_index *index)
{
    for (uint32_t at = 0; at <= index->literals.mask; at++)
        if (index->literals.slots[at].index != TABLE_NONE) free_token(node_at(index, index->literals.slots[at].index));
    table_deinit(&index->literals);
    pool_deinit(&index->nodes);
    *index = (struct pattern_index){ 0 };
}

/* A valid pattern holds '>' as its last token or not at all. */
static bool ends_in_rest(struct span pattern)
{
    return pattern.bytes[pattern.size - 1] == '>';
}

/* What leads to the node: all before a final '>', SPAN_NONE where that is nothing. */
static struct span stem_of(struct span pattern)
{
    CHECK(pattern.size > 0 && pattern.size <= TOPIC_NAME_BYTES_MAX);
    if (!ends_in_rest(pattern)) return pattern;
    return pattern.size == 1 ? SPAN_NONE : span_of(pattern.bytes, pattern.size - 2);
}

static uint32_t *value_of(struct pattern_node *node, struct span pattern)
{
    return ends_in_rest(pattern) ? &node->rest_value : &node->end_value;
}

/* The node that carries the pattern's value, if it has one; POOL_NONE where no path leads so far. */
static uint32_t locate(const struct pattern_index *index, struct span pattern)
{
    uint32_t node = index->root;
    for (struct span stem = stem_of(pattern); stem.bytes && node != POOL_NONE;)
        node = child_of(index, node, topic_token_next(&stem));
    return node;
}

int pattern_index_add(struct pattern_index *index, struct span pattern, uint32_t value)
{
    CHECK(value != PATTERN_INDEX_NONE);
    uint32_t node = index->root;
    for (struct span stem = stem_of(pattern); stem.bytes;) {
        struct span token = topic_token_next(&stem);
        uint32_t child = child_of(index, node, token);
        if (child == POOL_NONE) child = add_child(index, node, token);
        if (child == POOL_NONE) {
            prune(index, node); /* what was made on the way here */
            return -ENOMEM;
        }
        node = child;
    }
    uint32_t *place = value_of(node_at(index, node), pattern);
    if (*place != PATTERN_INDEX_NONE) return -EEXIST; /* then the whole path was there before */
    *place = value;
    index->count++;
    return 0;
}

bool pattern_index_remove(struct pattern_index *index, struct span pattern, uint32_t *value)
{
    uint32_t node = locate(index, pattern);
    if (node == POOL_NONE) return false;
    uint32_t *place = value_of(node_at(index, node), pattern);
    if (*place == PATTERN_INDEX_NONE) return false;
    CHECK(index->count > 0);
    index->count--;
    *value = *place;
    *place = PATTERN_INDEX_NONE;
    prune(index, node);
    return true;
}

uint32_t pattern_index_find(const struct pattern_index *index, struct span pattern)
{
    uint32_t node = locate(index, pattern);
    return node == POOL_NONE ? PATTERN_INDEX_NONE : *value_of(node_at(index, node), pattern);
}

/* ---- matching -------------------------------------------------------------------------------------------------------- */

/* The name's tokens, cut and hashed when the walk first comes so deep: below the deepest path that fits nothing is read. */
struct tokens {
    struct span rest; /* not yet cut; SPAN_NONE after the last */
    uint32_t    count;
    struct span token[TOKENS_MAX];
    uint32_t    hash[TOKENS_MAX];
};

/* Whether the name has a token at this depth; depths are first asked for in order. */
static bool tokens_reach(struct tokens *tokens, const struct pattern_index *index, uint32_t depth)
{
    if (depth < tokens->count) return true;
    if (!tokens->rest.bytes) return false;
    CHECK(tokens->count < TOKENS_MAX);
    struct span token = topic_token_next(&tokens->rest);
    tokens->token[tokens->count] = token;
    tokens->hash[tokens->count++] = token_hash(index, token);
    return true;
}

/* Paths still to be walked, deepest last: a node leaves its place to at most two children, one deeper, so that one at most
 * waits at each depth, but two at the deepest. */
struct waiting {
    uint32_t count;
    struct {
        uint32_t node, depth; /* depth: how many of the name's tokens led to the node */
    } path[TOKENS_MAX + 1];
};

static void wait_for(struct waiting *waiting, uint32_t node, uint32_t depth)
{
    if (node == POOL_NONE) return;
    CHECK(waiting->count <= TOKENS_MAX);
    waiting->path[waiting->count].node = node;
    waiting->path[waiting->count++].depth = depth;
}

uint32_t pattern_index_match(const struct pattern_index *index, struct span name,
                             void (*visit)(void *context, uint32_t value), void *context)
{
    CHECK(name.size > 0 && name.size <= TOPIC_NAME_BYTES_MAX);
    bool reserved = topic_name_reserved(name);
    uint32_t looked_at = 0;
    struct tokens tokens; /* large, and mostly never written */
    tokens.rest = name;
    tokens.count = 0;
    struct waiting waiting;
    waiting.count = 0;
    wait_for(&waiting, index->root, 0);
    while (waiting.count > 0) {
        waiting.count--;
        uint32_t at = waiting.path[waiting.count].node, depth = waiting.path[waiting.count].depth;
        const struct pattern_node *node = node_at(index, at);
        looked_at++;
        if (!tokens_reach(&tokens, index, depth)) {
            if (node->end_value != PATTERN_INDEX_NONE) visit(context, node->end_value);
            continue;
        }
        if (depth > 0 || !reserved) { /* a first token '$...' is for literals alone */
            if (node->rest_value != PATTERN_INDEX_NONE) visit(context, node->rest_value);
            wait_for(&waiting, node->star, depth + 1);
        }
        if (node->literals == 0) continue;
        wait_for(&waiting, literal_child(index, at, tokens.token[depth], tokens.hash[depth]), depth + 1);
    }
    return looked_at;
}
