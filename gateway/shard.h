/* A shard: one thread, one ring, one listener, a slice of the connections, and the engine of its topics. Shares nothing.
 *
 * shard_run() is the turn: wait, completions, input, timers, tell, flush, retire. Everything else in gateway/ is called
 * from there, on this thread. The main thread speaks to it through a queue of commands and a wake-up. */
#ifndef GATEWAY_SHARD_H
#define GATEWAY_SHARD_H

#include <pthread.h>
#include <semaphore.h>

#include "core/base/bitset.h"
#include "core/base/clock.h"
#include "core/base/counters.h"
#include "core/base/pool.h"
#include "core/base/text.h"
#include "core/base/wheel.h"
#include "core/io/recv_buffers.h"
#include "core/io/send_batch.h"
#include "core/io/send_test.h"
#include "core/pubsub/engine.h"
#include "core/queue/spsc.h"
#include "core/queue/wake.h"
#include "gateway/listener.h"
#include "gateway/settings.h"

enum command {
    COMMAND_DRAIN, /* SIGTERM: say goodbye to all, then end */
    COMMAND_STOP,  /* a second one: end now */
    COMMAND_DUMP,  /* SIGUSR1: the state as text to standard error */
};

/* A list of connections through one of their links. */
struct conn_list {
    uint32_t first, last; /* POOL_NONE: empty */
};

enum { SHARD_OPEN, SHARD_DRAINING, SHARD_ENDED };

struct shard {
    uint32_t               index;
    uint32_t               connections_max; /* those beyond it are told so: limits.connections, or what the limit of open files allows */
    const struct settings *settings;
    struct clock           clock;
    struct counters        counters;
    struct ring            ring;
    struct recv_buffers    recv_buffers;
    struct send_batch     *batch;
    struct fanout         *fanout;
    struct pool            conns;     /* of struct conn */
    struct bitset          live;      /* connections that are not free */
    struct bitset          ready;     /* connections with something to send and, as far as known, room for it */
    struct conn_list       input;     /* connections with bytes to be consumed */
    struct conn_list       starved;   /* connections whose receive found no free buffer */
    struct wheel           wheel;
    struct engine          engine;
    struct listener        listener;
    struct spsc            commands;
    struct spsc_tx         commands_in;  /* the main thread's */
    struct spsc_rx         commands_out; /* the shard's */
    struct wake            wake;
    uint64_t               wake_count;   /* where the read of the eventfd lands */
    struct text            scratch;      /* a message being made; valid until the next one */
    struct text            query;        /* the decoded parameters of one request target */
    struct text            arena;        /* unescaped names of one request */
    uint32_t               generation;   /* of the newest connection */
    uint64_t               random_state; /* for jitter */
    uint8_t                state;
    uint64_t               drain_until_ms;
    pthread_t              thread;
    sem_t                  started, ended; /* what the main thread waits for */
    const char            *start_why;      /* why it did not start; NULL: it did */
    enum send_exactness    sends;
    uint32_t               websockets;   /* open now */
};

/* By the main thread. 0 or -1 with a plain sentence in `why`. The listener is bound when it returns. */
int  shard_init(struct shard *shard, uint32_t index, const struct settings *settings, char *why, int why_size);
void shard_deinit(struct shard *shard);

/* By the main thread: starts the shard's thread and waits until its ring stands; it then runs until it has drained or was
 * stopped. 0 or -1 with a plain sentence. */
int  shard_start(struct shard *shard, char *why, int why_size);
/* By the main thread: waits for its end. */
void shard_join(struct shard *shard);

/* By the main thread: hands a command over and wakes the shard; false: it has too many to look at already. */
bool shard_command(struct shard *shard, enum command command);
/* By the main thread: whether it has ended, within wait_ms. */
bool shard_has_ended(struct shard *shard, uint32_t wait_ms);

static inline uint64_t shard_now_ms(const struct shard *shard)
{
    return shard->clock.mono_us / 1000;
}

#endif
