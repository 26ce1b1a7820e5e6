/* A chain: the segments of one log that one side holds, in order, and how to find one's way in them.
 *
 *   links[0]        links[1]            links[count - 1]
 *   [ frames  ]     [ frames  ]   ...   [ frames |  room ]        numbers follow one another
 *             end             end                end
 *
 * The home of a topic and every shard that reads it each have a chain of their own over the same segments. */
#ifndef CORE_PUBSUB_CHAIN_H
#define CORE_PUBSUB_CHAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "core/pubsub/format.h"
#include "core/pubsub/segment.h"

struct position {
    uint32_t segment; /* its number */
    uint32_t offset;  /* in its bytes[] */
};
#define POSITION_UNKNOWN ((struct position){ 0, UINT32_MAX }) /* to be sought by seq; no segment is so large */

/* A frame's place and its seq. */
struct mark {
    struct position at;
    uint64_t        seq;
};

/* What a home tells of a log, by value.
 *   tail.seq <= oldest_key.seq <= key.seq <= last.seq    where the keys are in the window; a key's seq is below tail.seq, or
 *                                                         0 for oldest_key, where it is not
 *   last.seq == 0: nothing was ever appended, and nothing else counts */
struct ends {
    struct mark     tail;       /* the oldest frame that the window holds */
    struct mark     oldest_key; /* the oldest key in the window; seq 0: there is none */
    struct mark     key;        /* the newest key; without marks the newest update */
    struct mark     last;       /* the newest frame */
    struct position head;       /* behind it */
};

struct chain_link {
    const struct segment *segment;
    uint32_t              end;       /* offset behind its last frame */
    uint32_t              first_key; /* offset of its first key frame, NO_KEY where it has none; known at home alone */
    uint64_t              last_us;   /* when its newest frame was appended, wall clock; known at home alone */
};
#define NO_KEY UINT32_MAX

struct chain {
    struct chain_link *links;    /* a ring of `capacity`, a power of two */
    uint32_t           first;    /* index of the first link in the ring */
    uint32_t           count;
    uint32_t           capacity;
    uint32_t           number;   /* of the first link's segment; where count is 0, of the next one pushed */
    enum wire_format   format;   /* of its frames */
};

void               chain_init(struct chain *chain, enum wire_format format);
void               chain_deinit(struct chain *chain);
/* Adds a segment, whose number follows the last; 0 or -ENOMEM. */
int                chain_push(struct chain *chain, struct chain_link link);
/* The same for what can't be refused: out of the thread's reserve where memory is short (reserve.h). */
void               chain_push_surely(struct chain *chain, struct chain_link link);
struct chain_link  chain_drop_first(struct chain *chain);
struct chain_link  chain_drop_last(struct chain *chain);

static inline bool chain_holds(const struct chain *chain, uint32_t number)
{
    return number - chain->number < chain->count; /* unsigned: below the first is huge */
}

static inline struct chain_link *chain_at(const struct chain *chain, uint32_t number)
{
    return &chain->links[(chain->first + (number - chain->number)) & (chain->capacity - 1)];
}

static inline const char *chain_bytes(const struct chain *chain, struct position at)
{
    return chain_at(chain, at.segment)->segment->bytes + at.offset;
}

/* Of the frame at a position. */
static inline uint64_t chain_frame_bytes(const struct chain *chain, struct position at)
{
    return format_frame_bytes(chain->format, chain_bytes(chain, at));
}

/* A mark at a segment's end is the start of the next segment, where there is one. */
struct mark chain_settle(const struct chain *chain, struct mark mark);

/* Finds the frame of `seq`, which the chain holds: tail->seq <= seq. */
struct mark chain_seek(const struct chain *chain, const struct mark *tail, uint64_t seq);

/* Moves a mark behind its frame, into the next segment where this one ends. */
struct mark chain_next(const struct chain *chain, struct mark mark);

/* From `from`, which is settled, over whole frames, up to `bytes_max` bytes (but at least one frame), or to the head.
 *   end_seq   one more than the newest seq
 *   returns   where that is; *bytes: how many it spans */
struct mark chain_walk(const struct chain *chain, struct mark from, struct position head, uint64_t end_seq, uint64_t bytes_max, uint64_t *bytes);

#endif
