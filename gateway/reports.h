/* Reports: what a thread hands to the main thread, which alone writes to standard error and alone changes settings. One queue for
 * each thread that reports (a shard, the demo feed); the way back is the shard's queue of commands.
 *
 * A text is copied once into a ring of bytes; where there is no room it is not taken, and the caller counts it: nobody ever waits
 * for the main thread, still less for a full pipe behind it. Words (a number alone) always find room: of ADOPTED at most one
 * is under way, of DRAINED and ANSWERED together one, and the slots for them are kept free of texts. */
#ifndef GATEWAY_REPORTS_H
#define GATEWAY_REPORTS_H

#include "core/base/span.h"
#include "core/queue/byte_ring.h"
#include "core/queue/spsc.h"
#include "core/queue/wake.h"

enum report_kind {
    REPORT_LINE,    /* text: a line of the log */
    REPORT_STATE,   /* text: the answer to COMMAND_STATE */
    REPORT_ADOPTED, /* word: the shard uses this version of the settings, and none before it any more */
    REPORT_DRAINED, /* word: its last connection has gone since it drains */
    REPORT_ANSWERED, /* word: since it ends, all that it had accepted is answered */
};

struct report {
    enum report_kind kind;
    uint32_t         bytes; /* of a text */
    uint64_t         word;
};

#define REPORT_BYTES_MAX (32u * 1024u) /* of one text */

struct reports {
    struct spsc         queue;
    struct byte_ring    ring;
    struct wake        *reader; /* the main thread's */
    struct spsc_tx      tx;       /* the reporting thread's, both */
    struct byte_ring_tx bytes_tx;
    alignas(SPSC_LINE_BYTES) struct spsc_rx rx; /* the main thread's, both */
    struct byte_ring_rx bytes_rx;
};

/* 0 or -ENOMEM; nothing is to be undone then. Borrows reader. */
int  reports_init(struct reports *reports, struct wake *reader);
void reports_deinit(struct reports *reports);

/* The reporting thread's. False: no room, and nothing was taken. text: 1 to REPORT_BYTES_MAX bytes. */
bool reports_text(struct reports *reports, enum report_kind kind, struct span text);
void reports_word(struct reports *reports, enum report_kind kind, uint64_t word);

/* The main thread's. False: there is none. `text` is valid until the release. */
bool reports_take(struct reports *reports, struct report *report, struct span *text);
void reports_release(struct reports *reports);
bool reports_empty(struct reports *reports);

#endif
