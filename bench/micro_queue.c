/* Steps of micro.h between threads: the queue, in one thread and as a hop to another CPU and back, and the look whether a peer sleeps. */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/machine.h"
#include "bench/micro.h"
#include "core/queue/spsc.h"
#include "core/queue/wake.h"

#define SLOTS      1024
#define ITEM_BYTES 64
#define BATCH      32
#define STOP       UINT64_MAX

struct item {
    uint64_t number;
    char     rest[ITEM_BYTES - 8];
};

struct queues {
    struct spsc    there, back;
    struct spsc_tx tx;
    struct spsc_rx rx;
    struct wake    wake;
    pthread_t      thread;
    bool           threaded;
    int64_t        cpu; /* the other's */
};

static void *begin(void)
{
    struct queues *self = aligned_alloc(alignof(struct queues), sizeof *self);
    if (!self) return NULL;
    *self = (struct queues){ 0 };
    if (spsc_init(&self->there, ITEM_BYTES, SLOTS) || spsc_init(&self->back, ITEM_BYTES, SLOTS) || wake_init(&self->wake)) return NULL;
    self->tx = spsc_producer(&self->there);
    self->rx = spsc_consumer(&self->there);
    return self;
}

static uint64_t through(struct queues *self, uint64_t count, uint32_t batch)
{
    uint64_t sum = 0;
    struct item item = { 0 };
    for (uint64_t i = 0; i < count;) {
        for (uint32_t b = 0; b < batch && i < count; b++, i++) {
            item.number = i;
            spsc_stage(&self->tx, &item);
        }
        spsc_publish(&self->tx);
        for (const struct item *taken; (taken = spsc_take_slot(&self->rx));) sum += taken->number;
        spsc_release(&self->rx);
    }
    return sum;
}

static uint64_t one(void *self, uint64_t count) { return through(self, count, 1); }
static uint64_t many(void *self, uint64_t count) { return through(self, count, BATCH); }

/* The other thread sends back what comes. */
static void *echo(void *context)
{
    struct queues *self = context;
    struct spsc_rx rx = spsc_consumer(&self->there);
    struct spsc_tx tx = spsc_producer(&self->back);
    machine_pin(self->cpu);
    for (uint64_t number = 0; number != STOP;) {
        const struct item *taken = spsc_take_slot(&rx);
        if (!taken) continue;
        struct item item = *taken;
        spsc_release(&rx);
        number = item.number;
        spsc_stage(&tx, &item);
        spsc_publish(&tx);
    }
    return NULL;
}

static void *begin_pair(void)
{
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2) return NULL;
    struct queues *self = begin();
    if (!self) return NULL;
    self->rx = spsc_consumer(&self->back);
    self->cpu = (sched_getcpu() + 1) % sysconf(_SC_NPROCESSORS_ONLN);
    self->threaded = pthread_create(&self->thread, NULL, echo, self) == 0;
    return self->threaded ? self : NULL;
}

static const struct item *exchange(struct queues *self, uint64_t number)
{
    struct item item = { .number = number };
    const struct item *taken;
    spsc_stage(&self->tx, &item);
    spsc_publish(&self->tx);
    while (!(taken = spsc_take_slot(&self->rx))) continue;
    return taken;
}

/* There and back is two hops; an operation is one. */
static uint64_t hop(void *context, uint64_t count)
{
    struct queues *self = context;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < (count + 1) / 2; i++) {
        sum += exchange(self, i)->number;
        spsc_release(&self->rx);
    }
    return sum;
}

static uint64_t look(void *context, uint64_t count)
{
    struct queues *self = context;
    uint64_t asleep = 0;
    for (uint64_t i = 0; i < count; i++) asleep += wake_needed(&self->wake);
    return asleep;
}

static uint64_t sleep_and_look(void *context, uint64_t count)
{
    struct queues *self = context;
    uint64_t asleep = 0;
    for (uint64_t i = 0; i < count; i++) {
        wake_sleep_begin(&self->wake);
        asleep += wake_needed(&self->wake);
        wake_sleep_end(&self->wake);
    }
    return asleep;
}

static void end(void *context)
{
    struct queues *self = context;
    if (self->threaded) {
        exchange(self, STOP);
        pthread_join(self->thread, NULL);
    }
    wake_deinit(&self->wake);
    spsc_deinit(&self->there);
    spsc_deinit(&self->back);
    free(self);
}

const struct micro_step micro_queue_steps[] = {
    { "spsc", "an item through the queue, one thread", 0, begin, one, end },
    { "spsc_32", "the same, 32 a publish", 0, begin, many, end },
    { "hop", "an item's hop to another CPU", 0, begin_pair, hop, end },
    { "look", "a look whether a peer sleeps: it is awake", 0, begin, look, end },
    { "wake", "going to sleep and being woken, without the system calls", 0, begin, sleep_and_look, end },
    { 0 },
};
