/* A pair of shards: 0 reads, 1 is home of all topics; joined by queues of any size, in one thread, with nobody else's turns between. */
#ifndef TESTS_SUPPORT_PAIR_H
#define TESTS_SUPPORT_PAIR_H

#include "core/pubsub/engine.h"

enum { SECOND_US = 1000000, PAIR_READERS = FORMATS_COUNT, PAIR_TOPICS = 4 };

struct pair_side {
    struct engine   engine;
    struct counters counters;
    struct pool     readers; /* of struct subscriber; all are there */
    struct bitset   ready;
    uint32_t        lives; /* how often the hook said so */
};

struct pair {
    struct wires    *wires;
    struct clock     clock;
    struct pair_side sides[2];
    struct text      line, covered;
    char             names[PAIR_TOPICS][16]; /* their home is shard 1 */
};

/* slots: of each queue; 4 leave room for two notices at once. */
struct pair *pair_make(uint32_t slots, uint64_t log_bytes_max, uint64_t window_updates);
/* Everybody leaves, interests end; asserts that every loan is back, that home holds no more than its windows, and that logs in other formats
 * are forgotten in the end. */
void         pair_end(struct pair *pair);

void pair_turn(struct pair *pair, uint32_t side); /* without a flush */
void pair_settle(struct pair *pair);
void pair_pass(struct pair *pair, uint64_t us); /* and settles */

static inline struct subscriber *pair_reader(const struct pair *pair, uint32_t reader)
{
    return pool_at(&pair->sides[0].readers, reader);
}
static inline struct span pair_name(const struct pair *pair, uint32_t topic)
{
    return span_of_string(pair->names[topic]);
}
/* A topic as the reading shard knows it in a format, and at its home; NULL: not at all. */
struct local_topic *pair_local(struct pair *pair, uint32_t topic, enum wire_format format);
const struct topic *pair_topic(struct pair *pair, uint32_t topic, enum wire_format format);

#endif
