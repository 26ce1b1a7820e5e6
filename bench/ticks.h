/* Recorded ticks: CSV lines of trades and quotes, taken apart without changing a digit, and written as the payloads
 * that replay publishes. The line's parser is pure; the file's reader sees through gzip.
 *
 *   ts_ns,symbol,type,price,size,bid,bid_size,ask,ask_size,venue        sorted by ts_ns; no quoting; \n ends a line
 *   1723161257506332764,ETHUSD-PERP,T,2682.18,22,,,,,BINANCE-COINM      a trade
 *   1723161257506333864,ETHUSD-PERP,Q,,,2682.49,200,2682.5,55,BINANCE-COINM   a quote: best bid and offer */
#ifndef BENCH_TICKS_H
#define BENCH_TICKS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/span.h"

#define TICK_LINE_BYTES_MAX    512
#define TICK_PAYLOAD_BYTES_MAX (TICK_LINE_BYTES_MAX + 64)

/* One row. Slices point into the line; numbers stay the text that they were. */
struct tick {
    int64_t     ts_ns; /* since the Unix epoch */
    char        type;  /* 'T' or 'Q' */
    struct span symbol, venue;
    struct span price, size;                   /* of a trade */
    struct span bid, bid_size, ask, ask_size;  /* of a quote */
    struct span ts;                            /* ts_ns as it stood there */
};

/* Takes one line apart, without its end (a \r before it is part of the last field, and refused there).
 *   returns   NULL, tick written; or what is wrong, a literal
 * Refused: a number of fields other than ten; a ts_ns that is not 1 to 2^63 - 1; a symbol or venue that is empty or
 * holds anything but ASCII letters, digits and - _ . / : ; a type other than T and Q; numbers that are not plain
 * decimals as JSON has them (no sign, no exponent, no leading zero); fields of the other type that are not empty. */
const char *tick_parse(struct span line, struct tick *tick);

/* The columns that a header line must name. */
bool tick_header_is(struct span line);

/* Writes {"t":"T","ts":…,"p":…,"s":…,"venue":"…"} or {"t":"Q","ts":…,"b":…,"bs":…,"a":…,"as":…,"venue":"…"}; returns
 * its size. `out` has room for TICK_PAYLOAD_BYTES_MAX. */
size_t tick_payload(const struct tick *tick, char *out);

/* A file of ticks, plain or gzip, read row by row in constant memory. */
struct tick_file {
    void       *file; /* gzFile */
    const char *path;
    char       *bytes;
    size_t      start, size;
    uint64_t    line;  /* of the row read last, counted from 1 */
    int64_t     ts_ns; /* of the row read last */
    bool        ended;
    char        why[200]; /* what is wrong, with path and line */
};

/* 0, or -1 with `why`. The path is borrowed. */
int  tick_file_open(struct tick_file *file, const char *path);
void tick_file_close(struct tick_file *file); /* also of one that did not open */

/* The next row: 1; at the end 0; -1 with `why` where a line is wrong, out of order or the file is damaged. The tick is
 * valid until the next call. */
int tick_file_next(struct tick_file *file, struct tick *tick);

#endif
