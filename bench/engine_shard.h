/* One shard of an engine that is measured: its turn as gateway/shard.c and gateway/fanout.c make it, with a publisher in
 * the place of a ring that brings requests, and connections whose sends are always whole.
 *
 *   turn    hear and serve the others, publish a burst, tell, flush each ready connection, trim
 * Its thread's alone, but for its counters, its progress and its wake-up. */
#ifndef BENCH_ENGINE_SHARD_H
#define BENCH_ENGINE_SHARD_H

#include "core/pubsub/engine.h"
#include "core/queue/wake.h"

#define ENGINE_WINDOW 1000u /* updates that a topic keeps: the gateway's default */

/* What a send does with the bytes of its range, in the kernel's place. */
enum engine_reading { READ_LINE, READ_FRAMES, READ_COPY };

/* What all shards of a run do alike. */
struct engine_load {
    uint64_t shards, topics, subscriptions, follows, burst, lead, bytes; /* topics and subscriptions: of each shard */
    int      reading; /* enum engine_reading */
    bool     quiet, sleeps;
    struct span *names; /* of all topics, shards * topics; as many at each home, and published to by each shard */
    struct span  data;
};

struct engine_shard {
    alignas(128) struct engine engine; /* nothing of one shard shares a line, or a pair of lines, with another's */
    struct clock    clock;
    struct counters counters;
    struct pool     conns;
    struct bitset   ready;
    uint32_t        index, start; /* start: where the next pass over the connections begins */
    const struct engine_load *load;
    struct engine_shard      *all;
    uint64_t publish_until;  /* counts of updates since the beginning */
    uint64_t published, replies;
    uint64_t topic;          /* of those that it publishes to: the next */
    bool     full, held;     /* a link was; it is ahead of the slowest shard */
    uint64_t wrong;          /* what must not happen */
    uint64_t turns, ranges, sends, wakes_asked, wakes_sent, asleep_ns, looked_us;
    uint64_t checksum;       /* of what was read */
    char    *copied;
    alignas(128) struct counters progress; /* COUNTER_REQUESTS: published; the others read it once a turn */
    struct wake wake;
};

/* False: no memory, with the sentence on stderr. Then nothing is to be undone. */
bool engine_shard_init(struct engine_shard *shard, uint32_t index, const struct engine_load *load, struct engine_shard *all);
/* All shards, before any of them runs. */
bool engine_shard_connect(struct engine_shard *shard, struct wires *wires);
void engine_shard_deinit(struct engine_shard *shard);

/* Asks for all subscriptions; they stand when as many as the load says are counted. */
void engine_shard_subscribe(struct engine_shard *shard);
/* One turn; false: there was nothing to do. */
bool engine_shard_turn(struct engine_shard *shard);
/* Waits until there is something to do, a millisecond at most. */
void engine_shard_sleep(struct engine_shard *shard);
/* Whether each of its subscriptions has all that was published up to now. */
bool engine_shard_has_all(const struct engine_shard *shard);

#endif
