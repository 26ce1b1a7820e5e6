/* What a subscription is to be sent next: from its cursor to the head, or, in mode `latest` and where the subscriber is behind,
 * from the newest key: who keeps up misses nothing, who doesn't gets what is newest when there is room.
 *
 * Fan-out, catching up, conflation, snapshot, resume and gap detection are this one act. Nothing here sends: the caller tells
 * the news, sends the pieces and then moves the cursor by what the kernel took. Its shard's thread only. */
#ifndef CORE_PUBSUB_CURSOR_H
#define CORE_PUBSUB_CURSOR_H

#include "core/pubsub/local_topic.h"

/* What must be told before the range, in this order. */
struct cursor_news {
    bool     new_life; /* op:topic: the epoch, born since the subscription was made */
    uint64_t gap_from, gap_to; /* op:gap, both inclusive; gap_to 0: none */
};

/* A range of whole frames. */
struct range {
    struct mark from, to; /* to: behind its last frame */
    uint64_t    bytes;
    uint64_t    oldest_us; /* when its first update was appended, wall clock; 0: the format does not say */
};

/* One contiguous run of it. */
struct piece {
    const char *bytes;
    uint64_t    size;
};

#define RANGE_BYTES_MAX (64u * 1024u) /* of one subscription in one pass; a single larger frame is taken whole (MEASURED.md, taught 2) */

/* Of one subscription that reads lines: what a message of them may hold, since the rest of one that is cut must be kept. */
#define RANGE_LINES_BYTES_MAX (16u * 1024u)

static inline uint32_t range_bytes_max(enum wire_format format)
{
    return format_is_lines(format) ? RANGE_LINES_BYTES_MAX : RANGE_BYTES_MAX;
}

/* Brings the cursor to where sending goes on: over what the window no longer holds, over what is superseded, into the topic's
 * new life. behind: the subscriber could not take all that was pending (struct subscriber). The caller must tell *news: the cursor is behind it already. False: it is caught up, nothing is to be sent. */
bool cursor_advance(const struct local_topic *local, struct subscription *subscription, bool behind, struct counters *counters, struct cursor_news *news);

/* The range from the cursor on, after cursor_advance() said true; at most range_bytes_max(), but at least one frame. */
void cursor_cut(struct local_topic *local, const struct subscription *subscription, struct range *range);

/* The pieces of a range, one for each segment it touches; returns how many, at most pieces_max (then the range is cut
 * shorter, at a segment's end). */
uint32_t range_pieces(const struct local_topic *local, struct range *range, struct piece *pieces, uint32_t pieces_max);

/* Where `sent` bytes of a range end: behind that many whole frames. *into: bytes of the next frame that were sent too. */
struct mark range_sent(const struct local_topic *local, const struct range *range, uint64_t sent, uint64_t *into);

#endif
