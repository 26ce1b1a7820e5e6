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

/* What the client is told: the code of an answer, and a plain sentence. */
const char *limit_code(enum limit limit);
const char *limit_why(enum limit limit);

#endif
