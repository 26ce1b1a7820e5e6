/* What the gateway says in `ringcast.v1`: one function for each op (PROTOCOL.md). Each queues one text message. */
#ifndef GATEWAY_MESSAGES_H
#define GATEWAY_MESSAGES_H

#include "core/base/span.h"

struct shard;
struct conn;

void message_hello(struct shard *shard, struct conn *conn);
void message_heartbeat(struct shard *shard, struct conn *conn);
/* by: the pattern that it is there for, SPAN_NONE: a name. resumed: 0 or 1, -1 leaves it out. */
void message_topic(struct shard *shard, struct conn *conn, struct span topic, struct span epoch, uint64_t seq, struct span by, int resumed);
void message_gap(struct shard *shard, struct conn *conn, struct span topic, uint64_t from, uint64_t to);
void message_closing(struct shard *shard, struct conn *conn, const char *reason); /* with a reconnect_ms, so that not all come back at once */

/* How an answer begins: {"op":"<op>","id":<id>  with the id as the client wrote it, left out where id is SPAN_NONE; message_send()
 * adds the closing brace and queues it. In between the caller writes into shard->scratch. */
void message_begin(struct shard *shard, const char *op, struct span id);
void message_send(struct shard *shard, struct conn *conn);

/* Room for so many bytes more of the message that is being made, and for all of it in what waits to be sent: to be called before they are written where a
 * message may be large. False: the system has no memory for it; the message is gone, and the caller sheds the connection (memory.h). */
bool message_fits(struct shard *shard, struct conn *conn, size_t bytes);

/* {"op":"error",…}: line counts from 1, 0 leaves it out. The message is escaped. */
void message_error(struct shard *shard, struct conn *conn, struct span id, uint32_t line, const char *code, const char *message);

/* {"op":"published",…}, where the request had an id, or its error. */
struct publish_outcome;
void message_published(struct shard *shard, struct conn *conn, struct span id, uint32_t line, const struct publish_outcome *outcome);

/* "name":"text", with the text escaped. */
struct text;
void text_add_escaped(struct text *text, struct span raw);

#endif
