/* The one publisher of a measurement: it knows which seq each of its topics gets next, puts many requests into a
 * message, writes what its socket takes and never waits once the measurement runs. */
#ifndef BENCH_PUBLISHER_H
#define BENCH_PUBLISHER_H

#include <stdint.h>

#include "bench/traces.h"
#include "bench/updates.h"
#include "bench/zipf.h"
#include "core/io/client.h"

#define PUBLISHER_BATCH_MOST 256 /* lines of a message */

struct publisher {
    struct client         client;
    const struct updates *updates;
    uint32_t  batch;      /* lines of a message, at most */
    uint32_t  next_topic; /* topics take turns, */
    const struct zipf *zipf; /* or are drawn by this; borrowed; NULL */
    struct traces *traces;    /* borrowed; NULL: nobody traces */
    uint64_t  random;
    uint64_t *head;       /* the seq published last for each topic, as far as we have asked */
    uint64_t *count;      /* how many were published on each topic since the beginning */
    uint64_t  published;  /* on all */
    uint64_t  acks_missing;
    uint64_t  errors;     /* answers that say no, and acks with a seq that another publisher must have moved */
    char     *message;
    char      why[CLIENT_WHY_BYTES + 16]; /* the first error; or why it could not begin */
};

/* Connects, publishes one update on each topic so that all exist, and learns their seqs. 0, or -1 with `why`. */
int  publisher_begin(struct publisher *publisher, const struct updates *updates, const char *url, const char *key,
                     uint32_t batch);
void publisher_end(struct publisher *publisher);

/* Publishes up to `count` updates, the first due at due_ns and each further one step_ns later; stops where the socket
 * is full. Returns how many are written or on their way; -1: the connection is gone. */
int64_t publisher_publish(struct publisher *publisher, uint64_t count, double due_ns, double step_ns);

/* Publishes one more update on each topic and asks for acks; publisher_listen takes them. 0 or -1. */
int publisher_ask(struct publisher *publisher);

/* Writes what is left and takes what the gateway says. 0, or -1: the connection is gone. */
int publisher_listen(struct publisher *publisher);

#endif
