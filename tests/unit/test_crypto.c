/* Cryptography: the RFCs' vectors by each algorithm, each byte of them altered, signatures and points that are crafted, keys that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/io/crypto.h"
#include "core/proto/base64.h"
#include "tests/unit/guard.h"
#include "tests/unit/token_vectors.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

static struct span decode(const char *text, char *room)
{
    long size = base64url_decode(span_of_string(text), room);
    assert_true(size >= 0);
    return span_of(room, (size_t)size);
}

static const struct vector {
    enum crypto_kind kind;
    const char      *a, *b, *text, *signature;
} vectors[] = {
    { CRYPTO_HMAC, HMAC_KEY, "", HMAC_TEXT, HMAC_SIGNATURE },
    { CRYPTO_RSA, RSA_N, RSA_E, RSA_TEXT, RSA_SIGNATURE },
    { CRYPTO_P256, P256_X, P256_Y, P256_TEXT, P256_SIGNATURE },
    { CRYPTO_ED25519, ED25519_X, "", ED25519_TEXT, ED25519_SIGNATURE },
};

static void make_key(const struct vector *vector, struct crypto_key *key)
{
    char a[600], b[600];
    struct span first = decode(vector->a, a), second = decode(vector->b, b);
    assert_null(crypto_key_make(key, vector->kind, first, second));
}

static void the_vectors_verify_and_nothing_near_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(vectors); i++) {
        struct crypto_key key;
        char room[600];
        make_key(&vectors[i], &key);
        struct span text = guard_span(span_of_string(vectors[i].text)), whole = guard_span(decode(vectors[i].signature, room));
        assert_true(crypto_verify(&key, text, whole));
        assert_false(crypto_verify(&key, span_of(text.bytes, text.size - 1), whole));
        assert_false(crypto_verify(&key, span_of(text.bytes, 0), whole));
        for (size_t size = 0; size < whole.size; size += whole.size > 100 ? 17 : 1) assert_false(crypto_verify(&key, text, span_of(whole.bytes, size)));
        char *longer = guard_copy(span_of(room, whole.size + 1));
        longer[whole.size] = 0;
        assert_false(crypto_verify(&key, text, span_of(longer, whole.size + 1)));
        guard_free(longer);
        for (size_t at = 0; at < whole.size; at += whole.size > 100 ? 13 : 1) {
            char *altered = guard_copy(whole);
            altered[at] ^= (char)(1 << at % 8);
            assert_false(crypto_verify(&key, text, span_of(altered, whole.size)));
            guard_free(altered);
        }
        for (size_t other = 0; other < COUNT_OF(vectors); other++) { /* another kind of key knows nothing of it */
            struct crypto_key wrong;
            make_key(&vectors[other], &wrong);
            if (other != i) assert_false(crypto_verify(&wrong, text, whole));
        }
        guard_free(whole.bytes);
        guard_free(text.bytes);
    }
}

static const uint8_t order[32] = { 0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                   0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51 };

/* r and s of 0, of the order and above, with which careless code takes any text. */
static void crafted_p256_signatures_are_refused(void **state)
{
    (void)state;
    struct crypto_key key;
    make_key(&vectors[2], &key);
    uint8_t parts[6][32] = { { 0 }, { 0 }, { 0 }, { 0 }, { 0 }, { 0 } };
    parts[1][31] = 1;
    memcpy(parts[2], order, 32);
    memcpy(parts[3], order, 32);
    parts[3][31]++;
    memset(parts[4], 0xff, 32);
    memcpy(parts[5], order, 32);
    parts[5][31]--;
    char room[64];
    struct span right = decode(P256_SIGNATURE, room);
    for (size_t r = 0; r <= COUNT_OF(parts); r++)
        for (size_t s = 0; s <= COUNT_OF(parts); s++) {
            uint8_t signature[64];
            memcpy(signature, r < COUNT_OF(parts) ? (const void *)parts[r] : right.bytes, 32);
            memcpy(signature + 32, s < COUNT_OF(parts) ? (const void *)parts[s] : right.bytes + 32, 32);
            bool is_right = r == COUNT_OF(parts) && s == COUNT_OF(parts);
            assert_int_equal(crypto_verify(&key, SPAN_LITERAL(P256_TEXT), span_of((char *)signature, 64)), is_right);
        }
    /* DER, as other protocols have it, is none of JWS. */
    const char der[] = "\x30\x06\x02\x01\x01\x02\x01\x01";
    assert_false(crypto_verify(&key, SPAN_LITERAL(P256_TEXT), span_of(der, 8)));
}

/* S and S + L would both be right where S is not held below the order (RFC 8032, 5.1.7). */
static void an_ed25519_signature_has_one_form(void **state)
{
    (void)state;
    static const uint8_t l[32] = { 0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, [31] = 0x10 };
    struct crypto_key key;
    char room[64];
    make_key(&vectors[3], &key);
    struct span signature = decode(ED25519_SIGNATURE, room);
    unsigned carry = 0;
    for (size_t i = 0; i < 32; i++) {
        carry += (uint8_t)room[32 + i] + l[i];
        room[32 + i] = (char)carry;
        carry >>= 8;
    }
    assert_false(crypto_verify(&key, SPAN_LITERAL(ED25519_TEXT), signature));
    memset(room, 0, sizeof room);
    assert_false(crypto_verify(&key, SPAN_LITERAL(ED25519_TEXT), signature));
    room[0] = 1; /* R the neutral point */
    assert_false(crypto_verify(&key, SPAN_LITERAL(ED25519_TEXT), signature));
}

static void keys_that_are_none_are_refused(void **state)
{
    (void)state;
    char n[600], e[8], x[32], y[32], zeros[600] = { 0 }, ones[600];
    memset(ones, 0xff, sizeof ones);
    struct span modulus = decode(RSA_N, n), exponent = decode(RSA_E, e), px = decode(P256_X, x), py = decode(P256_Y, y);
    const char off_curve[32] = { 1 };
    char even[256], bent[32];
    memcpy(even, n, 256);
    even[255] &= (char)0xfe;
    memcpy(bent, y, 32);
    bent[31] ^= 1;
    const struct {
        enum crypto_kind kind;
        struct span      a, b;
        const char      *why;
    } facts[] = {
        { CRYPTO_HMAC, span_of(ones, 31), SPAN_NONE, "32 bytes" }, { CRYPTO_HMAC, span_of(ones, 0), SPAN_NONE, "32 bytes" }, { CRYPTO_HMAC, span_of(ones, 513), SPAN_NONE, "512" },
        { CRYPTO_RSA, span_of(n, 255), exponent, "2048" }, { CRYPTO_RSA, span_of(zeros, 256), exponent, "2048" }, { CRYPTO_RSA, span_of(ones, 513), exponent, "4096" },
        { CRYPTO_RSA, modulus, SPAN_LITERAL("\1"), "exponent" }, { CRYPTO_RSA, modulus, SPAN_LITERAL("\2"), "exponent" }, { CRYPTO_RSA, modulus, SPAN_LITERAL("\0"), "exponent" },
        { CRYPTO_RSA, modulus, SPAN_NONE, "exponent" }, { CRYPTO_RSA, modulus, span_of(ones, 5), "exponent" }, { CRYPTO_RSA, span_of(even, 256), exponent, "odd" },
        { CRYPTO_P256, span_of(zeros, 32), span_of(zeros, 32), "P-256" }, { CRYPTO_P256, px, span_of(bent, 32), "P-256" }, { CRYPTO_P256, py, px, "P-256" },
        { CRYPTO_P256, span_of(ones, 32), span_of(ones, 32), "P-256" }, { CRYPTO_P256, span_of(x, 31), py, "32 bytes" }, { CRYPTO_P256, px, span_of(ones, 33), "32 bytes" },
        { CRYPTO_P256, px, SPAN_NONE, "32 bytes" }, { CRYPTO_P256, span_of(off_curve, 32), span_of(off_curve, 32), "P-256" },
        { CRYPTO_ED25519, span_of(ones, 31), SPAN_NONE, "32 bytes" }, { CRYPTO_ED25519, span_of(ones, 33), SPAN_NONE, "32 bytes" },
        { CRYPTO_ED25519, span_of(zeros, 32), SPAN_NONE, "small order" }, { CRYPTO_ED25519, span_of(off_curve, 32), SPAN_NONE, "small order" }, /* y = 0 and y = 1 */
        { CRYPTO_ED25519, span_of(ones, 32), SPAN_NONE, "small order" },
        { CRYPTO_ED25519, SPAN_LITERAL("\xec\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), SPAN_NONE, "small order" },
        { CRYPTO_ED25519, SPAN_LITERAL("\x26\xe8\x95\x8f\xc2\xb2\x27\xb0\x45\xc3\xf4\x89\xf2\xef\x98\xf0\xd5\xdf\xac\x05\xd3\xc6\x33\x39\xb1\x38\x02\x88\x6d\x53\xfc\x85"), SPAN_NONE, "small order" },
        { CRYPTO_ED25519, SPAN_LITERAL("\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), SPAN_NONE, "not on" }, /* y = 2: no x belongs to it */
    };
    for (size_t i = 0; i < COUNT_OF(facts); i++) {
        struct crypto_key key;
        struct span a = guard_span(facts[i].a), b = guard_span(facts[i].b);
        const char *why = crypto_key_make(&key, facts[i].kind, a, b);
        if (!why || !strstr(why, facts[i].why)) fail_msg("fact %zu: %s", i, why ? why : "taken");
        guard_free(a.bytes);
        guard_free(b.bytes);
    }
    /* Zeros before a number don't count. */
    struct crypto_key key, same;
    uint8_t one[SHA256_BYTES], other[SHA256_BYTES];
    zeros[0] = 0;
    memcpy(zeros + 1, n, 256);
    assert_null(crypto_key_make(&key, CRYPTO_RSA, modulus, exponent));
    assert_null(crypto_key_make(&same, CRYPTO_RSA, span_of(zeros, 257), SPAN_LITERAL("\0\1\0\1")));
    assert_true(crypto_key_thumbprint(&key, one) && crypto_key_thumbprint(&same, other));
    assert_memory_equal(one, other, SHA256_BYTES);
}

static void digests_and_comparing(void **state)
{
    (void)state;
    uint8_t digest[SHA256_BYTES];
    static const uint8_t abc[] = { 0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
                                   0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad }; /* FIPS 180-2, B.1 */
    assert_true(crypto_sha256(SPAN_LITERAL("abc"), digest));
    assert_memory_equal(digest, abc, sizeof abc);
    assert_true(crypto_sha256(SPAN_NONE, digest) && digest[0] == 0xe3);
    assert_true(crypto_equal(abc, abc, 32) && crypto_equal("", "", 0));
    for (size_t at = 0; at < 32; at++) {
        uint8_t other[32];
        memcpy(other, abc, 32);
        other[at] ^= 0x80;
        assert_false(crypto_equal(abc, other, 32));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_verify_and_nothing_near_them), cmocka_unit_test(crafted_p256_signatures_are_refused), cmocka_unit_test(an_ed25519_signature_has_one_form),
        cmocka_unit_test(keys_that_are_none_are_refused), cmocka_unit_test(digests_and_comparing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
