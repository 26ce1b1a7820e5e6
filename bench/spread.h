/* Which of many topics each of many connections follows, and what the topics are called: chosen once, known by number.
 * Pure after spread_init(); one thread. */
#ifndef BENCH_SPREAD_H
#define BENCH_SPREAD_H

#include <stdint.h>

#include "core/base/span.h"

#define SPREAD_NAME_BYTES_MAX 16
#define SPREAD_NONE           UINT32_MAX

enum spread_kind {
    SPREAD_ROUND, /* each topic has as many followers as any other, give or take one */
    SPREAD_ZIPF,  /* the n-th topic is chosen with a weight of 1/n^exponent: a few have nearly all connections, most have few */
};

struct spread {
    uint32_t  topics, connections, each; /* each connection follows `each` topics, none twice; each <= topics */
    uint32_t *sorted;                    /* sorted[connection·each + place]: topics, ascending for each connection */
};

/* 0 or -ENOMEM. The same arguments choose the same topics. `exponent` is Zipf's. */
int  spread_init(struct spread *spread, enum spread_kind kind, double exponent, uint32_t topics, uint32_t connections, uint32_t each);
void spread_deinit(struct spread *spread);

/* At which of its places a connection follows a topic; SPREAD_NONE: it does not. */
uint32_t spread_place(const struct spread *spread, uint32_t connection, uint32_t topic);

/* The topics of one connection in the order in which it asks for them, which is no order: out[each]. */
void spread_shuffled(const struct spread *spread, uint32_t connection, uint32_t *out);

/* Writes a topic's name, 8 to 16 bytes without an end mark; returns its size. And back; SPREAD_NONE: it is none of ours. */
uint32_t spread_name(uint32_t topic, char out[SPREAD_NAME_BYTES_MAX]);
uint32_t spread_find(const struct spread *spread, struct span name);

#endif
