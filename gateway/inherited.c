#include "gateway/inherited.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FIRST_DESCRIPTOR = 3, COUNT_MAX = 1024 };

static unsigned long number_of(const char *variable)
{
    const char *text = getenv(variable);
    return text ? strtoul(text, NULL, 10) : 0;
}

int inherited_read(struct inherited *inherited, uint32_t shards_count, char *why, size_t why_size)
{
    unsigned long pid = number_of("LISTEN_PID"), count = number_of("LISTEN_FDS");
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    *inherited = (struct inherited){ .first = FIRST_DESCRIPTOR };
    if (pid != (unsigned long)getpid() || count == 0) return 0;
    if (count > COUNT_MAX || (count != 1 && count != shards_count)) {
        snprintf(why, why_size, "LISTEN_FDS hands over %lu listening sockets, but there are %u shards: hand over one for all, or one for each (with SO_REUSEPORT)", count, shards_count);
        return -1;
    }
    inherited->count = (uint32_t)count;
    for (uint32_t i = 0; i < inherited->count; i++) fcntl(FIRST_DESCRIPTOR + (int)i, F_SETFD, FD_CLOEXEC);
    return 0;
}
