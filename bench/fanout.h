/* `ringcast-bench fanout`: many subscribers, one publisher, one thread on one CPU. Delivered updates a second, delay,
 * fairness, and with the verifying reader the proof that nothing was lost, doubled or out of order.
 *
 * fanout.c is the command line and the story; fanout_load.c is the load itself; fanout_report.c what came of it. */
#ifndef BENCH_FANOUT_H
#define BENCH_FANOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/churn.h"
#include "bench/machine.h"
#include "bench/metrics.h"
#include "bench/publisher.h"
#include "bench/report.h"
#include "bench/schedule.h"
#include "bench/subscribers.h"
#include "bench/sweep.h"
#include "bench/traces.h"
#include "bench/updates.h"
#include "bench/verify.h"

/* What was asked for. */
struct fanout_plan {
    const char *command; /* for messages */
    const char *url, *key, *topic, *metrics_url, *metrics_key;
    uint64_t    stalled_buffer; /* SO_RCVBUF of those who stall; 0: the kernel's */
    uint64_t    subscribers, topics, each, bytes, stalled, slow, slow_bytes, churning, batch, window, pid;
    uint64_t    round; /* so many updates in one message whenever all have all; 0: not by rounds */
    double      rate, seconds, warmup, zipf, churn_every;
    bool        unbounded, sweep, spin, json, deflate, trace;
    bool        lockstep; /* the next update is published when the last one's ack has come: one in each turn of the gateway */
    int         mode; /* FANOUT_EVERY | FANOUT_LATEST */
    int         format; /* enum updates_format */
    double      cpu;  /* -1: anywhere */
};
enum { FANOUT_EVERY, FANOUT_LATEST };

/* What a connection does. Only those that read count as delivered to, and their delays alone are told. */
enum fanout_role {
    FANOUT_READS,
    FANOUT_STALLED, /* does not read until the end */
    FANOUT_SLOW,    /* reads so many bytes a second */
    FANOUT_CHURNS,  /* is cut again and again, and resumes */
};

/* Where everything stood at one moment. */
struct fanout_mark {
    struct usage  usage;
    uint64_t     *delivered; /* updates to each connection */
    uint64_t      published;
    uint64_t      gaps, gap_updates;
    int64_t       pid_ns;    /* processor time of --pid; -1 */
};

struct fanout {
    struct fanout_plan    plan;
    struct updates        updates;
    struct publisher      publisher;
    struct subscribers    subscribers;
    struct verify         verify;
    struct sweep          sweep;
    bool                  sweeping;  /* from the end of the start on, with --sweep */
    struct spread         spread;    /* with --zipf: who follows what */
    struct zipf           zipf;      /* and what is published */
    struct lasts          lasts;     /* with --rate */
    struct traces         traces;    /* with --trace */
    struct churn          churn;
    bool                  churns;    /* it has begun */

    uint64_t *expected;      /* for each topic: what a connection that begins there has been owed since `owed_from` */
    uint64_t *swept_before;  /* for each topic: the publisher's count when the sweeping began */
    struct schedule schedule; /* with --rate */
    uint64_t  unpublished;    /* due by the end of the measurement, and never written: the gateway did not take them */
    int64_t   sipped_ns;      /* the slow ones read last */

    double    connected_s;    /* all connections stood after */
    struct fanout_mark    begin, end; /* of the measurement */
    struct metrics_asking asked_before, asked_after;
    int64_t  sampled_ns;    /* memory was looked at last */
    int64_t  resident_first, resident_last, resident_most; /* of --pid; bytes, -1: not known */
    int64_t  sockets_first, sockets_most;                  /* kernel's TCP memory; bytes */
    bool     drained;       /* everyone who reads has everything */
    bool     exact;         /* when sweeping: and not a byte more */
    uint8_t *role;          /* enum fanout_role, for each connection */
    uint32_t stalled_caught_up, stalled_closed;
    char     why[CLIENT_WHY_BYTES + 16]; /* what ended it early */
};

/* Checks the plan and completes it, and takes its place on a CPU. 0, or the exit status: what is wrong is on stderr. */
int fanout_prepare(struct fanout *fanout);

/* Connects publisher and subscribers and has one update of each topic reach everyone. False: `why`. */
bool fanout_start(struct fanout *fanout);

/* Publishes and reads for this long; false: `why`. */
bool fanout_run(struct fanout *fanout, double seconds);

void fanout_take_mark(struct fanout *fanout, struct fanout_mark *mark);

/* Publishes the last update of each topic and reads until all have it or nothing comes any more; then, in the
 * verifying mode, lets the stalled ones read until they have it too. Sets drained, exact and stalled_…. */
void fanout_drain(struct fanout *fanout);

void fanout_stop(struct fanout *fanout);

/* Updates delivered between the marks to those who read; `readers`: how many they are. */
uint64_t fanout_delivered(const struct fanout *fanout, uint32_t *readers);

/* Prints percentiles of delays, p50 to p99.99 and the longest, in ms: as NAME_p50_ms and so on. */
void fanout_tell_delays(struct report *report, const struct histogram *delays, const char *name, const char *label);

/* Prints what was wrong with what was delivered; the verifying reader's. */
void fanout_tell_truth(const struct fanout *fanout, struct report *report);

/* Warns where the load's CPU was over 90 % busy between the marks. */
void fanout_warn_busy(const struct fanout *fanout, struct report *report);

/* Prints it; the exit status. */
int fanout_tell(struct fanout *fanout);

int fanout_main(int argc, char **argv);

#endif
