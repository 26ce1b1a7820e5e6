/* What a reader receives. See reader.h. */
#include <stdio.h>

#include "core/base/check.h"
#include "core/proto/ws_frame.h"
#include "tests/support/deflating.h"
#include "tests/support/reader_view.h"

typedef unsigned long long number; /* as scanf and printf want it */

static const char *mode_name(const struct followed *followed)
{
    return followed->every ? "every" : "latest";
}

/* The life that the client believes in. */
static const struct past_life *life_of(const struct reader *reader, uint32_t topic)
{
    return &reader->history->topics[topic].lives[reader->as_told.followed[topic].life];
}

/* ---- updates ----------------------------------------------------------------------------------------------------------- */

static void judge_place(struct reader *reader, uint32_t topic, number seq)
{
    const char *name = reader->history->topics[topic].name;
    const struct followed *followed = &reader->as_told.followed[topic];
    number due = followed->next;
    if (seq < due) fault_say(reader->fault, "%s (%s): update %llu came double or out of order; %llu was due", name, mode_name(followed), seq, due);
    if (seq < followed->least) fault_say(reader->fault, "%s (latest): update %llu, although it was to go on with %llu", name, seq, (number)followed->least);
    if (seq <= due) return;
    reader->jumps_count++;
    if (followed->every) fault_say(reader->fault, "%s (every): update %llu is lost; %llu came, and no gap was told", name, due, seq);
    else if (!history_is_key(life_of(reader, topic), seq)) fault_say(reader->fault, "%s (latest): jumped from %llu to %llu, which is no key", name, due, seq);
}

static void on_update(struct reader *reader, struct span message)
{
    char name[PAST_NAME_MAX + 1] = "", head[301];
    number seq = 0;
    snprintf(head, sizeof head, "%.*s", (int)(message.size < 300 ? message.size : 300), message.bytes);
    uint32_t topic = PAST_TOPICS_MAX;
    if (sscanf(head, reader->format == FORMAT_ARRAY ? "[\"%128[^\"]\",%llu," : "{\"topic\":\"%128[^\"]\",\"seq\":%llu,", name, &seq) == 2) topic = history_find(reader->history, span_of_string(name));
    struct followed *followed = &reader->as_told.followed[topic == PAST_TOPICS_MAX ? 0 : topic];
    if (topic == PAST_TOPICS_MAX) fault_say(reader->fault, "an update of no topic: %.80s", head);
    else if (!followed->on) fault_say(reader->fault, "%s: update %llu of what is not subscribed", name, seq);
    else if (followed->unborn) fault_say(reader->fault, "%s: update %llu, but no op:topic told its epoch", name, seq);
    else if (seq == 0 || seq > life_of(reader, topic)->newest) fault_say(reader->fault, "%s: update %llu, which nobody published", name, seq);
    if (fault_found(reader->fault)) return;

    reader->expected.size = 0;
    history_message(reader->history, reader->format, topic, life_of(reader, topic), seq, &reader->expected);
    if (!span_equals(message, text_span(&reader->expected))) {
        bool poisoned = span_find(message, POISON_BYTE);
        fault_say(reader->fault, "%s: the bytes of update %llu are %s", name, seq, poisoned ? "poisoned" : "not those that were published");
        return;
    }
    reader->updates_count++;
    judge_place(reader, topic, seq);
    followed->next = seq + 1;
}

/* A payload alone. What is too short for a number is anybody's. */
static void on_raw(struct reader *reader, struct span message)
{
    const struct past_place *place = history_place(reader->history, message);
    reader->updates_count++;
    if (!place) {
        if (message.size >= PAST_NUMBER_BYTES) fault_say(reader->fault, "a payload of nobody: %.*s", (int)(message.size < 80 ? message.size : 80), message.bytes);
        return;
    }
    const struct past_topic *topic = &reader->history->topics[place->topic];
    reader->expected.size = 0;
    history_message(reader->history, FORMAT_RAW, place->topic, &topic->lives[place->life], place->seq, &reader->expected);
    if (!span_equals(message, text_span(&reader->expected))) fault_say(reader->fault, "%s: the bytes of update %llu are not those that were published", topic->name, (number)place->seq);
    uint32_t life = reader->raw[place->topic].life;
    uint64_t seq = reader->raw[place->topic].seq;
    bool in_order = place->life > life || (place->life == life && place->seq > seq);
    if (!in_order && reader->raw[place->topic].anew == 0) fault_say(reader->fault, "%s (raw): update %llu came double or out of order after %llu", topic->name, (number)place->seq, (number)seq);
    if (!in_order && reader->raw[place->topic].anew > 0) reader->raw[place->topic].anew--;
    reader->raw[place->topic].life = place->life;
    reader->raw[place->topic].seq = place->seq;
}

static void raw_at_rest(struct reader *reader, uint32_t index)
{
    const struct past_life *life = history_life(reader->history, index);
    const struct followed *followed = &reader->as_asked.followed[index];
    uint32_t newest_life = reader->history->topics[index].lives_count - 1;
    bool owed = followed->on && (followed->life != newest_life || followed->next <= life->newest);
    bool numbered = history_at(life, life->newest)->data_bytes >= PAST_NUMBER_BYTES;
    if (!owed || !numbered || (reader->raw[index].life == newest_life && reader->raw[index].seq == life->newest)) return;
    fault_say(reader->fault, "%s (raw): at rest it has %llu, but the newest is %llu", reader->history->topics[index].name, (number)reader->raw[index].seq, (number)life->newest);
}

static void on_gap(struct reader *reader, const char *message)
{
    char name[PAST_NAME_MAX + 1] = "";
    number from = 0, to = 0;
    int end = 0;
    sscanf(message, "{\"op\":\"gap\",\"topic\":\"%128[^\"]\",\"from\":%llu,\"to\":%llu}%n", name, &from, &to, &end);
    uint32_t topic = history_find(reader->history, span_of_string(name));
    if (end == 0 || message[end] || topic == PAST_TOPICS_MAX) {
        fault_say(reader->fault, "not a gap: %s", message);
        return;
    }
    reader->gaps_count++;
    struct followed *followed = &reader->as_told.followed[topic];
    const struct past_life *life = life_of(reader, topic);
    if (!followed->on || followed->unborn) fault_say(reader->fault, "%s: a gap of what is not subscribed or not born", name);
    else if (from != followed->next || to < from || to >= life->newest) fault_say(reader->fault, "%s: a gap from %llu to %llu; %llu was due", name, from, to, (number)followed->next);
    else if (!followed->every && !life->keyed) fault_say(reader->fault, "%s (latest): a gap, although each update is key", name);
    followed->next = to + 1;
    followed->least = 0; /* that key is gone too */
}

/* ---- births ------------------------------------------------------------------------------------------------------------ */

static void topic_print(struct text *text, const char *name, const char *epoch, uint64_t seq, const char *by, const char *resumed)
{
    text_print(text, "{\"op\":\"topic\",\"topic\":\"%s\",\"epoch\":\"%s\",\"seq\":%llu", name, epoch, (number)seq);
    if (by) text_print(text, ",\"by\":\"%s\"", by);
    text_print(text, "%s}", resumed);
}

/* A topic is born, or born anew, that was asked for by name or is covered by a pattern. */
static void on_birth(struct reader *reader, struct span message)
{
    char small[512], name[PAST_NAME_MAX + 1] = "", epoch[9] = "";
    snprintf(small, sizeof small, "%.*s", (int)message.size, message.bytes);
    sscanf(small, "{\"op\":\"topic\",\"topic\":\"%128[^\"]\",\"epoch\":\"%8[^\"]\"", name, epoch);
    uint32_t index = history_find(reader->history, span_of_string(name));
    if (index == PAST_TOPICS_MAX) {
        fault_say(reader->fault, "an op:topic of no topic: %s", small);
        return;
    }
    const struct past_topic *topic = &reader->history->topics[index];
    struct followed *followed = &reader->as_told.followed[index];
    uint32_t life = !followed->on ? 0 : followed->unborn ? followed->life : followed->life + 1;
    while (life < topic->lives_count && strcmp(topic->lives[life].epoch, epoch) != 0) life++;
    if (life == topic->lives_count) {
        fault_say(reader->fault, "%s: op:topic with epoch %s, which is no new life", name, epoch);
        return;
    }
    view_birth(&reader->as_told, reader->history, index, life);
    if (!followed->on) fault_say(reader->fault, "%s: op:topic of what is not subscribed", name);
    reader->expected.size = 0;
    topic_print(&reader->expected, name, epoch, 0, followed->by_name ? NULL : patterns_known[view_ruling(&reader->as_told, name)], "");
    if (!fault_found(reader->fault) && !span_equals(message, text_span(&reader->expected)))
        fault_say(reader->fault, "%s came, not %.*s", small, (int)reader->expected.size, reader->expected.bytes);
}

/* ---- acks -------------------------------------------------------------------------------------------------------------- */

/* The ack that must come, as text. */
static void ack_print(const struct reader *reader, const struct asked *asked, struct text *text)
{
    const struct past_topic *topic = &reader->history->topics[asked->which]; /* where it is one */
    switch (asked->what) {
    case ASKED_TOPIC:
        text_print(text, "{\"op\":\"subscribed\",\"topics\":[{\"topic\":\"%s\"", topic->name);
        if (asked->newest > 0) text_print(text, ",\"epoch\":\"%s\"", topic->lives[asked->fresh.life].epoch);
        text_print(text, ",\"seq\":%llu%s}]}", (number)asked->newest, !asked->again && asked->resumed ? ",\"resumed\":true" : "");
        break;
    case ASKED_COVERED: /* its pattern was acknowledged just before, and rules */
        topic_print(text, topic->name, topic->lives[asked->fresh.life].epoch, asked->newest, patterns_known[view_ruling(&reader->as_told, topic->name)],
                    !asked->resumes ? "" : asked->resumed ? ",\"resumed\":true" : ",\"resumed\":false");
        break;
    case ASKED_PATTERN: text_print(text, "{\"op\":\"subscribed\",\"topics\":[{\"topic\":\"%s\"}]}", patterns_known[asked->which]); break;
    case ASKED_END: text_print(text, "{\"op\":\"unsubscribed\",\"topics\":[\"%s\"]}", topic->name); break;
    case ASKED_PATTERN_END: text_print(text, "{\"op\":\"unsubscribed\",\"topics\":[\"%s\"]}", patterns_known[asked->which]); break;
    }
}

static void on_ack(struct reader *reader, struct span message)
{
    if (reader->asked_count == 0) {
        fault_say(reader->fault, "an ack of nothing: %.*s", (int)message.size, message.bytes);
        return;
    }
    const struct asked *asked = &reader->asked[reader->asked_first];
    reader->asked_first = (reader->asked_first + 1) % ASKED_MAX;
    reader->asked_count--;
    reader->expected.size = 0;
    ack_print(reader, asked, &reader->expected);
    if (!span_equals(message, text_span(&reader->expected)))
        fault_say(reader->fault, "the ack is %.*s, but it was %.*s", (int)message.size, message.bytes, (int)reader->expected.size, reader->expected.bytes);
    view_apply(&reader->as_told, reader->history, asked);
}

/* ---- the stream -------------------------------------------------------------------------------------------------------- */

static void on_message(struct reader *reader, struct span message)
{
    static const struct span array = SPAN_LITERAL("[\""), update = SPAN_LITERAL("{\"topic\":"), gap = SPAN_LITERAL("{\"op\":\"gap\","), topic = SPAN_LITERAL("{\"op\":\"topic\","), op = SPAN_LITERAL("{\"op\":\"");
#define BEGINS_WITH(what) (message.size >= (what).size && memcmp(message.bytes, (what).bytes, (what).size) == 0)
    bool covered_is_due = reader->asked_count > 0 && reader->asked[reader->asked_first].what == ASKED_COVERED;
    char small[512];
    snprintf(small, sizeof small, "%.*s", (int)(message.size < 500 ? message.size : 500), message.bytes);
    if (reader->format == FORMAT_RAW) on_raw(reader, message);
    else if (reader->format == FORMAT_ARRAY ? BEGINS_WITH(array) : BEGINS_WITH(update)) on_update(reader, message);
    else if (BEGINS_WITH(gap)) on_gap(reader, small);
    else if (BEGINS_WITH(topic) && !covered_is_due) on_birth(reader, message);
    else if (BEGINS_WITH(op)) on_ack(reader, message);
    else fault_say(reader->fault, "not a message: %.80s", small);
}

static const struct span event_start = SPAN_LITERAL("data: "), event_end = SPAN_LITERAL("\n\n");

void message_add(enum wire_format format, struct span message, struct text *out)
{
    char header[WS_SERVER_HEADER_BYTES_MAX];
    format = format_inflated(format);
    if (format == FORMAT_RAW) return;
    text_add(out, format == FORMAT_SSE ? event_start : span_of(header, ws_server_header_write(header, WS_TEXT, message.size)));
    text_add(out, message);
    if (format == FORMAT_SSE) text_add(out, event_end);
}

/* Events: each is one line, and an empty one behind it. */
static void receive_events(struct reader *reader)
{
    size_t at = 0;
    while (!fault_found(reader->fault) && at < reader->bytes.size) {
        struct span rest = span_skip(text_span(&reader->bytes), at);
        const char *end = span_find(rest, '\n');
        if (!end || (size_t)(end - rest.bytes) + event_end.size > rest.size) break;
        size_t line_bytes = (size_t)(end - rest.bytes);
        if (end[1] != '\n' || line_bytes < event_start.size || memcmp(rest.bytes, event_start.bytes, event_start.size) != 0) fault_say(reader->fault, "a torn event: %.*s", line_bytes < 80 ? (int)line_bytes : 80, rest.bytes);
        else on_message(reader, span_of(rest.bytes + event_start.size, line_bytes - event_start.size));
        at += line_bytes + event_end.size;
    }
    text_cut(&reader->bytes, 0, at);
}

void reader_receives(struct reader *reader, struct span bytes)
{
    text_add(&reader->bytes, bytes);
    if (reader->format == FORMAT_SSE) {
        receive_events(reader);
        return;
    }
    size_t at = 0;
    while (!fault_found(reader->fault) && at < reader->bytes.size) {
        struct span rest = span_skip(text_span(&reader->bytes), at);
        struct ws_header header;
        const char *why = "";
        enum decode decoded = ws_frame_decode(rest, false, reader->deflates, &header, &why);
        if (decoded == DECODE_BAD || (decoded == DECODE_DONE && (header.opcode != WS_TEXT || !header.fin)))
            fault_say(reader->fault, "%s: %s", (unsigned char)*rest.bytes == POISON_BYTE ? "poisoned bytes" : "a torn frame", why);
        if (decoded != DECODE_DONE || rest.size < header.header_bytes + header.payload_bytes) break;
        struct span payload = span_of(rest.bytes + header.header_bytes, header.payload_bytes);
        on_message(reader, header.rsv1 ? inflated(payload) : payload);
        at += header.header_bytes + header.payload_bytes;
    }
    text_cut(&reader->bytes, 0, at);
}

void reader_at_rest(struct reader *reader)
{
    if (reader->bytes.size > 0) fault_say(reader->fault, "a frame was never finished");
    if (reader->asked_count > 0) fault_say(reader->fault, "an ack never came");
    for (uint32_t index = 0; index < reader->history->topics_count; index++) {
        const struct past_topic *topic = &reader->history->topics[index];
        const struct past_life *life = history_life(reader->history, index);
        const struct followed *followed = &reader->as_told.followed[index];
        if (life->newest == 0) continue;
        if (reader->format == FORMAT_RAW) {
            raw_at_rest(reader, index);
            continue;
        }
        if (followed->on != reader->as_asked.followed[index].on) fault_say(reader->fault, "%s: that it is followed was never told", topic->name);
        if (!followed->on) continue;
        if (followed->unborn || followed->life != topic->lives_count - 1) fault_say(reader->fault, "%s: its birth was never told", topic->name);
        else if (followed->next != life->newest + 1)
            fault_say(reader->fault, "%s (%s): at rest %llu is due, but the newest is %llu", topic->name, mode_name(followed), (number)followed->next, (number)life->newest);
    }
}

/* ---- gaps -------------------------------------------------------------------------------------------------------------- */

void gap_judge(const struct history *history, enum wire_format format, uint32_t topic, uint64_t from, uint64_t to, struct fault *fault)
{
    const char *name = history->topics[topic].name;
    const struct past_life *life = history_life(history, topic);
    number floor = history_floor(life, format);
    if (from >= floor) fault_say(fault, "%s: a gap from %llu to %llu, although the window holds all from %llu on", name, (number)from, (number)to, floor);
    /* It goes on from the first key that the window must hold, or from its first update where there is none. */
    uint64_t goes_on = floor;
    while (goes_on <= life->newest && !history_is_key(life, goes_on)) goes_on++;
    if (goes_on > life->newest) goes_on = floor;
    bool all_known = format == FORMAT_JSON || !life->keyed; /* a log that was filled from another knows the newest key, and few others */
    if (to + 1 > goes_on && all_known) fault_say(fault, "%s: a gap up to %llu, although it could go on from %llu", name, (number)to, (number)goes_on);
    bool key_behind = false;
    for (uint64_t seq = to + 1; seq <= life->newest && !key_behind; seq++) key_behind = history_is_key(life, seq);
    if (key_behind && !history_is_key(life, to + 1)) fault_say(fault, "%s: goes on from %llu after a gap, which is no key", name, (number)(to + 1));
}
