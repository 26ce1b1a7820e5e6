/* The cheapest reader there is: it goes round its sockets and has the kernel throw away what they hold, counting
 * bytes. Nothing is copied and nothing sleeps, so a server or a floor that is measured against it pays for nobody's
 * waking. The floor and `fanout --sweep` share it, which is what makes their figures comparable. One thread. */
#ifndef BENCH_SWEEP_H
#define BENCH_SWEEP_H

#include <stdint.h>

struct sweep {
    int      *fds;   /* -1: ended, passed over */
    uint64_t *bytes; /* received for each */
    uint32_t  count;
    uint32_t  at;    /* the next one */
    uint32_t  ended; /* closed by the peer or failed */
    uint64_t  total; /* bytes of all */
};

/* 0 or -ENOMEM. The descriptors are put into fds[] by the owner; they stay his. */
int  sweep_init(struct sweep *sweep, uint32_t count);
void sweep_deinit(struct sweep *sweep);

/* Looks at the next `sockets` of them, going round; returns the bytes that they held. */
uint64_t sweep_some(struct sweep *sweep, uint32_t sockets);

#endif
