/* Listening sockets that whoever started us holds open across restarts: while no gateway runs, connections wait in them and none is
 * refused. The protocol is systemd's socket activation (sd_listen_fds(3)): descriptors from 3 on, LISTEN_FDS of them, for LISTEN_PID.
 * By the main thread, at the start. */
#ifndef GATEWAY_INHERITED_H
#define GATEWAY_INHERITED_H

#include <stddef.h>
#include <stdint.h>

#include "gateway/listener.h"

struct inherited {
    int      first; /* descriptor */
    uint32_t count; /* 0: none, we open our own */
};

/* Reads the two variables and takes them out of the environment. 0, or -1 with a plain sentence: it is not one socket for all shards
 * nor one for each. */
int inherited_read(struct inherited *inherited, uint32_t shards_count, char *why, size_t why_size);

#endif
