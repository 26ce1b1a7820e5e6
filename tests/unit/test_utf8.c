/* UTF-8 piece by piece: Kuhn's stress cases, every code point, an oracle that computes code points, and the scalar
 * twin. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/proto/utf8.h"
#include "tests/unit/guard.h"

enum verdict { VALID, CUT, BAD }; /* CUT: may become valid, but can't end here */

struct fact {
    struct span  text;
    enum verdict verdict;
    size_t       bad_at; /* of BAD: the byte that shows it, and that a decoder must refuse at once */
    const char  *name;
};

#define IS_VALID(text, name) { SPAN_LITERAL(text), VALID, 0, name }
#define IS_CUT(text, name) { SPAN_LITERAL(text), CUT, 0, name }
#define IS_BAD(text, bad_at, name) { SPAN_LITERAL(text), BAD, bad_at, name }

/* clang-format off */
static const struct fact facts[] = {
    IS_VALID("", "an empty text"),
    IS_VALID("plain ASCII", "ASCII"),
    IS_VALID("\x01\x7f", "control characters are characters"),
    IS_VALID("a\0b", "U+0000 is a character"),
    IS_VALID("\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5", "Kuhn 1: kosme"),
    IS_VALID("\xc2\x80", "the first of two bytes, U+0080"),
    IS_VALID("\xe0\xa0\x80", "the first of three bytes, U+0800"),
    IS_VALID("\xf0\x90\x80\x80", "the first of four bytes, U+10000"),
    IS_VALID("\xdf\xbf", "the last of two bytes, U+07FF"),
    IS_VALID("\xef\xbf\xbf", "the last of three bytes, U+FFFF: a noncharacter is valid UTF-8"),
    IS_VALID("\xf4\x8f\xbf\xbf", "the last of all, U+10FFFF"),
    IS_VALID("\xed\x9f\xbf", "U+D7FF, before the surrogates"),
    IS_VALID("\xee\x80\x80", "U+E000, after the surrogates"),
    IS_VALID("\xef\xbf\xbd", "U+FFFD"),
    IS_VALID("\xef\xbb\xbf" "a", "a byte order mark is a character"),
    IS_CUT("\xc2", "the first of two bytes alone"),
    IS_CUT("a\xe1\xbd", "two of three bytes"),
    IS_CUT("\xf0\x90\x80", "three of four bytes"),
    IS_CUT("\xf4\x8f", "two of four bytes"),
    IS_BAD("\x80", 0, "Kuhn 3.1: a continuation byte alone, 80"),
    IS_BAD("\xbf", 0, "Kuhn 3.1: a continuation byte alone, bf"),
    IS_BAD("\xc2\xa9\x80", 2, "one continuation byte too many"),
    IS_BAD("\xc2 ", 1, "Kuhn 3.2: a lonely start of two"),
    IS_BAD("\xe1\xbd ", 2, "Kuhn 3.3: the last byte of three is missing"),
    IS_BAD("\xf0\x90\x80 ", 3, "Kuhn 3.3: the last byte of four is missing"),
    IS_BAD("\xe1\xbd\xe1\xbd\xb9", 2, "Kuhn 3.4: a new start where a continuation is due"),
    IS_BAD("\xfe", 0, "Kuhn 3.5: fe"),
    IS_BAD("\xff", 0, "Kuhn 3.5: ff"),
    IS_BAD("\xf8\x88\x80\x80\x80", 0, "Kuhn 2.1: five bytes"),
    IS_BAD("\xfc\x84\x80\x80\x80\x80", 0, "Kuhn 2.1: six bytes"),
    IS_BAD("\xc0\xaf", 0, "Kuhn 4.1: slash, overlong in two"),
    IS_BAD("\xc1\xbf", 0, "Kuhn 4.2: U+007F, overlong in two"),
    IS_BAD("\xe0\x80\xaf", 1, "Kuhn 4.1: slash, overlong in three"),
    IS_BAD("\xe0\x9f\xbf", 1, "Kuhn 4.2: U+07FF, overlong in three"),
    IS_BAD("\xf0\x80\x80\xaf", 1, "Kuhn 4.1: slash, overlong in four"),
    IS_BAD("\xf0\x8f\xbf\xbf", 1, "Kuhn 4.2: U+FFFF, overlong in four"),
    IS_BAD("\xc0\x80", 0, "Kuhn 4.3: U+0000, overlong"),
    IS_BAD("\xed\xa0\x80", 1, "Kuhn 5.1: the first surrogate"),
    IS_BAD("\xed\xbf\xbf", 1, "Kuhn 5.1: the last surrogate"),
    IS_BAD("\xed\xa0\xbd\xed\xb8\x80", 1, "Kuhn 5.2: a pair of surrogates"),
    IS_BAD("\xf4\x90\x80\x80", 1, "Kuhn 2.3: U+110000"),
    IS_BAD("\xf5\x80\x80\x80", 0, "beyond the end by its first byte"),
    IS_BAD("\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80" "edited", 12, "Autobahn 6.3: bad in the middle"),
};
/* clang-format on */

/* Feeds `piece` from before a guard page, to both twins, which must agree in answer and state. */
static bool feed(struct utf8 *state, struct span piece, const char *name)
{
    struct span guarded = guard_span(piece);
    struct utf8 twin = *state;
    bool fast = utf8_feed(state, guarded), slow = utf8_feed_scalar(&twin, guarded);
    if (fast != slow) fail_msg("%s: the twins answer differently", name);
    if (memcmp(state, &twin, sizeof twin) != 0) fail_msg("%s: the twins stand differently", name);
    guard_free(guarded.bytes);
    return fast;
}

static enum verdict verdict_of(bool fed, const struct utf8 *state)
{
    return !fed ? BAD : utf8_complete(state) ? VALID : CUT;
}

static void each_fact_holds_whole_and_in_two_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        const struct fact *fact = &facts[i];
        if (utf8_valid(fact->text) != (fact->verdict == VALID)) fail_msg("%s: as a whole text", fact->name);
        for (size_t cut = 0; cut <= fact->text.size; cut++) {
            struct utf8 utf8 = { 0 };
            bool fed = feed(&utf8, span_of(fact->text.bytes, cut), fact->name) &&
                       feed(&utf8, span_skip(fact->text, cut), fact->name);
            if (verdict_of(fed, &utf8) != fact->verdict) fail_msg("%s: cut at %zu", fact->name, cut);
        }
    }
}

static void the_first_byte_that_shows_it_is_refused_and_none_before(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        const struct fact *fact = &facts[i];
        struct utf8 utf8 = { 0 };
        for (size_t at = 0; at < fact->text.size; at++) {
            bool fed = feed(&utf8, span_of(fact->text.bytes + at, 1), fact->name);
            bool expected = fact->verdict != BAD || at < fact->bad_at;
            if (fed != expected) fail_msg("%s: byte %zu", fact->name, at);
        }
        struct utf8 whole = { 0 }; /* and as a prefix: what is before the bad byte passes, with it it fails */
        if (fact->verdict != BAD) continue;
        if (!feed(&whole, span_of(fact->text.bytes, fact->bad_at), fact->name))
            fail_msg("%s: failed early", fact->name);
        if (feed(&whole, span_of(fact->text.bytes + fact->bad_at, 1), fact->name))
            fail_msg("%s: failed late", fact->name);
    }
}

static void a_failed_text_stays_failed(void **state)
{
    (void)state;
    struct utf8 utf8 = { 0 };
    assert_false(utf8_feed(&utf8, SPAN_LITERAL("\xff")));
    assert_false(utf8_feed(&utf8, SPAN_LITERAL("a")));
    assert_false(utf8_feed(&utf8, SPAN_LITERAL("")));
    assert_false(utf8_feed_scalar(&utf8, SPAN_LITERAL("\x80")));
    assert_false(utf8_complete(&utf8));
}

static void each_fact_holds_behind_and_before_any_run_of_ascii(void **state)
{
    (void)state;
    char text[400];
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        const struct fact *fact = &facts[i];
        for (size_t before = 0; before <= 150; before++)
            for (size_t after = 0; after <= 70; after += 7) {
                memset(text, 'x', sizeof text);
                if (fact->text.size) memcpy(text + before, fact->text.bytes, fact->text.size);
                /* ASCII behind a cut character makes it bad */
                bool expected = fact->verdict == VALID;
                struct span whole = guard_span(span_of(text, before + fact->text.size + after));
                if (utf8_valid(whole) != expected) fail_msg("%s: %zu before, %zu after", fact->name, before, after);
                guard_free(whole.bytes);
            }
    }
}

static size_t encode(uint32_t point, char out[4])
{
    if (point < 0x80) return out[0] = (char)point, 1;
    if (point < 0x800) return out[0] = (char)(0xc0 | point >> 6), out[1] = (char)(0x80 | (point & 63)), 2;
    if (point < 0x10000) {
        out[0] = (char)(0xe0 | point >> 12), out[1] = (char)(0x80 | (point >> 6 & 63)),
        out[2] = (char)(0x80 | (point & 63));
        return 3;
    }
    out[0] = (char)(0xf0 | point >> 18), out[1] = (char)(0x80 | (point >> 12 & 63));
    out[2] = (char)(0x80 | (point >> 6 & 63)), out[3] = (char)(0x80 | (point & 63));
    return 4;
}

static void every_code_point_but_surrogates_is_valid(void **state)
{
    (void)state;
    for (uint32_t point = 0; point < 0x200000; point++) {
        char text[4];
        size_t size = encode(point, text);
        bool expected = point < 0x110000 && !(point >= 0xd800 && point < 0xe000);
        struct utf8 twin = { 0 };
        if (utf8_valid(span_of(text, size)) != expected) fail_msg("U+%04X", point);
        if (utf8_feed_scalar(&twin, span_of(text, size)) != expected) fail_msg("U+%04X, scalar", point);
    }
}

/* The oracle: takes bits together and asks whether they would be written so. Returns the bytes of one character, 0: none. */
static size_t oracle(const uint8_t *at, size_t size)
{
    size_t bytes = at[0] < 0x80             ? 1
                   : (at[0] & 0xe0) == 0xc0 ? 2
                   : (at[0] & 0xf0) == 0xe0 ? 3
                   : (at[0] & 0xf8) == 0xf0 ? 4
                                            : 0;
    if (bytes == 0 || bytes > size) return 0;
    uint32_t point = bytes == 1 ? at[0] : at[0] & (0x7fu >> bytes);
    for (size_t i = 1; i < bytes; i++) {
        if ((at[i] & 0xc0) != 0x80) return 0;
        point = point << 6 | (at[i] & 63);
    }
    char again[4];
    if (point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) return 0;
    return encode(point, again) == bytes ? bytes : 0;
}

static bool oracle_valid(const uint8_t *text, size_t size)
{
    for (size_t at = 0; at < size;) {
        size_t bytes = oracle(text + at, size - at);
        if (bytes == 0) return false;
        at += bytes;
    }
    return true;
}

static void short_texts_agree_with_the_oracle(void **state)
{
    (void)state;
    static const uint8_t later[] = { 0x00, 0x7f, 0x80, 0x8f, 0xbf, 0xc0, 0xc2, 0xff };
    for (unsigned pair = 0; pair < 65536; pair++)
        for (unsigned tail = 0; tail < 64; tail++) {
            uint8_t text[4] = { (uint8_t)(pair >> 8), (uint8_t)pair, later[tail / 8], later[tail % 8] };
            for (size_t size = tail == 0 ? 1 : 3; size <= 4; size++)
                if (utf8_valid(span_of((char *)text, size)) != oracle_valid(text, size))
                    fail_msg("%02x %02x %02x %02x, %zu bytes", text[0], text[1], text[2], text[3], size);
        }
}

static uint64_t seed = 0x2545f4914f6cdd1du;

static uint32_t random_below(uint32_t limit)
{
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return (uint32_t)(seed >> 33) % limit;
}

/* Runs of ASCII and of characters of one length, now and then with one byte changed. */
static size_t make_text(char *text, size_t size_max)
{
    static const uint32_t bases[] = { 0x20, 0xa0, 0x3040, 0x1f600 };
    size_t size = 0;
    while (size + 4 <= size_max) {
        uint32_t base = bases[random_below(4)];
        for (uint32_t run = random_below(60); run > 0 && size + 4 <= size_max; run--)
            size += encode(base + random_below(64), text + size);
    }
    if (size > 0 && random_below(2)) text[random_below((uint32_t)size)] = (char)random_below(256);
    return size;
}

static void random_texts_in_random_pieces_agree(void **state)
{
    (void)state;
    static char text[3000];
    int valid_count = 0, rounds = 3000;
    for (int round = 0; round < rounds; round++) {
        size_t size = make_text(text, 4 + random_below(sizeof text - 4));
        bool expected = oracle_valid((uint8_t *)text, size);
        struct span guarded = guard_span(span_of(text, size));
        if (utf8_valid(guarded) != expected) fail_msg("round %d: the whole", round);
        struct utf8 fast = { 0 }, slow = { 0 };
        bool good = true;
        for (size_t at = 0; at < size && good;) {
            size_t bytes = 1 + random_below(200);
            if (bytes > size - at) bytes = size - at;
            good = utf8_feed(&fast, span_of(guarded.bytes + at, bytes));
            if (good != utf8_feed_scalar(&slow, span_of(guarded.bytes + at, bytes)) ||
                memcmp(&fast, &slow, sizeof fast) != 0)
                fail_msg("round %d: the twins differ", round);
            at += bytes;
        }
        if ((good && utf8_complete(&fast)) != expected) fail_msg("round %d: in pieces", round);
        valid_count += expected;
        guard_free(guarded.bytes);
    }
    assert_in_range(valid_count, rounds / 10, rounds - rounds / 10); /* else the test would look at one side only */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_fact_holds_whole_and_in_two_pieces),
        cmocka_unit_test(the_first_byte_that_shows_it_is_refused_and_none_before),
        cmocka_unit_test(a_failed_text_stays_failed),
        cmocka_unit_test(each_fact_holds_behind_and_before_any_run_of_ascii),
        cmocka_unit_test(every_code_point_but_surrogates_is_valid),
        cmocka_unit_test(short_texts_agree_with_the_oracle),
        cmocka_unit_test(random_texts_in_random_pieces_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
