/* The engine: one shard's half of publish and subscribe. What the gateway calls; no socket and no ring, so that several of
 * them run in one test thread.
 *
 *   publish         -> link to the topic's home -> append -> marked to be told
 *   engine_receive  -> what other shards ask and tell -> hooks; notices -> local topics -> who waits becomes dirty -> ready
 *   engine_tick     -> what lingered long enough is let go; what rested long enough goes on
 *   engine_tell     -> notices of our own topics; all that is to go to other shards
 *   flush (the caller's) -> cursor_advance, cursor_cut -> bytes -> engine_sent
 *   engine_trim     -> the windows
 * Its shard's thread only. */
#ifndef CORE_PUBSUB_ENGINE_H
#define CORE_PUBSUB_ENGINE_H

#include "core/pubsub/awaiting.h"
#include "core/pubsub/cursor.h"
#include "core/pubsub/home.h"
#include "core/pubsub/local_topic.h"
#include "core/pubsub/pace.h"
#include "core/pubsub/pairs.h"
#include "core/pubsub/patterns.h"
#include "core/pubsub/wires.h"

struct engine_settings {
    uint32_t             shard, shards_count;
    uint8_t              hash_key[16]; /* the same in all shards: it tells a topic's home */
    struct home_settings home;
    uint32_t             subscriptions_max;
    uint32_t             subscriptions_each_max; /* of one subscriber: a birth beyond it is not covered */
    uint32_t             patterns_max;
    struct trace        *trace;      /* borrowed; NULL: nothing is traced */
    uint32_t             locals_max; /* topics followed or prepared in this shard, of all homes, in one format; 0: home.topics_max */
};

/* What the engine calls. `ticket` is what the caller gave with its ask; each is called from engine_receive() or engine_tell()
 * only, and may call the engine again, but not engine_receive(), engine_tell(), engine_tick() or engine_trim(). */
struct engine_hooks {
    void *context;
    /* Replies to what was LINK_SENT, one each; borrowed for the call. A quiet publish that succeeded has none. */
    void (*published)(void *context, uint32_t ticket, const struct publish_reply *reply);
    void (*deleted)(void *context, uint32_t ticket, const struct delete_reply *reply);
    void (*answered)(void *context, uint32_t ticket, const struct query_reply *reply, struct span answer);
    /* What engine_prepare() or engine_prepare_pattern() said LINK_SENT for is there now, or refused: ask again. Once. */
    void (*live)(void *context, uint32_t ticket);
    /* Some link that said LINK_FULL has room again: those who wait may try again. Often for nothing. */
    void (*room)(void *context);
    /* That shard has something to take, and may sleep. At most once a shard and engine_receive() or engine_tell(). */
    void (*wake)(void *context, uint32_t shard);
};

struct engine {
    struct engine_settings settings;
    struct home            home;
    struct locals          locals;
    struct patterns        patterns;
    struct pairs           by_pair; /* subscriptions by subscriber and local topic */
    struct paces           paces;   /* of those with a max_hz */
    struct link            links[SHARDS_MAX]; /* to each shard, its own among them */
    struct awaiting        awaiting; /* tickets of those who prepare */
    struct engine_hooks    hooks;
    bool                   full;     /* a link said LINK_FULL since hooks.room was last called */
    uint64_t               top_us;   /* when looks for the topics that have most were allowed last */
    uint32_t               receive_first; /* the peer that is received from first: it goes around */
    uint64_t               looks_at_us, looks_end; /* home.looks after which links wait for the next turn; which turn that is for */
    const struct clock    *clock;
    struct counters       *counters;
};

/* Whether what comes by links may be looked for among patterns in this turn still: a birth that thousands of them cover takes milliseconds, and 256
 * may come at once. */
static inline bool engine_may_look(const struct engine *engine)
{
    return engine->home.looks < engine->looks_end;
}

/* 0 or -errno. Borrows subscribers (each item begins with a struct subscriber), ready, clock and counters. */
int  engine_init(struct engine *engine, const struct engine_settings *settings, struct pool *subscribers, struct bitset *ready, const struct clock *clock, struct counters *counters);
void engine_deinit(struct engine *engine);
/* Takes over what may change while it runs: subscriptions_each_max, and of home the budget of logs, the window and the ttl. Topics follow
 * as they are appended to or swept. */
void engine_change(struct engine *engine, const struct engine_settings *settings);

/* Joins it to the others: after engine_init() of all shards and before any of their threads runs. Borrows wires, which may be
 * NULL with one shard; copies hooks, of which a shard alone needs none (NULL). 0 or -errno. */
int engine_connect(struct engine *engine, struct wires *wires, const struct engine_hooks *hooks);

/* Asks of a topic's home. Here: answered at once, LINK_DONE, and the ticket is not used. Elsewhere: LINK_SENT, and the hook
 * brings the reply with the ticket; or LINK_FULL: nothing was asked, hooks.room says when to try again. What one shard asks of one
 * topic takes effect in order. ask->hash is filled in here.
 * A quiet publish: see struct publish_ask. Its name and data together: at most what wires_ask_bytes() was asked for. */
enum link_result engine_publish(struct engine *engine, struct publish_ask *ask, uint32_t ticket, struct publish_reply *reply);
enum link_result engine_delete(struct engine *engine, struct delete_ask *ask, uint32_t ticket, struct delete_reply *reply);
/* Likewise; the answer is appended to `answer` where it is LINK_DONE. NAMES and NEWS are asked of ask->shard. */
enum link_result engine_query(struct engine *engine, struct query_ask *ask, uint32_t ticket, struct query_reply *reply, struct text *answer);

/* To be called before engine_subscribe(): sees to it that the topic is known in this shard, wherever its home is.
 *   LINK_DONE     it is, now: engine_subscribe() in this same turn finds it live; always so for topics of this shard
 *   LINK_SENT     its home was asked: hooks.live(ticket) is called once, then ask again
 *   LINK_REFUSED  the topic is new and limits.topics is reached
 *   LINK_FULL     too many wait already: later
 * What was prepared stays live for a second at least, followed or not. */
enum link_result engine_prepare(struct engine *engine, struct span topic, enum wire_format format, uint32_t ticket);

/* The same for one of many, without a ticket: LINK_SENT: its home was asked, and no hook tells when it is live. One home answers in
 * the order in which it was asked, so whoever needs many prepares them so, and then the latest of each home with a ticket. */
struct topic_order {
    uint32_t home;
    uint32_t number; /* counts up, and over: later - earlier is small, as int32_t positive */
};
enum link_result engine_prepare_quietly(struct engine *engine, struct span topic, enum wire_format format, struct topic_order *order);
/* The same for engine_subscribe_pattern() and engine_cover(): all homes were asked for the topics that it covers, those are live, and were found
 * among all that are there, so many looks in each turn.
 * LINK_REFUSED: no room for another pattern, here or at a home. */
enum link_result engine_prepare_pattern(struct engine *engine, struct span pattern, uint32_t ticket);

struct subscribe_ask {
    struct span topic; /* a valid name */
    enum mode   mode;
    bool        snapshot;
    bool        resume;      /* resume_epoch and resume_seq count */
    bool        resume_any;  /* and whatever the epoch: the topic was not there yet when the subscriber knew where it was */
    struct span resume_epoch;
    uint64_t    resume_seq;
    double      max_hz; /* latest: at most so many updates a second; 0: no limit */
    bool        newborn;     /* a pattern's: its birth is being told; it begins with its first update, whatever is known of it here */
};

/* How a resume stands by what this shard was told of a topic that lives elsewhere: who comes from another shard may have read further, or of a topic
 * of whose birth nothing was heard here. */
enum resume_news {
    RESUME_TOLD,    /* it would be taken, or the topic is ours */
    RESUME_DOUBTED, /* it would not be taken, or the topic is not known: after QUERY_NEWS of *home it is to be taken as it is, where it does not await */
    RESUME_AWAITS,  /* what there is of the topic was asked for: engine_prepare() waits for it */
};
enum resume_news engine_resume_news(const struct engine *engine, struct span topic, enum wire_format format, struct span epoch, uint64_t seq, uint32_t *home);

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
    SUBSCRIBE_NOT_READY,   /* its home is elsewhere, and it was not prepared: engine_prepare() */
};

/* Subscribes, or changes the mode and max_hz of a subscription. Updates come with the next flush at the earliest, so that what the
 * caller writes now (the ack) precedes them. A topic that is not born yet is announced by cursor_news.new_life later. */
enum subscribe_verdict engine_subscribe(struct engine *engine, uint32_t subscriber, const struct subscribe_ask *ask, struct subscribe_reply *reply);
struct pattern_ask {
    struct span pattern; /* a valid one */
    enum mode   mode;
    bool        snapshot;
    double      max_hz; /* as in struct subscribe_ask, of each topic that it covers */
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
/* Subscribes to each topic with an update that the pattern covers, as far as this shard knows them: after engine_prepare_pattern()
 * all of them. What could be covered before a refusal stays. */
enum subscribe_verdict engine_cover(struct engine *engine, uint32_t subscriber, struct span pattern, const struct pattern_cover *cover);
/* Visits those, until visit returns false; one that was born in between may come twice. False: these were not all, since they are more than any
 * subscriber may follow, or there is no memory for them. */
bool engine_visit_matches(struct engine *engine, struct span pattern, bool (*visit)(void *context, struct span topic), void *context);
void engine_unsubscribe_pattern(struct engine *engine, uint32_t subscriber, struct span pattern);

/* Does nothing where it is not subscribed by name. */
void engine_unsubscribe(struct engine *engine, uint32_t subscriber, struct span topic);
void engine_unsubscribe_all(struct engine *engine, uint32_t subscriber);
/* Whether it is subscribed, by name or for a pattern's sake; whether the pattern is. */
bool engine_follows(const struct engine *engine, uint32_t subscriber, struct span topic);
bool engine_follows_pattern(const struct engine *engine, uint32_t subscriber, struct span pattern);

/* A subscriber's item is to be used: fills in its struct subscriber. */
void subscriber_init(struct subscriber *subscriber);

/* Takes a bounded batch from each peer: serves what it asks, hears what it tells. Once a turn before engine_tell(), and between
 * batches of the flush; never while a send is staged. */
void engine_receive(struct engine *engine);
/* Whether a peer left anything to take, or room for what waits to go out: the look before sleeping, after wake_sleep_begin(). */
bool engine_has_input(struct engine *engine);
/* Tells all news: once a turn, before the flush, and between its batches. */
void engine_tell(struct engine *engine);
/* Lets go what lingered long enough, and on what rested long enough; once a turn, before engine_tell(). */
void engine_tick(struct engine *engine);
/* When engine_tick() and engine_tell() want to be called at the latest, by clock->mono_us: one sleeps no longer. UINT64_MAX: no matter. */
uint64_t engine_due_us(const struct engine *engine);
/* Once a turn, after the flush. */
void engine_trim(struct engine *engine);

/* A flush took this subscription from its subscriber's dirty list and sent it up to `mark`: it waits, rests, or is dirty still. */
void engine_sent(struct engine *engine, uint32_t subscription, struct mark mark);
/* Takes the first dirty subscription of a subscriber; POOL_NONE: there is none. It must come back by engine_sent() or
 * engine_unsent() before anything else is called. */
uint32_t engine_take_dirty(struct engine *engine, struct subscriber *subscriber);
/* It was not sent: it is dirty as before, and the first. */
void engine_unsent(struct engine *engine, uint32_t subscription);

#endif
