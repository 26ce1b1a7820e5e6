#include "gateway/inherited.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIRST_DESCRIPTOR = 3 };

static unsigned long number_of(const char *variable)
{
    const char *text = getenv(variable);
    return text ? strtoul(text, NULL, 10) : 0;
}

/* Names stand in the order of the descriptors, with colons between; systemd calls those without one `unknown`. */
static bool take_name_is_tls(const char **names)
{
    const char *name = *names, *end = name ? strchr(name, ':') : NULL;
    size_t size = !name ? 0 : end ? (size_t)(end - name) : strlen(name);
    *names = end ? end + 1 : NULL;
    return size == 3 && memcmp(name, "tls", 3) == 0;
}

static bool counts_fit(const struct inherited_sockets *sockets, uint32_t shards_count)
{
    return sockets->count <= 1 || sockets->count == shards_count;
}

static int read_sockets(struct inherited *inherited, unsigned long count, uint32_t shards_count, bool tls, char *why, size_t why_size)
{
    const char *names = getenv("LISTEN_FDNAMES");
    if (count > 2 * SHARDS_MAX) {
        snprintf(why, why_size, "LISTEN_FDS hands over %lu listening sockets: there are at most %u", count, 2 * SHARDS_MAX);
        return -1;
    }
    for (int i = 0; i < (int)count; i++) {
        struct inherited_sockets *sockets = take_name_is_tls(&names) ? &inherited->tls : &inherited->plain;
        if (sockets->count < SHARDS_MAX) sockets->descriptors[sockets->count++] = FIRST_DESCRIPTOR + i;
        fcntl(FIRST_DESCRIPTOR + i, F_SETFD, FD_CLOEXEC);
    }
    const struct inherited_sockets *wrong = !counts_fit(&inherited->plain, shards_count) ? &inherited->plain : !counts_fit(&inherited->tls, shards_count) ? &inherited->tls : NULL;
    if (wrong)
        snprintf(why, why_size, "LISTEN_FDS hands over %u listening sockets%s, but there are %u shards: hand over one for all, or one for each (with SO_REUSEPORT)", wrong->count,
                 wrong == &inherited->tls ? " for TLS" : "", shards_count);
    else if (inherited->tls.count > 0 && !tls) snprintf(why, why_size, "LISTEN_FDS hands over a listening socket for TLS, but TLS is not served: set tls-listen, cert and key");
    else return 0;
    return -1;
}

int inherited_read(struct inherited *inherited, uint32_t shards_count, bool tls, char *why, size_t why_size)
{
    unsigned long pid = number_of("LISTEN_PID"), count = number_of("LISTEN_FDS");
    *inherited = (struct inherited){ .plain.count = 0 };
    int result = pid == (unsigned long)getpid() && count > 0 ? read_sockets(inherited, count, shards_count, tls, why, why_size) : 0;
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return result;
}

static void close_sockets(struct inherited_sockets *sockets)
{
    while (sockets->count > 0) close(sockets->descriptors[--sockets->count]);
}

void inherited_close(struct inherited *inherited)
{
    close_sockets(&inherited->plain);
    close_sockets(&inherited->tls);
}

int inherited_of(const struct inherited_sockets *sockets, uint32_t shard)
{
    return sockets->descriptors[shard % sockets->count];
}
