/* What happens when a limit is reached (core/base/limits.h lists them): it is counted, said in the log, and the client is told why. */
#ifndef GATEWAY_LIMITS_H
#define GATEWAY_LIMITS_H

#include "core/base/limits.h"
#include "gateway/shard.h"

struct conn;

/* By the shard's thread. Counts and logs it, with its value and, where `conn` is not NULL, whose connection it was. Returns what the
 * client is to be told. */
const char *limit_hit(struct shard *shard, const struct conn *conn, enum limit limit);
/* The same of an update. */
const char *limit_hit_by(struct shard *shard, enum limit limit, struct span topic, size_t bytes);

/* A request other than publishing with a right. */
enum request_verdict {
    REQUEST_FINE,
    REQUEST_EXCESS, /* refuse it: limits.requests-per-second */
    REQUEST_ABUSE,  /* so many were refused that the connection is to end */
};
/* `count`: what it weighs, 1 or more. Counted and logged here. */
enum request_verdict limit_request(struct shard *shard, struct conn *conn, uint64_t count);
/* It was not served yet and will come again. */
void limit_request_back(const struct shard *shard, struct conn *conn, uint64_t count);

/* What the client is told: the code of an answer, and a plain sentence. */
const char *limit_code(enum limit limit);
const char *limit_why(enum limit limit);

#endif
