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
    bool     followed, by_name, by_name_every;
    bool     known;   /* epoch and seq count */
    bool     at_key;  /* nothing was sent since the ack: a snapshot of a topic with marks begins with a key before it */
    bool     asked;   /* something was subscribed or not any more since the last update: it may be skipped to the newest */
    char     epoch[EPOCH_BYTES];
    uint64_t seq;     /* the newest sent, acked or told as a gap */
    uint64_t updates, gaps, jumps, lives;
    uint32_t last_of[SHARDS_SIM_MAX]; /* the newest update's number of each publishing shard */
};

struct shards_pattern {
    char     text[32]; /* acked; empty: none */
    bool     every;
    uint64_t order;    /* the last acked rules */
};

struct shards_reader {
    struct subscriber     subscriber; /* first, as in a connection of the gateway */
    bool                  stuck;   /* its socket takes nothing */
    bool                  slow;    /* it takes a few updates at a time */
    struct seen           seen[SHARDS_TOPICS_MAX];
    uint32_t              life;    /* of this place: a ticket of an older one is for nobody */
    struct shards_pattern patterns[SHARDS_PATTERNS_MAX];
};

/* How a reader subscribes. */
struct shards_manner {
    bool     every, snapshot, resume;
    char     epoch[EPOCH_BYTES]; /* resume */
    uint64_t seq;
};

enum ticket_kind { TICKET_FREE, TICKET_PUBLISH, TICKET_DELETE, TICKET_QUERY, TICKET_SUBSCRIBE, TICKET_PATTERN };
struct shards_ticket {
    enum ticket_kind     kind;
    uint32_t             number; /* PUBLISH: the update's */
    uint32_t             topic, reader, reader_life;
    struct shards_manner manner;
    char                 pattern[32];
    struct query_ask     query; /* QUERY: with names that stay */
};

/* A publish that found no room: it goes out when there is some, before whatever comes later. */
#define SHARDS_PAUSED_MAX 16
struct shards_paused {
    uint8_t topic;
    bool    quiet, key;
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
    uint64_t        asleep_until_us;
    struct shards_ticket tickets[SHARDS_TICKETS_MAX];
    struct shards_paused paused[SHARDS_PAUSED_MAX];
    uint32_t        paused_count;
    struct {
        uint32_t life; /* by number, see struct shards_life */
        uint64_t seq;
    } told[SHARDS_TOPICS_MAX]; /* the newest that any reader of this shard was sent or acked; a birth that it heard of counts as seq 0 */
    uint32_t        rooms, refused, published, deleted, answered, acks; /* how often each was heard */
    bool            last_found, last_more;
    char            last_answer[4096];
};

struct shards_update {
    uint8_t  topic, from;
    bool     refused, quiet, key;
    bool     replied; /* its publisher knows */
    bool     placed;  /* epoch and seq are known */
    char     epoch[EPOCH_BYTES];
    uint64_t seq;
};

/* One life of a topic's numbering, as its home began it. */
#define SHARDS_LIVES_MAX 256
struct shards_life {
    char     epoch[EPOCH_BYTES];
    uint64_t first_key; /* the lowest seq known to be marked; UINT64_MAX: none */
};

/* What is done wrong on purpose on the wires, now and then, to show that the judges see it (tests/support/shards_break.c). */
enum shards_breakage {
    SHARDS_WHOLE,
    BREAK_NOTICE_LOST,
    BREAK_NOTICE_OVERTAKEN,     /* two notices of one topic come in the wrong order */
    BREAK_NOTICE_REPLAYED,      /* an older notice comes once more */
    BREAK_GENERATION_IGNORED,   /* a notice of an interest that is over is taken for one of the next */
    BREAK_EPOCH_ALTERED,
    BREAK_TAIL_ALTERED,         /* a notice tells a window shorter than it is */
    BREAK_BIRTH_LOST,
    BREAK_MATCH_LOST,
    BREAK_MATCH_LATE,           /* after "these were all" */
    BREAK_REFUSAL_HIDDEN,       /* a home has no room for a pattern, and the shard takes it for accepted */
    BREAK_REFUSAL_INVENTED,
    BREAK_REPLY_LOST,
    BREAK_REPLY_TWICE,
    BREAK_REPLY_ALTERED,
    BREAK_REPLY_LATE,           /* after the notice of what it acknowledges */
    BREAK_ANSWER_ALTERED,
    BREAK_CREDIT_LOST,
    BREAK_CREDIT_OF_QUIET_LOST, /* of asks without a reply */
    BREAK_LOAN_RETURNED_EARLY,
    BREAK_LOAN_KEPT,
    BREAK_INTEREST_FORGOTTEN,
    BREAK_INTEREST_END_FORGOTTEN,
    BREAK_PATTERN_FORGOTTEN,
    BREAK_PATTERN_END_FORGOTTEN,
    BREAK_PUBLISH_LOST,         /* a quiet one, of which nobody hears */
    BREAK_KEY_LOST,
    BREAK_WAKE_LOST,
};

/* What happened, so that a schedule can show what it reached. */
struct shards_seen {
    uint64_t updates, updates_keyed, gaps, jumps, lives, refused_busy, refused_topics, refused_interests, refused_patterns, pauses, resumes, cut_short, answers, births_told;
};

struct shards_plan {
    uint32_t             count;
    struct wires_settings wires;
    struct home_settings home;
    uint32_t             topics_known;
    uint32_t             payload_bytes_max;
    uint32_t             topics_keyed; /* the first so many have marks */
};

struct shards {
    struct shards_plan   plan;
    struct wires        *wires;
    struct clock         clock;
    uint64_t             random;
    struct fault         fault;
    enum shards_breakage breakage;
    struct shards_seen   seen;
    char                 names[SHARDS_TOPICS_MAX][16];
    uint64_t             hashes[SHARDS_TOPICS_MAX];
    struct shards_life   lives[SHARDS_TOPICS_MAX][SHARDS_LIVES_MAX];
    uint32_t             lives_count[SHARDS_TOPICS_MAX];
    uint64_t             refused; /* publishes, as their publishers were told */
    uint64_t             patterns_order;
    struct tell          stash[SHARDS_SIM_MAX][SHARDS_SIM_MAX]; /* a breakage keeps a tell of each wire here, by home and reader */
    bool                 stashed[SHARDS_SIM_MAX][SHARDS_SIM_MAX];
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
/* The same, marked or not; where there is no room it waits, as far as there is room to wait. */
void             shards_publish_or_wait(struct shards *shards, uint32_t shard, struct shards_paused publish);
enum link_result shards_delete(struct shards *shards, uint32_t shard, uint32_t topic);
enum link_result shards_query(struct shards *shards, uint32_t shard, const struct query_ask *ask);
/* LINK_DONE: acked now; LINK_SENT: it will be. */
enum link_result shards_subscribe(struct shards *shards, uint32_t shard, uint32_t reader, uint32_t topic, bool every, bool snapshot);
enum link_result shards_subscribe_as(struct shards *shards, uint32_t shard, uint32_t reader, uint32_t topic, const struct shards_manner *manner);
void             shards_unsubscribe(struct shards *shards, uint32_t shard, uint32_t reader, uint32_t topic);
/* manner.resume: each topic covered is resumed from anywhere. */
enum link_result shards_subscribe_pattern(struct shards *shards, uint32_t shard, uint32_t reader, const char *pattern, bool every, bool snapshot);
enum link_result shards_subscribe_pattern_as(struct shards *shards, uint32_t shard, uint32_t reader, const char *pattern, const struct shards_manner *manner);
void             shards_unsubscribe_pattern(struct shards *shards, uint32_t shard, uint32_t reader, const char *pattern);
/* Patterns that it follows, or asked for. */
uint32_t         shards_patterns_of(struct shards *shards, uint32_t shard, uint32_t reader);
/* Somewhere in a life that the topic had, or has; false: it had none. */
bool             shards_some_resume(struct shards *shards, uint32_t topic, char epoch[EPOCH_BYTES], uint64_t *seq);

void shards_turn(struct shards *shards, uint32_t shard);
/* Halves of it. */
void shards_receive(struct shards *shards, uint32_t shard);
void shards_tell(struct shards *shards, uint32_t shard);
void shards_pass(struct shards *shards, uint64_t us);
/* Each shard turns while it has something to do or is woken, else sleeps as gateway/shard.c does, until all sleep for long; a fault that
 * says what is stuck if that never comes. */
void shards_settle(struct shards *shards);
/* Judges, after that, that everybody has all that there is, and that links are as if nothing had ever been sent. */
void shards_check(struct shards *shards);
/* All readers leave, and all that lingers ends: judges that nothing is left of them anywhere. */
void shards_end(struct shards *shards);

/* ---- among the files of this judge ---- */

/* tests/support/shards_flush.c: sends what there is to readers that aren't stuck, and judges each update. */
void shards_flush(struct shard_sim *shard);
/* Where an update came, as somebody says: all must say the same. */
void shards_place(struct shards *shards, uint32_t number, const char *epoch, uint64_t seq);
/* The number in a payload; a fault if it is no update of that topic. False: it is none at all. */
bool shards_number_of(struct shards *shards, uint32_t topic, struct span data, uint32_t *number);
/* A reader subscribes anew, or no more. */
void shards_asks_anew(struct shards_reader *reader);
/* Judges what an ack says, and notes where its reader begins. */
void shards_acked(struct shard_sim *shard, struct shards_reader *reader, uint32_t topic, const struct subscribe_ask *ask, const struct subscribe_reply *reply);
/* Judges an answer; `ask` as it was asked. */
void shards_judge_answer(struct shard_sim *shard, const struct query_ask *ask, const struct query_reply *reply, struct span answer);

/* tests/support/shards_check.c */
/* The pattern of a reader that rules over a topic where no name does; NULL: none covers it. */
const struct shards_pattern *shards_covering(const struct shards *shards, const struct shards_reader *reader, uint32_t topic);
const struct topic *shards_topic_at_home(const struct shards *shards, uint32_t topic);
/* The first home that does not know that the shard follows the pattern; SHARDS_SIM_MAX: all do. */
uint32_t shards_home_without(const struct shards *shards, uint32_t shard, const char *pattern);
/* Which life of the topic that is; SHARDS_LIVES_MAX: none. */
uint32_t shards_life_of(const struct shards *shards, uint32_t topic, const char *epoch);
/* Notes which lives its topics have now. */
void shards_watch_lives(struct shard_sim *shard);
/* Notes which births a shard is about to hear of: what it has of older lives is over then. */
void shards_watch_births(struct shard_sim *shard);
/* Whether what a shard has on loan is really lent to it. */
void shards_check_loans(struct shard_sim *shard);
/* What is stuck between two shards, in words; empty: nothing. */
void shards_describe(const struct shards *shards, char *text, size_t size);

/* tests/support/shards_break.c: tampers with what is about to be received; with what was just told. */
void shards_tamper(struct shards *shards, uint32_t shard);
void shards_tamper_told(struct shards *shards, uint32_t shard);
/* Whether something is kept back that is to come late. */
bool shards_tampers(const struct shards *shards, uint32_t shard);

#endif
