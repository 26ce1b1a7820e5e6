#include "tests/support/reader.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/base/check.h"
#include "core/proto/ws_frame.h"

typedef unsigned long long number; /* as scanf and printf want it */

struct reader *reader_make(const struct history *history, struct fault *fault)
{
    struct reader *reader = calloc(1, sizeof *reader);
    if (!reader) abort();
    reader->history = history;
    reader->fault = fault;
    return reader;
}

void reader_free(struct reader *reader)
{
    text_free(&reader->bytes);
    text_free(&reader->expected);
    free(reader);
}

/* ---- what is asked ---------------------------------------------------------------------------------------------------- */

static void ask_push(struct reader *reader, struct asked asked)
{
    if (reader->asked_count == ASKED_MAX) abort();
    reader->asked[(reader->asked_first + reader->asked_count++) % ASKED_MAX] = asked;
}

void reader_subscribes(struct reader *reader, uint32_t index, bool every, bool snapshot, const char *resume_epoch, uint64_t resume_seq)
{
    const struct past_life *life = history_life(reader->history, index);
    struct asked asked = { .what = ASKED_SUBSCRIBE, .topic = index, .life = reader->history->topics[index].lives_count - 1, .every = every, .newest = life->newest };
    uint64_t key_seq = life->newest > 0 ? history_at(life, life->newest)->key_seq : 0;
    asked.again = reader->asked_on[index];
    asked.resumed = !asked.again && life->newest > 0 && resume_epoch && strcmp(resume_epoch, life->epoch) == 0 && resume_seq <= life->newest;
    if (asked.resumed) asked.next = resume_seq + 1;
    else if (life->newest == 0) asked.next = 1;
    else if (snapshot) asked.next = key_seq;
    else asked.next = life->newest + 1;
    bool skips_on = asked.resumed || (asked.again && reader->asked_every[index]);
    if (!every && skips_on) asked.least = key_seq;
    reader->asked_on[index] = true;
    reader->asked_every[index] = every;
    ask_push(reader, asked);
}

void reader_unsubscribes(struct reader *reader, uint32_t index)
{
    reader->asked_on[index] = false;
    ask_push(reader, (struct asked){ .what = ASKED_UNSUBSCRIBE, .topic = index });
}

/* ---- what is received -------------------------------------------------------------------------------------------------- */

static const char *mode_name(const struct followed *followed)
{
    return followed->every ? "every" : "latest";
}

/* The life that a client believes in. */
static const struct past_life *life_of(const struct reader *reader, uint32_t index)
{
    return &reader->history->topics[index].lives[reader->followed[index].life];
}

static void judge_place(struct reader *reader, uint32_t index, number seq)
{
    const char *name = reader->history->topics[index].name;
    const struct followed *followed = &reader->followed[index];
    number due = followed->next;
    if (seq < due) fault_say(reader->fault, "%s (%s): update %llu came double or out of order; %llu was due", name, mode_name(followed), seq, due);
    if (seq < followed->least) fault_say(reader->fault, "%s (latest): update %llu, although it was to go on with %llu", name, seq, (number)followed->least);
    if (seq <= due) return;
    reader->jumps_count++;
    if (followed->every) fault_say(reader->fault, "%s (every): update %llu is lost; %llu came, and no gap was told", name, due, seq);
    else if (!history_is_key(life_of(reader, index), seq)) fault_say(reader->fault, "%s (latest): jumped from %llu to %llu, which is no key", name, due, seq);
}

static void on_update(struct reader *reader, struct span message)
{
    char name[PAST_NAME_MAX + 1] = "", head[301];
    number seq = 0;
    snprintf(head, sizeof head, "%.*s", (int)(message.size < 300 ? message.size : 300), message.bytes);
    uint32_t index = PAST_TOPICS_MAX;
    if (sscanf(head, "{\"topic\":\"%128[^\"]\",\"seq\":%llu,", name, &seq) == 2) index = history_find(reader->history, span_of_string(name));
    struct followed *followed = &reader->followed[index == PAST_TOPICS_MAX ? 0 : index];
    if (index == PAST_TOPICS_MAX) fault_say(reader->fault, "an update of no topic: %.80s", head);
    else if (!followed->on) fault_say(reader->fault, "%s: update %llu of what is not subscribed", name, seq);
    else if (followed->unborn) fault_say(reader->fault, "%s: update %llu, but no op:topic told its epoch", name, seq);
    else if (seq == 0 || seq > life_of(reader, index)->newest) fault_say(reader->fault, "%s: update %llu, which nobody published", name, seq);
    if (fault_found(reader->fault)) return;

    reader->expected.size = 0;
    history_message(reader->history, index, life_of(reader, index), seq, &reader->expected);
    if (!span_equals(message, text_span(&reader->expected))) {
        bool poisoned = memchr(message.bytes, POISON_BYTE, message.size) != NULL;
        fault_say(reader->fault, "%s: the bytes of update %llu are %s", name, seq, poisoned ? "poisoned" : "not those that were published");
        return;
    }
    reader->updates_count++;
    judge_place(reader, index, seq);
    followed->next = seq + 1;
}

static void on_gap(struct reader *reader, const char *message)
{
    char name[PAST_NAME_MAX + 1] = "";
    number from = 0, to = 0;
    int end = 0;
    sscanf(message, "{\"op\":\"gap\",\"topic\":\"%128[^\"]\",\"from\":%llu,\"to\":%llu}%n", name, &from, &to, &end);
    uint32_t index = history_find(reader->history, span_of_string(name));
    if (end == 0 || message[end] || index == PAST_TOPICS_MAX) {
        fault_say(reader->fault, "not a gap: %s", message);
        return;
    }
    reader->gaps_count++;
    struct followed *followed = &reader->followed[index];
    const struct past_life *life = life_of(reader, index);
    if (!followed->on || followed->unborn) fault_say(reader->fault, "%s: a gap of what is not subscribed or not born", name);
    else if (from != followed->next || to < from || to >= life->newest) fault_say(reader->fault, "%s: a gap from %llu to %llu; %llu was due", name, from, to, (number)followed->next);
    else if (!followed->every && !life->keyed) fault_say(reader->fault, "%s (latest): a gap, although each update is key", name);
    followed->next = to + 1;
    followed->least = 0; /* that key is gone too */
}

static void on_topic(struct reader *reader, const char *message)
{
    char name[PAST_NAME_MAX + 1] = "", epoch[9] = "";
    number seq = 0;
    int end = 0;
    sscanf(message, "{\"op\":\"topic\",\"topic\":\"%128[^\"]\",\"epoch\":\"%8[^\"]\",\"seq\":%llu}%n", name, epoch, &seq, &end);
    uint32_t index = history_find(reader->history, span_of_string(name));
    if (end == 0 || message[end] || index == PAST_TOPICS_MAX) {
        fault_say(reader->fault, "not an op:topic: %s", message);
        return;
    }
    struct followed *followed = &reader->followed[index];
    const struct past_topic *topic = &reader->history->topics[index];
    uint32_t life = followed->unborn ? followed->life : followed->life + 1;
    while (life < topic->lives_count && strcmp(topic->lives[life].epoch, epoch) != 0) life++;
    if (!followed->on) fault_say(reader->fault, "%s: op:topic of what is not subscribed", name);
    else if (life >= topic->lives_count || seq != 0) fault_say(reader->fault, "%s: op:topic with epoch %s and seq %llu, which is no new life", name, epoch, seq);
    else *followed = (struct followed){ .on = true, .every = followed->every, .life = life, .next = 1 };
}

/* The ack that must come, as text. */
static void ack_print(const struct reader *reader, const struct asked *asked, struct text *text)
{
    const struct past_topic *topic = &reader->history->topics[asked->topic];
    if (asked->what == ASKED_UNSUBSCRIBE) {
        text_print(text, "{\"op\":\"unsubscribed\",\"topics\":[\"%s\"]}", topic->name);
        return;
    }
    text_print(text, "{\"op\":\"subscribed\",\"topics\":[{\"topic\":\"%s\"", topic->name);
    if (asked->newest > 0) text_print(text, ",\"epoch\":\"%s\"", topic->lives[asked->life].epoch);
    text_print(text, ",\"seq\":%llu%s}]}", (number)asked->newest, asked->resumed ? ",\"resumed\":true" : "");
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

    struct followed *followed = &reader->followed[asked->topic];
    if (asked->what == ASKED_UNSUBSCRIBE) {
        followed->on = false;
    } else if (asked->again) {
        followed->every = asked->every;
        if (asked->every) followed->least = 0;
        else if (asked->least > 0 && asked->life == followed->life) followed->least = asked->least;
    } else {
        *followed = (struct followed){ .on = true, .every = asked->every, .life = asked->life, .unborn = asked->newest == 0, .next = asked->next, .least = asked->least };
    }
}

static void on_message(struct reader *reader, struct span message)
{
    static const struct span update = SPAN_LITERAL("{\"topic\":"), gap = SPAN_LITERAL("{\"op\":\"gap\","), topic = SPAN_LITERAL("{\"op\":\"topic\","), op = SPAN_LITERAL("{\"op\":\"");
#define BEGINS_WITH(what) (message.size >= (what).size && memcmp(message.bytes, (what).bytes, (what).size) == 0)
    if (BEGINS_WITH(update)) {
        on_update(reader, message);
        return;
    }
    char small[512];
    snprintf(small, sizeof small, "%.*s", (int)(message.size < 500 ? message.size : 500), message.bytes);
    if (BEGINS_WITH(gap)) on_gap(reader, small);
    else if (BEGINS_WITH(topic)) on_topic(reader, small);
    else if (BEGINS_WITH(op)) on_ack(reader, message);
    else fault_say(reader->fault, "not a message: %.80s", small);
}

void reader_receives(struct reader *reader, struct span bytes)
{
    text_add(&reader->bytes, bytes);
    size_t at = 0;
    while (!fault_found(reader->fault) && at < reader->bytes.size) {
        struct span rest = span_skip(text_span(&reader->bytes), at);
        struct ws_header header;
        const char *why = "";
        enum decode decoded = ws_frame_decode(rest, false, false, &header, &why);
        if (decoded == DECODE_BAD || (decoded == DECODE_DONE && (header.opcode != WS_TEXT || !header.fin)))
            fault_say(reader->fault, "%s: %s", (unsigned char)*rest.bytes == POISON_BYTE ? "poisoned bytes" : "a torn frame", why);
        if (decoded != DECODE_DONE || rest.size < header.header_bytes + header.payload_bytes) break;
        on_message(reader, span_of(rest.bytes + header.header_bytes, header.payload_bytes));
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
        const struct followed *followed = &reader->followed[index];
        if (!followed->on || life->newest == 0) continue;
        if (followed->unborn || followed->life != topic->lives_count - 1) fault_say(reader->fault, "%s: its birth was never told", topic->name);
        else if (followed->next != life->newest + 1)
            fault_say(reader->fault, "%s (%s): at rest %llu is due, but the newest is %llu", topic->name, mode_name(followed), (number)followed->next, (number)life->newest);
    }
}

/* ---- gaps -------------------------------------------------------------------------------------------------------------- */

void gap_judge(const struct history *history, uint32_t index, uint64_t from, uint64_t to, struct fault *fault)
{
    const char *name = history->topics[index].name;
    const struct past_life *life = history_life(history, index);
    number floor = life->floor;
    if (from >= floor) fault_say(fault, "%s: a gap from %llu to %llu, although the window holds all from %llu on", name, (number)from, (number)to, floor);
    /* It goes on from the first key that the window must hold, or from its first update where there is none. */
    uint64_t goes_on = floor;
    while (goes_on <= life->newest && !history_is_key(life, goes_on)) goes_on++;
    if (goes_on > life->newest) goes_on = floor;
    if (to + 1 > goes_on) fault_say(fault, "%s: a gap up to %llu, although it could go on from %llu", name, (number)to, (number)goes_on);
    bool key_behind = false;
    for (uint64_t seq = to + 1; seq <= life->newest && !key_behind; seq++) key_behind = history_is_key(life, seq);
    if (key_behind && !history_is_key(life, to + 1)) fault_say(fault, "%s: goes on from %llu after a gap, which is no key", name, (number)(to + 1));
}
