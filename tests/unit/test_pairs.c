/* Pairs: whatever came and went in whatever order, each pair that is in is found, and no other. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>
#include <errno.h>

#include "core/base/random.h"
#include "core/pubsub/pairs.h"

enum { SUBSCRIBERS = 40, LOCALS = 50, ALL = SUBSCRIBERS * LOCALS };

struct side {
    struct pool  subscriptions;
    struct pairs pairs;
    uint32_t     expected[SUBSCRIBERS][LOCALS]; /* POOL_NONE: it is not in */
    uint32_t     count;
};

static void begin(struct side *side)
{
    assert_int_equal(pool_init(&side->subscriptions, sizeof(struct subscription), ALL), 0);
    assert_int_equal(pairs_init(&side->pairs, &side->subscriptions, ALL), 0);
    side->count = 0;
    for (uint32_t s = 0; s < SUBSCRIBERS; s++)
        for (uint32_t l = 0; l < LOCALS; l++) side->expected[s][l] = POOL_NONE;
}

static void end(struct side *side)
{
    pairs_deinit(&side->pairs);
    pool_deinit(&side->subscriptions);
}

static void add(struct side *side, uint32_t subscriber, uint32_t local)
{
    uint32_t index = pool_take(&side->subscriptions);
    *subscription_at(&side->subscriptions, index) = (struct subscription){ .subscriber = subscriber, .local = local };
    pairs_insert(&side->pairs, index);
    side->expected[subscriber][local] = index;
    side->count++;
}

static void take_out(struct side *side, uint32_t subscriber, uint32_t local)
{
    uint32_t index = side->expected[subscriber][local];
    pairs_remove(&side->pairs, index);
    pool_give(&side->subscriptions, index);
    side->expected[subscriber][local] = POOL_NONE;
    side->count--;
}

static void check_all(const struct side *side)
{
    for (uint32_t s = 0; s < SUBSCRIBERS; s++)
        for (uint32_t l = 0; l < LOCALS; l++) assert_int_equal(pairs_find(&side->pairs, s, l), side->expected[s][l]);
    assert_int_equal(side->pairs.count, side->count);
}

static void of_an_empty_one_nothing_is_found(void **state)
{
    struct side side;
    (void)state;
    begin(&side);
    check_all(&side);
    end(&side);
}

static void all_are_found_while_buckets_split_one_by_one(void **state)
{
    struct side side;
    (void)state;
    begin(&side);
    for (uint32_t s = 0; s < SUBSCRIBERS; s++) {
        for (uint32_t l = 0; l < LOCALS; l++) {
            add(&side, s, l);
            assert_true(side.pairs.buckets >= side.count); /* so that chains stay short */
            assert_true(side.pairs.mask < side.pairs.buckets && side.pairs.buckets <= side.pairs.mask * 2 + 1);
        }
        check_all(&side);
    }
    end(&side);
}

static void any_order_of_coming_and_going_is_right(void **state)
{
    struct side side;
    uint64_t random = 20261122;
    (void)state;
    begin(&side);
    for (uint32_t step = 0; step < 40000; step++) {
        uint32_t s = random_below(&random, SUBSCRIBERS), l = random_below(&random, LOCALS);
        if (side.expected[s][l] == POOL_NONE) add(&side, s, l);
        else take_out(&side, s, l);
        if (step % 1000 == 0) check_all(&side);
    }
    check_all(&side);
    for (uint32_t s = 0; s < SUBSCRIBERS; s++)
        for (uint32_t l = 0; l < LOCALS; l++)
            if (side.expected[s][l] != POOL_NONE) take_out(&side, s, l);
    check_all(&side);
    end(&side);
}

static void a_size_that_makes_no_sense_is_refused(void **state)
{
    struct side side;
    struct pairs pairs;
    (void)state;
    begin(&side);
    assert_int_equal(pairs_init(&pairs, &side.subscriptions, 0), -EINVAL);
    assert_int_equal(pairs_init(&pairs, &side.subscriptions, UINT32_MAX), -EINVAL);
    end(&side);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_an_empty_one_nothing_is_found),
        cmocka_unit_test(all_are_found_while_buckets_split_one_by_one),
        cmocka_unit_test(any_order_of_coming_and_going_is_right),
        cmocka_unit_test(a_size_that_makes_no_sense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
