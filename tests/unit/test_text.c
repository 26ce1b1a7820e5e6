/* Growing text: what was added stands there, in order and to the byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "core/base/text.h"

static void assert_text(const struct text *text, const char *expected)
{
    assert_int_equal(text->size, strlen(expected));
    if (text->size > 0) assert_memory_equal(text->bytes, expected, text->size);
}

static void what_is_added_stands_in_order(void **state)
{
    struct text text = { 0 };
    text_add(&text, SPAN_LITERAL("ab"));
    text_add_char(&text, '-');
    text_add_string(&text, "cd");
    text_add_number(&text, 70);
    text_print(&text, "<%s %d>", "x", -5);
    assert_text(&text, "ab-cd70<x -5>");
    text_free(&text);
}

static void nothing_added_takes_no_memory(void **state)
{
    struct text text = { 0 };
    text_add(&text, SPAN_NONE);
    text_add(&text, span_of("", 0));
    text_add_string(&text, "");
    assert_null(text.bytes);
    text_cut(&text, 0, 0); /* passed NULL to memmove once */
    text_free(&text);
    assert_null(text.bytes);
}

static void numbers_are_written_with_all_their_digits(void **state)
{
    static const struct {
        uint64_t    number;
        const char *digits;
    } facts[] = { { 0, "0" }, { 9, "9" }, { 10, "10" }, { 4294967296, "4294967296" }, { UINT64_MAX, "18446744073709551615" } };
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        struct text text = { 0 };
        text_add_number(&text, facts[i].number);
        assert_text(&text, facts[i].digits);
        text_free(&text);
    }
}

static void it_grows_over_every_size(void **state)
{
    struct text text = { 0 };
    for (int i = 0; i < 3000; i++) text_print(&text, "%c%.*s", 'a' + i % 26, i % 7, "123456");
    size_t at = 0;
    for (int i = 0; i < 3000; i++) {
        assert_int_equal(text.bytes[at], 'a' + i % 26);
        assert_memory_equal(text.bytes + at + 1, "123456", (size_t)(i % 7));
        at += 1 + (size_t)(i % 7);
    }
    assert_int_equal(text.size, at);
    text_free(&text);
}

/* Printing needs one byte more than it keeps: it may not be taken from what follows. */
static void a_print_that_ends_at_the_capacity_is_whole(void **state)
{
    for (int size = 250; size < 260; size++) {
        struct text text = { 0 };
        text_print(&text, "%*s", size, "x");
        assert_int_equal(text.size, size);
        assert_int_equal(text.bytes[size - 1], 'x');
        text_free(&text);
    }
}

static void cutting_takes_out_the_middle(void **state)
{
    static const struct {
        size_t      at, count;
        const char *left;
    } facts[] = { { 0, 0, "abcdef" }, { 0, 2, "cdef" }, { 2, 2, "abef" }, { 4, 2, "abcd" }, { 6, 0, "abcdef" }, { 0, 6, "" } };
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        struct text text = { 0 };
        text_add_string(&text, "abcdef");
        text_cut(&text, facts[i].at, facts[i].count);
        assert_text(&text, facts[i].left);
        text_free(&text);
    }
}

static void reserved_room_is_the_callers_to_fill(void **state)
{
    struct text text = { 0 };
    text_add_string(&text, "x");
    char *room = text_reserve(&text, 100000);
    memset(room, 'y', 100000);
    assert_int_equal(text.size, 1);
    text.size += 2;
    assert_text(&text, "xyy");
    text_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_added_stands_in_order),
        cmocka_unit_test(nothing_added_takes_no_memory),
        cmocka_unit_test(numbers_are_written_with_all_their_digits),
        cmocka_unit_test(it_grows_over_every_size),
        cmocka_unit_test(a_print_that_ends_at_the_capacity_is_whole),
        cmocka_unit_test(cutting_takes_out_the_middle),
        cmocka_unit_test(reserved_room_is_the_callers_to_fill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
