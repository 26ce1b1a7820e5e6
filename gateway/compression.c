#include "gateway/compression.h"

#include <errno.h>

#include "core/base/check.h"
#include "core/base/reserve.h"
#include "gateway/deflated_lines.h"
#include "gateway/limits.h"
#include "gateway/ws_reader.h"

enum { BURST_US = 100000 }; /* the time whose share may be spent at once */

static struct span counted(struct shard *shard, size_t bytes, struct span payload)
{
    if (!payload.bytes) return SPAN_NONE;
    counter_add(&shard->counters, COUNTER_DEFLATE_BYTES_BEFORE, bytes);
    counter_add(&shard->counters, COUNTER_DEFLATE_BYTES_AFTER, payload.size);
    return payload;
}

/* Time comes evenly, and is spent in bursts. */
static bool has_time(struct shard *shard)
{
    struct compression *compression = &shard->compression;
    uint64_t percent = shard->settings->compression_cpu, passed_us = shard->clock.mono_us - compression->time_at_us;
    if (percent == 100) return true;
    int64_t most = (int64_t)(BURST_US * percent);
    compression->time_at_us = shard->clock.mono_us;
    compression->time_left += passed_us < BURST_US ? (int64_t)(passed_us * percent) : most;
    if (compression->time_left > most) compression->time_left = most;
    if (compression->time_left > 0) return true;
    counter_add(&shard->counters, COUNTER_DEFLATE_QUICK, 1);
    return false;
}

/* Ranges may be many and long, one for each reader that lags: in haste they may overspend as much again. */
static bool has_time_for_haste(const struct shard *shard)
{
    return shard->compression.time_left > -(int64_t)(BURST_US * shard->settings->compression_cpu);
}

static void spend_time(struct shard *shard, uint64_t since_us)
{
    uint64_t spent_us = clock_mono_us() - since_us; /* whole ones; over many the fractions even out */
    shard->compression.time_left -= (int64_t)spent_us * 100;
    counter_add(&shard->counters, COUNTER_DEFLATE_US, spent_us);
}

static struct span compress_update(void *context, struct span message)
{
    struct shard *shard = context;
    if (message.size < shard->settings->compression_threshold) return SPAN_NONE;
    if (!has_time(shard)) return counted(shard, message.size, deflate_quickly(shard->compression.deflater, message));
    uint64_t since_us = clock_mono_us();
    struct span payload = deflate_message(shard->compression.deflater, message);
    spend_time(shard, since_us);
    return counted(shard, message.size, payload);
}

static struct span deflate_pieces(struct deflater *deflater, const struct piece *pieces, uint32_t count, size_t bytes)
{
    deflate_begin(deflater, bytes + bytes / 8 + 64); /* a short one may grow; what counts is the message */
    for (uint32_t i = 0; i < count; i++) deflate_add(deflater, span_of(pieces[i].bytes, pieces[i].size));
    return deflate_end(deflater);
}

struct span compression_of_pieces(struct shard *shard, const struct piece *pieces, uint32_t count, size_t bytes)
{
    struct deflater *deflater = shard->compression.deflater;
    bool well = has_time(shard), in_haste = !well && count == 1 && has_time_for_haste(shard);
    if (!well && !in_haste) return SPAN_NONE;
    uint64_t since_us = clock_mono_us();
    struct span payload = in_haste ? deflate_quickly(deflater, span_of(pieces->bytes, pieces->size)) : deflate_pieces(deflater, pieces, count, bytes);
    spend_time(shard, since_us);
    return counted(shard, bytes, payload);
}

int compression_init(struct shard *shard)
{
    shard->compression = (struct compression){ .deflater = deflater_make(), .inflater = inflater_make(), .lines = deflated_lines_make(), .compressor = { shard, compress_update } };
    if (shard->compression.deflater && shard->compression.inflater && shard->compression.lines) return 0;
    compression_deinit(shard);
    return -ENOMEM;
}

void compression_deinit(struct shard *shard)
{
    deflater_free(shard->compression.deflater);
    inflater_free(shard->compression.inflater);
    deflated_lines_free(shard->compression.lines);
}

struct inflater *compression_lend(struct shard *shard)
{
    struct inflater *inflater = shard->compression.inflater;
    shard->compression.inflater = NULL;
    if (!inflater) inflater = inflater_make();
    if (!inflater) {
        reserve_draw(); /* it has agreed to inflate, and can't refuse now */
        inflater = inflater_make();
    }
    CHECK(inflater);
    return inflater;
}

void compression_take_back(struct shard *shard, struct inflater *inflater)
{
    if (shard->compression.inflater) {
        inflater_free(inflater);
        return;
    }
    inflate_rest(inflater);
    shard->compression.inflater = inflater;
}

static bool fail(struct shard *shard, struct conn *conn, enum inflate_verdict verdict)
{
    counter_add(&shard->counters, COUNTER_INFLATE_ERRORS, 1);
    if (verdict == INFLATE_TOO_LARGE) conn_fail(shard, conn, WS_CLOSE_TOO_BIG, limit_hit(shard, conn, ws_message_limit(conn)));
    else conn_fail(shard, conn, WS_CLOSE_BAD_DATA, verdict == INFLATE_NO_TEXT ? "the text is not UTF-8" : "the compressed data is broken");
    return false;
}

bool compression_feed(struct shard *shard, struct conn *conn, struct inflater *inflater, struct span piece)
{
    size_t before = inflate_size(inflater);
    enum inflate_verdict verdict = inflate_feed(inflater, piece);
    size_t made = inflate_size(inflater) - before;
    shard->compression.inflated_bytes += made;
    counter_add(&shard->counters, COUNTER_INFLATE_BYTES_BEFORE, piece.size);
    counter_add(&shard->counters, COUNTER_INFLATE_BYTES_AFTER, made);
    return verdict == INFLATE_FINE || fail(shard, conn, verdict);
}

bool compression_end(struct shard *shard, struct conn *conn, struct inflater *inflater, struct span *message)
{
    enum inflate_verdict verdict = inflate_end(inflater, message);
    return verdict == INFLATE_FINE || fail(shard, conn, verdict);
}

void compression_add_message(struct shard *shard, struct conn *conn, enum ws_opcode opcode, struct span payload)
{
    bool tries = conn->deflates && payload.size >= shard->settings->compression_threshold;
    struct span smaller = tries ? counted(shard, payload.size, deflate_message(shard->compression.deflater, payload)) : SPAN_NONE;
    if (!smaller.bytes) {
        conn_add_frame(shard, conn, opcode, payload);
        return;
    }
    char header[WS_SERVER_HEADER_BYTES_MAX];
    uint32_t header_bytes = ws_server_header_write(header, opcode, smaller.size);
    header[0] |= WS_RSV1;
    conn_add(shard, conn, span_of(header, header_bytes));
    conn_add(shard, conn, smaller);
    deflate_rest(shard->compression.deflater);
}
