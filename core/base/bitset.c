#include "core/base/bitset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Two lines of 64 bytes: x86 fetches them in pairs. One thread makes the sets of all shards, and they are written all the time:
 * a line that holds two shards' would go to and fro. */
enum { ALIGNED_BYTES = 128 };

int bitset_init(struct bitset *set, uint32_t size)
{
    *set = (struct bitset){ .words_count = (size + 63) / 64 };
    set->summary_count = (set->words_count + 63) / 64;
    size_t bytes = (set->words_count + set->summary_count) * sizeof *set->words;
    bytes = (bytes + ALIGNED_BYTES - 1) / ALIGNED_BYTES * ALIGNED_BYTES;
    set->words = aligned_alloc(ALIGNED_BYTES, bytes);
    if (!set->words) return -ENOMEM;
    memset(set->words, 0, bytes);
    set->summary = set->words + set->words_count;
    return 0;
}

void bitset_deinit(struct bitset *set)
{
    free(set->words);
    *set = (struct bitset){ 0 };
}

uint32_t bitset_next(const struct bitset *set, uint32_t from)
{
    uint32_t word = from >> 6;
    if (word >= set->words_count) return BITSET_NONE;
    uint64_t bits = set->words[word] >> (from & 63);
    if (bits) return from + (uint32_t)__builtin_ctzll(bits);

    word++;
    uint32_t group = word >> 6;
    if (group >= set->summary_count) return BITSET_NONE;
    uint64_t groups = set->summary[group] & ~UINT64_C(0) << (word & 63);
    while (!groups) {
        if (++group >= set->summary_count) return BITSET_NONE;
        groups = set->summary[group];
    }
    word = (group << 6) + (uint32_t)__builtin_ctzll(groups);
    return (word << 6) + (uint32_t)__builtin_ctzll(set->words[word]);
}
