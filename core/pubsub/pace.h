/* Paces: what bounds the updates a second of a subscription in mode `latest` (PROTOCOL.md, "Modes": max_hz).
 *
 *   began          a range is sent: at once, if it does not rest
 *   within         a range that was cut goes on; where another would take its place that one waits for its time
 *   sent           it rests: in no list (IN_RESTING), its timer is its place; an append does not touch it
 *   due            it stands where it belongs: waiting where it is caught up, else dirty
 *
 *   n intervals - PACE_SLACK_US <= the time in which n + 1 ranges are begun
 * The first due time after some quiet is rounded up to a sixteenth of the interval, so that a subscriber's topics of one rate come
 * together; under load each counts from the one before, so that the mean rate is the one that was asked for. A subscription without a
 * limit costs nothing here, and while nothing rests no timer is armed. Its shard's thread only. */
#ifndef CORE_PUBSUB_PACE_H
#define CORE_PUBSUB_PACE_H

#include "core/base/pool.h"
#include "core/base/table.h"
#include "core/base/wheel.h"

struct engine;
struct subscriber;

#define PACE_SLACK_US UINT64_C(2000)
#define PACE_INTERVAL_US_MIN UINT64_C(1000) /* the wheel knows nothing shorter */
#define PACE_INTERVAL_US_MAX UINT64_C(86400000000)

struct pace {
    struct timer timer;        /* first; armed while it rests */
    double       max_hz;       /* as it was asked for */
    uint64_t     interval_us;
    uint64_t     sent_us;      /* when something of it was sent last; 0: never */
    uint64_t     due_us;       /* when the next range may begin */
    uint64_t     until_seq;    /* the newest when the range began that was cut; 0: there is none */
    uint32_t     subscription;
};

struct paces {
    struct pool  pool;            /* of struct pace */
    struct table by_subscription; /* looked into only for those that are paced */
    struct wheel wheel;
};

/* 0 or -errno. The wheel must not move in memory afterwards. */
int  paces_init(struct paces *paces, uint32_t paces_max, uint64_t mono_us);
void paces_deinit(struct paces *paces);

/* Sets the limit, or changes it: the time of the last send counts on. 0 ends it, and a rest at once. False: no memory, and all is as it
 * was. A subscription that is being made stands in no list yet. */
bool pace_set(struct engine *engine, uint32_t subscription, double max_hz);
/* As it was asked for; 0: no limit. */
double pace_max_hz(const struct engine *engine, uint32_t subscription);
/* The subscription ends. If it rested it stands in no list now. */
void pace_end(struct engine *engine, uint32_t subscription);

/* Both are kept out of line: the way of those without a limit stays short. */

/* For a paced one: so many frames were sent, up to its cursor. It rests now, or stands where it belongs. */
__attribute__((noinline)) void pace_sent(struct engine *engine, uint32_t subscription, uint64_t frames);
/* A paced one was taken from its subscriber's dirty list: itself, or, where it must wait for its time and rests now, the next that need
 * not; POOL_NONE: there is none. */
__attribute__((noinline)) uint32_t pace_take(struct engine *engine, struct subscriber *subscriber, uint32_t subscription);

/* Those whose time has come go on. */
void     pace_tick(struct engine *engine);
/* When pace_tick() wants to be called at the latest; UINT64_MAX: nothing rests. */
uint64_t pace_due_us(const struct engine *engine);

#endif
