/* Shards: several engines in one thread, linked by wires of any size, under a virtual clock; with publishers, readers and a judge.
 *
 * Each turn is one shard's, as gateway/shard.c does it: receive, tick, tell, flush, trim; who drives it says whose turn is next. Every
 * update carries a number of its own, so that the judge knows of each what it was, who published it and where it came. What goes wrong
 * stands in shards->fault. */
#ifndef TESTS_SUPPORT_SHARDS_H
#define TESTS_SUPPORT_SHARDS_H

#include "core/base/random.h"
#include "core/pubsub/engine.h"
#include "tests/support/fault.h"

#define SHARDS_SIM_MAX 4
#define SHARDS_TOPICS_MAX 32
#define SHARDS_READERS_MAX 24 /* of one shard */
#define SHARDS_PATTERNS_MAX 4 /* of one reader */
#define SHARDS_UPDATES_MAX (1u << 17)
#define SHARDS_TICKETS_MAX 4096

/* What a reader knows of one topic. */
struct seen {
    bool     followed, by_name, every;
    bool     known; /* epoch and seq count */
    char     epoch[EPOCH_BYTES];
    uint64_t seq;   /* the newest sent, acked or told as a gap */
    uint64_t updates, gaps, lives;
    uint32_t last_of[SHARDS_SIM_MAX]; /* the newest update's number of each publishing shard */
};

struct shards_reader {
    struct subscriber subscriber; /* first, as in a connection of the gateway */
    bool              stuck;   /* its socket takes nothing */
    struct seen       seen[SHARDS_TOPICS_MAX];
    uint32_t          life;    /* of this place: a ticket of an older one is for nobody */
    char              patterns[SHARDS_PATTERNS_MAX][32]; /* acked; empty: none */
    uint32_t          births_not_covered;
};

enum ticket_kind { TICKET_FREE, TICKET_PUBLISH, TICKET_DELETE, TICKET_QUERY, TICKET_SUBSCRIBE, TICKET_PATTERN };
struct shards_ticket {
    enum ticket_kind kind;
    uint32_t         number; /* PUBLISH: the update's */
    uint32_t         topic, reader, reader_life;
    bool             every, snapshot;
    char             pattern[32];
};

struct shard_sim {
    struct shards  *all;
    uint32_t        index;
    struct engine   engine;
    struct counters counters;
    struct pool     readers;
    bool            open[SHARDS_READERS_MAX]; /* which places are taken */
    struct bitset   ready;
    bool            woken;
    struct shards_ticket tickets[SHARDS_TICKETS_MAX];
    uint32_t        rooms, refused, published, deleted, answered, acks; /* how often each was heard */
    bool            last_found;
    char            last_answer[4096];
};

struct shards_update {
    uint8_t  topic, from;
    bool     sent, refused;
    bool     placed; /* epoch and seq are known */
    char     epoch[EPOCH_BYTES];
    uint64_t seq;
};

struct shards_plan {
    uint32_t             count;
    struct wires_settings wires;
    struct home_settings home;
    uint32_t             topics_known;
    uint32_t             payload_bytes_max;
};

struct shards {
    struct shards_plan   plan;
    struct wires        *wires;
    struct clock         clock;
    uint64_t             random;
    struct fault         fault;
    char                 names[SHARDS_TOPICS_MAX][16];
    struct shard_sim     shards[SHARDS_SIM_MAX];
    uint32_t             updates_count;
    struct shards_update updates[SHARDS_UPDATES_MAX];
};

struct shards *shards_make(const struct shards_plan *plan, uint64_t seed);
/* Readers end, engines end, queues end; leaks are the sanitizer's to find. */
void shards_free(struct shards *shards);

static inline struct shards_reader *shards_reader_at(struct shards *shards, uint32_t shard, uint32_t reader)
{
    return pool_at(&shards->shards[shard].readers, reader);
}
/* Whether that place is taken. */
bool        shards_is_open(const struct shard_sim *shard, uint32_t reader);
struct span shards_name(const struct shards *shards, uint32_t topic);
uint32_t    shards_topic_named(const struct shards *shards, struct span name);
uint32_t    shards_home_of(const struct shards *shards, uint32_t topic);
/* A topic's index whose home is that shard: the n-th. */
uint32_t shards_topic_of(const struct shards *shards, uint32_t home, uint32_t n);

uint32_t         shards_open(struct shards *shards, uint32_t shard); /* POOL_NONE: no room */
void             shards_close(struct shards *shards, uint32_t shard, uint32_t reader);
enum link_result shards_publish(struct shards *shards, uint32_t shard, uint32_t topic, bool quiet);
enum link_result shards_delete(struct shards *shards, uint32_t shard, uint32_t topic);
enum link_result shards_query(struct shards *shards, uint32_t shard, const struct query_ask *ask);
/* LINK_DONE: acked now; LINK_SENT: it will be. */
enum link_result shards_subscribe(struct shards *shards, uint32_t shard, uint32_t reader, uint32_t topic, bool every, bool snapshot);
void             shards_unsubscribe(struct shards *shards, uint32_t shard, uint32_t reader, uint32_t topic);
enum link_result shards_subscribe_pattern(struct shards *shards, uint32_t shard, uint32_t reader, const char *pattern, bool every, bool snapshot);
void             shards_unsubscribe_pattern(struct shards *shards, uint32_t shard, uint32_t reader, const char *pattern);

void shards_turn(struct shards *shards, uint32_t shard);
void shards_pass(struct shards *shards, uint64_t us);
/* Turns in turn until nobody has anything to do any more; a fault if that never comes. */
void shards_settle(struct shards *shards);
/* Judges, after that, that everybody has all that there is, and that links are as if nothing had ever been sent. */
void shards_check(struct shards *shards);

/* Sends what there is to readers that aren't stuck, and judges each update (tests/support/shards_check.c). */
void shards_flush(struct shard_sim *shard);
/* Where an update came, as somebody says: all must say the same. */
void shards_place(struct shards *shards, uint32_t number, const char *epoch, uint64_t seq);

#endif
