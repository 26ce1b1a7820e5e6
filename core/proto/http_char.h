/* Which bytes may stand where in HTTP (RFC 9110, 5.5, 5.6.2), and the white space around values. For the codecs of
 * core/proto alone. */
#ifndef CORE_PROTO_HTTP_CHAR_H
#define CORE_PROTO_HTTP_CHAR_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/span.h"

/* A set of ASCII characters: two words, one bit each. */
#define HTTP_BIT(c) ((uint64_t)1 << ((c) & 63))
/* the digits are in the lower word, the letters in the upper */
#define HTTP_DIGITS ((HTTP_BIT('9') << 1) - HTTP_BIT('0'))
#define HTTP_LETTERS (((HTTP_BIT('Z') << 1) - HTTP_BIT('A')) | ((HTTP_BIT('z') << 1) - HTTP_BIT('a')))

static inline bool http_in_set(uint8_t byte, uint64_t lower, uint64_t upper)
{
    return byte < 0x80 && (((byte < 64 ? lower : upper) >> (byte & 63)) & 1);
}

/* tchar: names, methods */
static inline bool http_is_token_char(uint8_t byte)
{
    return http_in_set(byte,
                       HTTP_DIGITS | HTTP_BIT('!') | HTTP_BIT('#') | HTTP_BIT('$') | HTTP_BIT('%') | HTTP_BIT('&') |
                           HTTP_BIT('\'') | HTTP_BIT('*') | HTTP_BIT('+') | HTTP_BIT('-') | HTTP_BIT('.'),
                       HTTP_LETTERS | HTTP_BIT('^') | HTTP_BIT('_') | HTTP_BIT('`') | HTTP_BIT('|') | HTTP_BIT('~'));
}

/* What a header value, a chunk extension or a trailer may hold: HTAB, space, visible ASCII, obs-text. */
static inline bool http_is_value_char(uint8_t byte)
{
    return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

static inline bool http_is_space(char c)
{
    return c == ' ' || c == '\t';
}

/* Without the white space at both ends. */
static inline struct span http_trim(struct span text)
{
    while (text.size > 0 && http_is_space(text.bytes[0])) text = span_skip(text, 1);
    while (text.size > 0 && http_is_space(text.bytes[text.size - 1])) text.size--;
    return text;
}

static inline bool http_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline char http_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* The value of a hexadecimal digit, or -1. */
static inline int http_hex_value(char c)
{
    if (http_is_digit(c)) return c - '0';
    c = http_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

#endif
