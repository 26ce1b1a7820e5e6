#include "core/base/reserve.h"

#include <stdint.h>
#include <stdlib.h>

#include "core/base/check.h"

static _Thread_local struct {
    void *bytes;
    bool  drawn;
} reserve;

void reserve_draw(void)
{
    free(reserve.bytes);
    reserve.bytes = NULL;
    reserve.drawn = true;
}

void *reserve_resize(void *bytes, size_t size)
{
    void *resized = realloc(bytes, size);
    if (resized) return resized;
    reserve_draw();
    resized = realloc(bytes, size);
    bool there_is_memory = resized != NULL;
    CHECK(there_is_memory); /* else nothing is left that could be given up */
    return resized;
}

void *reserve_zeroed(size_t count, size_t size)
{
    void *zeroed = calloc(count, size);
    if (zeroed) return zeroed;
    reserve_draw();
    zeroed = calloc(count, size);
    bool there_is_memory = zeroed != NULL;
    CHECK(there_is_memory);
    return zeroed;
}

bool reserve_fill(void)
{
    if (!reserve.bytes) reserve.bytes = malloc(RESERVE_BYTES);
    if (reserve.bytes) reserve.drawn = false;
    return reserve.bytes != NULL;
}

bool reserve_is_drawn(void)
{
    return reserve.drawn;
}

void reserve_free(void)
{
    free(reserve.bytes);
    reserve.bytes = NULL;
    reserve.drawn = false;
}
