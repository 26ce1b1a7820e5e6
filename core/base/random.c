/* See random.h. */
#include "core/base/random.h"

#include <errno.h>
#include <sys/random.h>
#include <sys/types.h>

#include "core/base/check.h"

void random_fill(void *bytes, size_t size)
{
    char *at = bytes;
    while (size > 0) {
        ssize_t filled = getrandom(at, size, 0);
        if (filled < 0 && errno == EINTR) continue;
        CHECK(filled > 0);
        at += filled;
        size -= (size_t)filled;
    }
}

uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}
