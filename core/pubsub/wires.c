#include "core/pubsub/wires.h"

#include <stdlib.h>

#include "core/pubsub/home.h"

uint32_t wires_ask_bytes(uint64_t payload_bytes_max)
{
    uint64_t wanted = 2 * (payload_bytes_max + TOPIC_NAME_BYTES_MAX), bytes = ASK_BYTES;
    while (bytes < wanted && bytes < UINT32_C(1) << 31) bytes *= 2;
    return (uint32_t)bytes;
}

static int wire_init(struct wire *wire, const struct wires_settings *settings)
{
    int error = spsc_init(&wire->asks, sizeof(struct ask), settings->asks);
    if (error) return error;
    error = spsc_init(&wire->tells, sizeof(struct tell), settings->tells);
    if (error) goto undo_asks;
    error = byte_ring_init(&wire->ask_bytes, settings->ask_bytes);
    if (error) goto undo_tells;
    return 0;
undo_tells: spsc_deinit(&wire->tells);
undo_asks:  spsc_deinit(&wire->asks);
    return error;
}

/* What was told and never taken: a notice's segments belong to its home, all else that hangs on a tell to whoever takes it. */
static void wire_deinit(struct wire *wire)
{
    struct spsc_rx tells = spsc_consumer(&wire->tells);
    struct tell tell;
    while (spsc_take(&tells, &tell)) {
        if (tell.kind == TELL_NOTICE) notice_end(&tell.notice);
        if (tell.kind == TELL_ANSWERED) text_free(&tell.answered.text);
    }
    spsc_deinit(&wire->asks);
    spsc_deinit(&wire->tells);
    byte_ring_deinit(&wire->ask_bytes);
}

static void wires_deinit(struct wires *wires, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) wire_deinit(&wires->wires[i]);
    free(wires->wires);
    free(wires);
}

struct wires *wires_make(uint32_t shards_count, const struct wires_settings *settings)
{
    static const struct wires_settings defaults = { ASKS_MAX, TELLS_MAX, ASK_BYTES };
    if (!settings) settings = &defaults;
    if (shards_count == 0 || shards_count > SHARDS_MAX || settings->tells > TELLS_MAX || settings->ask_bytes < ASK_BYTES_MIN) return NULL;
    struct wires *wires = malloc(sizeof *wires);
    if (!wires) return NULL;
    uint32_t count = shards_count * shards_count; /* those of a shard to itself are made too, and never used: they cost no page */
    *wires = (struct wires){ .shards_count = shards_count, .credits = settings->tells / 2, .settings = *settings };
    wires->wires = aligned_alloc(alignof(struct wire), count * sizeof *wires->wires);
    if (!wires->wires) goto undo;
    for (uint32_t i = 0; i < count; i++)
        if (wire_init(&wires->wires[i], settings)) {
            wires_deinit(wires, i);
            return NULL;
        }
    return wires;
undo:
    free(wires);
    return NULL;
}

void wires_free(struct wires *wires)
{
    if (wires) wires_deinit(wires, wires->shards_count * wires->shards_count);
}
