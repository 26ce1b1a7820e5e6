/* Spans: what stands in them, where, and that one without bytes may be asked like any other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/guard.h"

static void the_first_such_byte_is_found(void **state)
{
    static const struct {
        const char *text, byte;
        int         at; /* -1: nowhere */
    } facts[] = { { "a,b,c", ',', 1 }, { ",a", ',', 0 }, { "ab,", ',', 2 }, { "abc", ',', -1 }, { "", ',', -1 }, { "a\xff", (char)0xff, 1 }, { "abc", 0, -1 } };
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        struct span text = guard_span(span_of_string(facts[i].text));
        const char *found = span_find(text, facts[i].byte);
        assert_int_equal(found ? found - text.bytes : -1, facts[i].at);
        guard_free(text.bytes);
    }
}

static void the_first_such_words_are_found(void **state)
{
    static const struct {
        const char *text, *words;
        int         at; /* -1: nowhere */
    } facts[] = { { "abcabc", "bc", 1 }, { "abcabc", "abc", 0 }, { "xyz\r\n\r\n", "\r\n\r\n", 3 }, { "abcab", "cabc", -1 }, { "a", "ab", -1 }, { "", "a", -1 } };
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        struct span text = guard_span(span_of_string(facts[i].text));
        const char *found = span_find_string(text, facts[i].words);
        assert_int_equal(found ? found - text.bytes : -1, facts[i].at);
        guard_free(text.bytes);
    }
}

/* A C library may be asked about no bytes, but never at NULL: the sanitizers hold us to that. */
static void an_absent_span_holds_nothing_and_is_written_as_nothing(void **state)
{
    char out[2] = "x";
    assert_null(span_find(SPAN_NONE, 'a'));
    assert_null(span_find(SPAN_NONE, 0));
    assert_null(span_find_string(SPAN_NONE, "a"));
    assert_ptr_equal(span_write(SPAN_NONE, out), out);
    assert_string_equal(out, "x");
}

static void what_is_written_stands_side_by_side(void **state)
{
    char out[8] = "-------";
    assert_ptr_equal(span_write(SPAN_LITERAL("cd"), span_write(SPAN_NONE, span_write(SPAN_LITERAL("ab"), out))), out + 4);
    assert_string_equal(out, "abcd---");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_such_byte_is_found),
        cmocka_unit_test(the_first_such_words_are_found),
        cmocka_unit_test(an_absent_span_holds_nothing_and_is_written_as_nothing),
        cmocka_unit_test(what_is_written_stands_side_by_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
