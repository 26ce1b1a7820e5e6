/* A model of core/queue/wake.h and spsc.h, with the turn of gateway/shard.c around them, small enough that all its runs can be walked: one
 * consumer, up to three producers with a queue each, every step atomic, memory weaker than C11's (without what it lets loads do early).
 *
 * Memory. A count that was published has one writer: a load of it gives any value from the newest that its thread is bound to see up to the
 * newest there is, which also stands for stores that linger in a buffer. The flag has several writers: the consumer's stores to
 * it land one by one, at any time after; a load of it gives any value that it has had since the store which the producer is bound to
 * see; an exchange acts on the newest. A fence lands the thread's own stores, leaves word of them, and binds the thread to what others
 * left word of at their fences: the consumer of its flag, a producer of its count. Nobody is bound by anything else, less than in C11:
 * not by what others have read, not by acquire, release or the kernel, and not by its own loads of the flag. So what holds here holds by
 * the two fences alone. Loads don't run ahead of the steps before them but past their own thread's stores: c3 stays behind c2 since
 * those are acquire loads.
 *
 * The wake-up. A peer stages it in its ring at p2 and submits it whenever it likes, also after publishing more; the main thread, where
 * the plan has one, writes the eventfd, whose read the consumer arms again when it next submits. The consumer may also get up for
 * other reasons (a socket, a timer), as often as you like; that never counts as rescue. */
#ifndef TESTS_SUPPORT_WAKE_MODEL_H
#define TESTS_SUPPORT_WAKE_MODEL_H

#include <stdbool.h>
#include <stdint.h>

enum { WAKE_PRODUCERS_MAX = 3 };

/* What may be broken on purpose. */
enum wake_fault {
    FAULT_NONE,
    FAULT_NO_CONSUMER_FENCE,
    FAULT_NO_PRODUCER_FENCE,
    FAULT_LOOK_BEFORE_FLAG,     /* c2 before c1 */
    FAULT_PUBLISH_AFTER_CHECK,  /* p2 before p1 */
    FAULT_CLEAR_BEFORE_WAIT,    /* c3 before the wait */
    FAULT_CLEAR_AFTER_TAKING,   /* c3 behind the turn's taking */
    FAULT_NO_SLEEP_END,         /* no c3 at all */
    FAULT_PLAIN_FLAG,           /* p2 reads and writes where it should exchange */
    FAULT_MESSAGE_UNSENT,       /* a peer's wake-up is staged and never submitted */
    FAULT_READ_ONCE,            /* the eventfd's read is not armed again */
    FAULT_NEVER_WAITS,          /* it goes on whatever the look at c2 says */
};

struct wake_plan {
    uint32_t        producers;
    uint8_t         items[WAKE_PRODUCERS_MAX]; /* of each */
    bool            main_thread;      /* producer 0 has no ring */
    bool            sequential;       /* memory as a beginner thinks it is: no buffers, no stale loads */
    enum wake_fault fault;
};

/* A set of values of the flag. */
enum { CAN_BE_0 = 1, CAN_BE_1 = 2 };

struct wake_model_queue { /* and its producer */
    uint8_t pc;         /* the producer's */
    uint8_t published;
    uint8_t fenced;     /* published as of its last fence */
    uint8_t can_read;   /* the flag since what it is bound to see; CAN_BE_... */
    uint8_t staged;     /* a wake-up waits for its submit */
    uint8_t floor;      /* the consumer reads no count below this one: taken <= seen <= floor <= published */
    uint8_t seen;
    uint8_t taken;
};

/* Bytes without a gap between them, compared and hashed as such. */
struct wake_state {
    uint8_t flag;       /* the newest */
    uint8_t since_told; /* the flag since the store that the consumer's last fence left word of; CAN_BE_... */
    uint8_t pc, queue;  /* the consumer's */
    uint8_t buffered, buffer; /* its stores to the flag that have not landed: count, and bits, the oldest lowest */
    uint8_t posted;     /* a wake-up lies in its completion queue */
    uint8_t eventfd;    /* readable */
    uint8_t read;       /* of the eventfd, in its ring */
    uint8_t claimed;    /* a producer took the last sleep's wake-up on itself */
    struct wake_model_queue queues[WAKE_PRODUCERS_MAX];
};
_Static_assert(sizeof(struct wake_state) == 10 + 8 * WAKE_PRODUCERS_MAX, "no gap");

/* What must not happen, as bits. */
enum wake_wrong {
    WRONG_LOST = 1,     /* the consumer waits, something is in a queue, all its producers have moved on, no wake-up is under way */
    WRONG_TWICE = 2,    /* two producers wake for one sleep */
    WRONG_NEEDLESS = 4, /* a producer wakes a consumer that is up and has said so */
    WRONG_STUCK = 8,    /* no step but for another reason is left, and it isn't the good end */
    WRONG_ENDLESS = 16, /* the enumerator's: a run that comes back to where it was without another reason to get up */
};

struct wake_state wake_state_first(const struct wake_plan *plan);

struct wake_step {
    const char *name;         /* a literal */
    unsigned    wrong;        /* what the step itself does wrong: enum wake_wrong, 0: nothing */
    bool        other_reason; /* it may never come */
};
typedef void wake_state_emit(void *context, const struct wake_state *next, struct wake_step step);
/* Calls `emit` for every state that one step leads to. */
void wake_state_next(const struct wake_plan *plan, const struct wake_state *state, wake_state_emit *emit, void *context);
/* What is wrong with the state itself: WRONG_LOST or 0. */
unsigned wake_state_wrong(const struct wake_plan *plan, const struct wake_state *state);
/* All was published and taken, nothing is under way, and the consumer sleeps. */
bool wake_state_is_end(const struct wake_plan *plan, const struct wake_state *state);

#endif
