/* A topic at its home: its name, its numbering, its log and who is interested. Home's own.
 *
 * A topic is a log: to publish is to append. What other shards know of it they know from notices, by value. One thread. */
#ifndef CORE_PUBSUB_TOPIC_H
#define CORE_PUBSUB_TOPIC_H

#include "core/base/span.h"
#include "core/pubsub/format.h"
#include "core/pubsub/log.h"

#define EPOCH_BYTES 8

/* A log in another format than JSON is kept so long after the last who followed it. */
#define FORMAT_KEPT_US UINT64_C(60000000)

/* One shard's interest in a topic, kept at the topic's home. */
struct interest {
    uint32_t local;        /* the shard's local topic, by index: where notices go */
    uint32_t generation;   /* of that interest */
    uint32_t held_from;    /* the lowest segment that the shard still holds, as far as it has said; those below may be freed */
    uint32_t told_segment; /* the newest segment that was told; the next notice begins with it, as its end may have moved */
    uint32_t tell_next;    /* the next topic that this shard is to be told of, by index */
};

/* In JSON it is the topic itself; in each other format that somebody follows there is one more of these beside it, with a log and
 * interests of its own and the numbering, names and epochs of the topic. */
struct topic {
    char            *name; /* owned by the one in JSON; name_bytes long */
    uint32_t         name_bytes;
    uint32_t         hash;   /* of name and format, as the home's table has it */
    struct topic    *main;   /* the one in JSON; itself there */
    struct topic    *next_format; /* beside the same main one; NULL: the last */
    struct log       log;
    uint64_t         ts_us;    /* of the newest update; the main one's */
    uint64_t         looked_seq; /* the main one's: the newest when home->top last looked at it */
    uint64_t         quiet_us; /* by the monotonic clock: when it was last published to, or the last who followed it went */
    struct interest *interests; /* one for each shard; NULL until there is something to tell the first */
    uint64_t         interested; /* a bit for each shard that is */
    uint64_t         to_tell;    /* for each in whose list of topics with news it stands */
    uint64_t         births;     /* for each that is to be told of its birth first */
    uint32_t         trim_next; /* the next topic to be trimmed, by index */
    uint32_t         long_next, long_prev; /* in the list of those with more than one segment in their window */
    bool             to_trim;
    bool             is_long;   /* stands in that list, and may be shorter by now */
    char             epoch[EPOCH_BYTES]; /* names this life of its numbering */
};

static inline struct span topic_name(const struct topic *topic)
{
    return span_of(topic->name, topic->name_bytes);
}

/* Where a name's hash and a format stand in a table. */
static inline uint32_t format_hash(uint64_t name_hash, enum wire_format format)
{
    return (uint32_t)name_hash + (uint32_t)format * 0x9e3779b9u;
}

/* Appends one update: the next seq and a ts, encoded straight into the log of each format.
 *   topic    the main one
 *   compressor  for deflated formats; NULL: none
 *   data     a valid JSON value without white space around it; borrowed
 *   now_us   wall clock in microseconds; a ts never decreases within a topic
 *   returns  false: no memory within the budget, nothing changed */
bool topic_append(struct topic *topic, struct segment_store *store, const struct window *window, const struct compressor *compressor, struct span data, bool line_break, bool key, uint64_t now_us);

/* Fills an empty log in another format from the main one's: all that the window holds. False: no memory within the budget, and it
 * is empty as before. */
bool topic_fill(struct topic *topic, struct segment_store *store, const struct window *window, const struct compressor *compressor);

/* Of the main one: the newest update; there must be one. Slices lie in the log, valid until it is trimmed. */
struct update topic_newest(const struct topic *topic);

#endif
