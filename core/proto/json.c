/* The scanner of json.h: one pass over the text, brackets remembered as bits, so that no text can exhaust the stack.
 * Reading inside strings and numbers stands in json_text.c. */
#include "core/proto/json.h"

#include <assert.h>

#include "core/base/check.h"
#include "core/proto/json_search.h"
#include "core/proto/utf8_char.h"

/* One run over a text. Each step takes where it stands and returns where it ended, or NULL at a fault, which is noted here. */
struct scan {
    const char       *begin, *end;
    uint32_t          depth_max;
    bool              line_break; /* a CR or LF was passed between tokens; cleared by whoever asks */
    bool              escaped;    /* a string with a backslash was passed; likewise */
    enum json_verdict verdict;
    const char       *fault;
};

static struct scan scan_of(struct span text, uint32_t depth_max)
{
    CHECK(depth_max <= JSON_DEPTH_LIMIT);
    const char *begin = text.bytes ? text.bytes : "";
    return (struct scan){ .begin = begin, .end = begin + text.size, .depth_max = depth_max };
}

static const char *fail(struct scan *scan, const char *at, enum json_verdict verdict)
{
    scan->verdict = verdict;
    scan->fault = at;
    return NULL;
}

static inline bool stands(const struct scan *scan, const char *at, char byte)
{
    return at < scan->end && *at == byte;
}

static inline bool is_digit(const struct scan *scan, const char *at)
{
    return at < scan->end && (uint8_t)(*at - '0') <= 9;
}

static inline const char *pass_space(struct scan *scan, const char *at)
{
    for (; at < scan->end && (uint8_t)*at <= ' '; at++) {
        if (*at == '\n' || *at == '\r') scan->line_break = true;
        else if (*at != ' ' && *at != '\t') break;
    }
    return at;
}

/* ---- strings ------------------------------------------------------------------------------------------------------- */

static bool is_hex(char byte)
{
    return (uint8_t)(byte - '0') <= 9 || (uint8_t)((byte | 0x20) - 'a') <= 5;
}

/* From a backslash to behind what it escapes. */
static const char *pass_escape(struct scan *scan, const char *at)
{
    scan->escaped = true;
    if (scan->end - at < 2) return fail(scan, scan->end, JSON_SYNTAX);
    switch (at[1]) {
    case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
        return at + 2;
    case 'u':
        for (int i = 2; i < 6; i++)
            if (scan->end - at <= i || !is_hex(at[i])) return fail(scan, at, JSON_SYNTAX);
        return at + 6;
    default:
        return fail(scan, at, JSON_SYNTAX);
    }
}

/* The rest of a string whose plain beginning has been passed; out of the way of the hot path. */
static __attribute__((noinline)) const char *pass_string_slowly(struct scan *scan, const char *at)
{
    while (at < scan->end && *at != '"') {
        if (*at == '\\') {
            at = pass_escape(scan, at);
            if (!at) return NULL;
        } else if ((uint8_t)*at >= 0x80) {
            unsigned char_bytes = utf8_char_bytes(at, scan->end);
            if (char_bytes == 0) return fail(scan, at, JSON_SYNTAX);
            at += char_bytes;
            if (at < scan->end && (uint8_t)*at >= 0x80) continue; /* they come in runs */
        } else {
            return fail(scan, at, JSON_SYNTAX); /* a control character */
        }
        at = json_search(scan->begin, at, scan->end);
    }
    return at < scan->end ? at + 1 : fail(scan, at, JSON_SYNTAX);
}

/* From an opening quote to behind the closing one. */
static inline const char *pass_string(struct scan *scan, const char *at)
{
    at = json_search(scan->begin, at + 1, scan->end);
    if (stands(scan, at, '"')) return at + 1;
    return pass_string_slowly(scan, at);
}

/* From behind the name of a member to its value. */
static inline const char *pass_colon(struct scan *scan, const char *at)
{
    at = pass_space(scan, at);
    if (!stands(scan, at, ':')) return fail(scan, at, JSON_SYNTAX);
    return pass_space(scan, at + 1);
}

/* From where the name of a member is due to its value. */
static inline const char *pass_name(struct scan *scan, const char *at)
{
    if (!stands(scan, at, '"')) return fail(scan, at, JSON_SYNTAX);
    at = pass_string(scan, at);
    return at ? pass_colon(scan, at) : NULL;
}

/* ---- values -------------------------------------------------------------------------------------------------------- */

static inline const char *pass_digits(struct scan *scan, const char *at)
{
    if (!is_digit(scan, at)) return fail(scan, at, JSON_SYNTAX);
    do at++;
    while (is_digit(scan, at));
    return at;
}

static inline const char *pass_number(struct scan *scan, const char *at)
{
    if (*at == '-') at++;
    if (stands(scan, at, '0')) at++; /* and no digit may follow, which is a fault for whoever comes next */
    else at = pass_digits(scan, at);
    if (at && stands(scan, at, '.')) at = pass_digits(scan, at + 1);
    if (at && at < scan->end && (*at | 0x20) == 'e') {
        at++;
        if (stands(scan, at, '+') || stands(scan, at, '-')) at++;
        at = pass_digits(scan, at);
    }
    return at;
}

static const char *pass_word(struct scan *scan, const char *at, struct span word)
{
    if ((size_t)(scan->end - at) < word.size || memcmp(at, word.bytes, word.size) != 0) return fail(scan, at, JSON_SYNTAX);
    return at + word.size;
}

/* A value without brackets. */
static inline const char *pass_scalar(struct scan *scan, const char *at)
{
    if (at == scan->end) return fail(scan, at, JSON_SYNTAX);
    switch (*at) {
    case '"': return pass_string(scan, at);
    case 't': return pass_word(scan, at, SPAN_LITERAL("true"));
    case 'f': return pass_word(scan, at, SPAN_LITERAL("false"));
    case 'n': return pass_word(scan, at, SPAN_LITERAL("null"));
    default:  return pass_number(scan, at);
    }
}

/* From the first character of a value to behind its last. */
static const char *pass_value(struct scan *scan, const char *at)
{
    unsigned __int128 kinds = 0; /* a bit for each open bracket, the innermost lowest: 1 for a brace */
    static_assert(sizeof kinds * 8 >= JSON_DEPTH_LIMIT, "a bit for each level");
    uint32_t depth = 0;
    for (;;) {
        if (stands(scan, at, '{') || stands(scan, at, '[')) {
            if (depth == scan->depth_max) return fail(scan, at, JSON_DEEP);
            bool brace = *at == '{';
            at = pass_space(scan, at + 1);
            if (!stands(scan, at, brace ? '}' : ']')) { /* go in */
                depth++;
                kinds = kinds << 1 | brace;
                if (brace) at = pass_name(scan, at);
                if (!at) return NULL;
                continue;
            }
            at++;
        } else {
            at = pass_scalar(scan, at);
            if (!at) return NULL;
        }
        for (;;) { /* a value has ended here, and with it perhaps what holds it */
            if (depth == 0) return at;
            at = pass_space(scan, at);
            if (stands(scan, at, ',')) break;
            if (!stands(scan, at, kinds & 1 ? '}' : ']')) return fail(scan, at, JSON_SYNTAX);
            at++;
            depth--;
            kinds >>= 1;
        }
        at = pass_space(scan, at + 1);
        if (kinds & 1) at = pass_name(scan, at);
        if (!at) return NULL;
    }
}

static enum json_kind kind_of(char first)
{
    switch (first) {
    case '{': return JSON_OBJECT;
    case '[': return JSON_ARRAY;
    case '"': return JSON_STRING;
    case 't': return JSON_TRUE;
    case 'f': return JSON_FALSE;
    case 'n': return JSON_NULL;
    default:  return JSON_NUMBER;
    }
}

/* Passes a value and says what it is. */
static inline const char *take_value(struct scan *scan, const char *at, struct json_value *value)
{
    scan->line_break = false;
    scan->escaped = false;
    const char *first = at;
    at = pass_value(scan, at);
    if (!at) return NULL;
    value->kind = kind_of(*first);
    value->text = span_of(first, (size_t)(at - first));
    value->escaped = value->kind == JSON_STRING && scan->escaped;
    value->line_break = scan->line_break;
    return at;
}

/* The same as pass_name, and says what the name is. */
static inline const char *take_name(struct scan *scan, const char *at, struct json_value *key)
{
    if (!stands(scan, at, '"')) return fail(scan, at, JSON_SYNTAX);
    scan->escaped = false;
    const char *first = at;
    at = pass_string(scan, at);
    if (!at) return NULL;
    *key = (struct json_value){ JSON_STRING, span_of(first, (size_t)(at - first)), scan->escaped, false };
    return pass_colon(scan, at);
}

enum json_verdict json_validate(struct span text, uint32_t depth_max, struct json_value *value)
{
    struct scan scan = scan_of(text, depth_max);
    struct json_value found;
    const char *at = take_value(&scan, pass_space(&scan, scan.begin), &found);
    if (!at) return scan.verdict;
    if (pass_space(&scan, at) != scan.end) return JSON_SYNTAX;
    *value = found;
    return JSON_OK;
}

/* ---- member by member ---------------------------------------------------------------------------------------------- */

bool json_object_begin(struct json_reader *reader, struct span text, uint32_t depth_max)
{
    struct scan scan = scan_of(text, depth_max);
    const char *at = pass_space(&scan, scan.begin);
    *reader = (struct json_reader){ .text = span_of(scan.begin, text.size), .at = (size_t)(at - scan.begin), .depth_max = depth_max,
                                    .verdict = JSON_OK, .first = true };
    if (stands(&scan, at, '{')) {
        reader->at++;
        if (depth_max == 0) reader->verdict = JSON_DEEP;
        return depth_max > 0;
    }
    reader->done = true; /* nothing is to be read here */
    bool other_value = is_digit(&scan, at) || (at < scan.end && memchr("[\"-tfn", *at, 6));
    if (!other_value) reader->verdict = JSON_SYNTAX;
    return false;
}

/* The next member; NULL at the closing brace, which is passed, and at a fault. */
static inline const char *take_member(struct json_reader *reader, struct scan *scan, const char *at, struct json_value *key,
                                      struct json_value *value)
{
    at = pass_space(scan, at);
    bool comma = !reader->first && stands(scan, at, ',');
    if (comma) {
        at = pass_space(scan, at + 1);
    } else if (stands(scan, at, '}')) {
        reader->done = true;
        reader->at = (size_t)(at + 1 - scan->begin);
        return NULL;
    } else if (!reader->first) {
        return fail(scan, at, JSON_SYNTAX);
    }
    at = take_name(scan, at, key);
    if (!at) return NULL;
    reader->line_break |= scan->line_break;
    return take_value(scan, at, value);
}

bool json_object_next(struct json_reader *reader, struct json_value *key, struct json_value *value)
{
    if (reader->done || reader->verdict != JSON_OK) return false;
    struct scan scan = scan_of(reader->text, reader->depth_max - 1); /* the object itself is a level */
    const char *at = take_member(reader, &scan, scan.begin + reader->at, key, value);
    reader->line_break |= scan.line_break;
    reader->first = false;
    if (at) {
        reader->at = (size_t)(at - scan.begin);
        return true;
    }
    reader->verdict = scan.verdict;
    if (scan.verdict != JSON_OK) reader->at = (size_t)(scan.fault - scan.begin);
    return false;
}

bool json_object_pass_deep(struct json_reader *reader)
{
    CHECK(reader->verdict == JSON_DEEP && !reader->done);
    struct scan scan = scan_of(reader->text, reader->depth_max);
    size_t open = reader->depth_max - 1; /* brackets of the member before the one too many, at which the reader stands */
    for (const char *at = scan.begin + reader->at; at < scan.end; at++) {
        if (*at == '"') {
            at = pass_string(&scan, at);
            if (!at) break;
            at--;
        } else if (*at == '{' || *at == '[') {
            open++;
        } else if ((*at == '}' || *at == ']') && --open == 0) {
            reader->verdict = JSON_OK;
            reader->at = (size_t)(at + 1 - scan.begin);
            return true;
        }
    }
    reader->verdict = JSON_SYNTAX;
    return false;
}

/* Moves from a bracket or from behind an element to the next element; NULL at the closing bracket. */
static const char *next_element(struct scan *scan, const char *at)
{
    at = pass_space(scan, at);
    bool opening = at == scan->begin && (stands(scan, at, '[') || stands(scan, at, '{'));
    if (!opening && !stands(scan, at, ',')) return NULL;
    at = pass_space(scan, at + 1);
    return stands(scan, at, ']') || stands(scan, at, '}') ? NULL : at;
}

bool json_array_next(struct span array, size_t *at, struct json_value *element)
{
    struct scan scan = scan_of(array, JSON_DEPTH_LIMIT);
    const char *here = next_element(&scan, scan.begin + *at);
    if (here) here = take_value(&scan, here, element);
    if (!here) return false;
    *at = (size_t)(here - scan.begin);
    return true;
}

bool json_member_next(struct span object, size_t *at, struct json_value *key, struct json_value *value)
{
    struct scan scan = scan_of(object, JSON_DEPTH_LIMIT);
    const char *here = next_element(&scan, scan.begin + *at);
    if (here) here = take_name(&scan, here, key);
    if (here) here = take_value(&scan, here, value);
    if (!here) return false;
    *at = (size_t)(here - scan.begin);
    return true;
}
