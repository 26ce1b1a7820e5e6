/* Hand-over: a new process takes the listening sockets of the gateway that runs, where nobody holds them for both (inherited.h). They speak
 * over the Unix socket that the setting `handover` names, of the same user alone:
 *
 *     new process                                        the gateway that runs
 *     connects  ------------------------------------->
 *               <--- the listening sockets (SCM_RIGHTS)
 *     sets itself up with them
 *     "go"      ------------------------------------->   drains as by SIGTERM, saves its state
 *     reads the state, serves   <--- its end ---------   ends
 *
 * Until "go" a new one that can't start changes nothing. From there on until it serves, connections wait in the sockets. Main thread only. */
#ifndef GATEWAY_HANDOVER_H
#define GATEWAY_HANDOVER_H

#include <poll.h>

#include "gateway/gateway.h"

#define HANDOVER_POLLED 2

struct handover {
    const char *path;
    int         listener, peer; /* descriptors, -1: none */
    bool        open;
};

/* The new one's part. 0, and the connection in *old: -1 where nobody runs there; or -1 with a plain sentence. */
int  handover_take(const char *path, uint32_t shards_count, bool tls, struct inherited *inherited, int *old, char *why, size_t why_size);
/* Says "go" and awaits the end of the old one. 0, or -1 with a plain sentence: a signal came first (on the descriptor `signals`). */
int  handover_await(int old, int signals, char *why, size_t why_size);

/* From now on others may ask here. 0 or -1 with a plain sentence. The path is borrowed. */
int  handover_open(struct handover *handover, const char *path, char *why, size_t why_size);
void handover_close(struct handover *handover);
/* What its turn waits for, and what it does then. True: "go" was said. */
void handover_poll(const struct handover *handover, struct pollfd polled[HANDOVER_POLLED]);
bool handover_serve(struct handover *handover, const struct pollfd polled[HANDOVER_POLLED], const struct gateway *gateway);

#endif
