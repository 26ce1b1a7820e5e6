#include "gateway/gateway.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/base/random.h"
#include "gateway/cpus.h"
#include "gateway/pending.h"
#include "gateway/web.h"

static int connect_all(struct gateway *gateway, const struct settings *settings)
{
    struct wires_settings wires = { ASKS_MAX, TELLS_MAX, wires_ask_bytes(settings->limits_payload) };
    gateway->wires = wires_make(gateway->shards_count, &wires);
    if (!gateway->wires) return -1;
    for (uint32_t i = 0; i < gateway->shards_count; i++) {
        struct engine_hooks hooks = pending_hooks(&gateway->shards[i]);
        if (engine_connect(&gateway->shards[i].engine, gateway->wires, &hooks)) return -1;
    }
    return 0;
}

static void undo(struct gateway *gateway, uint32_t shards_count)
{
    for (uint32_t i = 0; i < shards_count; i++) shard_deinit(&gateway->shards[i]);
    wires_free(gateway->wires);
    free(gateway->shards);
    wake_deinit(&gateway->main_wake);
}

int gateway_init(struct gateway *gateway, const struct settings *settings, const struct tls *tls, const struct inherited *inherited, char *why, int why_size)
{
    uint8_t hash_key[16];
    *gateway = (struct gateway){ .shards_count = (uint32_t)settings->shards, .tls = tls, .inherited = *inherited, .started_us = clock_wall_us() };
    random_fill(hash_key, sizeof hash_key);
    web_init();
    gateway->shards = aligned_alloc(_Alignof(struct shard), gateway->shards_count * sizeof *gateway->shards);
    if (!gateway->shards || wake_init(&gateway->main_wake)) {
        snprintf(why, (size_t)why_size, "no memory for %u shards, or too few files", gateway->shards_count);
        free(gateway->shards);
        return -1;
    }
    for (uint32_t i = 0; i < gateway->shards_count; i++) {
        if (shard_init(&gateway->shards[i], i, gateway, settings, hash_key, why, why_size) == 0) continue;
        undo(gateway, i);
        return -1;
    }
    if (connect_all(gateway, settings) == 0) return 0;
    snprintf(why, (size_t)why_size, "no memory for the queues between %u shards", gateway->shards_count);
    undo(gateway, gateway->shards_count);
    return -1;
}

int gateway_start(struct gateway *gateway, char *why, int why_size)
{
    bool pin = gateway->shards[0].settings->shards_pin && cpus_are_ours(gateway->shards_count);
    for (uint32_t i = 0; i < gateway->shards_count; i++) {
        if (shard_start(&gateway->shards[i], why, why_size)) {
            for (uint32_t started = 0; started < i; started++) shard_give_up(&gateway->shards[started]);
            undo(gateway, gateway->shards_count);
            return -1;
        }
        if (pin) cpus_pin(gateway->shards[i].thread, i);
    }
    for (uint32_t i = 0; i < gateway->shards_count; i++) shard_serve(&gateway->shards[i]);
    return 0;
}

void gateway_join(struct gateway *gateway)
{
    for (uint32_t i = 0; i < gateway->shards_count; i++) shard_join(&gateway->shards[i]);
}

void gateway_deinit(struct gateway *gateway)
{
    undo(gateway, gateway->shards_count);
}
