/* Where the library's memory comes from: the allocator, but for the record that is being sealed, which it makes right where the kernel is to
 * read it. The library writes each record into memory that it asks for, tells where that is, and gives it back; so that is the flush's
 * arena, and nothing is allocated or copied for a record but its plaintext, once. */
#include "core/io/tls_parts.h"

#include <stdlib.h>
#include <wolfssl/wolfcrypt/memory.h>

#include "core/base/check.h"
#include "core/base/reserve.h"

/* Of this thread. */
static _Thread_local struct {
    char  *arena;
    size_t arena_bytes;
    size_t used;  /* of the arena; while a record is sealed it goes on from here */
    size_t least; /* what is smaller is not the record; 0: none is sealed */
    char  *last;  /* what was given of the arena last */
} room;

static bool is_of_arena(const void *bytes)
{
    return room.arena && (const char *)bytes >= room.arena && (const char *)bytes < room.arena + room.arena_bytes;
}

/* Out of the thread's reserve where memory is short: where one of its allocations fails in the middle of a handshake, the library loses others
 * (TLSX_KeyShare_Establish; seen by faults on purpose), and how many handshakes there are is bounded elsewhere. */
static void *allocate_anyhow(void *bytes, size_t size)
{
    return reserve_resize(bytes, size > 0 ? size : 1);
}

static void *allocate(size_t size)
{
    if (room.least == 0 || size < room.least || size > room.arena_bytes - room.used) return allocate_anyhow(NULL, size);
    room.last = room.arena + room.used;
    room.used += size;
    return room.last;
}

static void release(void *bytes)
{
    if (!is_of_arena(bytes)) free(bytes);
}

static void *resize(void *bytes, size_t size)
{
    if (!is_of_arena(bytes)) return allocate_anyhow(bytes, size);
    size_t most = (size_t)(room.arena + room.arena_bytes - (char *)bytes);
    void *moved = allocate_anyhow(NULL, size);
    memcpy(moved, bytes, size < most ? size : most);
    return moved;
}

bool tls_memory_start(void)
{
    return wolfSSL_SetAllocators(allocate, release, resize) == 0;
}

void tls_memory_arena(char *arena, size_t bytes)
{
    room.arena = arena;
    room.arena_bytes = bytes;
}

void tls_memory_begin(size_t used, size_t record_bytes)
{
    room.used = used;
    room.least = record_bytes;
    room.last = NULL;
}

size_t tls_memory_end(void)
{
    room.least = 0;
    return room.used;
}

char *tls_memory_record(const char *bytes, size_t size)
{
    if (is_of_arena(bytes)) {
        if (room.last && bytes >= room.last) room.used = (size_t)(bytes + size - room.arena); /* what it asked for beyond is free again */
        return (char *)(uintptr_t)bytes;
    }
    CHECK(size <= room.arena_bytes - room.used);
    char *copy = memcpy(room.arena + room.used, bytes, size);
    room.used += size;
    room.last = NULL;
    return copy;
}
