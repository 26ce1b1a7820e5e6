/* One scenario against one peer: a crowd on one topic, one publisher, in one thread on a CPU of its own; the reader is the same for
 * all peers: it sleeps on its sockets, reads, walks over WebSocket frames and counts. */
#ifndef BENCH_CONTEST_H
#define BENCH_CONTEST_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/histogram.h"
#include "bench/peer.h"

enum contest_scenario {
    CONTEST_WINDOW,    /* at most so many updates not yet with the slowest reader */
    CONTEST_SATURATED, /* as fast as the peer's socket takes them */
    CONTEST_DELAY,     /* at a rate; delays count from when an update was due */
    CONTEST_MEMORY,    /* how much the peer grows by, from one number of quiet connections to a larger one */
    CONTEST_SCENARIOS
};

struct contest_plan {
    uint64_t connections, message_bytes; /* what a WebSocket message holds: a frame of 100 bytes has 98 */
    uint64_t growth; /* so many connections more, of CONTEST_MEMORY */
    uint64_t window;
    double   rate, seconds, warmup;
    int64_t  cpu; /* ours */
};

struct contest_result {
    bool     done;
    double   delivered_per_s, published_per_s;
    double   peer_busy, load_busy; /* shares of a CPU; load_busy: of the load's CPU, whoever used it */
    double   load_own;             /* of that, the load itself */
    uint64_t least, most;          /* updates to a connection */
    uint32_t closed;               /* connections that the peer ended */
    uint64_t unpublished;          /* due by the end, but never taken; of the delays */
    uint64_t missing;              /* updates to a connection that did not come within a while after it; of the delays */
    bool     stuck;                /* a window that never emptied: updates were lost */
    double   resident_each;        /* bytes that the peer grew by for each further connection; of CONTEST_MEMORY */
    double   resident_most, sockets_most; /* bytes while it ran; -1: not known */
    int64_t  delay_p50_ns, delay_p99_ns, delay_max_ns, last_p50_ns, last_p99_ns, last_max_ns;
    char     why[400];             /* where it is not done, or what happened */
};

/* The peer runs already and is fresh. */
void contest_run(const struct contest_plan *plan, struct peer *peer, enum contest_scenario scenario, struct contest_result *result);

#endif
