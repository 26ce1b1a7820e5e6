/* Finding: however many topics there are, no turn looks at more than its share of them; all are found that are there in the end, and no other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "core/pubsub/finding.h"
#include "core/pubsub/pattern_interest.h"
#include "tests/support/kit.h"

enum { TOPICS = 10000 };

static uint32_t lives;

static void on_live(void *context, uint32_t ticket)
{
    (void)context;
    assert_int_equal(ticket, 7);
    lives++;
}

static struct kit *kit_with_topics(uint32_t each_max)
{
    struct kit *kit = kit_make(&(struct kit_settings){ .topics_max = TOPICS + 6000, .log_bytes_max = 64 << 20, .subscriptions_max = TOPICS, .subscriptions_each_max = each_max });
    char name[32];
    for (int i = 0; i < TOPICS; i++) {
        snprintf(name, sizeof name, "t%d.%s", i, i % 1000 ? "no" : "yes");
        kit_publish(kit, name, "1");
    }
    kit->engine.hooks.live = on_live;
    lives = 0;
    return kit;
}

static void turn(struct kit *kit, uint64_t us)
{
    kit->clock.mono_us += us;
    engine_receive(&kit->engine);
    engine_tick(&kit->engine);
    engine_tell(&kit->engine);
}

/* Turns until who waits is told; how many. */
static uint32_t turns_until_live(struct kit *kit)
{
    uint32_t turns = 0;
    for (; lives == 0 && turns < 100; turns++) {
        assert_true(engine_due_us(&kit->engine) <= kit->clock.mono_us); /* it must not sleep */
        turn(kit, 10);
        assert_true(kit->engine.patterns.finding_looks <= FINDING_LOOKS_EACH_TURN);
    }
    return turns;
}

static bool count(void *context, struct span topic)
{
    (void)topic;
    ++*(uint32_t *)context;
    return true;
}

static uint32_t counted(struct kit *kit, const char *pattern)
{
    uint32_t found = 0;
    assert_true(engine_visit_matches(&kit->engine, span_of_string(pattern), count, &found));
    return found;
}

static void end(struct kit *kit)
{
    turn(kit, 21 * 1000 * 1000);
    turn(kit, 2 * 1000 * 1000);
    turn(kit, 2 * 1000 * 1000);
    assert_int_equal(kit->engine.patterns.found_bytes, 0);
    assert_int_equal(kit->engine.patterns.findings_open, 0);
    assert_int_equal(kit->engine.patterns.findings.first, POOL_NONE);
    kit->engine.hooks.live = NULL;
    kit_free(kit);
}

static void on_covered(void *context, const struct subscribe_ask *ask, const struct subscribe_reply *reply)
{
    assert_true(reply->born);
    assert_true(ask->topic.size > 4);
    ++*(uint32_t *)context;
}

static void a_pattern_looks_at_its_share_of_the_topics_in_each_turn(void **state)
{
    struct kit *kit = kit_with_topics(TOPICS);
    struct span pattern = SPAN_LITERAL("*.yes");
    assert_int_equal(engine_prepare_pattern(&kit->engine, pattern, 7), LINK_SENT);
    assert_int_equal(kit->engine.patterns.finding_looks, 0);
    kit_publish(kit, "a.yes", "1");  /* before what was looked at last */
    kit_publish(kit, "zz.yes", "1"); /* and behind it */
    kit_delete(kit, "t0.yes");
    kit_delete(kit, "t9000.yes");
    assert_in_range(turns_until_live(kit), TOPICS / FINDING_LOOKS_EACH_TURN, TOPICS / FINDING_LOOKS_EACH_TURN + 2);
    assert_int_equal(engine_prepare_pattern(&kit->engine, pattern, 7), LINK_DONE);
    kit_delete(kit, "t1000.yes");
    assert_in_range(counted(kit, "*.yes"), 9, 10); /* one that was born in between may come twice */
    bool again;
    assert_true(engine_subscribe_pattern(&kit->engine, 0, &(struct pattern_ask){ .pattern = pattern, .mode = MODE_EVERY, .snapshot = true }, &again));
    uint32_t covered = 0;
    struct pattern_cover cover = { .context = &covered, .covered = on_covered };
    assert_int_equal(engine_cover(&kit->engine, 0, pattern, &cover), SUBSCRIBE_DONE);
    assert_int_equal(covered, 9);
    assert_int_equal(kit_subscriber(kit, 0)->subscriptions_count, 9);
    engine_unsubscribe_all(&kit->engine, 0);
    end(kit);
}

static void what_more_than_anybody_may_follow_is_not_looked_for_to_the_end(void **state)
{
    struct kit *kit = kit_with_topics(10);
    assert_int_equal(engine_prepare_pattern(&kit->engine, SPAN_LITERAL("*.no"), 7), LINK_DONE); /* in this turn's share */
    uint32_t found = 0;
    assert_false(engine_visit_matches(&kit->engine, SPAN_LITERAL("*.no"), count, &found));
    assert_in_range(found, 11, 100);
    assert_in_range(kit->engine.patterns.finding_looks, FINDING_LOOKS_EACH_TURN - 200, FINDING_LOOKS_EACH_TURN);
    end(kit);
}

/* A request with many patterns waits for all of them: what was found first expired meanwhile, was looked for again, and so for ever. */
static void many_patterns_that_wait_together_are_each_looked_for_once(void **state)
{
    enum { PATTERNS = 40 };
    struct kit *kit = kit_with_topics(TOPICS);
    char pattern[32];
    for (int i = 0; i < PATTERNS; i++) {
        snprintf(pattern, sizeof pattern, "*.x%d", i);
        assert_int_equal(engine_prepare_pattern(&kit->engine, span_of_string(pattern), 7), LINK_SENT);
    }
    uint32_t turns = 0;
    for (; lives < PATTERNS && turns < 1000; turns++) turn(kit, 50000); /* two and a half seconds and more */
    assert_in_range(turns, PATTERNS * TOPICS / FINDING_LOOKS_EACH_TURN, PATTERNS * (TOPICS / FINDING_LOOKS_EACH_TURN + 1) + 1);
    for (int i = 0; i < PATTERNS; i++) {
        snprintf(pattern, sizeof pattern, "*.x%d", i);
        assert_int_equal(engine_prepare_pattern(&kit->engine, span_of_string(pattern), 7), LINK_DONE);
    }
    end(kit);
}

static void births_and_deaths_without_end_make_it_begin_anew_and_leave_no_heap(void **state)
{
    struct kit *kit = kit_with_topics(TOPICS);
    struct span pattern = SPAN_LITERAL("born.*");
    char name[32];
    assert_int_equal(engine_prepare_pattern(&kit->engine, pattern, 7), LINK_DONE);
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof name, "born.%d", i);
        kit_publish(kit, name, "1");
        if (i < 4990) kit_delete(kit, name);
        if (i % 100 == 0) kit_turn(kit);
    }
    assert_in_range(kit->engine.patterns.found_bytes, 1, 1100 * 16);
    assert_int_equal(engine_prepare_pattern(&kit->engine, pattern, 7), LINK_DONE);
    assert_int_equal(counted(kit, "born.*"), 10);
    end(kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pattern_looks_at_its_share_of_the_topics_in_each_turn),
        cmocka_unit_test(what_more_than_anybody_may_follow_is_not_looked_for_to_the_end),
        cmocka_unit_test(many_patterns_that_wait_together_are_each_looked_for_once),
        cmocka_unit_test(births_and_deaths_without_end_make_it_begin_anew_and_leave_no_heap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
