/* Compression and decompression of messages: what one makes the other takes, in any pieces; what zlib itself makes of a joint; bounds
 * and faults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/random.h"
#include "core/base/text.h"
#include "core/io/deflate.h"
#include "core/io/inflate.h"
#include "tests/unit/guard.h"

static struct deflater *deflater;
static struct inflater *inflater;

static int make(void **state)
{
    (void)state;
    deflater = deflater_make();
    inflater = inflater_make();
    return !deflater || !inflater;
}

static int end(void **state)
{
    (void)state;
    deflater_free(deflater);
    inflater_free(inflater);
    return 0;
}

/* A message of a few words again and again, as chance has it. */
static void write_message(struct text *message, size_t bytes, uint64_t seed)
{
    static const char *const words[] = { "{\"p\":", "189.", "42", ",\"topic\":\"AAPL\"", "}\n", "\xc3\xa4", "0", "seq" };
    message->size = 0;
    while (message->size < bytes) text_add_string(message, words[random_next(&seed) % (sizeof words / sizeof *words)]);
    message->size = bytes;
}

static enum inflate_verdict inflate(struct span payload, size_t piece_bytes, size_t bytes_max, bool text, struct span *message)
{
    inflate_begin(inflater, bytes_max, text);
    enum inflate_verdict verdict = INFLATE_FINE;
    while (payload.size > 0 && verdict == INFLATE_FINE) {
        size_t size = payload.size < piece_bytes ? payload.size : piece_bytes;
        struct span piece = guard_span(span_of(payload.bytes, size));
        verdict = inflate_feed(inflater, piece);
        guard_free(piece.bytes);
        payload = span_skip(payload, size);
    }
    return verdict == INFLATE_FINE ? inflate_end(inflater, message) : verdict;
}

static void what_is_compressed_comes_back(void **state)
{
    (void)state;
    static const size_t sizes[] = { 40, 64, 100, 135, 1000, 4095, 16384, 16385, 65536, 300000, 2000000 };
    struct text message = { 0 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        write_message(&message, sizes[i], i);
        struct span payload = deflate_message(deflater, text_span(&message)), back;
        assert_non_null(payload.bytes);
        assert_true(payload.size < message.size);
        assert_int_equal(inflate(payload, sizes[i] > 100000 ? 5000 : 1 + i * 13, message.size, false, &back), INFLATE_FINE);
        assert_true(span_equals(back, text_span(&message)));
        assert_int_equal(inflate_size(inflater), message.size);
        assert_int_equal(inflate(payload, payload.size, message.size - 1, false, &back), INFLATE_TOO_LARGE);
        assert_int_equal(inflate_size(inflater), message.size); /* one byte more than it may, and not one besides */
    }
    text_free(&message);
}

static void pieces_make_the_same_message(void **state)
{
    (void)state;
    struct text message = { 0 }, once = { 0 };
    write_message(&message, 20000, 5);
    text_add(&once, deflate_message(deflater, text_span(&message)));
    for (size_t size = 1; size < message.size; size = size * 3 + 1) {
        struct span rest = text_span(&message), back;
        deflate_begin(deflater, message.size + 1);
        for (; rest.size > 0; rest = span_skip(rest, rest.size < size ? rest.size : size)) deflate_add(deflater, span_of(rest.bytes, rest.size < size ? rest.size : size));
        assert_int_equal(inflate(deflate_end(deflater), 100000, message.size, false, &back), INFLATE_FINE);
        assert_true(span_equals(back, text_span(&message)));
    }
    text_free(&message);
    text_free(&once);
}

/* What does not shrink is said to, and costs no more room than it has itself. */
static void what_does_not_shrink_is_left_as_it_is(void **state)
{
    (void)state;
    char noise[5000];
    uint64_t seed = 3;
    for (size_t i = 0; i < sizeof noise; i++) noise[i] = (char)random_next(&seed);
    static const size_t sizes[] = { 0, 1, 2, 5, 100, 5000 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) assert_null(deflate_message(deflater, span_of(noise, sizes[i])).bytes);
    assert_null(deflate_message(deflater, SPAN_LITERAL("abc")).bytes);
    assert_non_null(deflate_message(deflater, SPAN_LITERAL("aaaaaaaaaaaaaaaa")).bytes);
}

static void payloads_are_joined_by_a_line_end(void **state)
{
    (void)state;
    struct text joined = { 0 }, message = { 0 }, part = { 0 };
    for (uint64_t i = 0; i < 20; i++) {
        write_message(&part, 60 + i * i * 37, i);
        if (i > 0) {
            text_add(&joined, span_of(DEFLATE_JOINT, DEFLATE_JOINT_BYTES));
            text_add_char(&message, '\n');
        }
        text_add(&message, text_span(&part));
        text_add(&joined, deflate_message(deflater, text_span(&part)));
        struct span back;
        assert_int_equal(inflate(text_span(&joined), 97, message.size, false, &back), INFLATE_FINE);
        assert_true(span_equals(back, text_span(&message)));
    }
    text_free(&joined);
    text_free(&message);
    text_free(&part);
}

#define INFLATES(payload, expected, name) { SPAN_LITERAL(payload), INFLATE_FINE, expected, name }
#define FAILS(payload, verdict, name) { SPAN_LITERAL(payload), verdict, "", name }

/* RFC 7692, 7.2.3, and what it does not say. */
static void payloads_are_judged(void **state)
{
    (void)state;
    static const struct { struct span payload; enum inflate_verdict verdict; const char *message, *name; } facts[] = {
        INFLATES("\xf2\x48\xcd\xc9\xc9\x07\x00", "Hello", "7.2.3.1: one block"),
        INFLATES("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", "Hello", "7.2.3.3: a stored block"),
        INFLATES("\xf3\x48\xcd\xc9\xc9\x07\x00\x00", "Hello", "7.2.3.4: a last block"),
        INFLATES("\xf3\x48\xcd\xc9\xc9\x07\x00", "Hello", "a last block, and nothing behind it"),
        INFLATES("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", "Hello", "7.2.3.5: two blocks"),
        INFLATES("\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff", "Hello", "the four bytes were not left out"),
        INFLATES("\xf3\x48\xcd\xc9\xc9\x07\x00\xf2\x48\xcd\xc9\xc9\x07\x00", "HelloHello", "another run of blocks behind a last one"),
        INFLATES("\x00", "", "7.2.3.6: empty"),
        INFLATES("", "", "no payload"),
        INFLATES("\x02\x00", "", "empty, by a fixed code"),
        INFLATES("\x03\x00", "", "empty, and the last"),
        FAILS("\x06", INFLATE_BROKEN, "the reserved kind of block"),
        FAILS("\x00\x05\x00\xfa\xfe", INFLATE_BROKEN, "a length that its complement belies"),
        FAILS("\x00\x05\x00\xfa\xff\x48", INFLATE_NO_TEXT, "cut in a stored block, which the four bytes then fill"),
        FAILS("\x00\x03\x00\xfc\xff\x48", INFLATE_BROKEN, "cut in a stored block, which they overrun"),
        FAILS("\xf2\x48\xcd\xc9", INFLATE_BROKEN, "cut in a block"),
        FAILS("\xf2\x48\xcd\xc9\xc9\x07", INFLATE_BROKEN, "without the byte that ends it"),
        FAILS("\x02\x07\x06", INFLATE_BROKEN, "looks back to before the beginning"),
        FAILS("\x00\x01\x00\xfe\xff\xff", INFLATE_NO_TEXT, "a stray byte"),
        FAILS("\x00\x01\x00\xfe\xff\xc3\x00", INFLATE_NO_TEXT, "cut in a character"),
    };
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        for (size_t piece = 1; piece <= facts[i].payload.size + 1; piece++) {
            struct span message = SPAN_NONE;
            enum inflate_verdict verdict = inflate(facts[i].payload, piece, 100, true, &message);
            if (verdict != facts[i].verdict) fail_msg("%s: %d, in pieces of %zu", facts[i].name, verdict, piece);
            if (verdict == INFLATE_FINE && !span_is(message, facts[i].message)) fail_msg("%s: another message", facts[i].name);
        }
    }
}

static void a_bomb_is_made_no_larger_than_the_limit(void **state)
{
    (void)state;
    struct text zeros = { 0 };
    memset(text_reserve(&zeros, 50000000), 0, 50000000);
    zeros.size = 50000000;
    struct span bomb = deflate_message(deflater, text_span(&zeros)), message;
    for (size_t bytes_max = 0; bytes_max < 1000000; bytes_max = bytes_max * 7 + 1) {
        assert_int_equal(inflate(bomb, bomb.size, bytes_max, true, &message), INFLATE_TOO_LARGE);
        assert_int_equal(inflate_size(inflater), bytes_max + 1);
        assert_true(inflater_bytes(inflater) < 2 * bytes_max + 200000);
    }
    text_free(&zeros);
    deflate_rest(deflater);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_compressed_comes_back),
        cmocka_unit_test(pieces_make_the_same_message),
        cmocka_unit_test(what_does_not_shrink_is_left_as_it_is),
        cmocka_unit_test(payloads_are_joined_by_a_line_end),
        cmocka_unit_test(payloads_are_judged),
        cmocka_unit_test(a_bomb_is_made_no_larger_than_the_limit),
    };
    return cmocka_run_group_tests(tests, make, end);
}
