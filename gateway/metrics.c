#include "gateway/metrics.h"

#include <stdio.h>

static const char *kind_of(enum counter counter)
{
    const char *name = counter_name(counter);
    size_t size = strlen(name);
    return size > 6 && strcmp(name + size - 6, "_total") == 0 ? "counter" : "gauge";
}

void metrics_write(const struct shard *shard, struct text *page)
{
    for (enum counter counter = 0; counter < COUNTERS_COUNT; counter++) {
        const char *name = counter_name(counter);
        text_print(page, "# HELP ringcast_%s %s\n# TYPE ringcast_%s %s\n", name, counter_help(counter), name, kind_of(counter));
        for (uint32_t i = 0; i < shard->gateway->shards_count; i++)
            text_print(page, "ringcast_%s{shard=\"%u\"} %llu\n", name, i, (unsigned long long)counter_read(&shard->gateway->shards[i].counters, counter));
    }
}

void metrics_dump(const struct shard *shard)
{
    static const char *const states[] = { "open", "draining", "drained", "ending", "ended" };
    fprintf(stderr, "ringcast: shard %u is %s; receive buffers out: %u; ready: %u\n", shard->index, states[shard->state], shard->recv_buffers.out, shard->ready.members);
    for (enum counter counter = 0; counter < COUNTERS_COUNT; counter++)
        fprintf(stderr, "ringcast:   %-36s %llu\n", counter_name(counter), (unsigned long long)counter_read(&shard->counters, counter));
}
