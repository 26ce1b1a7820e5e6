#include "core/pubsub/restore.h"

#include <string.h>

static void visit_topic(const struct topic *topic, void (*visit)(void *context, const struct kept_update *update), void *context)
{
    const struct log *log = &topic->log;
    const struct ends *ends = &log->ends;
    if (ends->last.seq == 0 || ends->key.seq < ends->tail.seq) return;
    for (struct mark mark = ends->key; mark.seq <= ends->last.seq; mark = chain_next(&log->chain, mark)) {
        struct update update = format_json_read(chain_bytes(&log->chain, mark.at), topic_name(topic));
        struct kept_update kept = { update.topic, span_of(topic->epoch, EPOCH_BYTES), update.seq, update.ts_us, update.data, log->keyed && mark.seq == ends->key.seq };
        visit(context, &kept);
    }
}

void home_visit_kept(const struct home *home, void (*visit)(void *context, const struct kept_update *update), void *context)
{
    for (uint32_t at = 0; at <= home->by_name.mask; at++) {
        if (home->by_name.slots[at].index == TABLE_NONE) continue;
        const struct topic *topic = pool_at(&home->topics, home->by_name.slots[at].index);
        if (topic->main == topic && !topic_name_reserved(topic_name(topic))) visit_topic(topic, visit, context);
    }
}

bool home_restore(struct home *home, const struct kept_update *update, uint64_t hash)
{
    uint32_t index = home_find_or_make(home, update->topic, hash, FORMAT_JSON);
    if (index == POOL_NONE) return false;
    struct topic *topic = pool_at(&home->topics, index);
    bool first = log_newest_seq(&topic->log) == 0;
    bool fits = first ? update->seq > 0 : update->seq == log_newest_seq(&topic->log) + 1 && span_equals(update->epoch, span_of(topic->epoch, EPOCH_BYTES));
    if (!fits || update->epoch.size != EPOCH_BYTES || (first && names_add(&home->names, topic_name(topic)))) {
        home_forget_if_unborn(home, index);
        return false;
    }
    if (first) {
        memcpy(topic->epoch, update->epoch.bytes, EPOCH_BYTES);
        topic->log.before_seq = topic->looked_seq = update->seq - 1; /* those before are of another time */
    }
    if (topic_append(topic, &home->store, &home->settings.window, home->settings.compressor, update->data, false, update->key, update->ts_us)) {
        home_grown(home, topic);
        return true;
    }
    if (first) {
        topic->log.before_seq = topic->looked_seq = 0;
        names_remove(&home->names, topic_name(topic));
        home_forget_if_unborn(home, index);
    }
    return false;
}
