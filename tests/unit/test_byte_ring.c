/* The ring of bytes beside a queue: runs are contiguous and never overlap, beside an oracle, between guard pages, and with two
 * threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include "core/base/random.h"
#include "core/queue/byte_ring.h"
#include "tests/unit/guard.h"

static void write_run(char *run, uint32_t count, uint64_t number)
{
    for (uint32_t i = 0; i < count; i++) run[i] = (char)(number * 31 + i);
}

static bool run_is(const char *run, uint32_t count, uint64_t number)
{
    for (uint32_t i = 0; i < count; i++)
        if (run[i] != (char)(number * 31 + i)) return false;
    return true;
}

static void impossible_sizes_are_refused(void **state)
{
    struct byte_ring ring;
    assert_int_equal(byte_ring_init(&ring, 0), -EINVAL);
    assert_int_equal(byte_ring_init(&ring, 1), -EINVAL);
    assert_int_equal(byte_ring_init(&ring, 1000), -EINVAL);
}

static void a_run_is_contiguous_and_skips_the_end(void **state)
{
    struct byte_ring ring;
    assert_int_equal(byte_ring_init(&ring, 64), 0);
    struct byte_ring_tx tx = byte_ring_producer(&ring);
    struct byte_ring_rx rx = byte_ring_consumer(&ring);
    assert_ptr_equal(byte_ring_stage(&tx, 30), ring.bytes);
    assert_ptr_equal(byte_ring_stage(&tx, 20), ring.bytes + 30);
    assert_null(byte_ring_stage(&tx, 20)); /* 14 are left, and its start is occupied */
    assert_ptr_equal(byte_ring_stage(&tx, 14), ring.bytes + 50);
    assert_null(byte_ring_stage(&tx, 1));
    assert_ptr_equal(byte_ring_take(&rx, 30), ring.bytes);
    assert_null(byte_ring_stage(&tx, 1)); /* taken is not released */
    byte_ring_release(&rx);
    assert_ptr_equal(byte_ring_stage(&tx, 25), ring.bytes);
    assert_ptr_equal(byte_ring_take(&rx, 20), ring.bytes + 30);
    assert_ptr_equal(byte_ring_take(&rx, 14), ring.bytes + 50);
    assert_ptr_equal(byte_ring_take(&rx, 25), ring.bytes);
    byte_ring_release(&rx);
    byte_ring_deinit(&ring);
}

static void the_largest_run_fits_an_empty_ring_wherever_it_stands(void **state)
{
    for (uint32_t stands = 1; stands <= 64; stands++) {
        struct byte_ring ring;
        assert_int_equal(byte_ring_init(&ring, 64), 0);
        struct byte_ring_tx tx = byte_ring_producer(&ring);
        struct byte_ring_rx rx = byte_ring_consumer(&ring);
        for (uint32_t i = 0; i < stands; i++) {
            assert_non_null(byte_ring_stage(&tx, 1));
            byte_ring_take(&rx, 1);
            byte_ring_release(&rx);
        }
        assert_true(byte_ring_fits(&tx, byte_ring_run_max(64)));
        assert_non_null(byte_ring_stage(&tx, byte_ring_run_max(64)));
        byte_ring_deinit(&ring);
    }
}

/* Runs under way, the oldest first, in a table of their own; the counts inside begin where 32 bits are about to wrap. */
static void live_beside_the_oracle(uint32_t size, uint64_t seed)
{
    enum { UNDER_WAY_MAX = 4096 };
    static uint32_t sizes[UNDER_WAY_MAX];
    struct byte_ring ring;
    assert_int_equal(byte_ring_init(&ring, size), 0);
    atomic_store(&ring.released, UINT32_MAX / size * size - 10 * size);
    char *own = ring.bytes;
    ring.bytes = guard_copy(span_of(own, size));
    struct byte_ring_tx tx = byte_ring_producer(&ring);
    struct byte_ring_rx rx = byte_ring_consumer(&ring);
    uint64_t staged = 0, taken = 0, released = 0, refused = 0;
    for (int step = 0; step < 100000; step++) {
        switch (random_below(&seed, 5)) {
        case 0: case 1: {
            uint32_t count = 1 + random_below(&seed, random_below(&seed, 4) ? size / 16 : byte_ring_run_max(size));
            if (staged - taken == UNDER_WAY_MAX) break;
            bool fits = byte_ring_fits(&tx, count);
            char *run = byte_ring_stage(&tx, count);
            assert_int_equal(run != NULL, fits);
            if (!run) {
                assert_true(staged != released); /* an empty ring takes all */
                refused++;
                break;
            }
            write_run(run, count, staged); /* beyond the guards it would die; over another run it is seen below */
            sizes[staged++ % UNDER_WAY_MAX] = count;
            break;
        }
        case 2: case 3:
            if (taken == staged) break;
            assert_true(run_is(byte_ring_take(&rx, sizes[taken % UNDER_WAY_MAX]), sizes[taken % UNDER_WAY_MAX], taken));
            taken++;
            break;
        default:
            byte_ring_release(&rx);
            released = taken;
        }
    }
    assert_true(taken > 1000 && refused > 100);
    guard_free(ring.bytes);
    ring.bytes = own;
    byte_ring_deinit(&ring);
}

static void a_random_schedule_is_that_of_the_oracle(void **state)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        live_beside_the_oracle(4096, seed);
        live_beside_the_oracle(16384, seed);
    }
}

/* ---- two threads: items announce runs -------------------------------------------------------------------------------- */

enum { RUNS = 100000 };

struct pair {
    struct spsc      queue; /* of uint32_t: how long the run is */
    struct byte_ring ring;
};

static void *produce(void *context)
{
    struct pair *pair = context;
    struct spsc_tx tx = spsc_producer(&pair->queue);
    struct byte_ring_tx bytes = byte_ring_producer(&pair->ring);
    uint64_t seed = 1, number = 0;
    while (number < RUNS) {
        for (uint32_t batch = random_below(&seed, 20); batch > 0 && number < RUNS; batch--) {
            uint32_t count = 1 + random_below(&seed, 200);
            char *run = spsc_fits(&tx, 1) ? byte_ring_stage(&bytes, count) : NULL;
            if (!run) break;
            write_run(run, count, number++);
            assert_true(spsc_stage(&tx, &count));
        }
        if (!spsc_publish(&tx)) sched_yield();
    }
    return NULL;
}

static void two_threads(uint32_t slots, uint32_t size)
{
    struct pair pair;
    pthread_t producer;
    assert_int_equal(spsc_init(&pair.queue, sizeof(uint32_t), slots), 0);
    assert_int_equal(byte_ring_init(&pair.ring, size), 0);
    struct spsc_rx rx = spsc_consumer(&pair.queue);
    struct byte_ring_rx bytes = byte_ring_consumer(&pair.ring);
    assert_int_equal(pthread_create(&producer, NULL, produce, &pair), 0);
    uint64_t seed = 2;
    long wrong = 0;
    for (uint64_t number = 0; number < RUNS;) {
        uint32_t count;
        for (uint32_t batch = random_below(&seed, 20); batch > 0 && spsc_take(&rx, &count); batch--)
            wrong += !run_is(byte_ring_take(&bytes, count), count, number++);
        spsc_release(&rx);
        byte_ring_release(&bytes);
        if (spsc_empty(&rx)) sched_yield();
    }
    pthread_join(producer, NULL);
    assert_int_equal(wrong, 0);
    spsc_deinit(&pair.queue);
    byte_ring_deinit(&pair.ring);
}

static void two_threads_pass_all_runs_unharmed(void **state)
{
    two_threads(2, 512);
    two_threads(64, 1024);
    two_threads(1024, 65536);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(a_run_is_contiguous_and_skips_the_end),
        cmocka_unit_test(the_largest_run_fits_an_empty_ring_wherever_it_stands),
        cmocka_unit_test(a_random_schedule_is_that_of_the_oracle),
        cmocka_unit_test(two_threads_pass_all_runs_unharmed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
