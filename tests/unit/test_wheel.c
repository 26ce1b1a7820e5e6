/* The timer wheel: a table of facts, and a random life beside an oracle that looks at every timer every time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <assert.h>
#include <string.h>

#include "core/base/random.h"
#include "core/base/wheel.h"

static_assert(sizeof(struct timer) <= 32, "timers are embedded by the hundred thousand");

static struct wheel wheel; /* 17 KiB, and it may not move */

static void count(void *context, struct timer *timer)
{
    (void)timer;
    ++*(int *)context;
}

static void fires_at_its_millisecond_and_not_before(void **state)
{
    static const struct {
        uint64_t now_ms, due_ms;
    } facts[] = {
        { 0, 1 }, { 0, 63 }, { 0, 64 }, { 0, 65 }, { 0, 4095 }, { 0, 4096 }, { 63, 64 }, { 64, 127 }, { 1000, 1001 },
        { 4095, 4096 }, { 4095, 4097 }, { 262143, 262144 }, { 1, 1 << 30 }, { 1763812345678, 1763812370678 },
        { 12345, UINT64_C(1) << 60 }, { 12345, UINT64_MAX }, { UINT64_MAX - 1, UINT64_MAX },
    };
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        struct timer timer;
        int fired = 0;
        wheel_init(&wheel, facts[i].now_ms);
        timer_init(&timer);
        wheel_arm(&wheel, &timer, facts[i].due_ms);
        wheel_advance(&wheel, facts[i].due_ms - 1, count, &fired);
        assert_int_equal(fired, 0);
        assert_true(timer_armed(&timer));
        assert_int_equal(wheel_next_ms(&wheel, facts[i].due_ms - 1), 1);
        wheel_advance(&wheel, facts[i].due_ms, count, &fired);
        assert_int_equal(fired, 1);
        assert_false(timer_armed(&timer));
        assert_int_equal(wheel_next_ms(&wheel, facts[i].due_ms), -1);
    }
}

static void one_sleeps_at_most_once_for_each_level(void **state)
{
    struct timer timer;
    int fired = 0, sleeps = 0;
    uint64_t now_ms = 0x0123456789abcdef;
    wheel_init(&wheel, now_ms);
    timer_init(&timer);
    wheel_arm(&wheel, &timer, 0x7edcba9876543210);
    for (;;) {
        int64_t sleep_ms = wheel_next_ms(&wheel, now_ms);
        if (sleep_ms < 0) break;
        assert_true(sleep_ms > 0);
        sleeps++;
        now_ms += (uint64_t)sleep_ms;
        wheel_advance(&wheel, now_ms, count, &fired);
        assert_int_equal(fired, now_ms == 0x7edcba9876543210);
    }
    assert_int_equal(fired, 1);
    assert_true(sleeps <= WHEEL_LEVELS);
}

static void armed_too_late_fires_at_the_next_advance(void **state)
{
    struct timer now, past;
    int fired = 0;
    wheel_init(&wheel, 1000);
    timer_init(&now);
    timer_init(&past);
    wheel_arm(&wheel, &now, 1000);
    wheel_arm(&wheel, &past, 3);
    assert_int_equal(wheel_next_ms(&wheel, 1000), 0);
    wheel_advance(&wheel, 1000, count, &fired);
    assert_int_equal(fired, 2);
    assert_int_equal(wheel_next_ms(&wheel, 1000), -1);
}

static void a_cancelled_timer_leaves_nothing_behind(void **state)
{
    struct timer a, b;
    int fired = 0;
    wheel_init(&wheel, 0);
    timer_init(&a);
    timer_init(&b);
    wheel_cancel(&wheel, &a); /* not armed: nothing happens */
    wheel_arm(&wheel, &a, 70);
    wheel_arm(&wheel, &b, 71); /* the same slot */
    wheel_cancel(&wheel, &a);
    assert_int_equal(wheel_next_ms(&wheel, 0), 64);
    wheel_arm(&wheel, &b, 200); /* moves it */
    assert_int_equal(wheel_next_ms(&wheel, 0), 192);
    wheel_cancel(&wheel, &b);
    assert_int_equal(wheel_next_ms(&wheel, 0), -1);
    wheel_advance(&wheel, 100000, count, &fired);
    assert_int_equal(fired, 0);
}

static void arm_at_once(void *context, struct timer *timer)
{
    count(context, timer);
    wheel_arm(&wheel, timer, 0);
}

static void an_advance_ends_even_if_a_timer_is_always_due(void **state)
{
    struct timer timer;
    int fired = 0;
    wheel_init(&wheel, 5);
    timer_init(&timer);
    wheel_arm(&wheel, &timer, 6);
    for (int i = 1; i <= 10; i++) {
        wheel_advance(&wheel, 100, arm_at_once, &fired);
        assert_int_equal(fired, i);
    }
}

/* ---- beside an oracle ------------------------------------------------------------------------------------------------ */

enum { TIMERS = 200 };

struct known { /* what must be so of a timer */
    struct timer timer;
    bool         armed;
    bool         due_now; /* armed when this advance began, and due in it: it must fire, unless moved or cancelled */
    bool         overdue; /* its due time had passed when it was armed */
};

static struct {
    struct known timers[TIMERS];
    uint64_t     seed, now_ms, last_due_ms;
    long         fired;
    bool         in_advance;
} world;

static uint64_t some_span_ms(void)
{
    uint32_t bits = random_below(&world.seed, random_below(&world.seed, 8) ? 16 : 45);
    return random_next(&world.seed) & ((UINT64_C(1) << bits) - 1);
}

static void arm_some(struct known *known)
{
    uint64_t span_ms = some_span_ms();
    bool backward = random_below(&world.seed, 10) == 0 && span_ms <= world.now_ms;
    uint64_t due_ms = backward ? world.now_ms - span_ms : world.now_ms + span_ms;
    wheel_arm(&wheel, &known->timer, due_ms);
    known->armed = true;
    known->due_now = false; /* moved: if it is due, then at the next advance */
    known->overdue = due_ms <= world.now_ms;
}

static void cancel(struct known *known)
{
    wheel_cancel(&wheel, &known->timer);
    known->armed = known->due_now = false;
}

static void act(void)
{
    struct known *known = &world.timers[random_below(&world.seed, TIMERS)];
    if (random_below(&world.seed, 3)) arm_some(known);
    else cancel(known);
}

static void on_fire(void *context, struct timer *timer)
{
    assert_ptr_equal(context, &world);
    struct known *known = (struct known *)((char *)timer - offsetof(struct known, timer));
    assert_true(world.in_advance && known->armed && known->due_now);
    assert_true(timer->due_ms <= world.now_ms);
    if (!known->overdue) {
        assert_true(timer->due_ms >= world.last_due_ms);
        world.last_due_ms = timer->due_ms;
    } else {
        assert_int_equal(world.last_due_ms, 0); /* those come first */
    }
    known->armed = known->due_now = false;
    world.fired++;
    if (random_below(&world.seed, 3) == 0) arm_some(known);
    for (uint32_t i = random_below(&world.seed, 3); i > 0; i--) act();
}

static void advance(uint64_t step_ms)
{
    world.now_ms += step_ms;
    world.last_due_ms = 0;
    for (int i = 0; i < TIMERS; i++) {
        struct known *known = &world.timers[i];
        known->due_now = known->armed && known->timer.due_ms <= world.now_ms;
    }
    world.in_advance = true;
    wheel_advance(&wheel, world.now_ms, on_fire, &world);
    world.in_advance = false;
    for (int i = 0; i < TIMERS; i++) assert_false(world.timers[i].due_now);
}

static void check_sleep(void)
{
    bool any = false;
    uint64_t first_ms = UINT64_MAX;
    for (int i = 0; i < TIMERS; i++) {
        assert_int_equal(timer_armed(&world.timers[i].timer), world.timers[i].armed);
        if (!world.timers[i].armed) continue;
        any = true;
        if (world.timers[i].timer.due_ms < first_ms) first_ms = world.timers[i].timer.due_ms;
    }
    int64_t sleep_ms = wheel_next_ms(&wheel, world.now_ms);
    assert_int_equal(sleep_ms < 0, !any);
    if (!any) return;
    if (first_ms <= world.now_ms) assert_int_equal(sleep_ms, 0);
    else assert_true(sleep_ms > 0 && (uint64_t)sleep_ms <= first_ms - world.now_ms);
}

static void a_random_life_is_that_of_the_oracle(void **state)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        memset(&world, 0, sizeof world);
        world.seed = seed;
        world.now_ms = seed % 2 ? 0 : random_next(&world.seed) >> 8;
        wheel_init(&wheel, world.now_ms);
        for (int i = 0; i < TIMERS; i++) timer_init(&world.timers[i].timer);
        for (int step = 0; step < 5000; step++) {
            for (uint32_t i = random_below(&world.seed, 6); i > 0; i--) act();
            check_sleep();
            int64_t sleep_ms = wheel_next_ms(&wheel, world.now_ms);
            bool to_the_point = sleep_ms > 0 && random_below(&world.seed, 4) == 0;
            advance(to_the_point ? (uint64_t)sleep_ms : some_span_ms());
            check_sleep();
        }
        assert_true(world.fired > 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fires_at_its_millisecond_and_not_before),
        cmocka_unit_test(one_sleeps_at_most_once_for_each_level),
        cmocka_unit_test(armed_too_late_fires_at_the_next_advance),
        cmocka_unit_test(a_cancelled_timer_leaves_nothing_behind),
        cmocka_unit_test(an_advance_ends_even_if_a_timer_is_always_due),
        cmocka_unit_test(a_random_life_is_that_of_the_oracle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
