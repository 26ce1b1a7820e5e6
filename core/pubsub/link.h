/* A link: how one shard speaks to the topics of another, and the other back. The same words for the shard's own topics.
 *
 *   reader's shard  --- asks: publish, interest, query --->  home
 *   reader's shard  <-- tells: replies, notices -----------  home
 *
 * To itself a shard's link is a call: an ask is answered before it returns. All else is alike, so that nothing above knows
 * where a topic lives. Everything is handed over by value; segments are lent, read-only. One thread a side. */
#ifndef CORE_PUBSUB_LINK_H
#define CORE_PUBSUB_LINK_H

#include "core/base/text.h"
#include "core/pubsub/topic.h"

struct home;
struct locals;
struct engine;

/* What becomes of an ask. */
enum link_result {
    LINK_DONE,    /* answered: the reply is written */
    LINK_REFUSED, /* answered: the topic is new and limits.topics is reached */
    LINK_FULL,    /* no room: back-pressure on whoever asked; it is to be asked again later */
};

/* How a home answers a publish. */
enum publish_verdict {
    PUBLISH_DONE,
    PUBLISH_BUSY,        /* no memory within the budget of the logs */
    PUBLISH_TOPICS_FULL, /* the topic is new and limits.topics is reached */
};

struct publish_ask {
    struct span topic;      /* a valid name */
    uint64_t    hash;       /* of it */
    struct span data;       /* see topic_append() */
    bool        line_break;
    bool        key;
};

struct publish_reply {
    enum publish_verdict verdict;
    char                 epoch[EPOCH_BYTES];
    uint64_t             seq;
};

/* "Forget the topic": its next life has a new epoch. */
struct delete_ask {
    struct span topic;
    uint64_t    hash;
};

struct delete_reply {
    bool found; /* it had an update */
};

/* A reading of what homes hold, for HTTP. The answer is JSON text, rendered at home, where the log is. */
enum query_kind {
    QUERY_NEWEST,  /* {"topic":…,"epoch":…,"seq":…,"ts":…,"data":…} */
    QUERY_HISTORY, /* {"topic":…,"epoch":…,"updates":[…]}: those after `after_seq`, oldest first, at most `limit` */
    QUERY_NAMES,   /* "A","B",…: names with an update that begin with `prefix`, greater than `after`, at most `limit`, in byte order */
};

struct query_ask {
    enum query_kind kind;
    struct span     topic; /* NEWEST, HISTORY */
    uint64_t        hash;
    uint64_t        after_seq;
    struct span     prefix, after;
    uint32_t        limit;
    size_t          bytes_max; /* of the answer; a HISTORY ends earlier, but not before its first update */
};

struct query_reply {
    bool        found; /* the topic has an update; NAMES: always */
    bool        more;  /* NAMES: there are more names than the limit */
    struct span last;  /* NAMES: the last name given, borrowed for now */
};

/* "This shard follows the topic." Answered by a notice, at once and whenever there is news, until it is taken back. */
struct interest_ask {
    struct span topic;
    uint64_t    hash;
    uint32_t    local;      /* the asking shard's local topic, by index */
    uint32_t    generation;
};

/* What a home tells a shard of a topic: its ends as they are now, and what of its segments is new since the last notice. */
#define NOTICE_SEGMENTS_MAX 8
struct notice {
    uint32_t          local;
    uint32_t          generation;
    bool              more;     /* more segments follow in another notice: ends are not yet to be looked at */
    char              epoch[EPOCH_BYTES];
    struct ends       ends;
    uint32_t          segments_count;
    struct chain_link segments[NOTICE_SEGMENTS_MAX]; /* the first may be known: its end moved */
};

/* One shard's link to one home, both ways. */
struct link {
    uint32_t       shard;  /* whose topics are asked for */
    struct home   *home;   /* of the shard itself: asks are calls */
    struct locals *locals; /* likewise for tells */
    struct engine *engine; /* likewise for births */
};

enum link_result link_publish(struct link *link, const struct publish_ask *ask, struct publish_reply *reply);
enum link_result link_delete(struct link *link, const struct delete_ask *ask, struct delete_reply *reply);
/* Appends the answer to `answer`. */
enum link_result link_query(struct link *link, const struct query_ask *ask, struct query_reply *reply, struct text *answer);
enum link_result link_interest(struct link *link, const struct interest_ask *ask);
/* "This shard follows the pattern", or no longer: births that it covers are told by link_birth(). */
void link_pattern(struct link *link, struct span pattern, bool on);
/* Visits each topic of that home that has an update and is covered; until visit says false. */
void link_match(struct link *link, struct span pattern, bool (*visit)(void *context, struct span topic), void *context);
/* Takes interest back; can't fail: it is state, told when there is room. */
void link_uninterest(struct link *link, struct span topic, uint64_t hash, uint32_t generation);

/* The home's side: a topic is being born that a pattern of the shard covers; what is appended afterwards reaches those who
 * become interested now. */
void link_birth(struct link *link, struct span topic);
/* The home's side: false: no room, the notice stays to be told. *held_from: the lowest segment that the shard holds now. */
bool link_tell(struct link *link, const struct notice *notice, uint32_t *held_from);

#endif
