/* See wheel.h. */
#include "core/base/wheel.h"

#include "core/base/check.h"

static void ring_init(struct timer *head)
{
    head->next = head->prev = head;
}

static bool ring_is_empty(const struct timer *head)
{
    return head->next == head;
}

static void ring_append(struct timer *head, struct timer *timer)
{
    timer->next = head;
    timer->prev = head->prev;
    head->prev->next = timer;
    head->prev = timer;
}

/* All of `from` goes behind `to`, in order; `from` is empty afterwards. */
static void ring_append_all(struct timer *to, struct timer *from)
{
    if (ring_is_empty(from)) return;
    from->next->prev = to->prev;
    from->prev->next = to;
    to->prev->next = from->next;
    to->prev = from->prev;
    ring_init(from);
}

static void unlink_timer(struct timer *timer)
{
    timer->next->prev = timer->prev;
    timer->prev->next = timer->next;
    timer->next = timer->prev = NULL;
}

/* Where the slot begins in time: the wheel's digits above it, the slot's own digit, zeros below. */
static uint64_t slot_begin_ms(const struct wheel *wheel, unsigned level, unsigned slot)
{
    unsigned shift = level * WHEEL_DIGIT_BITS;
    uint64_t above = level + 1 < WHEEL_LEVELS ? ~UINT64_C(0) << (shift + WHEEL_DIGIT_BITS) : 0;
    return (wheel->now_ms & above) | (uint64_t)slot << shift;
}

/* The occupied slot that begins first; false: there is none. */
static bool first_slot(const struct wheel *wheel, unsigned *level, unsigned *slot)
{
    for (unsigned i = 0; i < WHEEL_LEVELS; i++) {
        if (wheel->occupied[i] == 0) continue;
        *level = i;
        *slot = (unsigned)__builtin_ctzll(wheel->occupied[i]);
        return true;
    }
    return false;
}

/* Into its slot; due_ms is after the wheel's time. */
static void place(struct wheel *wheel, struct timer *timer)
{
    unsigned top_bit = 63 - (unsigned)__builtin_clzll(timer->due_ms ^ wheel->now_ms);
    unsigned level = top_bit / WHEEL_DIGIT_BITS;
    unsigned slot = timer->due_ms >> level * WHEEL_DIGIT_BITS & (WHEEL_SLOTS - 1);
    ring_append(&wheel->slots[level][slot], timer);
    wheel->occupied[level] |= UINT64_C(1) << slot;
}

void wheel_init(struct wheel *wheel, uint64_t now_ms)
{
    wheel->now_ms = now_ms;
    ring_init(&wheel->overdue);
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        wheel->occupied[level] = 0;
        for (unsigned slot = 0; slot < WHEEL_SLOTS; slot++) ring_init(&wheel->slots[level][slot]);
    }
}

void timer_init(struct timer *timer)
{
    timer->next = timer->prev = NULL;
    timer->due_ms = 0;
}

void wheel_cancel(struct wheel *wheel, struct timer *timer)
{
    if (!timer_armed(timer)) return;
    struct timer *neighbour = timer->next, *head = NULL;
    if (neighbour == timer->prev) head = neighbour; /* it was alone: the other node of the ring is the head */
    unlink_timer(timer);

    /* The head of a slot tells which bit to clear by its address; that of `overdue` and of an advance's own ring has none. */
    struct timer *slots = &wheel->slots[0][0];
    uintptr_t offset = (uintptr_t)head - (uintptr_t)slots;
    if (!head || offset >= sizeof wheel->slots) return;
    size_t index = offset / sizeof *slots;
    wheel->occupied[index / WHEEL_SLOTS] &= ~(UINT64_C(1) << index % WHEEL_SLOTS);
}

void wheel_arm(struct wheel *wheel, struct timer *timer, uint64_t due_ms)
{
    wheel_cancel(wheel, timer);
    timer->due_ms = due_ms;
    if (due_ms > wheel->now_ms) place(wheel, timer);
    else ring_append(&wheel->overdue, timer);
}

/* Moves the wheel's time to now_ms and what is due by then into `due`, earliest first. */
static void collect_due(struct wheel *wheel, uint64_t now_ms, struct timer *due)
{
    ring_append_all(due, &wheel->overdue);
    unsigned level, slot;
    while (first_slot(wheel, &level, &slot)) {
        uint64_t begin_ms = slot_begin_ms(wheel, level, slot);
        if (begin_ms > now_ms) break;
        CHECK(begin_ms > wheel->now_ms);
        wheel->now_ms = begin_ms;
        wheel->occupied[level] &= ~(UINT64_C(1) << slot);
        struct timer *head = &wheel->slots[level][slot];
        if (level == 0) {
            ring_append_all(due, head);
            continue;
        }
        while (!ring_is_empty(head)) { /* wheel time has come to this slot: its timers now differ in a lower digit */
            struct timer *timer = head->next;
            unlink_timer(timer);
            if (timer->due_ms == begin_ms) ring_append(due, timer);
            else place(wheel, timer);
        }
    }
    wheel->now_ms = now_ms;
}

void wheel_advance(struct wheel *wheel, uint64_t now_ms, void (*fire)(void *context, struct timer *timer), void *context)
{
    CHECK(now_ms >= wheel->now_ms);
    struct timer due;
    ring_init(&due);
    collect_due(wheel, now_ms, &due);
    while (!ring_is_empty(&due)) {
        struct timer *timer = due.next;
        unlink_timer(timer);
        fire(context, timer);
    }
}

int64_t wheel_next_ms(const struct wheel *wheel, uint64_t now_ms)
{
    if (!ring_is_empty(&wheel->overdue)) return 0;
    unsigned level, slot;
    if (!first_slot(wheel, &level, &slot)) return -1;
    uint64_t begin_ms = slot_begin_ms(wheel, level, slot);
    if (begin_ms <= now_ms) return 0;
    uint64_t sleep_ms = begin_ms - now_ms;
    return sleep_ms > INT64_MAX ? INT64_MAX : (int64_t)sleep_ms;
}
