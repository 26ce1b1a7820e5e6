/* Publishing many: a body of lines, one request each, served as they come (PROTOCOL.md, POST /v1/publish). A line that is
 * wrong stops none of the others. Its shard's thread only. */
#ifndef GATEWAY_PUBLISH_LINES_H
#define GATEWAY_PUBLISH_LINES_H

#include "gateway/http_exchange.h"

#define PUBLISH_ERRORS_MAX 1000u /* that are listed; more are counted */
#define PUBLISH_SPACE_MAX 4096u  /* white space that may stand around a single payload */

void publish_lines_feed(struct shard *shard, struct http_exchange *exchange, struct span piece);
/* The body has ended: serves a last line without its end, and writes the answer's body. */
void publish_lines_end(struct shard *shard, struct http_exchange *exchange, struct text *answer);

#endif
