/* Names in byte order: for listing them page by page, and for looking through them piece by piece.
 *
 *   blocks[0]         blocks[1]               blocks[blocks_count - 1]
 *   [ a, a.b, b ]     [ ba, c, d, da ] ...    [ x.y, z ]              none is empty; names rise within and from block to block
 *
 * A name that comes or goes moves those behind it in its block, and seldom a block in the list of blocks: among a million names a birth, a
 * death and a listing in any order cost a few microseconds each. One thread; the names' bytes are borrowed and outlive their stay here. */
#ifndef CORE_PUBSUB_NAMES_H
#define CORE_PUBSUB_NAMES_H

#include <stdint.h>

#include "core/base/span.h"

#define NAMES_BLOCK_MAX 128 /* names; two KiB are moved at a stroke */

struct names_block {
    uint32_t    count;
    struct span list[NAMES_BLOCK_MAX];
};

struct names {
    struct names_block **blocks;
    uint32_t             blocks_count, capacity;
    uint32_t             count; /* in all of them */
};

/* Where a name stands, until one comes or goes. */
struct name_place {
    uint32_t block, at;
};

void names_deinit(struct names *names);
/* It must not be there yet. 0 or -ENOMEM: nothing changed. */
int  names_add(struct names *names, struct span name);
/* Takes a name out; it must be there. */
void names_remove(struct names *names, struct span name);

/* Place of the first name greater than `after` (SPAN_NONE: of all) and not below `prefix`. */
struct name_place names_seek(const struct names *names, struct span prefix, struct span after);

/* The name that stands there; SPAN_NONE behind the last. */
static inline struct span names_at(const struct names *names, struct name_place place)
{
    return place.block < names->blocks_count ? names->blocks[place.block]->list[place.at] : SPAN_NONE;
}

/* The place behind it; there must be a name at this one. */
static inline struct name_place names_following(const struct names *names, struct name_place place)
{
    if (place.at + 1 < names->blocks[place.block]->count) return (struct name_place){ place.block, place.at + 1 };
    return (struct name_place){ place.block + 1, 0 };
}

#endif
