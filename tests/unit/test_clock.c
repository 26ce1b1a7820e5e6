/* The clock: in microseconds, never back, and the wall's is about now. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <time.h>

#include "core/base/clock.h"

static void monotonic_time_never_goes_back(void **state)
{
    struct clock clock = { 0 };
    uint64_t last = clock_mono_us();
    for (int i = 0; i < 10000; i++) {
        clock_tick(&clock);
        assert_true(clock.mono_us >= last);
        last = clock_mono_us();
        assert_true(last >= clock.mono_us);
    }
}

static void both_count_microseconds(void **state)
{
    struct clock before, after;
    clock_tick(&before);
    nanosleep(&(struct timespec){ .tv_nsec = 20 * 1000 * 1000 }, NULL);
    clock_tick(&after);
    assert_true(after.mono_us - before.mono_us >= 20000);
    assert_true(after.mono_us - before.mono_us < 20000000); /* far off only where the unit is wrong */
    uint64_t seconds = (uint64_t)time(NULL);
    assert_true(after.wall_us / 1000000 + 5 >= seconds && after.wall_us / 1000000 <= seconds + 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(monotonic_time_never_goes_back),
        cmocka_unit_test(both_count_microseconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
