/* A log: all that one topic's window holds in one wire format, as whole frames in a chain of segments. Home's own.
 *
 *   chain: [ trimmed, still on loan ] [ tail ........ key .. last | head  room ]
 *                                       oldest frame       newest frame
 *
 * Appending never waits for readers; trimming drops whole segments from the front and waits for nobody either: a cursor
 * that falls out is a gap or a jump. A segment's memory goes back when nobody has it on loan any more. One thread. */
#ifndef CORE_PUBSUB_LOG_H
#define CORE_PUBSUB_LOG_H

#include "core/pubsub/chain.h"

/* What a window holds at least, as far as bytes and age allow. */
struct window {
    uint64_t updates_max;
    uint64_t bytes_max; /* of frames */
    uint64_t age_max_us;
};

struct log {
    struct chain chain;
    struct ends  ends;
    uint64_t     window_bytes;   /* of frames from tail to head */
    uint64_t     newest_opened_us; /* when the newest segment was opened, to size the next by */
    uint32_t     newest_total;   /* its size with its header */
    uint64_t     before_seq;     /* the first update gets the next one; 0, unless the log is filled from another one */
    bool         keyed;          /* an update was marked: from then on unmarked ones are deltas */
};

/* Empty, and its first update gets the seq after before_seq. */
void log_init(struct log *log, enum wire_format format, uint64_t before_seq);
void log_deinit(struct log *log, struct segment_store *store);

/* Room for one frame of `bytes` behind the head, in a new segment where the newest has none. NULL: over the budget.
 * What is written there counts once log_commit() was called; nothing else may be called in between but log_cancel(), after which it
 * is as if nothing had been reserved. */
char *log_reserve(struct log *log, struct segment_store *store, const struct window *window, size_t bytes, uint64_t now_us);
void  log_cancel(struct log *log, struct segment_store *store);
void  log_commit(struct log *log, size_t bytes, bool key, uint64_t now_us);

/* Moves the tail over segments that the window need not hold; the newest update always stays, and on a keyed topic the last
 * key and all after it as far as window->bytes_max allows. Returns how many segments were trimmed. */
uint32_t log_trim(struct log *log, const struct window *window, uint64_t now_us);
/* Of a keyed log: whether the frame is known to be a key, as the oldest and the newest one and the first of each segment are. */
bool log_is_key(const struct log *log, struct mark frame);
/* A topic that was hot once does not keep a large segment for the little that must stay: where only the newest segment is left and all
 * of it is too old, the newest update (on a keyed topic the last key and all after it) moves to a segment that fits, if that is half
 * as large at most. The old one is trimmed then, as any other. */
bool log_shrink(struct log *log, struct segment_store *store, const struct window *window, uint64_t now_us);
/* Forgets all: as if nothing had ever been appended. Segments that are on loan stay until they are released; numbers go on, so
 * that a segment of the next life is never taken for one of this. */
void log_forget(struct log *log);
/* Gives back trimmed segments with numbers before `held_from`: nobody has those on loan. */
void log_release(struct log *log, struct segment_store *store, uint32_t held_from);

/* The number of the segment that comes next: all that there are have lower ones. */
static inline uint32_t log_next_number(const struct log *log)
{
    return log->chain.number + log->chain.count;
}

static inline uint64_t log_newest_seq(const struct log *log)
{
    return log->ends.last.seq;
}

static inline uint64_t log_next_seq(const struct log *log)
{
    return (log->ends.last.seq > 0 ? log->ends.last.seq : log->before_seq) + 1;
}

#endif
