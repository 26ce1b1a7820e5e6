/* UTF-8 by ranges (RFC 3629, 4): a lead byte says how many follow and in which range the first of them must be,
 * which is all there is to overlong forms, surrogates and the end at U+10FFFF. Promise: false at the first byte
 * that shows it. */
#include "core/proto/utf8.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* A text that failed stays failed: no byte is in this range. */
static bool fail(struct utf8 *state)
{
    *state = (struct utf8){ .missing = 1, .low = 1, .high = 0 };
    return false;
}

static bool failed(const struct utf8 *state)
{
    return state->low > state->high;
}

/* What must follow a lead byte, by the table of RFC 3629, 4. False for a byte that can't lead. */
static inline bool expect(struct utf8 *state, uint8_t lead)
{
    uint8_t missing, low = 0x80, high = 0xbf;
    if (lead < 0xc2) return false; /* a stray continuation byte, or an overlong form of ASCII */
    if (lead < 0xe0) {
        missing = 1;
    } else if (lead < 0xf0) {
        missing = 2;
        if (lead == 0xe0) low = 0xa0;  /* below: overlong */
        if (lead == 0xed) high = 0x9f; /* above: surrogates */
    } else if (lead < 0xf5) {
        missing = 3;
        if (lead == 0xf0) low = 0x90;  /* below: overlong */
        if (lead == 0xf4) high = 0x8f; /* above: beyond U+10FFFF */
    } else {
        return false;
    }
    *state = (struct utf8){ missing, low, high };
    return true;
}

static inline bool take(struct utf8 *state, uint8_t byte)
{
    if (state->missing == 0) return byte < 0x80 || expect(state, byte);
    if (byte < state->low || byte > state->high) return false;
    if (--state->missing == 0) *state = (struct utf8){ 0 };
    else *state = (struct utf8){ state->missing, 0x80, 0xbf };
    return true;
}

bool utf8_feed_scalar(struct utf8 *state, struct span piece)
{
    if (failed(state)) return false;
    for (size_t i = 0; i < piece.size; i++)
        if (!take(state, (uint8_t)piece.bytes[i])) return fail(state);
    return true;
}

/* Where the run of ASCII that begins at `at` ends, or a little before: whole blocks only. */
static inline const uint8_t *skip_ascii(const uint8_t *at, const uint8_t *end)
{
#if defined(__SSE2__)
    while (end - at >= 64) {
        __m128i a = _mm_loadu_si128((const __m128i *)at), b = _mm_loadu_si128((const __m128i *)(at + 16));
        __m128i c = _mm_loadu_si128((const __m128i *)(at + 32)), d = _mm_loadu_si128((const __m128i *)(at + 48));
        if (_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(a, b), _mm_or_si128(c, d))) != 0) break;
        at += 64;
    }
    while (end - at >= 16) {
        unsigned high_bits = (unsigned)_mm_movemask_epi8(_mm_loadu_si128((const __m128i *)at));
        if (high_bits != 0) return at + __builtin_ctz(high_bits);
        at += 16;
    }
#else
    while (end - at >= 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        if ((word & 0x8080808080808080u) != 0) break;
        at += 8;
    }
#endif
    return at;
}

bool utf8_feed(struct utf8 *state, struct span piece)
{
    if (failed(state)) return false;
    if (piece.size == 0) return true;
    const uint8_t *at = (const uint8_t *)piece.bytes, *end = at + piece.size;
    while (at < end && state->missing != 0) /* a character that the last piece began */
        if (!take(state, *at++)) return fail(state);
    while (at < end) {
        if (*at < 0x80) {
            at = skip_ascii(at + 1, end);
            continue;
        }
        struct utf8 next;
        if (!expect(&next, *at++)) return fail(state);
        if (end - at < next.missing) { /* it ends in the next piece, or is bad already */
            *state = next;
            while (at < end)
                if (!take(state, *at++)) return fail(state);
            return true;
        }
        if (*at < next.low || *at > next.high) return fail(state);
        for (int i = 1; i < next.missing; i++)
            if ((at[i] & 0xc0) != 0x80) return fail(state);
        at += next.missing;
    }
    return true;
}

bool utf8_valid(struct span text)
{
    struct utf8 state = { 0 };
    return utf8_feed(&state, text) && utf8_complete(&state);
}
