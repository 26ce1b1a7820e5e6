/* A borrowed run of bytes: the one way in which bytes are handed around here.
 *
 * A span owns nothing. Whoever makes one says how long its bytes stay valid; "for this call" where nothing is said.
 * An absent thing is a span with bytes == NULL; an empty one has size 0 and bytes != NULL. */
#ifndef CORE_BASE_SPAN_H
#define CORE_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const char *bytes;
    size_t      size; /* in bytes */
};

#define SPAN_NONE ((struct span){ NULL, 0 })
/* A span over a string literal, without its end mark. */
#define SPAN_LITERAL(text) ((struct span){ "" text, sizeof(text) - 1 })

static inline struct span span_of(const char *bytes, size_t size)
{
    return (struct span){ bytes, size };
}

static inline struct span span_of_string(const char *string)
{
    return (struct span){ string, string ? strlen(string) : 0 };
}

static inline bool span_equals(struct span a, struct span b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.bytes, b.bytes, a.size) == 0);
}

static inline bool span_is(struct span a, const char *string)
{
    return span_equals(a, span_of_string(string));
}

static inline bool span_begins(struct span a, struct span prefix)
{
    return a.size >= prefix.size && (prefix.size == 0 || memcmp(a.bytes, prefix.bytes, prefix.size) == 0);
}

/* What is left after the first `count` bytes; count <= size. */
static inline struct span span_skip(struct span a, size_t count)
{
    return (struct span){ a.bytes + count, a.size - count };
}

/* Where the first such byte stands; NULL: nowhere. An absent span has none: memchr() may not be asked about NULL, not even for no bytes. */
static inline const char *span_find(struct span a, char byte)
{
    return a.size > 0 ? (const char *)memchr(a.bytes, byte, a.size) : NULL;
}

/* Where these words first stand; NULL: nowhere. */
static inline const char *span_find_string(struct span a, const char *words)
{
    return a.size > 0 ? (const char *)memmem(a.bytes, a.size, words, strlen(words)) : NULL;
}

/* Writes its bytes to `out`, which has room for them, and returns the place behind them. */
static inline char *span_write(struct span a, char *out)
{
    if (a.size == 0) return out;
    return (char *)memcpy(out, a.bytes, a.size) + a.size;
}

/* Byte order of names: memcmp, the shorter first. */
static inline int span_compare(struct span a, struct span b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common ? memcmp(a.bytes, b.bytes, common) : 0;
    if (order) return order;
    return (a.size > b.size) - (a.size < b.size);
}

#endif
