/* The queue between two threads: beside an oracle in one thread, with two slots; and with two threads in earnest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "core/base/random.h"
#include "core/queue/spsc.h"

struct item {
    uint64_t number;
    uint32_t filling[4];
};

static struct item item_of(uint64_t number)
{
    struct item item = { .number = number };
    for (uint32_t i = 0; i < 4; i++) item.filling[i] = (uint32_t)number * 31 + i;
    return item;
}

static bool item_is(const struct item *item, uint64_t number)
{
    struct item wanted = item_of(number);
    return item->number == number && memcmp(item->filling, wanted.filling, sizeof wanted.filling) == 0;
}

static bool stage(struct spsc_tx *tx, uint64_t number)
{
    struct item item = item_of(number);
    return spsc_stage(tx, &item);
}

static void staged_items_are_unseen_until_published(void **state)
{
    struct spsc queue;
    struct item item;
    assert_int_equal(spsc_init(&queue, sizeof item, 4), 0);
    struct spsc_tx tx = spsc_producer(&queue);
    struct spsc_rx rx = spsc_consumer(&queue);
    assert_false(spsc_publish(&tx)); /* nothing was staged */
    for (uint64_t i = 0; i < 3; i++) assert_true(stage(&tx, i));
    assert_true(spsc_empty(&rx));
    assert_false(spsc_take(&rx, &item));
    assert_true(spsc_publish(&tx));
    assert_false(spsc_publish(&tx));
    assert_false(spsc_empty(&rx));
    for (uint64_t i = 0; i < 3; i++) {
        assert_true(spsc_take(&rx, &item));
        assert_int_equal(item.number, i);
    }
    assert_false(spsc_take(&rx, &item));
    spsc_deinit(&queue);
}

static void slots_are_written_and_read_where_they_lie(void **state)
{
    struct spsc queue;
    struct item *staged, copy;
    const struct item *taken[3];
    assert_int_equal(spsc_init(&queue, sizeof copy, 4), 0);
    struct spsc_tx tx = spsc_producer(&queue);
    struct spsc_rx rx = spsc_consumer(&queue);
    assert_null(spsc_take_slot(&rx));
    for (uint64_t round = 0; round < 5; round++) { /* over the ring's end */
        for (uint64_t i = 0; i < 3; i++) {
            assert_non_null(staged = spsc_stage_slot(&tx));
            *staged = item_of(round * 10 + i);
        }
        assert_true(stage(&tx, round * 10 + 3)); /* those that copy may stand between */
        assert_null(spsc_stage_slot(&tx));
        assert_null(spsc_take_slot(&rx));
        spsc_publish(&tx);
        for (uint64_t i = 0; i < 3; i++) assert_non_null(taken[i] = spsc_take_slot(&rx));
        assert_null(spsc_stage_slot(&tx)); /* nothing is released yet */
        for (uint64_t i = 0; i < 3; i++) assert_true(item_is(taken[i], round * 10 + i));
        assert_true(spsc_take(&rx, &copy));
        assert_true(item_is(&copy, round * 10 + 3));
        assert_null(spsc_take_slot(&rx));
        spsc_release(&rx);
    }
    spsc_deinit(&queue);
}

static void taken_slots_are_occupied_until_released(void **state)
{
    struct spsc queue;
    struct item item;
    assert_int_equal(spsc_init(&queue, sizeof item, 2), 0);
    struct spsc_tx tx = spsc_producer(&queue);
    struct spsc_rx rx = spsc_consumer(&queue);
    assert_true(spsc_fits(&tx, 2) && !spsc_fits(&tx, 3));
    assert_true(stage(&tx, 1) && stage(&tx, 2));
    assert_false(stage(&tx, 3));
    spsc_publish(&tx);
    assert_true(spsc_take(&rx, &item) && spsc_take(&rx, &item));
    assert_false(stage(&tx, 3));
    assert_false(spsc_fits(&tx, 1));
    spsc_release(&rx);
    assert_true(spsc_fits(&tx, 2) && !spsc_fits(&tx, 3));
    assert_true(stage(&tx, 3));
    spsc_deinit(&queue);
}

static void impossible_sizes_are_refused(void **state)
{
    struct spsc queue;
    assert_int_equal(spsc_init(&queue, 0, 4), -EINVAL);
    assert_int_equal(spsc_init(&queue, 8, 0), -EINVAL);
    assert_int_equal(spsc_init(&queue, 8, 1), -EINVAL);
    assert_int_equal(spsc_init(&queue, 8, 6), -EINVAL);
    assert_int_equal(spsc_init(&queue, SIZE_MAX / 4, 8), -ENOMEM);
}

/* Counts only: what must be so of a queue of numbers from 0 on. The counts inside begin where 32 bits are about to wrap. */
static void live_beside_the_oracle(uint32_t slots, uint64_t seed)
{
    struct spsc queue;
    assert_int_equal(spsc_init(&queue, sizeof(struct item), slots), 0);
    atomic_store(&queue.published, UINT32_MAX - 1000);
    atomic_store(&queue.released, UINT32_MAX - 1000);
    struct spsc_tx tx = spsc_producer(&queue);
    struct spsc_rx rx = spsc_consumer(&queue);
    uint64_t staged = 0, published = 0, taken = 0, released = 0;
    for (int step = 0; step < 100000; step++) {
        struct item item;
        switch (random_below(&seed, 7)) {
        case 0: case 1: {
            bool room = staged - released < slots;
            item = item_of(staged);
            assert_int_equal(spsc_stage(&tx, &item), room);
            staged += room;
            break;
        }
        case 2:
            assert_int_equal(spsc_publish(&tx), published != staged);
            published = staged;
            break;
        case 3: case 4: {
            bool some = taken != published;
            assert_int_equal(spsc_take(&rx, &item), some);
            if (some) assert_true(item_is(&item, taken));
            taken += some;
            break;
        }
        case 5:
            spsc_release(&rx);
            released = taken;
            break;
        default:
            assert_int_equal(spsc_empty(&rx), taken == published);
            assert_true(spsc_fits(&tx, slots - (uint32_t)(staged - released)) && !spsc_fits(&tx, slots - (uint32_t)(staged - released) + 1));
        }
    }
    assert_true(taken > 1000 * 2);
    spsc_deinit(&queue);
}

static void a_random_schedule_is_that_of_the_oracle(void **state)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        live_beside_the_oracle(2, seed);
        live_beside_the_oracle(4, seed);
        live_beside_the_oracle(64, seed);
    }
}

/* ---- two threads ----------------------------------------------------------------------------------------------------- */

enum { ITEMS = 300000 };

static void *produce(void *context)
{
    struct spsc_tx tx = spsc_producer(context);
    uint64_t seed = 1, number = 0;
    while (number < ITEMS) {
        for (uint32_t batch = random_below(&seed, 20); batch > 0 && number < ITEMS; batch--) {
            struct item item = item_of(number);
            if (!spsc_stage(&tx, &item)) break;
            number++;
        }
        if (!spsc_publish(&tx)) sched_yield();
    }
    return NULL;
}

static void two_threads(uint32_t slots)
{
    struct spsc queue;
    pthread_t producer;
    assert_int_equal(spsc_init(&queue, sizeof(struct item), slots), 0);
    struct spsc_rx rx = spsc_consumer(&queue);
    assert_int_equal(pthread_create(&producer, NULL, produce, &queue), 0);
    uint64_t seed = 2;
    long wrong = 0;
    for (uint64_t number = 0; number < ITEMS;) {
        struct item item;
        for (uint32_t batch = random_below(&seed, 20); batch > 0 && spsc_take(&rx, &item); batch--) wrong += !item_is(&item, number++);
        spsc_release(&rx);
        if (spsc_empty(&rx)) sched_yield();
    }
    pthread_join(producer, NULL);
    assert_int_equal(wrong, 0);
    assert_true(spsc_empty(&rx));
    spsc_deinit(&queue);
}

static void two_threads_pass_all_items_in_order(void **state)
{
    two_threads(2);
    two_threads(16);
    two_threads(1024);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(staged_items_are_unseen_until_published),
        cmocka_unit_test(slots_are_written_and_read_where_they_lie),
        cmocka_unit_test(taken_slots_are_occupied_until_released),
        cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(a_random_schedule_is_that_of_the_oracle),
        cmocka_unit_test(two_threads_pass_all_items_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
