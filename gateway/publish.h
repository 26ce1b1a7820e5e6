/* Publishing, whichever way a request came: WebSocket, one by HTTP, many by HTTP. Rights are judged before the topic, the
 * topic before the payload (PROTOCOL.md). Its shard's thread only. */
#ifndef GATEWAY_PUBLISH_H
#define GATEWAY_PUBLISH_H

#include "core/proto/json.h"
#include "core/proto/topic_name.h"
#include "gateway/request.h"
#include "gateway/shard.h"

struct publish_request {
    const struct credential  *credential; /* of who asks; or NULL */
    const struct json_value *topic, *data, *key; /* as they stand in the request; NULL: absent */
};

/* What a request of the WebSocket protocol, or a line of a body, asks to be published. */
struct publish_request publish_request_of(const struct request *request, const struct credential *credential);

struct publish_outcome {
    bool                 full; /* its home's link was full: nothing was done, it is to be asked again */
    bool                 sent; /* its home was asked: the reply comes with the ticket */
    const char          *code; /* NULL: done */
    const char          *why;
    struct publish_reply reply;
    struct span          topic; /* unescaped; in topic_room or the request */
    char                 topic_room[4 * TOPIC_NAME_BYTES_MAX], why_room[256];
};

#define PUBLISH_OFF_WHY "publishing over the network is off: start the gateway with --auth.publish-key KEY to turn it on"

/* NULL, or what is wrong with the name of a topic to publish to. */
const char *publish_topic_fault(struct span topic);

/* ticket: for a topic whose home is another shard; of no matter where !outcome->sent. TICKET_NONE: none could be had. */
void publish_one(struct shard *shard, const struct publish_request *request, uint32_t ticket, struct publish_outcome *outcome);
/* The same where the payload stands apart: rights and topic have been judged. */
void publish_body(struct shard *shard, struct span topic, struct span body, bool key, uint32_t ticket, struct publish_outcome *outcome);
/* Fills in code and why from outcome->reply. */
void publish_judge(struct shard *shard, struct publish_outcome *outcome);
#define PUBLISH_STALLED_WHY "the topic's shard has had no room for another update for a second"

/* "topic":…,"epoch":…,"seq":… with `before` in front. */
void publish_write_reply(struct text *text, const char *before, const struct publish_outcome *outcome);

/* Values of query strings. */
bool query_boolean(struct span text, bool *value);
bool query_number(struct span text, uint64_t min, uint64_t max, uint64_t *value);

#endif
