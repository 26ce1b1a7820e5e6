#include "gateway/state.h"

#include "gateway/conn.h"
#include "gateway/deflated_lines.h"
#include "gateway/pending.h"

static void write_connections(struct shard *shard, struct text *text)
{
    static const char *const names[] = { "free", "shaking hands", "http", "open", "closing", "lingering", "joining" };
    uint32_t counts[CONN_JOINING + 1] = { 0 }, full = 0, paused = 0, reading = 0;
    for (uint32_t index = 0; (index = bitset_next(&shard->live, index)) != BITSET_NONE; index++) {
        const struct conn *conn = conn_at(shard, index);
        counts[conn->state]++;
        full += conn->subscriber.blocked;
        paused += conn->paused;
        reading += conn->reader || conn->exchange;
    }
    text_print(text, "  connections %u of %u:", shard->conns.used, shard->connections_max);
    for (unsigned state = CONN_HANDSHAKE; state <= CONN_JOINING; state++) text_print(text, " %s %u", names[state], counts[state]);
    text_print(text, "; socket full %u, receiving paused %u, stalled on a link %u, in the middle of a message %u, ready to be sent to %u\n", full, paused, shard->stalled.members, reading, shard->ready.members);
    text_print(text, "  clients: %llu bytes of messages, bodies and replies held%s; addresses counted %u, accepting %s\n", (unsigned long long)shard->clients_bytes, shard->shedding ? ", connections are shed" : "",
               shard->admission.addresses.used, shard->admission.paused ? "pauses" : "goes on");
}

static void write_compression(const struct shard *shard, struct text *text)
{
    const struct compression *compression = &shard->compression;
    text_print(text, "  compression: WebSockets with it %llu, inflater %s, time left for deflating %lld us, compressed lines kept %zu bytes\n", (unsigned long long)counter_read(&shard->counters, COUNTER_WEBSOCKETS_DEFLATE),
               compression->inflater ? "at rest" : "on loan to a message that comes in pieces", (long long)compression->time_left / 100, deflated_lines_kept(compression->lines));
}

static void write_engine(const struct shard *shard, struct text *text)
{
    const struct engine *engine = &shard->engine;
    text_print(text, "  topics: home %u, with an update %u, followed or lingering here %u; subscriptions %u, patterns %u\n", engine->home.topics_count, engine->home.names.count - engine->home.system_count,
               engine->locals.topics.used, engine->locals.subscriptions.used, engine->patterns.pool.used);
    text_print(text, "  logs: %llu of %llu bytes allocated, of those %llu trimmed and still on loan; segments borrowed %llu\n", (unsigned long long)engine->home.store.bytes_used,
               (unsigned long long)engine->home.store.bytes_max, (unsigned long long)engine->home.on_loan_bytes, (unsigned long long)counter_read(&shard->counters, COUNTER_LOANS));
}

static void write_pool(const char *name, const struct pool *pool, struct text *text)
{
    text_print(text, " %s %u/%u/%u", name, pool->used, pool->touched, pool->items_max);
}

static void write_pools(const struct shard *shard, struct text *text)
{
    text_add_string(text, "  pools, used/touched/most:");
    write_pool("connections", &shard->conns, text);
    write_pool("topics", &shard->engine.home.topics, text);
    write_pool("local topics", &shard->engine.locals.topics, text);
    write_pool("subscriptions", &shard->engine.locals.subscriptions, text);
    write_pool("patterns", &shard->engine.patterns.pool, text);
    write_pool("asks pending", &shard->pendings, text);
    text_add_char(text, '\n');
}

static void write_links(const struct shard *shard, struct text *text)
{
    const struct engine *engine = &shard->engine;
    for (uint32_t i = 0; i < engine->settings.shards_count; i++) {
        const struct link *link = &engine->links[i];
        if (link->self) continue;
        text_print(text, "  link to %u: credits %u, replies reserved %u, credits to give back %u, news %s, matches %s, interests %s%s%s\n", i, link->credits, link->reserved, link->credits_back,
                   engine->home.to_tell[i].first != POOL_NONE ? "pending" : "none", engine->home.matches[i] ? "pending" : "none",
                   link->locals_to_tell.first != POOL_NONE || link->patterns_to_tell.first != POOL_NONE ? "pending" : "none", link->full ? ", full" : "", link->behind ? ", behind" : "");
    }
}

void state_write(struct shard *shard, struct text *text)
{
    static const char *const states[] = { "open", "draining", "drained", "ending", "answered", "ended" };
    uint64_t up_us = shard->clock.mono_us - shard->started_us, idle_us = counter_idle_us(&shard->counters, shard->clock.mono_us);
    text_print(text, "shard %u: %s, settings version %llu, up %llu s, busy %.1f %%, log lines lost %llu\n", shard->index, states[shard->state], (unsigned long long)shard->settings->version,
               (unsigned long long)(up_us / 1000000), up_us > idle_us ? 100.0 * (double)(up_us - idle_us) / (double)up_us : 0.0, (unsigned long long)shard->logger.lost_ever);
    write_connections(shard, text);
    write_engine(shard, text);
    write_compression(shard, text);
    write_pools(shard, text);
    write_links(shard, text);
    text_print(text, "  ring: completions set aside %u of %u, receive buffers out %u of %u, sends %s\n", shard->ring.aside_count, shard->ring.aside_max, shard->recv_buffers.out,
               (unsigned)RECV_BUFFERS_COUNT, shard->sends == SENDS_EXACT ? "told exactly" : "counted one by one");
    text_add_string(text, "  counters that are not 0:");
    for (enum counter counter = 0; counter < COUNTERS_COUNT; counter++) {
        const struct counter_text *of = counter_text(counter);
        uint64_t value = counter_read(&shard->counters, counter);
        if (value == 0 || of->kind >= BUCKET) continue;
        text_print(text, of->labels[0] ? " %s{%s}=%llu" : " %s%s=%llu", of->name, of->labels, (unsigned long long)value);
    }
    text_add_char(text, '\n');
}

void state_report(struct shard *shard)
{
    struct text text = { 0 };
    state_write(shard, &text);
    CHECK(text.size <= REPORT_BYTES_MAX); /* a line a link, and a bounded rest */
    if (!reports_text(&shard->reports, REPORT_STATE, text_span(&text))) {
        shard->logger.lost++;
        shard->logger.lost_ever++;
        counter_add(&shard->counters, COUNTER_LOG_LINES_LOST, 1);
    }
    text_free(&text);
}
