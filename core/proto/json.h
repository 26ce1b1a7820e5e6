/* JSON (RFC 8259), scanned once: validates strictly and hands out slices; never copies, never allocates, never recurses.
 * Pure; any thread. UTF-8 is validated too, so that a text needs no second pass. */
#ifndef CORE_PROTO_JSON_H
#define CORE_PROTO_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/span.h"

enum json_kind { JSON_OBJECT, JSON_ARRAY, JSON_STRING, JSON_NUMBER, JSON_TRUE, JSON_FALSE, JSON_NULL };

enum json_verdict {
    JSON_OK,
    JSON_SYNTAX, /* not JSON */
    JSON_DEEP,   /* JSON so far, but brackets nested deeper than allowed */
};

struct json_value {
    enum json_kind kind;
    struct span    text;       /* the value without white space around it; a string with its quotes */
    bool           escaped;    /* a string that holds a backslash */
    bool           line_break; /* a CR or LF stands between its tokens */
};

/* Validates one value that fills `text`, white space around it allowed, nothing else. `depth_max`: levels of brackets allowed,
 * at most JSON_DEPTH_LIMIT; `[1]` has one. Numbers of any size pass. A byte order mark is SYNTAX. Unpaired \u escapes pass. */
#define JSON_DEPTH_LIMIT 128
enum json_verdict json_validate(struct span text, uint32_t depth_max, struct json_value *value);

/* Reading of one object, member by member, in one pass.
 *     struct json_reader reader;
 *     if (json_object_begin(&reader, text, depth_max)) while (json_object_next(&reader, &key, &value)) ...
 *     reader.verdict tells how it ended; on JSON_OK reader.at stands behind the closing brace.
 * Members handed out before a fault were valid: what is to be done with them waits until the end. */
struct json_reader {
    struct span       text;
    size_t            at;        /* offset in text */
    uint32_t          depth_max; /* counts the object itself as 1 */
    enum json_verdict verdict;
    bool              first, done;
    bool              line_break; /* a CR or LF was met between tokens so far, within the object */
};

/* Skips white space and the opening brace; false: there is no object here: verdict is JSON_OK where some other valid first
 * character of a value stands there (reader.at at it), else JSON_SYNTAX. */
bool json_object_begin(struct json_reader *reader, struct span text, uint32_t depth_max);
/* key: kind JSON_STRING, text with its quotes. False at the end or at a fault (see verdict). */
bool json_object_next(struct json_reader *reader, struct json_value *key, struct json_value *value);
/* After JSON_DEEP: goes on behind the member that is too deep, whose brackets are counted only: what else is wrong inside stays
 * unseen. False where the text ends within it; the verdict is then JSON_SYNTAX. */
bool json_object_pass_deep(struct json_reader *reader);

/* Elements of an array that is already known to be valid (a json_value of kind JSON_ARRAY): moves *at (0 at first). */
bool json_array_next(struct span array, size_t *at, struct json_value *element);
/* Members of an object that is already known to be valid: moves *at (0 at first). */
bool json_member_next(struct span object, size_t *at, struct json_value *key, struct json_value *value);

/* Whether a string value, unescaped, equals this text. */
bool json_string_is(const struct json_value *string, const char *text);
/* Unescapes a string value into out, which has room for out_max bytes; returns the size, or -1 where it does not fit or holds an
 * unpaired surrogate escape (which is no UTF-8). Where !value->escaped no copy is needed: see json_string_inside. */
long json_string_unescape(const struct json_value *string, char *out, size_t out_max);
/* The bytes between the quotes, still escaped. */
static inline struct span json_string_inside(const struct json_value *string)
{
    return span_of(string->text.bytes + 1, string->text.size - 2);
}

/* An integer written without point or exponent, -2^53 to 2^53; false otherwise ("-0" is 0). */
bool json_integer(const struct json_value *number, int64_t *integer);
/* Any number, by strtod's rules; false where it is not finite. */
bool json_double(const struct json_value *number, double *real);

/* Appends text as the inside of a JSON string (quotes not included), escaping what must be; invalid UTF-8 becomes U+FFFD.
 * Returns the bytes written, at most out_max; stops before a character that does not fit. */
size_t json_escape(struct span text, char *out, size_t out_max);

#endif
