/* A hash table of 32-bit indices into a pool: the table knows hashes, its user knows the items.
 *
 *   slots: { hash, index }, linear probing, at most 3/4 full, backward-shift deletion; a lookup is a loop of the user's:
 *     for (uint32_t at = table_first(t, hash); at != TABLE_NONE; at = table_following(t, hash, at))
 *         if (is_it(t->slots[at].index)) return t->slots[at].index;
 * Hashes of names that come from outside must be keyed (core/base/siphash.h). One thread. */
#ifndef CORE_BASE_TABLE_H
#define CORE_BASE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#define TABLE_NONE UINT32_MAX

struct table_slot {
    uint32_t hash;
    uint32_t index; /* TABLE_NONE: empty */
};

struct table {
    struct table_slot *slots;
    uint32_t           mask; /* slots - 1, a power of two */
    uint32_t           count;
};

/* 0 or -ENOMEM. */
int  table_init(struct table *table);
void table_deinit(struct table *table);
/* Puts an index in; it must not be there yet. 0 or -ENOMEM (nothing changed). Doubles when 3/4 full, or fills up where there is no memory for that. */
int table_insert(struct table *table, uint32_t hash, uint32_t index);
/* The same two for what can't be refused: out of the thread's reserve where memory is short (reserve.h). */
void table_init_surely(struct table *table);
void table_insert_surely(struct table *table, uint32_t hash, uint32_t index);
/* Takes an index out; it must be there. */
void table_remove(struct table *table, uint32_t hash, uint32_t index);

static inline uint32_t table_seek(const struct table *table, uint32_t hash, uint32_t at)
{
    for (;; at = (at + 1) & table->mask) {
        if (table->slots[at].index == TABLE_NONE) return TABLE_NONE;
        if (table->slots[at].hash == hash) return at;
    }
}

static inline uint32_t table_first(const struct table *table, uint32_t hash)
{
    return table_seek(table, hash, hash & table->mask);
}

static inline uint32_t table_following(const struct table *table, uint32_t hash, uint32_t at)
{
    return table_seek(table, hash, (at + 1) & table->mask);
}

#endif
