/* The engine: one shard's half of publish and subscribe. What the gateway calls; no socket and no ring, so that several of
 * them run in one test thread.
 *
 *   publish      -> link to the topic's home -> append -> marked to be told
 *   engine_tell  -> notices -> local topics -> who waits becomes dirty -> ready
 *   flush (the caller's) -> cursor_advance, cursor_cut -> bytes -> engine_sent
 *   engine_trim  -> the windows
 * Its shard's thread only. */
#ifndef CORE_PUBSUB_ENGINE_H
#define CORE_PUBSUB_ENGINE_H

#include "core/pubsub/cursor.h"
#include "core/pubsub/home.h"
#include "core/pubsub/local_topic.h"
#include "core/pubsub/patterns.h"

struct engine_settings {
    uint32_t             shard, shards_count;
    uint8_t              hash_key[16]; /* the same in all shards: it tells a topic's home */
    struct home_settings home;
    uint32_t             subscriptions_max;
    uint32_t             subscriptions_each_max; /* of one subscriber: a birth beyond it is not covered */
    uint32_t             patterns_max;
};

struct engine {
    struct engine_settings settings;
    struct home            home;
    struct locals          locals;
    struct patterns        patterns;
    struct table           by_pair; /* subscriptions by subscriber and local topic */
    struct link            self;
    struct link           *links[SHARDS_MAX]; /* to each shard; its own is `self` */
    const struct clock    *clock;
    struct counters       *counters;
};

/* 0 or -errno. Borrows subscribers (each item begins with a struct subscriber), ready, clock and counters. */
int  engine_init(struct engine *engine, const struct engine_settings *settings, struct pool *subscribers, struct bitset *ready, const struct clock *clock, struct counters *counters);
void engine_deinit(struct engine *engine);

/* ask->hash is filled in here. */
enum link_result engine_publish(struct engine *engine, struct publish_ask *ask, struct publish_reply *reply);
enum link_result engine_delete(struct engine *engine, struct delete_ask *ask, struct delete_reply *reply);
/* Likewise; NAMES are asked of this shard. */
enum link_result engine_query(struct engine *engine, struct query_ask *ask, struct query_reply *reply, struct text *answer);

struct subscribe_ask {
    struct span topic; /* a valid name */
    enum mode   mode;
    bool        snapshot;
    bool        resume;      /* resume_epoch and resume_seq count */
    struct span resume_epoch;
    uint64_t    resume_seq;
};

struct subscribe_reply {
    bool     born;  /* epoch and seq count */
    char     epoch[EPOCH_BYTES];
    uint64_t seq;   /* the newest at this moment; 0 where not born */
    bool     again; /* it was followed already: its position is kept */
    bool     resumed;
};

enum subscribe_verdict {
    SUBSCRIBE_DONE,
    SUBSCRIBE_TOPICS_FULL, /* the topic is new and limits.topics is reached */
    SUBSCRIBE_FULL,        /* no room for more subscriptions in this shard */
};

/* Subscribes, or changes the mode of a subscription. Updates come with the next flush at the earliest, so that what the
 * caller writes now (the ack) precedes them. A topic that is not born yet is announced by cursor_news.new_life later. */
enum subscribe_verdict engine_subscribe(struct engine *engine, uint32_t subscriber, const struct subscribe_ask *ask, struct subscribe_reply *reply);
struct pattern_ask {
    struct span pattern; /* a valid one */
    enum mode   mode;
    bool        snapshot;
};

/* Follows a pattern, or changes how: topics born from now on are covered; those that are there by engine_cover(), after the
 * caller has written the ack. False: no room. */
bool engine_subscribe_pattern(struct engine *engine, uint32_t subscriber, const struct pattern_ask *ask, bool *again);

/* What the caller does while topics are covered. */
struct pattern_cover {
    void *context;
    void (*resume)(void *context, struct subscribe_ask *ask); /* fills in what the request resumes; NULL: nothing */
    void (*covered)(void *context, const struct subscribe_ask *ask, const struct subscribe_reply *reply); /* a topic not followed before */
};
/* Subscribes to each topic with an update that the pattern covers. What could be covered before a refusal stays. */
enum subscribe_verdict engine_cover(struct engine *engine, uint32_t subscriber, struct span pattern, const struct pattern_cover *cover);
/* How many those are. */
uint32_t engine_count_matches(struct engine *engine, struct span pattern);
void     engine_unsubscribe_pattern(struct engine *engine, uint32_t subscriber, struct span pattern);

/* Does nothing where it is not subscribed by name. */
void engine_unsubscribe(struct engine *engine, uint32_t subscriber, struct span topic);
void engine_unsubscribe_all(struct engine *engine, uint32_t subscriber);
/* Whether it is subscribed. */
bool engine_follows(const struct engine *engine, uint32_t subscriber, struct span topic);

/* A subscriber's item is to be used: fills in its struct subscriber. */
void subscriber_init(struct subscriber *subscriber);

/* Tells all news: once a turn, before the flush, and between its batches. */
void engine_tell(struct engine *engine);
/* Once a turn, after the flush. */
void engine_trim(struct engine *engine);

/* A flush took this subscription from its subscriber's dirty list and sent it up to `mark`: it waits, or is dirty still. */
void engine_sent(struct engine *engine, uint32_t subscription, struct mark mark);
/* Takes the first dirty subscription of a subscriber; POOL_NONE: there is none. It must come back by engine_sent() or
 * engine_unsent() before anything else is called. */
uint32_t engine_take_dirty(struct engine *engine, struct subscriber *subscriber);
/* It was not sent: it is dirty as before, and the first. */
void engine_unsent(struct engine *engine, uint32_t subscription);

#endif
