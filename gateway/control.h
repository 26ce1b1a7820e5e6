/* Control: the main thread at work. It makes the gateway, serves signals, hears what the shards report, writes the log, and sends new
 * settings around.
 *
 *     main thread  --- commands: drain, stop, end, state, adopt --->  shard      (a queue each)
 *     main thread  <-- reports: lines, state, adopted, drained -----  shard      (a queue each, one wake-up for all)
 *
 * Settings are versions, and so are certificates with the keys of tickets: a reload makes the next ones, each shard adopts them and says
 * so, and when all have, those before are freed. At most two are there at once; a SIGHUP meanwhile is served after that. */
#ifndef GATEWAY_CONTROL_H
#define GATEWAY_CONTROL_H

#include "gateway/certificates.h"
#include "gateway/gateway.h"
#include "gateway/handover.h"
#include "gateway/outlet.h"
#include "gateway/settings_read.h"

struct control {
    struct gateway       gateway;
    int                  argc;
    char               **argv;    /* flags, read again by a reload */
    struct configuration running; /* as they were read, but for what only a restart would change */
    struct configuration fresh;   /* of a reload */
    struct settings      start;   /* as they were read at the start */
    struct settings     *version; /* what the shards use or are about to: running, and what was left open there filled in */
    struct settings     *leaving; /* the one before, until all have adopted `version`; NULL: they have */
    struct tls          *tls;         /* what the shards use or are about to; NULL: TLS is not served */
    struct tls          *tls_leaving; /* the one before, until all have adopted `tls`; NULL: they have */
    uint8_t              certificates[SHA256_BYTES]; /* digest of the files that it was made of */
    uint64_t             certificates_taken, certificates_seen; /* their stamps: when they were read last, and looked at last */
    uint64_t             look_us, turn_us; /* when they are looked at, and the key of tickets turns, next */
    uint32_t             to_adopt, to_drain, to_answer; /* shards that have not yet */
    bool                 reload_again;
    bool                 draining;
    char                 demo_key[64]; /* the demo feed's own, for when none is set */
    int                  signals;      /* a signalfd */
    struct handover      handover;     /* to the next gateway */
    struct clock         clock;
    struct logger        logger;
    struct outlet        outlet;
    struct reports       demo_reports;
};

/* Reads the settings. 0, or -1 with a plain sentence; 1: --help was asked for. Signals wait from now on. */
int control_configure(struct control *control, int argc, char **argv, char *why, size_t why_size);
/* Starts the gateway. 0, or -1 with a plain sentence. */
int control_start(struct control *control, char *why, size_t why_size);
/* Until all has ended: SIGTERM and SIGINT drain, a second one ends at once, SIGHUP reloads, SIGUSR1 tells the state. */
void control_run(struct control *control);

#endif
