/* See metrics.h. */
#include "bench/metrics.h"

#include <stdio.h>
#include <stdlib.h>

#include "bench/fetch.h"
#include "bench/machine.h"

/* The value of a line `name 1.5` or `name{labels} 1.5`; false where it is another metric's. */
static bool line_value(struct span line, const char *name, double *value)
{
    size_t size = strlen(name);
    if (line.size <= size || memcmp(line.bytes, name, size) != 0) return false;
    struct span rest = span_skip(line, size);
    if (rest.bytes[0] == '{') {
        const char *end = span_find(rest, '}');
        if (!end) return false;
        rest = span_skip(rest, (size_t)(end - rest.bytes) + 1);
    }
    if (rest.size < 2 || rest.bytes[0] != ' ') return false;
    char number[64], *end;
    snprintf(number, sizeof number, "%.*s", rest.size < sizeof number ? (int)rest.size : 63, rest.bytes);
    *value = strtod(number, &end);
    return end != number;
}

static void take_line(struct metrics *metrics, struct span line)
{
    double value;
    if (line_value(line, "ringcast_shard_idle_seconds_total", &value)) {
        metrics->has_idle = true;
        metrics->idle_s += value;
        metrics->shards++;
    } else if (line_value(line, "ringcast_sends_total", &value)) {
        metrics->has_sends = true;
        metrics->sends += value;
    } else if (line_value(line, "ringcast_frames_sent_total", &value))
        metrics->frames += value;
    else if (line_value(line, "ringcast_ranges_sent_total", &value))
        metrics->ranges += value;
    else if (line_value(line, "ringcast_bytes_sent_total", &value))
        metrics->bytes += value;
    else if (line_value(line, "ringcast_gaps_total", &value))
        metrics->gaps += value;
    else if (line_value(line, "ringcast_ring_enters_total", &value))
        metrics->enters += value;
    else if (line_value(line, "ringcast_short_sends_total", &value))
        metrics->short_sends += value;
}

void metrics_parse(struct metrics *metrics, struct span page)
{
    while (page.size) {
        const char *end = span_find(page, '\n');
        struct span line = span_of(page.bytes, end ? (size_t)(end - page.bytes) : page.size);
        if (line.size && line.bytes[0] != '#') take_line(metrics, line);
        page = span_skip(page, line.size + (end != NULL));
    }
}

static void *ask(void *argument)
{
    struct metrics_asking *asking = argument;
    struct metrics *metrics = &asking->metrics;
    struct fetch fetch;
    struct span page;
    if (fetch_init(&fetch, asking->url, asking->key) == 0 &&
        fetch_exchange(&fetch, "GET", NULL, SPAN_NONE, &page) == 0) {
        metrics->at_ns = now_ns();
        metrics->has_page = fetch.status == 200;
        if (metrics->has_page)
            metrics_parse(metrics, page);
        else
            snprintf(fetch.why, sizeof fetch.why, "it answered %u%s", fetch.status,
                     fetch.status == 401 || fetch.status == 403 ? " (--metrics-key takes the admin key)" : "");
    }
    snprintf(metrics->why, sizeof metrics->why, "%s", fetch.why);
    fetch_deinit(&fetch);
    return NULL;
}

void metrics_ask(struct metrics_asking *asking, const char *url, const char *key)
{
    *asking = (struct metrics_asking){ .url = url, .key = key };
    asking->running = pthread_create(&asking->thread, NULL, ask, asking) == 0;
}

const struct metrics *metrics_await(struct metrics_asking *asking)
{
    if (asking->running) pthread_join(asking->thread, NULL);
    asking->running = false;
    return &asking->metrics;
}
