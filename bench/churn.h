/* Connections that are lost again and again: cut in the middle of whatever is under way, after a random number of bytes
 * or a random time, and connected anew to resume from what they have. One thread. */
#ifndef BENCH_CHURN_H
#define BENCH_CHURN_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/subscribers.h"
#include "bench/verify.h"

#define CHURN_AT_ONCE 512 /* connections on their way at a time; listen queues take more */

struct churn {
    uint32_t                first, count; /* of the connections, so many from this one on */
    bool                    resting;   /* nobody is cut any more; who was comes back */
    double                  every_s;   /* the longest that one lives */
    struct subscribers     *subscribers;
    struct verify          *verify;
    int64_t                *cut_ns;    /* for each: when it is cut at the latest */
    char                   *request;   /* one is written at a time */
    size_t                  request_room;
    uint64_t                random;
    uint64_t                cuts;      /* of connections in whatever state */
    uint64_t                cuts_in_frame; /* of those, in the middle of a frame */
};

/* Borrows all; the subscriptions stand already. 0 or -ENOMEM. */
int  churn_init(struct churn *churn, uint32_t first, uint32_t count, double every_s, struct subscribers *subscribers,
                struct verify *verify);
void churn_deinit(struct churn *churn);

/* A message to one of them came: the hello of a new connection is answered by what it resumes. */
void churn_on_text(struct churn *churn, uint32_t index, struct span text);
/* The bytes after which one is cut have come. */
void churn_on_cut_due(struct churn *churn, uint32_t index);
/* Cuts those whose time has come, and connects those that were cut. Once a turn, outside of subscribers_turn(). */
void churn_turn(struct churn *churn, int64_t at_ns);

/* From now on nobody is cut, */
void churn_rest(struct churn *churn);
/* but all at once by this: a storm, as after a lost network. */
void churn_cut_all(struct churn *churn);

#endif
