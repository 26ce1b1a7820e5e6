#include "gateway/system.h"

#include <stdio.h>

#include "core/pubsub/following.h"
#include "gateway/metrics.h"
#include "gateway/process.h"
#include "gateway/shard_settings.h"

#define GATEWAY_TOPIC "$sys.gateway"
enum { EACH_US = 1000000, TOPICS_SHOWN = 10 };

void system_begin(struct shard *shard)
{
    struct system *system = &shard->system;
    system->shard.at_us = system->gateway.at_us = shard->started_us;
}

void system_end(struct shard *shard)
{
    text_free(&shard->system.text);
}

/* ---- who follows -------------------------------------------------------------------------------------------------------- */

static bool somebody_follows(const struct shard *shard)
{
    return counter_shared_read(&shard->gateway->system_followed) > 0;
}

void system_tell(struct shard *shard)
{
    struct system *system = &shard->system;
    uint32_t followed = shard->engine.home.system_followed;
    if (followed == system->followed) return;
    uint32_t before = counter_shared_add(&shard->gateway->system_followed, followed - system->followed);
    system->followed = followed;
    if (before > 0) return;
    for (uint32_t i = 0; i < shard->gateway->shards_count; i++)
        if (i != shard->index) shard_wake_peer(shard, i);
}

uint64_t system_due_us(struct shard *shard)
{
    struct system *system = &shard->system;
    bool first = system->published_us == 0; /* so that the topics are there from the start */
    system->watched = somebody_follows(shard);
    return (system->watched || first) && shard->state < SHARD_ENDING ? system->published_us + EACH_US : UINT64_MAX;
}

bool system_is_news(const struct shard *shard)
{
    return !shard->system.watched && somebody_follows(shard);
}

/* ---- what is published -------------------------------------------------------------------------------------------------- */

/* Where its home has no room it is left out: a second later there is another. */
static void publish(struct shard *shard, const char *topic)
{
    struct publish_ask ask = { .topic = span_of_string(topic), .data = text_span(&shard->system.text), .quiet = true };
    struct publish_reply reply;
    engine_publish(&shard->engine, &ask, TICKET_NONE, &reply);
}

/* What a start takes is no share of anything yet. */
static void write_busy(struct text *text, const char *before, uint64_t idle_before_us, uint64_t idle_us, uint64_t interval_us)
{
    text_print(text, "%s%.4g", before, interval_us < EACH_US / 2 ? 0.0 : figures_busy(idle_before_us, idle_us, interval_us));
}

static void write_top(struct text *text, const char *name, const struct top *top)
{
    uint32_t best[TOPICS_SHOWN];
    uint32_t count = top_best(top, best, TOPICS_SHOWN);
    text_print(text, "\"%s\":[", name);
    for (uint32_t i = 0; i < count; i++) {
        text_add_string(text, i > 0 ? ",{\"topic\":\"" : "{\"topic\":\"");
        text_add(text, top_name(top, best[i])); /* names hold nothing that JSON escapes */
        text_add_char(text, '"');
        figures_write_tenths(text, "per_second", top_per_second(top, best[i]));
        text_add_char(text, '}');
    }
    text_add_char(text, ']');
}

static void publish_shard(struct shard *shard)
{
    struct system *system = &shard->system;
    struct figures now = { .at_us = shard->clock.mono_us };
    struct text *text = &system->text;
    char topic[32];
    figures_add(&now, &shard->counters);
    uint64_t idle_us = counter_idle_us(&shard->counters, now.at_us);
    text->size = 0;
    text_print(text, "{\"shard\":%u,\"uptime_s\":%llu", shard->index, (unsigned long long)((now.at_us - shard->started_us) / 1000000));
    write_busy(text, ",\"busy\":", system->idle_us, idle_us, now.at_us - system->shard.at_us);
    figures_write(&system->shard, &now, text);
    text_add_string(text, ",\"top\":{");
    write_top(text, "published", &shard->engine.home.top);
    text_add_char(text, ',');
    write_top(text, "sent", &shard->engine.locals.top);
    text_add_string(text, "}}");
    system->shard = now;
    system->idle_us = idle_us;
    snprintf(topic, sizeof topic, "$sys.shard.%u", shard->index);
    publish(shard, topic);
}

/* What there may be at most, of what "now" says how much there is. */
static void write_limits(const struct shard *shard, struct text *text)
{
    const struct settings *settings = shard->settings;
    text_print(text, ",\"limits\":{\"connections\":%llu,\"topics\":%llu,\"memory\":%llu,\"log-bytes\":%llu}", (unsigned long long)shard_connections_allowed(shard),
               (unsigned long long)settings->limits_topics, (unsigned long long)settings->limits_memory, (unsigned long long)settings->limits_log_bytes);
}

static void publish_gateway(struct shard *shard)
{
    static const char *const states[] = { [SHARD_OPEN] = "open", [SHARD_DRAINING] = "draining", [SHARD_DRAINED] = "draining" };
    struct system *system = &shard->system;
    const struct gateway *gateway = shard->gateway;
    struct figures now = { .at_us = shard->clock.mono_us };
    struct text *text = &system->text;
    uint64_t interval_us = now.at_us - system->gateway.at_us, cpu_us = process_cpu_us();
    text->size = 0;
    text_print(text, "{\"version\":\"%s\",\"state\":\"%s\",\"shards\":%u,\"uptime_s\":%llu,\"busy\":[", RINGCAST_VERSION, states[shard->state], gateway->shards_count,
               (unsigned long long)((now.at_us - shard->started_us) / 1000000));
    for (uint32_t i = 0; i < gateway->shards_count; i++) {
        const struct counters *counters = &gateway->shards[i].counters;
        uint64_t idle_us = counter_idle_us(counters, now.at_us);
        write_busy(text, i > 0 ? "," : "", system->idle_all_us[i], idle_us, interval_us);
        system->idle_all_us[i] = idle_us;
        figures_add(&now, counters);
    }
    figures_add(&now, &gateway->counters);
    text_print(text, "],\"cpu\":%.3g,\"resident_bytes\":%llu", interval_us > 0 ? (double)(cpu_us - system->cpu_us) / (double)interval_us : 0.0, (unsigned long long)process_resident_bytes());
    write_limits(shard, text);
    figures_write(&system->gateway, &now, text);
    text_add_char(text, '}');
    system->gateway = now;
    system->cpu_us = cpu_us;
    publish(shard, GATEWAY_TOPIC);
}

/* A fade for each second that has passed since the last one. */
static void fade(struct top *top, uint64_t seconds)
{
    enum { SECONDS_MAX = 64 }; /* then nothing is left of anything */
    for (uint64_t i = 0; i < seconds && i < SECONDS_MAX; i++) top_fade(top);
}

void system_publish(struct shard *shard)
{
    struct system *system = &shard->system;
    struct engine *engine = &shard->engine;
    uint64_t passed_us = shard->clock.mono_us - system->published_us;
    if (passed_us < EACH_US || shard->state >= SHARD_ENDING) return;
    bool first = system->published_us == 0;
    system->published_us = shard->clock.mono_us;
    uint64_t seconds = first ? 1 : passed_us / EACH_US;
    fade(&engine->home.top, seconds - 1);
    fade(&engine->locals.top, seconds - 1);
    metrics_set_levels(shard);
    publish_shard(shard);
    if (engine_home_of(engine, engine_name_hash(engine, SPAN_LITERAL(GATEWAY_TOPIC))) == shard->index) publish_gateway(shard);
    top_fade(&engine->home.top);
    top_fade(&engine->locals.top);
}
