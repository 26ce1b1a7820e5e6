/* See verify.h. */
#include "bench/verify.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/proto/json.h"

int verify_init(struct verify *self, struct verify_source source, uint32_t connections, uint32_t each, bool latest)
{
    *self = (struct verify){ .source = source, .connections = connections, .each = each, .latest = latest };
    histogram_clear(&self->delays);
    self->last = calloc((size_t)connections * each, sizeof *self->last);
    self->progress = calloc(connections, sizeof *self->progress);
    self->counted = calloc(connections, sizeof *self->counted);
    self->acked = calloc(connections, sizeof *self->acked);
    self->resumes = calloc(connections, sizeof *self->resumes);
    self->epochs = calloc((size_t)connections * each, sizeof *self->epochs);
    self->apart = calloc(connections, sizeof *self->apart);
    bool memory = self->apart && self->last && self->progress && self->counted && self->acked && self->resumes && self->epochs;
    return memory ? 0 : -ENOMEM;
}

void verify_deinit(struct verify *self)
{
    free(self->last);
    free(self->progress);
    free(self->counted);
    free(self->acked);
    free(self->resumes);
    free(self->epochs);
    free(self->apart);
}

uint32_t verify_topic(const struct verify *self, uint32_t connection, uint32_t place)
{
    if (self->spread) return self->spread->sorted[(size_t)connection * self->each + place];
    return (uint32_t)(((uint64_t)connection * self->each + place) % self->source.topics);
}

uint32_t verify_place(const struct verify *self, uint32_t connection, uint32_t topic)
{
    if (self->spread) return spread_place(self->spread, connection, topic);
    uint32_t topics = self->source.topics, first = verify_topic(self, connection, 0);
    uint32_t place = topic >= first ? topic - first : topic + topics - first;
    return place < self->each ? place : UINT32_MAX;
}

bool verify_failed(const struct verify *self)
{
    return self->lost || self->doubled || self->changed || self->gaps_wrong || self->errors || self->strange;
}

__attribute__((format(printf, 3, 4))) static void note(struct verify *self, uint32_t connection, const char *format,
                                                       ...)
{
    if (self->first[0]) return;
    va_list arguments;
    va_start(arguments, format);
    int size = snprintf(self->first, sizeof self->first, "connection %u: ", connection);
    vsnprintf(self->first + size, sizeof self->first - (size_t)size, format, arguments);
    va_end(arguments);
}

/* ---- updates ----------------------------------------------------------------------------------------------------- */

static void on_update(struct verify *self, uint32_t connection, uint32_t topic, uint64_t seq)
{
    uint32_t place = verify_place(self, connection, topic);
    if (place == UINT32_MAX || !self->acked[connection]) {
        self->strange++;
        note(self, connection, "an update of a topic that it does not follow");
        return;
    }
    uint64_t *last = &self->last[(size_t)connection * self->each + place];
    if (seq <= *last) {
        self->doubled++;
        note(self, connection, "seq %llu of topic %u after %llu", (unsigned long long)seq, topic,
             (unsigned long long)*last);
        return;
    }
    uint64_t passed_over = seq - *last - 1;
    if (passed_over && self->latest)
        self->skipped += passed_over;
    else if (passed_over) {
        self->lost += passed_over;
        note(self, connection, "seq %llu of topic %u after %llu without a gap", (unsigned long long)seq, topic,
             (unsigned long long)*last);
    }
    self->progress[connection] += seq - *last;
    self->counted[connection]++;
    *last = seq;
}

/* ---- ops --------------------------------------------------------------------------------------------------------- */

struct op {
    struct json_value op, topic, epoch, seq, from, to, topics, resumed;
};

static bool read_op(struct span text, struct op *op)
{
    struct json_reader reader;
    struct json_value key, value;
    *op = (struct op){ 0 };
    if (!json_object_begin(&reader, text, 70)) return false;
    while (json_object_next(&reader, &key, &value)) {
        struct span name = json_string_inside(&key);
        if (span_is(name, "op"))
            op->op = value;
        else if (span_is(name, "topic"))
            op->topic = value;
        else if (span_is(name, "seq"))
            op->seq = value;
        else if (span_is(name, "epoch"))
            op->epoch = value;
        else if (span_is(name, "resumed"))
            op->resumed = value;
        else if (span_is(name, "from"))
            op->from = value;
        else if (span_is(name, "to"))
            op->to = value;
        else if (span_is(name, "topics"))
            op->topics = value;
    }
    return reader.verdict == JSON_OK;
}

static uint64_t number(const struct json_value *value)
{
    int64_t integer = 0;
    if (!value->text.size || value->kind != JSON_NUMBER || !json_integer(value, &integer) || integer < 0) return 0;
    return (uint64_t)integer;
}

static uint32_t place_of(const struct verify *self, uint32_t connection, const struct json_value *topic)
{
    if (!topic->text.size || topic->kind != JSON_STRING) return UINT32_MAX;
    uint32_t found = self->source.find(self->source.self, json_string_inside(topic));
    return found == UINT32_MAX ? found : verify_place(self, connection, found);
}

/* One topic of an ack. A connection that resumes goes on from what it has, in the same epoch. */
static void on_acknowledged(struct verify *self, uint32_t connection, uint32_t place, const struct op *member)
{
    size_t at = (size_t)connection * self->each + place;
    struct span epoch = member->epoch.text.size ? json_string_inside(&member->epoch) : SPAN_LITERAL("");
    if (!self->resumes[connection]) {
        self->last[at] = number(&member->seq);
        if (epoch.size == VERIFY_EPOCH_BYTES) memcpy(self->epochs[at], epoch.bytes, VERIFY_EPOCH_BYTES);
        return;
    }
    bool resumed = member->resumed.text.size && member->resumed.kind == JSON_TRUE;
    if (resumed && span_equals(epoch, span_of(self->epochs[at], VERIFY_EPOCH_BYTES)) &&
        number(&member->seq) >= self->last[at])
        return;
    self->strange++;
    note(self, connection, "place %u is not resumed after seq %llu: epoch %.*s, seq %llu", place,
         (unsigned long long)self->last[at], (int)epoch.size, epoch.bytes, (unsigned long long)number(&member->seq));
}

static void on_subscribed(struct verify *self, uint32_t connection, const struct op *op)
{
    struct json_value entry;
    uint32_t places = 0;
    for (size_t at = 0; op->topics.kind == JSON_ARRAY && json_array_next(op->topics.text, &at, &entry);) {
        struct op member;
        uint32_t place = entry.kind == JSON_OBJECT && read_op(entry.text, &member)
                             ? place_of(self, connection, &member.topic)
                             : UINT32_MAX;
        if (place == UINT32_MAX) continue;
        on_acknowledged(self, connection, place, &member);
        places++;
    }
    if (places != self->each || self->acked[connection]) {
        self->strange++;
        note(self, connection, "it was acknowledged %u of %u topics", places, self->each);
    }
    self->resumed += self->resumes[connection];
    self->acks += !self->acked[connection];
    self->acked[connection] = 1;
}

void verify_cut(struct verify *self, uint32_t connection)
{
    self->acks -= self->acked[connection];
    self->acked[connection] = 0;
    self->resumes[connection] = 1;
}

static void on_gap(struct verify *self, uint32_t connection, const struct op *op, struct span text)
{
    uint32_t place = place_of(self, connection, &op->topic);
    uint64_t from = number(&op->from), to = number(&op->to);
    uint64_t *last = place == UINT32_MAX ? NULL : &self->last[(size_t)connection * self->each + place];
    self->gaps++;
    if (!last || self->latest || from != *last + 1 || to < from) {
        self->gaps_wrong++;
        note(self, connection, "a gap after %llu that is not exact: %.*s", last ? (unsigned long long)*last : 0,
             (int)text.size, text.bytes);
        return;
    }
    self->gap_updates += to - from + 1;
    self->progress[connection] += to - from + 1;
    *last = to;
}

static void on_other(struct verify *self, uint32_t connection, struct span text)
{
    struct op op;
    if (!read_op(text, &op) || !op.op.text.size || op.op.kind != JSON_STRING) {
        self->strange++;
        return note(self, connection, "this is neither an update of ours nor an op: %.*s",
                    text.size < 120 ? (int)text.size : 120, text.bytes);
    }
    struct span name = json_string_inside(&op.op);
    if (span_is(name, "gap")) return on_gap(self, connection, &op, text);
    if (span_is(name, "subscribed")) return on_subscribed(self, connection, &op);
    if (span_is(name, "error")) {
        self->errors++;
        note(self, connection, "%.*s", (int)text.size, text.bytes);
    } /* hello, heartbeat, topic, closing: they change nothing that is counted here */
}

void verify_text(struct verify *self, uint32_t connection, struct span text, int64_t at_ns)
{
    uint32_t topic;
    uint64_t seq;
    int64_t due_ns;
    enum verdict verdict = self->source.read(self->source.self, text, &topic, &seq, &due_ns);
    if (verdict == VERDICT_NONE) return on_other(self, connection, text);
    on_update(self, connection, topic, seq);
    if (verdict == VERDICT_CHANGED) {
        self->changed++;
        return note(self, connection, "not as published: %.*s", text.size < 160 ? (int)text.size : 160, text.bytes);
    }
    self->updates_right++;
    if (due_ns < self->due_from_ns || due_ns >= self->due_until_ns || self->apart[connection]) return;
    histogram_add(&self->delays, at_ns - due_ns);
    if (self->lasts) lasts_seen(self->lasts, topic, seq, at_ns - due_ns);
    if (self->traces) traces_seen(self->traces, topic, seq, at_ns);
}
