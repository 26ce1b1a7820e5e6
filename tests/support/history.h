/* The history of a simulated gateway: every update of every topic, kept for ever, by nobody's code but its own.
 *
 * It knows what was published and what the window must hold at least (PROTOCOL.md, "Topics and updates"); what the program does is judged
 * by it (tests/support/reader.h). Nothing here looks into a log, a chain or a cursor. */
#ifndef TESTS_SUPPORT_HISTORY_H
#define TESTS_SUPPORT_HISTORY_H

#include "core/base/text.h"
#include "core/pubsub/format.h"

struct past_update {
    size_t   data_at; /* in history->data, line ends replaced */
    uint32_t data_bytes;
    uint32_t frame_bytes;
    uint64_t bytes_before; /* of all frames before it */
    uint64_t published_us; /* wall clock */
    uint64_t ts_us;        /* never decreasing within a topic */
    uint64_t key_seq;      /* the last key at or before it; its own seq where it is key */
};

/* One life of a topic's numbering, from its birth until it is deleted or forgotten. The newest may be unborn still. */
struct past_life {
    char                epoch[9];
    uint64_t            newest; /* seq; 0: not born */
    struct past_update *updates; /* [seq - 1] */
    size_t              capacity;
    bool                keyed;
    uint64_t            floor_counted; /* the oldest seq that count and age ask for; never goes back */
    uint64_t            floor_bytes;   /* the oldest that the window's bytes have room for; likewise */
    uint64_t            floor;         /* the oldest seq that the window must hold */
    uint64_t            loose_bytes, loose; /* the same for logs in other formats, whose frames are at most FORMAT_BYTES_MORE longer than JSON's */
};

#define PAST_NAME_MAX 128
struct past_topic {
    char              name[PAST_NAME_MAX + 1];
    struct past_life *lives;
    uint32_t          lives_count;
    uint64_t          quiet_us; /* by the monotonic clock: when it was published to last */
    uint64_t          ts_us; /* of the newest update; it outlives a deletion, but not that the topic is forgotten */
};

/* Where an update came whose payload begins with '#' and its number, in eight hexadecimal digits. */
struct past_place {
    bool     known;
    uint32_t topic, life;
    uint64_t seq;
};
#define PAST_NUMBER_BYTES 9

#define FORMAT_BYTES_MORE 8
#define PAST_TOPICS_MAX 24
struct history {
    struct past_place *places; /* by number */
    size_t             places_capacity;
    struct past_topic topics[PAST_TOPICS_MAX];
    uint32_t          topics_count;
    struct text       data;
    uint64_t          window_updates, window_bytes, window_age_us;
};

void     history_free(struct history *history);
uint32_t history_topic(struct history *history, const char *name); /* makes one, by index */
/* By name; PAST_TOPICS_MAX: there is none. */
uint32_t history_find(const struct history *history, struct span name);
/* The first update of a life is its birth, in this epoch. */
void     history_add(struct history *history, uint32_t topic, const char epoch[8], struct span data, bool marked, uint64_t wall_us);
/* It was deleted, or forgotten as a whole: what comes is another life. */
void     history_end_life(struct history *history, uint32_t topic, bool forgotten);

/* The newest life. */
static inline struct past_life *history_life(const struct history *history, uint32_t topic)
{
    return &history->topics[topic].lives[history->topics[topic].lives_count - 1];
}

static inline const struct past_update *history_at(const struct past_life *life, uint64_t seq)
{
    return &life->updates[seq - 1];
}

static inline bool history_is_key(const struct past_life *life, uint64_t seq)
{
    return history_at(life, seq)->key_seq == seq;
}

/* The message that a subscriber must receive for it, in JSON {"topic":…,"seq":…,"ts":…,"data":…}, appended to `message`. */
void history_message(const struct history *history, enum wire_format format, uint32_t topic, const struct past_life *life, uint64_t seq, struct text *message);

/* The program trims now: moves the floors. They never go back, since what was let go does not come back. */
void history_trim(struct history *history, uint64_t wall_us);
/* The program was short of memory, and may have let go of all but each topic's newest update. */
void history_pressed(struct history *history);

/* The same for one topic's logs in other formats. */
void history_pressed_formats(struct history *history, uint32_t topic);

/* Where the update with a payload's number came; NULL: it has none, or nobody published it. */
const struct past_place *history_place(const struct history *history, struct span data);

/* Bytes of all frames from `seq` on; in other formats at most so many. */
uint64_t history_bytes_from(const struct past_life *life, uint64_t seq);
static inline uint64_t history_bytes_most(const struct past_life *life, uint64_t seq)
{
    return history_bytes_from(life, seq) + FORMAT_BYTES_MORE * (life->newest - seq + 1);
}
static inline uint64_t history_floor(const struct past_life *life, enum wire_format format)
{
    return format == FORMAT_JSON ? life->floor : life->loose;
}

#endif
