/* What every subscription was told: its ack with the right epoch and seq, then each update once, as it was published.
 * Pure; one thread. */
#ifndef BENCH_SUBSCRIBE_CHECK_H
#define BENCH_SUBSCRIBE_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/spread.h"

#define CHECK_EPOCH_BYTES   8
#define CHECK_ROUNDS_MAX    2
#define CHECK_DATA_BYTES_MAX 64

struct checked_topic {
    char     epoch[CHECK_EPOCH_BYTES];
    uint64_t seqs[CHECK_ROUNDS_MAX]; /* of its update in each round; 0: not yet published */
};

struct subscribe_check {
    const struct spread  *spread;
    struct checked_topic *topics;
    uint8_t  *told;      /* for each connection and place: a bit for the ack, one for each round's update */
    uint32_t *requests;  /* for each connection: acks that came */
    uint32_t  each_request; /* topics that an ack names, but for the last */
    uint64_t  acked;     /* subscriptions */
    uint64_t  updates[CHECK_ROUNDS_MAX];
    uint64_t  wrong;
    char      first[320]; /* what was wrong first */
};

/* 0 or -ENOMEM. Borrows the spread. */
int  subscribe_check_init(struct subscribe_check *check, const struct spread *spread, uint32_t each_request);
void subscribe_check_deinit(struct subscribe_check *check);

/* The payload that a topic's update has in a round; returns its size. */
uint32_t subscribe_check_data(uint32_t topic, uint32_t round, char out[CHECK_DATA_BYTES_MAX]);

/* What the gateway answered to the publisher: {"op":"published","id":TOPIC,"topic":…,"epoch":…,"seq":…}. False: it is no such
 * answer, or not the right one; counted as wrong where it should have been. */
bool subscribe_check_published(struct subscribe_check *check, uint32_t round, struct span text);

/* A message to one connection. */
void subscribe_check_text(struct subscribe_check *check, uint32_t connection, struct span text);

#endif
