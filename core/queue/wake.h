/* Waking a shard that sleeps in its ring, without a system call where it is awake, and without ever losing a wake-up.
 *
 *     consumer, before it waits                    producer, after spsc_publish()
 *     -------------------------                    ------------------------------
 *  c1 asleep = true                             p1 published = n          (by spsc_publish)
 *     ---- full fence ----                         ---- full fence ----
 *  c2 looks at its queues again                 p2 asleep? and if so, exchange it with false
 *       not empty: goes on, doesn't wait              it was true: this producer sends the wake-up
 *       empty: waits                                  it was false: nobody need
 *  c3 asleep = false
 *
 * No wake-up is lost. Fences stand in one order for all threads. Either the consumer's comes first: then p2 sees what c1 wrote,
 * or something later, which is c3 (the consumer is up and looks at all its queues before it sleeps again) or another producer's exchange
 * (that one sends). Or the producer's comes first: then c2 sees what p1 wrote, and the consumer doesn't wait. Both may happen
 * at once; the wake-up then finds the consumer awake and costs one empty turn. The exchange makes it one wake-up for each sleep
 * however many producers there are.
 *
 * tests/support/wake_model.h is a model of this, and tests/sim/sim_wake.c walks all its runs, up to three producers and six items: with these
 * steps none loses a wake-up, and with any of them left out or in another order one does, or wakes too often.
 *
 * How a wake-up travels is not said here: a shard posts it from its own ring to the other's, a thread without a ring calls wake_send(). */
#ifndef CORE_QUEUE_WAKE_H
#define CORE_QUEUE_WAKE_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>

struct wake {
    alignas(128) _Atomic unsigned asleep; /* 1 or 0; alone on its lines: producers read it after each batch */
    alignas(128) int event_fd;
};

/* Returns 0 or -errno. */
int wake_init(struct wake *wake);
void wake_deinit(struct wake *wake);

/* Consumer: from now on producers wake it. The caller looks at its queues once more before it waits. Always true, so that this reads
 * as what has to be done:
 *     if (wake_sleep_begin(wake) && all_queues_empty(shard)) wait_for_something(shard);
 *     wake_sleep_end(wake); */
bool wake_sleep_begin(struct wake *wake);
/* Consumer: awake, whatever the reason. */
void wake_sleep_end(struct wake *wake);

/* Producer, any thread, after publishing: true for one caller in each sleep, who must see to it that the consumer gets up. */
bool wake_needed(struct wake *wake);
/* Producer, any thread: makes the eventfd readable. */
void wake_send(struct wake *wake);

/* The eventfd, in blocking mode: read 8 bytes from it, by the ring or after a poll, to make it quiet again. */
int wake_fd(const struct wake *wake);

#endif
