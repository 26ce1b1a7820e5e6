/* Queries: what HTTP reads of the topics at one home, rendered as JSON there. One thread, the home's. */
#ifndef CORE_PUBSUB_QUERY_H
#define CORE_PUBSUB_QUERY_H

#include "core/pubsub/home.h"

/* Answers a query; see struct query_ask. Nothing is appended where !reply->found, and
 * where reply->busy `answer` is freed: what it held before is lost. */
void home_query(struct home *home, const struct query_ask *ask, struct query_reply *reply, struct text *answer);

#endif
