/* Wire formats: how an update becomes a complete wire frame, once, straight into a log.
 *
 * A format is an encoder, a name and a way to find where a frame ends. `json` is always there: it is the memory for
 * snapshot, resume and history. Pure; any thread. */
#ifndef CORE_PUBSUB_FORMAT_H
#define CORE_PUBSUB_FORMAT_H

#include "core/base/span.h"

struct update {
    struct span topic;
    uint64_t    seq;
    uint64_t    ts_us;      /* microseconds since the Unix epoch */
    struct span data;       /* one valid JSON value, without white space around it */
    bool        line_break; /* data holds a CR or LF between tokens: each becomes a space */
};

struct format {
    const char *name;
    /* Bytes of the whole frame. */
    size_t (*frame_bytes)(const struct update *update);
    /* Writes exactly those bytes. */
    void (*encode)(const struct update *update, char *frame);
};

/* A text frame {"topic":"AAPL","seq":1042,"ts":1763812345679313,"data":{…}} (PROTOCOL.md). */
extern const struct format format_json;

/* Reads an update back out of a frame of format_json; its slices lie in the frame. */
struct update format_json_read(const char *frame, struct span topic);

/* Writes a number's digits and returns how many; `out` has room for 20. */
size_t format_digits(uint64_t number, char *out);

#endif
