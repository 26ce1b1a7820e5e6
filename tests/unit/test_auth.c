/* Known attacks on tokens, refused case by case; the files of keys and what is wrong with them; what a reload finds of a credential. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/proto/base64.h"
#include "gateway/auth.h"
#include "tests/unit/guard.h"
#include "tests/unit/token_vectors.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))
#define SECRET "0123456789abcdef0123456789abcdef"
#define NOW_S 1763812345u
#define NOW_US (NOW_S * UINT64_C(1000000))
#define HS256 "{\"alg\":\"HS256\"}"

/* The key of RFC 7515, A.3, in PEM. */
static const char pem[] = "-----BEGIN PUBLIC KEY-----\n"
                          "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\n"
                          "6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n"
                          "-----END PUBLIC KEY-----\n";

static struct settings settings;
static char folder[] = "/tmp/ringcast-auth-XXXXXX";

static void write_file(char *setting, size_t room, const char *name, const char *text)
{
    snprintf(setting, room, "%s/%s", folder, name);
    FILE *file = fopen(setting, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

static int begin(void **state)
{
    (void)state;
    settings_default(&settings);
    return 0;
}

static struct auth *make(void)
{
    char why[1024] = "";
    struct auth *auth = auth_make(&settings, settings.publish_key, why, sizeof why);
    if (!auth) fail_msg("%s", why);
    return auth;
}

static void add_part(struct text *text, struct span bytes)
{
    text->size += base64url_encode(bytes, text_reserve(text, BASE64URL_ENCODED_BYTES(bytes.size)));
}

/* A token signed by HMAC with this secret. Owned. */
static struct text sign(const char *header, const char *claims, struct span secret)
{
    struct text token = { 0 };
    uint8_t mac[SHA256_BYTES];
    add_part(&token, span_of_string(header));
    text_add_char(&token, '.');
    add_part(&token, span_of_string(claims));
    assert_true(crypto_hmac(secret, text_span(&token), mac));
    text_add_char(&token, '.');
    add_part(&token, span_of((char *)mac, sizeof mac));
    return token;
}

/* NULL: the token is right. */
static const char *judge(const struct auth *auth, struct span token)
{
    const char *why;
    struct span copy = guard_span(token);
    struct credential *credential = auth_judge(auth, copy, NOW_US, &why);
    guard_free(copy.bytes);
    if (!credential) return why;
    credential_free(credential);
    return NULL;
}

static void expect(const struct auth *auth, struct span token, const char *part_of_why, const char *fact)
{
    const char *why = judge(auth, token);
    if (!why != !part_of_why || (why && !strstr(why, part_of_why))) fail_msg("%s: %s", fact, why ? why : "taken");
}

static void expect_signed(const struct auth *auth, const char *header, const char *claims, const char *part_of_why)
{
    struct text token = sign(header, claims, SPAN_LITERAL(SECRET));
    expect(auth, text_span(&token), part_of_why, claims);
    text_free(&token);
}

#define JWKS \
    "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"r1\",\"use\":\"sig\",\"n\":\"" RSA_N "\",\"e\":\"AQAB\"}," \
    "{\"kty\":\"EC\",\"kid\":\"e1\",\"alg\":\"ES256\",\"crv\":\"P-256\",\"x\":\"" P256_X "\",\"y\":\"" P256_Y "\"}," \
    "{\"kty\":\"OKP\",\"kid\":\"d1\",\"crv\":\"Ed25519\",\"x\":\"" ED25519_X "\"}," \
    "{\"kty\":\"oct\",\"kid\":\"h1\",\"k\":\"" HMAC_KEY "\"}," \
    "{\"kty\":\"RSA\",\"kid\":\"enc\",\"use\":\"enc\",\"n\":\"AQAB\",\"e\":\"AQAB\"},{\"kty\":\"EC\",\"kid\":\"p5\",\"crv\":\"P-521\",\"x\":\"AA\",\"y\":\"AA\"},{\"kty\":\"new\"}]}"

static void attacks_are_refused(void **state)
{
    (void)state;
    snprintf(settings.jwt_secret, sizeof settings.jwt_secret, SECRET);
    write_file(settings.jwt_key, sizeof settings.jwt_key, "key.pem", pem);
    write_file(settings.jwks, sizeof settings.jwks, "jwks.json", JWKS);
    struct auth *auth = make();
    assert_int_equal(auth->token_keys_count, 6);
    struct text token;
    char text[2048];
    expect_signed(auth, HS256, "{}", NULL);

    /* none, in all its spellings, signed, unsigned or with an empty signature */
    static const char *const nones[] = { "none", "None", "NONE", "nOnE", "", "null" };
    for (size_t i = 0; i < COUNT_OF(nones); i++) {
        snprintf(text, sizeof text, "{\"alg\":\"%s\"}", nones[i]);
        token = sign(text, "{}", SPAN_LITERAL(SECRET));
        expect(auth, text_span(&token), "alg", text);
        token.size -= 43;
        expect(auth, text_span(&token), "alg", text);
        text_free(&token);
    }
    token = sign(HS256, "{}", SPAN_LITERAL(SECRET));
    expect(auth, span_of(token.bytes, token.size - 43), "signature", "no signature at all");
    expect(auth, span_of(token.bytes, token.size - 44), "is not right", "no third part");
    text_free(&token);

    /* a public key as the secret of an HMAC: PEM with and without its end, DER, modulus, point; an empty one, a JWK's text */
    char modulus[300], point[64];
    long modulus_bytes = base64url_decode(SPAN_LITERAL(RSA_N), modulus);
    base64url_decode(SPAN_LITERAL(P256_X), point);
    base64url_decode(SPAN_LITERAL(P256_Y), point + 32);
    const struct span secrets[] = { span_of_string(pem), span_of(pem, sizeof pem - 2), span_of(modulus, (size_t)modulus_bytes), SPAN_LITERAL(RSA_N), span_of(point, 64), span_of(point, 32),
                                    SPAN_LITERAL(""), SPAN_LITERAL("\0"), SPAN_LITERAL(ED25519_X), SPAN_LITERAL(HMAC_KEY), SPAN_LITERAL("e1") };
    static const char *const kids[] = { "", ",\"kid\":\"r1\"", ",\"kid\":\"e1\"", ",\"kid\":\"d1\"", ",\"kid\":\"h1\"" };
    for (size_t i = 0; i < COUNT_OF(secrets); i++)
        for (size_t k = 0; k < COUNT_OF(kids); k++) {
            snprintf(text, sizeof text, "{\"alg\":\"HS256\"%s}", kids[k]);
            token = sign(text, "{}", secrets[i]);
            expect(auth, text_span(&token), "signature", text);
            text_free(&token);
        }

    /* another algorithm over a right signature: the header is signed, and the key is for one alone */
    static const char *const algorithms[] = { "RS256", "ES256", "EdDSA" };
    for (size_t i = 0; i < COUNT_OF(algorithms); i++)
        for (size_t k = 0; k < COUNT_OF(kids); k++) {
            snprintf(text, sizeof text, "{\"alg\":\"%s\"%s}", algorithms[i], kids[k]);
            expect_signed(auth, text, "{}", k == 0 || k == i + 1 || i == 1 ? "signature" : "no key");
        }
    static const char *const unknown[] = { "HS384", "HS512", "RS384", "RS512", "ES384", "ES512", "ES256K", "PS256", "RSA1_5", "A128KW", "dir", "Ed25519", "RS1", "HS256/64" };
    for (size_t i = 0; i < COUNT_OF(unknown); i++) {
        snprintf(text, sizeof text, "{\"alg\":\"%s\"}", unknown[i]);
        expect_signed(auth, text, "{}", "alg");
    }

    /* kid: paths, injections, other keys' names, what is longer than any; it is compared and nothing else */
    static const char *const tricks[] = { "../../../../dev/null", "/dev/null", "/proc/sys/kernel/randomize_va_space", "' OR 1=1 --", "x' UNION SELECT 'secret'; --", "r1\\u0000", "R1", "enc", "p5",
                                          "http://127.0.0.1/key", "file:///etc/passwd", "|id", "", "*", "%00", "key.pem" };
    for (size_t i = 0; i < COUNT_OF(tricks); i++)
        for (size_t a = 0; a < COUNT_OF(algorithms); a++) {
            snprintf(text, sizeof text, "{\"alg\":\"%s\",\"kid\":\"%s\"}", algorithms[a], tricks[i]);
            token = sign(text, "{}", SPAN_LITERAL(""));
            expect(auth, text_span(&token), a == 1 ? "signature" : "no key", text); /* the PEM has no kid: it is tried for ES256 */
            text_free(&token);
        }
    /* a header that brings its own key */
    token = sign("{\"alg\":\"HS256\",\"jwk\":{\"kty\":\"oct\",\"k\":\"YXR0YWNrZXJhdHRhY2tlcmF0dGFja2VyYXR0YWNrZXI\"},\"jku\":\"http://127.0.0.1/\",\"x5u\":\"http://127.0.0.1/\"}", "{}", SPAN_LITERAL("attackerattackerattackerattacker"));
    expect(auth, text_span(&token), "signature", "jwk");
    text_free(&token);

    /* what is nested, doubled, huge or has other parts */
    expect_signed(auth, "{\"alg\":\"HS256\",\"cty\":\"JWT\"}", "{}", "another token");
    expect_signed(auth, HS256, "\"" HMAC_TEXT "." HMAC_SIGNATURE "\"", "no JSON object");
    expect_signed(auth, "{\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false}", "{}", "crit");
    expect_signed(auth, "{\"alg\":\"none\",\"alg\":\"HS256\"}", "{}", "alg");
    expect_signed(auth, "{\"alg\":\"HS256\",\"alg\":\"none\"}", "{}", "twice");
    expect_signed(auth, HS256, "{\"exp\":9999999999,\"exp\":1}", "twice");
    expect_signed(auth, HS256, "{\"ringcast\":{\"sub\":[\"a\"]},\"ringcast\":{\"sub\":[\">\"]}}", "twice");
    expect_signed(auth, HS256, "{\"ringcast\":{\"sub\":[\"a\"],\"sub\":[\">\"]}}", "twice");
    expect_signed(auth, HS256, "{\"ringcast\":{\"sub\":\">\"}}", "arrays");
    expect_signed(auth, HS256, "{\"ringcast\":\"admin\"}", "object");
    expect_signed(auth, HS256, "{\"a\":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]}", "deeply");
    static char huge[9000], deep[6000];
    memset(huge, 'A', sizeof huge - 1);
    huge[0] = '{', huge[1] = '"', huge[sizeof huge - 2] = '"';
    expect_signed(auth, HS256, huge, "8192");
    memset(deep, '[', 5000);
    expect_signed(auth, HS256, deep, "no JSON object");
    memmove(deep + 5, deep, 5000);
    memcpy(deep, "{\"a\":", 5);
    expect_signed(auth, HS256, deep, "deeply");
    token = sign(HS256, "{}", SPAN_LITERAL(SECRET));
    struct text longer = { 0 };
    static const char *const ends[] = { "=", "==", ".", " ", "\n", "%", ".e30", "A", "AA" };
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        longer.size = 0;
        text_add(&longer, text_span(&token));
        text_add_string(&longer, ends[i]);
        if (!judge(auth, text_span(&longer))) fail_msg("with \"%s\" behind it", ends[i]);
    }
    /* Each single character altered: no other text says the same. */
    for (size_t at = 0; at < token.size; at++) {
        char was = token.bytes[at];
        for (const char *other = "A_z9.B"; *other; other++) {
            token.bytes[at] = *other;
            if (*other != was && !judge(auth, text_span(&token))) fail_msg("byte %zu altered", at);
        }
        token.bytes[at] = was;
    }
    assert_null(judge(auth, text_span(&token)));
    text_free(&longer);
    text_free(&token);
    auth_free(auth);
}

static void each_algorithm_is_taken_from_its_key_alone(void **state)
{
    (void)state;
    static const char *const tokens[] = { HMAC_TEXT "." HMAC_SIGNATURE, RSA_TEXT "." RSA_SIGNATURE, P256_TEXT "." P256_SIGNATURE };
    write_file(settings.jwks, sizeof settings.jwks, "jwks.json", JWKS);
    struct auth *auth = make();
    for (size_t i = 0; i < COUNT_OF(tokens); i++) { /* they end in 2011 */
        const char *why;
        expect(auth, span_of_string(tokens[i]), "expired", tokens[i]);
        struct credential *credential = auth_judge(auth, span_of_string(tokens[i]), UINT64_C(1300819380) * 1000000 - 1, &why);
        assert_non_null(credential);
        assert_int_equal(credential->expires_us, UINT64_C(1300819380) * 1000000);
        credential_free(credential);
    }
    expect(auth, SPAN_LITERAL(ED25519_TEXT "." ED25519_SIGNATURE), "no JSON object", "RFC 8037's text is no claims, but its signature is right");
    auth_free(auth);
    *settings.jwks = '\0';
    write_file(settings.jwt_key, sizeof settings.jwt_key, "key.pem", pem);
    auth = make();
    expect(auth, span_of_string(tokens[0]), "no key", "HS256");
    expect(auth, span_of_string(tokens[1]), "no key", "RS256");
    expect(auth, span_of_string(tokens[2]), "expired", "ES256");
    auth_free(auth);
}

/* The same key twice under two names, and tokens without a kid. */
static void a_token_without_kid_needs_a_key_without_rival(void **state)
{
    (void)state;
    write_file(settings.jwks, sizeof settings.jwks, "jwks.json",
               "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"a\",\"k\":\"" HMAC_KEY "\"},{\"kty\":\"oct\",\"kid\":\"b\",\"k\":\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY\"}]}");
    struct auth *auth = make();
    expect_signed(auth, HS256, "{}", "no key");
    expect_signed(auth, "{\"alg\":\"HS256\",\"kid\":\"b\"}", "{}", NULL);
    expect_signed(auth, "{\"alg\":\"HS256\",\"kid\":\"a\"}", "{}", "signature");
    expect_signed(auth, "{\"alg\":\"HS256\",\"kid\":\"c\"}", "{}", "no key");
    auth_free(auth);
}

static void claims_and_time_are_asked_for(void **state)
{
    (void)state;
    char claims[300];
    snprintf(settings.jwt_secret, sizeof settings.jwt_secret, SECRET);
    struct auth *auth = make();
    /* clang-format off */
    static const struct { const char *name; int offset_s; const char *why; } times[] = {
        { "exp", 1, NULL }, { "exp", 0, NULL }, { "exp", -29, NULL }, { "exp", -30, "expired" }, { "exp", -31, "expired" }, { "exp", 2000000000, NULL },
        { "nbf", 0, NULL }, { "nbf", 30, NULL }, { "nbf", 31, "not valid yet" }, { "nbf", -1000, NULL }, { "iat", 1000000, NULL },
    };
    /* clang-format on */
    for (size_t i = 0; i < COUNT_OF(times); i++) { /* skew 30 s */
        snprintf(claims, sizeof claims, "{\"%s\":%lld}", times[i].name, (long long)NOW_S + times[i].offset_s);
        expect_signed(auth, HS256, claims, times[i].why);
    }
    expect_signed(auth, HS256, "{\"exp\":1e300}", "times");
    expect_signed(auth, HS256, "{\"exp\":-1}", "times");
    expect_signed(auth, HS256, "{\"exp\":9223372036854775807}", "times");
    expect_signed(auth, HS256, "{\"exp\":\"9999999999\"}", "times");
    expect_signed(auth, HS256, "{\"iss\":\"any\"}", NULL);
    expect_signed(auth, HS256, "{\"aud\":\"them\"}", "audience");
    auth_free(auth);

    snprintf(settings.jwt_issuer, sizeof settings.jwt_issuer, "https://me.example/");
    snprintf(settings.jwt_audience, sizeof settings.jwt_audience, "ringcast");
    auth = make();
    expect_signed(auth, HS256, "{\"iss\":\"https://me.example/\",\"aud\":\"ringcast\"}", NULL);
    expect_signed(auth, HS256, "{\"iss\":\"https:\\/\\/me.example\\/\",\"aud\":[\"x\",\"ringcast\"]}", NULL);
    static const char *const issuers[] = { "{\"aud\":\"ringcast\"}", "{\"iss\":\"\",\"aud\":\"ringcast\"}", "{\"iss\":\"https://me.example\",\"aud\":\"ringcast\"}",
                                           "{\"iss\":\"https://me.example/\\u0000\",\"aud\":\"ringcast\"}", "{\"iss\":\"https://me.example/x\",\"aud\":\"ringcast\"}" };
    for (size_t i = 0; i < COUNT_OF(issuers); i++) expect_signed(auth, HS256, issuers[i], "iss");
    static const char *const audiences[] = { "{\"iss\":\"https://me.example/\"}", "{\"iss\":\"https://me.example/\",\"aud\":[]}", "{\"iss\":\"https://me.example/\",\"aud\":\"Ringcast\"}",
                                             "{\"iss\":\"https://me.example/\",\"aud\":[\"ringcast2\"]}" };
    for (size_t i = 0; i < COUNT_OF(audiences); i++) expect_signed(auth, HS256, audiences[i], "aud");
    auth_free(auth);
}

static void the_revoked_are_refused(void **state)
{
    (void)state;
    snprintf(settings.jwt_secret, sizeof settings.jwt_secret, SECRET);
    write_file(settings.revoked, sizeof settings.revoked, "revoked", "# ids\nzz\n a-1 \r\n\nb\n#c\nd e\n\xc3\xa9\nb");
    struct auth *auth = make();
    expect_signed(auth, HS256, "{\"jti\":\"a-1\"}", "revoked");
    expect_signed(auth, HS256, "{\"jti\":\"\\u0062\"}", "revoked");
    expect_signed(auth, HS256, "{\"jti\":\"zz\"}", "revoked");
    expect_signed(auth, HS256, "{\"jti\":\"d e\"}", "revoked");
    expect_signed(auth, HS256, "{\"jti\":\"\\u00e9\"}", "revoked");
    static const char *const others[] = { "{\"jti\":\"\"}", "{\"jti\":\"a\"}", "{\"jti\":\"a-2\"}", "{\"jti\":\"B\"}", "{\"jti\":\"c\"}", "{\"jti\":\"#c\"}", "{\"jti\":\" b\"}", "{\"jti\":\"b\\u0000\"}", "{}" };
    for (size_t i = 0; i < COUNT_OF(others); i++) expect_signed(auth, HS256, others[i], NULL);
    char claims[400];
    snprintf(claims, sizeof claims, "{\"jti\":\"%0257d\"}", 0);
    expect_signed(auth, HS256, claims, "jti");
    auth_free(auth);
}

#define DIGEST_ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define DIGEST_EMPTY "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"

static void keys_are_found_by_their_digest(void **state)
{
    (void)state;
    const char *why;
    snprintf(settings.publish_key, sizeof settings.publish_key, "publish.key.it");
    snprintf(settings.admin_key, sizeof settings.admin_key, "admin");
    write_file(settings.auth_keys, sizeof settings.auth_keys, "keys", "# name:sha256:rights\n\nreader:" DIGEST_ABC ": sub=AAPL,crypto.* max_hz=2\r\nempty:" DIGEST_EMPTY ":admin\n");
    struct auth *auth = make();
    struct credential *credential = auth_judge(auth, SPAN_LITERAL("abc"), NOW_US, &why);
    assert_true(credential && credential->kind == CREDENTIAL_KEY && credential->expires_us == UINT64_MAX && credential->rights.max_hz == 2);
    assert_true(rights_may_read(&credential->rights, SPAN_LITERAL("crypto.*")) && !rights_may_publish(&credential->rights, SPAN_NONE) && !credential->rights.admin);
    credential_free(credential);
    credential = auth_judge(auth, SPAN_LITERAL("publish.key.it"), NOW_US, &why);
    assert_true(credential && rights_may_publish(&credential->rights, SPAN_LITERAL("x")) && !rights_may_read(&credential->rights, SPAN_LITERAL("x")) && !credential->rights.admin);
    credential_free(credential);
    credential = auth_judge(auth, SPAN_LITERAL("admin"), NOW_US, &why);
    assert_true(credential && credential->rights.admin);
    credential_free(credential);
    static const char *const wrong[] = { "" /* whatever the file says */, "ab", "abcd", "Abc", "admi", "admin ", DIGEST_ABC, "reader", "a.b.c" };
    for (size_t i = 0; i < COUNT_OF(wrong); i++) expect(auth, span_of_string(wrong[i]), "not right", wrong[i]);
    auth_free(auth);
}

static void wrong_files_are_named(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct { size_t setting; const char *text, *why; } facts[] = {
        { SETTING_auth_keys, "a\n", "line 1: a line must be" }, { SETTING_auth_keys, "\n# x\na:b\n", "line 3: a line must be" }, { SETTING_auth_keys, ":" DIGEST_ABC ":", "line 1: a name" },
        { SETTING_auth_keys, "a b:" DIGEST_ABC ":", "line 1: a name" }, { SETTING_auth_keys, "a:abc:", "64 hexadecimal" }, { SETTING_auth_keys, "a:" DIGEST_ABC "0:", "64 hexadecimal" },
        { SETTING_auth_keys, "a:zz7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad:", "64 hexadecimal" }, { SETTING_auth_keys, "a:" DIGEST_ABC ":all", "rights are made of" },
        { SETTING_auth_keys, "a:" DIGEST_ABC ":\nb:" DIGEST_ABC ":", "line 2: the same key" }, { SETTING_auth_keys, "a:" DIGEST_ABC ":\na:" DIGEST_EMPTY ":", "line 2: the same name" },
        { SETTING_auth_keys, "ab:" DIGEST_ABC ":\nb:" DIGEST_EMPTY ":", NULL },
        { SETTING_jwt_key, "", "no PUBLIC KEY" }, { SETTING_jwt_key, "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n", "private key" },
        { SETTING_jwt_key, "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n", "certificate" }, { SETTING_jwt_key, "-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----\n", "" },
        { SETTING_jwt_key, "-----BEGIN PUBLIC KEY-----\n", "" }, { SETTING_jwt_key, "-----BEGIN PUBLIC KEY-----\n-----BEGIN PUBLIC KEY-----\n", "more than one" },
        { SETTING_jwks, "", "no JSON Web Key Set" }, { SETTING_jwks, "{}", "no JSON Web Key Set" }, { SETTING_jwks, "[]", "no JSON Web Key Set" }, { SETTING_jwks, "{\"keys\":{}}", "no JSON Web Key Set" },
        { SETTING_jwks, "{\"keys\":[],\"keys\":[]}", "no JSON Web Key Set" }, { SETTING_jwks, "{\"keys\":[]}", "no key in it" }, { SETTING_jwks, "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-384\"}]}", "no key in it" },
        { SETTING_jwks, "{\"keys\":[1]}", "key 1: it must be an object" }, { SETTING_jwks, "{\"keys\":[{\"kty\":1}]}", "must be strings" }, { SETTING_jwks, "{\"keys\":[{\"kty\":\"oct\",\"kty\":\"oct\"}]}", "twice" },
        { SETTING_jwks, "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}", "key 1: a secret for HS256 must have 32" }, { SETTING_jwks, "{\"keys\":[{\"kty\":\"oct\"}]}", "missing" },
        { SETTING_jwks, "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}", "2048" }, { SETTING_jwks, "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"" RSA_N "=\",\"e\":\"AQAB\"}]}", "base64url" },
        { SETTING_jwks, "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"" RSA_N "\",\"e\":\"AQAB\",\"d\":\"AQAB\"}]}", "private" },
        { SETTING_jwks, "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" P256_X "\",\"y\":\"" P256_X "\"}]}", "not on P-256" }, /* a point that is not on the curve */
        { SETTING_jwks, "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}]}", "small order" },
        { SETTING_jwks, "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"a\",\"k\":\"" HMAC_KEY "\"},{\"kty\":\"oct\",\"kid\":\"a\",\"k\":\"" HMAC_KEY "\"}]}", "key 2: its kid stands twice" },
        { SETTING_revoked, "", NULL },
    };
    /* clang-format on */
    for (size_t i = 0; i < COUNT_OF(facts); i++) {
        char why[1024] = "";
        settings_default(&settings);
        char *path = (char *)&settings + settings_table[facts[i].setting].offset;
        write_file(path, settings_table[facts[i].setting].size, "wrong", facts[i].text);
        struct auth *auth = auth_make(&settings, "", why, sizeof why);
        if ((auth != NULL) != (facts[i].why == NULL) || (facts[i].why && (!strstr(why, facts[i].why) || !strstr(why, path) || !strstr(why, settings_table[facts[i].setting].name))))
            fail_msg("%s: %s", facts[i].text, auth ? "taken" : why);
        auth_free(auth);
    }
    static const char *const paths[] = { "/nowhere/at/all", "/tmp", "/dev/null" };
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        char why[1024] = "";
        settings_default(&settings);
        snprintf(settings.revoked, sizeof settings.revoked, "%s", paths[i]);
        assert_null(auth_make(&settings, "", why, sizeof why));
        assert_non_null(strstr(why, paths[i]));
    }
    char why[1024];
    settings_default(&settings);
    snprintf(settings.jwt_secret, sizeof settings.jwt_secret, "%.31s", SECRET);
    assert_null(auth_make(&settings, "", why, sizeof why));
    assert_null(strstr(why, "0123456789"));
    settings_default(&settings);
    settings.auth_required = true;
    assert_null(auth_make(&settings, "", why, sizeof why));
    assert_non_null(strstr(why, "nobody"));
    settings_default(&settings);
    snprintf(settings.admin_key, sizeof settings.admin_key, "abc");
    write_file(settings.auth_keys, sizeof settings.auth_keys, "keys", "a:" DIGEST_ABC ":pub=>\n");
    assert_null(auth_make(&settings, "", why, sizeof why));
}

static void what_was_right_is_judged_again(void **state)
{
    (void)state;
    const char *why;
    snprintf(settings.jwt_secret, sizeof settings.jwt_secret, SECRET);
    write_file(settings.auth_keys, sizeof settings.auth_keys, "keys", "a:" DIGEST_ABC ":sub=AAPL pub=x\n");
    write_file(settings.revoked, sizeof settings.revoked, "revoked", "");
    struct auth *auth = make(), *same = make();
    assert_true(auth_equals(auth, same));
    auth_free(same);
    struct text token = sign(HS256, "{\"jti\":\"t1\",\"exp\":1763812346,\"ringcast\":{\"sub\":[\"AAPL\"]}}", SPAN_LITERAL(SECRET));
    struct credential *by_key = auth_judge(auth, SPAN_LITERAL("abc"), NOW_US, &why), *by_token = auth_judge(auth, text_span(&token), NOW_US, &why);
    assert_true(by_key && by_token && auth_judge_again(auth, by_key) && auth_judge_again(auth, by_token));
    assert_true(rights_may_read(&by_token->rights, SPAN_LITERAL("AAPL")));

    write_file(settings.auth_keys, sizeof settings.auth_keys, "keys", "a:" DIGEST_ABC ":sub=MSFT\n");
    struct auth *next = make();
    assert_false(auth_equals(auth, next));
    auth_free(auth);
    assert_true(auth_judge_again(next, by_key) && auth_judge_again(next, by_token));
    assert_true(rights_may_read(&by_key->rights, SPAN_LITERAL("MSFT")) && !rights_may_read(&by_key->rights, SPAN_LITERAL("AAPL")) && !rights_may_publish(&by_key->rights, SPAN_NONE));
    auth_free(next);

    write_file(settings.auth_keys, sizeof settings.auth_keys, "keys", "");
    write_file(settings.revoked, sizeof settings.revoked, "revoked", "t1\n");
    next = make();
    assert_false(auth_judge_again(next, by_key) || auth_judge_again(next, by_token));
    assert_true(by_key->kind == CREDENTIAL_OVER && by_token->kind == CREDENTIAL_OVER && by_token->expires_us == UINT64_MAX);
    assert_false(rights_may_read(&by_key->rights, SPAN_LITERAL("MSFT")) || rights_may_read(&by_token->rights, SPAN_LITERAL("AAPL")));
    auth_free(next);
    credential_free(by_key);
    credential_free(by_token);

    /* another secret */
    *settings.revoked = '\0';
    auth = make();
    by_token = auth_judge(auth, text_span(&token), NOW_US, &why);
    auth_free(auth);
    snprintf(settings.jwt_secret, sizeof settings.jwt_secret, "%s!", SECRET);
    auth = make();
    assert_true(by_token && !auth_judge_again(auth, by_token));
    auth_free(auth);
    credential_free(by_token);
    text_free(&token);
}

static int end(void **state)
{
    (void)state;
    static const char *const names[] = { "keys", "key.pem", "jwks.json", "revoked", "wrong" };
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char path[200];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(attacks_are_refused, begin),
        cmocka_unit_test_setup(each_algorithm_is_taken_from_its_key_alone, begin),
        cmocka_unit_test_setup(a_token_without_kid_needs_a_key_without_rival, begin),
        cmocka_unit_test_setup(claims_and_time_are_asked_for, begin),
        cmocka_unit_test_setup(the_revoked_are_refused, begin),
        cmocka_unit_test_setup(keys_are_found_by_their_digest, begin),
        cmocka_unit_test_setup(wrong_files_are_named, begin),
        cmocka_unit_test_setup(what_was_right_is_judged_again, begin),
    };
    return cmocka_run_group_tests(tests, make_folder, end);
}
