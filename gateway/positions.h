/* Where a subscriber is: the epoch and the newest seq of each topic that it follows, so that a reconnect can resume.
 * Bounded; topics beyond the bound begin afresh. One thread. */
#ifndef GATEWAY_POSITIONS_H
#define GATEWAY_POSITIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/siphash.h"
#include "core/base/span.h"
#include "core/base/table.h"
#include "core/proto/topic_name.h"

#define POSITIONS_MAX        8192
#define POSITION_EPOCH_BYTES 8

struct position {
    uint64_t seq; /* the newest seen; what follows it is wanted */
    char     epoch[POSITION_EPOCH_BYTES];
    uint8_t  topic_size;
    char     topic[TOPIC_NAME_BYTES_MAX];
};

struct positions {
    struct position *all; /* [0, count) are in use */
    uint32_t         count;
    struct table     by_topic;
    uint8_t          hash_key[SIPHASH_KEY_BYTES];
};

/* 0 or -ENOMEM. */
int  positions_init(struct positions *positions);
void positions_deinit(struct positions *positions); /* also of one that is all zero */

/* The gateway said that a topic is followed, in this epoch, from after `seq`. `resumed`: it goes on from where we
 * said that we are, so a known place in the same epoch stays. */
void positions_follow(struct positions *positions, struct span topic, struct span epoch, uint64_t seq, bool resumed);

/* An update came. Of a topic whose epoch is not known it is forgotten. */
void positions_advance(struct positions *positions, struct span topic, uint64_t seq);

#endif
