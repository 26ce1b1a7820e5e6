/* See sweep.h. */
#include "bench/sweep.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#define AT_ONCE (1u << 20) /* bytes thrown away by one call */

int sweep_init(struct sweep *sweep, uint32_t count)
{
    *sweep = (struct sweep){ .count = count };
    sweep->fds = malloc((count + 1) * sizeof *sweep->fds);
    sweep->bytes = calloc(count + 1, sizeof *sweep->bytes);
    if (!sweep->fds || !sweep->bytes) {
        sweep_deinit(sweep);
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < count; i++) sweep->fds[i] = -1;
    return 0;
}

void sweep_deinit(struct sweep *sweep)
{
    free(sweep->fds);
    free(sweep->bytes);
    *sweep = (struct sweep){ 0 };
}

uint64_t sweep_some(struct sweep *sweep, uint32_t sockets)
{
    static char unused[AT_ONCE]; /* MSG_TRUNC throws away without touching it */
    uint64_t got_bytes = 0;
    if (sockets > sweep->count) sockets = sweep->count;
    for (; sockets > 0; sockets--) {
        uint32_t at = sweep->at;
        sweep->at = at + 1 == sweep->count ? 0 : at + 1;
        if (sweep->fds[at] < 0) continue;
        ssize_t got = recv(sweep->fds[at], unused, AT_ONCE, MSG_TRUNC | MSG_DONTWAIT);
        if (got > 0) {
            sweep->bytes[at] += (uint64_t)got;
            got_bytes += (uint64_t)got;
        } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            sweep->fds[at] = -1;
            sweep->ended++;
        }
    }
    sweep->total += got_bytes;
    return got_bytes;
}
