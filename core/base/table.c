#include "core/base/table.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/reserve.h"

enum { SLOTS_FIRST = 16 };

static struct table_slot *slots_make(uint32_t count)
{
    struct table_slot *slots = malloc(count * sizeof *slots);
    if (slots) for (uint32_t i = 0; i < count; i++) slots[i] = (struct table_slot){ 0, TABLE_NONE };
    return slots;
}

static void put(struct table *table, struct table_slot slot)
{
    uint32_t at = slot.hash & table->mask;
    while (table->slots[at].index != TABLE_NONE) at = (at + 1) & table->mask;
    table->slots[at] = slot;
}

int table_init(struct table *table)
{
    *table = (struct table){ .slots = slots_make(SLOTS_FIRST), .mask = SLOTS_FIRST - 1 };
    return table->slots ? 0 : -ENOMEM;
}

void table_deinit(struct table *table)
{
    free(table->slots);
    *table = (struct table){ 0 };
}

static int grow(struct table *table)
{
    struct table larger = { .mask = table->mask * 2 + 1, .count = table->count };
    larger.slots = slots_make(larger.mask + 1);
    if (!larger.slots) return -ENOMEM;
    for (uint32_t at = 0; at <= table->mask; at++)
        if (table->slots[at].index != TABLE_NONE) put(&larger, table->slots[at]);
    free(table->slots);
    *table = larger;
    return 0;
}

int table_insert(struct table *table, uint32_t hash, uint32_t index)
{
    CHECK(index != TABLE_NONE);
    if (table->count + 1 > (table->mask + 1) / 4 * 3) {
        int error = grow(table);
        if (error && table->count == table->mask) return error; /* one slot stays empty, where a search ends */
    }
    put(table, (struct table_slot){ hash, index });
    table->count++;
    return 0;
}

void table_init_surely(struct table *table)
{
    if (table_init(table) == 0) return;
    reserve_draw();
    bool there_is_memory = table_init(table) == 0;
    CHECK(there_is_memory);
}

void table_insert_surely(struct table *table, uint32_t hash, uint32_t index)
{
    if (table_insert(table, hash, index) == 0) return;
    reserve_draw();
    bool there_is_memory = table_insert(table, hash, index) == 0;
    CHECK(there_is_memory);
}

void table_remove(struct table *table, uint32_t hash, uint32_t index)
{
    uint32_t hole = table_first(table, hash);
    while (hole != TABLE_NONE && table->slots[hole].index != index) hole = table_following(table, hash, hole);
    CHECK(hole != TABLE_NONE);

    /* Backward shift: whatever probed past the hole moves into it, so that no tombstones pile up. */
    for (uint32_t at = (hole + 1) & table->mask; table->slots[at].index != TABLE_NONE; at = (at + 1) & table->mask) {
        uint32_t from_home = (at - (table->slots[at].hash & table->mask)) & table->mask;
        if (from_home < ((at - hole) & table->mask)) continue; /* it stands between its home and the hole: stays */
        table->slots[hole] = table->slots[at];
        hole = at;
    }
    table->slots[hole].index = TABLE_NONE;
    table->count--;
}
