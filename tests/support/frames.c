#include "tests/support/frames.h"

#include "core/base/check.h"
#include "core/proto/ws_frame.h"
#include "tests/support/deflating.h"

static struct span expect(struct span text, struct span what)
{
    CHECK(text.size >= what.size && memcmp(text.bytes, what.bytes, what.size) == 0);
    return span_skip(text, what.size);
}

static struct span expect_end(struct span text, struct span what)
{
    CHECK(text.size >= what.size && memcmp(text.bytes + text.size - what.size, what.bytes, what.size) == 0);
    return span_of(text.bytes, text.size - what.size);
}

static struct span take_number(struct span text, uint64_t *number)
{
    CHECK(text.size > 0 && *text.bytes >= '0' && *text.bytes <= '9');
    CHECK(*text.bytes != '0' || text.size == 1 || text.bytes[1] < '0' || text.bytes[1] > '9');
    for (*number = 0; text.size > 0 && *text.bytes >= '0' && *text.bytes <= '9'; text = span_skip(text, 1)) *number = *number * 10 + (uint64_t)(*text.bytes - '0');
    return text;
}

struct update message_read(enum wire_format format, struct span message, struct span topic)
{
    struct update update = { .topic = topic };
    format = format_inflated(format);
    bool array = format == FORMAT_ARRAY || format == FORMAT_ARRAY_LINES;
    if (format == FORMAT_RAW) {
        update.data = message;
        return update;
    }
    message = expect(message, array ? SPAN_LITERAL("[\"") : SPAN_LITERAL("{\"topic\":\""));
    message = expect(message, topic);
    message = take_number(expect(message, array ? SPAN_LITERAL("\",") : SPAN_LITERAL("\",\"seq\":")), &update.seq);
    message = take_number(expect(message, array ? SPAN_LITERAL(",") : SPAN_LITERAL(",\"ts\":")), &update.ts_us);
    message = expect(message, array ? SPAN_LITERAL(",") : SPAN_LITERAL(",\"data\":"));
    update.data = expect_end(message, array ? SPAN_LITERAL("]") : SPAN_LITERAL("}"));
    return update;
}

struct span frame_message(enum wire_format format, const char *frame)
{
    if (format == FORMAT_SSE) {
        struct span event = span_of(frame, (size_t)((const char *)rawmemchr(frame, '\n') + 2 - frame));
        return expect_end(expect(event, SPAN_LITERAL("data: ")), SPAN_LITERAL("\n\n"));
    }
    if (format_is_lines(format)) return span_of(frame, (size_t)((const char *)rawmemchr(frame, '\n') - frame));
    struct ws_header header;
    const char *why;
    CHECK(ws_frame_decode(span_of(frame, WS_SERVER_HEADER_BYTES_MAX), false, format_is_deflated(format), &header, &why) == DECODE_DONE);
    CHECK(header.opcode == WS_TEXT && header.fin && !header.masked);
    struct span payload = span_of(frame + header.header_bytes, header.payload_bytes);
    return header.rsv1 ? inflated(payload) : payload;
}

struct update frame_read(enum wire_format format, const char *frame, struct span topic)
{
    return message_read(format, frame_message(format, frame), topic);
}
