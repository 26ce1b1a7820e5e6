/* What the files of the connection (conn.c, conn_receive.c, conn_send.c, conn_close.c) share, and nobody else calls. */
#ifndef GATEWAY_CONN_PARTS_H
#define GATEWAY_CONN_PARTS_H

#include "gateway/conn.h"

/* Operations in the kernel's hands: conn_op_begin() gives the token. */
bool     conn_op_held(const struct conn *conn, enum operation operation);
uint64_t conn_op_begin(struct shard *shard, struct conn *conn, enum operation operation);
void     conn_op_end(struct conn *conn, enum operation operation);

void conn_arm_timer(struct shard *shard, struct conn *conn, uint64_t due_ms);
void conn_arm_recv(struct shard *shard, struct conn *conn);
/* Gives back its receive buffer, or frees what it holds instead. */
void conn_give_buffer(struct shard *shard, struct conn *conn);
/* Lists: a connection stands in one at most. */
void         conn_list_push(struct shard *shard, struct conn_list *list, struct conn *conn);
struct conn *conn_list_pop(struct shard *shard, struct conn_list *list); /* NULL: it is empty */
/* Takes it out of a list, if it stands there. */
void conn_unlist(struct shard *shard, struct conn_list *list, struct conn *conn);
/* Nothing more of it may be consumed now: its replies wait for room, or its requests for other shards. */
bool conn_must_wait(const struct conn *conn);
/* Goes on consuming and receiving after a pause. */
void conn_resume_receiving(struct shard *shard, struct conn *conn);
/* The last byte is out. */
void conn_end_sending(struct shard *shard, struct conn *conn);
/* All was said, and its end is not told yet: it follows a close frame later. */
static inline bool conn_end_waits(const struct conn *conn)
{
    return conn->state == CONN_LINGER && !conn->shut && conn_unsent(conn) == 0;
}
/* Its socket may have room again. */
void conn_unblock(struct shard *shard, struct conn *conn);
/* To the log, at level debug; a code of 0 is left out. */
void conn_log_closed(struct shard *shard, const struct conn *conn, uint16_t code, const char *why);
/* It is no WebSocket or stream any more: its subscriptions end. */
void conn_leave(struct shard *shard, struct conn *conn);
static inline enum counter conn_kind_counter(const struct conn *conn)
{
    return conn->kind == CONN_KIND_STREAM ? COUNTER_STREAMS_OPEN : COUNTER_WEBSOCKETS_OPEN;
}

#endif
