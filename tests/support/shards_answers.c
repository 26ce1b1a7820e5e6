/* Judges what homes answer to readings of what they hold. */
#include "tests/support/shards.h"

#include <inttypes.h>
#include <stdio.h>

/* "seq":…,"ts":…,"data":…} at the start of `at`; returns where it ends, NULL: it is none. */
static const char *judge_update(struct shards *shards, uint32_t topic, const char *epoch, const char *at, uint64_t *seq)
{
    int data_at = 0;
    uint64_t ts_us;
    if (sscanf(at, "\"seq\":%" SCNu64 ",\"ts\":%" SCNu64 ",\"data\":%n", seq, &ts_us, &data_at) != 2 || data_at == 0) return NULL;
    const char *data = at + data_at, *end = strstr(data, "\"]}");
    uint32_t number;
    if (!end) return NULL;
    if (shards_number_of(shards, topic, span_of(data, (size_t)(end + 2 - data)), &number)) shards_place(shards, number, epoch, *seq);
    return end + 3;
}

static bool judge_history(struct shards *shards, uint32_t topic, const char *epoch, const struct query_ask *ask, const char *at)
{
    static const char before[] = "\"updates\":[";
    uint64_t last = 0, seq;
    uint32_t count = 0;
    if (strncmp(at, before, sizeof before - 1) != 0) return false;
    for (at += sizeof before - 1; *at == '{' || (*at == ',' && at[1] == '{'); last = seq, count++) {
        at = judge_update(shards, topic, epoch, at + (*at == ',' ? 2 : 1), &seq);
        if (!at) return false;
        if (seq <= ask->after_seq || (last && seq != last + 1)) fault_say(&shards->fault, "%s: an answer has %llu after %llu", shards->names[topic], (unsigned long long)seq, (unsigned long long)(last ? last : ask->after_seq));
    }
    return strcmp(at, "]}") == 0 && count <= ask->limit;
}

static bool judge_names(struct shards *shards, const struct query_ask *ask, const struct query_reply *reply, const char *at)
{
    char last[32] = "", name[32];
    uint32_t count = 0;
    for (int size = 0; *at; at += size + (at[size] == ','), count++) {
        if (sscanf(at, "\"%31[^\"]\"%n", name, &size) != 1) return false;
        uint32_t topic = shards_topic_named(shards, span_of_string(name));
        if (shards_home_of(shards, topic) != ask->shard || strncmp(name, ask->prefix.bytes, ask->prefix.size) != 0 || strcmp(name, last) <= 0) return false;
        if (ask->after.bytes && strncmp(name, ask->after.bytes, ask->after.size) < 0) return false;
        snprintf(last, sizeof last, "%s", name);
    }
    return count <= ask->limit && (!reply->more || count == ask->limit) && span_equals(count ? reply->last : SPAN_NONE, span_of(count ? last : NULL, strlen(last)));
}

void shards_judge_answer(struct shard_sim *shard, const struct query_ask *ask, const struct query_reply *reply, struct span answer)
{
    struct shards *shards = shard->all;
    char text[8192], name[32], epoch[EPOCH_BYTES + 1];
    int at = 0;
    uint64_t seq;
    bool right = answer.size < sizeof text;
    snprintf(text, sizeof text, "%.*s", (int)answer.size, answer.size ? answer.bytes : "");
    shards->seen.answers += reply->found;
    if (ask->kind == QUERY_NEWS) right = answer.size == 0;
    else if (ask->kind == QUERY_NAMES) right = right && judge_names(shards, ask, reply, text);
    else if (!reply->found) right = right && answer.size == 0;
    else {
        right = right && sscanf(text, "{\"topic\":\"%31[^\"]\",\"epoch\":\"%8[^\"]\",%n", name, epoch, &at) == 2 && at > 0 && span_equals(span_of_string(name), ask->topic);
        uint32_t topic = right ? shards_topic_named(shards, span_of_string(name)) : 0;
        if (right && ask->kind == QUERY_HISTORY) right = judge_history(shards, topic, epoch, ask, text + at);
        else if (right) {
            const char *end = judge_update(shards, topic, epoch, text + at, &seq);
            right = end && !*end;
        }
    }
    if (!right) fault_say(&shards->fault, "shard %u: a wrong answer: found %d, %.200s", shard->index, reply->found, text);
}
