/* The gateway: all shards of the process, made, joined, started and ended together. By the main thread. */
#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

#include "gateway/shard.h"

/* settings->shards of them; listeners are bound, or are copies of inherited ones, when it returns. 0, or -1 with a plain sentence; nothing is to be undone then. */
int gateway_init(struct gateway *gateway, const struct settings *settings, const struct tls *tls, const struct inherited *inherited, char *why, int why_size);
/* Starts their threads, each pinned to a CPU where there are enough. 0, or -1 with a plain sentence; all is undone then. */
int gateway_start(struct gateway *gateway, char *why, int why_size);
/* Waits until all have ended; what they reported last may be taken then. */
void gateway_join(struct gateway *gateway);
/* After that. */
void gateway_deinit(struct gateway *gateway);

#endif
