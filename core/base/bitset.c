#include "core/base/bitset.h"

#include <errno.h>
#include <stdlib.h>

int bitset_init(struct bitset *set, uint32_t size)
{
    *set = (struct bitset){ .words_count = (size + 63) / 64 };
    set->summary_count = (set->words_count + 63) / 64;
    set->words = calloc(set->words_count + set->summary_count, sizeof *set->words);
    if (!set->words) return -ENOMEM;
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
