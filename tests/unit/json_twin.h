/* JSON read a second way, to compare with: by recursive descent, one byte at a time, character by character as RFC 8259's grammar
 * is written; slow, plain, and sharing no line with core/proto/json. Used by test_json.c and fuzz_json.c. */
#ifndef TESTS_UNIT_JSON_TWIN_H
#define TESTS_UNIT_JSON_TWIN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "core/base/check.h"
#include "core/proto/json.h"

struct twin {
    const unsigned char *at, *end;
    enum json_verdict    verdict;
    bool                 line_break, escaped;
};

static inline bool twin_bad(struct twin *twin)
{
    if (twin->verdict == JSON_OK) twin->verdict = JSON_SYNTAX;
    return false;
}

static inline int twin_peek(const struct twin *twin)
{
    return twin->at < twin->end ? *twin->at : -1;
}

static inline void twin_space(struct twin *twin)
{
    for (;; twin->at++) {
        int c = twin_peek(twin);
        if (c != ' ' && c != '\t' && c != '\r' && c != '\n') return;
        twin->line_break |= c == '\r' || c == '\n';
    }
}

/* By arithmetic: the bits are put together and the sum is judged. */
static inline bool twin_utf8(struct twin *twin)
{
    int lead = *twin->at++;
    int more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
    if (lead < 0xc0 || lead > 0xf7) return twin_bad(twin);
    uint32_t point = (uint32_t)lead & (0x3fu >> more);
    for (int i = 0; i < more; i++, twin->at++) {
        if ((twin_peek(twin) & 0xc0) != 0x80 || twin_peek(twin) < 0) return twin_bad(twin);
        point = point << 6 | (*twin->at & 0x3fu);
    }
    static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
    bool surrogate = point >= 0xd800 && point <= 0xdfff;
    return (point >= least[more] && point <= 0x10ffff && !surrogate) || twin_bad(twin);
}

static inline bool twin_string(struct twin *twin)
{
    if (twin_peek(twin) != '"') return twin_bad(twin);
    twin->at++;
    for (;;) {
        int c = twin_peek(twin);
        if (c < 0x20) return twin_bad(twin);
        if (c >= 0x80) {
            if (!twin_utf8(twin)) return false;
            continue;
        }
        twin->at++;
        if (c == '"') return true;
        if (c != '\\') continue;
        twin->escaped = true;
        c = twin_peek(twin);
        if (c <= 0 || !strchr("\"\\/bfnrtu", c)) return twin_bad(twin);
        twin->at++;
        for (int i = 0; c == 'u' && i < 4; i++, twin->at++)
            if (twin_peek(twin) <= 0 || !strchr("0123456789abcdefABCDEF", twin_peek(twin))) return twin_bad(twin);
    }
}

static inline bool twin_digits(struct twin *twin)
{
    bool any = false;
    for (; twin_peek(twin) >= '0' && twin_peek(twin) <= '9'; twin->at++) any = true;
    return any || twin_bad(twin);
}

static inline bool twin_number(struct twin *twin)
{
    if (twin_peek(twin) == '-') twin->at++;
    if (twin_peek(twin) == '0') twin->at++;
    else if (!twin_digits(twin)) return false;
    if (twin_peek(twin) == '.') {
        twin->at++;
        if (!twin_digits(twin)) return false;
    }
    if (twin_peek(twin) == 'e' || twin_peek(twin) == 'E') {
        twin->at++;
        if (twin_peek(twin) == '+' || twin_peek(twin) == '-') twin->at++;
        if (!twin_digits(twin)) return false;
    }
    return true;
}

static inline bool twin_value(struct twin *twin, uint32_t depth_left);

static inline bool twin_bracket(struct twin *twin, uint32_t depth_left, bool object)
{
    if (depth_left == 0) {
        twin->verdict = JSON_DEEP;
        return false;
    }
    twin->at++;
    twin_space(twin);
    if (twin_peek(twin) == (object ? '}' : ']')) {
        twin->at++;
        return true;
    }
    for (;;) {
        if (object) {
            if (!twin_string(twin)) return false;
            twin_space(twin);
            if (twin_peek(twin) != ':') return twin_bad(twin);
            twin->at++;
            twin_space(twin);
        }
        if (!twin_value(twin, depth_left - 1)) return false;
        twin_space(twin);
        int c = twin_peek(twin);
        if (c != ',' && c != (object ? '}' : ']')) return twin_bad(twin);
        twin->at++;
        if (c != ',') return true;
        twin_space(twin);
    }
}

/* From the first character of a value to behind its last. */
static inline bool twin_value(struct twin *twin, uint32_t depth_left)
{
    int c = twin_peek(twin);
    if (c == '{' || c == '[') return twin_bracket(twin, depth_left, c == '{');
    if (c == '"') return twin_string(twin);
    static const char *const words[] = { "true", "false", "null" };
    for (int i = 0; i < 3; i++) {
        if (c != words[i][0]) continue;
        for (const char *word = words[i]; *word; word++, twin->at++)
            if (twin_peek(twin) != *word) return twin_bad(twin);
        return true;
    }
    return twin_number(twin);
}

static inline struct twin twin_of(struct span text)
{
    return (struct twin){ .at = (const unsigned char *)text.bytes, .end = (const unsigned char *)text.bytes + text.size };
}

/* What json_validate() should say. */
static inline enum json_verdict twin_validate(struct span text, uint32_t depth_max, struct json_value *value)
{
    struct twin twin = twin_of(text);
    twin_space(&twin);
    const char *first = (const char *)twin.at;
    twin.line_break = false;
    if (!twin_value(&twin, depth_max)) return twin.verdict;
    static const char kinds[] = "{[\"-tfn";
    const char *kind = strchr(kinds, *first);
    value->kind = kind ? (enum json_kind)(kind - kinds) : JSON_NUMBER;
    value->text = span_of(first, (size_t)((const char *)twin.at - first));
    value->escaped = *first == '"' && twin.escaped;
    value->line_break = twin.line_break;
    twin_space(&twin);
    return twin.at == twin.end ? JSON_OK : JSON_SYNTAX;
}

/* ---- the comparisons ------------------------------------------------------------------------------------------------- */

static inline bool twin_same_value(const struct json_value *a, const struct json_value *b)
{
    return a->kind == b->kind && a->text.bytes == b->text.bytes && a->text.size == b->text.size && a->escaped == b->escaped &&
           a->line_break == b->line_break;
}

/* The reader must agree with the twin on how the text's first value ends, and each member with what the validator says of it. */
static inline void twin_check_object(struct span text, uint32_t depth_max)
{
    struct twin twin = twin_of(text);
    twin_space(&twin);
    if (twin_peek(&twin) != '{') return;
    const char *opening = (const char *)twin.at;
    twin.line_break = false;
    bool valid = twin_value(&twin, depth_max);

    struct json_reader reader;
    struct json_value key, value, again;
    if (json_object_begin(&reader, text, depth_max)) {
        while (json_object_next(&reader, &key, &value)) {
            CHECK(key.kind == JSON_STRING && !key.line_break);
            CHECK(json_validate(key.text, 0, &again) == JSON_OK && twin_same_value(&key, &again));
            CHECK(json_validate(value.text, depth_max - 1, &again) == JSON_OK && twin_same_value(&value, &again));
            CHECK(reader.verdict == JSON_OK && !reader.done);
        }
        CHECK(!json_object_next(&reader, &key, &value));
    }
    CHECK(reader.verdict == twin.verdict);
    CHECK(reader.done == valid);
    CHECK(reader.at <= text.size);
    if (!valid) return;
    CHECK(reader.text.bytes + reader.at == (const char *)twin.at);
    CHECK(reader.line_break == twin.line_break);

    /* The second way through the same object must meet the same members. */
    struct span object = span_of(opening, (size_t)((const char *)twin.at - opening));
    struct json_value key_again, value_again;
    size_t at = 0;
    CHECK(json_object_begin(&reader, text, depth_max));
    while (json_object_next(&reader, &key, &value)) {
        CHECK(json_member_next(object, &at, &key_again, &value_again));
        CHECK(twin_same_value(&key, &key_again) && twin_same_value(&value, &value_again));
    }
    CHECK(!json_member_next(object, &at, &key_again, &value_again));
}

/* Elements must be valid, stand one behind the other, and be as many as commas between them say. */
static inline void twin_check_array(struct span array)
{
    struct json_value element, again;
    const char *last_end = array.bytes + 1;
    size_t at = 0;
    while (json_array_next(array, &at, &element)) {
        CHECK(json_validate(element.text, JSON_DEPTH_LIMIT, &again) == JSON_OK && twin_same_value(&element, &again));
        for (; last_end < element.text.bytes; last_end++) CHECK(strchr(" \t\r\n,", *last_end));
        last_end = element.text.bytes + element.text.size;
    }
    for (; last_end < array.bytes + array.size - 1; last_end++) CHECK(strchr(" \t\r\n", *last_end));
    CHECK(last_end == array.bytes + array.size - 1 && *last_end == ']');
}

/* All that can be compared for one text. */
static inline void twin_check(struct span text, uint32_t depth_max)
{
    struct json_value value = { 0 }, wanted = { 0 };
    enum json_verdict verdict = json_validate(text, depth_max, &value);
    CHECK(verdict == twin_validate(text, depth_max, &wanted));
    if (verdict == JSON_OK) {
        CHECK(twin_same_value(&value, &wanted));
        if (value.kind == JSON_ARRAY) twin_check_array(value.text);
    }
    twin_check_object(text, depth_max);
}

#endif
