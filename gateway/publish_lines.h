/* Publishing many: a body of lines, one request each, served as they come (PROTOCOL.md, POST /v1/publish). A line that is
 * wrong stops none of the others. Its shard's thread only. */
#ifndef GATEWAY_PUBLISH_LINES_H
#define GATEWAY_PUBLISH_LINES_H

#include "gateway/http_exchange.h"

#define PUBLISH_ERRORS_MAX 1000u /* that are listed; more are counted */
#define PUBLISH_SPACE_MAX 4096u  /* white space that may stand around a single payload */

/* Returns how much it could serve: less than all where a link is full (the rest is to come again) or it must wait. */
size_t publish_lines_feed(struct shard *shard, struct conn *conn, struct span piece);
/* The body has ended: serves a last line without its end, and writes the answer's body. */
void publish_lines_end(struct http_exchange *exchange, struct text *answer);
/* Serves the last line where it has no end. False: a link is full. */
bool publish_lines_last(struct shard *shard, struct conn *conn);

#endif
