/* A stream: the updates of some topics as Server-Sent Events (`GET /v1/stream`, PROTOCOL.md; the HTML standard, 9.2), for clients
 * without a WebSocket: what `ringcast.v1` would send, each message as one event. It only listens. Its shard's thread only.
 *
 * Events are shared by all who read them, so they carry no id. What a stream has been sent goes out at most once a second in a
 * block of `id:` alone, and comes back as Last-Event-ID. */
#ifndef GATEWAY_STREAM_H
#define GATEWAY_STREAM_H

#include "gateway/conn.h"

struct http_call;

/* Answers the request: the stream begins, or what is wrong with its query gets a status. */
void http_stream(const struct http_call *call);

/* Updates are about to be sent: their position is due to be told within a second. */
void stream_moved(struct shard *shard, struct conn *conn);
/* Tells it, where it is due. Returns when it will be, by shard_now_ms(); UINT64_MAX: nothing is to be told. */
uint64_t stream_tell_position(struct shard *shard, struct conn *conn);

#endif
