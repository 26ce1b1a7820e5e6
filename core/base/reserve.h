/* Memory for what is small, bounded by its users and must be there: replies, requests, what a client has half sent. Topics, logs and
 * subscriptions do not come from here: they are refused by name (`busy`) where memory is short.
 *
 * Each thread keeps a reserve. Where the allocator refuses, the thread gives its reserve back, so that what is under way can be finished,
 * and is short of memory until reserve_fill() has it again: a shard then takes in nobody and lets the heaviest go, as at limits.memory.
 * Beyond that there is nothing left to give, and the process ends by a check that says so. Its thread's only. */
#ifndef CORE_BASE_RESERVE_H
#define CORE_BASE_RESERVE_H

#include <stdbool.h>
#include <stddef.h>

/* More than any one of those things is by default (limits.message, 1 MiB); untouched, so that it costs address space alone. */
#define RESERVE_BYTES ((size_t)2 * 1024 * 1024)

/* realloc() that does not fail; bytes: NULL for new memory. It is given back by free(). */
void *reserve_resize(void *bytes, size_t size);
/* calloc() that does not fail. */
void *reserve_zeroed(size_t count, size_t size);
/* Gives the reserve back, for who asks another for memory again. */
void  reserve_draw(void);

/* Takes the reserve, at first or again. False: memory is short. */
bool  reserve_fill(void);
/* Whether it was drawn on since the thread had it last. */
bool  reserve_is_drawn(void);
/* At the thread's end. */
void  reserve_free(void);

#endif
