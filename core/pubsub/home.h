/* Home: the topics of one shard, which alone assigns their seq and writes their logs.
 *
 * It answers asks that come by links and tells those interested; it knows no subscription and no connection. An interest in
 * a topic that was never published to makes the topic known (seq 0) without counting as an update of it. One thread. */
#ifndef CORE_PUBSUB_HOME_H
#define CORE_PUBSUB_HOME_H

#include "core/base/clock.h"
#include "core/base/counters.h"
#include "core/base/pool.h"
#include "core/base/table.h"
#include "core/pubsub/link.h"
#include "core/pubsub/names.h"
#include "core/pubsub/pattern_index.h"
#include "core/pubsub/top.h"
#include "core/pubsub/trace.h"

#define SHARDS_MAX 64

/* Topics of the gateway's own, whose names begin with `$`: so many at most, beside limits.topics. They are no updates that anyone has
 * published, and counted as none; their windows are small, whatever the settings. */
#define SYSTEM_TOPICS_MAX (2 * SHARDS_MAX + 1)

struct home_settings {
    uint32_t      topics_max;
    uint64_t      log_bytes_max; /* budget of all logs, in allocated bytes */
    uint32_t      patterns_max;
    uint8_t       hash_key[16];
    uint64_t      topic_ttl_us;  /* a topic that nobody follows nor publishes to is forgotten after so long */
    struct window window;
    const struct compressor *compressor; /* borrowed; for deflated formats, NULL: their frames are as they were */
};

struct matches;

/* A list of topics, linked through a field of theirs. */
struct topic_list {
    uint32_t first, last; /* POOL_NONE: empty */
};

struct home {
    struct home_settings settings;
    struct pool          topics; /* of struct topic, in all formats */
    uint32_t             topics_count; /* of those in JSON, but for the gateway's own */
    uint32_t             system_count; /* the gateway's own, that have an update */
    uint32_t             system_followed; /* interests of shards in the gateway's own */
    struct table         by_name; /* and format */
    struct names         names;  /* of those that have an update */
    struct pattern_index patterns; /* what shards follow; values: indices into pattern_shards */
    struct pool          pattern_shards; /* of uint64_t: a bit for each shard that follows the pattern */
    uint64_t             looks;  /* at patterns, for the births of topics: what those cost beside their bytes, some 0.2 us each */
    struct segment_store store;
    const struct clock  *clock;
    struct counters     *counters;
    struct trace        *trace;  /* borrowed; NULL: nothing is traced */
    struct link         *links;  /* to each shard, for telling; shards_count long */
    uint32_t             shard, shards_count; /* this one; all */
    struct topic_list    to_tell[SHARDS_MAX]; /* topics with news for each shard */
    uint64_t             late; /* a bit for each shard that there was no room to tell all when it was told last */
    struct matches      *matches[SHARDS_MAX]; /* what each shard is being told of the patterns that it began to follow; owned */
    struct topic_list    to_trim; /* appended to since the last trimming */
    uint64_t             on_loan_bytes; /* of segments that were trimmed and wait for shards to give them back */
    struct topic_list    longs;   /* topics with more than one segment in their window, the longest so first: where memory can be had */
    uint64_t             sweep_us;   /* when quiet topics were last looked at for age */
    uint32_t             sweep_at;   /* and which place in by_name comes next */
    struct top           top;        /* topics by updates */
    uint32_t             top_looks;  /* how many more of them may be looked at for that now */
    uint64_t             epoch_state; /* of the generator that names epochs */
};

/* 0 or -errno. Borrows links, clock and counters. */
int  home_init(struct home *home, const struct home_settings *settings, struct link *links, uint32_t shard, uint32_t shards_count, const struct clock *clock, struct counters *counters);
void home_deinit(struct home *home);
/* Takes over log_bytes_max, topic_ttl_us and window. */
void home_change(struct home *home, const struct home_settings *settings);

void home_publish(struct home *home, const struct publish_ask *ask, struct publish_reply *reply);
/* Forgets a topic's updates: its numbering begins anew, in a new epoch. False: it had none. */
bool home_delete(struct home *home, struct span topic, uint64_t hash);
/* Tells each shard of every topic that has news for it, as far as there is room: once a turn, before the flush. */
void home_tell(struct home *home);
void home_tell_shard(struct home *home, uint32_t shard);
/* Whether that shard has not been told what others have been. */
static inline bool home_is_late(const struct home *home, uint32_t shard)
{
    return home->late >> shard & 1;
}
/* Tells one shard of one topic now, if there is news. */
void home_tell_topic(struct home *home, uint32_t shard, uint32_t topic);
/* Names that were followed and never published to must not fill limits.topics: a topic goes with its last follower, if it has no
 * update and stands in no list. */
void home_forget_if_unborn(struct home *home, uint32_t index);
/* The topic was appended to, or filled: where it has more segments now than it must have they can be had when memory is short. */
void home_grown(struct home *home, struct topic *topic);
/* Trims what was appended to, and a few quiet topics for their age: once a turn, after the flush, so that what a turn
 * appended is never trimmed before it could be sent, however small the window. */
void home_trim(struct home *home);

/* A topic's index, POOL_NONE where it is not known here, or not in this format. */
uint32_t home_find_index(const struct home *home, struct span name, uint64_t hash, enum wire_format format);
/* Makes it known where it is not; POOL_NONE: limits.topics is reached, or no memory. */
uint32_t home_find_or_make(struct home *home, struct span name, uint64_t hash, enum wire_format format);
/* A topic by name, NULL where it is not known here. One with log_newest_seq() of 0 has no update yet. */
const struct topic *home_find(const struct home *home, struct span name, uint64_t hash);

#endif
