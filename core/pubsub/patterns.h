/* Patterns: subscriptions to whatever topics a pattern covers, now and later. One shard's.
 *
 * A pattern subscription holds no cursor: each topic that it covers gets an ordinary subscription, there for the pattern's sake,
 * at the topic's birth. So a publish costs the same whoever follows by what. A name beats a pattern, of several patterns of one
 * subscriber the last subscribed rules; what no longer covers a topic hands it on to the next that does. Its shard's thread only. */
#ifndef CORE_PUBSUB_PATTERNS_H
#define CORE_PUBSUB_PATTERNS_H

#include "core/base/pool.h"
#include "core/pubsub/awaiting.h"
#include "core/pubsub/generation.h"
#include "core/pubsub/link.h"
#include "core/pubsub/pattern_index.h"
#include "core/pubsub/subscription.h"

struct engine;
struct engine_settings;
struct finding;

/* What one subscriber asked for with one pattern. All links are indices into the pool of them. */
struct pattern_subscription {
    uint64_t order;      /* the larger one was subscribed later */
    uint32_t subscriber, pattern;
    uint32_t next, prev; /* of the same pattern */
    uint32_t sibling_next; /* of the same subscriber */
    double   max_hz;
    uint8_t  mode;       /* enum mode */
    bool     snapshot;
};

/* A pattern that somebody in this shard follows, or followed lately (pattern_interest.h). */
struct pattern {
    char    *text; /* owned */
    uint32_t text_bytes;
    uint32_t first; /* its pattern subscriptions */

    uint32_t           *tell_next; /* owned: for each home, the next pattern that it is to be told of */
    uint64_t            to_tell;   /* a bit for each home in whose list it stands */
    uint64_t            on;        /* for each that was told that we follow it */
    uint64_t            answered;  /* for each that told all its matches, or refused */
    uint64_t            idle_us;   /* since when nobody follows it, nor prepared it anew */
    uint64_t            linger_us; /* when it was put in the list of those that may be let go */
    struct awaiter_list awaiters;  /* for it to be ready */
    uint32_t            linger_next;
    uint32_t            pending;   /* matches that are not live yet */
    struct finding     *finding;   /* owned: what it covers of what is there, while somebody prepares it (finding.h) */
    bool                wanted;    /* else it is being let go */
    bool                refused;   /* a home has no room for it */
    bool                lingers;
};

struct patterns {
    struct pool          pool;          /* of struct pattern */
    struct pool          subscriptions; /* of struct pattern_subscription */
    struct pattern_index index;         /* patterns by text and by the names they cover */
    struct generations   generations;   /* of each pattern's interest at each home, and of each pattern */
    struct to_tell       lingering;     /* through linger_next, the longest first */
    struct to_tell       findings;      /* patterns with one, through finding->next */
    uint32_t             findings_open; /* of them, those that are not done */
    uint32_t             finding_looks; /* names that they may look at in this turn yet */
    uint64_t             found_bytes;   /* of names in all of them */
    uint64_t             order;
    uint32_t            *matched; /* room for what covers a name: owned */
    uint32_t             matched_count, matched_capacity;
};

int  patterns_init(struct patterns *patterns, const struct engine_settings *settings);
void patterns_deinit(struct patterns *patterns, uint32_t shards_count);

static inline struct span pattern_name(const struct patterns *patterns, uint32_t index)
{
    const struct pattern *pattern = pool_at(&patterns->pool, index);
    return span_of(pattern->text, pattern->text_bytes);
}

/* The text of the pattern that a subscription is there for. */
struct span pattern_text(const struct patterns *patterns, uint32_t pattern_subscription);

/* A topic is being born, at its home, or its home tells so: whoever follows a pattern that covers it gets a subscription before its first update. */
void patterns_on_birth(struct engine *engine, struct span topic);

/* What was there by name is not any more: the last subscribed pattern that covers it takes it over, else it ends. */
void patterns_take_over(struct engine *engine, uint32_t subscription);
/* Whether any pattern known here covers it. */
bool patterns_cover(const struct patterns *patterns, struct span topic);

/* A subscriber goes: its pattern subscriptions end (its subscriptions are ended by the caller). */
void patterns_end_all(struct engine *engine, uint32_t subscriber);

#endif
