/* Inside a JSON string: where the next byte stands that is not plain, that is a quote, a backslash, a control character
 * (below 0x20) or not ASCII. Private to the json files and their tests. Pure; any thread; reads nothing outside [begin, end). */
#ifndef CORE_PROTO_JSON_SEARCH_H
#define CORE_PROTO_JSON_SEARCH_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

static inline bool json_byte_is_plain(char byte)
{
    return (uint8_t)byte >= 0x20 && (uint8_t)byte < 0x80 && byte != '"' && byte != '\\';
}

/* Eight bytes at a time, in plain C. A byte's top bit ends up set where the byte is not plain. Subtracting may borrow from the
 * next byte up and mark it falsely, but only above one that is marked rightly, so the lowest mark is true. */
static inline const char *json_search_words(const char *at, const char *end)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    for (; end - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        uint64_t marks = (word | (word - ones * 0x20) | ((word ^ ones * '"') - ones) | ((word ^ ones * '\\') - ones)) & tops;
        if (marks) return at + __builtin_ctzll(marks) / 8;
    }
#else
    (void)tops;
#endif
    while (at < end && json_byte_is_plain(*at)) at++;
    return at;
}

#if defined(__SSE2__)
/* A bit for each of the 16 bytes that is not plain. Compared as signed, what is not ASCII is below 0x20 too. */
static inline unsigned json_marks16(const char *at)
{
    __m128i block = _mm_loadu_si128((const __m128i *)at);
    __m128i quote = _mm_cmpeq_epi8(block, _mm_set1_epi8('"'));
    __m128i backslash = _mm_cmpeq_epi8(block, _mm_set1_epi8('\\'));
    __m128i outside = _mm_cmplt_epi8(block, _mm_set1_epi8(0x20));
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, backslash), outside));
}
#endif

/* The first byte at or after `at` that is not plain, or `end`. `begin`: from where on the text may be read, begin <= at. */
static inline const char *json_search(const char *begin, const char *at, const char *end)
{
#if defined(__SSE2__)
    for (; end - at >= 16; at += 16) {
        unsigned marks = json_marks16(at);
        if (marks) return at + __builtin_ctz(marks);
    }
    if (at < end && end - begin >= 16) { /* the last block of the text, without what lies before `at` */
        unsigned marks = json_marks16(end - 16) >> (16 - (end - at));
        return marks ? at + __builtin_ctz(marks) : end;
    }
#else
    (void)begin;
#endif
    return json_search_words(at, end);
}

#endif
