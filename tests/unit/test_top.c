/* Top: the heaviest topics are always found, whatever else there is, and never said to have had less than they had. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/random.h"
#include "tests/support/kit.h"

static void add(struct top *top, const char *name, uint64_t score)
{
    top_add(top, span_of_string(name), (uint32_t)strlen(name), score); /* many names share a hash */
}

static void add_number(struct top *top, uint32_t number, uint64_t score)
{
    char name[16];
    snprintf(name, sizeof name, "n%u", number);
    add(top, name, score);
}

static uint32_t number_of(struct span name)
{
    uint32_t number = 0;
    for (size_t i = 1; i < name.size; i++) number = number * 10 + (uint32_t)(name.bytes[i] - '0');
    return number;
}

/* "name score, name score" */
static const char *said(const struct top *top, uint32_t most)
{
    static char line[4096];
    uint32_t best[TOP_PLACES];
    uint32_t count = top_best(top, best, most), size = 0;
    line[0] = '\0';
    for (uint32_t i = 0; i < count; i++)
        size += (uint32_t)snprintf(line + size, sizeof line - size, "%s%.*s %g", i > 0 ? ", " : "", (int)top_name(top, best[i]).size, top_name(top, best[i]).bytes, top_per_second(top, best[i]));
    return line;
}

static void the_best_come_first(void **state)
{
    struct top top = { 0 };
    assert_string_equal(said(&top, 3), "");
    add(&top, "a", 4);
    add(&top, "b", 12);
    add(&top, "c", 8);
    add(&top, "a", 12);
    assert_string_equal(said(&top, 9), "a 4, b 3, c 2");
    assert_string_equal(said(&top, 2), "a 4, b 3");
    assert_string_equal(said(&top, 0), "");
}

static void names_of_one_hash_are_told_apart(void **state)
{
    struct top top = { 0 };
    top_add(&top, SPAN_LITERAL("ab"), 7, 4);
    top_add(&top, SPAN_LITERAL("ac"), 7, 8);
    top_add(&top, SPAN_LITERAL("ab"), 7, 8);
    assert_string_equal(said(&top, 9), "ab 3, ac 2");
}

static void a_score_fades_to_nothing_and_its_place_is_free_again(void **state)
{
    struct top top = { 0 };
    add(&top, "a", 400);
    top_fade(&top);
    assert_string_equal(said(&top, 9), "a 75");
    for (int i = 0; i < 30; i++) top_fade(&top);
    assert_int_equal(top.count, 0);
}

static void what_a_second_brings_is_what_is_said_after_a_while(void **state)
{
    struct top top = { 0 };
    for (int second = 0; second < 60; second++) {
        if (second > 0) top_fade(&top);
        add(&top, "steady", 1000);
    }
    uint32_t best[1];
    assert_int_equal(top_best(&top, best, 1), 1);
    assert_true(top_per_second(&top, best[0]) > 990 && top_per_second(&top, best[0]) <= 1000);
}

/* The promise of the sketch, against exact counts: a random load of many more names than places. */
static void whoever_has_more_than_its_part_is_found_and_owes_no_more_than_it_says(void **state)
{
    enum { NAMES = 1000, ADDED = 20000 };
    uint64_t random = 0x5eed, *exact = calloc(NAMES, sizeof *exact), all = 0;
    struct top top = { 0 };
    for (int i = 0; i < ADDED; i++) {
        uint64_t one = random_next(&random), score = 1 + one % 5;
        uint32_t number = one >> 32 & 1 ? (uint32_t)(one >> 33) % 8 : (uint32_t)(one >> 33) % NAMES; /* eight have half of it */
        exact[number] += score;
        all += score;
        add_number(&top, number, score);
    }
    uint32_t found = 0;
    for (uint32_t i = 0; i < top.count; i++) {
        uint64_t had = exact[number_of(top_name(&top, i))];
        assert_true(top.scores[i] >= had && top_own_score(&top, i) <= had);
        found += had > all / TOP_PLACES;
    }
    for (uint32_t number = 0; number < NAMES; number++) found -= exact[number] > all / TOP_PLACES;
    assert_int_equal(found, 0);
    assert_int_equal(top.count, TOP_PLACES);
    free(exact);
}

/* ---- in the engine ------------------------------------------------------------------------------------------------------ */

static void turn(struct kit *kit)
{
    kit->clock.mono_us += TOP_EACH_US;
    engine_tick(&kit->engine);
    kit_sent(kit, 0);
    engine_trim(&kit->engine);
}

static void an_engine_counts_what_is_published_and_what_is_sent_of_each_topic(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    kit_publish(kit, "quiet", "1");
    kit_subscribe_live(kit, 0, "hot", MODE_EVERY);
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < 10; j++) kit_publish(kit, "hot", "1");
        turn(kit);
    }
    assert_string_equal(said(&kit->engine.home.top, 9), "hot 10, quiet 0.25");
    assert_string_equal(said(&kit->engine.locals.top, 9), "hot 7.5"); /* what was sent last is seen with the next update */
    kit_delete(kit, "hot");
    kit_publish(kit, "hot", "1"); /* its numbering begins again */
    turn(kit);
    assert_string_equal(said(&kit->engine.home.top, 1), "hot 10.25");
    kit_free(kit);
}

static void so_many_are_looked_at_in_a_while_and_nothing_of_the_others_is_lost(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    turn(kit);
    for (int i = 0; i < TOP_LOOKS; i++) {
        kit_publish(kit, i % 4 ? "a" : "b", "1");
        kit_turn(kit);
    }
    kit_publish(kit, "c", "1");
    kit_publish(kit, "c", "1");
    kit->clock.mono_us += TOP_EACH_US - 1;
    engine_tick(&kit->engine);
    engine_trim(&kit->engine);
    assert_string_equal(said(&kit->engine.home.top, 9), "a 6, b 2");
    kit_publish(kit, "c", "1");
    turn(kit);
    assert_string_equal(said(&kit->engine.home.top, 9), "a 6, b 2, c 0.75");
    kit_free(kit);
}

/* ---- the gateway's own topics ------------------------------------------------------------------------------------------- */

static void its_own_topics_are_beside_the_limit_and_counted_as_none(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ .topics_max = 1 });
    kit_publish(kit, "$sys.gateway", "1");
    kit_publish(kit, "a", "1");
    assert_int_equal(kit_try_publish(kit, "b", 1), PUBLISH_TOPICS_FULL);
    kit_publish(kit, "$sys.shard.0", "1");
    assert_int_equal(counter_read(&kit->counters, COUNTER_TOPICS), 1);
    assert_int_equal(counter_read(&kit->counters, COUNTER_UPDATES_IN), 1);
    turn(kit);
    assert_string_equal(said(&kit->engine.home.top, 9), "a 0.25");
    kit_free(kit);
}

/* Or names that nobody publishes would be a way around limits.topics. */
static void following_what_could_be_one_is_counted_as_any(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ .topics_max = 2 });
    struct subscribe_reply reply;
    kit_subscribe(kit, 0, "$a", MODE_LATEST);
    kit_subscribe(kit, 0, "$b", MODE_LATEST);
    assert_int_equal(counter_read(&kit->counters, COUNTER_TOPICS), 2);
    assert_int_equal(kit->engine.home.system_followed, 2);
    assert_int_equal(engine_subscribe(&kit->engine, 0, &(struct subscribe_ask){ .topic = SPAN_LITERAL("c") }, &reply), SUBSCRIBE_TOPICS_FULL);
    for (int i = 0; i < SYSTEM_TOPICS_MAX; i++) {
        char name[16];
        snprintf(name, sizeof name, "$c%d", i);
        kit_subscribe(kit, 0, name, MODE_LATEST);
    }
    assert_int_equal(engine_subscribe(&kit->engine, 0, &(struct subscribe_ask){ .topic = SPAN_LITERAL("$d") }, &reply), SUBSCRIBE_TOPICS_FULL);
    kit_publish(kit, "$a", "1");
    assert_int_equal(counter_read(&kit->counters, COUNTER_TOPICS), SYSTEM_TOPICS_MAX + 1);
    engine_unsubscribe_all(&kit->engine, 0);
    kit_turn(kit);
    assert_int_equal(kit->engine.home.system_followed, 0);
    assert_int_equal(counter_read(&kit->counters, COUNTER_TOPICS), 0);
    kit_free(kit);
}

/* Whatever topics.window is: a minute or two of figures, and no more. */
static void its_own_topics_have_a_window_of_their_own(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ .window = { .updates_max = 1000000, .bytes_max = 64 << 20, .age_max_us = UINT64_MAX } });
    for (int i = 0; i < 1000; i++) {
        kit_publish_bytes(kit, "$sys.gateway", 2000);
        kit_turn(kit);
    }
    uint64_t bytes = kit_topic(kit, "$sys.gateway")->log.window_bytes;
    assert_true(bytes >= 100 * 2000 && bytes < 512 * 1024);
    kit_free(kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_come_first),
        cmocka_unit_test(names_of_one_hash_are_told_apart),
        cmocka_unit_test(a_score_fades_to_nothing_and_its_place_is_free_again),
        cmocka_unit_test(what_a_second_brings_is_what_is_said_after_a_while),
        cmocka_unit_test(whoever_has_more_than_its_part_is_found_and_owes_no_more_than_it_says),
        cmocka_unit_test(an_engine_counts_what_is_published_and_what_is_sent_of_each_topic),
        cmocka_unit_test(so_many_are_looked_at_in_a_while_and_nothing_of_the_others_is_lost),
        cmocka_unit_test(its_own_topics_are_beside_the_limit_and_counted_as_none),
        cmocka_unit_test(following_what_could_be_one_is_counted_as_any),
        cmocka_unit_test(its_own_topics_have_a_window_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
