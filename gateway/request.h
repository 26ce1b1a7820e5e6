/* One request of the WebSocket protocol, read out of its JSON object in one pass: known members by name, unknown ones
 * skipped. All slices point into the message. Pure. */
#ifndef GATEWAY_REQUEST_H
#define GATEWAY_REQUEST_H

#include "core/proto/json.h"

enum request_key {
    KEY_OP, KEY_ID, KEY_TOPICS, KEY_MODE, KEY_MAX_HZ, KEY_SNAPSHOT, KEY_RESUME, KEY_TOPIC, KEY_DATA, KEY_KEY, KEY_TOKEN,
    KEYS_COUNT
};

struct request {
    struct json_value values[KEYS_COUNT];
    uint32_t          present; /* a bit for each */
    struct span       id;      /* as the client wrote it, SPAN_NONE: none that could be read */
    bool              complete; /* it is one whole JSON object, whatever else is wrong with it */
    const char       *code;    /* of the fault, NULL: none */
    const char       *why;     /* a literal */
};

static inline bool request_has(const struct request *request, enum request_key key)
{
    return request->present >> key & 1;
}

#define REQUEST_DEPTH_MAX 70 /* the object itself counts as one */

/* Reads one object that begins `text`. Where a fault is found, code and why say so, and id is kept wherever it could be read.
 * Returns the offset behind the object, or behind what could be read of it. */
size_t request_read(struct span text, struct request *request);
/* Reads a line that must hold one object and nothing else: bad_json where something stands behind it. */
void request_read_line(struct span line, struct request *request);
/* Nothing but white space. */
bool request_blank(struct span text);

#endif
