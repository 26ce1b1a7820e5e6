/* What the files of the flush (fanout.c, fanout_tls.c) share, and nobody else calls. */
#ifndef GATEWAY_FANOUT_PARTS_H
#define GATEWAY_FANOUT_PARTS_H

#include "gateway/conn_tls.h"
#include "gateway/fanout.h"

#define SEND_BYTES_MAX (64u * 1024u) /* of updates, for one connection in one pass (MEASURED.md, taught 2) */
enum {
    RANGES_MAX = BATCH_PIECES_MAX, /* each has at least one piece */
    /* What a turn takes in is some 64 KiB, which may grow threefold in a log: so all of it goes out in the same turn, and a
     * reader that keeps up is never outrun, however small the window. */
    PASSES_MAX = 8,
};

/* A range of a batch, and whose cursor moves when it was taken. */
struct staged_range {
    uint32_t     subscription;
    struct range range;
};

/* What a send of the batch is made of; entry by entry beside struct send_batch. */
struct staged_send {
    size_t   out_bytes; /* of the connection's `out`, first */
    uint32_t ranges_first, ranges_count;
    char     header[WS_SERVER_HEADER_BYTES_MAX]; /* of the message that the ranges make, where they are lines */
};

struct fanout {
    uint64_t            looked_us; /* when the links were looked after last */
    uint32_t            start; /* where the next pass begins, so that nobody is always last */
    uint32_t            ranges_count;
    size_t              sealed_used; /* of `sealed`; beyond SEALED_FULL the batch is submitted */
    char               *sealed;      /* ciphertext of the batch; NULL: no TLS is served */
    char               *gathered;    /* plaintext of one record, where it is of several pieces */
    struct staged_send  sends[BATCH_SENDS_MAX];
    struct staged_range ranges[RANGES_MAX];
};

#define SEALED_BYTES (512u * 1024u) /* some 40 sends of 100 updates: an enter for each 16 is nearly as good as for each 256, and it is in the core's cache when the kernel copies it */
#define SEALED_FULL  (SEALED_BYTES - TLS_SEALED_BYTES_MAX)

/* Begins a send and adds to it all that the connection has to say, as plaintext: what is queued, and ranges of its dirty subscriptions,
 * of some `bytes_max` bytes. */
void fanout_gather(struct shard *shard, struct conn *conn, struct staged_send *staged, uint64_t bytes_max);
/* Of a send's plaintext so much is gone, less than all: cursors move, the rest of what was begun is queued. */
void fanout_move(struct shard *shard, struct conn *conn, const struct staged_send *staged, const struct send_entry *entry, uint64_t taken);
/* All of it is: cursors move. */
void fanout_move_all(struct shard *shard, struct conn *conn, const struct staged_send *staged);
/* Counts delays and updates of a send that is over. */
void fanout_observe(struct shard *shard, const struct staged_send *staged, uint64_t now_us);

/* The two steps of the flush for a connection over TLS. */
void fanout_tls_stage(struct shard *shard, struct conn *conn);
void fanout_tls_settle(struct shard *shard, struct conn *conn, const struct staged_send *staged, const struct send_entry *entry, uint64_t now_us);

#endif
