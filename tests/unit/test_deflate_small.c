/* Short messages by the fixed code: whatever they are, zlib makes the same message of it again, and not a byte is written beyond the room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/random.h"
#include "core/io/deflate_small.h"
#include "tests/support/deflating.h"
#include "tests/unit/guard.h"

static struct deflate_small tables;

static size_t there_and_back(struct span message, const char *name)
{
    struct span guarded = guard_span(message);
    char *room = calloc(1, DEFLATE_SMALL_ROOM(message.size));
    assert_non_null(room);
    char *out = guard_copy(span_of(room, DEFLATE_SMALL_ROOM(message.size)));
    size_t size = deflate_small(&tables, guarded, out);
    if (!span_equals(inflated(span_of(out, size)), message)) fail_msg("%s, %zu bytes: another message comes back", name, message.size);
    guard_free(out);
    guard_free(guarded.bytes);
    free(room);
    return size;
}

static void known_payloads_are_made(void **state)
{
    (void)state;
    static const struct { struct span message, payload; const char *name; } facts[] = {
        { SPAN_LITERAL("Hello"), SPAN_LITERAL("\xf2\x48\xcd\xc9\xc9\x07\x00"), "RFC 7692, 7.2.3.1" },
        { SPAN_LITERAL("HelloHello"), SPAN_LITERAL("\xf2\x48\xcd\xc9\xc9\x07\x13\x00\x00"), "a match of five, five back" },
        { SPAN_LITERAL(""), SPAN_LITERAL("\x02\x00"), "nothing" },
    };
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        char out[64];
        size_t size = deflate_small(&tables, facts[i].message, out);
        if (!span_equals(span_of(out, size), facts[i].payload)) {
            for (size_t j = 0; j < size; j++) print_message("\\x%02x", (unsigned char)out[j]);
            fail_msg("%s", facts[i].name);
        }
    }
}

/* Each byte alone (literals of eight and nine bits; above ASCII they are no text, so as pairs), and each length of a run. */
static void every_byte_and_every_length_comes_back(void **state)
{
    (void)state;
    char text[DEFLATE_SMALL_BYTES_MAX];
    for (unsigned i = 0; i < 0x800; i++) {
        size_t size = 0;
        if (i < 0x80) text[size++] = (char)i;
        else text[size++] = (char)(0xc0 | i >> 6), text[size++] = (char)(0x80 | (i & 63));
        there_and_back(span_of(text, size), "a character");
    }
    memset(text, 'x', sizeof text);
    for (size_t size = 0; size <= sizeof text; size += size < 800 ? 1 : 97) there_and_back(span_of(text, size), "a run");
    assert_true(there_and_back(span_of(text, sizeof text), "the longest run") < 200);
}

/* A word at each distance back, and in between what looks like nothing before. */
static void every_distance_comes_back(void **state)
{
    (void)state;
    char text[DEFLATE_SMALL_BYTES_MAX];
    uint64_t seed = 11;
    for (size_t distance = 8; distance + 8 <= sizeof text; distance += distance < 300 ? 1 : 61) {
        for (size_t i = 0; i < sizeof text; i++) text[i] = (char)(0x20 + random_next(&seed) % 90);
        memcpy(text, "\x01\x02\x03\x04\x05\x06\x07\x08", 8);
        memcpy(text + distance, "\x01\x02\x03\x04\x05\x06\x07\x08", 8);
        there_and_back(span_of(text, distance + 8), "a distance");
    }
}

static void what_chance_makes_comes_back(void **state)
{
    (void)state;
    char text[DEFLATE_SMALL_BYTES_MAX];
    uint64_t seed = 5;
    for (unsigned round = 0; round < 20000; round++) {
        size_t size = random_below(&seed, round % 100 ? 300 : sizeof text + 1);
        uint32_t letters = 1 + random_below(&seed, round % 7 ? 6 : 94);
        for (size_t i = 0; i < size; i++) text[i] = (char)(0x21 + random_below(&seed, letters));
        there_and_back(span_of(text, size), "chance");
    }
}

/* What it is for: half of the bytes of a message that says the same twice, and never much more than there were. */
static void it_is_worth_it(void **state)
{
    (void)state;
    struct span tick = SPAN_LITERAL("{\"topic\":\"ETHUSDT\",\"seq\":1,\"ts\":1723161254024619,\"data\":{\"t\":\"Q\",\"ts\":1723161254024619568,\"b\":2683.8,\"bs\":3.0292,\"a\":2683.81,\"as\":31.4395,\"venue\":\"BINANCE-SPOT\"}}");
    assert_true(there_and_back(tick, "a tick") < tick.size * 85 / 100);
    struct span ascii = SPAN_LITERAL("!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    assert_true(there_and_back(ascii, "no two alike") <= ascii.size + 2);
}

static int make(void **state)
{
    (void)state;
    deflate_small_init(&tables);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_payloads_are_made),
        cmocka_unit_test(every_byte_and_every_length_comes_back),
        cmocka_unit_test(every_distance_comes_back),
        cmocka_unit_test(what_chance_makes_comes_back),
        cmocka_unit_test(it_is_worth_it),
    };
    return cmocka_run_group_tests(tests, make, NULL);
}
