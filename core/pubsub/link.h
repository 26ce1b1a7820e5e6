/* A link: how one shard speaks to another and the other back, both as reader and as home. Each shard has one to each.
 *
 *   reader's shard  --- asks: publish, interest, query --->  home
 *   reader's shard  <-- tells: replies, notices -----------  home
 *
 * An ask that may need a reply takes a credit, and the home keeps a slot of its tells free for each: a reply never fails, so asks can
 * always be taken, and there is no circle of waiting. All else is state: a flag and a place in a to-tell list, overwritten until
 * there is room. So giving a segment back can't fail, and a hot topic costs a link one item a turn.
 *
 * To itself a shard's link is a call: an ask is answered before it returns. All else is alike, so that nothing above knows
 * where a topic lives. Everything is handed over by value; segments are lent, read-only. One thread a side.
 *   link.c  the reader's side: asks out, tells in          peer.c  the home's side: asks in, tells out */
#ifndef CORE_PUBSUB_LINK_H
#define CORE_PUBSUB_LINK_H

#include <stdlib.h>

#include "core/base/text.h"
#include "core/proto/topic_name.h"
#include "core/pubsub/topic.h"
#include "core/queue/byte_ring.h"

struct home;
struct locals;
struct engine;

/* What becomes of an ask. */
enum link_result {
    LINK_DONE,    /* answered: the reply is written */
    LINK_SENT,    /* asked: the hook brings the reply with the ticket */
    LINK_REFUSED, /* answered: the topic is new and limits.topics is reached */
    LINK_FULL,    /* no room or no credit, nothing was asked: back-pressure on whoever asked; it is to be asked again later */
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
    bool        quiet;      /* of a success elsewhere no hook tells; with the ticket TICKET_NONE of a failure neither: it is counted */
};
#define TICKET_NONE UINT32_MAX

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

/* A reading of what homes hold. The answer is JSON text for HTTP, rendered at home, where the log is. */
enum query_kind {
    QUERY_NEWEST,  /* {"topic":…,"epoch":…,"seq":…,"ts":…,"data":…} */
    QUERY_HISTORY, /* {"topic":…,"epoch":…,"updates":[…]}: those after `after_seq`, oldest first, at most `limit` */
    QUERY_NAMES,   /* "A","B",…: names with an update that begin with `prefix`, greater than `after`, at most `limit`, in byte order */
    QUERY_NEWS,    /* nothing: but what others were told by then the asking shard is told before the reply, or it says that there is `more` */
};

struct query_ask {
    enum query_kind kind;
    uint32_t        shard; /* NAMES, NEWS: whose */
    struct span     topic; /* NEWEST, HISTORY */
    uint64_t        hash;
    uint64_t        after_seq;
    struct span     prefix, after;
    bool            own;  /* NAMES: the gateway's own too, which begin with `$` */
    uint32_t        limit;
    size_t          bytes_max; /* of the answer; a HISTORY ends earlier, but not before its first update */
};

struct query_reply {
    bool        found; /* the topic has an update; NAMES, NEWS: always */
    bool        more;  /* NAMES: there are more names than the limit; NEWS: there was no room to tell all */
    bool        busy;  /* there was no memory for the answer: it is empty */
    struct span last;  /* NAMES: the last name given, borrowed for now */
};

/* "This shard follows the topic in this format." Answered by a notice, at once and whenever there is news, until it is taken back. */
struct interest_ask {
    struct span      topic;
    uint64_t         hash;
    enum wire_format format;
    uint32_t         local; /* the asking shard's local topic, by index */
    uint32_t         generation;
};

/* A segment that a home lends, up to where its frames were told. */
struct lent {
    const struct segment *segment;
    uint32_t              end;
};

/* What a home tells a shard of a topic: its ends as they are now, and what of its segments is new since the last notice. */
#define NOTICE_SEGMENTS_MAX 3
struct notice {
    uint32_t           local;      /* of the reader, by index */
    uint32_t           generation; /* of the interest; one that is over lends nothing any more */
    uint32_t           topic;      /* of the home, by index: by it the reader gives back */
    uint32_t           held_from;  /* what the home takes for the lowest segment that the reader holds */
    uint32_t           next_segment; /* without an update: all below is of lives that are over, told of or not */
    uint32_t           segments_count;
    char               epoch[EPOCH_BYTES];
    struct ends        ends;
    struct lent        segments[NOTICE_SEGMENTS_MAX]; /* the first may be known: its end moved. From here on what there is travels, and no more */
    struct lent       *more_segments; /* those beyond, where there are; owned by whoever takes the notice */
};

static inline const struct lent *notice_segment(const struct notice *notice, uint32_t i)
{
    return i < NOTICE_SEGMENTS_MAX ? &notice->segments[i] : &notice->more_segments[i - NOTICE_SEGMENTS_MAX];
}

/* As much of it as there is. */
static inline size_t notice_bytes(const struct notice *notice)
{
    if (notice->segments_count > NOTICE_SEGMENTS_MAX) return sizeof *notice;
    return offsetof(struct notice, segments) + notice->segments_count * sizeof *notice->segments;
}

/* By whoever took it, when it was heard. */
static inline void notice_end(const struct notice *notice)
{
    if (notice->segments_count > NOTICE_SEGMENTS_MAX) free(notice->more_segments);
}

/* Local topics, or patterns, with something to be told to a home; linked through a field of theirs. */
struct to_tell {
    uint32_t first, last; /* POOL_NONE: empty */
};
#define TO_TELL_EMPTY ((struct to_tell){ POOL_NONE, POOL_NONE })

struct link {
    struct engine *engine; /* ours */
    uint32_t       shard;  /* whom it leads to */
    bool           self;   /* that is us: asks and tells are calls, and nothing below counts */

    /* As reader of its topics. */
    struct spsc_tx      asks;
    struct byte_ring_tx ask_bytes;
    struct spsc_rx      tells;
    uint32_t            credits;
    struct to_tell      locals_to_tell, patterns_to_tell;
    bool                behind;    /* state waits for room: asks of other kinds wait until it has gone, lest it waits for ever */
    bool                full;      /* LINK_FULL was said, and room not yet */
    uint32_t            full_bytes; /* what the largest of those asks needed */

    /* As home of its reader. */
    struct spsc_rx      asked;
    struct byte_ring_rx asked_bytes;
    struct spsc_tx      told;
    uint32_t            reserved;     /* slots of told that are for replies: as many as the reader has credits */
    uint32_t            credits_back; /* of asks that were served without a reply */

    bool wake; /* it may wait for room that we made */
};

struct wires;
/* Joins a link, whose engine, shard and self are set, to its wires; both may run afterwards. */
void link_connect(struct link *link, struct wires *wires);

/* The reader's side. LINK_DONE, with the reply written, where the link leads to ourselves; LINK_SENT or LINK_FULL elsewhere. */
enum link_result link_publish(struct link *link, const struct publish_ask *ask, uint32_t ticket, struct publish_reply *reply);
enum link_result link_delete(struct link *link, const struct delete_ask *ask, uint32_t ticket, struct delete_reply *reply);
/* Appends the answer to `answer`. */
enum link_result link_query(struct link *link, const struct query_ask *ask, uint32_t ticket, struct query_reply *reply, struct text *answer);

/* A local topic has something to be told: an interest, its end, segments to give back. It is, when there is room. Not to ourselves. */
void link_mark_local(struct link *link, uint32_t local);
/* A pattern likewise: it is wanted from now on, or no longer. Not to ourselves. */
void link_mark_pattern(struct link *link, uint32_t pattern);
/* Tells what is marked, as far as there is room. */
void link_tell_state(struct link *link);
/* Hears a bounded batch of tells. */
void link_hear(struct link *link);
/* Whether a LINK_FULL would not be said again. */
bool link_has_room(struct link *link);

#endif
