/* UTF-8 that arrives piece by piece (RFC 3629): fails as soon as the bytes can't become valid. Pure; any thread. */
#ifndef CORE_PROTO_UTF8_H
#define CORE_PROTO_UTF8_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/span.h"

/* Where in a character the text stands. Zero it before the first piece. */
struct utf8 {
    uint8_t missing;  /* continuation bytes that the character still needs; 0 between characters */
    uint8_t low, high; /* the range that the next continuation byte must be in */
};

/* Takes the next piece; false: the text is not UTF-8 (overlong, surrogate, beyond U+10FFFF, stray byte), and never will be. */
bool utf8_feed(struct utf8 *state, struct span piece);

/* Whether the text may end here, between two characters. */
static inline bool utf8_complete(const struct utf8 *state)
{
    return state->missing == 0;
}

/* A whole text at once. */
bool utf8_valid(struct span text);

/* The same, byte by byte with no fast path for ASCII: the twin that tests compare with. */
bool utf8_feed_scalar(struct utf8 *state, struct span piece);

#endif
