/* Pending: what was asked of another shard and not answered yet, and who waits for it. A ticket is its index.
 *
 * A connection may go while its asks are under way: the pending ones stay until their replies come, and find nobody then.
 * Its shard's thread only. */
#ifndef GATEWAY_PENDING_H
#define GATEWAY_PENDING_H

#include "gateway/conn.h"

#define PENDINGS_MAX (64u * 1024u) /* of a shard; beyond it an ask waits as if its link were full */
#define ASKS_OF_CONN_MAX 1024u     /* under way for one connection; beyond it its requests wait */

enum pending_kind {
    PENDING_PUBLISH, /* of a WebSocket: the reply is `published` or an error */
    PENDING_LINE,    /* of a body of lines */
    PENDING_HTTP,    /* the answer of an exchange, or a part of it */
    PENDING_LIVE,    /* a topic, a pattern or news that a subscribe needs: then the request is served again */
};

struct pending {
    uint32_t conn, generation;
    uint8_t  kind;
    uint32_t number;   /* LINE, PUBLISH: the line; HTTP: which part */
    uint32_t id_bytes; /* PUBLISH: of `text`, first; 0: none */
    uint32_t topic_bytes; /* PUBLISH, HTTP publish: of `text`, behind it */
    char    *text;     /* owned; or NULL */
};

int  pendings_init(struct shard *shard);
void pendings_deinit(struct shard *shard);

/* Takes a ticket for a connection's ask; TICKET_NONE: none is free. Nothing is under way until pending_sent(). */
uint32_t pending_make(struct shard *shard, struct conn *conn, enum pending_kind kind, uint32_t number);
/* It was answered at once, or not asked at all. */
void pending_drop(struct shard *shard, uint32_t ticket);
/* It is under way; id and topic are copied for the reply. */
void pending_sent(struct shard *shard, uint32_t ticket, struct span id, struct span topic);

/* What the engine is to call. */
struct engine_hooks pending_hooks(struct shard *shard);

/* A link was full: the connection's requests wait until there is room, or a second has passed: true then, and the request is
 * to be answered `busy`. */
bool conn_stall(struct shard *shard, struct conn *conn);
/* Its request found room, or was given up. */
void conn_unstall(struct conn *conn);
/* Lets the stalled try again, once a turn; first the one that has waited longest, so that none waits while others come twice. */
void conns_unstall(struct shard *shard);

#endif
