/* Metrics: the counters as Prometheus text, and the state as a dump for people. */
#ifndef GATEWAY_METRICS_H
#define GATEWAY_METRICS_H

#include "gateway/shard.h"

void metrics_write(const struct shard *shard, struct text *page);
/* To standard error, a line a counter. */
void metrics_dump(const struct shard *shard);

#endif
