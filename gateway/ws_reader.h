/* From bytes to WebSocket messages: frames, unmasking, fragments, UTF-8, control frames (RFC 6455, 5 to 8).
 *
 * A message that lies whole in a receive buffer is handed on where it landed, without a copy. Only what is incomplete is
 * kept, in a struct ws_reader on the heap, and freed when it is complete. Its shard's thread only. */
#ifndef GATEWAY_WS_READER_H
#define GATEWAY_WS_READER_H

#include "gateway/conn.h"

/* Consumes bytes of an open or closing WebSocket up to the end of one frame, or all there is of it. The bytes are changed (unmasked).
 * Returns how many were consumed: at least one. */
size_t ws_feed(struct shard *shard, struct conn *conn, char *bytes, size_t size);

/* A message of which some lines are not served yet, because its replies waited for room or they are many. */
bool ws_lines_wait(const struct conn *conn);
/* Goes on with them, as far as the replies' room and one turn's share allow. Returns the bytes served: at least one. */
size_t ws_feed_lines(struct shard *shard, struct conn *conn);

void ws_reader_free(struct conn *conn);
/* Of a WebSocket that is being closed: what of its messages came is not needed any more. */
void ws_reader_drop(struct conn *conn);
/* Which limit a message of this connection is held to. */
enum limit ws_message_limit(const struct conn *conn);
/* Memory that it holds. */
size_t ws_reader_bytes(const struct conn *conn);

#endif
