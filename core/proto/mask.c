/* Unmasking: XOR with a key of four bytes, 16 or 32 bytes at a time. Promise: touches the bytes given and no other. */
#include "core/proto/mask.h"

#include <string.h>

/* Unaligned vectors that may alias anything; the compiler makes SSE2 or NEON of them. */
typedef uint32_t quad __attribute__((vector_size(16), aligned(1), may_alias));

void mask_apply_scalar(char *bytes, size_t size, const uint8_t key[4], size_t phase)
{
    for (size_t i = 0; i < size; i++) bytes[i] = (char)((uint8_t)bytes[i] ^ key[(phase + i) & 3]);
}

/* The key as it falls on the first of our bytes, in memory order. Every step below is a multiple of four bytes, so it
 * stays. */
static uint32_t turn_key(const uint8_t key[4], size_t phase)
{
    uint8_t turned[4];
    for (size_t i = 0; i < 4; i++) turned[i] = key[(phase + i) & 3];
    uint32_t word;
    memcpy(&word, turned, sizeof word);
    return word;
}

#if defined(__x86_64__)
typedef uint32_t oct __attribute__((vector_size(32), aligned(1), may_alias));

/* Below this the call and the wide key cost more than they save. */
#define WIDE_BYTES_MIN 128

/* Returns how many bytes it has done: whole 64-byte steps. */
__attribute__((target("avx2"), noinline)) static size_t apply_wide(char *bytes, size_t size, uint32_t key)
{
    const oct keys = { key, key, key, key, key, key, key, key };
    size_t at = 0;
    for (; size - at >= 64; at += 64) {
        *(oct *)(bytes + at) ^= keys;
        *(oct *)(bytes + at + 32) ^= keys;
    }
    return at;
}
#endif

void mask_apply(char *bytes, size_t size, const uint8_t key[4], size_t phase)
{
    uint32_t word = turn_key(key, phase);
    size_t at = 0;
#if defined(__x86_64__)
    if (size >= WIDE_BYTES_MIN && __builtin_cpu_supports("avx2")) at = apply_wide(bytes, size, word);
#endif
    const quad keys = { word, word, word, word };
    for (; size - at >= 16; at += 16) *(quad *)(bytes + at) ^= keys;
    for (; size - at >= 4; at += 4) {
        uint32_t four;
        memcpy(&four, bytes + at, sizeof four);
        four ^= word;
        memcpy(bytes + at, &four, sizeof four);
    }
    for (; at < size; at++) bytes[at] = (char)((uint8_t)bytes[at] ^ key[(phase + at) & 3]);
}
