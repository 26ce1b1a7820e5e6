/* The token codec on guard pages: RFC 7515's example, each thing that is refused, claims and their types, the edges of time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/proto/base64.h"
#include "core/proto/jwt.h"
#include "tests/unit/guard.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

static const char rfc[] = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
                          ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"; /* RFC 7515, A.1 */

static void the_example_is_read(void **state)
{
    (void)state;
    struct span token = guard_span(span_of_string(rfc));
    char *room = guard_copy(span_of((char[JWT_ROOM_BYTES]){ 0 }, JWT_ROOM_BYTES));
    struct jwt jwt;
    struct jwt_claims claims;
    assert_null(jwt_read(token, room, &jwt));
    assert_int_equal(jwt.algorithm, JWT_HS256);
    assert_null(jwt.kid.bytes);
    assert_int_equal(jwt.signature.size, 32);
    assert_ptr_equal(jwt.signed_text.bytes, token.bytes);
    assert_int_equal(jwt.signed_text.size, token.size - 44);
    assert_true(span_is(jwt.claims, "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}"));
    assert_null(jwt_claims_read(jwt.claims, &claims));
    assert_true(json_string_is(&claims.issuer, "joe"));
    assert_true(claims.has_expires && claims.expires_s == 1300819380 && !claims.has_not_before);
    assert_null(claims.rights.text.bytes);
    /* Every beginning of it, and every one with a byte in its middle that is none of base64url. */
    for (size_t size = 0; size < token.size; size++) {
        struct span part = guard_span(span_of(rfc, size));
        const char *why = jwt_read(part, room, &jwt);
        if (!why) assert_true(size > token.size - 44); /* a shorter signature is read; it will not verify */
        guard_free(part.bytes);
    }
    for (size_t at = 0; at < token.size; at++) {
        char *bad = guard_copy(token);
        if (bad[at] == '.') continue;
        bad[at] = '=';
        assert_non_null(jwt_read(span_of(bad, token.size), room, &jwt));
        guard_free(bad);
    }
    guard_free(room);
    guard_free(token.bytes);
}

/* A token of this header and these claims, and some signature. */
static size_t make_token(char *out, struct span header, struct span claims)
{
    size_t size = base64url_encode(header, out);
    out[size++] = '.';
    size += base64url_encode(claims, out + size);
    out[size++] = '.';
    return size + base64url_encode(SPAN_LITERAL("signature"), out + size);
}

static const char *read_header(const char *header, struct jwt *jwt, char room[JWT_ROOM_BYTES])
{
    char text[16384];
    struct span token = guard_span(span_of(text, make_token(text, span_of_string(header), SPAN_LITERAL("{}"))));
    const char *why = jwt_read(token, room, jwt);
    guard_free(token.bytes);
    return why;
}

static void headers_are_judged(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct { const char *header, *why; int algorithm; } facts[] = {
        { "{\"alg\":\"HS256\"}", NULL, JWT_HS256 },
        { "{\"alg\":\"RS256\",\"typ\":\"JWT\"}", NULL, JWT_RS256 },
        { " {\"alg\" : \"ES256\"}\r\n", NULL, JWT_ES256 },
        { "{\"alg\":\"EdDSA\",\"kid\":\"k\"}", NULL, JWT_EDDSA },
        { "{\"\\u0061lg\":\"HS256\"}", NULL, JWT_HS256 },
        { "{\"alg\":\"HS256\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AAAA\"},\"jku\":\"https://a.example/\",\"x5c\":[\"a\"]}", NULL, JWT_HS256 }, /* its own key is ignored */
        { "{\"alg\":\"none\"}", "alg", 0 }, { "{\"alg\":\"None\"}", "alg", 0 }, { "{\"alg\":\"NONE\"}", "alg", 0 }, { "{\"alg\":\"\"}", "alg", 0 },
        { "{\"alg\":\"hs256\"}", "alg", 0 }, { "{\"alg\":\"HS384\"}", "alg", 0 }, { "{\"alg\":\"HS512\"}", "alg", 0 }, { "{\"alg\":\"PS256\"}", "alg", 0 },
        { "{\"alg\":\"HS256 \"}", "alg", 0 }, { "{\"alg\":\"HS256\\u0000\"}", "alg", 0 }, { "{\"alg\":null}", "alg", 0 }, { "{\"alg\":[\"HS256\"]}", "alg", 0 },
        { "{\"alg\":{\"a\":1}}", "alg", 0 }, { "{}", "no alg", 0 }, { "{\"Alg\":\"HS256\"}", "no alg", 0 },
        { "{\"alg\":\"HS256\",\"alg\":\"none\"}", "twice", 0 }, { "{\"alg\":\"HS256\",\"\\u0061lg\":\"HS256\"}", "twice", 0 },
        { "{\"alg\":\"HS256\",\"x\":1,\"x\":1}", "twice", 0 }, { "{\"alg\":\"HS256\",\"kid\":\"a\",\"kid\":\"b\"}", "twice", 0 },
        { "{\"alg\":\"HS256\",\"crit\":[\"exp\"],\"exp\":1}", "crit", 0 }, { "{\"alg\":\"HS256\",\"crit\":[]}", "crit", 0 },
        { "{\"alg\":\"HS256\",\"b64\":false}", "b64", 0 }, { "{\"alg\":\"HS256\",\"zip\":\"DEF\"}", "compressed", 0 }, { "{\"alg\":\"HS256\",\"enc\":\"A128GCM\"}", "encrypted", 0 },
        { "{\"alg\":\"HS256\",\"cty\":\"JWT\"}", "another token", 0 }, { "{\"alg\":\"HS256\",\"cty\":\"jwt\"}", "another token", 0 },
        { "{\"alg\":\"HS256\",\"kid\":1}", "kid", 0 }, { "{\"alg\":\"HS256\",\"kid\":null}", "kid", 0 }, { "{\"alg\":\"HS256\",\"kid\":[\"a\"]}", "kid", 0 },
        { "{\"alg\":\"HS256\",\"kid\":\"\\ud800\"}", "kid", 0 },
        { "", "no JSON object", 0 }, { "[]", "no JSON object", 0 }, { "\"HS256\"", "no JSON object", 0 }, { "{\"alg\":\"HS256\"", "no JSON object", 0 },
        { "{\"alg\":\"HS256\"}x", "no JSON object", 0 }, { "{\"alg\":\"HS256\"}{}", "no JSON object", 0 }, { "{\"alg\":\"HS256\",}", "no JSON object", 0 },
        { "{\"alg\":\"HS256\",\"x\":\"\xff\"}", "no JSON object", 0 },
        { "{\"alg\":\"HS256\",\"x\":[[[[[[[1]]]]]]]}", NULL, JWT_HS256 }, { "{\"alg\":\"HS256\",\"x\":[[[[[[[[1]]]]]]]]}", "deeply", 0 },
    };
    /* clang-format on */
    char *room = guard_copy(span_of((char[JWT_ROOM_BYTES]){ 0 }, JWT_ROOM_BYTES));
    for (size_t i = 0; i < COUNT_OF(facts); i++) {
        struct jwt jwt;
        const char *why = read_header(facts[i].header, &jwt, room);
        if (!why != !facts[i].why || (why && !strstr(why, facts[i].why))) fail_msg("%s: %s", facts[i].header, why ? why : "taken");
        if (!why) assert_int_equal(jwt.algorithm, facts[i].algorithm);
    }
    guard_free(room);
}

static void a_kid_has_a_bound(void **state)
{
    (void)state;
    char header[400], *room = guard_copy(span_of((char[JWT_ROOM_BYTES]){ 0 }, JWT_ROOM_BYTES));
    struct jwt jwt;
    for (int size = 126; size <= 131; size++) {
        snprintf(header, sizeof header, "{\"alg\":\"HS256\",\"kid\":\"%0*d\"}", size, 0);
        const char *why = read_header(header, &jwt, room);
        if (size > JWT_KID_BYTES_MAX) assert_non_null(strstr(why, "kid"));
        else assert_true(!why && jwt.kid.size == (size_t)size);
    }
    assert_null(read_header("{\"alg\":\"HS256\",\"kid\":\"a\\u0000\\\"b\"}", &jwt, room));
    assert_true(span_equals(jwt.kid, SPAN_LITERAL("a\0\"b")));
    assert_null(read_header("{\"alg\":\"HS256\",\"kid\":\"\"}", &jwt, room));
    assert_true(jwt.kid.bytes && jwt.kid.size == 0);
    guard_free(room);
}

static void sizes_have_bounds(void **state)
{
    (void)state;
    static char text[20000], claims[9000];
    char *room = guard_copy(span_of((char[JWT_ROOM_BYTES]){ 0 }, JWT_ROOM_BYTES));
    struct jwt jwt;
    memset(claims, ' ', sizeof claims);
    for (size_t size = 6000; size < 6200; size++) {
        struct span token = guard_span(span_of(text, make_token(text, SPAN_LITERAL("{\"alg\":\"HS256\",\"kid\":\"0123456789\"}"), span_of(claims, size))));
        const char *why = jwt_read(token, room, &jwt);
        if (token.size > JWT_BYTES_MAX) assert_non_null(strstr(why, "8192"));
        else assert_null(why);
        guard_free(token.bytes);
    }
    static char members[4000];
    for (int count = 62; count < 68; count++) {
        int size = sprintf(members, "{\"alg\":\"HS256\"");
        for (int i = 1; i < count; i++) size += sprintf(members + size, ",\"m%d\":%d", i, i);
        sprintf(members + size, "}");
        const char *why = read_header(members, &jwt, room);
        if (count > JWT_MEMBERS_MAX) assert_non_null(strstr(why, "too many"));
        else assert_null(why);
    }
    static const char *const forms[] = { "", ".", "..", "...", "a.b", "a.b.c.d", "a.b.c.d.e", "eyJhbGciOiJIUzI1NiJ9", "eyJhbGciOiJIUzI1NiJ9.e30" };
    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        struct span token = guard_span(span_of_string(forms[i]));
        assert_non_null(jwt_read(token, room, &jwt));
        guard_free(token.bytes);
    }
    guard_free(room);
}

static void claims_are_judged(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct { const char *claims, *why; } facts[] = {
        { "{}", NULL }, { "{\"exp\":0}", NULL }, { "{\"exp\":1e3,\"nbf\":1.5,\"iat\":2}", NULL }, { "{\"aud\":[]}", NULL }, { "{\"aud\":[\"a\",\"b\"]}", NULL },
        { "{\"ringcast\":{}}", NULL }, { "{\"x\":{\"exp\":\"1\"}}", NULL }, { "{\"exp\":1000000000000}", NULL }, { "{\"exp\":-0}", NULL },
        { "{\"exp\":\"1\"}", "times" }, { "{\"exp\":null}", "times" }, { "{\"exp\":-1}", "times" }, { "{\"exp\":1e999}", "times" }, { "{\"exp\":1000000000001}", "times" },
        { "{\"exp\":true}", "times" }, { "{\"exp\":[1]}", "times" }, { "{\"nbf\":\"0\"}", "times" }, { "{\"nbf\":-1e999}", "times" }, { "{\"iat\":{}}", "times" },
        { "{\"exp\":1,\"exp\":2}", "twice" }, { "{\"exp\":1,\"\\u0065xp\":9999999999}", "twice" }, { "{\"ringcast\":{},\"ringcast\":{}}", "twice" }, { "{\"jti\":\"a\",\"jti\":\"b\"}", "twice" },
        { "{\"iss\":1}", "strings" }, { "{\"iss\":[\"a\"]}", "strings" }, { "{\"jti\":1}", "strings" }, { "{\"jti\":null}", "strings" },
        { "{\"aud\":1}", "aud" }, { "{\"aud\":{\"a\":1}}", "aud" }, { "{\"aud\":[1]}", "aud" }, { "{\"aud\":[\"a\",[\"b\"]]}", "aud" },
        { "{\"ringcast\":[]}", "object" }, { "{\"ringcast\":null}", "object" }, { "{\"ringcast\":\"{}\"}", "object" },
        { "", "no JSON object" }, { "null", "no JSON object" }, { "[]", "no JSON object" }, { "{}{}", "no JSON object" }, { "{\"exp\":1", "no JSON object" }, { "{\"exp\":01}", "no JSON object" },
        { "{\"exp\":0x7fffffff}", "no JSON object" }, { "{\"exp\":NaN}", "no JSON object" },
        { "{\"x\":[[[[[[[[[[1]]]]]]]]]]}", "deeply" },
    };
    /* clang-format on */
    for (size_t i = 0; i < COUNT_OF(facts); i++) {
        struct jwt_claims claims;
        struct span text = guard_span(span_of_string(facts[i].claims));
        const char *why = jwt_claims_read(text, &claims);
        if (!why != !facts[i].why || (why && !strstr(why, facts[i].why))) fail_msg("%s: %s", facts[i].claims, why ? why : "taken");
        guard_free(text.bytes);
    }
}

static void time_has_edges(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct { const char *claims; double now_s, skew_s; bool fine; } facts[] = {
        { "{}", 0, 0, true }, { "{}", 1e12, 0, true },
        { "{\"exp\":100}", 99.999, 0, true }, { "{\"exp\":100}", 100, 0, false }, { "{\"exp\":100}", 129.999, 30, true }, { "{\"exp\":100}", 130, 30, false },
        { "{\"exp\":100.5}", 100.4, 0, true }, { "{\"exp\":0}", 0, 0, false }, { "{\"exp\":0}", 1, 30, true },
        { "{\"nbf\":100}", 99.999, 0, false }, { "{\"nbf\":100}", 100, 0, true }, { "{\"nbf\":100}", 70, 30, true }, { "{\"nbf\":100}", 69.999, 30, false },
        { "{\"nbf\":100,\"exp\":100}", 100, 0, false }, { "{\"nbf\":200,\"exp\":100}", 150, 0, false }, { "{\"iat\":1e11}", 0, 0, true },
        { "{\"exp\":1e12}", 1763812345, 0, true }, { "{\"exp\":1763812345000}", 1763812345, 0, false },
    };
    /* clang-format on */
    for (size_t i = 0; i < COUNT_OF(facts) - 1; i++) {
        struct jwt_claims claims;
        assert_null(jwt_claims_read(span_of_string(facts[i].claims), &claims));
        if ((jwt_time_fault(&claims, facts[i].now_s, facts[i].skew_s) == NULL) != facts[i].fine) fail_msg("%s at %f", facts[i].claims, facts[i].now_s);
    }
    struct jwt_claims claims;
    assert_non_null(jwt_claims_read(span_of_string(facts[COUNT_OF(facts) - 1].claims), &claims)); /* milliseconds, by mistake */
}

static void audiences_are_found(void **state)
{
    (void)state;
    static const struct {
        const char *claims;
        bool        has;
    } facts[] = {
        { "{\"aud\":\"us\"}", true }, { "{\"aud\":[\"us\"]}", true }, { "{\"aud\":[\"them\",\"u\\u0073\"]}", true }, { "{\"aud\":\"us \"}", false },
        { "{\"aud\":\"US\"}", false }, { "{\"aud\":[]}", false }, { "{\"aud\":\"us\\u0000\"}", false }, { "{}", false }, { "{\"aud\":\"[\\\"us\\\"]\"}", false },
    };
    for (size_t i = 0; i < COUNT_OF(facts); i++) {
        struct jwt_claims claims;
        assert_null(jwt_claims_read(span_of_string(facts[i].claims), &claims));
        if (jwt_audience_has(&claims, "us") != facts[i].has) fail_msg("%s", facts[i].claims);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_is_read),  cmocka_unit_test(headers_are_judged), cmocka_unit_test(a_kid_has_a_bound), cmocka_unit_test(sizes_have_bounds),
        cmocka_unit_test(claims_are_judged),    cmocka_unit_test(time_has_edges),     cmocka_unit_test(audiences_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
