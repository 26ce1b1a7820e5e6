#include "core/pubsub/cursor.h"

/* Over what the window no longer holds. `every` is told; on a topic without marks `latest` merely jumps, on a keyed one it
 * would lose deltas, so it is told too. */
static void leave_behind(const struct local_topic *local, struct subscription *subscription, struct counters *counters, struct cursor_news *news)
{
    const struct ends *ends = &local->ends;
    struct mark to = ends->oldest_key.seq > 0 ? ends->oldest_key : ends->tail;
    uint64_t due_seq = subscription_due_seq(subscription), lost = to.seq - due_seq;
    news->gap_from = due_seq;
    news->gap_to = to.seq - 1;
    subscription->next_seq = to.seq;
    subscription->jumped = 0;
    subscription->at = to.at;
    counter_add(counters, COUNTER_GAPS, 1);
    counter_add(counters, COUNTER_GAP_UPDATES, lost);
}

/* Where the frame of next_seq lies, which the window holds. */
static void find_place(const struct local_topic *local, struct subscription *subscription)
{
    bool known = subscription->at.offset != POSITION_UNKNOWN.offset;
    if (!known || !chain_holds(&local->chain, subscription->at.segment))
        subscription->at = chain_seek(&local->chain, &local->ends.tail, subscription->next_seq).at;
    subscription->at = chain_settle(&local->chain, (struct mark){ subscription->at, 0 }).at;
}

/* More than one pass may carry is pending: even a reader that takes all would be sent old values first. */
static bool far_behind(const struct local_topic *local, const struct subscription *subscription)
{
    const struct ends *ends = &local->ends;
    if (subscription->next_seq < ends->tail.seq) return true;
    if (subscription->at.segment == ends->head.segment) return ends->head.offset - subscription->at.offset > RANGE_BYTES_MAX;
    uint64_t bytes = ends->head.offset;
    for (uint32_t number = subscription->at.segment; number != ends->head.segment && bytes <= RANGE_BYTES_MAX; number++)
        bytes += chain_at(&local->chain, number)->end - (number == subscription->at.segment ? subscription->at.offset : 0);
    return bytes > RANGE_BYTES_MAX;
}

/* Whether a newer key takes the place of what lies before it. */
static bool is_superseded(const struct local_topic *local, const struct subscription *subscription, bool behind)
{
    const struct ends *ends = &local->ends;
    if (subscription->mode != MODE_LATEST || ends->key.seq <= subscription->next_seq || ends->key.seq < ends->tail.seq) return false;
    return behind || subscription->skips || subscription->paced || far_behind(local, subscription);
}

bool cursor_advance(const struct local_topic *local, struct subscription *subscription, bool behind, struct counters *counters, struct cursor_news *news)
{
    const struct ends *ends = &local->ends;
    *news = (struct cursor_news){ 0 };
    if (!local_topic_born(local)) return false;

    if (subscription->life != local->life) {
        *news = (struct cursor_news){ .new_life = true };
        subscription->life = local->life;
        subscription->next_seq = 1;
        subscription->jumped = 0;
        subscription->at = POSITION_UNKNOWN;
    }
    if (subscription->next_seq > ends->last.seq) return false;

    bool outrun = subscription->next_seq < ends->tail.seq;
    if (!outrun) find_place(local, subscription);
    bool superseded = is_superseded(local, subscription, behind);
    subscription->skips = false;
    if (superseded) {
        counter_add(counters, COUNTER_UPDATES_SUPERSEDED, ends->key.seq - subscription->next_seq);
        uint64_t jumped = subscription->jumped + (ends->key.seq - subscription->next_seq);
        subscription->jumped = jumped < UINT32_MAX ? (uint32_t)jumped : UINT32_MAX; /* more than any window holds */
        subscription->next_seq = ends->key.seq;
        subscription->at = ends->key.at;
        return true;
    }
    if (outrun) leave_behind(local, subscription, counters, news);
    return true;
}

/* Written where it will lie: a range that is returned is put together in registers and copied, and that waits for its own stores. */
void cursor_cut(struct local_topic *local, const struct subscription *subscription, struct range *range)
{
    range->from = (struct mark){ subscription->at, subscription->next_seq };
    /* Those who stand at the same place are cut alike: the first one's walk over frame headers serves all. */
    if (local->memo_bytes == 0 || local->memo_seq != subscription->next_seq) {
        local->memo_seq = subscription->next_seq;
        local->memo_to = chain_walk(&local->chain, range->from, local->ends.head, local->ends.last.seq + 1, range_bytes_max(local->chain.format), &local->memo_bytes);
        local->memo_us = format_ts_read(local->chain.format, chain_bytes(&local->chain, range->from.at), local_topic_name(local));
    }
    range->to = local->memo_to;
    range->bytes = local->memo_bytes;
    range->oldest_us = local->memo_us;
}

uint32_t range_pieces(const struct local_topic *local, struct range *range, struct piece *pieces, uint32_t pieces_max)
{
    uint32_t count = 0;
    uint64_t left = range->bytes;
    for (struct position at = range->from.at; left > 0; at = (struct position){ at.segment + 1, 0 }) {
        const struct chain_link *link = chain_at(&local->chain, at.segment);
        if (count == pieces_max) {
            range->to = (struct mark){ at, link->segment->first_seq };
            range->bytes -= left;
            break;
        }
        uint64_t size = link->end - at.offset;
        if (size > left) size = left;
        pieces[count++] = (struct piece){ link->segment->bytes + at.offset, size };
        left -= size;
    }
    return count;
}

struct mark range_sent(const struct local_topic *local, const struct range *range, uint64_t sent, uint64_t *into)
{
    struct mark mark = range->from;
    while (sent > 0) {
        uint64_t frame_bytes = chain_frame_bytes(&local->chain, mark.at);
        if (frame_bytes > sent) break;
        sent -= frame_bytes;
        mark = chain_next(&local->chain, mark);
    }
    *into = sent;
    return mark;
}
