/* The topics that one request names: validated, unescaped, each once, with what it asks to resume from. They live in the
 * shard's arena until the next request. Its shard's thread only. */
#ifndef GATEWAY_TOPICS_ASKED_H
#define GATEWAY_TOPICS_ASKED_H

#include "core/base/span.h"
#include "core/base/table.h"
#include "core/proto/json.h"

struct shard;

struct topic_asked {
    uint32_t name_at, name_bytes; /* in the arena */
    uint32_t hash;                /* of the name: the lower half of what the engine finds it by */
    bool     pattern;
};

/* Where the request resumes a topic, whether it names the topic or a pattern that covers it. */
struct resume_point {
    uint32_t name_at, name_bytes; /* in the arena */
    uint32_t epoch_at, epoch_bytes;
    uint64_t seq;
};

struct topics_asked {
    struct topic_asked  *list; /* owned */
    uint32_t             count, capacity;
    uint32_t             patterns_count; /* of those */
    struct table         by_name;
    struct resume_point *points; /* owned */
    uint32_t             points_count, points_capacity;
    struct table         points_by_name;
    bool                 resume_rest; /* of topics without a point nothing was there yet: all that is held of them is wanted */
    const char         *code; /* of the fault: bad_topic, bad_request, too_many_topics, busy */
    bool                 passes; /* what refuses it may pass by itself: it is worth another try as it is */
    bool                untold; /* the system had no memory for what the subscriber is to be told: it is shed (memory.h) */
    char                why[256];
};

void topics_asked_init(struct shard *shard, struct topics_asked *asked);
void topics_asked_free(struct topics_asked *asked);

/* Fills in code and why, which names the topic (SPAN_NONE: none); returns false. */
bool topics_asked_refuse(struct topics_asked *asked, const char *code, const char *why, struct span name);

/* Each refuses where something is wrong. */
bool topics_asked_add(struct shard *shard, struct topics_asked *asked, struct span name);
bool topics_asked_add_array(struct shard *shard, struct topics_asked *asked, const struct json_value *array);
bool topics_asked_add_list(struct shard *shard, struct topics_asked *asked, struct span list); /* separated by commas */
bool topics_asked_resume(struct shard *shard, struct topics_asked *asked, const struct json_value *object);

/* One of asked->points. */
void topics_asked_point(const struct shard *shard, const struct topics_asked *asked, uint32_t i, struct span *topic, struct span *epoch);
/* One topic's, known otherwise. */
void topics_asked_resume_at(struct shard *shard, struct topics_asked *asked, struct span name, struct span epoch, uint64_t seq);

/* Whether it is one of them. */
bool topics_asked_names(const struct shard *shard, const struct topics_asked *asked, struct span name);
struct span topics_asked_name(const struct shard *shard, const struct topic_asked *topic);
/* Fills in what the request resumes of ask->topic, if anything. */
struct subscribe_ask;
void topics_asked_resume_of(const struct shard *shard, const struct topics_asked *asked, struct subscribe_ask *ask);

#endif
