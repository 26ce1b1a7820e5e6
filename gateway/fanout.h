/* The flush: sends to each ready connection what it has pending, in one send, in batches that are staged, submitted, settled.
 *
 * Between stage and settle a batch is in the kernel's hands: nothing appends, trims, tells or retires then. Cursors move when
 * it is known what was taken. Its shard's thread only. */
#ifndef GATEWAY_FANOUT_H
#define GATEWAY_FANOUT_H

#include "gateway/shard.h"

/* On the heap; NULL: no memory. */
struct fanout *fanout_make(bool tls); /* tls: with room for ciphertext */
void           fanout_free(struct fanout *fanout);

/* The next flush begins with the first connection. */
void fanout_from_first(struct fanout *fanout);

/* By the shard's own thread, before its first flush. */
void           fanout_start(struct shard *shard);

/* Sends until nobody is ready, or every ready connection had its share PASSES_MAX times. True: some are ready still. */
bool fanout_flush(struct shard *shard);

#endif
