#include "core/base/check.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void check_failed(const char *file, int line, const char *function, const char *condition)
{
    fprintf(stderr, "ringcast: bug: %s:%d: %s: CHECK(%s) does not hold\n", file, line, function, condition);
    fflush(stderr);
    abort();
}
