/* HTTP/1.1 requests to the gateway, one after the other over a connection that is kept: for NDJSON and the metrics
 * page. One thread; it waits. */
#ifndef BENCH_FETCH_H
#define BENCH_FETCH_H

#include <stdint.h>

#include "core/base/span.h"
#include "core/io/client.h"

#define FETCH_ANSWER_BYTES_MAX (32u << 20)
#define FETCH_PATIENCE_NS      30000000000

struct fetch {
    struct client_url url;
    const char       *key;  /* NULL, or sent as Authorization: Bearer */
    int               fd;   /* -1: none is open */
    struct tls_client *tls; /* of https */
    struct tls_trust  *trust;
    char             *in;
    size_t            in_size, in_room;
    uint16_t          status; /* of the last answer */
    char              why[CLIENT_WHY_BYTES];
};

/* Takes the URL apart; nothing is opened yet. Both texts are borrowed. 0, or -1 with `why`. */
int  fetch_init(struct fetch *fetch, const char *url, const char *key);
void fetch_deinit(struct fetch *fetch);

/* One exchange.
 *   method   "GET" or "POST"
 *   target   NULL: the URL's own
 *   answer   out: the body, valid until the next exchange; chunks are joined
 *   returns  0, or -1 with `why`: no whole answer came. Any status is an answer. A GET over a kept connection that
 *            the server had closed meanwhile is tried again over a new one. */
int fetch_exchange(struct fetch *fetch, const char *method, const char *target, struct span body, struct span *answer);

#endif
