/* Awaiting: who waits until a topic or a pattern of another shard is live here. A list hangs on each such local topic and pattern;
 * a ticket whose turn has come is told after all that came in the same batch was heard. One shard's. */
#ifndef CORE_PUBSUB_AWAITING_H
#define CORE_PUBSUB_AWAITING_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/pool.h"

#define AWAITERS_MAX (UINT32_C(1) << 20) /* of one shard */

struct awaiter {
    uint32_t who;     /* the caller's ticket, or our pattern, by index */
    uint32_t next;
    bool     pattern; /* it waits for one of its matches */
};

/* A list through next, in the order of coming. */
struct awaiter_list {
    uint32_t first, last; /* POOL_NONE: empty */
};
#define AWAITER_LIST_EMPTY ((struct awaiter_list){ POOL_NONE, POOL_NONE })

struct awaiting {
    struct pool         pool; /* of struct awaiter */
    struct awaiter_list due;  /* tickets to be told */
    bool                full; /* somebody was turned away */
};

/* 0 or -errno. */
int  awaiting_init(struct awaiting *awaiting);
void awaiting_deinit(struct awaiting *awaiting);

/* False: too many wait already. */
bool awaiting_add(struct awaiting *awaiting, struct awaiter_list *list, uint32_t who, bool pattern);
/* All of a list of tickets are due. */
void awaiting_due(struct awaiting *awaiting, struct awaiter_list *list);
/* Takes the first one out; false: none. */
bool awaiting_take(struct awaiting *awaiting, struct awaiter_list *list, struct awaiter *taken);

#endif
