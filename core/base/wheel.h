/* Timers: a hierarchical wheel of one-millisecond ticks, with nodes that live inside what they time.
 *
 * 11 levels of 64 slots cover the whole of 64-bit time, so no timer is too far. A timer stands at the level of the highest
 * 6-bit digit in which its due time differs from the wheel's, in the slot of that digit:
 *
 *     level 1   [..][..][now][..][t2][..]      each slot is 64 ms wide
 *     level 0   [..][now][..][t1][..][..]      each slot is one millisecond
 *
 *     now_ms < due_ms of every timer in a slot; one that was armed too late waits in `overdue`
 *     all above a timer's digit is equal to now_ms, so occupied slots are right of now, and lower levels come first
 *
 * Arming and cancelling cost the same however many timers there are. A timer moves down at most once for each level; empty
 * time is skipped by bit maps, so a jump of hours costs what is due and no more.
 * A wheel belongs to one thread. Source: Varghese and Lauck, "Hashed and Hierarchical Timing Wheels" (1987), scheme 6 and 7. */
#ifndef CORE_BASE_WHEEL_H
#define CORE_BASE_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WHEEL_DIGIT_BITS 6
#define WHEEL_SLOTS (1 << WHEEL_DIGIT_BITS)
#define WHEEL_LEVELS ((64 + WHEEL_DIGIT_BITS - 1) / WHEEL_DIGIT_BITS)

/* Embed it in what it times. It must not move in memory, nor be freed, while it is armed. */
struct timer {
    struct timer *next, *prev; /* both NULL while not armed */
    uint64_t      due_ms;
};

struct wheel {
    uint64_t     now_ms;                 /* what the last advance was told; never goes back */
    uint64_t     occupied[WHEEL_LEVELS]; /* a bit for each slot that holds a timer */
    struct timer slots[WHEEL_LEVELS][WHEEL_SLOTS]; /* heads of rings */
    struct timer overdue;                /* head of those armed when already due; the next advance fires them */
};

/* The wheel must not move in memory afterwards: its timers point at it. */
void wheel_init(struct wheel *wheel, uint64_t now_ms);

void timer_init(struct timer *timer);

static inline bool timer_armed(const struct timer *timer)
{
    return timer->next != NULL;
}

/* Arms the timer for due_ms; one that is armed already is moved. A due time that has passed is allowed: it fires at the
 * next advance. */
void wheel_arm(struct wheel *wheel, struct timer *timer, uint64_t due_ms);

/* Does nothing where it is not armed. */
void wheel_cancel(struct wheel *wheel, struct timer *timer);

/* Moves the wheel's time to now_ms, which is never less than the last one, and fires all timers with due_ms <= now_ms: those
 * that were armed too late first, then by due time; never one before its time. A timer is no longer armed when it fires. fire() may arm and cancel any timer,
 * itself included: what it cancels or moves to a later time does not fire; what it arms waits for the next advance even if
 * it is due already, so an advance always ends. fire() may not advance. */
void wheel_advance(struct wheel *wheel, uint64_t now_ms, void (*fire)(void *context, struct timer *timer), void *context);

/* For how many milliseconds one may sleep without being late for a timer; -1: for ever. The timer itself may be due later:
 * one that is far away needs an advance now and then on the way, at most one for each level. */
int64_t wheel_next_ms(const struct wheel *wheel, uint64_t now_ms);

#endif
