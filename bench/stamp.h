/* Finds the updates in a stream of bytes that is cut anywhere: each holds `[NUMBER,MICROSECONDS,`, whatever a server puts around it.
 * Pure; one state for each connection. */
#ifndef BENCH_STAMP_H
#define BENCH_STAMP_H

#include <stdint.h>

#include "core/base/span.h"

struct stamp {
    uint64_t number, at_us;
    uint8_t  state; /* STAMP_… */
};
enum { STAMP_OUTSIDE, STAMP_NUMBER, STAMP_TIME };

/* Goes on with `bytes`; true: one is complete, read from number and at_us, and the bytes behind it are left. */
static inline bool stamp_next(struct stamp *stamp, struct span *bytes)
{
    while (bytes->size) {
        char byte = bytes->bytes[0];
        *bytes = span_skip(*bytes, 1);
        bool digit = byte >= '0' && byte <= '9';
        if (byte == '[') *stamp = (struct stamp){ .state = STAMP_NUMBER };
        else if (stamp->state == STAMP_NUMBER && digit) stamp->number = stamp->number * 10 + (uint64_t)(byte - '0');
        else if (stamp->state == STAMP_NUMBER && byte == ',') stamp->state = STAMP_TIME;
        else if (stamp->state == STAMP_TIME && digit) stamp->at_us = stamp->at_us * 10 + (uint64_t)(byte - '0');
        else if (stamp->state == STAMP_TIME && byte == ',') return stamp->state = STAMP_OUTSIDE, true;
        else stamp->state = STAMP_OUTSIDE;
    }
    return false;
}

#endif
