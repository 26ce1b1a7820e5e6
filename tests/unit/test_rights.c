/* Rights: which pattern contains which, against all names there are; words and claims; what they allow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/proto/json.h"
#include "core/proto/topic_name.h"
#include "gateway/rights.h"
#include "tests/unit/guard.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

/* Texts of up to `tokens` tokens out of a list. */
static size_t make_texts(char (*texts)[24], const char *const *words, size_t words_count, size_t tokens)
{
    size_t count = 0, before = 0;
    for (size_t i = 0; i < words_count; i++) snprintf(texts[count++], 24, "%s", words[i]);
    for (size_t length = 2; length <= tokens; length++) {
        size_t end = count;
        for (size_t i = before; i < end; i++)
            for (size_t j = 0; j < words_count; j++) {
                char start[24];
                memcpy(start, texts[i], sizeof start);
                snprintf(texts[count++], 24, "%.19s.%s", start, words[j]);
            }
        before = end;
    }
    return count;
}

/* Names have one token more, and one word more, than patterns can name. */
static void containing_is_covering_whatever_the_other_covers(void **state)
{
    (void)state;
    static const char *const words[] = { "a", "b", "*", ">", "$a" }, *const name_words[] = { "a", "b", "c", "$a" };
    static char patterns[200][24], names[400][24];
    size_t patterns_count = make_texts(patterns, words, COUNT_OF(words), 3), names_count = make_texts(names, name_words, COUNT_OF(name_words), 4), contained = 0;
    for (size_t i = 0; i < patterns_count; i++) {
        struct span outer = span_of_string(patterns[i]);
        if (topic_pattern_fault(outer)) continue;
        for (size_t j = 0; j < patterns_count; j++) {
            struct span inner = span_of_string(patterns[j]);
            bool all = true;
            if (topic_pattern_fault(inner)) continue;
            for (size_t n = 0; n < names_count && all; n++)
                all = !topic_pattern_matches(inner, span_of_string(names[n])) || topic_pattern_matches(outer, span_of_string(names[n]));
            contained += all;
            if (topic_pattern_contains(outer, inner) != all) fail_msg("%s contains %s: %d by the names", patterns[i], patterns[j], all);
        }
    }
    assert_true(contained > 300);
}

static void patterns_contain_names_and_patterns(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct { const char *pattern, *other; bool contains; } facts[] = {
        { "AAPL", "AAPL", true }, { "AAPL", "AAP", false }, { "AAPL", "AAPL.x", false }, { ">", "AAPL", true }, { ">", ">", true }, { ">", "*", true }, { ">", "a.>", true },
        { "*", ">", false }, { "*", "*", true }, { "*", "AAPL", true }, { "*", "*.a", false }, { "a.>", "a", false }, { "a.>", "a.b", true }, { "a.>", "a.>", true },
        { "a.>", "a.*.c", true }, { "a.>", ">", false }, { "a.*", "a.>", false }, { "a.*.>", "a.>", false }, { "*.b", "a.b", true }, { "*.b", "a.*", false },
        { ">", "$sys.a", false }, { "*.a", "$sys.a", false }, { "$sys.>", "$sys.a", true }, { "$sys.>", "$sys.>", true }, { "", "a", false }, { "a", "", false },
        { "a.b", "a..b", false }, { "a.*", "a.", true } /* no valid name: refused elsewhere */,
    };
    /* clang-format on */
    for (size_t i = 0; i < COUNT_OF(facts); i++) {
        struct span pattern = guard_span(span_of_string(facts[i].pattern)), other = guard_span(span_of_string(facts[i].other));
        if (topic_pattern_contains(pattern, other) != facts[i].contains) fail_msg("%s, %s", facts[i].pattern, facts[i].other);
        guard_free(pattern.bytes);
        guard_free(other.bytes);
    }
}

static bool reads(const struct rights *rights, const char *name)
{
    return rights_may_read(rights, span_of_string(name));
}

static bool publishes(const struct rights *rights, const char *name)
{
    return rights_may_publish(rights, span_of_string(name));
}

static void words_are_read(void **state)
{
    (void)state;
    struct rights rights, copy;
    assert_null(rights_read_words(&rights, SPAN_LITERAL(" sub=AAPL,crypto.*   pub=chat.>\tmax_hz=2.5 ")));
    assert_true(reads(&rights, "AAPL") && reads(&rights, "crypto.BTC") && reads(&rights, "crypto.*"));
    assert_true(!reads(&rights, "MSFT") && !reads(&rights, "crypto.>") && !reads(&rights, ">") && !reads(&rights, "chat.a"));
    assert_true(publishes(&rights, "chat.a") && publishes(&rights, "chat.a.b") && !publishes(&rights, "chat") && !publishes(&rights, "AAPL"));
    assert_true(rights_may_publish(&rights, SPAN_NONE) && rights.max_hz == 2.5 && !rights.admin);
    rights_copy(&copy, &rights);
    rights_free(&rights);
    assert_true(reads(&copy, "AAPL") && publishes(&copy, "chat.a"));
    assert_true(!reads(&rights, "AAPL") && !publishes(&rights, "chat.a") && !rights_may_publish(&rights, SPAN_NONE));
    rights_free(&copy);

    assert_null(rights_read_words(&rights, SPAN_LITERAL("pub=a,>,b")));
    assert_true(publishes(&rights, "x") && rights.publishes.bytes == NULL); /* one comparison */
    assert_true(!reads(&rights, "x"));
    rights_free(&rights);
    assert_null(rights_read_words(&rights, SPAN_LITERAL("sub=>")));
    assert_true(reads(&rights, "x") && reads(&rights, ">") && !reads(&rights, "$sys.x") && !publishes(&rights, "x"));
    rights_free(&rights);
    assert_null(rights_read_words(&rights, SPAN_LITERAL("sub=$sys.>")));
    assert_true(!reads(&rights, "$sys.x")); /* the admin's */
    rights_free(&rights);
    assert_null(rights_read_words(&rights, SPAN_LITERAL("admin")));
    assert_true(rights.admin && reads(&rights, "$sys.>") && reads(&rights, "x") && publishes(&rights, "x"));
    rights_free(&rights);
    assert_null(rights_read_words(&rights, SPAN_NONE));
    assert_true(!rights_may_publish(&rights, SPAN_NONE) && !reads(&rights, "x"));
}

static void wrong_words_allow_nothing(void **state)
{
    (void)state;
    static const char *const facts[] = { "sub=", "sub=,", "sub=a,", "sub=a,,b", "sub=a..b", "sub=a.>.b", "sub=a* ", "sub=\x01", "pub=", "max_hz=", "max_hz=-1", "max_hz=x",
                                         "max_hz=1e999", "max_hz=\"1\"", "Admin", "admin=1", "all", "sub=a sub=b", "pub=a pub=b", "sub = a", "sub=\xff" };
    for (size_t i = 0; i < COUNT_OF(facts); i++) {
        char words[100];
        struct rights rights;
        snprintf(words, sizeof words, "pub=x%s %s", strstr(facts[i], "pub") ? " pub=y" : "", facts[i]);
        struct span text = guard_span(span_of_string(words));
        if (!rights_read_words(&rights, text)) fail_msg("%s was taken", facts[i]);
        assert_false(publishes(&rights, "x"));
        guard_free(text.bytes);
    }
}

static void claims_are_read_and_written(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct { const char *claim, *written; } facts[] = {
        { "{\"sub\":[\"AAPL\",\"crypto.*\"],\"pub\":[\"chat.>\"],\"max_hz\":10}", "{\"sub\":[\"AAPL\",\"crypto.*\"],\"pub\":[\"chat.>\"],\"max_hz\":10}" },
        { "{}", "{\"sub\":[],\"pub\":[]}" }, { "{\"sub\":[],\"max_hz\":0}", "{\"sub\":[],\"pub\":[]}" }, { "{\"sub\":[\">\",\"a\"]}", "{\"sub\":[\">\"],\"pub\":[]}" },
        { "{\"admin\":true,\"other\":[1]}", "{\"sub\":[],\"pub\":[]}" }, { "{\"sub\":[\"\\u0061\"]}", "{\"sub\":[\"a\"],\"pub\":[]}" },
        { "{\"sub\":\"AAPL\"}", NULL }, { "{\"sub\":[1]}", NULL }, { "{\"sub\":[[\"a\"]]}", NULL }, { "{\"sub\":null}", NULL }, { "{\"sub\":{}}", NULL }, { "{\"sub\":[\"a b\"]}", NULL },
        { "{\"sub\":[\"\"]}", NULL }, { "{\"sub\":[\"a\"],\"sub\":[\">\"]}", NULL }, { "{\"sub\":[\"a\"],\"s\\u0075b\":[\">\"]}", NULL }, { "{\"pub\":[\"a\"],\"pub\":[]}", NULL },
        { "{\"max_hz\":\"1\"}", NULL }, { "{\"max_hz\":-0.5}", NULL }, { "{\"max_hz\":1e400}", NULL }, { "{\"max_hz\":1,\"max_hz\":2}", NULL }, { "{\"sub\":[\"a\\u0000\"]}", NULL },
    };
    /* clang-format on */
    for (size_t i = 0; i < COUNT_OF(facts); i++) {
        struct rights rights;
        struct text text = { 0 };
        struct span claim = guard_span(span_of_string(facts[i].claim));
        const char *why = rights_read_claim(&rights, claim);
        guard_free(claim.bytes);
        if (!why != (facts[i].written != NULL)) fail_msg("%s: %s", facts[i].claim, why ? why : "taken");
        if (!why) {
            rights_write_claim(&rights, &text);
            if (!span_is(text_span(&text), facts[i].written)) fail_msg("%s became %.*s", facts[i].claim, (int)text.size, text.bytes);
        }
        assert_false(rights.admin);
        rights_free(&rights);
        text_free(&text);
    }
}

static void a_list_has_a_bound(void **state)
{
    (void)state;
    for (int count = RIGHTS_NAMES_MAX; count <= RIGHTS_NAMES_MAX + 1; count++) {
        struct rights rights;
        struct text words = { 0 }, claim = { 0 };
        for (int i = 0; i < count; i++) text_print(&words, "%st%d", i == 0 ? "sub=" : ",", i);
        for (int i = 0; i < count; i++) text_print(&claim, "%s\"t%d\"", i == 0 ? "{\"sub\":[" : ",", i);
        text_add_string(&claim, "]}");
        assert_true((rights_read_words(&rights, text_span(&words)) == NULL) == (count == RIGHTS_NAMES_MAX));
        rights_free(&rights);
        assert_true((rights_read_claim(&rights, text_span(&claim)) == NULL) == (count == RIGHTS_NAMES_MAX));
        assert_true(reads(&rights, "t999") == (count == RIGHTS_NAMES_MAX));
        rights_free(&rights);
        text_free(&words);
        text_free(&claim);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(containing_is_covering_whatever_the_other_covers), cmocka_unit_test(patterns_contain_names_and_patterns), cmocka_unit_test(words_are_read),
        cmocka_unit_test(wrong_words_allow_nothing), cmocka_unit_test(claims_are_read_and_written), cmocka_unit_test(a_list_has_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
