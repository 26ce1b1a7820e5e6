#include "gateway/request.h"

static const struct {
    const char *name;
    uint8_t     size;
} keys[KEYS_COUNT] = {
    [KEY_OP] = { "op", 2 },           [KEY_ID] = { "id", 2 },           [KEY_TOPICS] = { "topics", 6 }, [KEY_MODE] = { "mode", 4 },
    [KEY_MAX_HZ] = { "max_hz", 6 },   [KEY_SNAPSHOT] = { "snapshot", 8 }, [KEY_RESUME] = { "resume", 6 }, [KEY_TOPIC] = { "topic", 5 },
    [KEY_DATA] = { "data", 4 },       [KEY_KEY] = { "key", 3 },         [KEY_TOKEN] = { "token", 5 },
};

static enum request_key find_key(const struct json_value *key)
{
    if (key->escaped) { /* compared after unescaping */
        for (enum request_key i = 0; i < KEYS_COUNT; i++)
            if (json_string_is(key, keys[i].name)) return i;
        return KEYS_COUNT;
    }
    struct span name = json_string_inside(key);
    for (enum request_key i = 0; i < KEYS_COUNT; i++)
        if (name.size == keys[i].size && memcmp(name.bytes, keys[i].name, name.size) == 0) return i;
    return KEYS_COUNT;
}

enum { ID_BYTES_MAX = 64 };

static bool id_valid(const struct json_value *id)
{
    int64_t integer;
    char room[ID_BYTES_MAX];
    if (id->kind == JSON_NUMBER) return json_integer(id, &integer);
    if (id->kind != JSON_STRING) return false;
    if (!id->escaped) return json_string_inside(id).size <= ID_BYTES_MAX;
    return json_string_unescape(id, room, sizeof room) >= 0;
}

static void set_fault(struct request *request, const char *code, const char *why)
{
    if (request->code) return; /* the first one counts */
    request->code = code;
    request->why = why;
}

size_t request_read(struct span text, struct request *request)
{
    struct json_reader reader;
    struct json_value key, value;
    *request = (struct request){ .id = SPAN_NONE };
    if (!json_object_begin(&reader, text, REQUEST_DEPTH_MAX)) {
        struct json_value other;
        bool is_json = reader.verdict == JSON_OK && json_validate(text, REQUEST_DEPTH_MAX, &other) != JSON_SYNTAX;
        if (is_json) set_fault(request, "bad_request", "a request must be a JSON object");
        else set_fault(request, "bad_json", "this is not JSON");
        return text.size;
    }
    for (;;) {
        if (!json_object_next(&reader, &key, &value)) {
            if (reader.verdict != JSON_DEEP) break;
            set_fault(request, "bad_request", "the request is nested deeper than 70 levels");
            if (!json_object_pass_deep(&reader)) break; /* its id may stand behind it */
            continue;
        }
        enum request_key which = find_key(&key);
        if (which == KEYS_COUNT) continue;
        if (request_has(request, which)) set_fault(request, "bad_request", "a key stands in the request twice");
        request->present |= 1u << which;
        request->values[which] = value;
        if (which != KEY_ID) continue;
        if (id_valid(&value)) request->id = value.text;
        else set_fault(request, "bad_request", "\"id\" must be a whole number within 2^53 or a string of at most 64 bytes");
    }
    request->complete = reader.verdict == JSON_OK;
    if (reader.verdict == JSON_SYNTAX) {
        request->code = "bad_json"; /* whatever else was wrong before */
        request->why = "this is not JSON";
    }
    return reader.at;
}

bool request_blank(struct span text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.bytes[i] != ' ' && text.bytes[i] != '\t' && text.bytes[i] != '\r' && text.bytes[i] != '\n') return false;
    return true;
}

void request_read_line(struct span line, struct request *request)
{
    size_t end = request_read(line, request);
    if (!request->complete || request_blank(span_skip(line, end))) return;
    request->code = "bad_json";
    request->why = "something stands behind the request's object";
}
