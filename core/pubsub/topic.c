#include "core/pubsub/topic.h"

#include "core/base/check.h"

static const struct format *format_of(const struct topic *topic)
{
    return &formats[topic->log.chain.format];
}

/* Into room for its frame_bytes(); returns the bytes that it took. */
static size_t encode(const struct topic *topic, const struct update *update, const struct compressor *compressor, char *frame, size_t bytes)
{
    format_of(topic)->encode(update, frame);
    return format_is_deflated(topic->log.chain.format) ? format_deflate(compressor, frame, bytes) : bytes;
}

/* Where an update's frame goes in one of a topic's logs. */
struct place {
    char  *frame;
    size_t bytes;
};

/* Room in each log. False: in none. */
static bool reserve_all(struct topic *topic, struct segment_store *store, const struct window *window, const struct update *update, uint64_t now_us, struct place *place)
{
    for (struct topic *one = topic; one; one = one->next_format, place++) {
        place->bytes = format_of(one)->frame_bytes(update);
        place->frame = log_reserve(&one->log, store, window, place->bytes, now_us);
        if (place->frame) continue;
        for (struct topic *before = topic; before != one; before = before->next_format) log_cancel(&before->log, store);
        return false;
    }
    return true;
}

bool topic_append(struct topic *topic, struct segment_store *store, const struct window *window, const struct compressor *compressor, struct span data, bool line_break, bool key, uint64_t now_us)
{
    struct update update = {
        .topic = topic_name(topic),
        .seq = log_next_seq(&topic->log),
        .ts_us = now_us > topic->ts_us ? now_us : topic->ts_us,
        .data = data,
        .line_break = line_break,
    };
    static const struct window none = { 0 };
    struct place places[FORMATS_COUNT], *place = places;
    /* Near the budget the smallest segments: a large one for the first log would leave nothing for the next. */
    if (!reserve_all(topic, store, window, &update, now_us, places) && !reserve_all(topic, store, &none, &update, now_us, places)) return false;
    for (struct topic *one = topic; one; one = one->next_format, place++) {
        size_t bytes = encode(one, &update, compressor, place->frame, place->bytes);
        log_commit(&one->log, bytes, key, now_us);
    }
    topic->ts_us = update.ts_us;
    return true;
}

/* Goes on from a frame of the main log, to its head. */
static bool fill_from(struct topic *topic, struct mark from, struct segment_store *store, const struct window *window, const struct compressor *compressor)
{
    const struct log *source = &topic->main->log;
    struct log *log = &topic->log;
    log->before_seq = from.seq - 1;
    log->keyed = source->keyed;
    if (source->ends.key.seq < from.seq) log->ends.key.seq = source->ends.key.seq; /* it left the window: a snapshot begins with a gap from there */
    for (struct mark mark = from; mark.seq <= source->ends.last.seq; mark = chain_next(&source->chain, mark)) {
        struct update update = format_json_read(chain_bytes(&source->chain, mark.at), topic_name(topic));
        size_t bytes = format_of(topic)->frame_bytes(&update);
        char *frame = log_reserve(log, store, window, bytes, update.ts_us); /* as if it had been appended then: its age counts */
        if (!frame) return false;
        bytes = encode(topic, &update, compressor, frame, bytes);
        log_commit(log, bytes, source->keyed && log_is_key(source, mark), update.ts_us);
    }
    return true;
}

static void make_empty(struct log *log, struct segment_store *store)
{
    log_forget(log);
    log_release(log, store, log_next_number(log));
}

bool topic_fill(struct topic *topic, struct segment_store *store, const struct window *window, const struct compressor *compressor)
{
    const struct ends *ends = &topic->main->log.ends;
    if (ends->last.seq == 0) return true;
    if (fill_from(topic, ends->tail, store, window, compressor)) return true;
    make_empty(&topic->log, store); /* then at least what a snapshot needs */
    if (fill_from(topic, ends->key.seq >= ends->tail.seq ? ends->key : ends->last, store, window, compressor)) return true;
    make_empty(&topic->log, store);
    return false;
}

struct update topic_newest(const struct topic *topic)
{
    const struct log *log = &topic->log;
    CHECK(log->ends.last.seq > 0);
    return format_json_read(chain_bytes(&log->chain, log->ends.last.at), topic_name(topic));
}
