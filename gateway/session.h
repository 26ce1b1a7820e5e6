/* A session: one client's requests of `ringcast.v1` (PROTOCOL.md), from messages to the engine and back to replies.
 * Its shard's thread only. */
#ifndef GATEWAY_SESSION_H
#define GATEWAY_SESSION_H

#include "gateway/conn.h"

/* What the query of the handshake asks for. */
struct session_query {
    struct span topics; /* separated by commas, already decoded; SPAN_NONE: none */
    struct span mode, format, snapshot, batch, max_hz, heartbeat_ms;
    const char *token_fault; /* what is wrong with the token in the query or the sub-protocol; or NULL */
    const char *fault;       /* of the query as a whole: a repeated parameter, a broken percent sign; or NULL */
};

/* Reads all of it but the topics. NULL, or a plain sentence that says what is wrong. */
struct subscribe_options;
const char *session_query_fault(const struct session_query *query, struct conn *conn, struct subscribe_options *options);
/* Before the 101: asks other shards for the topics of the query. False: they are not there yet, and the handshake waits. */
bool session_prepare(struct shard *shard, struct conn *conn, const struct session_query *query);
/* The 101 is queued: hello, the subscriptions of the query or what is wrong with it. */
void session_begin(struct shard *shard, struct conn *conn, const struct session_query *query);

/* One message: one request, or one on each line. It stops early where replies wait for room, or lines are many.
 *   line      out: how many lines were served; to be handed to session_on_lines()
 *   returns   how many bytes were served; all of them, or the rest is to come again: by session_on_lines(), or as it was where none were */
size_t session_on_message(struct shard *shard, struct conn *conn, struct span text, uint32_t *line);
/* The rest of a message, from the start of a line on: as much as one turn should take of one connection. */
size_t session_on_lines(struct shard *shard, struct conn *conn, struct span text, uint32_t *line);

#endif
