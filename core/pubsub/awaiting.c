#include "core/pubsub/awaiting.h"

static struct awaiter *awaiter_at(const struct awaiting *awaiting, uint32_t index)
{
    return pool_at(&awaiting->pool, index);
}

int awaiting_init(struct awaiting *awaiting)
{
    *awaiting = (struct awaiting){ .due = AWAITER_LIST_EMPTY };
    return pool_init(&awaiting->pool, sizeof(struct awaiter), AWAITERS_MAX);
}

void awaiting_deinit(struct awaiting *awaiting)
{
    pool_deinit(&awaiting->pool);
}

bool awaiting_add(struct awaiting *awaiting, struct awaiter_list *list, uint32_t who, bool pattern)
{
    uint32_t index = pool_take(&awaiting->pool);
    if (index == POOL_NONE) return false;
    *awaiter_at(awaiting, index) = (struct awaiter){ .who = who, .next = POOL_NONE, .pattern = pattern };
    if (list->first == POOL_NONE) list->first = index;
    else awaiter_at(awaiting, list->last)->next = index;
    list->last = index;
    return true;
}

void awaiting_due(struct awaiting *awaiting, struct awaiter_list *list)
{
    if (list->first == POOL_NONE) return;
    if (awaiting->due.first == POOL_NONE) awaiting->due.first = list->first;
    else awaiter_at(awaiting, awaiting->due.last)->next = list->first;
    awaiting->due.last = list->last;
    *list = AWAITER_LIST_EMPTY;
}

bool awaiting_take(struct awaiting *awaiting, struct awaiter_list *list, struct awaiter *taken)
{
    uint32_t index = list->first;
    if (index == POOL_NONE) return false;
    *taken = *awaiter_at(awaiting, index);
    list->first = taken->next;
    pool_give(&awaiting->pool, index);
    return true;
}
