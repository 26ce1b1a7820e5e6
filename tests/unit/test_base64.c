/* base64url: RFC 4648's vectors, each length, and all that has a second reading refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/random.h"
#include "core/proto/base64.h"
#include "tests/unit/guard.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

static void known_texts_are_coded(void **state)
{
    (void)state;
    static const struct {
        struct span bytes;
        const char *text;
    } facts[] = {
        { SPAN_LITERAL(""), "" }, { SPAN_LITERAL("f"), "Zg" }, { SPAN_LITERAL("fo"), "Zm8" }, { SPAN_LITERAL("foo"), "Zm9v" },
        { SPAN_LITERAL("foob"), "Zm9vYg" }, { SPAN_LITERAL("fooba"), "Zm9vYmE" }, { SPAN_LITERAL("foobar"), "Zm9vYmFy" }, /* RFC 4648, 10 */
        { SPAN_LITERAL("\xfb\xff\xfe"), "-__-" }, { SPAN_LITERAL("\0"), "AA" }, { SPAN_LITERAL("\x03\xec\xff\xe0\xc1"), "A-z_4ME" }, /* RFC 7515, C */
    };
    for (size_t i = 0; i < COUNT_OF(facts); i++) {
        struct span text = guard_span(span_of_string(facts[i].text)), bytes = guard_span(facts[i].bytes);
        assert_int_equal(BASE64URL_DECODED_BYTES(text.size), bytes.size);
        assert_int_equal(BASE64URL_ENCODED_BYTES(bytes.size), text.size);
        char *out = guard_copy(text);
        assert_int_equal(base64url_encode(bytes, out), text.size);
        assert_memory_equal(out, text.bytes, text.size);
        assert_int_equal(base64url_decode(span_of(out, text.size), out), (long)bytes.size); /* in place */
        assert_memory_equal(out, bytes.bytes, bytes.size);
        guard_free(out);
        guard_free(text.bytes);
        guard_free(bytes.bytes);
    }
}

static void what_has_another_reading_is_refused(void **state)
{
    (void)state;
    static const char *const facts[] = { "Z", "Zm9vY", "Zg==", "Zm8=", "Zh", "Zm9", "Zm9vYmF/", "Zm9v+A", " Zg", "Zg ", "Zm\n8", "Z.8", "Zm8\xc3\xa9", "____Z" };
    char out[16];
    for (size_t i = 0; i < COUNT_OF(facts); i++) {
        struct span text = guard_span(span_of_string(facts[i]));
        if (base64url_decode(text, out) != -1) fail_msg("%s was taken", facts[i]);
        guard_free(text.bytes);
    }
    assert_int_equal(base64url_decode(SPAN_LITERAL("A\0AA"), out), -1);
}

static void any_bytes_come_back(void **state)
{
    (void)state;
    uint64_t seed = 7;
    for (size_t size = 0; size < 300; size++) {
        char bytes[300], again[300];
        for (size_t i = 0; i < size; i++) bytes[i] = (char)random_next(&seed);
        char room[400] = { 0 };
        char *text = guard_copy(span_of(room, BASE64URL_ENCODED_BYTES(size)));
        assert_int_equal(base64url_encode(span_of(bytes, size), text), BASE64URL_ENCODED_BYTES(size));
        assert_int_equal(base64url_decode(span_of(text, BASE64URL_ENCODED_BYTES(size)), again), (long)size);
        assert_memory_equal(bytes, again, size);
        guard_free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_texts_are_coded),
        cmocka_unit_test(what_has_another_reading_is_refused),
        cmocka_unit_test(any_bytes_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
