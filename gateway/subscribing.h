/* Subscribing: what a request's topics and patterns come to, from asking other shards for them to the ack and what follows it.
 * Its shard's thread only. */
#ifndef GATEWAY_SUBSCRIBING_H
#define GATEWAY_SUBSCRIBING_H

#include "gateway/conn.h"
#include "gateway/topics_asked.h"

struct subscribe_options {
    enum mode mode;
    bool      snapshot;
    double    max_hz; /* 0: no limit */
};

/* What a request needs from other shards before it can be served. */
enum readiness { READY, NOT_READY, READY_NEVER };

/* All topics of a request: those that are not known here are asked for all at once. NOT_READY: the request is to be served again
 * when they are; READY_NEVER: refused, asked->code and asked->why say it. */
enum readiness subscribing_prepare(struct shard *shard, struct conn *conn, struct topics_asked *asked);

/* The whole of a subscribe whose topics are ready and whose options were found right. False: refused, asked->code and asked->why say
 * it: one topic is too many, and it is named; nothing new is followed. */
bool subscribing_begin(struct shard *shard, struct conn *conn, struct span id, bool ack, struct topics_asked *asked, const struct subscribe_options *options);

/* Ends what one name or pattern of a request stands for. */
void subscribing_end(struct shard *shard, struct conn *conn, const struct topic_asked *topic);

#endif
