/* Metrics: the counters as Prometheus text (its exposition format, 0.0.4). */
#ifndef GATEWAY_METRICS_H
#define GATEWAY_METRICS_H

#include "gateway/shard.h"

/* The page: sums over all shards, read as they are while those run. */
void metrics_write(const struct shard *shard, struct text *page);
/* Sets the levels that are not counted as they change, as they are now. */
void metrics_set_levels(struct shard *shard);
/* Once a turn: the same, a few times a second. */
void metrics_look(struct shard *shard);

#endif
