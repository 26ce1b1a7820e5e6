/* Wire formats: how an update becomes a complete wire frame, once, straight into a log.
 *
 * A format is an encoder, a name and a way to find where a frame ends. `json` is always there: it is the memory for
 * snapshot, resume and history; another format's log is filled from it at its first subscriber. All formats of a topic share
 * its seq. Pure; any thread. */
#ifndef CORE_PUBSUB_FORMAT_H
#define CORE_PUBSUB_FORMAT_H

#include "core/base/span.h"
#include "core/proto/ws_frame.h"

enum wire_format {
    FORMAT_JSON,  /* a text frame {"topic":"AAPL","seq":1042,"ts":1763812345679313,"data":{…}} */
    FORMAT_ARRAY, /* a text frame ["AAPL",1042,1763812345679313,{…}] */
    FORMAT_RAW,   /* a text frame with the payload alone */
    FORMAT_JSON_DEFLATED, /* the same three, each message compressed where that makes it smaller (RFC 7692); in this order */
    FORMAT_ARRAY_DEFLATED,
    FORMAT_RAW_DEFLATED,
    FORMAT_SSE,   /* an event "data: {…}\n\n" with what a JSON frame says (the HTML standard, 9.2.5) */
    FORMAT_LINES, /* what a JSON frame says, and "\n": whoever sends some of them makes one message of them (`batch=1`) */
    FORMAT_ARRAY_LINES,
};
#define FORMATS_COUNT 9

static inline bool format_is_lines(enum wire_format format)
{
    return format >= FORMAT_LINES;
}

static inline bool format_is_deflated(enum wire_format format)
{
    return format >= FORMAT_JSON_DEFLATED && format <= FORMAT_RAW_DEFLATED;
}

/* What it holds once it is inflated. */
static inline enum wire_format format_inflated(enum wire_format format)
{
    return format_is_deflated(format) ? format - FORMAT_JSON_DEFLATED + FORMAT_JSON : format;
}

/* Makes messages smaller, by raw deflate without context; whom the engine belongs to gives it, since nothing here knows how. One thread.
 *   compress  returns the message's payload as its frame has it (RFC 7692, 7.2.1), borrowed until the next call; SPAN_NONE: it is better
 *             sent as it is */
struct compressor {
    void *context;
    struct span (*compress)(void *context, struct span message);
};

struct update {
    struct span topic;
    uint64_t    seq;
    uint64_t    ts_us;      /* microseconds since the Unix epoch */
    struct span data;       /* one valid JSON value, without white space around it */
    bool        line_break; /* data holds a CR or LF between tokens: each becomes a space */
};

struct format {
    const char *name;
    /* Bytes of the whole frame, of a deflated one before that. */
    size_t (*frame_bytes)(const struct update *update);
    /* Writes exactly those bytes. */
    void (*encode)(const struct update *update, char *frame);
};

extern const struct format formats[FORMATS_COUNT]; /* by enum wire_format (PROTOCOL.md, "Formats") */

/* Compresses a frame of `bytes` that was just encoded, in its place. Returns its bytes then: no more, and as before where there is no
 * compressor (NULL) or it does not shrink. */
size_t format_deflate(const struct compressor *compressor, char *frame, size_t bytes);

/* Up to and with its line end; data has none (struct update). */
uint64_t format_line_bytes(const char *frame);

/* How long the whole frame at `frame` is. */
static inline uint64_t format_frame_bytes(enum wire_format format, const char *frame)
{
    if (format < FORMAT_SSE) return ws_server_frame_bytes(frame);
    return format_line_bytes(frame) + (format == FORMAT_SSE); /* an event ends with an empty line */
}

/* When the update in a frame was appended, in microseconds since the Unix epoch; 0: this format does not say. */
uint64_t format_ts_read(enum wire_format format, const char *frame, struct span topic);

/* Reads an update back out of a frame of FORMAT_JSON; its slices lie in the frame. */
struct update format_json_read(const char *frame, struct span topic);

#endif
