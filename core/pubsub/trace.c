#include "core/pubsub/trace.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/check.h"
#include "core/base/clock.h"

const char *const door_names[DOORS_COUNT] = { "received", "read", "taken", "appended", "told", "heard", "woken", "staged", "submitted", "settled", "last" };

struct trace *trace_make(uint64_t every)
{
    CHECK(every > 0);
    struct trace *trace = calloc(1, sizeof *trace);
    if (trace) trace->every = every;
    return trace;
}

void trace_free(struct trace *trace)
{
    free(trace);
}

static void pass(struct trace_record *record, enum door door, uint64_t at_ns)
{
    if (record->at_ns[door] == 0) record->at_ns[door] = at_ns;
}

static bool is_of(const struct trace_record *record, struct span topic)
{
    return span_equals(trace_topic(record), topic);
}

/* NULL: it is not traced, or there is no room. The gateway's own topics tell of this: else they would tell of themselves for ever. */
static struct trace_record *open(struct trace *trace, struct span topic, uint64_t seq)
{
    if (topic_name_reserved(topic)) return NULL;
    if (trace->open_count == TRACE_OPEN_MAX) {
        trace->missed++;
        return NULL;
    }
    struct trace_record *record = &trace->open[trace->open_count++];
    *record = (struct trace_record){ .seq = seq, .name_bytes = (uint8_t)topic.size };
    memcpy(record->name, topic.bytes, topic.size);
    return record;
}

void trace_read(struct trace *trace, uint64_t received_ns)
{
    trace->received_ns = received_ns;
    trace->read_ns = clock_mono_ns();
    trace->taken_ns = 0;
}

void trace_ask(struct trace *trace, uint64_t *received_ns, uint64_t *read_ns)
{
    *received_ns = trace->received_ns;
    *read_ns = trace->read_ns;
    trace->read_ns = 0;
}

void trace_asked(struct trace *trace, uint64_t received_ns, uint64_t read_ns)
{
    trace->received_ns = received_ns;
    trace->read_ns = read_ns;
    trace->taken_ns = read_ns > 0 ? clock_mono_ns() : 0;
}

void trace_appended(struct trace *trace, struct span topic, uint64_t seq)
{
    uint64_t read_ns = trace->read_ns;
    trace->read_ns = 0; /* what is published next may be the gateway's own */
    struct trace_record *record = read_ns > 0 && seq % trace->every == 0 ? open(trace, topic, seq) : NULL;
    if (!record) return;
    record->at_ns[DOOR_RECEIVED] = trace->received_ns;
    record->at_ns[DOOR_READ] = read_ns;
    record->at_ns[DOOR_TAKEN] = trace->taken_ns;
    record->at_ns[DOOR_APPENDED] = clock_mono_ns();
}

/* Each that is open, of this topic and among [from, to), passes the door now. */
static void pass_those(struct trace *trace, enum door door, struct span topic, uint64_t from, uint64_t to)
{
    if (!trace_is_open(trace)) return;
    uint64_t now_ns = clock_mono_ns();
    for (uint32_t i = 0; i < trace->open_count; i++) {
        struct trace_record *record = &trace->open[i];
        if (record->seq < from || record->seq >= to || !is_of(record, topic)) continue;
        pass(record, door, now_ns);
        if (door == DOOR_STAGED) record->batched = true;
    }
}

void trace_told(struct trace *trace, struct span topic, uint64_t seq)
{
    pass_those(trace, DOOR_TOLD, topic, 0, seq + 1);
}

void trace_heard(struct trace *trace, struct span topic, uint64_t before, uint64_t seq)
{
    uint64_t newest = seq - seq % trace->every;
    struct trace_record *record = newest > before ? open(trace, topic, newest) : NULL;
    if (record) record->at_ns[DOOR_HEARD] = clock_mono_ns();
}

void trace_woken(struct trace *trace, struct span topic, uint64_t seq)
{
    pass_those(trace, DOOR_WOKEN, topic, 0, seq + 1);
}

void trace_staged(struct trace *trace, struct span topic, uint64_t from, uint64_t to)
{
    pass_those(trace, DOOR_STAGED, topic, from, to);
}

void trace_submitted(struct trace *trace)
{
    uint64_t now_ns = clock_mono_ns();
    for (uint32_t i = 0; i < trace->open_count; i++)
        if (trace->open[i].batched) pass(&trace->open[i], DOOR_SUBMITTED, now_ns);
}

void trace_settled(struct trace *trace)
{
    uint64_t now_ns = clock_mono_ns();
    for (uint32_t i = 0; i < trace->open_count; i++) {
        struct trace_record *record = &trace->open[i];
        if (!record->batched) continue;
        pass(record, DOOR_SETTLED, now_ns);
        record->at_ns[DOOR_LAST] = now_ns;
        record->batched = false;
    }
}

void trace_close(struct trace *trace)
{
    for (uint32_t i = 0; i < trace->open_count; i++) {
        if (trace->done_count == TRACE_DONE_MAX) {
            trace_drop_first(trace);
            trace->missed++;
        }
        trace->done[(trace->done_first + trace->done_count++) % TRACE_DONE_MAX] = trace->open[i];
    }
    trace->open_count = 0;
}

const struct trace_record *trace_first(const struct trace *trace)
{
    return trace->done_count > 0 ? &trace->done[trace->done_first] : NULL;
}

void trace_drop_first(struct trace *trace)
{
    CHECK(trace->done_count > 0);
    trace->done_first = (trace->done_first + 1) % TRACE_DONE_MAX;
    trace->done_count--;
}
