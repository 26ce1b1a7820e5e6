/* A world: one engine with simulated connections and a virtual clock, in one thread, judged by the history and by each reader.
 *
 * It does with the engine exactly what gateway/fanout.c and gateway/session.c do: stage many, submit, settle (whole, short with a carry,
 * full, failed); replies and gaps before ranges. Whoever drives it decides what happens when; every choice of the world's own comes from
 * its seed. What goes wrong stands in world->fault. */
#ifndef TESTS_SUPPORT_WORLD_H
#define TESTS_SUPPORT_WORLD_H

#include "core/base/random.h"
#include "core/pubsub/engine.h"
#include "tests/support/reader.h"

/* What is done wrong on purpose, now and then, to show that the judges see it. */
enum breakage {
    BREAK_NOTHING,
    BREAK_RANGE_DROPPED,      /* a range counts as sent, and was not */
    BREAK_CURSOR_TOO_FAR,     /* a cursor moves one frame more than was sent */
    BREAK_RANGE_TWICE,        /* a range was sent, and does not count */
    BREAK_GAP_UNTOLD,         /* news are not passed on */
    BREAK_BIRTH_UNTOLD,
    BREAK_CARRY_LOST,         /* the rest of a cut frame is not kept */
    BREAK_TRIM_FIRST,         /* trims before it tells and sends */
    BREAK_TRIM_WHILE_STAGED,  /* appends, tells and trims between stage and settle */
    BREAK_BYTE_FOREIGN,       /* somebody writes below the head */
    BREAK_SUPERSEDED_SENT,    /* `latest` is sent what is not the newest */
    BREAK_KEY_SKIPPED,        /* `latest` jumps to an update that is no key */
    BREAK_JUMP_NEEDLESS,      /* `latest` jumps although the subscriber kept up */
    BREAK_WINDOW_SHORT,       /* a window is trimmed below what it promises */
    BREAK_WAKE_LOST,          /* a subscriber with news is not made ready */
    BREAK_ACK_STALE,          /* an ack tells an older seq */
    BREAK_UNSUBSCRIBE_FORGOTTEN, /* acknowledged, and not done */
    BREAK_SUBSCRIPTION_LEAKED,   /* a connection ends, and its subscriptions stay */
    BREAK_REST_CUT_SHORT,     /* what rests is let go before its time */
    BREAK_REST_ENDLESS,       /* a rest never ends */
    BREAK_PACED_SENT_ALL,     /* a paced one is sent all, not the newest */
    BREAK_BUDGET_UNTOUCHED,   /* a publish is refused, although trimming would have made room */
};

/* What one seed's world is like. */
struct world_plan {
    struct home_settings home;
    uint32_t conns_max, topics_known; /* names in use; may be more than home.topics_max */
    uint32_t subscriptions_max, patterns_max;
    /* The flush's bounds: see gateway/fanout.c, where they are larger. */
    uint32_t send_bytes_max, send_pieces_max, sends_max, ranges_max, passes_max;
    uint32_t formats; /* the first so many are read, by chance */
};

/* What a judge remembers of one paced topic of one connection. */
#define SIM_PACE_BEGUN 32
struct sim_pace {
    double   max_hz;
    uint64_t begun_us[SIM_PACE_BEGUN]; /* the last ranges, a ring */
    uint64_t begun_count;
    uint64_t sent_us;
    uint64_t next, until; /* a range was cut where next <= until */
    uint32_t life;
};

enum socket_kind { SOCKET_WIDE, SOCKET_SLOW, SOCKET_STALLED, SOCKET_KINDS };

struct sim_conn {
    struct subscriber subscriber; /* first, as in a connection of the gateway */
    enum socket_kind  kind;
    uint64_t          room; /* what its socket still takes */
    bool              broken; /* its next send fails */
    struct text       out;
    size_t            out_sent;
    struct reader    *reader;
    bool              caught_up[PAST_TOPICS_MAX]; /* at the end of the last turn, and asked for nothing else since */
    struct sim_pace   paces[PAST_TOPICS_MAX];
};

/* What happened, so that a schedule can show what it reached. */
struct seen {
    uint64_t turns, updates, gaps, jumps, cuts, reclaims, refused, births_late, deaths, forgotten, covered, rests, ranges_on, filled, filled_short;
};

#define WORLD_RANGES_MAX 64
#define WORLD_PIECES_MAX 64
#define WORLD_SENDS_MAX 16
struct world_send {
    uint32_t     conn;
    size_t       out_bytes;
    uint32_t     ranges_first, ranges_count;
    struct piece pieces[WORLD_PIECES_MAX];
    uint32_t     pieces_count;
    uint64_t     bytes;
    int64_t      result;
};
struct world_range {
    uint32_t     subscription;
    struct range range;
};

struct world {
    struct engine     engine;
    struct counters   counters;
    struct clock      clock;
    struct pool       conns;
    struct bitset     ready, live;
    struct world_plan plan;
    struct history    history;
    struct fault      fault;
    uint64_t          random;
    enum breakage     breakage;
    struct seen       seen;
    uint32_t          numbers_count; /* of payloads */
    bool              pressed; /* memory was short in this turn */
    uint64_t          newest_then[PAST_TOPICS_MAX]; /* at the end of the last turn */
    void            (*between)(struct world *world, const void *context); /* between two batches of a flush; NULL: nothing happens */
    const void       *between_context;
    struct text       message; /* scratch */
    uint32_t          sends_count, ranges_count;
    struct world_send  sends[WORLD_SENDS_MAX];
    struct world_range ranges[WORLD_RANGES_MAX];
};

/* Large: on the heap. */
struct world *world_make(const struct world_plan *plan, uint64_t seed);
/* Ends everything, and judges that nothing leaked; the fault stays readable by the caller's copy. */
void world_end(struct world *world);
void world_free(struct world *world);

static inline uint32_t world_random(struct world *world, uint32_t bound)
{
    return random_below(&world->random, bound);
}
/* Once in `odds`. */
static inline bool world_chance(struct world *world, uint32_t odds)
{
    return world_random(world, odds) == 0;
}
/* Whether this breakage is to be done now. */
static inline bool world_breaks(struct world *world, enum breakage breakage)
{
    return world->breakage == breakage && world_chance(world, 8);
}

static inline struct sim_conn *world_conn(const struct world *world, uint32_t index)
{
    return pool_at(&world->conns, index);
}

/* A topic of the history at its home; NULL where it is not known there. */
const struct topic *world_topic(const struct world *world, uint32_t topic);

/* What may happen in a turn, before its flush. */
uint32_t world_connect(struct world *world, enum socket_kind kind); /* POOL_NONE: no room */
void     world_disconnect(struct world *world, uint32_t conn);
void     world_room(struct world *world, uint32_t conn, uint64_t room); /* its socket takes so much more */
void     world_publish(struct world *world, uint32_t topic, struct span data, bool line_break, bool marked);
void     world_subscribe(struct world *world, uint32_t conn, uint32_t topic, struct terms terms, bool snapshot, struct resume resume);
void     world_unsubscribe(struct world *world, uint32_t conn, uint32_t topic);
void     world_follow(struct world *world, uint32_t conn, uint32_t pattern, struct terms terms, bool snapshot, const struct resume *resumes); /* one for each topic */
void     world_unfollow(struct world *world, uint32_t conn, uint32_t pattern);
void     world_delete(struct world *world, uint32_t topic);
void     world_query(struct world *world, uint32_t topic);
void     world_query_names(struct world *world);

/* The turn's second half: tells, flushes, trims, judges. */
void world_turn(struct world *world);
/* Lets time pass; `wall_us` may go back. */
void world_time(struct world *world, uint64_t mono_us, int64_t wall_us);
/* Gives all sockets room until nothing is left to send, and judges that every reader has everything. */
void world_settle_down(struct world *world);

/* Judges max_hz (tests/support/world_pace.c): after each ask; when something was sent; when a turn is over. */
void world_note_paces(struct world *world, struct sim_conn *conn);
void world_judge_pace(struct world *world, struct sim_conn *conn, uint32_t subscription, uint64_t from_seq, uint64_t to_seq);
void world_check_rests(struct world *world);
/* Does one of the breakages of pacing. */
void world_break_rests(struct world *world);

/* Judges lists, counts and memory as they are between two turns (tests/support/world_check.c). */
void world_check(struct world *world);
void world_check_windows(struct world *world);
void world_check_leaks(struct world *world);
/* Which topics were forgotten, and was it time? */
void world_note_forgotten(struct world *world);
void world_note_if_forgotten(struct world *world, uint32_t topic);

#endif
