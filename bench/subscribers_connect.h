/* How a crowd gets in: connecting many sockets at once, from as many source addresses as their ports need. The inner
 * half of subscribers.h. */
#ifndef BENCH_SUBSCRIBERS_CONNECT_H
#define BENCH_SUBSCRIBERS_CONNECT_H

#include "bench/subscribers.h"

/* The TCP connection of one came about or failed: it goes on with TLS, or sends its handshake. */
void subscriber_connected(struct subscribers *subscribers, uint32_t index);

/* Goes on with the handshake of TLS, after which comes that of the WebSocket. */
void subscriber_secure(struct subscribers *subscribers, uint32_t index);

/* Begins to connect one. */
void subscriber_begin(struct subscribers *subscribers, uint32_t index);

/* Ends one, keeping the first reason. */
void subscriber_end(struct subscribers *subscribers, uint32_t index, const char *why);

#endif
