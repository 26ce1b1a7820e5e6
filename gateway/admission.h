/* Admission: who may come in. How fast connections are accepted, whose address each has and how many it has already, and which proxies are
 * believed whom they speak for. Its shard's thread only.
 *
 * Shards share nothing: each counts the connections that it holds. Of several shards each allows its part of limits.connections-per-address
 * and an eighth of it and eight more, so that none is refused because the kernel spread them unevenly. */
#ifndef GATEWAY_ADMISSION_H
#define GATEWAY_ADMISSION_H

#include "core/base/pool.h"
#include "core/base/rate.h"
#include "core/base/table.h"
#include "core/io/ring.h"
#include "core/proto/address.h"
#include "gateway/settings.h"

struct shard;
struct conn;
struct span;

/* Accepts in the kernel's hands where each is to bring its address: below Linux 6.7. */
#define ACCEPTS_AT_ONCE 16 /* of each listener; those of the one for TLS stand behind */

struct admission {
    struct network   trusted[NETWORKS_MAX];
    int              trusted_count;
    struct pool      addresses; /* of what is counted */
    struct table     by_address;
    uint8_t          hash_key[16];
    struct rate      accepts;
    bool             ended;
    bool             paused;    /* more came in than limits.accepts-per-second allows: the others wait in the listener's backlog */
    bool             few;       /* few slots are left: each accept takes one connection */
    uint32_t         accepting; /* a bit for each accept in the kernel's hands */
    uint32_t         many;      /* of those, the ones that take connections until they are cancelled */
    struct ring_peer peers[2 * ACCEPTS_AT_ONCE];
    uint32_t         sizes[2 * ACCEPTS_AT_ONCE];
};

/* 0 or -ENOMEM. */
int  admission_init(struct shard *shard, uint32_t connections_max);
void admission_deinit(struct shard *shard);
/* The settings changed. */
void admission_adopt(struct shard *shard);

/* Once a turn, before it waits: has accepts in the kernel's hands, where there may be any. */
void admission_arm(struct shard *shard);
/* Accepts no more; over when `accepting` is 0. */
void admission_end(struct shard *shard);
/* An accept was over. */
void admission_on_accept(struct shard *shard, const struct completion *completion);
/* How long accepting pauses from now on; -1: it does not. */
int64_t admission_wait_ms(const struct shard *shard);

/* Whether this peer is one of proxies.trusted. */
bool admission_trusts(const struct shard *shard, const struct address *address);
/* Counts a connection at its address, once; those of loopback, of trusted proxies and of nobody known are not. False: the address has as
 * many as it may have. */
bool admission_count(struct shard *shard, struct conn *conn);
void admission_uncount(struct shard *shard, struct conn *conn);

/* The same for whom a trusted proxy's request speaks; X-Forwarded-For of others is not looked at. */
struct http_request;
bool admission_forwarded(struct shard *shard, struct conn *conn, struct span head, const struct http_request *request);

#endif
