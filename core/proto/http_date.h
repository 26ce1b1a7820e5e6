/* The Date of an answer (RFC 9110, 5.6.7 and 6.6.1), written once a second and then used by all. Zero it before the first use. One
 * thread; no allocation. */
#ifndef CORE_PROTO_HTTP_DATE_H
#define CORE_PROTO_HTTP_DATE_H

#include <stdint.h>

#include "core/base/span.h"

#define HTTP_DATE_BYTES 29

struct http_date {
    uint64_t second; /* since the Unix epoch, that text stands for */
    char     text[HTTP_DATE_BYTES];
};

/* `Sun, 06 Nov 1994 08:49:37 GMT`. second: since the Unix epoch, before the year 10000. The span points into date. */
struct span http_date_at(struct http_date *date, uint64_t second);

#endif
