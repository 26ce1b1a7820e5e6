#include "gateway/ws_reader.h"

#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/reserve.h"
#include "core/proto/mask.h"
#include "core/proto/utf8.h"
#include "gateway/access.h"
#include "gateway/compression.h"
#include "gateway/limits.h"
#include "gateway/session.h"

/* What is known of an incomplete frame or message. */
struct ws_reader {
    char             header_bytes[WS_HEADER_BYTES_MAX]; /* of a header that was cut */
    uint8_t          header_size;
    bool             in_frame;      /* a header is complete, its payload is not */
    bool             in_message;    /* a first fragment came, the final one has not */
    uint8_t          opcode;        /* of that message: text or binary */
    struct inflater *inflater;      /* of that message: on loan, where it comes compressed; or NULL */
    struct ws_header header;        /* of the frame */
    uint64_t         payload_at;    /* how much of its payload came */
    struct utf8      utf8;          /* of the message */
    struct text      message;
    char             control[WS_CONTROL_BYTES_MAX];
    struct text      lines;         /* of a whole message: those not served yet */
    uint32_t         line;          /* how many of it were served */
};

void ws_reader_free(struct conn *conn)
{
    ws_reader_drop(conn);
    free(conn->reader);
    conn->reader = NULL;
}

void ws_reader_drop(struct conn *conn)
{
    if (!conn->reader) return;
    text_free(&conn->reader->message);
    text_free(&conn->reader->lines);
    inflater_free(conn->reader->inflater);
    conn->reader->inflater = NULL;
}

size_t ws_reader_bytes(const struct conn *conn)
{
    const struct ws_reader *reader = conn->reader;
    if (!reader) return 0;
    return sizeof *reader + reader->message.capacity + reader->lines.capacity + (reader->inflater ? inflater_bytes(reader->inflater) : 0);
}

enum limit ws_message_limit(const struct conn *conn)
{
    return conn->kind == CONN_KIND_ECHO ? LIMIT_ECHO_MESSAGE : LIMIT_MESSAGE;
}

static uint64_t message_bytes_max(const struct shard *shard, const struct conn *conn)
{
    return conn->kind == CONN_KIND_ECHO ? shard->settings->limits_echo_message : shard->settings->limits_message;
}

static bool is_control(uint8_t opcode)
{
    return opcode >= WS_CLOSE;
}

static void on_close(struct shard *shard, struct conn *conn, struct span payload)
{
    uint16_t code;
    struct span reason;
    enum ws_close fault = ws_close_read(payload, &code, &reason);
    if (fault != WS_CLOSE_NONE) conn_fail(shard, conn, fault, "the close frame is not valid");
    else conn_closed_by_peer(shard, conn, code);
}

static void on_ping(struct shard *shard, struct conn *conn, struct span payload)
{
    switch (limit_request(shard, conn, 1)) {
    case REQUEST_FINE: conn_add_pong(shard, conn, payload); break;
    case REQUEST_EXCESS: break; /* one pong may answer several pings (RFC 6455, 5.5.3) */
    case REQUEST_ABUSE: conn_close(shard, conn, WS_CLOSE_RATE_LIMITED, limit_why(LIMIT_REQUESTS_PER_SECOND)); break;
    }
}

static void on_control(struct shard *shard, struct conn *conn, uint8_t opcode, struct span payload)
{
    if (opcode == WS_CLOSE) on_close(shard, conn, payload);
    else if (opcode == WS_PING && conn->state == CONN_OPEN) on_ping(shard, conn, payload);
    /* A pong was noted when its bytes came. */
}

static struct ws_reader *reader_of(struct conn *conn)
{
    if (!conn->reader) conn->reader = reserve_zeroed(1, sizeof *conn->reader);
    return conn->reader;
}

/* Nothing is incomplete any more: at rest a connection owns no reader. */
static void rest(struct conn *conn)
{
    const struct ws_reader *reader = conn->reader;
    if (reader && !reader->in_message && !reader->in_frame && reader->header_size == 0 && reader->lines.size == 0) ws_reader_free(conn);
}

static void on_message(struct shard *shard, struct conn *conn, uint8_t opcode, struct span payload)
{
    if (conn->state != CONN_OPEN) return; /* after our close frame only theirs counts */
    if (conn->kind == CONN_KIND_ECHO) {
        compression_add_message(shard, conn, (enum ws_opcode)opcode, payload);
        conn->message_ms = shard_now_ms(shard);
        return;
    }
    if (payload.size == 0) return; /* no line, no request: and of empty fragments alone there are no bytes to point to */
    uint32_t line;
    size_t served = session_on_message(shard, conn, payload, &line);
    if (served == payload.size || conn->state != CONN_OPEN) return;
    struct ws_reader *reader = reader_of(conn);
    text_add(&reader->lines, span_skip(payload, served));
    reader->line = line;
}

bool ws_lines_wait(const struct conn *conn)
{
    return conn->reader && conn->reader->lines.size > 0;
}

size_t ws_feed_lines(struct shard *shard, struct conn *conn)
{
    struct ws_reader *reader = conn->reader;
    struct text lines = reader->lines; /* the reader may be freed under it by a close */
    reader->lines = (struct text){ 0 };
    uint32_t line = reader->line;
    size_t served = lines.size;
    if (conn->state == CONN_OPEN)
        served = line > 0 ? session_on_lines(shard, conn, text_span(&lines), &line) : session_on_message(shard, conn, text_span(&lines), &line);
    if (served == lines.size || conn->state != CONN_OPEN) {
        text_free(&lines);
        rest(conn);
        return served;
    }
    text_cut(&lines, 0, served);
    reader->lines = lines;
    reader->line = line;
    return served;
}

/* What a frame's header may say at this point of the stream; false: the connection was failed. */
static bool header_fits(struct shard *shard, struct conn *conn, const struct ws_header *header)
{
    const struct ws_reader *reader = conn->reader;
    bool in_message = reader && reader->in_message;
    if (is_control(header->opcode)) return true;
    if (in_message != (header->opcode == WS_CONTINUATION)) {
        conn_fail(shard, conn, WS_CLOSE_PROTOCOL, in_message ? "a new message began inside a fragmented one" : "a continuation without a message");
        return false;
    }
    if (conn->state != CONN_OPEN) return true;
    if (header->opcode == WS_BINARY && conn->kind == CONN_KIND_SESSION) {
        conn_fail(shard, conn, WS_CLOSE_UNSUPPORTED, "binary messages are not understood here: send JSON as text");
        return false;
    }
    uint64_t before = in_message ? reader->message.size : 0, most = message_bytes_max(shard, conn);
    if (header->rsv1 || (in_message && reader->inflater)) most += most / 8 + 64; /* of stored blocks, however short; what they hold is bounded as it grows */
    if (header->payload_bytes > most || before + header->payload_bytes > most) {
        conn_fail(shard, conn, WS_CLOSE_TOO_BIG, limit_hit(shard, conn, ws_message_limit(conn)));
        return false;
    }
    return true;
}

static bool decode_header(struct shard *shard, struct conn *conn, struct span bytes, struct ws_header *header, enum decode *verdict)
{
    const char *why = NULL;
    *verdict = ws_frame_decode(bytes, true, conn->deflates, header, &why);
    if (*verdict != DECODE_BAD) return *verdict == DECODE_MORE || header_fits(shard, conn, header);
    conn_fail(shard, conn, WS_CLOSE_PROTOCOL, why);
    return false;
}

/* A message that came compressed: 1 KB may have become 1 MiB, 2 to 3 ms of work, and may hold no request at all, so that it counts by its
 * own size beside them. Publishing with a right is not measured. */
static void on_inflated(struct shard *shard, struct conn *conn, uint8_t opcode, struct span message)
{
    enum { INFLATED_AT_ONCE = 16384 };
    char why[ACCESS_WHY_BYTES];
    if (conn->kind == CONN_KIND_SESSION && message.size > 0 && access_publish_fault(shard, conn->credential, SPAN_NONE, why)) {
        if (limit_request(shard, conn, (message.size + INFLATED_AT_ONCE - 1) / INFLATED_AT_ONCE) == REQUEST_ABUSE)
            conn_close(shard, conn, WS_CLOSE_RATE_LIMITED, limit_why(LIMIT_REQUESTS_PER_SECOND)); /* before that its requests are refused, each by itself */
    }
    on_message(shard, conn, opcode, message);
}

/* A message in one frame that lies whole in the buffer, compressed. */
static void on_compressed(struct shard *shard, struct conn *conn, uint8_t opcode, struct span payload)
{
    struct span message;
    if (conn->state != CONN_OPEN) return;
    struct inflater *inflater = compression_lend(shard);
    inflate_begin(inflater, message_bytes_max(shard, conn), opcode == WS_TEXT);
    if (compression_feed(shard, conn, inflater, payload) && compression_end(shard, conn, inflater, &message)) on_inflated(shard, conn, opcode, message);
    compression_take_back(shard, inflater);
}

/* A frame that lies whole in the buffer. Returns its bytes, 0 where it must take the slow way. */
static size_t feed_whole(struct shard *shard, struct conn *conn, char *bytes, size_t size, const struct ws_header *header)
{
    if (size - header->header_bytes < header->payload_bytes) return 0;
    if (!is_control(header->opcode) && (!header->fin || header->opcode == WS_CONTINUATION)) return 0;
    char *payload = bytes + header->header_bytes;
    struct span text = span_of(payload, header->payload_bytes);
    mask_apply(payload, text.size, header->mask_key, 0);
    size_t frame_bytes = header->header_bytes + text.size;
    if (is_control(header->opcode)) on_control(shard, conn, header->opcode, text);
    else if (header->rsv1) on_compressed(shard, conn, header->opcode, text);
    else if (header->opcode == WS_TEXT && !utf8_valid(text)) conn_fail(shard, conn, WS_CLOSE_BAD_DATA, "the text is not UTF-8");
    else on_message(shard, conn, header->opcode, text);
    return frame_bytes;
}

static void begin_frame(struct ws_reader *reader, const struct ws_header *header)
{
    reader->header = *header;
    reader->header_size = 0;
    reader->payload_at = 0;
    reader->in_frame = true;
    if (is_control(header->opcode) || header->opcode == WS_CONTINUATION) return;
    reader->in_message = true;
    reader->opcode = header->opcode;
    reader->utf8 = (struct utf8){ 0 };
    reader->message.size = 0;
}

/* The header of a frame, which may come in pieces. Returns the bytes consumed. */
static size_t feed_header(struct shard *shard, struct conn *conn, const char *bytes, size_t size)
{
    struct ws_reader *reader = reader_of(conn);
    size_t before = reader->header_size, room = WS_HEADER_BYTES_MAX - before;
    size_t copied = size < room ? size : room;
    memcpy(reader->header_bytes + before, bytes, copied);
    struct ws_header header;
    enum decode verdict;
    if (!decode_header(shard, conn, span_of(reader->header_bytes, before + copied), &header, &verdict)) return size;
    if (verdict == DECODE_MORE) {
        reader->header_size = (uint8_t)(before + copied);
        return copied;
    }
    begin_frame(reader, &header);
    if (header.rsv1 && conn->state == CONN_OPEN) {
        reader->inflater = compression_lend(shard);
        inflate_begin(reader->inflater, message_bytes_max(shard, conn), header.opcode == WS_TEXT);
    }
    return header.header_bytes - before;
}

static void end_compressed(struct shard *shard, struct conn *conn)
{
    struct ws_reader *reader = conn->reader;
    struct inflater *inflater = reader->inflater; /* the reader may be freed under it by a close */
    struct span message;
    reader->inflater = NULL;
    reader->in_message = false;
    uint8_t opcode = reader->opcode;
    if (conn->state == CONN_OPEN && compression_end(shard, conn, inflater, &message)) on_inflated(shard, conn, opcode, message);
    compression_take_back(shard, inflater);
}

static void end_message(struct shard *shard, struct conn *conn)
{
    struct ws_reader *reader = conn->reader;
    if (reader->inflater) {
        end_compressed(shard, conn);
        return;
    }
    if (reader->opcode == WS_TEXT && !utf8_complete(&reader->utf8)) {
        conn_fail(shard, conn, WS_CLOSE_BAD_DATA, "the text ends inside a character");
        return;
    }
    reader->in_message = false;
    struct text message = reader->message; /* the reader may be freed under it by a close */
    reader->message = (struct text){ 0 };
    on_message(shard, conn, reader->opcode, text_span(&message));
    text_free(&message);
}

static void end_frame(struct shard *shard, struct conn *conn)
{
    struct ws_reader *reader = conn->reader;
    reader->in_frame = false;
    if (is_control(reader->header.opcode)) on_control(shard, conn, reader->header.opcode, span_of(reader->control, reader->header.payload_bytes));
    else if (reader->header.fin) end_message(shard, conn);
}

/* Some of a message; false: it can't become one, and the connection was failed. */
static bool feed_message(struct shard *shard, struct conn *conn, struct span piece)
{
    struct ws_reader *reader = conn->reader;
    if (reader->inflater) return compression_feed(shard, conn, reader->inflater, piece);
    text_add(&reader->message, piece);
    if (reader->opcode != WS_TEXT || utf8_feed(&reader->utf8, piece)) return true;
    conn_fail(shard, conn, WS_CLOSE_BAD_DATA, "the text is not UTF-8");
    return false;
}

/* Some of a frame's payload. Returns the bytes consumed. */
static size_t feed_payload(struct shard *shard, struct conn *conn, char *bytes, size_t size)
{
    struct ws_reader *reader = conn->reader;
    uint64_t left = reader->header.payload_bytes - reader->payload_at;
    size_t count = size < left ? size : (size_t)left;
    mask_apply(bytes, count, reader->header.mask_key, reader->payload_at);
    if (is_control(reader->header.opcode)) {
        memcpy(reader->control + reader->payload_at, bytes, count);
    } else if (conn->state == CONN_OPEN && !feed_message(shard, conn, span_of(bytes, count))) {
        return size;
    }
    reader->payload_at += count;
    if (reader->payload_at == reader->header.payload_bytes) end_frame(shard, conn);
    return count;
}

size_t ws_feed(struct shard *shard, struct conn *conn, char *bytes, size_t size)
{
    if (!conn->reader || (!conn->reader->in_frame && conn->reader->header_size == 0)) {
        struct ws_header header;
        enum decode verdict;
        if (!decode_header(shard, conn, span_of(bytes, size), &header, &verdict)) return size;
        size_t frame_bytes = verdict == DECODE_DONE ? feed_whole(shard, conn, bytes, size, &header) : 0;
        if (frame_bytes > 0) return frame_bytes;
    }
    size_t eaten = 0;
    if (!conn->reader || !conn->reader->in_frame) eaten = feed_header(shard, conn, bytes, size);
    if (conn->reader && conn->reader->in_frame && (eaten < size || conn->reader->header.payload_bytes == 0))
        eaten += feed_payload(shard, conn, bytes + eaten, size - eaten);
    rest(conn);
    return eaten;
}
