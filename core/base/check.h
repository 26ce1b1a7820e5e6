/* Our own bugs: a check that names itself, dumps what it knows and ends the process. It stands in every build, since a
 * gateway that goes on after a broken invariant sends wrong prices.
 *
 * For the client's faults and for shortages there are answers; they never come here. */
#ifndef CORE_BASE_CHECK_H
#define CORE_BASE_CHECK_H

#include <string.h>

#define CHECK(condition) \
    do { \
        if (__builtin_expect(!(condition), 0)) check_failed(__FILE__, __LINE__, __func__, #condition); \
    } while (0)

_Noreturn void check_failed(const char *file, int line, const char *function, const char *condition) __attribute__((cold));

/* Debug builds fill what was given back with this byte, so that a read of it is seen. */
#define POISON_BYTE 0xa5
#ifdef RINGCAST_DEBUG
#define POISON(bytes, size) memset((bytes), POISON_BYTE, (size))
#else
#define POISON(bytes, size) ((void)0)
#endif

#endif
