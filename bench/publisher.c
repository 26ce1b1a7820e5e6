/* See publisher.h. */
#include "bench/publisher.h"

#include <stdio.h>
#include <stdlib.h>

#include "bench/machine.h"
#include "core/proto/json.h"

#define SEED       UINT64_C(0x7075626c69736821)
#define PRIMING_NS 10000000000 /* for the first acks */

/* {"op":"published","id":topic + 1,"topic":…,"epoch":…,"seq":…} or {"op":"error",…} */
static void on_answer(struct publisher *self, struct span text)
{
    struct json_reader reader;
    struct json_value key, value, op = { 0 };
    int64_t id = 0, seq = 0;
    if (!json_object_begin(&reader, text, 8)) return;
    while (json_object_next(&reader, &key, &value)) {
        if (json_string_is(&key, "op") && value.kind == JSON_STRING) op = value;
        if (json_string_is(&key, "id")) json_integer(&value, &id);
        if (json_string_is(&key, "seq")) json_integer(&value, &seq);
    }
    if (op.text.size && json_string_is(&op, "published") && id > 0 && id <= self->updates->topics) {
        uint64_t *head = &self->head[id - 1];
        if (*head == 0) *head = (uint64_t)seq; /* the first ack of a topic tells where it stands */
        self->acks_missing--;
        if (*head == (uint64_t)seq) return;
    } else if (!op.text.size || !json_string_is(&op, "error"))
        return;
    self->errors++;
    if (!self->why[0]) snprintf(self->why, sizeof self->why, "publisher: %.*s", (int)text.size, text.bytes);
}

int publisher_listen(struct publisher *self)
{
    struct span text;
    int result;
    if (client_push(&self->client) == CLIENT_GONE)
        result = CLIENT_GONE;
    else
        while ((result = client_receive(&self->client, &text, CLIENT_NOW)) == CLIENT_OK) on_answer(self, text);
    if (result != CLIENT_GONE) return 0;
    snprintf(self->why, sizeof self->why, "publisher: %s", self->client.why);
    return -1;
}

/* One request a topic, each with an id; `first` publishes null, since it does not know the seq yet. */
static int ask(struct publisher *self, bool first)
{
    int64_t at_us = updates_clock_us(self->updates, now_ns());
    char name[UPDATE_TOPIC_BYTES_MAX + 16];
    for (uint32_t topic = 0; topic < self->updates->topics; topic++) {
        size_t size;
        if (first) {
            update_topic_write(self->updates, topic, name);
            size = (size_t)sprintf(self->message, "{\"op\":\"publish\",\"id\":%u,\"topic\":\"%s\",\"data\":null}",
                                   topic + 1, name);
        } else {
            size = update_request_write(self->updates, topic, ++self->head[topic], at_us, topic + 1, self->message);
            self->count[topic]++;
            self->published++;
        }
        self->acks_missing++;
        if (client_send_text(&self->client, span_of(self->message, size)) != CLIENT_OK) return -1;
    }
    return client_push(&self->client) == CLIENT_OK ? 0 : -1;
}

int publisher_ask(struct publisher *self) { return ask(self, false); }

int publisher_begin(struct publisher *self, const struct updates *updates, const char *url, const char *key,
                    uint32_t batch)
{
    *self = (struct publisher){ .updates = updates, .batch = batch, .random = SEED };
    client_init(&self->client, -1);
    self->head = calloc(updates->topics, sizeof *self->head);
    self->count = calloc(updates->topics, sizeof *self->count);
    /* A message must fit into the client's out buffer, where it is encoded as a whole. */
    while (self->batch > 1 && (size_t)self->batch * (updates->bytes + 256u) > CLIENT_OUT_BYTES / 2) self->batch /= 2;
    self->message = malloc((size_t)self->batch * (updates->bytes + 256u) + UPDATE_REQUEST_BYTES_MAX);
    if (!self->head || !self->count || !self->message) return snprintf(self->why, sizeof self->why, "no memory"), -1;
    int result = client_connect(&self->client, span_of_string(url), "/v1/ws", key);
    if (result == CLIENT_OK && ask(self, true) != 0) result = CLIENT_GONE;
    int64_t deadline_ns = now_ns() + PRIMING_NS;
    while (result == CLIENT_OK && self->acks_missing && self->errors == 0) {
        struct span text;
        result = client_receive(&self->client, &text, deadline_ns);
        if (result == CLIENT_OK) on_answer(self, text);
    }
    if (result == CLIENT_OK) return self->errors ? -1 : 0;
    snprintf(self->why, sizeof self->why, "publisher: %s",
             result == CLIENT_QUIET ? "the gateway does not answer" : self->client.why);
    return -1;
}

void publisher_end(struct publisher *self)
{
    client_close(&self->client);
    free(self->head);
    free(self->count);
    free(self->message);
}

int64_t publisher_publish(struct publisher *self, uint64_t count, double due_ns, double step_ns)
{
    uint64_t done = 0;
    while (done < count && client_unsent(&self->client) == 0) {
        char *out = self->message;
        for (uint32_t line = 0; line < self->batch && done < count; line++, done++, due_ns += step_ns) {
            uint32_t topic = self->zipf ? zipf_choose(self->zipf, &self->random) : self->next_topic;
            if (!self->zipf) self->next_topic = topic + 1 == self->updates->topics ? 0 : topic + 1;
            out += update_request_write(self->updates, topic, ++self->head[topic],
                                        updates_clock_us(self->updates, (int64_t)due_ns), 0, out);
            *out++ = '\n';
            if (self->traces) traces_sent(self->traces, topic, self->head[topic], (int64_t)due_ns, now_ns());
            self->count[topic]++;
        }
        if (client_send_text(&self->client, span_of(self->message, (size_t)(out - self->message) - 1)) != CLIENT_OK)
            return -1;
        if (client_push(&self->client) != CLIENT_OK) return -1;
    }
    self->published += done;
    return (int64_t)done;
}
