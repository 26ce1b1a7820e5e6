/* Tracing: where a shard's trace (core/pubsub/trace.h) meets what the engine does not see: receive buffers, batches of sends, and whoever wants
 * to read it. A shard has one only with the setting `trace`.
 *
 * What is done goes out as updates of a topic of the gateway's own, $sys.trace.N of shard N, once a second and after the flush:
 *   {"shard":0,"missed":0,"doors":["received",…],"updates":[["bench",50,81234567890123,0,1520,null,…],…]}
 * topic, seq, a moment in nanoseconds of CLOCK_MONOTONIC, and for each door how long after it; null: not passed here. So it is read as all else
 * is, from anywhere, of all shards, with the admin key: followed, or afterwards by /v1/topics/$sys.trace.N/history. Its shard's thread only. */
#ifndef GATEWAY_TRACING_H
#define GATEWAY_TRACING_H

#include "core/base/text.h"
#include "core/io/recv_buffers.h"
#include "core/pubsub/trace.h"

struct shard;

struct tracing {
    struct trace *trace;
    uint64_t      came_ns[RECV_BUFFERS_COUNT]; /* when what is in each was seen */
    uint64_t      received_ns;                 /* of what is being consumed; 0: it has waited in memory of its own */
    uint64_t      told_us;                     /* by the monotonic clock */
    struct text   text;
};

/* NULL: no memory. */
struct tracing *tracing_make(uint64_t every);
void            tracing_free(struct tracing *tracing); /* NULL is allowed */

/* Once a turn, after the flush: publishes what is done, where it is due. True: it did, and the next turn has something to send. */
bool tracing_tell(struct shard *shard);
/* When tracing_tell() wants to be called at the latest, by clock->mono_us; UINT64_MAX: nothing is done. */
uint64_t tracing_due_us(const struct tracing *tracing);

#endif
