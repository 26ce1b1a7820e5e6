#include "core/pubsub/format.h"

#include "core/base/check.h"

#define BEFORE_TOPIC "{\"topic\":\""
#define BEFORE_SEQ "\",\"seq\":"
#define BEFORE_TS ",\"ts\":"
#define BEFORE_DATA ",\"data\":"
enum {
    FIXED_BYTES = sizeof BEFORE_TOPIC - 1 + sizeof BEFORE_SEQ - 1 + sizeof BEFORE_TS - 1 + sizeof BEFORE_DATA - 1 + 1,
};

static size_t digits_count(uint64_t number)
{
    size_t count = 1;
    while (number >= 10000) {
        number /= 10000;
        count += 4;
    }
    return count + (number >= 10) + (number >= 100) + (number >= 1000);
}

static char *write_digits(char *out, uint64_t number, size_t count)
{
    for (size_t i = count; i-- > 0; number /= 10) out[i] = (char)('0' + number % 10);
    return out + count;
}

static size_t json_bytes(const struct update *update)
{
    return FIXED_BYTES + update->topic.size + digits_count(update->seq) + digits_count(update->ts_us) + update->data.size;
}

static uint32_t framed_header_bytes(const char *frame)
{
    uint8_t length = (uint8_t)frame[1];
    return length < 126 ? 2 : length == 126 ? 4 : 10;
}

static size_t framed_bytes(size_t payload_bytes)
{
    return ws_server_header_bytes(payload_bytes) + payload_bytes;
}

static char *write_span(char *out, struct span text)
{
    memcpy(out, text.bytes, text.size);
    return out + text.size;
}

static char *write_number(char *out, uint64_t number)
{
    return write_digits(out, number, digits_count(number));
}

/* A line is a message for those who read lines. Within strings JSON has no raw line ends, so all of them are white space. */
static char *write_data(char *out, const struct update *update)
{
    char *end = write_span(out, update->data);
    if (!update->line_break) return end;
    for (char *at = out; at < end; at++)
        if (*at == '\n' || *at == '\r') *at = ' ';
    return end;
}

static char *write_json(char *out, const struct update *update)
{
    out = write_span(out, SPAN_LITERAL(BEFORE_TOPIC));
    out = write_span(out, update->topic);
    out = write_span(out, SPAN_LITERAL(BEFORE_SEQ));
    out = write_number(out, update->seq);
    out = write_span(out, SPAN_LITERAL(BEFORE_TS));
    out = write_number(out, update->ts_us);
    out = write_span(out, SPAN_LITERAL(BEFORE_DATA));
    out = write_data(out, update);
    *out = '}';
    return out + 1;
}

static size_t json_frame_bytes(const struct update *update)
{
    return framed_bytes(json_bytes(update));
}

static void json_encode(const struct update *update, char *out)
{
    write_json(out + ws_server_header_write(out, WS_TEXT, json_bytes(update)), update);
}

static size_t array_bytes(const struct update *update)
{
    return sizeof "[\"\",,,]" - 1 + update->topic.size + digits_count(update->seq) + digits_count(update->ts_us) + update->data.size;
}

static size_t array_frame_bytes(const struct update *update)
{
    return framed_bytes(array_bytes(update));
}

static char *write_array(char *out, const struct update *update)
{
    out = write_span(out, SPAN_LITERAL("[\""));
    out = write_span(out, update->topic);
    out = write_span(out, SPAN_LITERAL("\","));
    out = write_number(out, update->seq);
    *out++ = ',';
    out = write_number(out, update->ts_us);
    *out++ = ',';
    out = write_data(out, update);
    *out = ']';
    return out + 1;
}

static void array_encode(const struct update *update, char *out)
{
    write_array(out + ws_server_header_write(out, WS_TEXT, array_bytes(update)), update);
}

static size_t raw_frame_bytes(const struct update *update)
{
    return framed_bytes(update->data.size);
}

static void raw_encode(const struct update *update, char *out)
{
    write_data(out + ws_server_header_write(out, WS_TEXT, update->data.size), update);
}

#define EVENT_START "data: "
#define EVENT_END "\n\n"

static size_t sse_frame_bytes(const struct update *update)
{
    return sizeof EVENT_START - 1 + json_bytes(update) + sizeof EVENT_END - 1;
}

static void sse_encode(const struct update *update, char *out)
{
    out = write_span(out, SPAN_LITERAL(EVENT_START));
    out = write_json(out, update);
    write_span(out, SPAN_LITERAL(EVENT_END));
}

static size_t lines_frame_bytes(const struct update *update)
{
    return json_bytes(update) + 1;
}

static void lines_encode(const struct update *update, char *out)
{
    *write_json(out, update) = '\n';
}

static size_t array_lines_frame_bytes(const struct update *update)
{
    return array_bytes(update) + 1;
}

static void array_lines_encode(const struct update *update, char *out)
{
    *write_array(out, update) = '\n';
}

size_t format_deflate(const struct compressor *compressor, char *frame, size_t bytes)
{
    if (!compressor) return bytes;
    uint32_t before = framed_header_bytes(frame);
    struct span payload = compressor->compress(compressor->context, span_of(frame + before, bytes - before));
    if (!payload.bytes) return bytes;
    uint32_t header_bytes = ws_server_header_write(frame, WS_TEXT, payload.size);
    CHECK(header_bytes + payload.size <= bytes);
    *frame |= WS_RSV1;
    memcpy(frame + header_bytes, payload.bytes, payload.size);
    return header_bytes + payload.size;
}

uint64_t format_line_bytes(const char *frame)
{
    const char *line_end = rawmemchr(frame, '\n');
    return (uint64_t)(line_end - frame) + 1;
}

const struct format formats[FORMATS_COUNT] = {
    [FORMAT_JSON] = { "json", json_frame_bytes, json_encode },
    [FORMAT_ARRAY] = { "array", array_frame_bytes, array_encode },
    [FORMAT_RAW] = { "raw", raw_frame_bytes, raw_encode },
    [FORMAT_JSON_DEFLATED] = { "json deflated", json_frame_bytes, json_encode },
    [FORMAT_ARRAY_DEFLATED] = { "array deflated", array_frame_bytes, array_encode },
    [FORMAT_RAW_DEFLATED] = { "raw deflated", raw_frame_bytes, raw_encode },
    [FORMAT_SSE] = { "sse", sse_frame_bytes, sse_encode },
    [FORMAT_LINES] = { "json lines", lines_frame_bytes, lines_encode },
    [FORMAT_ARRAY_LINES] = { "array lines", array_lines_frame_bytes, array_lines_encode },
};

static uint64_t read_digits(const char **at)
{
    uint64_t number = 0;
    while (**at >= '0' && **at <= '9') number = number * 10 + (uint64_t)(*(*at)++ - '0');
    return number;
}

static const char *payload_of(const char *frame)
{
    return frame + framed_header_bytes(frame);
}

uint64_t format_ts_read(enum wire_format format, const char *frame, struct span topic)
{
    bool array = format == FORMAT_ARRAY || format == FORMAT_ARRAY_LINES;
    const char *at = frame;
    if (format == FORMAT_RAW || format_is_deflated(format)) return 0;
    if (format == FORMAT_SSE) at += sizeof EVENT_START - 1;
    else if (!format_is_lines(format)) at = payload_of(frame);
    at += topic.size + (array ? sizeof "[\"\"," - 1 : sizeof BEFORE_TOPIC - 1 + sizeof BEFORE_SEQ - 1);
    read_digits(&at);
    at += array ? 1 : sizeof BEFORE_TS - 1;
    return read_digits(&at);
}

struct update format_json_read(const char *frame, struct span topic)
{
    uint64_t frame_bytes = ws_server_frame_bytes(frame);
    const char *end = frame + frame_bytes - 1; /* at the closing brace */
    const char *at = payload_of(frame);
    struct update update = { .topic = topic };
    at += sizeof BEFORE_TOPIC - 1 + topic.size + sizeof BEFORE_SEQ - 1;
    update.seq = read_digits(&at);
    at += sizeof BEFORE_TS - 1;
    update.ts_us = read_digits(&at);
    at += sizeof BEFORE_DATA - 1;
    CHECK(at < end);
    update.data = span_of(at, (size_t)(end - at));
    return update;
}
