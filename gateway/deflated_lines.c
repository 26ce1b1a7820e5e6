#include "gateway/deflated_lines.h"

#include <stdlib.h>

#include "core/base/check.h"
#include "core/io/deflate.h"
#include "gateway/compression.h"

enum {
    RANGES_KEPT = 1024,             /* a power of two; places of the table, one for each hash: what was there before goes */
    BLOCK_BYTES = DEFLATED_LINES_AT_REST, /* of memory at a time; a larger range gets one of its own */
};

/* A range that was compressed. A topic's life is in one order, so that its ends say what it holds. */
struct kept {
    uint64_t    from_seq, to_seq;
    uint32_t    generation; /* of the local topic; no two have the same */
    uint32_t    life;
    uint32_t    bytes;
    const char *payload; /* NULL: nothing is kept here */
};

struct block {
    struct block *before;
    size_t        size, used;
    char          bytes[];
};

struct deflated_lines {
    struct block *blocks; /* the newest first */
    size_t        bytes;  /* of all of them */
    struct kept   table[RANGES_KEPT];
};

struct deflated_lines *deflated_lines_make(void)
{
    return calloc(1, sizeof(struct deflated_lines));
}

static void free_blocks(struct deflated_lines *lines)
{
    while (lines->blocks) {
        struct block *block = lines->blocks;
        lines->blocks = block->before;
        free(block);
    }
    lines->bytes = 0;
}

void deflated_lines_free(struct deflated_lines *lines)
{
    if (!lines) return;
    free_blocks(lines);
    free(lines);
}

size_t deflated_lines_kept(const struct deflated_lines *lines)
{
    return lines->bytes;
}

void deflated_lines_forget(struct deflated_lines *lines, size_t bytes_max)
{
    if (lines->bytes <= bytes_max) return;
    memset(lines->table, 0, sizeof lines->table);
    free_blocks(lines);
}

static char *room_for(struct deflated_lines *lines, size_t bytes)
{
    struct block *block = lines->blocks;
    if (!block || block->size - block->used < bytes) {
        size_t size = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
        block = malloc(sizeof *block + size);
        CHECK(block);
        *block = (struct block){ .before = lines->blocks, .size = size };
        lines->blocks = block;
        lines->bytes += size;
    }
    char *room = block->bytes + block->used;
    block->used += bytes;
    return room;
}

static struct span compress(struct shard *shard, const struct local_topic *local, const struct range *range)
{
    struct piece pieces[BATCH_SEND_PIECES_MAX];
    struct range whole = *range;
    uint32_t count = range_pieces(local, &whole, pieces, BATCH_SEND_PIECES_MAX);
    CHECK(whole.bytes == range->bytes); /* RANGE_LINES_BYTES_MAX are in fewer segments, or one line is in one */
    pieces[count - 1].size--;           /* the last line's end */
    return compression_of_pieces(shard, pieces, count, range->bytes - 1);
}

static struct kept *place_of(struct deflated_lines *lines, const struct local_topic *local, const struct range *range)
{
    uint64_t mixed = (local->generation * UINT64_C(0x9e3779b97f4a7c15)) ^ (range->from.seq * UINT64_C(0xbf58476d1ce4e5b9)) ^ range->to.seq;
    return &lines->table[(mixed ^ mixed >> 29) % RANGES_KEPT];
}

struct span deflated_lines_of(struct shard *shard, const struct local_topic *local, const struct range *range)
{
    struct deflated_lines *lines = shard->compression.lines;
    struct kept *kept = place_of(lines, local, range);
    bool known = kept->payload && kept->generation == local->generation && kept->life == local->life && kept->from_seq == range->from.seq && kept->to_seq == range->to.seq;
    if (known) return span_of(kept->payload, kept->bytes);
    struct span payload = compress(shard, local, range);
    if (!payload.bytes) return SPAN_NONE;
    char *room = room_for(lines, payload.size + DEFLATE_JOINT_BYTES);
    memcpy(room, payload.bytes, payload.size);
    memcpy(room + payload.size, DEFLATE_JOINT, DEFLATE_JOINT_BYTES);
    *kept = (struct kept){ range->from.seq, range->to.seq, local->generation, local->life, (uint32_t)payload.size, room };
    return span_of(room, payload.size);
}
