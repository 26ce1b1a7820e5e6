/* Trace: when an update passed each door of the house, for whoever looks for lost time. An instrument: there is one in a shard only
 * where the setting `trace` asks for it, and whoever calls looks for that first.
 *
 *   publisher's shard   received, read -- in the ask -->
 *   home                taken, appended, told
 *   reader's shard      heard, woken, staged, submitted, settled, last
 *
 * Every `every`-th update of a topic is traced, by its seq: so each shard knows which ones without being told. A record tells what one shard
 * saw of one update; it is open from its first door on until the flush has sent it to all who wait, then it is done, and waits to be
 * taken. Times are of CLOCK_MONOTONIC in nanoseconds. Its shard's thread only. */
#ifndef CORE_PUBSUB_TRACE_H
#define CORE_PUBSUB_TRACE_H

#include <stdint.h>

#include "core/proto/topic_name.h"

enum door {
    DOOR_RECEIVED,  /* the completion was seen that brought the last of its bytes */
    DOOR_READ,      /* its request was read and validated: about to be asked of its home */
    DOOR_TAKEN,     /* by its home, where that is another shard than the publisher's */
    DOOR_APPENDED,  /* numbered, and encoded into its logs */
    DOOR_TOLD,      /* first written into a queue to another shard */
    DOOR_HEARD,     /* taken out of it there */
    DOOR_WOKEN,     /* all who waited for it are ready */
    DOOR_STAGED,    /* its first range was cut for a send */
    DOOR_SUBMITTED, /* its first batch of sends is about to be submitted */
    DOOR_SETTLED,   /* the sockets have that batch */
    DOOR_LAST,      /* and its last one */
    DOORS_COUNT
};

/* How they are called where they are told. */
extern const char *const door_names[DOORS_COUNT];

#define TRACE_OPEN_MAX 64  /* beyond it updates are passed over, and counted */
#define TRACE_DONE_MAX 256 /* likewise the oldest */

struct trace_record {
    uint64_t seq;
    uint64_t at_ns[DOORS_COUNT]; /* 0: it did not pass it here */
    bool     batched;            /* a range with it is in the batch that is being staged */
    uint8_t  name_bytes;
    char     name[TOPIC_NAME_BYTES_MAX];
};

struct trace {
    uint64_t every;
    uint64_t received_ns, read_ns, taken_ns; /* of the publish that is being served; read_ns 0: there is none, or it came from nobody outside */
    uint64_t missed;                         /* records that there was no room for */
    uint32_t open_count;
    uint32_t done_first, done_count; /* a ring */
    struct trace_record open[TRACE_OPEN_MAX], done[TRACE_DONE_MAX];
};

/* On the heap; NULL: no memory. */
struct trace *trace_make(uint64_t every);
void          trace_free(struct trace *trace);

/* A publish was read whose last bytes came then, and goes to its home now. */
void trace_read(struct trace *trace, uint64_t received_ns);
/* It goes there by a queue, with these; and there it is taken out. */
void trace_ask(struct trace *trace, uint64_t *received_ns, uint64_t *read_ns);
void trace_asked(struct trace *trace, uint64_t received_ns, uint64_t read_ns);
/* It is the topic's update `seq` now. */
void trace_appended(struct trace *trace, struct span topic, uint64_t seq);
/* Another shard is being told of all up to `seq`. */
void trace_told(struct trace *trace, struct span topic, uint64_t seq);
/* That shard hears of all after `before` up to `seq`. */
void trace_heard(struct trace *trace, struct span topic, uint64_t before, uint64_t seq);
void trace_woken(struct trace *trace, struct span topic, uint64_t seq);

static inline bool trace_is_open(const struct trace *trace)
{
    return trace->open_count > 0;
}
/* A range of updates from `from` up to before `to` is in the batch; the batch is about to be submitted, and is settled. */
void trace_staged(struct trace *trace, struct span topic, uint64_t from, uint64_t to);
void trace_submitted(struct trace *trace);
void trace_settled(struct trace *trace);
/* Nobody waits to be sent anything: what is open is done. */
void trace_close(struct trace *trace);

static inline struct span trace_topic(const struct trace_record *record)
{
    return span_of(record->name, record->name_bytes);
}
/* The oldest that is done, to be dropped when it was told; NULL: there is none. */
const struct trace_record *trace_first(const struct trace *trace);
void                       trace_drop_first(struct trace *trace);

#endif
