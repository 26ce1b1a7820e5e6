#include "gateway/metrics.h"

#include <string.h>

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
