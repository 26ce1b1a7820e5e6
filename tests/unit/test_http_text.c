/* The small walks of HTTP: header lines, lists, tokens, queries, percent-encoding, words for statuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/proto/http.h"
#include "tests/unit/guard.h"

/* Adds "[a]" to a line that a test then compares. */
static char *tell(char *out, struct span text)
{
    *out++ = '[';
    memcpy(out, text.bytes, text.size);
    out += text.size;
    *out++ = ']';
    *out = '\0';
    return out;
}

static void header_lines_are_walked(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct { const char *head, *lines; } facts[] = {
        { "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "[Host][x]" },
        { "GET / HTTP/1.1\r\nHost:x\r\nA:\r\nB: \t c d\t \r\nb: e:f\r\n\r\nnot: this\r\n", "[Host][x][A][][B][c d][b][e:f]" },
        { "GET / HTTP/1.0\r\n\r\n", "" },
        { "\r\nGET / HTTP/1.0\r\nA: \xff\r\n\r\n", "[A][\xff]" },
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        struct http_request request;
        struct http_fault fault;
        struct span whole = guard_span(span_of_string(facts[i].head));
        assert_int_equal(http_request_decode(whole, 4096, &request, &fault), DECODE_DONE);
        struct span head = span_of(whole.bytes, request.head_bytes), name, value;
        char lines[200] = "", *out = lines;
        for (uint32_t at = request.headers_at; http_header_next(head, &at, &name, &value);)
            out = tell(tell(out, name), value);
        assert_string_equal(lines, facts[i].lines);
        guard_free(whole.bytes);
    }
}

static void header_lines_end_where_the_bytes_do(void **state)
{
    (void)state;
    static const char *const heads[] = { "", "A", "A:", "A: b", "A: b\r", "\r\n", "A b\r\n" };
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        struct span head = guard_span(span_of_string(heads[i])), name, value;
        uint32_t at = 0;
        int count = 0;
        while (count < 3 && http_header_next(head, &at, &name, &value)) count++;
        assert_in_range(count, 0, 1);
        guard_free(head.bytes);
    }
}

static void list_elements_come_trimmed(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct { const char *list, *elements; } facts[] = {
        { "", "" },
        { ",", "" },
        { " \t ", "" },
        { ", ,,", "" },
        { "a", "[a]" },
        { "a,b", "[a][b]" },
        { " a ,\tb\t, c d ", "[a][b][c d]" },
        { ",a,,b,", "[a][b]" },
        { "a;q=\"1,2\", b", "[a;q=\"1,2\"][b]" },            /* a comma within quotes separates nothing */
        { "\"a\\\",b\",c", "[\"a\\\",b\"][c]" },              /* nor does an escaped quote end them */
        { "\"a\\\\\",c", "[\"a\\\\\"][c]" },                  /* an escaped backslash does not escape the quote */
        { "a\\,b", "[a\\][b]" },                              /* outside of quotes a backslash is itself */
        { "\"a,b", "[\"a,b]" },                               /* quotes that nobody closes last to the end */
        { "\"a\\", "[\"a\\]" },                               /* an escape at the very end */
        { "a\r\nX: b,c\r\nX:d", "[a][b][c][d]" },             /* several header lines, as ws_protocols holds them */
        { "\"a\r\nX: b,c", "[\"a][b][c]" },                   /* quotes end with their line */
        { "\"a\\\r\nX: b", "[\"a\\][b]" },
        { "a\r\nX", "[a]" },
        { "a\r", "[a]" },
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        struct span guarded = guard_span(span_of_string(facts[i].list)), list = guarded, element;
        char elements[200] = "", *out = elements;
        while (http_list_next(&list, &element)) out = tell(out, element);
        if (strcmp(elements, facts[i].elements) != 0) fail_msg("%s: %s", facts[i].list, elements);
        assert_int_equal(list.size, 0);
        guard_free(guarded.bytes);
    }
    struct span none = SPAN_NONE, element;
    assert_false(http_list_next(&none, &element));
}

static void offers_in_several_lines_are_one_list(void **state)
{
    (void)state;
    struct http_request request;
    struct http_fault fault;
    struct span head = SPAN_LITERAL(
        "GET / HTTP/1.1\r\nHost: x\r\nSec-WebSocket-Protocol: a, b\r\n"
        "Sec-WebSocket-Protocol:\t\r\nsec-websocket-protocol: c \t\r\nSEC-WEBSOCKET-PROTOCOL: d\r\nX: e\r\n\r\n");
    assert_int_equal(http_request_decode(head, 4096, &request, &fault), DECODE_DONE);
    char elements[200] = "", *out = elements;
    for (struct span element; http_list_next(&request.ws_protocols, &element);) out = tell(out, element);
    assert_string_equal(elements, "[a][b][c][d]");
}

static void tokens_compare_without_case(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct { const char *token, *lower_case; bool same; } facts[] = {
        { "close", "close", true },    { "CLOSE", "close", true },   { "Keep-Alive", "keep-alive", true }, { "", "", true },
        { "clos", "close", false },    { "closes", "close", false }, { "", "close", false },               { "close", "", false },
        { "x-api\rkey", "x-api-key", false }, /* CR is '-' but for the bit that makes letters small */
        { "@", "`", false },           { "[", "{", false },          { "Z", "z", true },                   { "A", "a", true },
        { "\xc5", "\xe5", false },
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        struct span token = guard_span(span_of_string(facts[i].token));
        if (http_token_is(token, facts[i].lower_case) != facts[i].same)
            fail_msg("%s %s", facts[i].token, facts[i].lower_case);
        guard_free(token.bytes);
    }
    assert_false(http_token_is(SPAN_LITERAL("a\0"), "a"));
    assert_true(http_token_is(SPAN_NONE, ""));
}

static void query_pairs_come_as_they_stand(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct { const char *query, *pairs; } facts[] = {
        { "", "" },
        { "&", "" },
        { "&&&", "" },
        { "a=b", "[a][b]" },
        { "a", "[a][]" },
        { "a=", "[a][]" },
        { "=b", "[][b]" },
        { "=", "[][]" },
        { "a=b&c=d", "[a][b][c][d]" },
        { "&a=b&&c=d&", "[a][b][c][d]" },
        { "a=b=c", "[a][b=c]" },
        { "a&b=c", "[a][][b][c]" },          /* the '=' of the next pair is not ours */
        { "topics=A,B%26&x=+%3d", "[topics][A,B%26][x][+%3d]" },
        { "a=b;c=d", "[a][b;c=d]" },
        { "a=b?c", "[a][b?c]" },
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        struct span guarded = guard_span(span_of_string(facts[i].query)), query = guarded, name, value;
        char pairs[200] = "", *out = pairs;
        while (http_query_next(&query, &name, &value)) out = tell(tell(out, name), value);
        if (strcmp(pairs, facts[i].pairs) != 0) fail_msg("%s: %s", facts[i].query, pairs);
        guard_free(guarded.bytes);
    }
    struct span none = SPAN_NONE, name, value;
    assert_false(http_query_next(&none, &name, &value));
}

static void percent_encoding_is_undone(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct { const char *text; struct span plain; } facts[] = {
        { "", SPAN_LITERAL("") },
        { "abc", SPAN_LITERAL("abc") },
        { "a+b", SPAN_LITERAL("a+b") },
        { "%41%7a%7A", SPAN_LITERAL("Azz") },
        { "BTC%2fUSD%2FX", SPAN_LITERAL("BTC/USD/X") },
        { "%00", SPAN_LITERAL("\0") },
        { "%fF", SPAN_LITERAL("\xff") },
        { "%2525", SPAN_LITERAL("%25") }, /* once */
        { "%c3%BC", SPAN_LITERAL("\xc3\xbc") },
        { "%", SPAN_NONE },
        { "%4", SPAN_NONE },
        { "a%", SPAN_NONE },
        { "%4g", SPAN_NONE },
        { "%g4", SPAN_NONE },
        { "%%41", SPAN_NONE },
        { "% 1", SPAN_NONE },
        { "%+1", SPAN_NONE },
        { "%0x", SPAN_NONE },
        { "%-1", SPAN_NONE },
        { "%:0", SPAN_NONE },
        { "%@0", SPAN_NONE },
        { "%\xc1\x41", SPAN_NONE },
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        struct span text = guard_span(span_of_string(facts[i].text));
        char *out = guard_copy(text);
        long size = http_percent_decode(text, out);
        bool same =
            facts[i].plain.bytes ? size >= 0 && span_equals(span_of(out, (size_t)size), facts[i].plain) : size == -1;
        if (!same) fail_msg("%s", facts[i].text);
        guard_free(out);
        guard_free(text.bytes);
    }
}

static void every_byte_survives_percent_encoding(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++)
        for (int form = 0; form < 2; form++) {
            const char *digits = form ? "0123456789abcdef" : "0123456789ABCDEF";
            char text[3] = { '%', digits[byte >> 4], digits[byte & 15] }, out[3];
            assert_int_equal(http_percent_decode(span_of(text, 3), out), 1);
            assert_int_equal((uint8_t)out[0], byte);
        }
}

static void statuses_have_words(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct { uint16_t status; const char *text; } facts[] = {
        { 101, "Switching Protocols" }, { 200, "OK" }, { 204, "No Content" }, { 404, "Not Found" }, { 426, "Upgrade Required" },
        { 431, "Request Header Fields Too Large" }, { 503, "Service Unavailable" }, { 0, "Error" }, { 799, "Error" },
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
        assert_string_equal(http_status_text(facts[i].status), facts[i].text);
    static const uint16_t in_use[] = { 100, 101, 200, 204, 304, 400, 401, 403, 404, 405, 408,
                                       411, 413, 414, 426, 429, 431, 500, 501, 503, 505 };
    for (size_t i = 0; i < sizeof in_use / sizeof *in_use; i++)
        assert_string_not_equal(http_status_text(in_use[i]), "Error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_lines_are_walked),
        cmocka_unit_test(header_lines_end_where_the_bytes_do),
        cmocka_unit_test(list_elements_come_trimmed),
        cmocka_unit_test(offers_in_several_lines_are_one_list),
        cmocka_unit_test(tokens_compare_without_case),
        cmocka_unit_test(query_pairs_come_as_they_stand),
        cmocka_unit_test(percent_encoding_is_undone),
        cmocka_unit_test(every_byte_survives_percent_encoding),
        cmocka_unit_test(statuses_have_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
