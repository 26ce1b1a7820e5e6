/* What the gateway says of itself on its metrics page, read beside a running measurement: a thread asks, so that the
 * load goes on meanwhile. What the page does not have stays at zero, with has_… false. */
#ifndef BENCH_METRICS_H
#define BENCH_METRICS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/span.h"

struct metrics {
    bool     has_page, has_idle, has_sends;
    int64_t  at_ns;  /* when the page came */
    uint32_t shards; /* lines of the idle time */
    double   idle_s; /* of all shards */
    double   sends, ranges, frames, bytes, gaps, short_sends, enters; /* totals of all shards */
    char     why[320]; /* where there is no page */
};

/* Asking in the background. Between metrics_ask and metrics_await only the thread touches it. */
struct metrics_asking {
    const char    *url, *key; /* borrowed */
    pthread_t      thread;
    bool           running;
    struct metrics metrics;
};

void                  metrics_ask(struct metrics_asking *asking, const char *url, const char *key);
const struct metrics *metrics_await(struct metrics_asking *asking);

/* Reads a page of Prometheus text into everything but has_page and at_ns. */
void metrics_parse(struct metrics *metrics, struct span page);

#endif
