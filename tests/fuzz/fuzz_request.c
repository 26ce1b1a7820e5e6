/* Any bytes as requests of the WebSocket protocol. Promises tried: no byte beyond the message is read, each slice lies within it, what is called
 * whole is one JSON object by the other scanner too, and what follows an object changes nothing of what was read of it. */
#include <stdlib.h>

#include "core/base/check.h"
#include "gateway/request.h"
#include "tests/unit/guard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void claim_within(struct span whole, struct span slice)
{
    if (slice.bytes) CHECK(slice.bytes >= whole.bytes && slice.bytes + slice.size <= whole.bytes + whole.size);
}

static void claim_read(struct span text, size_t end, const struct request *request)
{
    CHECK(end <= text.size && (request->complete || request->code) && (!request->code || (request->why && *request->why)));
    claim_within(text, request->id);
    for (enum request_key key = 0; key < KEYS_COUNT; key++) {
        if (!request_has(request, key)) continue;
        struct json_value value;
        claim_within(text, request->values[key].text);
        if (request->complete && !request->code) CHECK(json_validate(request->values[key].text, REQUEST_DEPTH_MAX, &value) == JSON_OK && value.kind == request->values[key].kind);
    }
    if (request->id.bytes) CHECK(request_has(request, KEY_ID) && request->id.size > 0);
}

/* The first object alone, on a page that ends where it does. */
static void claim_alone(struct span text, size_t end, const struct request *request)
{
    struct request again;
    struct span alone = guard_span(span_of(text.bytes, end));
    CHECK(request_read(alone, &again) == end && again.complete && again.present == request->present && again.code == request->code);
    CHECK(span_equals(again.id, request->id));
    for (enum request_key key = 0; key < KEYS_COUNT; key++)
        if (request_has(request, key)) CHECK(span_equals(again.values[key].text, request->values[key].text));
    struct json_value whole;
    enum json_verdict verdict = json_validate(alone, REQUEST_DEPTH_MAX, &whole);
    CHECK(verdict == JSON_OK ? whole.kind == JSON_OBJECT : verdict == JSON_DEEP && request->code);
    guard_free(alone.bytes);
}

static void read_line(struct span line)
{
    struct request request;
    struct json_value whole;
    request_read_line(line, &request);
    claim_read(line, line.size, &request);
    enum json_verdict verdict = json_validate(line, REQUEST_DEPTH_MAX, &whole);
    bool object = verdict == JSON_OK && whole.kind == JSON_OBJECT;
    if (!request.code) CHECK(object);
    if (verdict == JSON_SYNTAX) CHECK(request.code && strcmp(request.code, "bad_json") == 0);
    if (object && request.code) CHECK(strcmp(request.code, "bad_request") == 0);
    CHECK(!request_blank(line) || request.code);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = guard_span(span_of((const char *)data, size));
    struct request request;
    size_t end = request_read(text, &request);
    claim_read(text, end, &request);
    if (request.complete) claim_alone(text, end, &request);
    read_line(text);
    guard_free(text.bytes);
    return 0;
}
