/* A set of small numbers, walked in order from any start: which connections are ready, in memory order.
 *
 * Two levels: a word of `summary` has a bit for each word of `words` that holds anything, so that one member among
 * 20,000 is found after five words, and adding one is two ORs. One thread. */
#ifndef CORE_BASE_BITSET_H
#define CORE_BASE_BITSET_H

#include <stdbool.h>
#include <stdint.h>

#define BITSET_NONE UINT32_MAX

struct bitset {
    uint64_t *words;
    uint64_t *summary;
    uint32_t  words_count;
    uint32_t  summary_count;
    uint32_t  members; /* how many are in it */
};

/* Makes an empty set of numbers below `size`; 0 or -ENOMEM. */
int  bitset_init(struct bitset *set, uint32_t size);
void bitset_deinit(struct bitset *set);

/* The smallest member >= from, or BITSET_NONE. */
uint32_t bitset_next(const struct bitset *set, uint32_t from);

static inline bool bitset_has(const struct bitset *set, uint32_t number)
{
    return set->words[number >> 6] >> (number & 63) & 1;
}

static inline void bitset_add(struct bitset *set, uint32_t number)
{
    uint64_t *word = &set->words[number >> 6], bit = UINT64_C(1) << (number & 63);
    set->members += !(*word & bit);
    *word |= bit;
    set->summary[number >> 12] |= UINT64_C(1) << (number >> 6 & 63);
}

static inline void bitset_remove(struct bitset *set, uint32_t number)
{
    uint64_t *word = &set->words[number >> 6], bit = UINT64_C(1) << (number & 63);
    set->members -= !!(*word & bit);
    *word &= ~bit;
    if (!*word) set->summary[number >> 12] &= ~(UINT64_C(1) << (number >> 6 & 63));
}

#endif
