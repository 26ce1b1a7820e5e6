/* The memory that clients can make grow, logs apart: what they have not sent whole (messages, heads, bodies) and what they have not taken
 * (replies, answers). Each connection is weighed when something of it may have changed; the sum of a shard is held against its part of
 * limits.memory, which is never too little for one message. Beyond it the shard sheds: new connections get 503, those that hold the most are
 * ended, until it is an eighth below. It does the same, whatever they hold, while the allocator refuses even what it had in reserve (reserve.h).
 * Its shard's thread only. */
#ifndef GATEWAY_MEMORY_H
#define GATEWAY_MEMORY_H

#include "gateway/shard.h"

struct conn;

/* What a connection holds may have changed. */
void memory_weigh(struct shard *shard, struct conn *conn);
/* It holds nothing any more. */
void memory_forget(struct shard *shard, struct conn *conn);
/* Ends this one as one that holds the most, since there is no memory for what it is to be sent. */
void memory_shed(struct shard *shard, struct conn *conn);
/* Once a turn: sheds some, where that is due. True: it is, and there may be more to shed. */
bool memory_look(struct shard *shard);

#endif
