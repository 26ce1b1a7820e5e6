/* One update's way from the publisher's send to its last subscriber: what this side saw of it, and what a gateway that was started with
 * --trace tells in its topics $sys.trace.N. Both read the monotonic clock of one machine. One thread.
 *
 *   due, sent  ->  the gateway's doors (core/pubsub/trace.h)  ->  the first and the last subscriber have it
 *
 * Where several shards have subscribers the way is that of the shard which ended last. */
#ifndef BENCH_TRACES_H
#define BENCH_TRACES_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/report.h"
#include "core/base/span.h"
#include "core/pubsub/trace.h"

enum traces_door { TRACES_DUE, TRACES_SENT, TRACES_GATEWAY, TRACES_FIRST = TRACES_GATEWAY + DOORS_COUNT, TRACES_ALL, TRACES_DOORS };

struct traces_update {
    uint32_t topic, count;       /* how many subscribers have it */
    uint64_t seq;                /* 0: none */
    bool     came;               /* its home has told */
    int64_t  at_ns[TRACES_DOORS]; /* 0: it was not seen to pass */
};

#define TRACES_UPDATES 65536u /* the newest so many are kept */

struct traces {
    const uint32_t *followers; /* of each topic: how many have to come; borrowed */
    const void     *names;     /* for find */
    uint32_t      (*find)(const void *names, struct span name); /* which topic a name is; UINT32_MAX: none */
    struct traces_update *updates;
    uint64_t        told, missed; /* records that the gateway told of our topics; and had no room for */
};

/* 0 or -ENOMEM. The caller sets the rest. */
int  traces_init(struct traces *traces);
void traces_deinit(struct traces *traces);

void traces_sent(struct traces *traces, uint32_t topic, uint64_t seq, int64_t due_ns, int64_t at_ns);
/* A subscriber has it. */
void traces_seen(struct traces *traces, uint32_t topic, uint64_t seq, int64_t at_ns);

/* Asks the gateway what it has told so far, once it must have told all.
 *   url       of the gateway's HTTP, any path
 *   key       the admin's
 *   returns   false, with `why` (320 bytes) */
bool traces_fetch(struct traces *traces, const char *url, const char *key, char *why);
/* What one update of $sys.trace.N holds. False: it is none. */
bool traces_take(struct traces *traces, struct span data);

/* How many updates were seen whole, and the table of their doors. */
uint32_t traces_whole(const struct traces *traces);
void     traces_tell(const struct traces *traces, struct report *report);

#endif
