/* Metrics: the counters as Prometheus text. */
#ifndef GATEWAY_METRICS_H
#define GATEWAY_METRICS_H

#include "gateway/shard.h"

void metrics_write(const struct shard *shard, struct text *page);

#endif
