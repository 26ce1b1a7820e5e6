#include "gateway/publish.h"

#include "gateway/access.h"
#include "gateway/conn.h"
#include "gateway/limits.h"

#define PAYLOAD_DEPTH_MAX 64

static const struct json_value *value_of(const struct request *request, enum request_key key)
{
    return request_has(request, key) ? &request->values[key] : NULL;
}

struct publish_request publish_request_of(const struct request *request, const struct credential *credential)
{
    return (struct publish_request){
        .credential = credential,
        .topic = value_of(request, KEY_TOPIC),
        .data = value_of(request, KEY_DATA),
        .key = value_of(request, KEY_KEY),
    };
}

static void refuse(struct shard *shard, struct publish_outcome *outcome, const char *code, const char *why)
{
    outcome->code = code;
    outcome->why = why;
    counter_add(&shard->counters, COUNTER_PUBLISH_REFUSED, 1);
}

static void refuse_too_large(struct shard *shard, struct publish_outcome *outcome, size_t bytes)
{
    refuse(shard, outcome, limit_code(LIMIT_PAYLOAD), limit_hit_by(shard, LIMIT_PAYLOAD, outcome->topic, bytes));
}

const char *publish_topic_fault(struct span topic)
{
    const char *why = topic_name_fault(topic);
    if (!why && topic_name_reserved(topic)) why = "names that begin with $ are the gateway's own";
    return why;
}

void publish_judge(struct shard *shard, struct publish_outcome *outcome)
{
    outcome->code = NULL;
    if (outcome->reply.verdict == PUBLISH_BUSY) refuse(shard, outcome, limit_code(LIMIT_LOG_BYTES), limit_hit(shard, NULL, LIMIT_LOG_BYTES));
    if (outcome->reply.verdict == PUBLISH_TOPICS_FULL) refuse(shard, outcome, limit_code(LIMIT_TOPICS), limit_hit(shard, NULL, LIMIT_TOPICS));
}

static void append(struct shard *shard, struct span data, bool line_break, bool key, uint32_t ticket, struct publish_outcome *outcome)
{
    struct publish_ask ask = { .topic = outcome->topic, .data = data, .line_break = line_break, .key = key };
    enum { TOIL_OF_LOOK = 32 }; /* as many bytes of updates cost as much */
    if (shard->tracing) trace_read(shard->tracing->trace, shard->tracing->received_ns);
    uint64_t looked = shard->engine.home.looks;
    enum link_result result = ticket == TICKET_NONE ? LINK_FULL : engine_publish(&shard->engine, &ask, ticket, &outcome->reply);
    shard->toil += (shard->engine.home.looks - looked) * TOIL_OF_LOOK; /* a topic was born */
    outcome->full = result == LINK_FULL;
    outcome->sent = result == LINK_SENT;
    if (result == LINK_DONE) publish_judge(shard, outcome);
}

static const char *read_topic(const struct json_value *topic, struct publish_outcome *outcome)
{
    if (!topic || topic->kind != JSON_STRING) return "\"topic\" is missing or not a string";
    outcome->topic = json_string_inside(topic);
    if (!topic->escaped) return NULL;
    long size = json_string_unescape(topic, outcome->topic_room, sizeof outcome->topic_room);
    outcome->topic = span_of(outcome->topic_room, size < 0 ? 0 : (size_t)size); /* an empty name is refused below */
    return NULL;
}

/* Levels of brackets in a value that is known to be valid. */
static bool too_deep(struct span text)
{
    uint32_t depth = 0;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.bytes[i];
        if (c == '"') {
            for (i++; text.bytes[i] != '"'; i++)
                if (text.bytes[i] == '\\') i++;
        } else if (c == '{' || c == '[') {
            if (++depth > PAYLOAD_DEPTH_MAX) return true;
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return false;
}

void publish_one(struct shard *shard, const struct publish_request *request, uint32_t ticket, struct publish_outcome *outcome)
{
    outcome->full = outcome->sent = false;
    const char *why = read_topic(request->topic, outcome);
    outcome->code = access_publish_fault(shard, request->credential, why ? SPAN_NONE : outcome->topic, outcome->why_room);
    if (outcome->code) {
        refuse(shard, outcome, outcome->code, outcome->why_room);
        return;
    }
    if (why) {
        refuse(shard, outcome, "bad_request", why);
        return;
    }
    why = publish_topic_fault(outcome->topic);
    if (why) refuse(shard, outcome, "bad_topic", why);
    else if (!request->data) refuse(shard, outcome, "bad_request", "\"data\" is missing");
    else if (request->key && request->key->kind != JSON_TRUE && request->key->kind != JSON_FALSE) refuse(shard, outcome, "bad_request", "\"key\" must be true or false");
    else if (request->data->text.size > shard->settings->limits_payload) refuse_too_large(shard, outcome, request->data->text.size);
    else if ((request->data->kind == JSON_OBJECT || request->data->kind == JSON_ARRAY) && request->data->text.size > 2 * PAYLOAD_DEPTH_MAX && too_deep(request->data->text))
        refuse(shard, outcome, "bad_payload", "the payload is nested deeper than 64 levels");
    else append(shard, request->data->text, request->data->line_break, request->key && request->key->kind == JSON_TRUE, ticket, outcome);
}

void publish_body(struct shard *shard, struct span topic, struct span body, bool key, uint32_t ticket, struct publish_outcome *outcome)
{
    struct json_value data;
    outcome->full = outcome->sent = false;
    outcome->code = NULL;
    outcome->topic = topic;
    switch (json_validate(body, PAYLOAD_DEPTH_MAX, &data)) {
    case JSON_SYNTAX: refuse(shard, outcome, "bad_payload", "the payload is not JSON"); return;
    case JSON_DEEP: refuse(shard, outcome, "bad_payload", "the payload is nested deeper than 64 levels"); return;
    case JSON_OK: break;
    }
    if (data.text.size > shard->settings->limits_payload) refuse_too_large(shard, outcome, data.text.size);
    else append(shard, data.text, data.line_break, key, ticket, outcome);
}

void publish_write_reply(struct text *text, const char *before, const struct publish_outcome *outcome)
{
    text_add_string(text, before);
    text_add_string(text, "\"topic\":\"");
    text_add(text, outcome->topic);
    text_add_string(text, "\",\"epoch\":\"");
    text_add(text, span_of(outcome->reply.epoch, EPOCH_BYTES));
    text_add_string(text, "\",\"seq\":");
    text_add_number(text, outcome->reply.seq);
}

bool query_boolean(struct span text, bool *value)
{
    *value = span_is(text, "true") || span_is(text, "1");
    return *value || span_is(text, "false") || span_is(text, "0");
}

bool query_number(struct span text, uint64_t min, uint64_t max, uint64_t *value)
{
    *value = 0;
    if (text.size == 0 || text.size > 19) return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.bytes[i] < '0' || text.bytes[i] > '9') return false;
        *value = *value * 10 + (uint64_t)(text.bytes[i] - '0');
    }
    return *value >= min && *value <= max;
}
