/* The opening handshake: RFC 6455's example, keys of each length that matters to SHA-1's padding, keys that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/proto/ws_handshake.h"
#include "tests/unit/guard.h"

/* But for the first all by python: base64.b64encode(hashlib.sha1(key + guid).digest()) */
static void keys_are_accepted(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct { const char *key, *accept; } facts[] = {
        { "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" }, /* RFC 6455, 1.3 */
        { "x3JJHMbDL1EzLkh9GBhXDw==", "HSmrc0sMlYUkAGmm5OPpG2HaGWk=" },
        { "AAAAAAAAAAAAAAAAAAAAAA==", "ICX+Yqv66kxgM0FcWaLWlFLwTAI=" },
        { "/////////////////////w==", "XXpj4jYzLM2yUE0C7TIgMwTQh2g=" },
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        struct span key = guard_span(span_of_string(facts[i].key));
        char *accept = guard_copy(span_of_string(facts[i].accept));
        memset(accept, 0, WS_ACCEPT_BYTES);
        ws_accept(key, accept);
        assert_memory_equal(accept, facts[i].accept, WS_ACCEPT_BYTES);
        guard_free(accept);
        guard_free(key.bytes);
    }
}

/* With the GUID's 36 bytes: below, at and above the room for SHA-1's length (56) and its blocks (64, 128). */
static void keys_of_any_length_are_hashed(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct { size_t size; const char *accept; } facts[] = {
        { 0, "Kfh9QIsMVZcl6xEPYxPHzW8SZ8w=" },  { 1, "FtgH8qqfEKHvZKEZYEWkYDhlXNY=" },  { 19, "yzaGyu0mcUukN7CdsSwa30tnCpc=" },
        { 20, "dUYRM7bOMwDmbriNIPr11x+r3E0=" }, { 27, "NCEiOv6lMC9mC8oEZnneqRdJ4DU=" }, { 28, "xMWmCBqYJY4uXzUs8PNU1t+Pzro=" },
        { 29, "m8kT+K/C9sp8j44+NnEexy4o+Tg=" }, { 91, "sb26ARy9y9Mjs7qWrVan4FrLgc8=" }, { 92, "QozTWdJkJ6Mr6+QwqAHt8yNpBdc=" },
        { 100, "+taVhj8zzaJPYE6HHo1ugamK/Ug=" },
    };
    /* clang-format on */
    char key[100], accept[WS_ACCEPT_BYTES];
    memset(key, 'a', sizeof key);
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        ws_accept(span_of(key, facts[i].size), accept);
        if (memcmp(accept, facts[i].accept, WS_ACCEPT_BYTES) != 0) fail_msg("a key of %zu bytes", facts[i].size);
    }
}

static void only_sixteen_bytes_in_base64_are_a_key(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct { const char *key; bool valid; const char *name; } facts[] = {
        { "dGhlIHNhbXBsZSBub25jZQ==", true, "RFC 6455, 1.3" },
        { "AAAAAAAAAAAAAAAAAAAAAA==", true, "all zeros" },
        { "+/+/+/+/+/+/+/+/+/+/+w==", true, "all kinds of digits" },
        { "0123456789abcdefghijkg==", true, "decimal digits, the last 'g'" },
        { "", false, "nothing" },
        { "dGhlIHNhbXBsZSBub25jZQ", false, "no padding" },
        { "dGhlIHNhbXBsZSBub25jZQ=", false, "half the padding" },
        { "dGhlIHNhbXBsZSBub25jZQ===", false, "too much padding" },
        { "dGhlIHNhbXBsZSBub25jZWE=", false, "17 bytes" },
        { "dGhlIHNhbXBsZSBub25j", false, "15 bytes" },
        { "dGhlIHNhbXBsZSBub25jZWFi", false, "18 bytes: 24 digits" },
        { "dGhlIHNhbXBsZSBub25jZR==", false, "a stray bit in the last digit" },
        { "dGhlIHNhbXBsZSBub25jZf==", false, "four stray bits" },
        { "dGhlIHNhbXBsZSBub25j-_==", false, "the digits of base64url" },
        { "dGhlIHNhbXBsZSBub2 jZQ==", false, "a space" },
        { "dGhlIHNhbXBsZSBub=5jZQ==", false, "padding in the middle" },
        { "dGhlIHNhbXBsZSBub25jZ===", false, "padding in the place of a digit" },
        { "dGhlIHNhbXBsZSBub25jZQ=A", false, "a digit in the place of padding" },
        { "dGhlIHNhbXBsZSBub25jZQA=", false, "a digit in the place of the first padding" },
        { "dGhlIHNhbXBsZSBub\xc3\xbcjZQ==", false, "beyond ASCII" },
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        struct span key = guard_span(span_of_string(facts[i].key));
        if (ws_key_valid(key) != facts[i].valid) fail_msg("%s", facts[i].name);
        guard_free(key.bytes);
    }
    assert_false(ws_key_valid(SPAN_NONE));
}

/* Each byte in each place of a key: 64 digits in the first 21 places, 4 in the 22nd, '=' in the last two. */
static void each_place_takes_its_digits_only(void **state)
{
    (void)state;
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t place = 0; place < 24; place++)
        for (int c = 0; c < 256; c++) {
            char key[] = "dGhlIHNhbXBsZSBub25jZQ==";
            key[place] = (char)c;
            bool expected =
                place >= 22 ? c == '=' : memchr(place == 21 ? "AQgw" : digits, c, place == 21 ? 4 : 64) != NULL;
            if (ws_key_valid(span_of(key, 24)) != expected) fail_msg("%02x at %zu", (unsigned)c, place);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_accepted),
        cmocka_unit_test(keys_of_any_length_are_hashed),
        cmocka_unit_test(only_sixteen_bytes_in_base64_are_a_key),
        cmocka_unit_test(each_place_takes_its_digits_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
