/* Bytes beside an inaccessible page, for tests: who reads one byte too far dies at that instruction, sanitizer or not.
 *
 *   | note | guard | ...... bytes | guard |    guard_copy: the end is guarded to the byte
 *   | note | guard | bytes ...... | guard |    guard_copy_after: so is the start
 *
 * The note page holds the size of the mapping, two pages before the page in which the bytes begin. */
#ifndef TESTS_UNIT_GUARD_H
#define TESTS_UNIT_GUARD_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/span.h"

static inline char *guard_map(struct span bytes, bool at_end)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t data_bytes = (bytes.size + page - 1) / page * page; /* none for no bytes: then they lie between two guards */
    size_t mapping_bytes = data_bytes + 3 * page;
    char *mapping = mmap(NULL, mapping_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == MAP_FAILED) abort();
    if (mprotect(mapping, page, PROT_READ | PROT_WRITE) != 0) abort();
    memcpy(mapping, &mapping_bytes, sizeof mapping_bytes);
    char *data = mapping + 2 * page;
    if (data_bytes != 0 && mprotect(data, data_bytes, PROT_READ | PROT_WRITE) != 0) abort();
    char *copy = at_end ? data + data_bytes - bytes.size : data;
    if (bytes.size != 0) memcpy(copy, bytes.bytes, bytes.size);
    return copy;
}

/* A writable copy that ends where an inaccessible page begins. guard_free() gives it back. */
static inline char *guard_copy(struct span bytes)
{
    return guard_map(bytes, true);
}

/* A writable copy that begins right after an inaccessible page. */
static inline char *guard_copy_after(struct span bytes)
{
    return guard_map(bytes, false);
}

/* The same as guard_copy(), as a span. */
static inline struct span guard_span(struct span bytes)
{
    return span_of(guard_copy(bytes), bytes.size);
}

/* Takes what one of the three returned, and nothing moved from it. */
static inline void guard_free(const char *copy)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *mapping = (char *)((uintptr_t)copy / page * page) - 2 * page;
    size_t mapping_bytes;
    memcpy(&mapping_bytes, mapping, sizeof mapping_bytes);
    if (munmap(mapping, mapping_bytes) != 0) abort();
}

#endif
