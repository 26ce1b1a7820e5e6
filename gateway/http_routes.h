/* HTTP routes: which request is answered by what (PROTOCOL.md, "Endpoints"). Its shard's thread only. */
#ifndef GATEWAY_HTTP_ROUTES_H
#define GATEWAY_HTTP_ROUTES_H

#include "core/proto/http.h"
#include "gateway/conn.h"

/* Serves one request whose head is complete: answers it, or sets an exchange up for its body, or upgrades the connection. The
 * request's slices lie in `head`. */
void http_route(struct shard *shard, struct conn *conn, struct span head, const struct http_request *request);

/* The status that goes with an error's code. */
uint16_t http_status_of(const char *code);

#endif
