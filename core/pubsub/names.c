#include "core/pubsub/names.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/check.h"

void names_deinit(struct names *names)
{
    for (uint32_t block = 0; block < names->blocks_count; block++) free(names->blocks[block]);
    free(names->blocks);
    *names = (struct names){ 0 };
}

/* The last block whose first name is not greater; the first block where all are. */
static uint32_t block_of(const struct names *names, struct span name)
{
    uint32_t low = 0, high = names->blocks_count - 1;
    while (low < high) {
        uint32_t middle = low + (high - low + 1) / 2;
        if (span_compare(names->blocks[middle]->list[0], name) <= 0) low = middle;
        else high = middle - 1;
    }
    return low;
}

/* Index of the first name in a block that is not less. */
static uint32_t first_not_less(const struct names_block *block, struct span name)
{
    uint32_t low = 0, high = block->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (span_compare(block->list[middle], name) < 0) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* An empty block at this place; NULL: no memory. */
static struct names_block *block_insert(struct names *names, uint32_t at)
{
    if (names->blocks_count == names->capacity) {
        uint32_t capacity = names->capacity ? names->capacity * 2 : 8;
        struct names_block **blocks = realloc(names->blocks, capacity * sizeof(struct names_block *));
        if (!blocks) return NULL;
        names->blocks = blocks;
        names->capacity = capacity;
    }
    struct names_block *block = malloc(sizeof *block);
    if (!block) return NULL;
    block->count = 0;
    memmove(&names->blocks[at + 1], &names->blocks[at], (names->blocks_count - at) * sizeof *names->blocks);
    names->blocks[at] = block;
    names->blocks_count++;
    return block;
}

/* Half of a full block goes into one behind it; but names that come in order leave full blocks behind them. */
static bool split(struct names *names, uint32_t at, uint32_t place)
{
    struct names_block *behind = block_insert(names, at + 1), *full = names->blocks[at];
    if (!behind) return false;
    uint32_t stay = place == full->count ? full->count : full->count / 2;
    behind->count = full->count - stay;
    memcpy(behind->list, full->list + stay, behind->count * sizeof *behind->list);
    full->count = stay;
    return true;
}

int names_add(struct names *names, struct span name)
{
    if (names->blocks_count == 0 && !block_insert(names, 0)) return -ENOMEM;
    uint32_t at = block_of(names, name), place = first_not_less(names->blocks[at], name);
    if (names->blocks[at]->count == NAMES_BLOCK_MAX) {
        if (!split(names, at, place)) return -ENOMEM;
        if (place >= names->blocks[at]->count) place -= names->blocks[at++]->count;
    }
    struct names_block *block = names->blocks[at];
    memmove(&block->list[place + 1], &block->list[place], (block->count - place) * sizeof *block->list);
    block->list[place] = name;
    block->count++;
    names->count++;
    return 0;
}

static void block_remove(struct names *names, uint32_t at)
{
    free(names->blocks[at]);
    names->blocks_count--;
    memmove(&names->blocks[at], &names->blocks[at + 1], (names->blocks_count - at) * sizeof *names->blocks);
}

/* Two neighbours that are half a block together become one: so no memory is left behind where most names have gone. */
static void join(struct names *names, uint32_t at)
{
    if (at + 1 >= names->blocks_count) return;
    struct names_block *block = names->blocks[at];
    const struct names_block *behind = names->blocks[at + 1];
    if (block->count + behind->count > NAMES_BLOCK_MAX / 2) return;
    memcpy(block->list + block->count, behind->list, behind->count * sizeof *block->list);
    block->count += behind->count;
    block_remove(names, at + 1);
}

void names_remove(struct names *names, struct span name)
{
    CHECK(names->count > 0);
    uint32_t at = block_of(names, name);
    struct names_block *block = names->blocks[at];
    uint32_t place = first_not_less(block, name);
    CHECK(place < block->count && span_equals(block->list[place], name));
    block->count--;
    names->count--;
    memmove(&block->list[place], &block->list[place + 1], (block->count - place) * sizeof *block->list);
    if (block->count == 0) {
        block_remove(names, at);
        return;
    }
    join(names, at);
    if (at > 0) join(names, at - 1);
}

/* Where the first name stands that is not less, or greater. */
static struct name_place seek(const struct names *names, struct span name, bool greater)
{
    if (names->count == 0) return (struct name_place){ 0 };
    uint32_t at = block_of(names, name);
    const struct names_block *block = names->blocks[at];
    uint32_t place = first_not_less(block, name);
    if (greater && place < block->count && span_equals(block->list[place], name)) place++;
    return place < block->count ? (struct name_place){ at, place } : (struct name_place){ at + 1, 0 };
}

struct name_place names_seek(const struct names *names, struct span prefix, struct span after)
{
    bool behind = after.bytes && span_compare(after, prefix) >= 0;
    return behind ? seek(names, after, true) : seek(names, prefix, false);
}
