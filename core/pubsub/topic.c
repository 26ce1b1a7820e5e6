#include "core/pubsub/topic.h"

#include "core/base/check.h"

bool topic_append(struct topic *topic, struct segment_store *store, const struct window *window, struct span data, bool line_break, bool key, uint64_t now_us)
{
    struct update update = {
        .topic = topic_name(topic),
        .seq = log_newest_seq(&topic->json) + 1,
        .ts_us = now_us > topic->ts_us ? now_us : topic->ts_us,
        .data = data,
        .line_break = line_break,
    };
    size_t bytes = format_json.frame_bytes(&update);
    char *frame = log_reserve(&topic->json, store, window, bytes, now_us);
    if (!frame) return false;
    format_json.encode(&update, frame);
    log_commit(&topic->json, bytes, key, now_us);
    topic->ts_us = update.ts_us;
    return true;
}

struct update topic_read(const struct topic *topic, uint64_t seq)
{
    const struct log *log = &topic->json;
    CHECK(seq <= log->ends.last.seq);
    struct mark mark = chain_seek(&log->chain, &log->ends.tail, seq);
    return format_json_read(chain_bytes(&log->chain, mark.at), topic_name(topic));
}

struct update topic_newest(const struct topic *topic)
{
    const struct log *log = &topic->json;
    CHECK(log->ends.last.seq > 0);
    return format_json_read(chain_bytes(&log->chain, log->ends.last.at), topic_name(topic));
}
