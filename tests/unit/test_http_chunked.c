/* Chunked bodies: one reading of where a chunk ends, the same in whatever pieces it comes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/proto/http.h"
#include "tests/unit/guard.h"

#define LAST "0\r\n\r\n"

struct fact {
    struct span text;
    enum decode decode;
    size_t      decided_at; /* bytes that show DONE or BAD */
    const char *body;       /* delivered by then */
    const char *name;
};

#define DONE(text, rest, body, name) { SPAN_LITERAL(text rest), DECODE_DONE, sizeof(text) - 1, body, name }
#define MORE(text, body, name) { SPAN_LITERAL(text), DECODE_MORE, SIZE_MAX, body, name }
#define BAD(text, rest, body, name) { SPAN_LITERAL(text rest), DECODE_BAD, sizeof(text) - 1, body, name }

/* The first string ends with the byte that decides; the second is what follows it. */
/* clang-format off */
static const struct fact facts[] = {
    DONE(LAST, "", "", "an empty body"),
    DONE("5\r\nhello\r\n" LAST, "", "hello", "one chunk"),
    DONE("5\r\nhello\r\n" LAST, "GET / HTTP/1.1\r\n", "hello", "the next request is left alone"),
    DONE("5\r\nhello\r\n1\r\n \r\n6\r\nworld!\r\n" LAST, "", "hello world!", "three chunks"),
    DONE("a\r\n0123456789\r\nA\r\n0123456789\r\n" LAST, "", "01234567890123456789", "hexadecimal in both cases"),
    DONE("0000000000000000000000000000005\r\nhello\r\n000\r\n\r\n", "", "hello", "zeros before a size"),
    DONE("4\r\n\r\n\r\n\r\n" LAST, "", "\r\n\r\n", "line ends within a chunk"),
    DONE("3\r\n0\r\n\r\n" LAST, "", "0\r\n", "a chunk that looks like the last one"),
    DONE("5;a=b\r\nhello\r\n0;c\r\n\r\n", "", "hello", "extensions"),
    DONE("5 ; a = \"b;\t\xc3\xbc\"\r\nhello\r\n" LAST, "", "hello", "RFC 9112, 7.1.1: white space before an extension's ';'"),
    DONE("0\r\nA: b\r\nC:\r\n\r\n", "", "", "trailers"),
    DONE("1\r\nx\r\n0\r\nContent-Length: 5\r\n\r\n", "hello", "x", "a trailer means nothing"),
    MORE("", "", "nothing"),
    MORE("5", "", "half a size line"),
    MORE("5\r\nhel", "hel", "half a chunk"),
    MORE("5\r\nhello\r\n0\r\n", "hello", "the last line is not there yet"),
    MORE("20000000000000\r\n", "", "2^53 bytes"),
    BAD("\r", "\n", "", "no size"),
    BAD("\n", "", "", "a bare LF for a size"),
    BAD(" ", "5\r\nhello\r\n", "", "a space before the size"),
    BAD(";", "a\r\n", "", "an extension without size"),
    BAD("+", "5\r\nhello\r\n", "", "a plus"),
    BAD("-", "5\r\n", "", "a minus"),
    BAD("0x", "5\r\nhello\r\n", "", "0x"),
    BAD("g", "\r\n", "", "a letter beyond f"),
    BAD("5_", "0\r\n", "", "an underscore"),
    BAD("5,", "5\r\n", "", "a comma"),
    BAD("5 \r", "\nhello\r\n", "", "a space behind the size"),
    BAD("5 5", "\r\n", "", "two sizes"),
    BAD("5\n", "hello\n0\n\n", "", "bare LF as line end"),
    BAD("5\rh", "ello\r\n", "", "bare CR as line end"),
    BAD("5\r\r", "\nhello", "", "CR CR LF"),
    BAD("5;a\n", "hello\r\n", "", "a bare LF behind an extension"),
    BAD("5;a\rX", "", "", "a bare CR within an extension"),
    BAD("5;a=\"\n", "\"\r\nhello\r\n", "", "a LF within a quoted extension"),
    BAD("5;\x01", "\r\nhello\r\n", "", "a control character in an extension"),
    BAD("5;\0", "\r\nhello\r\n", "", "a NUL in an extension"),
    BAD("5;\x7f", "\r\nhello\r\n", "", "DEL in an extension"),
    BAD("5\r\nhello0", "\r\n\r\n", "hello", "no line end behind a chunk"),
    BAD("5\r\nhello\n", "0\r\n\r\n", "hello", "a bare LF behind a chunk"),
    BAD("5\r\nhello\r0", "\r\n\r\n", "hello", "a bare CR behind a chunk"),
    BAD("5\r\nhello\r\n\r", "\n", "hello", "an empty line for a size"),
    BAD("4\r\nhello", "\r\n" LAST, "hell", "a chunk longer than its size"),
    BAD("20000000000001", "\r\n", "", "2^53 + 1 bytes"),
    BAD("100000000000000", "00\r\n", "", "2^56: known before its line ends"),
    BAD("ffffffffffffff", "ff\r\n", "", "2^64 - 1"),
    BAD("100000000000000", "05\r\nhello\r\n", "", "2^64 + 5"),
    BAD("0\r\n ", "A: b\r\n\r\n", "", "white space before a trailer"),
    BAD("0\r\nA: b\r\n ", "c\r\n\r\n", "", "a folded trailer"),
    BAD("0\r\nA ", ": b\r\n\r\n", "", "a space before a trailer's colon"),
    BAD("0\r\n:", " b\r\n\r\n", "", "a trailer without name"),
    BAD("0\r\nA\r", "\n\r\n", "", "a trailer without colon"),
    BAD("0\r\nA: \n", "\r\n", "", "a bare LF behind a trailer"),
    BAD("0\r\nA: b\rc", "\r\n\r\n", "", "a bare CR in a trailer"),
    BAD("0\r\nA: \0", "\r\n\r\n", "", "a NUL in a trailer"),
    BAD("0\r\n\n", "", "", "a bare LF for the empty line"),
    BAD("0\r\n\rG", "ET / HTTP/1.1\r\n", "", "a bare CR for the empty line"),
};
/* clang-format on */

struct reading {
    struct http_chunked chunked;
    enum decode         decode;
    size_t              eaten;
    char                body[200];
    size_t              body_bytes;
};

/* Feeds one piece as a user does: again while bytes are eaten and left. */
static void feed(struct reading *reading, struct span piece, const char *name)
{
    struct span guarded = guard_span(piece), rest = guarded;
    while (rest.size > 0 && reading->decode == DECODE_MORE) {
        struct span body;
        size_t eaten;
        reading->decode = http_chunked_feed(&reading->chunked, rest, &body, &eaten);
        if (eaten > rest.size ||
            (body.size && (body.bytes < rest.bytes || body.bytes + body.size > rest.bytes + eaten)))
            fail_msg("%s: no slice", name);
        if (eaten == 0) fail_msg("%s: stands still", name);
        if (reading->decode == DECODE_DONE && body.size != 0) fail_msg("%s: a body with DONE", name);
        memcpy(reading->body + reading->body_bytes, body.bytes, body.size);
        reading->body_bytes += body.size;
        reading->eaten += eaten;
        rest = span_skip(rest, eaten);
    }
    guard_free(guarded.bytes);
}

static void check(const struct reading *reading, const struct fact *fact, const char *how, size_t cut)
{
    if (reading->decode != fact->decode) fail_msg("%s: %s %zu", fact->name, how, cut);
    if (!span_is(span_of(reading->body, reading->body_bytes), fact->body))
        fail_msg("%s: the body, %s %zu", fact->name, how, cut);
    size_t eaten = fact->decode == DECODE_MORE ? fact->text.size : fact->decided_at;
    if (reading->eaten != eaten) fail_msg("%s: eaten %zu, %s %zu", fact->name, reading->eaten, how, cut);
}

static void each_fact_holds_whole_and_in_two_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
        for (size_t cut = 0; cut <= facts[i].text.size; cut++) {
            struct reading reading = { .decode = DECODE_MORE };
            feed(&reading, span_of(facts[i].text.bytes, cut), facts[i].name);
            if (cut < facts[i].decided_at && reading.decode != DECODE_MORE)
                fail_msg("%s: decided after %zu", facts[i].name, cut);
            feed(&reading, span_skip(facts[i].text, cut), facts[i].name);
            check(&reading, &facts[i], "cut at", cut);
        }
}

static void each_fact_holds_in_pieces_of_any_size(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
        for (size_t bytes = 1; bytes <= 8; bytes++) {
            struct reading reading = { .decode = DECODE_MORE };
            for (size_t at = 0; at < facts[i].text.size; at += bytes) {
                size_t left = facts[i].text.size - at;
                feed(&reading, span_of(facts[i].text.bytes + at, left < bytes ? left : bytes), facts[i].name);
            }
            check(&reading, &facts[i], "in pieces of", bytes);
        }
}

static void what_is_over_stays_over(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        if (facts[i].decode == DECODE_MORE) continue;
        struct reading reading = { .decode = DECODE_MORE };
        feed(&reading, facts[i].text, facts[i].name);
        struct span body;
        size_t eaten;
        assert_int_equal(http_chunked_feed(&reading.chunked, SPAN_LITERAL("5\r\nhello"), &body, &eaten),
                         facts[i].decode);
        assert_int_equal(eaten, 0);
        assert_int_equal(body.size, 0);
    }
}

static void nothing_fed_changes_nothing(void **state)
{
    (void)state;
    struct http_chunked chunked = { 0 }, before = { 0 };
    struct span body;
    size_t eaten;
    assert_int_equal(http_chunked_feed(&chunked, SPAN_NONE, &body, &eaten), DECODE_MORE);
    assert_int_equal(eaten, 0);
    assert_int_equal(body.size, 0);
    assert_memory_equal(&chunked, &before, sizeof before);
}

/* "1;xxx…\r\n" and the trailers may be HTTP_CHUNK_LINE_MAX bytes, and not one more. */
static void lines_are_bounded(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct { const char *before, *after, *name; } kinds[] = {
        { "1;", "\r\nx\r\n" LAST, "an extension" },
        { "", "1\r\nx\r\n" LAST, "zeros before a size" },
        { "1;abc\r\nx\r\n1;", "\r\nx\r\n" LAST, "a second extension" },
        { "0\r\nA: ", "\r\n\r\n", "a trailer" },
        { "0\r\nA: b\r\nC: ", "\r\n\r\n", "a second trailer" },
    };
    /* clang-format on */
    static char text[HTTP_CHUNK_LINE_MAX + 200];
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t passes = 0;
        for (size_t fill = HTTP_CHUNK_LINE_MAX - 40; fill <= HTTP_CHUNK_LINE_MAX + 10; fill++) {
            size_t at = (size_t)sprintf(text, "%s", kinds[i].before);
            memset(text + at, '0', fill);
            at += fill;
            at += (size_t)sprintf(text + at, "%s", kinds[i].after);
            struct reading reading = { .decode = DECODE_MORE };
            feed(&reading, span_of(text, at), kinds[i].name);
            if (reading.decode == DECODE_DONE) {
                if (passes + HTTP_CHUNK_LINE_MAX - 40 != fill) fail_msg("%s: passes again at %zu", kinds[i].name, fill);
                passes++;
            } else {
                assert_int_equal(reading.decode, DECODE_BAD);
            }
        }
        if (passes == 0 || passes > 41)
            fail_msg("%s: bounded at %zu", kinds[i].name, HTTP_CHUNK_LINE_MAX - 40 + passes);
    }
}

/* Many small chunks: the bound is on each line, not on all together. */
static void a_long_body_of_small_chunks_passes(void **state)
{
    (void)state;
    struct http_chunked chunked = { 0 };
    struct span body;
    size_t eaten, delivered = 0;
    for (int i = 0; i < 10000; i++) {
        struct span rest = SPAN_LITERAL("1;abc=def\r\nx\r\n");
        while (rest.size > 0) {
            assert_int_equal(http_chunked_feed(&chunked, rest, &body, &eaten), DECODE_MORE);
            delivered += body.size;
            rest = span_skip(rest, eaten);
        }
    }
    assert_int_equal(delivered, 10000);
    assert_int_equal(http_chunked_feed(&chunked, SPAN_LITERAL(LAST), &body, &eaten), DECODE_DONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_fact_holds_whole_and_in_two_pieces),
        cmocka_unit_test(each_fact_holds_in_pieces_of_any_size),
        cmocka_unit_test(what_is_over_stays_over),
        cmocka_unit_test(nothing_fed_changes_nothing),
        cmocka_unit_test(lines_are_bounded),
        cmocka_unit_test(a_long_body_of_small_chunks_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
