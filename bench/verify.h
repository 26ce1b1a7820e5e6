/* The reader that believes nothing: for each connection and topic every seq must be there once and in order, or
 * announced as a gap that says exactly what is missing; every payload must be the one that was published with that
 * seq. */
#ifndef BENCH_VERIFY_H
#define BENCH_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/histogram.h"
#include "bench/lasts.h"
#include "bench/spread.h"
#include "bench/traces.h"
#include "core/base/span.h"

#define VERIFY_EPOCH_BYTES 8
#define VERIFY_NAME_BYTES  160 /* of a topic, with an end mark */

enum verdict {
    VERDICT_RIGHT,   /* as it was published */
    VERDICT_CHANGED, /* an update of a known topic that is not what was published with that seq */
    VERDICT_NONE,    /* something else: an op, or an update of another's */
};

/* Who knows what was published: the updates of `fanout` (updates.h), the rows of a recording (recording.h). */
struct verify_source {
    const void *self;
    uint32_t    topics;
    /* Reads one message; topic and seq are written unless it is NONE, due_ns (monotonic) where it is RIGHT. */
    enum verdict (*read)(const void *self, struct span text, uint32_t *topic, uint64_t *seq, int64_t *due_ns);
    /* Which topic a name is; UINT32_MAX: none. */
    uint32_t (*find)(const void *self, struct span name);
    /* The name of a topic, with an end mark, into VERIFY_NAME_BYTES; its size. */
    uint32_t (*write_name)(const void *self, uint32_t topic, char *out);
};

struct verify {
    struct verify_source source;
    uint32_t  connections, each; /* each follows `each` topics, from connection·each on, going round */
    const struct spread *spread; /* or those that it says; borrowed; NULL */
    bool      latest;            /* mode latest: seq may jump */

    /* last[connection·each + place]: the newest seq seen or announced as gone. progress[connection]: what all of its
     * places together have moved since their ack; counted[connection]: updates received. */
    uint64_t *last, *progress, *counted;
    uint8_t  *acked;             /* subscribed came */
    uint8_t  *resumes;           /* it asked to go on from where it was: its ack must say so, and leave its places alone */
    char    (*epochs)[VERIFY_EPOCH_BYTES]; /* of each place, as acknowledged first; zeros: the topic had no update */
    uint32_t  acks;

    int64_t          due_from_ns, due_until_ns; /* delays of updates that were due in between are counted, however late they come: who
                                                 * stops looking at the end leaves out the longest */
    struct histogram delays;     /* ns from when an update was due to when it was received */
    struct lasts    *lasts;      /* borrowed; NULL: nobody asks when the last one has each update */
    struct traces   *traces;     /* borrowed; NULL: nobody traces */
    uint8_t         *apart;      /* those that are slow or cut on purpose: their delays are not counted */

    uint64_t updates_right;
    uint64_t lost;        /* seqs passed over with no gap (every) */
    uint64_t doubled;     /* a seq not newer than the last: doubles and disorder */
    uint64_t changed;     /* payload or size other than published */
    uint64_t gaps, gap_updates, gaps_wrong;
    uint64_t skipped;     /* jumps in mode latest */
    uint64_t resumed;     /* acks of those that went on from where they were */
    uint64_t errors, strange; /* op:error; messages that can't be understood */
    char     first[320];  /* what was wrong first */
};

/* 0 or -ENOMEM. */
int  verify_init(struct verify *verify, struct verify_source source, uint32_t connections, uint32_t each, bool latest);
void verify_deinit(struct verify *verify);

/* The topic that a connection follows at a place, and back (UINT32_MAX: it does not follow it). */
uint32_t verify_topic(const struct verify *verify, uint32_t connection, uint32_t place);
uint32_t verify_place(const struct verify *verify, uint32_t connection, uint32_t topic);

/* One message to one connection. */
void verify_text(struct verify *verify, uint32_t connection, struct span text, int64_t at_ns);

/* A connection was lost: the next one in its place resumes each topic from the last seq that it has. */
void verify_cut(struct verify *verify, uint32_t connection);

/* Whether anything was wrong. */
bool verify_failed(const struct verify *verify);

#endif
