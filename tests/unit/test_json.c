/* The JSON scanner: tables of facts, every text at the edge of a forbidden page, every prefix, and a twin that reads the same
 * random texts another way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "core/base/random.h"
#include "core/proto/json_search.h"
#include "tests/unit/guard.h"
#include "tests/unit/json_twin.h"

#define COUNT_OF(table) (sizeof(table) / sizeof *(table))

/* ---- what is JSON ------------------------------------------------------------------------------------------------------ */

static const struct {
    const char       *text;
    enum json_verdict verdict;
    uint32_t          depth_max;
} texts[] = {
    { "{}",                                          JSON_OK, 1 },
    { "[]",                                          JSON_OK, 1 },
    { " \t\r\n[ \t\r\n] \t\r\n",                     JSON_OK, 1 },
    { "{\"op\":\"publish\",\"topic\":\"AAPL\",\"data\":{\"p\":189.33,\"b\":189.31}}", JSON_OK, 2 },
    { "{ \"a\" : 1 , \"a\" : [ true , false , null ] }", JSON_OK, 2 },
    { "true",                                        JSON_OK, 0 },
    { "null",                                        JSON_OK, 0 },
    { "\"\"",                                        JSON_OK, 0 },
    { "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00eF\"",       JSON_OK, 0 },
    { "\"\\ud800\"",                                 JSON_OK, 0 }, /* half a pair passes here */
    { "\"\xc2\x80\xe2\x82\xac\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf\x7f\"", JSON_OK, 0 },
    { "0",                                           JSON_OK, 0 },
    { "-0",                                          JSON_OK, 0 },
    { "-0.0e-00",                                    JSON_OK, 0 },
    { "1234567890123456789012345678901234567890E+999", JSON_OK, 0 },
    { "[1,2,[3,{\"a\":[4]}]]",                       JSON_OK, 4 },

    { "[1]",                                         JSON_DEEP, 0 },
    { "[[1]]",                                       JSON_DEEP, 1 },
    { "{\"a\":{}}",                                  JSON_DEEP, 1 },
    { "[[[ nonsense",                                JSON_DEEP, 2 }, /* it is JSON so far */
    { "[1 [[[",                                      JSON_SYNTAX, 1 },

    { "",                                            JSON_SYNTAX, 1 },
    { " ",                                           JSON_SYNTAX, 1 },
    { "\xef\xbb\xbf{}",                              JSON_SYNTAX, 1 }, /* a byte order mark */
    { "{} {}",                                       JSON_SYNTAX, 1 },
    { "{}x",                                         JSON_SYNTAX, 1 },
    { "[1,]",                                        JSON_SYNTAX, 1 },
    { "[,1]",                                        JSON_SYNTAX, 1 },
    { "[1 2]",                                       JSON_SYNTAX, 1 },
    { "[1}",                                         JSON_SYNTAX, 1 },
    { "{\"a\":1]",                                   JSON_SYNTAX, 1 },
    { "{\"a\":1,}",                                  JSON_SYNTAX, 1 },
    { "{,\"a\":1}",                                  JSON_SYNTAX, 1 },
    { "{\"a\"}",                                     JSON_SYNTAX, 1 },
    { "{\"a\":}",                                    JSON_SYNTAX, 1 },
    { "{\"a\" 1}",                                   JSON_SYNTAX, 1 },
    { "{a:1}",                                       JSON_SYNTAX, 1 },
    { "{1:1}",                                       JSON_SYNTAX, 1 },
    { "{'a':1}",                                     JSON_SYNTAX, 1 },
    { "]",                                           JSON_SYNTAX, 1 },
    { "tru",                                         JSON_SYNTAX, 0 },
    { "truE",                                        JSON_SYNTAX, 0 },
    { "True",                                        JSON_SYNTAX, 0 },
    { "nulll",                                       JSON_SYNTAX, 0 },
    { "NaN",                                         JSON_SYNTAX, 0 },
    { "Infinity",                                    JSON_SYNTAX, 0 },
    { "01",                                          JSON_SYNTAX, 0 },
    { "-",                                           JSON_SYNTAX, 0 },
    { "+1",                                          JSON_SYNTAX, 0 },
    { ".5",                                          JSON_SYNTAX, 0 },
    { "1.",                                          JSON_SYNTAX, 0 },
    { "1.e1",                                        JSON_SYNTAX, 0 },
    { "1e",                                          JSON_SYNTAX, 0 },
    { "1e+",                                         JSON_SYNTAX, 0 },
    { "0x1",                                         JSON_SYNTAX, 0 },
    { "--1",                                         JSON_SYNTAX, 0 },
    { "\"",                                          JSON_SYNTAX, 0 },
    { "\"abc",                                       JSON_SYNTAX, 0 },
    { "\"\\",                                        JSON_SYNTAX, 0 },
    { "\"\\\"",                                      JSON_SYNTAX, 0 },
    { "\"\\x\"",                                     JSON_SYNTAX, 0 },
    { "\"\\u12\"",                                   JSON_SYNTAX, 0 },
    { "\"\\u12g4\"",                                 JSON_SYNTAX, 0 },
    { "\"\\U1234\"",                                 JSON_SYNTAX, 0 },
    { "\"a\nb\"",                                    JSON_SYNTAX, 0 },
    { "\"a\tb\"",                                    JSON_SYNTAX, 0 },
    { "\"\x1f\"",                                    JSON_SYNTAX, 0 },
    { "\"\x80\"",                                    JSON_SYNTAX, 0 }, /* a stray continuation */
    { "\"\xc0\xaf\"",                                JSON_SYNTAX, 0 }, /* overlong */
    { "\"\xe0\x80\xaf\"",                            JSON_SYNTAX, 0 },
    { "\"\xed\xa0\x80\"",                            JSON_SYNTAX, 0 }, /* a surrogate */
    { "\"\xf4\x90\x80\x80\"",                        JSON_SYNTAX, 0 }, /* beyond U+10FFFF */
    { "\"\xe2\x82\"",                                JSON_SYNTAX, 0 }, /* cut */
    { "\xc2\xa0{}",                                  JSON_SYNTAX, 1 }, /* a no-break space is none of JSON's */
    { "{}\v",                                        JSON_SYNTAX, 1 },
    { "[1]//",                                       JSON_SYNTAX, 1 },
};

static void texts_are_judged_as_the_table_says(void **state)
{
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct span text = guard_span(span_of_string(texts[i].text));
        struct json_value value;
        if (json_validate(text, texts[i].depth_max, &value) != texts[i].verdict) fail_msg("%s", texts[i].text);
        twin_check(text, texts[i].depth_max);
        guard_free(text.bytes);
    }
    assert_int_equal(json_validate(SPAN_NONE, 1, &(struct json_value){ 0 }), JSON_SYNTAX);
    assert_int_equal(json_validate(span_of("[\0]", 3), 1, &(struct json_value){ 0 }), JSON_SYNTAX);
}

static void prefixes_agree_with_the_twin(void **state)
{
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        for (size_t size = 0; size < strlen(texts[i].text); size++) {
            struct span text = guard_span(span_of(texts[i].text, size));
            twin_check(text, texts[i].depth_max);
            guard_free(text.bytes);
        }
}

/* Every byte that isn't plain must be seen wherever it stands in a block, and the quote too. */
static void strings_of_every_length_end_where_they_end(void **state)
{
    static const char *const odd[] = { "", "\\n", "\\u0041", "\xe2\x82\xac", "\n", "\x80", "\\", "\x7f", "\"" };
    for (size_t length = 0; length < 70; length++)
        for (size_t place = 0; place <= length; place++)
            for (size_t which = 0; which < COUNT_OF(odd); which++) {
                static const char before[] = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz";
                static const char behind[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZ";
                char text[256];
                size_t size = (size_t)sprintf(text, "\"%.*s%s%.*s\"", (int)place, before, odd[which], (int)(length - place), behind);
                struct span copy = guard_span(span_of(text, size));
                twin_check(copy, 0);
                guard_free(copy.bytes);
            }
}

static void both_searches_find_the_same_byte(void **state)
{
    uint64_t seed = 5;
    char *const edge = guard_copy(span_of((char[64]){ 0 }, 64));
    for (int round = 0; round < 200000; round++) {
        size_t size = random_below(&seed, 65), from = random_below(&seed, (uint32_t)size + 1);
        char *begin = edge + 64 - size, *end = edge + 64;
        for (size_t i = 0; i < size; i++) {
            bool any_byte = random_below(&seed, 12) == 0;
            begin[i] = (char)(any_byte ? random_below(&seed, 256) : 'a' + random_below(&seed, 26));
        }
        const char *wanted = begin + from;
        while (wanted < end && json_byte_is_plain(*wanted)) wanted++;
        assert_ptr_equal(json_search(begin, begin + from, end), wanted);
        assert_ptr_equal(json_search_words(begin + from, end), wanted);
    }
    guard_free(edge);
}

static void brackets_nest_to_the_limit_and_no_further(void **state)
{
    for (uint32_t levels = 1; levels <= JSON_DEPTH_LIMIT + 1; levels++) {
        char text[4096], *at = text;
        for (uint32_t i = 0; i < levels; i++) at += sprintf(at, i % 3 == 1 ? "{\"a\":" : "[");
        *at++ = '1';
        for (uint32_t i = levels; i-- > 0;) *at++ = i % 3 == 1 ? '}' : ']';
        struct span whole = span_of(text, (size_t)(at - text));
        struct json_value value;
        assert_int_equal(json_validate(whole, JSON_DEPTH_LIMIT, &value), levels <= JSON_DEPTH_LIMIT ? JSON_OK : JSON_DEEP);
        if (levels <= JSON_DEPTH_LIMIT) assert_int_equal(json_validate(whole, levels - 1, &value), JSON_DEEP);
        at[-1] ^= ']' ^ '}'; /* the outermost closed by the wrong one */
        assert_int_equal(json_validate(whole, JSON_DEPTH_LIMIT, &value), levels <= JSON_DEPTH_LIMIT ? JSON_SYNTAX : JSON_DEEP);
    }
    size_t many = 1 << 20;
    char *deep = malloc(many);
    memset(deep, '[', many);
    assert_int_equal(json_validate(span_of(deep, many), JSON_DEPTH_LIMIT, &(struct json_value){ 0 }), JSON_DEEP);
    free(deep);
}

static void the_value_is_described(void **state)
{
    static const struct {
        const char    *text, *value;
        enum json_kind kind;
        bool           escaped, line_break;
    } facts[] = {
        { "\r\n [1, 2] \r\n",  "[1, 2]",     JSON_ARRAY,  false, false }, /* around it doesn't count */
        { "[1,\n2]",           "[1,\n2]",    JSON_ARRAY,  false, true },
        { "{\"a\"\r:1}",       "{\"a\"\r:1}", JSON_OBJECT, false, true },
        { "[\"\\n\"]",         "[\"\\n\"]",  JSON_ARRAY,  false, false }, /* escaped is said of strings only */
        { " \"\\n\"",          "\"\\n\"",    JSON_STRING, true,  false },
        { "\"n\" ",            "\"n\"",      JSON_STRING, false, false },
        { " -1.5 ",            "-1.5",       JSON_NUMBER, false, false },
        { "true",              "true",       JSON_TRUE,   false, false },
        { "false",             "false",      JSON_FALSE,  false, false },
        { "null\n",            "null",       JSON_NULL,   false, false },
    };
    for (size_t i = 0; i < COUNT_OF(facts); i++) {
        struct json_value value;
        assert_int_equal(json_validate(span_of_string(facts[i].text), 8, &value), JSON_OK);
        assert_int_equal(value.kind, facts[i].kind);
        assert_true(span_is(value.text, facts[i].value));
        assert_int_equal(value.escaped, facts[i].escaped);
        assert_int_equal(value.line_break, facts[i].line_break);
    }
}

/* ---- member by member ---------------------------------------------------------------------------------------------------- */

static void members_come_in_order_with_what_follows_left_alone(void **state)
{
    const char *text = " {\"op\": \"publish\",\n\"d\\u0061ta\":{\"p\" : [1,\r2]} , \"id\":7}\n{\"op\":1}";
    struct span copy = guard_span(span_of_string(text));
    struct json_reader reader;
    struct json_value key, value;
    assert_true(json_object_begin(&reader, copy, 3));
    assert_true(json_object_next(&reader, &key, &value));
    assert_true(json_string_is(&key, "op") && span_is(value.text, "\"publish\"") && value.kind == JSON_STRING);
    assert_false(reader.line_break);
    assert_true(json_object_next(&reader, &key, &value));
    assert_true(json_string_is(&key, "data") && key.escaped && span_is(key.text, "\"d\\u0061ta\""));
    assert_true(span_is(value.text, "{\"p\" : [1,\r2]}") && value.line_break && reader.line_break);
    assert_true(json_object_next(&reader, &key, &value));
    assert_true(span_is(value.text, "7") && !value.line_break);
    assert_false(json_object_next(&reader, &key, &value));
    assert_true(reader.done && reader.verdict == JSON_OK);
    assert_true(span_is(span_skip(reader.text, reader.at), "\n{\"op\":1}"));
    assert_false(json_object_next(&reader, &key, &value));
    guard_free(copy.bytes);
}

static void no_object_is_told_from_no_json(void **state)
{
    static const struct {
        const char       *text;
        enum json_verdict verdict;
        size_t            at;
    } facts[] = {
        { " [1]", JSON_OK, 1 }, { "\"a\"", JSON_OK, 0 }, { "-1", JSON_OK, 0 }, { "\n\n0", JSON_OK, 2 }, { "9", JSON_OK, 0 },
        { "true", JSON_OK, 0 }, { "false", JSON_OK, 0 }, { "null", JSON_OK, 0 },
        { "", JSON_SYNTAX, 0 }, { "  ", JSON_SYNTAX, 2 }, { "hello", JSON_SYNTAX, 0 }, { "}", JSON_SYNTAX, 0 }, { "+1", JSON_SYNTAX, 0 },
        { "\xef\xbb\xbf{}", JSON_SYNTAX, 0 },
    };
    struct json_reader reader;
    struct json_value key, value;
    for (size_t i = 0; i < COUNT_OF(facts); i++) {
        struct span copy = guard_span(span_of_string(facts[i].text));
        assert_false(json_object_begin(&reader, copy, 3));
        assert_int_equal(reader.verdict, facts[i].verdict);
        assert_int_equal(reader.at, facts[i].at);
        assert_false(json_object_next(&reader, &key, &value));
        guard_free(copy.bytes);
    }
    assert_false(json_object_begin(&reader, SPAN_LITERAL("{}"), 0));
    assert_int_equal(reader.verdict, JSON_DEEP);
}

static void a_fault_shows_when_it_is_reached(void **state)
{
    static const struct {
        const char       *text;
        int               members; /* handed out before */
        enum json_verdict verdict;
    } facts[] = {
        { "{}", 0, JSON_OK }, { "{ }x", 0, JSON_OK }, { "{\"a\":1}", 1, JSON_OK },
        { "{", 0, JSON_SYNTAX }, { "{,", 0, JSON_SYNTAX }, { "{\"a\":1,}", 1, JSON_SYNTAX }, { "{\"a\":1 \"b\":2}", 1, JSON_SYNTAX },
        { "{\"a\":1,\"b\":[1,]}", 1, JSON_SYNTAX }, { "{\"a\":1", 1, JSON_SYNTAX }, { "{\"a\":1,\"b\"}", 1, JSON_SYNTAX },
        { "{\"a\":1]", 1, JSON_SYNTAX }, { "{\"a\":[[1]],\"b\":[[[1]]],\"c\":1}", 1, JSON_DEEP },
    };
    for (size_t i = 0; i < COUNT_OF(facts); i++) {
        struct json_reader reader;
        struct json_value key, value;
        struct span copy = guard_span(span_of_string(facts[i].text));
        int members = 0;
        assert_true(json_object_begin(&reader, copy, 3));
        while (json_object_next(&reader, &key, &value)) members++;
        assert_int_equal(members, facts[i].members);
        assert_int_equal(reader.verdict, facts[i].verdict);
        assert_int_equal(reader.done, facts[i].verdict == JSON_OK);
        guard_free(copy.bytes);
    }
}

static void what_is_too_deep_is_passed_and_what_stands_behind_it_is_read(void **state)
{
    static const struct {
        const char       *text;
        const char       *members; /* the first letter of the name of each that was handed out, ! for one that was too deep */
        enum json_verdict verdict;
        size_t            at;
    } facts[] = { /* three levels are allowed */
        { "{\"a\":[[[1]]],\"b\":2}x", "!b", JSON_OK, 19 }, { "{\"a\":[[[]]]}", "!", JSON_OK, 12 }, { "{\"a\":1,\"b\":{\"x\":[{\"y\":[]}]} ,\"c\":[[]]}", "a!c", JSON_OK, 38 },
        { "{\"a\":[[[\"]]]\\\"]\"]]],\"b\":2}", "!b", JSON_OK, 26 }, { "{\"a\":[[[1]]],\"b\":[[[2]]]}", "!!", JSON_OK, 25 }, { "{\"a\":[[1,[]],[[2]]],\"b\":1}", "!b", JSON_OK, 26 },
        { "{\"a\":[[[nonsense]]],\"b\":1}", "!b", JSON_OK, 26 }, { "{\"a\":[[[1]]]", "!", JSON_SYNTAX, 12 }, { "{\"a\":[[[1]],\"b\":2}", "!", JSON_SYNTAX, 18 }, { "{\"a\":[[[\"", "!", JSON_SYNTAX, 7 },
        { "{\"a\":[[[", "!", JSON_SYNTAX, 7 }, { "{\"a\":[[[\"\xff\"]]]}", "!", JSON_SYNTAX, 7 }, { "{\"a\":[[[1]]] \"b\":2}", "!", JSON_SYNTAX, 13 }, { "{\"a\":[[[1]]],}", "!", JSON_SYNTAX, 13 },
    };
    for (size_t i = 0; i < COUNT_OF(facts); i++) {
        struct json_reader reader;
        struct json_value key, value;
        struct span copy = guard_span(span_of_string(facts[i].text));
        char members[8] = "";
        assert_true(json_object_begin(&reader, copy, 3));
        do {
            while (json_object_next(&reader, &key, &value)) strncat(members, key.text.bytes + 1, 1);
            if (reader.verdict == JSON_DEEP) strcat(members, "!");
        } while (reader.verdict == JSON_DEEP && json_object_pass_deep(&reader));
        assert_string_equal(members, facts[i].members);
        assert_int_equal(reader.verdict, facts[i].verdict);
        assert_int_equal(reader.at, facts[i].at);
        guard_free(copy.bytes);
    }
}

static void elements_of_an_array(void **state)
{
    struct json_value element;
    size_t at = 0;
    struct span array = guard_span(SPAN_LITERAL("[ \"AAPL\" ,[1,[2]],\n{\"a\":[]}]"));
    assert_true(json_array_next(array, &at, &element) && span_is(element.text, "\"AAPL\""));
    assert_true(json_array_next(array, &at, &element) && span_is(element.text, "[1,[2]]"));
    assert_true(json_array_next(array, &at, &element) && span_is(element.text, "{\"a\":[]}"));
    assert_false(json_array_next(array, &at, &element));
    assert_false(json_array_next(array, &at, &element));
    guard_free(array.bytes);
    at = 0;
    assert_false(json_array_next(SPAN_LITERAL("[ ]"), &at, &element));
}

/* ---- beside the twin ------------------------------------------------------------------------------------------------------- */

enum { EDGE = 512 };

/* A text of the table, or a made one, changed in a few places. */
static size_t some_text(uint64_t *seed, char *out)
{
    static const char alphabet[] = "{}[]\",:\\/ \t\r\n0123456789-+.eEtrufalsn\x80\xbf\xc3\xe2\xed\xf0\xf4\x1f\x7f" "abcdu";
    const char *base = texts[random_below(seed, COUNT_OF(texts))].text;
    size_t size = strlen(base);
    memcpy(out, base, size);
    for (uint32_t changes = random_below(seed, 5); changes > 0; changes--) {
        size_t at = random_below(seed, (uint32_t)size + 1), count = random_below(seed, 8);
        if (count > size - at) count = size - at;
        switch (random_below(seed, 4)) {
        case 0: /* another byte */
            if (at < size) out[at] = alphabet[random_below(seed, sizeof alphabet)];
            break;
        case 1: /* a byte more */
            memmove(out + at + 1, out + at, size - at);
            out[at] = alphabet[random_below(seed, sizeof alphabet)];
            size++;
            break;
        case 2: /* some less */
            memmove(out + at, out + at + count, size - at - count);
            size -= count;
            break;
        default: /* some twice */
            memmove(out + at + count, out + at, size - at);
            size += count;
        }
    }
    return size;
}

static void random_texts_are_read_as_the_twin_reads_them(void **state)
{
    uint64_t seed = 20;
    char *edge = guard_copy(span_of((char[EDGE]){ 0 }, EDGE));
    for (int round = 0; round < 500000; round++) {
        char text[EDGE];
        size_t size = some_text(&seed, text);
        memcpy(edge + EDGE - size, text, size);
        twin_check(span_of(edge + EDGE - size, size), random_below(&seed, 6));
    }
    guard_free(edge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_judged_as_the_table_says),
        cmocka_unit_test(prefixes_agree_with_the_twin),
        cmocka_unit_test(strings_of_every_length_end_where_they_end),
        cmocka_unit_test(both_searches_find_the_same_byte),
        cmocka_unit_test(brackets_nest_to_the_limit_and_no_further),
        cmocka_unit_test(the_value_is_described),
        cmocka_unit_test(members_come_in_order_with_what_follows_left_alone),
        cmocka_unit_test(no_object_is_told_from_no_json),
        cmocka_unit_test(a_fault_shows_when_it_is_reached),
        cmocka_unit_test(what_is_too_deep_is_passed_and_what_stands_behind_it_is_read),
        cmocka_unit_test(elements_of_an_array),
        cmocka_unit_test(random_texts_are_read_as_the_twin_reads_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
