#include "core/pubsub/format.h"

#include "core/base/check.h"
#include "core/proto/ws_frame.h"

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

size_t format_digits(uint64_t number, char *out)
{
    size_t count = digits_count(number);
    write_digits(out, number, count);
    return count;
}

static size_t json_payload_bytes(const struct update *update)
{
    return FIXED_BYTES + update->topic.size + digits_count(update->seq) + digits_count(update->ts_us) + update->data.size;
}

static size_t json_frame_bytes(const struct update *update)
{
    size_t payload_bytes = json_payload_bytes(update);
    return ws_server_header_bytes(payload_bytes) + payload_bytes;
}

static char *write_span(char *out, struct span text)
{
    memcpy(out, text.bytes, text.size);
    return out + text.size;
}

static void json_encode(const struct update *update, char *out)
{
    out += ws_server_header_write(out, WS_TEXT, json_payload_bytes(update));
    out = write_span(out, SPAN_LITERAL(BEFORE_TOPIC));
    out = write_span(out, update->topic);
    out = write_span(out, SPAN_LITERAL(BEFORE_SEQ));
    out = write_digits(out, update->seq, digits_count(update->seq));
    out = write_span(out, SPAN_LITERAL(BEFORE_TS));
    out = write_digits(out, update->ts_us, digits_count(update->ts_us));
    out = write_span(out, SPAN_LITERAL(BEFORE_DATA));
    char *data = out;
    out = write_span(out, update->data);
    *out = '}';
    if (!update->line_break) return;
    /* A line is a message for those who read lines. Within strings JSON has no raw line ends, so all of them are white space. */
    for (char *at = data; at < out; at++)
        if (*at == '\n' || *at == '\r') *at = ' ';
}

const struct format format_json = { "json", json_frame_bytes, json_encode };

static uint64_t read_digits(const char **at)
{
    uint64_t number = 0;
    while (**at >= '0' && **at <= '9') number = number * 10 + (uint64_t)(*(*at)++ - '0');
    return number;
}

struct update format_json_read(const char *frame, struct span topic)
{
    uint64_t frame_bytes = ws_server_frame_bytes(frame);
    const char *end = frame + frame_bytes - 1; /* at the closing brace */
    const char *at = frame + (frame[1] < 126 ? 2 : frame[1] == 126 ? 4 : 10);
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
