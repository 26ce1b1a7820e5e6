#include "gateway/metrics.h"

#include <stdio.h>
#include <string.h>

#include "core/io/tls.h"
#include "core/proto/http.h"
#include "gateway/conn.h"
#include "gateway/messages.h"
#include "gateway/process.h"
#include "gateway/shard_settings.h"

static uint64_t cell(const struct shard *shard, uint32_t index, enum counter counter)
{
    return counter_read(&shard->gateway->shards[index].counters, counter);
}

/* ---- what is counted ------------------------------------------------------------------------------------------------- */

/* Each name's help and type come once, before its first row; a histogram's without the suffix of its rows. */
static void write_head(struct text *page, const struct counter_text *text)
{
    static const char *const types[] = { [COUNTS] = "counter", [COUNTS_EACH] = "counter", [TIME_EACH] = "counter", [LEVEL] = "gauge", [LEVEL_EACH] = "gauge", [BUCKET] = "histogram" };
    int suffix_bytes = text->kind == BUCKET ? (int)sizeof "_bucket" - 1 : 0, bytes = (int)strlen(text->name) - suffix_bytes;
    text_print(page, "# HELP ringcast_%.*s %s\n# TYPE ringcast_%.*s %s\n", bytes, text->name, text->help, bytes, text->name, types[text->kind]);
}

static void write_row(struct text *page, const struct counter_text *text, uint64_t value)
{
    bool labels = text->labels[0] != '\0';
    text_print(page, "ringcast_%s%s%s%s %llu\n", text->name, labels ? "{" : "", text->labels, labels ? "}" : "", (unsigned long long)value);
}

/* The sum, and the count, which is what the last bucket has. */
static void write_end(struct text *page, const struct counter_text *text, uint64_t sum, uint64_t count)
{
    int bytes = (int)(strlen(text->name) - sizeof "_sum" + 1);
    if (text->kind == SUM_US) text_print(page, "ringcast_%s %llu.%06u\n", text->name, (unsigned long long)(sum / 1000000), (unsigned)(sum % 1000000));
    else text_print(page, "ringcast_%s %llu\n", text->name, (unsigned long long)sum);
    text_print(page, "ringcast_%.*s_count %llu\n", bytes, text->name, (unsigned long long)count);
}

static void write_each(struct text *page, const struct shard *shard, enum counter counter)
{
    const struct counter_text *text = counter_text(counter);
    uint64_t now_us = clock_mono_us();
    for (uint32_t i = 0; i < shard->gateway->shards_count; i++) {
        unsigned long long value = counter == COUNTER_IDLE_US ? counter_idle_us(&shard->gateway->shards[i].counters, now_us) : cell(shard, i, counter);
        if (text->kind == TIME_EACH) text_print(page, "ringcast_%s{shard=\"%u\"} %llu.%06llu\n", text->name, i, value / 1000000, value % 1000000);
        else text_print(page, "ringcast_%s{shard=\"%u\"} %llu\n", text->name, i, value);
    }
}

static void write_counters(struct text *page, const struct shard *shard)
{
    const char *before = "";
    uint64_t in_buckets = 0;
    for (enum counter counter = 0; counter < COUNTERS_COUNT; counter++) {
        const struct counter_text *text = counter_text(counter);
        bool ends = text->kind == SUM || text->kind == SUM_US;
        if (!ends && strcmp(text->name, before) != 0) {
            write_head(page, text);
            in_buckets = 0;
        }
        before = text->name;
        if (text->kind == COUNTS_EACH || text->kind == TIME_EACH || text->kind == LEVEL_EACH) {
            write_each(page, shard, counter);
            continue;
        }
        uint64_t total = shard_total(shard, counter);
        if (ends) write_end(page, text, total, in_buckets);
        else if (text->kind == BUCKET) write_row(page, text, in_buckets += total);
        else write_row(page, text, total);
    }
}

/* ---- what is allowed ------------------------------------------------------------------------------------------------- */

/* So that an alert can tell how near a limit is. */
static void write_limits(struct text *page, const struct shard *shard)
{
    text_print(page, "# HELP ringcast_limit The settings limits.* in force; of connections what the limit of open files allows\n# TYPE ringcast_limit gauge\n");
    for (int i = 0; i < SETTINGS_COUNT; i++) {
        const char *name = settings_table[i].name;
        if (strncmp(name, "limits.", 7) != 0) continue;
        uint64_t value = i == SETTING_limits_connections ? shard_connections_allowed(shard) : setting_number(shard->settings, i);
        text_print(page, "ringcast_limit{limit=\"%s\"} %llu\n", name + 7, (unsigned long long)value);
    }
}

/* ---- certificates ---------------------------------------------------------------------------------------------------- */

/* Where the first of these names stands in the setting. */
static uint32_t place_of(struct span list, struct span name)
{
    struct span other;
    uint32_t place = 0;
    while (http_list_next(&list, &other) && !span_equals(other, name)) place++;
    return place;
}

/* Each by its file, which the next one will have too: a row for each file of the setting, TLS_PAIRS_MAX at most. */
static void write_certificates(struct text *page, const struct shard *shard)
{
    struct span list = span_of_string(shard->settings->cert), file;
    if (!shard->tls) return;
    text_print(page, "# HELP ringcast_certificate_end_time_seconds When the time of a certificate that is served is over, since the Unix epoch\n# TYPE ringcast_certificate_end_time_seconds gauge\n");
    for (uint32_t i = 0; i < tls_pairs_count(shard->tls) && http_list_next(&list, &file); i++) {
        if (place_of(span_of_string(shard->settings->cert), file) < i) continue; /* named twice: no row may stand twice */
        text_add_string(page, "ringcast_certificate_end_time_seconds{file=\"");
        text_add_escaped(page, file);
        text_print(page, "\"} %llu\n", (unsigned long long)tls_pair_end_s(shard->tls, i));
    }
}

/* ---- the process ----------------------------------------------------------------------------------------------------- */

/* The names that every client library of Prometheus uses. */
static void write_process(struct text *page, const struct shard *shard)
{
    text_print(page, "# HELP process_cpu_seconds_total Processor time used\n# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total %.2f\n", (double)process_cpu_us() / 1e6);
    text_print(page, "# HELP process_resident_memory_bytes Resident memory\n# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes %llu\n",
               (unsigned long long)process_resident_bytes());
    text_print(page, "# HELP process_start_time_seconds When it started, since the Unix epoch\n# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds %.3f\n", (double)shard->gateway->started_us / 1e6);
    text_print(page, "# HELP ringcast_build_info The version; always 1\n# TYPE ringcast_build_info gauge\nringcast_build_info{version=\"%s\"} 1\n", RINGCAST_VERSION);
    text_print(page, "# HELP ringcast_shards Shards of this gateway\n# TYPE ringcast_shards gauge\nringcast_shards %u\n", shard->gateway->shards_count);
    text_print(page, "# HELP ringcast_draining Whether it is shutting down\n# TYPE ringcast_draining gauge\nringcast_draining %d\n", shard->state != SHARD_OPEN);
}

void metrics_write(const struct shard *shard, struct text *page)
{
    text_reserve(page, 32 * 1024); /* at once: it is some 20 KiB */
    write_counters(page, shard);
    write_limits(page, shard);
    write_certificates(page, shard);
    write_process(page, shard);
}

/* ---- levels ---------------------------------------------------------------------------------------------------------- */

static void set_memory(struct shard *shard)
{
    struct counters *counters = &shard->counters;
    const struct engine *engine = &shard->engine;
    const struct segment_store *store = &engine->home.store;
    uint64_t kept = 0;
    for (uint32_t i = 0; i < SEGMENT_CLASSES; i++) kept += (uint64_t)store->kept_count[i] * (SEGMENT_BYTES_MIN << i);
    counter_set(counters, COUNTER_MEMORY_CLIENTS, shard->clients_bytes);
    counter_set(counters, COUNTER_MEMORY_CONNECTIONS, (uint64_t)shard->conns.touched * shard->conns.item_bytes);
    counter_set(counters, COUNTER_MEMORY_SUBSCRIPTIONS, (uint64_t)engine->locals.subscriptions.touched * engine->locals.subscriptions.item_bytes
                                                        + (uint64_t)engine->by_pair.buckets * sizeof *engine->by_pair.heads);
    counter_set(counters, COUNTER_MEMORY_TOPICS, (uint64_t)engine->home.topics.touched * engine->home.topics.item_bytes
                                                 + (uint64_t)engine->locals.topics.touched * engine->locals.topics.item_bytes);
    counter_set(counters, COUNTER_MEMORY_SEGMENTS_KEPT, kept);
}

static void set_links(struct shard *shard)
{
    struct engine *engine = &shard->engine;
    uint64_t under_way = 0, waiting = 0;
    for (uint32_t i = 0; i < shard->gateway->shards_count; i++) {
        struct link *link = &engine->links[i];
        if (link->self) continue;
        under_way += link->reserved - link->credits;
        waiting += spsc_occupied(&link->tells);
    }
    counter_set(&shard->counters, COUNTER_LINK_ASKS_UNDER_WAY, under_way);
    counter_set(&shard->counters, COUNTER_LINK_TELLS_WAITING, waiting);
}

void metrics_set_levels(struct shard *shard)
{
    set_memory(shard);
    set_links(shard);
    counter_set(&shard->counters, COUNTER_RECEIVE_BUFFERS_OUT, shard->recv_buffers.out);
}

void metrics_look(struct shard *shard)
{
    enum { LOOK_MS = 250 };
    uint64_t now_ms = shard_now_ms(shard);
    if (now_ms - shard->metrics_ms < LOOK_MS) return;
    shard->metrics_ms = now_ms;
    metrics_set_levels(shard);
}
