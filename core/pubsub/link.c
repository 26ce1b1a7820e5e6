#include "core/pubsub/link.h"

#include "core/pubsub/engine.h"
#include "core/pubsub/home.h"
#include "core/pubsub/query.h"
#include "core/pubsub/local_topic.h"

enum link_result link_publish(struct link *link, const struct publish_ask *ask, struct publish_reply *reply)
{
    home_publish(link->home, ask, reply);
    return LINK_DONE;
}

enum link_result link_delete(struct link *link, const struct delete_ask *ask, struct delete_reply *reply)
{
    reply->found = home_delete(link->home, ask->topic, ask->hash);
    return LINK_DONE;
}

enum link_result link_query(struct link *link, const struct query_ask *ask, struct query_reply *reply, struct text *answer)
{
    home_query(link->home, ask, reply, answer);
    return LINK_DONE;
}

enum link_result link_interest(struct link *link, const struct interest_ask *ask)
{
    return home_interest(link->home, link->shard, ask) ? LINK_DONE : LINK_REFUSED;
}

void link_pattern(struct link *link, struct span pattern, bool on)
{
    home_pattern(link->home, link->shard, pattern, on);
}

void link_match(struct link *link, struct span pattern, bool (*visit)(void *context, struct span topic), void *context)
{
    home_match(link->home, pattern, visit, context);
}

void link_birth(struct link *link, struct span topic)
{
    patterns_on_birth(link->engine, topic);
}

void link_uninterest(struct link *link, struct span topic, uint64_t hash, uint32_t generation)
{
    home_uninterest(link->home, link->shard, topic, hash, generation);
}

bool link_tell(struct link *link, const struct notice *notice, uint32_t *held_from)
{
    *held_from = locals_told(link->locals, notice);
    return true;
}
