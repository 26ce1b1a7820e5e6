/* Origins: whose pages may connect, and read what they are answered (the Fetch standard, 3.2; PROTOCOL.md, "Who may do what").
 *
 * A page of this host may do both, one of `origins` likewise. A foreign one may not open a WebSocket; on plain HTTP it is served like
 * everybody, but without the headers by which its browser would let it read the answer. Its shard's thread only. */
#ifndef GATEWAY_ORIGIN_H
#define GATEWAY_ORIGIN_H

#include "core/base/text.h"

struct settings;
struct shard;
struct conn;

enum origin_kind {
    ORIGIN_NONE,    /* no browser's page asks, or one by a plain GET of its own host */
    ORIGIN_SAME,    /* this host */
    ORIGIN_LISTED,  /* it stands in `origins` */
    ORIGIN_FOREIGN, /* any other, and `null` */
};

/* origin: SPAN_NONE where the request has none. host: of the request. *place: where in `origins` it stands, from 1; 0 elsewhere. */
enum origin_kind origin_judge(const struct settings *settings, struct span origin, struct span host, uint16_t *place);

/* Adds the headers that let the page of conn->origin read this answer, each ended by CRLF. */
void origin_add_headers(const struct shard *shard, const struct conn *conn, struct text *head);

#endif
