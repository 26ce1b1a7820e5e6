/* Names in byte order: found from any prefix and any place, whatever order they came in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "core/base/random.h"
#include "core/pubsub/names.h"

static struct span optional(const char *text)
{
    return text ? span_of_string(text) : SPAN_NONE;
}

static void a_page_begins_behind_the_name_before_it(void **state)
{
    static const char *const all[] = { "b", "a.b", "aa", "a", "a.c", "B", "\xc3\xa4", "a.b.c", "c.x", "c.x0" };
    static const struct {
        const char *prefix, *after, *first;
    } facts[] = {
        { "", NULL, "B" },      { "", "B", "a" },       { "", "a", "a.b" },   { "", "a.b", "a.b.c" }, { "", "a.b.c", "a.c" },
        { "", "c.x", "c.x0" },  { "", "c.x0", "\xc3\xa4" }, { "", "\xc3\xa4", NULL }, { "", "Z", "a" }, { "", "a.a", "a.b" },
        { "a", NULL, "a" },     { "a.", NULL, "a.b" },  { "a.b", "a.b", "a.b.c" }, { "c", "a", "c.x" }, { "a", "c", "c.x" },
        { "zz", NULL, "\xc3\xa4" }, { "\xff", NULL, NULL }, { "", "", "B" },
    };
    struct names names = { 0 };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) assert_int_equal(names_add(&names, span_of_string(all[i])), 0);
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        struct span first = names_at(&names, names_seek(&names, span_of_string(facts[i].prefix), optional(facts[i].after)));
        if (!facts[i].first) assert_null(first.bytes);
        else if (!span_is(first, facts[i].first)) fail_msg("prefix \"%s\" after \"%s\": not \"%s\"", facts[i].prefix, facts[i].after ? facts[i].after : "-", facts[i].first);
    }
    names_deinit(&names);
}

/* All of them in order, each once; the blocks as they are promised. */
static void check_all(const struct names *names, const bool *in, char (*texts)[8], uint32_t count)
{
    struct name_place place = names_seek(names, span_of("", 0), SPAN_NONE);
    uint32_t met = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!in[i]) continue;
        if (!span_is(names_at(names, place), texts[i])) fail_msg("%s is not where it belongs", texts[i]);
        place = names_following(names, place);
        met++;
    }
    assert_null(names_at(names, place).bytes);
    assert_int_equal(met, names->count);
    for (uint32_t block = 0; block < names->blocks_count; block++) assert_in_range(names->blocks[block]->count, 1, NAMES_BLOCK_MAX);
}

enum { COUNT = 3000 };

/* Whatever order they come and go in: at random, rising, falling. */
static void names_that_come_and_go_stay_in_order(void **state)
{
    static char texts[COUNT][8];
    static bool in[COUNT];
    for (uint32_t i = 0; i < COUNT; i++) snprintf(texts[i], sizeof texts[i], "n%05u", i);
    for (int plan = 0; plan < 3; plan++) {
        struct names names = { 0 };
        uint64_t random = 9;
        memset(in, 0, sizeof in);
        for (uint32_t round = 0; round < 6 * COUNT; round++) {
            bool grows = round / COUNT % 2 == 0;
            uint32_t at = plan == 0 ? (uint32_t)(random_next(&random) % COUNT) : plan == 1 ? round % COUNT : COUNT - 1 - round % COUNT;
            if (in[at] && (!grows || plan == 0)) names_remove(&names, span_of_string(texts[at]));
            else if (!in[at]) assert_int_equal(names_add(&names, span_of_string(texts[at])), 0);
            else continue;
            in[at] = !in[at];
            struct span found = names_at(&names, names_seek(&names, span_of_string(texts[at]), SPAN_NONE));
            assert_int_equal(found.bytes == texts[at], in[at]);
            if (round % 199 == 0) check_all(&names, in, texts, COUNT);
        }
        check_all(&names, in, texts, COUNT);
        names_deinit(&names);
    }
}

/* Names in order fill their blocks, and where most have gone no more blocks are kept than twice what is needed, and two. */
static void blocks_are_well_filled(void **state)
{
    static char texts[COUNT][8];
    struct names names = { 0 };
    for (uint32_t i = 0; i < COUNT; i++) {
        snprintf(texts[i], sizeof texts[i], "n%05u", i);
        assert_int_equal(names_add(&names, span_of_string(texts[i])), 0);
    }
    assert_int_equal(names.blocks_count, (COUNT + NAMES_BLOCK_MAX - 1) / NAMES_BLOCK_MAX);
    for (uint32_t i = 0; i < COUNT; i++)
        if (i % 20) names_remove(&names, span_of_string(texts[i]));
    assert_int_equal(names.count, COUNT / 20);
    assert_in_range(names.blocks_count, 1, 4 * (COUNT / 20) / NAMES_BLOCK_MAX + 2);
    names_deinit(&names);
}

static void a_name_taken_out_is_gone_and_no_other(void **state)
{
    static const char *const all[] = { "d", "a", "c", "b", "e" };
    for (size_t gone = 0; gone < 5; gone++) {
        struct names names = { 0 };
        for (size_t i = 0; i < 5; i++) assert_int_equal(names_add(&names, span_of_string(all[i])), 0);
        names_remove(&names, span_of_string(all[gone]));
        assert_int_equal(names.count, 4);
        assert_int_equal(names_add(&names, SPAN_LITERAL("aa")), 0);
        for (size_t i = 0; i < 5; i++) {
            bool found = span_is(names_at(&names, names_seek(&names, span_of_string(all[i]), SPAN_NONE)), all[i]);
            assert_int_equal(found, i != gone);
        }
        names_deinit(&names);
    }
}

static void no_names_are_no_trouble(void **state)
{
    struct names names = { 0 };
    assert_null(names_at(&names, names_seek(&names, span_of("", 0), SPAN_NONE)).bytes);
    assert_int_equal(names.count, 0);
    names_deinit(&names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_begins_behind_the_name_before_it),
        cmocka_unit_test(names_that_come_and_go_stay_in_order),
        cmocka_unit_test(blocks_are_well_filled),
        cmocka_unit_test(a_name_taken_out_is_gone_and_no_other),
        cmocka_unit_test(no_names_are_no_trouble),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
