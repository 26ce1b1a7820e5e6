/* The wake-up of a sleeper: once for each sleep, and never lost, in a hundred thousand rounds of two threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/random.h"
#include "core/queue/spsc.h"
#include "core/queue/wake.h"

static void nobody_wakes_one_who_is_awake(void **state)
{
    struct wake wake;
    assert_int_equal(wake_init(&wake), 0);
    assert_false(wake_needed(&wake));
    assert_true(wake_sleep_begin(&wake));
    wake_sleep_end(&wake);
    assert_false(wake_needed(&wake));
    wake_deinit(&wake);
}

static void each_sleep_is_ended_once(void **state)
{
    struct wake wake;
    assert_int_equal(wake_init(&wake), 0);
    for (int sleep = 0; sleep < 3; sleep++) {
        assert_true(wake_sleep_begin(&wake));
        assert_true(wake_needed(&wake));
        assert_false(wake_needed(&wake)); /* the first one sends */
        wake_sleep_end(&wake);
    }
    wake_deinit(&wake);
}

static bool readable(const struct wake *wake, int timeout_ms)
{
    struct pollfd poll_fd = { .fd = wake_fd(wake), .events = POLLIN };
    return poll(&poll_fd, 1, timeout_ms) == 1;
}

static void sending_makes_the_eventfd_readable(void **state)
{
    struct wake wake;
    uint64_t sent;
    assert_int_equal(wake_init(&wake), 0);
    assert_false(readable(&wake, 0));
    wake_send(&wake);
    wake_send(&wake);
    assert_true(readable(&wake, 0));
    assert_int_equal(read(wake_fd(&wake), &sent, sizeof sent), sizeof sent);
    assert_int_equal(sent, 2);
    assert_false(readable(&wake, 0));
    wake_deinit(&wake);
}

/* ---- two threads ------------------------------------------------------------------------------------------------------- */

enum { ROUNDS = 100000, DEADLINE_MS = 10000 };

static void dawdle(uint64_t *seed)
{
    for (uint32_t wait = random_below(seed, 1000); wait > 0; wait--) __asm__ volatile("" ::: "memory");
}

/* The consumer sleeps whenever it finds nothing; the producer sends the next number when the last one was answered. Both dawdle at
 * random, so that the one often publishes at the very moment in which the other lies down. Without the fences this test fails more often than not. */
struct pair {
    struct spsc numbers, answers;
    struct wake wake;
    long        slept, lost; /* the consumer's */
};

static void *consume(void *context)
{
    struct pair *pair = context;
    struct spsc_rx numbers = spsc_consumer(&pair->numbers);
    struct spsc_tx answers = spsc_producer(&pair->answers);
    uint64_t seed = 4;
    for (uint32_t next = 0; next < ROUNDS;) {
        uint32_t number;
        if (spsc_take(&numbers, &number)) {
            spsc_release(&numbers);
            next = number + 1;
            spsc_stage(&answers, &number);
            spsc_publish(&answers);
            dawdle(&seed);
            continue;
        }
        if (wake_sleep_begin(&pair->wake) && spsc_empty(&numbers)) {
            uint64_t sent;
            pair->slept++;
            if (!readable(&pair->wake, DEADLINE_MS)) {
                pair->lost++;
                return NULL;
            }
            if (read(wake_fd(&pair->wake), &sent, sizeof sent) != sizeof sent) return NULL;
        }
        wake_sleep_end(&pair->wake);
    }
    return NULL;
}

/* A wake-up may come when the sleeper has already seen the item and gone on; then it stays in the eventfd for the next sleep. */
static void no_wake_up_is_lost(void **state)
{
    static struct pair pair;
    pthread_t consumer;
    uint64_t seed = 3;
    assert_int_equal(spsc_init(&pair.numbers, sizeof(uint32_t), 2), 0);
    assert_int_equal(spsc_init(&pair.answers, sizeof(uint32_t), 2), 0);
    assert_int_equal(wake_init(&pair.wake), 0);
    struct spsc_tx numbers = spsc_producer(&pair.numbers);
    struct spsc_rx answers = spsc_consumer(&pair.answers);
    assert_int_equal(pthread_create(&consumer, NULL, consume, &pair), 0);
    long sent = 0;
    bool late = false;
    for (uint32_t round = 0; round < ROUNDS && !late; round++) {
        dawdle(&seed);
        spsc_stage(&numbers, &round);
        spsc_publish(&numbers);
        if (wake_needed(&pair.wake)) {
            wake_send(&pair.wake);
            sent++;
        }
        uint32_t answer = UINT32_MAX;
        uint64_t deadline_us = clock_mono_us() + DEADLINE_MS * UINT64_C(2000);
        for (uint32_t look = 1; !spsc_take(&answers, &answer) && !late; look++)
            if (look % 64 == 0) sched_yield(), late = clock_mono_us() > deadline_us;
        spsc_release(&answers);
        if (!late) assert_int_equal(answer, round);
    }
    pthread_join(consumer, NULL);
    assert_int_equal(pair.lost, 0);
    assert_false(late);
    assert_true(pair.slept > 0 && sent > 0);
    assert_true(pair.slept <= sent);
    wake_deinit(&pair.wake);
    spsc_deinit(&pair.numbers);
    spsc_deinit(&pair.answers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_wakes_one_who_is_awake),
        cmocka_unit_test(each_sleep_is_ended_once),
        cmocka_unit_test(sending_makes_the_eventfd_readable),
        cmocka_unit_test(no_wake_up_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
