/* Topic names and patterns. Promise: what passes here can stand as it is between the quotes of JSON, between the
 * commas of a list and in a log line. */
#include "core/proto/topic_name.h"

#include <string.h>

#include "core/proto/utf8.h"

/* Invisible or line-breaking characters above ASCII: U+0080 to U+00A0, U+2028, U+2029. `text` is UTF-8. */
static bool holds_hidden_character(struct span text)
{
    const uint8_t *at = (const uint8_t *)text.bytes;
    for (size_t i = 0; i + 1 < text.size; i++) {
        if (at[i] == 0xc2 && at[i + 1] <= 0xa0) return true;
        if (i + 2 >= text.size || at[i] != 0xe2 || at[i + 1] != 0x80) continue;
        if (at[i + 2] == 0xa8 || at[i + 2] == 0xa9) return true;
    }
    return false;
}

/* All rules but those for '*' and '>'. */
static const char *text_fault(struct span text)
{
    if (text.size == 0) return "a topic is empty";
    if (text.size > TOPIC_NAME_BYTES_MAX) return "a topic is longer than 128 bytes";
    bool ascii = true;
    char before = '.'; /* so that a '.' at the start ends an empty token */
    for (size_t i = 0; i < text.size; i++) {
        char c = text.bytes[i];
        uint8_t byte = (uint8_t)c;
        if (byte <= 0x20 || byte == 0x7f) return "a topic holds a space or a control character";
        if (c == ',' || c == '"' || c == '\\') return "a topic holds one of , \" \\";
        if (c == '.' && before == '.') return "a topic has an empty token between its dots";
        if (byte >= 0x80) ascii = false;
        before = c;
    }
    if (before == '.') return "a topic has an empty token between its dots";
    if (ascii) return NULL;
    if (!utf8_valid(text)) return "a topic is not UTF-8";
    if (holds_hidden_character(text)) return "a topic holds an invisible character";
    return NULL;
}

const char *topic_name_fault(struct span name)
{
    const char *fault = text_fault(name);
    if (fault) return fault;
    return topic_pattern_is(name) ? "a pattern stands where one topic is wanted" : NULL;
}

bool topic_pattern_is(struct span text)
{
    return span_find(text, '*') || span_find(text, '>');
}

struct span topic_token_next(struct span *rest)
{
    const char *dot = span_find(*rest, '.');
    struct span token = span_of(rest->bytes, dot ? (size_t)(dot - rest->bytes) : rest->size);
    *rest = dot ? span_skip(*rest, token.size + 1) : SPAN_NONE;
    return token;
}

const char *topic_pattern_fault(struct span pattern)
{
    const char *fault = text_fault(pattern);
    if (fault) return fault;
    for (struct span rest = pattern; rest.bytes;) {
        struct span token = topic_token_next(&rest);
        if (!topic_pattern_is(token)) continue;
        if (token.size != 1) return "'*' and '>' stand for whole tokens";
        if (token.bytes[0] == '>' && rest.bytes) return "'>' can only be the last token";
    }
    return NULL;
}

bool topic_pattern_matches(struct span pattern, struct span name)
{
    if (pattern.size == 0 || name.size == 0) return false;
    if (topic_name_reserved(name) && (pattern.bytes[0] == '*' || pattern.bytes[0] == '>')) return false;
    struct span wanted = pattern, left = name;
    while (wanted.bytes && left.bytes) {
        struct span token = topic_token_next(&wanted);
        if (span_is(token, ">") && !wanted.bytes) return true; /* one token at least is left */
        struct span actual = topic_token_next(&left);
        if (!span_is(token, "*") && !span_equals(token, actual)) return false;
    }
    return !wanted.bytes && !left.bytes;
}

bool topic_pattern_contains(struct span pattern, struct span other)
{
    if (pattern.size == 0 || other.size == 0) return false;
    if (topic_name_reserved(other) && (pattern.bytes[0] == '*' || pattern.bytes[0] == '>')) return false;
    struct span wanted = pattern, left = other;
    while (wanted.bytes && left.bytes) {
        struct span token = topic_token_next(&wanted);
        if (span_is(token, ">") && !wanted.bytes) return true;
        struct span given = topic_token_next(&left);
        if (span_is(given, ">") && !left.bytes) return false; /* it may cover more tokens than are wanted */
        if (!span_is(token, "*") && !span_equals(token, given)) return false;
    }
    return !wanted.bytes && !left.bytes;
}
