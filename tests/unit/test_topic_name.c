/* Topic names and patterns: what may stand in them, and which pattern covers which name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/proto/topic_name.h"
#include "tests/unit/guard.h"

#define LETTERS_32 "abcdefghijklmnopqrstuvwxyzabcdef"
#define LETTERS_128 LETTERS_32 LETTERS_32 LETTERS_32 LETTERS_32

enum { NAME = 1, PATTERN = 2, NEITHER = 0 }; /* NAME | PATTERN: a name is a pattern without wildcard */

struct fact {
    struct span text;
    int         as;
    const char *name;
};

#define IS(what, text, name) { SPAN_LITERAL(text), what, name }

/* clang-format off */
static const struct fact facts[] = {
    IS(NAME | PATTERN, "AAPL", "one token"),
    IS(NAME | PATTERN, "crypto.BTC/USD", "two tokens and a slash"),
    IS(NAME | PATTERN, "chat.room-7", "two tokens and a hyphen"),
    IS(NAME | PATTERN, "a", "one byte"),
    IS(NAME | PATTERN, "$sys.shard.0", "a reserved name is well formed"),
    IS(NAME | PATTERN, "a+b=c&d?e#f%20<'`|~^;:@!(){}[]$", "other ASCII marks"),
    IS(NAME | PATTERN, "m\xc3\xbcnchen.caf\xc3\xa9", "letters beyond ASCII"),
    IS(NAME | PATTERN, "\xe6\x97\xa5\xe6\x9c\xac.\xf0\x9f\x93\x88", "characters of three and four bytes"),
    IS(NAME | PATTERN, LETTERS_128, "128 bytes"),
    IS(NAME | PATTERN, "a\xc2\xa1", "U+00A1 is the first above the hidden ones"),
    IS(NAME | PATTERN, "a\xe2\x80\xa7" "b\xe2\x80\xaa", "U+2027 and U+202A, beside the line separators"),
    IS(NAME | PATTERN, "a\xe2\x81\xa8", "U+2068 is not U+2028"),
    IS(NAME | PATTERN, "a\xe3\x80\xa8", "U+3028 is not U+2028"),
    IS(NAME | PATTERN, "a\xc3\x80", "U+00C0 is not U+0080"),
    IS(NEITHER, "", "nothing"),
    IS(NEITHER, LETTERS_128 "a", "129 bytes"),
    IS(NEITHER, ".", "a dot alone"),
    IS(NEITHER, ".a", "an empty first token"),
    IS(NEITHER, "a.", "an empty last token"),
    IS(NEITHER, "a..b", "an empty token in the middle"),
    IS(NEITHER, "a b", "a space"),
    IS(NEITHER, " a", "a space before"),
    IS(NEITHER, "a\t", "a tab"),
    IS(NEITHER, "a\nb", "a line feed"),
    IS(NEITHER, "a\0b", "a NUL"),
    IS(NEITHER, "a\x7f", "DEL"),
    IS(NEITHER, "a,b", "a comma would end a name in a query list"),
    IS(NEITHER, "a\"b", "a quote"),
    IS(NEITHER, "a\\b", "a backslash"),
    IS(NEITHER, "a\xc2\x80", "U+0080"),
    IS(NEITHER, "a\xc2\x85", "U+0085, next line"),
    IS(NEITHER, "a\xc2\xa0", "U+00A0, a space that does not break"),
    IS(NEITHER, "a\xe2\x80\xa8", "U+2028, line separator"),
    IS(NEITHER, "\xe2\x80\xa9" "a", "U+2029, paragraph separator"),
    IS(NEITHER, "a\xff", "not UTF-8"),
    IS(NEITHER, "a\xc3", "a character that lacks its end"),
    IS(NEITHER, "\xed\xa0\x80", "a surrogate"),
    IS(NEITHER, "a\xc0\xae" "b", "an overlong dot"),
    IS(PATTERN, "*", "any one token"),
    IS(PATTERN, ">", "everything"),
    IS(PATTERN, "crypto.*", "a star at the end"),
    IS(PATTERN, "*.BTC", "a star at the start"),
    IS(PATTERN, "a.*.c", "a star in the middle"),
    IS(PATTERN, "*.*.*", "stars alone"),
    IS(PATTERN, "fx.>", "all below"),
    IS(PATTERN, "*.>", "a star, then all below"),
    IS(PATTERN, "$sys.>", "a reserved pattern"),
    IS(NEITHER, "crypto.B*", "a star within a token"),
    IS(NEITHER, "*a", "a star before a token's rest"),
    IS(NEITHER, "**", "two stars in one token"),
    IS(NEITHER, "a>", "a '>' within a token"),
    IS(NEITHER, "fx.>.a", "a '>' that is not last"),
    IS(NEITHER, ">.>", "two of them"),
    IS(NEITHER, "*>", "both in one token"),
    IS(NEITHER, "*.", "a star and an empty token"),
    IS(NEITHER, ">.", "a '>' and an empty token"),
    IS(NEITHER, "*. ", "a star and a space"),
};
/* clang-format on */

static void each_text_is_a_name_a_pattern_or_neither(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        const struct fact *fact = &facts[i];
        struct span text = guard_span(fact->text);
        if ((topic_name_fault(text) == NULL) != !!(fact->as & NAME)) fail_msg("as a name: %s", fact->name);
        if ((topic_pattern_fault(text) == NULL) != !!(fact->as & PATTERN)) fail_msg("as a pattern: %s", fact->name);
        if ((fact->as & PATTERN) && topic_pattern_is(text) != !(fact->as & NAME))
            fail_msg("is a pattern: %s", fact->name);
        guard_free(text.bytes);
    }
    assert_non_null(topic_name_fault(SPAN_NONE));
    assert_non_null(topic_pattern_fault(SPAN_NONE));
    assert_false(topic_pattern_is(SPAN_NONE));
}

static void each_ascii_character_is_judged(void **state)
{
    (void)state;
    for (int c = 0; c < 128; c++) {
        char text[] = "abc";
        text[1] = (char)c;
        bool allowed = c > 0x20 && c < 0x7f && !strchr(",*>\"\\", c);
        if ((topic_name_fault(span_of(text, 3)) == NULL) != allowed) fail_msg("%02x", (unsigned)c);
    }
}

static void each_two_byte_character_is_judged(void **state)
{
    (void)state;
    for (unsigned point = 0x80; point < 0x800; point++) {
        char text[] = { 'a', (char)(0xc0 | point >> 6), (char)(0x80 | (point & 63)) };
        if ((topic_name_fault(span_of(text, 3)) == NULL) != (point > 0xa0)) fail_msg("U+%04X", point);
    }
}

static void reserved_names_begin_with_a_dollar(void **state)
{
    (void)state;
    assert_true(topic_name_reserved(SPAN_LITERAL("$sys")));
    assert_false(topic_name_reserved(SPAN_LITERAL("a.$sys")));
    assert_false(topic_name_reserved(SPAN_NONE));
}

static void patterns_cover_names(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct { const char *pattern, *name; bool covers; } covers[] = {
        { "AAPL", "AAPL", true },            { "AAPL", "AAP", false },          { "AAPL", "AAPLE", false },
        { "AAPL", "aapl", false },           { "a.b", "a.b", true },            { "a.b", "a", false },
        { "a", "a.b", false },               { "*", "a", true },                { "*", "a.b", false },
        { "a.*", "a.b", true },              { "a.*", "a", false },             { "a.*", "a.b.c", false },
        { "a.*", "b.a", false },             { "*.b", "a.b", true },            { "*.b", "a.c", false },
        { "a.*.c", "a.b.c", true },          { "a.*.c", "a.b.d", false },       { "a.*.c", "a.c", false },
        { "*.*", "a.b", true },              { "*.*", "a", false },             { ">", "a", true },
        { ">", "a.b.c", true },              { "a.>", "a.b", true },            { "a.>", "a.b.c", true },
        { "a.>", "a", false },               { "a.>", "ab.c", false },          { "*.>", "a.b", true },
        { "*.>", "a", false },               { "*.b.>", "a.b.c.d", true },      { "*.b.>", "a.c.c.d", false },
        { "crypto.*", "crypto.BTC/USD", true }, { "*", "m\xc3\xbcnchen", true },
        { ">", "$sys", false },              { ">", "$sys.a", false },          { "*", "$sys", false },
        { "*.a", "$sys.a", false },          { "*.>", "$sys.a", false },        { "$sys.>", "$sys.a", true },
        { "$sys.*", "$sys.a", true },        { "$sys.*", "$sysx.a", false },    { "a.*", "a.$b", true },
        { "a.>", "a.$b", true },             { "$sys", "$sys", true },
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof covers / sizeof *covers; i++) {
        struct span pattern = guard_span(span_of_string(covers[i].pattern)),
                    name = guard_span(span_of_string(covers[i].name));
        assert_null(topic_pattern_fault(pattern));
        assert_null(topic_name_fault(name));
        if (topic_pattern_matches(pattern, name) != covers[i].covers)
            fail_msg("%s over %s", covers[i].pattern, covers[i].name);
        guard_free(pattern.bytes);
        guard_free(name.bytes);
    }
}

/* The oracle: the rules as a recursion over the text, without tokens. */
static bool oracle(const char *pattern, const char *name)
{
    if (*pattern == '>') return *name != '\0';
    if (*pattern == '*') {
        while (*name && *name != '.') name++;
        return oracle(pattern + 1, name);
    }
    if (*pattern != *name) return false;
    return *pattern == '\0' || oracle(pattern + 1, name + 1);
}

/* All texts of up to five characters out of five. */
static void matching_agrees_with_the_oracle(void **state)
{
    (void)state;
    static char patterns[4000][8], names[4000][8];
    size_t patterns_count = 0, names_count = 0, matches = 0;
    for (unsigned number = 1; number < 6 * 6 * 6 * 6 * 6; number++) {
        char text[8] = "";
        size_t size = 0;
        for (unsigned rest = number; rest != 0; rest /= 6) text[size++] = "\0ab.*>"[rest % 6];
        if (topic_pattern_fault(span_of(text, size))) continue; /* one that holds the NUL among them */
        memcpy(patterns[patterns_count++], text, 8);
        if (!topic_name_fault(span_of(text, size))) memcpy(names[names_count++], text, 8);
    }
    for (size_t i = 0; i < patterns_count; i++)
        for (size_t j = 0; j < names_count; j++) {
            bool expected = oracle(patterns[i], names[j]);
            matches += expected;
            if (topic_pattern_matches(span_of_string(patterns[i]), span_of_string(names[j])) != expected)
                fail_msg("%s over %s", patterns[i], names[j]);
        }
    assert_true(patterns_count > 150 && names_count > 100 && matches > 700);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_text_is_a_name_a_pattern_or_neither),
        cmocka_unit_test(each_ascii_character_is_judged),
        cmocka_unit_test(each_two_byte_character_is_judged),
        cmocka_unit_test(reserved_names_begin_with_a_dollar),
        cmocka_unit_test(patterns_cover_names),
        cmocka_unit_test(matching_agrees_with_the_oracle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
