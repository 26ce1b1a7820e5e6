#include "tests/support/fault.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void fault_say(struct fault *fault, const char *format, ...)
{
    if (fault_found(fault)) return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(fault->text, sizeof fault->text, format, arguments);
    va_end(arguments);
}

bool fault_is_one_of(const char *text, const char *const *signs)
{
    for (const char *const *sign = signs; *sign; sign++)
        if (strstr(text, *sign)) return true;
    return false;
}
