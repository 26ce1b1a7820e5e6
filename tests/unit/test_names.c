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
        uint32_t at = names_seek(&names, span_of_string(facts[i].prefix), optional(facts[i].after));
        if (!facts[i].first) assert_int_equal(at, names.count);
        else if (at == names.count || !span_is(names.list[at], facts[i].first)) fail_msg("prefix \"%s\" after \"%s\": not \"%s\"", facts[i].prefix, facts[i].after ? facts[i].after : "-", facts[i].first);
    }
    names_deinit(&names);
}

static void names_added_between_pages_are_in_order_too(void **state)
{
    enum { COUNT = 2000 };
    static char texts[COUNT][12];
    struct names names = { 0 };
    uint64_t random = 9;
    for (uint32_t i = 0; i < COUNT; i++) {
        snprintf(texts[i], sizeof texts[i], "%x", (unsigned)random_next(&random));
        assert_int_equal(names_add(&names, span_of_string(texts[i])), 0);
        if (i % 37) continue;
        assert_int_equal(names_seek(&names, span_of("", 0), SPAN_NONE), 0);
        for (uint32_t n = 1; n < names.count; n++) assert_true(span_compare(names.list[n - 1], names.list[n]) <= 0);
    }
    assert_int_equal(names.count, COUNT);
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
            uint32_t at = names_seek(&names, span_of_string(all[i]), SPAN_NONE);
            bool found = at < names.count && span_is(names.list[at], all[i]);
            assert_int_equal(found, i != gone);
        }
        names_deinit(&names);
    }
}

static void no_names_are_no_trouble(void **state)
{
    struct names names = { 0 };
    assert_int_equal(names_seek(&names, span_of("", 0), SPAN_NONE), 0);
    assert_int_equal(names.count, 0);
    names_deinit(&names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_begins_behind_the_name_before_it),
        cmocka_unit_test(names_added_between_pages_are_in_order_too),
        cmocka_unit_test(a_name_taken_out_is_gone_and_no_other),
        cmocka_unit_test(no_names_are_no_trouble),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
