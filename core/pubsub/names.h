/* Names in byte order, for listing them page by page.
 *
 * Births come often and listings seldom, so a new name is put behind the others and sorted in when a listing asks: a birth
 * costs 16 bytes and no search. One thread; the names' bytes are borrowed and outlive their stay here. */
#ifndef CORE_PUBSUB_NAMES_H
#define CORE_PUBSUB_NAMES_H

#include "core/base/span.h"

struct names {
    struct span *list;
    uint32_t     count, capacity;
    uint32_t     sorted; /* the first so many are in order */
};

void names_deinit(struct names *names);
/* 0 or -ENOMEM. */
int names_add(struct names *names, struct span name);

/* Takes a name out; it must be there. Costs a move of those behind it. */
void names_remove(struct names *names, struct span name);

/* Index of the first name greater than `after` and not below `prefix`; names from there on are in order, names->count of them.
 * Sorts first where something was added. */
uint32_t names_seek(struct names *names, struct span prefix, struct span after);

#endif
