#include "gateway/shard_settings.h"

#include <string.h>
#include <sys/resource.h>

#include "core/io/tls.h"
#include "gateway/access.h"

#define SUBSCRIPTIONS_MAX (16u * 1024u * 1024u) /* of a shard: an address range, not memory */
#define PATTERNS_MAX (1024u * 1024u)            /* likewise, over all connections */

/* Files there can be: as many as the process may open, though direct descriptors don't count against that. */
uint32_t shard_files_max(const struct settings *settings)
{
    struct rlimit limit;
    uint64_t most = settings->limits_connections * UP_TO_TWICE + CONNECTIONS_SPARE;
    if (getrlimit(RLIMIT_NOFILE, &limit)) return 1024;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    return (uint32_t)(most < limit.rlim_cur ? most : limit.rlim_cur);
}

uint32_t shard_connections_max(const struct settings *settings, uint32_t files_max)
{
    uint32_t spare = files_max / 2 < CONNECTIONS_SPARE ? files_max / 2 : CONNECTIONS_SPARE, most = files_max - spare;
    return settings->limits_connections < most ? (uint32_t)settings->limits_connections : most;
}

uint64_t shard_connections_allowed(const struct shard *shard)
{
    uint64_t most = (uint64_t)shard->connections_max * shard->gateway->shards_count;
    return most < shard->settings->limits_connections ? most : shard->settings->limits_connections;
}

uint32_t shard_files_now(const struct shard *shard)
{
    uint32_t most = shard->connections_max + CONNECTIONS_SPARE;
    return most < shard->conns.items_max ? most : shard->conns.items_max;
}

uint64_t shard_part_of(const struct settings *settings, uint64_t limit)
{
    return (limit + settings->shards - 1) / settings->shards;
}

/* The same for topics, which hashing spreads unevenly: none is refused while the gateway as a whole has room, and the whole may go
 * over its limit by a quarter. */
static uint64_t topics_of(const struct settings *settings)
{
    uint64_t part = shard_part_of(settings, settings->limits_topics), slack = part / 4 + 64;
    return part + slack < settings->limits_topics ? part + slack : settings->limits_topics;
}

struct engine_settings shard_engine_settings(const struct shard *shard, const uint8_t hash_key[16])
{
    const struct settings *settings = shard->settings;
    struct engine_settings engine = {
        .shard = shard->index,
        .shards_count = (uint32_t)settings->shards,
        .subscriptions_max = SUBSCRIPTIONS_MAX,
        .locals_max = (uint32_t)settings->limits_topics, /* those of all homes may be followed here */
        .subscriptions_each_max = (uint32_t)settings->limits_subscriptions,
        .patterns_max = PATTERNS_MAX,
        .trace = shard->tracing ? shard->tracing->trace : NULL,
        .home = {
            .topics_max = (uint32_t)topics_of(settings),
            .patterns_max = PATTERNS_MAX,
            .log_bytes_max = shard_part_of(settings, settings->limits_log_bytes),
            .topic_ttl_us = settings->topics_ttl_ms * 1000,
            .compressor = &shard->compression.compressor,
            .window = { settings->topics_window, settings->topics_window_bytes, settings->topics_window_age_ms * 1000 },
        },
    };
    memcpy(engine.hash_key, hash_key, sizeof engine.hash_key);
    memcpy(engine.home.hash_key, hash_key, sizeof engine.home.hash_key);
    return engine;
}

void shard_adopt(struct shard *shard, const struct settings *settings, const struct tls *tls)
{
    const struct settings *before = shard->settings;
    bool others_may = !auth_equals(before->auth, settings->auth) || before->auth_required != settings->auth_required ||
                      (tls && tls_authorities(tls) != tls_authorities(shard->tls));
    shard->settings = settings;
    shard->tls = tls;
    shard->connections_max = shard_connections_max(settings, shard->conns.items_max);
    ring_limit_files(&shard->ring, shard_files_now(shard));
    admission_adopt(shard);
    logger_adopt(&shard->logger, settings);
    struct engine_settings engine = shard_engine_settings(shard, shard->engine.settings.hash_key);
    engine_change(&shard->engine, &engine);
    for (uint32_t index = 0; others_may && (index = bitset_next(&shard->live, index)) != BITSET_NONE; index++) access_adopt(shard, conn_at(shard, index));
    reports_word(&shard->reports, REPORT_ADOPTED, settings->version);
}
