/* See siphash.h; the names are those of the paper. */
#include "core/base/siphash.h"

#include <endian.h>

struct state {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate_left(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static inline uint64_t load_little_endian(const void *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return le64toh(word);
}

static inline void sip_rounds(struct state *s, unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        s->v0 += s->v1, s->v1 = rotate_left(s->v1, 13), s->v1 ^= s->v0, s->v0 = rotate_left(s->v0, 32);
        s->v2 += s->v3, s->v3 = rotate_left(s->v3, 16), s->v3 ^= s->v2;
        s->v0 += s->v3, s->v3 = rotate_left(s->v3, 21), s->v3 ^= s->v0;
        s->v2 += s->v1, s->v1 = rotate_left(s->v1, 17), s->v1 ^= s->v2, s->v2 = rotate_left(s->v2, 32);
    }
}

static inline void take_word(struct state *s, uint64_t word, unsigned each)
{
    s->v3 ^= word;
    sip_rounds(s, each);
    s->v0 ^= word;
}

/* Inline, so that siphash() is compiled with its numbers of rounds known. */
static inline uint64_t hash(const uint8_t *key, struct span text, unsigned each, unsigned end)
{
    uint64_t k0 = load_little_endian(key), k1 = load_little_endian(key + 8);
    struct state s = { k0 ^ UINT64_C(0x736f6d6570736575), k1 ^ UINT64_C(0x646f72616e646f6d),
                       k0 ^ UINT64_C(0x6c7967656e657261), k1 ^ UINT64_C(0x7465646279746573) };

    size_t whole = text.size / 8 * 8;
    for (size_t i = 0; i < whole; i += 8) take_word(&s, load_little_endian(text.bytes + i), each);

    uint64_t last = (uint64_t)text.size << 56;
    for (size_t i = whole; i < text.size; i++) last |= (uint64_t)(unsigned char)text.bytes[i] << 8 * (i - whole);
    take_word(&s, last, each);

    s.v2 ^= 0xff;
    sip_rounds(&s, end);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

uint64_t siphash(const uint8_t key[SIPHASH_KEY_BYTES], struct span text)
{
    return hash(key, text, 1, 3);
}

uint64_t siphash_rounds(const uint8_t key[SIPHASH_KEY_BYTES], struct span text, unsigned each, unsigned end)
{
    return hash(key, text, each, end);
}
