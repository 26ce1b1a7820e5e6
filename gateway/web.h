/* The pages that are part of the binary: the live board's, the dashboard's and the browser client (gateway/web). */
#ifndef GATEWAY_WEB_H
#define GATEWAY_WEB_H

#include "core/base/span.h"

struct web_page {
    const char *type;
    struct span body; /* lives as long as the program, as all of this */
    char        etag[24];
    char        headers_refused[680]; /* those that go with 401; each ended by CRLF */
    const char *headers; /* those that go with all else: a part of them */
};

/* Once, by the main thread, before there are shards: from then on the pages are only read. */
void web_init(void);

/* The page at a path as it stands in the request; NULL where there is none. Any thread. */
const struct web_page *web_page(struct span path);

#endif
