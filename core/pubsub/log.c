#include "core/pubsub/log.h"

#include <string.h>

#include "core/base/check.h"

static void ends_check(const struct log *log)
{
    const struct ends *ends = &log->ends;
    if (ends->last.seq == 0) return;
    CHECK(ends->tail.seq <= ends->last.seq);
    CHECK(ends->oldest_key.seq <= ends->key.seq);
    CHECK(ends->key.seq <= ends->last.seq);
    CHECK(ends->head.segment == ends->last.at.segment);
    CHECK(ends->last.at.offset < ends->head.offset);
    CHECK(ends->head.offset <= chain_at(&log->chain, ends->head.segment)->segment->size);
}

void log_init(struct log *log, enum wire_format format, uint64_t before_seq)
{
    *log = (struct log){ .before_seq = before_seq };
    chain_init(&log->chain, format);
    log->chain.number = SEGMENT_NUMBER_FIRST;
}

void log_deinit(struct log *log, struct segment_store *store)
{
    while (log->chain.count > 0) segment_give(store, chain_drop_first(&log->chain).segment);
    chain_deinit(&log->chain);
    *log = (struct log){ 0 };
}

/* None where the wall clock was set back meanwhile. */
static uint64_t age_us(uint64_t since_us, uint64_t now_us)
{
    return now_us > since_us ? now_us - since_us : 0;
}

/* A segment that filled within a second is too small for the traffic, one that took ten is too large: whatever the window,
 * a hot topic rarely changes segment, since a send over a segment's end is a gather (MEASURED.md, taught 5). None is more than
 * a quarter of the window's bytes, so that trimming by whole segments stays near that bound. */
static uint32_t next_segment_bytes(const struct log *log, const struct window *window, uint64_t now_us)
{
    if (log->ends.last.seq == 0) return SEGMENT_BYTES_MIN;
    uint64_t bytes = log->newest_total, took_us = age_us(log->newest_opened_us, now_us);
    if (took_us < 1000000) bytes *= 2;
    else if (took_us > 10000000) bytes /= 2;
    uint64_t most = window->bytes_max / 4 < SEGMENT_BYTES_MAX ? window->bytes_max / 4 : SEGMENT_BYTES_MAX;
    if (bytes > most) bytes = most;
    return bytes < SEGMENT_BYTES_MIN ? SEGMENT_BYTES_MIN : (uint32_t)bytes;
}

char *log_reserve(struct log *log, struct segment_store *store, const struct window *window, size_t bytes, uint64_t now_us)
{
    struct ends *ends = &log->ends;
    if (ends->last.seq > 0) {
        const struct segment *newest = chain_at(&log->chain, ends->head.segment)->segment;
        if (newest->size - ends->head.offset >= bytes) return (char *)(uintptr_t)newest->bytes + ends->head.offset; /* above the head it is ours */
    }
    uint32_t number = log_next_number(log);
    struct segment *segment = segment_take(store, number, log_next_seq(log), bytes, next_segment_bytes(log, window, now_us));
    if (!segment) return NULL;
    if (chain_push(&log->chain, (struct chain_link){ .segment = segment, .first_key = NO_KEY })) {
        segment_give(store, segment);
        return NULL;
    }
    ends->head = (struct position){ number, 0 };
    return segment->bytes;
}

void log_cancel(struct log *log, struct segment_store *store)
{
    struct ends *ends = &log->ends;
    if (ends->head.segment == ends->last.at.segment && ends->last.seq > 0) return; /* there was room behind the newest frame */
    segment_give(store, chain_drop_last(&log->chain).segment);
    ends->head = (struct position){ 0 };
    if (ends->last.seq > 0) ends->head = (struct position){ ends->last.at.segment, chain_at(&log->chain, ends->last.at.segment)->end };
}

void log_commit(struct log *log, size_t bytes, bool key, uint64_t now_us)
{
    struct ends *ends = &log->ends;
    struct chain_link *newest = chain_at(&log->chain, ends->head.segment);
    struct mark mark = { ends->head, log_next_seq(log) };

    if (mark.at.offset == 0) { /* not before: what was cancelled says nothing about the traffic */
        log->newest_opened_us = now_us;
        log->newest_total = (uint32_t)sizeof *newest->segment + newest->segment->size;
    }
    if (key) log->keyed = true;
    if (key || !log->keyed) {
        ends->key = mark;
        if (newest->first_key == NO_KEY) newest->first_key = mark.at.offset;
        if (ends->oldest_key.seq == 0) ends->oldest_key = mark;
    }
    if (ends->last.seq == 0) ends->tail = mark;
    ends->last = mark;
    ends->head.offset += (uint32_t)bytes;
    newest->end = ends->head.offset;
    newest->last_us = now_us;
    log->window_bytes += bytes;
    ends_check(log);
}

static bool may_trim(const struct log *log, const struct window *window, uint64_t now_us)
{
    uint32_t number = log->ends.tail.at.segment;
    if (number == log->ends.head.segment) return false; /* holds the newest update */
    const struct chain_link *oldest = chain_at(&log->chain, number), *second = chain_at(&log->chain, number + 1);
    uint64_t updates_left = log->ends.last.seq - second->segment->first_seq + 1;
    uint64_t bytes_left = log->window_bytes - oldest->end;
    if (bytes_left >= window->bytes_max) return true;
    if (log->keyed && log->ends.key.seq < second->segment->first_seq) return false; /* the last key and all after it */
    return updates_left >= window->updates_max || age_us(oldest->last_us, now_us) > window->age_max_us;
}

/* The oldest key in the window, sought anew once the one known was trimmed. */
static struct mark oldest_key_find(const struct log *log)
{
    const struct ends *ends = &log->ends;
    if (ends->key.seq < ends->tail.seq) return (struct mark){ 0 };
    for (uint32_t number = ends->tail.at.segment;; number++) {
        const struct chain_link *link = chain_at(&log->chain, number);
        if (link->first_key == NO_KEY) continue;
        struct mark mark = { { number, 0 }, link->segment->first_seq };
        while (mark.at.offset < link->first_key) mark = chain_next(&log->chain, mark);
        return mark;
    }
}

uint32_t log_trim(struct log *log, const struct window *window, uint64_t now_us)
{
    if (log->ends.last.seq == 0) return 0;
    uint32_t trimmed = 0;
    for (; may_trim(log, window, now_us); trimmed++) {
        struct ends *ends = &log->ends;
        log->window_bytes -= chain_at(&log->chain, ends->tail.at.segment)->end;
        ends->tail.at = (struct position){ ends->tail.at.segment + 1, 0 };
        ends->tail.seq = chain_at(&log->chain, ends->tail.at.segment)->segment->first_seq;
    }
    if (trimmed > 0 && log->ends.oldest_key.seq < log->ends.tail.seq) log->ends.oldest_key = oldest_key_find(log);
    ends_check(log);
    return trimmed;
}

bool log_is_key(const struct log *log, struct mark frame)
{
    const struct ends *ends = &log->ends;
    return frame.seq == ends->oldest_key.seq || frame.seq == ends->key.seq
           || frame.at.offset == chain_at(&log->chain, frame.at.segment)->first_key;
}

/* The first frame that has to stay, whatever its age, of a log with one segment. Without marks each update is key. */
static struct mark first_to_stay(const struct log *log)
{
    return log->ends.key.seq >= log->ends.tail.seq ? log->ends.key : log->ends.tail; /* deltas stay, though their key is gone */
}

static struct segment *take_smaller(struct segment_store *store, const struct log *log, struct mark from, uint32_t bytes)
{
    const struct segment *newest = chain_at(&log->chain, from.at.segment)->segment;
    size_t fit = SEGMENT_BYTES_MIN;
    while (fit < sizeof *newest + bytes) fit *= 2;
    if (2 * fit > sizeof *newest + newest->size) return NULL;
    return segment_take_smallest(store, from.at.segment + 1, from.seq, bytes);
}

bool log_shrink(struct log *log, struct segment_store *store, const struct window *window, uint64_t now_us)
{
    struct ends *ends = &log->ends;
    if (ends->last.seq == 0 || ends->tail.at.segment != ends->head.segment) return false;
    struct mark from = first_to_stay(log);
    struct chain_link old = *chain_at(&log->chain, ends->head.segment);
    if (age_us(old.last_us, now_us) <= window->age_max_us) return false;
    uint32_t bytes = ends->head.offset - from.at.offset, number = ends->head.segment + 1;
    struct segment *segment = take_smaller(store, log, from, bytes);
    if (!segment) return false;
    bool has_key = ends->key.seq >= ends->tail.seq;
    if (chain_push(&log->chain, (struct chain_link){ segment, bytes, has_key ? 0 : NO_KEY, old.last_us })) {
        segment_give(store, segment);
        return false;
    }
    memcpy(segment->bytes, old.segment->bytes + from.at.offset, bytes);
    ends->tail = (struct mark){ { number, 0 }, from.seq };
    if (has_key) ends->key = ends->oldest_key = ends->tail;
    ends->last.at = (struct position){ number, ends->last.at.offset - from.at.offset };
    ends->head = (struct position){ number, bytes };
    log->window_bytes = bytes;
    log->newest_opened_us = now_us;
    log->newest_total = (uint32_t)sizeof *segment + segment->size;
    ends_check(log);
    return true;
}

void log_forget(struct log *log)
{
    log->ends = (struct ends){ 0 };
    log->before_seq = 0;
    log->window_bytes = 0;
    log->keyed = false;
}

void log_release(struct log *log, struct segment_store *store, uint32_t held_from)
{
    bool empty = log->ends.last.seq == 0; /* then all of it was trimmed */
    while (log->chain.count > 0 && (empty || log->chain.number != log->ends.tail.at.segment) && segment_number_before(log->chain.number, held_from))
        segment_give(store, chain_drop_first(&log->chain).segment);
}
