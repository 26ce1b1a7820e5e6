#include "gateway/tracing.h"

#include <stdio.h>
#include <stdlib.h>

#include "gateway/shard.h"

enum {
    EACH_US = 1000000,
    DONE_MANY = TRACE_DONE_MAX / 2, /* then it is told earlier: there is room for as many until the next flush */
    TEXT_BYTES = 32 * 1024,         /* of one update, about */
};

struct tracing *tracing_make(uint64_t every)
{
    struct tracing *tracing = calloc(1, sizeof *tracing);
    if (!tracing) return NULL;
    tracing->trace = trace_make(every);
    if (tracing->trace) return tracing;
    free(tracing);
    return NULL;
}

void tracing_free(struct tracing *tracing)
{
    if (!tracing) return;
    trace_free(tracing->trace);
    text_free(&tracing->text);
    free(tracing);
}

static uint64_t earliest(const struct trace_record *record)
{
    uint64_t earliest = UINT64_MAX;
    for (enum door door = 0; door < DOORS_COUNT; door++)
        if (record->at_ns[door] > 0 && record->at_ns[door] < earliest) earliest = record->at_ns[door];
    return earliest;
}

static void write_record(struct text *text, const struct trace_record *record)
{
    uint64_t from_ns = earliest(record);
    text_add_string(text, "[\"");
    text_add(text, trace_topic(record)); /* names hold nothing that JSON escapes */
    text_add_string(text, "\",");
    text_add_number(text, record->seq);
    text_add_char(text, ',');
    text_add_number(text, from_ns);
    for (enum door door = 0; door < DOORS_COUNT; door++) {
        text_add_char(text, ',');
        if (record->at_ns[door] > 0) text_add_number(text, record->at_ns[door] - from_ns);
        else text_add_string(text, "null");
    }
    text_add_char(text, ']');
}

static void write_done(struct text *text, uint32_t shard, struct trace *trace)
{
    const struct trace_record *record;
    text->size = 0;
    text_print(text, "{\"shard\":%u,\"missed\":%llu,\"doors\":[", shard, (unsigned long long)trace->missed);
    for (enum door door = 0; door < DOORS_COUNT; door++) text_print(text, "%s\"%s\"", door > 0 ? "," : "", door_names[door]);
    text_add_string(text, "],\"updates\":[");
    for (bool first = true; text->size < TEXT_BYTES && (record = trace_first(trace)); first = false) {
        if (!first) text_add_char(text, ',');
        write_record(text, record);
        trace_drop_first(trace);
    }
    text_add_string(text, "]}");
}

uint64_t tracing_due_us(const struct tracing *tracing)
{
    const struct trace *trace = tracing->trace;
    if (trace->done_count == 0) return UINT64_MAX;
    return trace->done_count < DONE_MANY ? tracing->told_us + EACH_US : 0;
}

bool tracing_tell(struct shard *shard)
{
    struct tracing *tracing = shard->tracing;
    if (shard->clock.mono_us < tracing_due_us(tracing) || shard->state >= SHARD_ENDING) return false;
    char topic[32];
    struct publish_reply reply;
    tracing->told_us = shard->clock.mono_us;
    write_done(&tracing->text, shard->index, tracing->trace);
    snprintf(topic, sizeof topic, "$sys.trace.%u", shard->index);
    struct publish_ask ask = { .topic = span_of_string(topic), .data = text_span(&tracing->text), .quiet = true };
    engine_publish(&shard->engine, &ask, TICKET_NONE, &reply); /* where its home has no room these are lost: whoever reads misses some */
    engine_tell(&shard->engine);
    return true;
}
