/* What engines of shards call, and what is called on their behalf: for the files of shards.h alone. */
#ifndef TESTS_SUPPORT_SHARDS_HOOKS_H
#define TESTS_SUPPORT_SHARDS_HOOKS_H

#include "tests/support/shards.h"

struct shards_ticket *shards_ticket_take(struct shard_sim *shard, enum ticket_kind kind);
uint32_t              shards_ticket_number(const struct shard_sim *shard, const struct shards_ticket *ticket);
/* It came back, and must have been out. */
struct shards_ticket  shards_ticket_back(struct shard_sim *shard, uint32_t number, enum ticket_kind kind);

void shards_on_published(void *context, uint32_t ticket, const struct publish_reply *reply);
void shards_on_deleted(void *context, uint32_t ticket, const struct delete_reply *reply);
void shards_on_answered(void *context, uint32_t ticket, const struct query_reply *reply, struct span answer);
void shards_on_live(void *context, uint32_t ticket);
/* Who waited for room publishes. */
void shards_on_room(struct shard_sim *shard);

#endif
