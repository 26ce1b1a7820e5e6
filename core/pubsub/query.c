#include "core/pubsub/query.h"

#include <assert.h>

/* What stands around an update's data, and around all. */
enum { AROUND_BYTES = 256 };
static_assert(AROUND_BYTES > TOPIC_NAME_BYTES_MAX + EPOCH_BYTES + 2 * 20 + 64, "a name, an epoch, two numbers, and the words between them");

/* False: there is no memory for so much more of the answer, which is as if it had never begun. */
static bool has_room(struct query_reply *reply, struct text *answer, size_t data_bytes)
{
    if (text_try(answer, AROUND_BYTES + data_bytes)) return true;
    reply->busy = true;
    text_free(answer);
    return false;
}

static void add_topic(struct text *answer, const struct topic *topic)
{
    text_add_string(answer, "{\"topic\":\"");
    text_add(answer, topic_name(topic));
    text_add_string(answer, "\",\"epoch\":\"");
    text_add(answer, span_of(topic->epoch, EPOCH_BYTES));
    text_add_char(answer, '"');
}

static void add_update(struct text *answer, const struct update *update)
{
    text_add_string(answer, "\"seq\":");
    text_add_number(answer, update->seq);
    text_add_string(answer, ",\"ts\":");
    text_add_number(answer, update->ts_us);
    text_add_string(answer, ",\"data\":");
    text_add(answer, update->data);
    text_add_char(answer, '}');
}

static void answer_newest(const struct topic *topic, struct query_reply *reply, struct text *answer)
{
    struct update update = topic_newest(topic);
    if (!has_room(reply, answer, update.data.size)) return;
    add_topic(answer, topic);
    text_add_char(answer, ',');
    add_update(answer, &update);
}

static void answer_history(const struct topic *topic, const struct query_ask *ask, struct query_reply *reply, struct text *answer)
{
    enum { END_BYTES = 2 };
    const struct log *log = &topic->log;
    size_t start = answer->size;
    add_topic(answer, topic);
    text_add_string(answer, ",\"updates\":[");
    uint64_t seq = ask->after_seq < log->ends.tail.seq ? log->ends.tail.seq : ask->after_seq + 1;
    if (ask->after_seq < log->ends.last.seq) {
        struct mark mark = chain_seek(&log->chain, &log->ends.tail, seq);
        for (uint32_t count = 0; count < ask->limit && mark.seq <= log->ends.last.seq; count++, mark = chain_next(&log->chain, mark)) {
            struct update update = format_json_read(chain_bytes(&log->chain, mark.at), topic_name(topic));
            size_t before = answer->size;
            if (!has_room(reply, answer, update.data.size)) return;
            text_add_string(answer, count > 0 ? ",{" : "{");
            add_update(answer, &update);
            if (count == 0 || answer->size - start + END_BYTES <= ask->bytes_max) continue;
            answer->size = before;
            break;
        }
    }
    text_add_string(answer, "]}");
}

static void answer_names(struct home *home, const struct query_ask *ask, struct query_reply *reply, struct text *answer)
{
    const struct names *names = &home->names;
    struct span name;
    uint32_t count = 0;
    struct name_place place = names_seek(names, ask->prefix, ask->after);
    for (; (name = names_at(names, place)).bytes; place = names_following(names, place)) {
        if (!span_begins(name, ask->prefix)) break;
        if (topic_name_reserved(name) && !ask->own) continue;
        if (count == ask->limit) {
            reply->more = true;
            break;
        }
        if (count++ > 0) text_add_char(answer, ',');
        text_add_char(answer, '"');
        text_add(answer, name);
        text_add_char(answer, '"');
        reply->last = name;
    }
}

void home_query(struct home *home, const struct query_ask *ask, struct query_reply *reply, struct text *answer)
{
    *reply = (struct query_reply){ .found = true };
    if (ask->kind == QUERY_NEWS) return; /* peer.c says whether there are more */
    if (ask->kind == QUERY_NAMES) {
        answer_names(home, ask, reply, answer);
        return;
    }
    const struct topic *topic = home_find(home, ask->topic, ask->hash);
    reply->found = topic && log_newest_seq(&topic->log) > 0;
    if (!reply->found) return;
    if (ask->kind == QUERY_NEWEST) answer_newest(topic, reply, answer);
    else answer_history(topic, ask, reply, answer);
}
