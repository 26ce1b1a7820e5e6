/* Any bytes as lines of recorded ticks (CSV). Promises tried: no byte beyond a line is read, each field is a slice of it and all ten make it up
 * again, and what is written of a tick is JSON with the very digits that stood there. */
#include <stdlib.h>

#include "bench/ticks.h"
#include "core/base/check.h"
#include "core/proto/json.h"
#include "tests/unit/guard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void claim_member(struct span payload, const char *name, struct span wanted, enum json_kind kind)
{
    struct json_value key, value;
    uint32_t found = 0;
    for (size_t at = 0; json_member_next(payload, &at, &key, &value);) {
        if (!json_string_is(&key, name)) continue;
        CHECK(value.kind == kind && span_equals(kind == JSON_STRING ? json_string_inside(&value) : value.text, wanted));
        found++;
    }
    CHECK(found == 1);
}

static void try_payload(const struct tick *tick)
{
    char *room = guard_copy(span_of((char[TICK_PAYLOAD_BYTES_MAX]){ 0 }, TICK_PAYLOAD_BYTES_MAX));
    size_t bytes = tick_payload(tick, room);
    struct span payload = guard_span(span_of(room, bytes));
    struct json_value whole;
    CHECK(bytes <= TICK_PAYLOAD_BYTES_MAX && json_validate(payload, 1, &whole) == JSON_OK && whole.kind == JSON_OBJECT);
    claim_member(payload, "t", span_of(&tick->type, 1), JSON_STRING);
    claim_member(payload, "ts", tick->ts, JSON_NUMBER);
    claim_member(payload, "venue", tick->venue, JSON_STRING);
    if (tick->type == 'T') {
        claim_member(payload, "p", tick->price, JSON_NUMBER);
        claim_member(payload, "s", tick->size, JSON_NUMBER);
    } else {
        claim_member(payload, "b", tick->bid, JSON_NUMBER);
        claim_member(payload, "bs", tick->bid_size, JSON_NUMBER);
        claim_member(payload, "a", tick->ask, JSON_NUMBER);
        claim_member(payload, "as", tick->ask_size, JSON_NUMBER);
    }
    guard_free(payload.bytes);
    guard_free(room);
}

/* The ten fields with commas between are the line. */
static void claim_whole(struct span line, const struct tick *tick)
{
    const struct span fields[] = { tick->ts, tick->symbol, span_of(&tick->type, 1), tick->price, tick->size, tick->bid, tick->bid_size, tick->ask, tick->ask_size, tick->venue };
    size_t at = 0;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (i > 0) CHECK(at < line.size && line.bytes[at++] == ',');
        CHECK(at + fields[i].size <= line.size && (fields[i].size == 0 || memcmp(line.bytes + at, fields[i].bytes, fields[i].size) == 0));
        at += fields[i].size;
    }
    CHECK(at == line.size);
}

static void try_line(struct span text)
{
    struct span line = guard_span(text);
    struct tick tick;
    const char *fault = tick_parse(line, &tick);
    if (fault) CHECK(*fault);
    else {
        CHECK(tick.ts_ns > 0 && (tick.type == 'T' || tick.type == 'Q'));
        claim_whole(line, &tick);
        try_payload(&tick);
    }
    if (tick_header_is(line)) CHECK(fault); /* a header is no tick */
    guard_free(line.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (struct span rest = span_of((const char *)data, size); rest.size > 0;) {
        const char *end = span_find(rest, '\n');
        size_t bytes = end ? (size_t)(end - rest.bytes) : rest.size;
        if (bytes < TICK_LINE_BYTES_MAX) try_line(span_of(rest.bytes, bytes)); /* tick_file_next() hands on none that is longer */
        rest = span_skip(rest, bytes + (end ? 1 : 0));
    }
    return 0;
}
