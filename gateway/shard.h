/* A shard: one thread, one ring, one listener, a slice of the connections, and the engine of its topics. Shares nothing.
 *
 * shard_run() is the turn: wait, completions, input, timers, tell, flush, retire. Everything else in gateway/ is called
 * from there, on this thread. The main thread speaks to it through a queue of commands and a wake-up, and hears its reports. */
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
#include "core/proto/http_date.h"
#include "core/pubsub/engine.h"
#include "core/queue/spsc.h"
#include "core/queue/wake.h"
#include "gateway/admission.h"
#include "gateway/inherited.h"
#include "gateway/listener.h"
#include "gateway/logger.h"
#include "gateway/reports.h"
#include "gateway/settings.h"
#include "gateway/system.h"
#include "gateway/tracing.h"

struct gateway;
struct tls;

/* What compression.h works with. */
struct compression {
    struct deflater *deflater;
    struct deflated_lines *lines;
    int64_t          time_left;      /* for compressing updates, in hundredths of a microsecond, as compression.cpu is in hundredths; below 0: overspent */
    uint64_t         time_at_us;     /* up to when it was given out, by clock.mono_us */
    struct compressor compressor;    /* the same, as the engine uses it */
    struct inflater *inflater;       /* NULL: a message that comes in pieces has it on loan */
    uint64_t         inflated_bytes; /* since consuming looked last: they count as what a turn takes in */
};

enum command_kind {
    COMMAND_DRAIN, /* SIGTERM: say goodbye to all; REPORT_DRAINED answers */
    COMMAND_STOP,  /* a second one: let go of all connections now */
    COMMAND_END,   /* all shards have drained: answer what was accepted; REPORT_ANSWERED answers */
    COMMAND_LEAVE, /* none waits for another any more: the thread ends, once it has answered */
    COMMAND_STATE, /* SIGUSR1: the state as text; REPORT_STATE answers */
    COMMAND_ADOPT, /* these settings and certificates from now on; REPORT_ADOPTED answers */
};

struct command {
    enum command_kind      kind;
    const struct settings *settings; /* ADOPT: valid until the shard has adopted others, or ended */
    const struct tls      *tls;      /* likewise */
};

/* A list of connections through one of their links. */
struct conn_list {
    uint32_t first, last; /* POOL_NONE: empty */
};

/* A shard that has drained, and then one that has answered, goes on serving its topics to the others until the main thread says that all have. */
enum { SHARD_OPEN, SHARD_DRAINING, SHARD_DRAINED, SHARD_ENDING, SHARD_ANSWERED, SHARD_ENDED };

struct shard {
    uint32_t               index;
    struct gateway        *gateway;  /* the others: for waking them, and for totals of their counters */
    uint32_t               connections_max; /* those beyond it are told so: limits.connections, or what the limit of open files allows */
    const struct settings *settings; /* the version in force here; changed by shard_adopt() alone */
    struct tracing        *tracing;  /* NULL: nothing is traced */
    struct logger          logger;
    struct reports         reports;
    struct clock           clock;
    struct http_date       date;     /* of answers, by clock.wall_us */
    struct counters        counters;
    struct ring            ring;
    struct recv_buffers    recv_buffers;
    struct send_batch     *batch;
    struct fanout         *fanout;
    struct pool            conns;     /* of struct conn */
    struct bitset          live;      /* connections that are not free */
    struct bitset          ready;     /* connections with something to send and, as far as known, room for it */
    struct bitset          stalled;   /* connections whose requests found a link full */
    struct pool            pendings;  /* of struct pending: what other shards were asked */
    struct conn_list       input;     /* connections with bytes to be consumed */
    struct conn_list       starved;   /* connections whose receive found no free buffer */
    struct conn_list       shaking;   /* connections whose handshake can go on */
    struct wheel           wheel;
    struct engine          engine;
    struct listener        listener;
    struct listener        tls_listener; /* descriptor -1: none */
    const struct tls      *tls;       /* the version in force here; NULL: no TLS is served. Changed by shard_adopt() alone */
    char                  *plain;     /* plaintext of whoever is being read: TLS_RECORD_BYTES_MAX */
    struct admission       admission;
    struct compression     compression;
    size_t                 toil; /* since consuming looked last: what requests cost beside their bytes, in bytes of updates that cost as much */
    uint64_t               clients_bytes; /* the sum of what connections hold: memory.h */
    bool                   shedding;      /* it was more than limits.memory allows */
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
    uint32_t               goodbyes_due, goodbyes; /* of the drain: those who are told to come back, and how many were */
    uint64_t               answer_until_ms; /* while it ends: so long the replies of other shards are awaited */
    bool                   leaves; /* COMMAND_LEAVE came */
    struct system          system;       /* its own figures, published */
    uint64_t               metrics_ms;   /* when metrics_look() looked last */
    pthread_t              thread;
    sem_t                  started;          /* what the main thread waits for */
    sem_t                  may_serve;        /* what the shard's thread then waits for */
    uint64_t               started_us;       /* by clock.mono_us */
    const char            *start_why;      /* why it did not start; NULL: it did */
    enum send_exactness    sends;
};

/* All shards of the process, and what joins them. Made by the main thread; afterwards each shard touches itself alone, but for
 * the counters and the wake-ups of the others and of the main thread. */
struct gateway {
    struct shard    *shards;
    uint32_t         shards_count;
    struct wires    *wires;
    const struct tls *tls;      /* the version at the start; NULL: none is served */
    struct inherited inherited; /* listening sockets that were taken over */
    struct wake      main_wake; /* the main thread's, for reports */
    struct counters  counters;  /* the main thread's */
    uint64_t         started_us; /* by the wall clock */
    struct counter_shared system_followed; /* interests of shards in $sys topics, as far as their homes have told */
};

/* By the main thread. 0 or -1 with a plain sentence in `why`. The listener is bound when it returns.
 *   hash_key   the same for all shards */
int  shard_init(struct shard *shard, uint32_t index, struct gateway *gateway, const struct settings *settings, const uint8_t hash_key[16], char *why, int why_size);
void shard_deinit(struct shard *shard);

/* By the main thread: starts the shard's thread and waits until its ring stands. 0 or -1 with a plain sentence. The thread serves from shard_serve() on, until it has drained
 * or was stopped: no shard takes a request for another that may not come to be. shard_give_up(): it ends instead. */
int  shard_start(struct shard *shard, char *why, int why_size);
void shard_serve(struct shard *shard);
void shard_give_up(struct shard *shard);
/* By the main thread: waits for its end. */
void shard_join(struct shard *shard);

/* Wakes another shard, if it sleeps, with what is submitted next. */
void shard_wake_peer(struct shard *shard, uint32_t peer);
/* The sum of a counter over all shards. */
uint64_t shard_total(const struct shard *shard, enum counter counter);

/* By the main thread: hands a command over and wakes the shard; false: it has too many to look at already. */
bool shard_command(struct shard *shard, struct command command);

static inline uint64_t shard_now_ms(const struct shard *shard)
{
    return shard->clock.mono_us / 1000;
}

#endif
