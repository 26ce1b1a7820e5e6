/* Strings and numbers of JSON: what they mean, and how text is written as a string. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "core/base/random.h"
#include "core/proto/json.h"
#include "tests/unit/guard.h"

#define COUNT_OF(table) (sizeof(table) / sizeof *(table))

static struct json_value value_of(struct span text)
{
    struct json_value value;
    assert_int_equal(json_validate(text, 8, &value), JSON_OK);
    return value;
}

static void strings_are_unescaped(void **state)
{
    static const struct {
        const char *text, *meant; /* NULL: half a pair */
    } facts[] = {
        { "\"\"", "" }, { "\"plain\"", "plain" }, { "\"a\\\"\\\\\\/\\b\\f\\n\\r\\tz\"", "a\"\\/\b\f\n\r\tz" },
        { "\"\\u0041\\u00e9\\u20ac\"", "A\xc3\xa9\xe2\x82\xac" }, { "\"\\ud83d\\uDE00!\"", "\xf0\x9f\x98\x80!" },
        { "\"\\udbff\\udfff\"", "\xf4\x8f\xbf\xbf" }, { "\"\\uffff\\ud7ff\\ue000\"", "\xef\xbf\xbf\xed\x9f\xbf\xee\x80\x80" },
        { "\"\\ud800\"", NULL }, { "\"\\ud800x\"", NULL }, { "\"\\ud800\\n12345\"", NULL }, { "\"\\ud800\\u0041\"", NULL },
        { "\"\\udc00\"", NULL }, { "\"a\\ud800\\ud800\\udc00\"", NULL },
    };
    for (size_t i = 0; i < COUNT_OF(facts); i++) {
        struct span copy = guard_span(span_of_string(facts[i].text));
        struct json_value string = value_of(copy);
        char out[64];
        long bytes = json_string_unescape(&string, out, sizeof out);
        if (!facts[i].meant) {
            assert_int_equal(bytes, -1);
            assert_false(json_string_is(&string, "a"));
        } else {
            assert_true(bytes >= 0 && span_is(span_of(out, (size_t)bytes), facts[i].meant));
            assert_int_equal(json_string_unescape(&string, out, (size_t)bytes), bytes);
            if (bytes > 0) assert_int_equal(json_string_unescape(&string, out, (size_t)bytes - 1), -1);
            assert_true(json_string_is(&string, facts[i].meant));
            assert_false(json_string_is(&string, "plai"));
            assert_false(json_string_is(&string, "plain!"));
        }
        guard_free(copy.bytes);
    }
    assert_false(json_string_is(&(struct json_value){ .kind = JSON_NUMBER, .text = SPAN_LITERAL("12") }, ""));
    char nul[1] = { 'x' };
    struct json_value escaped_nul = value_of(SPAN_LITERAL("\"\\u0000\""));
    assert_int_equal(json_string_unescape(&escaped_nul, nul, 1), 1);
    assert_int_equal(nul[0], 0);
    assert_false(json_string_is(&escaped_nul, ""));
}

static void integers_are_those_that_javascript_holds(void **state)
{
    static const struct {
        const char *text;
        bool        good;
        int64_t     integer;
    } facts[] = {
        { "0", true, 0 }, { "-0", true, 0 }, { "7", true, 7 }, { "-12", true, -12 },
        { "9007199254740992", true, INT64_C(1) << 53 }, { "-9007199254740992", true, -(INT64_C(1) << 53) },
        { "9007199254740993", false, 0 }, { "-9007199254740993", false, 0 }, { "99999999999999999999999999999999", false, 0 },
        { "1.0", false, 0 }, { "1e3", false, 0 }, { "0E0", false, 0 }, { "\"1\"", false, 0 }, { "true", false, 0 },
    };
    for (size_t i = 0; i < COUNT_OF(facts); i++) {
        struct span copy = guard_span(span_of_string(facts[i].text));
        struct json_value number = value_of(copy);
        int64_t integer = -1;
        assert_int_equal(json_integer(&number, &integer), facts[i].good);
        if (facts[i].good) assert_int_equal(integer, facts[i].integer);
        guard_free(copy.bytes);
    }
}

static void check_double(const char *text)
{
    struct span copy = guard_span(span_of_string(text));
    struct json_value number = value_of(copy);
    double real = 0.5, wanted = strtod(text, NULL);
    if (json_double(&number, &real) != (bool)__builtin_isfinite(wanted)) fail_msg("%s", text);
    if (__builtin_isfinite(wanted) && memcmp(&real, &wanted, sizeof real) != 0) fail_msg("%s: %a is not %a", text, real, wanted);
    guard_free(copy.bytes);
}

static void reals_are_those_of_strtod(void **state)
{
    static const char *const facts[] = {
        "0", "-0", "-0.0e5", "1", "4.5", "189.33", "-2.5e-3", "1e308", "1.7976931348623157e308", "1.7976931348623159e308", "1e309", "-1e400",
        "5e-324", "2e-324", "1e-400", "0.000e999999999999999999999999", "1e99999999999999999999999999", "1e-99999999999999999999999999",
        "123456789012345678901234567890", "0.1000000000000000055511151231257827021181583404541015625", "9007199254740993",
        "1e00000000000000000000000000000000000000000000000000000000000000000000000000001",
    };
    for (size_t i = 0; i < COUNT_OF(facts); i++) check_double(facts[i]);

    static char text[5000];
    for (int digits = 1; digits < 2000; digits += 37) { /* a one far behind, on the border between two doubles */
        sprintf(text, "9007199254740993.%0*d1", digits, 0);
        check_double(text);
        sprintf(text, "0.%0*d12345e%d", digits, 0, digits);
        check_double(text);
        sprintf(text, "9007199254740993%0*de-%d", digits, 0, digits);
        check_double(text);
    }
    uint64_t seed = 11;
    for (int round = 0; round < 20000; round++) {
        uint64_t bits = random_next(&seed);
        double real;
        memcpy(&real, &bits, sizeof real);
        if (!__builtin_isfinite(real)) continue;
        sprintf(text, "%.*e", (int)random_below(&seed, 20), real);
        check_double(text);
    }
}

static void text_is_escaped(void **state)
{
    static const struct {
        struct span text;
        const char *inside;
    } facts[] = {
        { SPAN_LITERAL(""), "" }, { SPAN_LITERAL("plain"), "plain" }, { SPAN_LITERAL("a\"b\\c/"), "a\\\"b\\\\c/" },
        { SPAN_LITERAL("\b\f\n\r\t"), "\\b\\f\\n\\r\\t" }, { SPAN_LITERAL("\0\x1f\x7f"), "\\u0000\\u001f\x7f" },
        { SPAN_LITERAL("\xc3\xa9\xf0\x9f\x98\x80"), "\xc3\xa9\xf0\x9f\x98\x80" },
        { SPAN_LITERAL("a\xff" "b"), "a\xef\xbf\xbd" "b" }, { SPAN_LITERAL("\x80\x80"), "\xef\xbf\xbd\xef\xbf\xbd" },
        { SPAN_LITERAL("\xf0\x9f\x98"), "\xef\xbf\xbd" }, { SPAN_LITERAL("\xe2\x82" "A"), "\xef\xbf\xbd" "A" },
        { SPAN_LITERAL("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
    };
    for (size_t i = 0; i < COUNT_OF(facts); i++) {
        struct span copy = guard_span(facts[i].text);
        size_t whole = strlen(facts[i].inside);
        char out[64];
        for (size_t room = 0; room <= whole + 1; room++) {
            memset(out, '#', sizeof out);
            size_t bytes = json_escape(copy, out, room);
            assert_true(bytes <= room && bytes <= whole);
            assert_memory_equal(out, facts[i].inside, bytes);
            assert_int_equal(out[bytes], '#');
            char quoted[80];
            int size = sprintf(quoted, "\"%.*s\"", (int)bytes, out);
            value_of(span_of(quoted, (size_t)size)); /* what did fit is whole characters */
            if (room >= whole) assert_int_equal(bytes, whole);
        }
        guard_free(copy.bytes);
    }
    assert_int_equal(json_escape(SPAN_NONE, NULL, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_are_unescaped),
        cmocka_unit_test(integers_are_those_that_javascript_holds),
        cmocka_unit_test(reals_are_those_of_strtod),
        cmocka_unit_test(text_is_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
