/* Listening sockets that are not opened here but taken over, so that while no gateway runs connections wait in them and none is refused:
 *
 *   by whoever started us   systemd's socket activation (sd_listen_fds(3)): descriptors from 3 on, LISTEN_FDS of them, for LISTEN_PID;
 *                           those that LISTEN_FDNAMES calls `tls` are for tls-listen, all others for listen
 *   by the gateway before   see handover.h
 * One socket serves all shards, or each has its own. By the main thread, at the start. */
#ifndef GATEWAY_INHERITED_H
#define GATEWAY_INHERITED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/pubsub/home.h"

struct inherited_sockets {
    int      descriptors[SHARDS_MAX];
    uint32_t count; /* 0: none, we open our own */
};

struct inherited {
    struct inherited_sockets plain, tls;
};

/* Reads the three variables and takes them out of the environment. 0, or -1 with a plain sentence: of a kind there is neither one socket for
 * all shards nor one for each, or TLS is not served.
 *   tls   tls-listen is set */
int inherited_read(struct inherited *inherited, uint32_t shards_count, bool tls, char *why, size_t why_size);
/* Our own descriptors of them, once each shard has its copy. */
void inherited_close(struct inherited *inherited);
/* The one of a shard. Where there are any. */
int inherited_of(const struct inherited_sockets *sockets, uint32_t shard);

#endif
