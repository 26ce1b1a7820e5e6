#include "gateway/compression.h"

#include <errno.h>

#include "core/base/check.h"
#include "gateway/limits.h"
#include "gateway/ws_reader.h"

/* One message, in a time that is counted. SPAN_NONE: it stays as it is. */
static struct span compress(void *context, struct span message)
{
    struct shard *shard = context;
    if (message.size < shard->settings->compression_threshold) return SPAN_NONE;
    struct span payload = deflate_message(shard->compression.deflater, message);
    if (!payload.bytes) return SPAN_NONE;
    counter_add(&shard->counters, COUNTER_DEFLATE_BYTES_BEFORE, message.size);
    counter_add(&shard->counters, COUNTER_DEFLATE_BYTES_AFTER, payload.size);
    return payload;
}

int compression_init(struct shard *shard)
{
    shard->compression = (struct compression){ .deflater = deflater_make(), .inflater = inflater_make(), .compressor = { shard, compress } };
    if (shard->compression.deflater && shard->compression.inflater) return 0;
    compression_deinit(shard);
    return -ENOMEM;
}

void compression_deinit(struct shard *shard)
{
    deflater_free(shard->compression.deflater);
    inflater_free(shard->compression.inflater);
}

struct inflater *compression_lend(struct shard *shard)
{
    struct inflater *inflater = shard->compression.inflater;
    shard->compression.inflater = NULL;
    if (!inflater) inflater = inflater_make();
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
    struct span smaller = conn->deflates ? compress(shard, payload) : SPAN_NONE;
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
