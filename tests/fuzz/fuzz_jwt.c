/* Any bytes as a token, as what stands in one (a line of header, then claims, signed here so that all behind the signature is met), and as
 * the files of keys: an even first byte is the first, the others follow. Nothing unsigned is ever taken, and what is read can be read
 * in one way only. */
#include <stdlib.h>

#include "core/base/check.h"
#include "core/proto/base64.h"
#include "gateway/auth_files.h"
#include "tests/unit/guard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SECRET "0123456789abcdef0123456789abcdef"
#define NOW_US (UINT64_C(1763812345) * 1000000)

static struct auth *auth;

static void begin(void)
{
    struct settings settings;
    char why[1024];
    settings_default(&settings);
    memcpy(settings.jwt_secret, SECRET, sizeof SECRET);
    auth = auth_make(&settings, "", why, sizeof why);
    CHECK(auth);
}

static void check_part(struct span part)
{
    char *bytes = malloc(part.size + 1), *again = malloc(part.size + 4);
    long size = base64url_decode(part, bytes);
    CHECK(size >= 0 && base64url_encode(span_of(bytes, (size_t)size), again) == part.size && memcmp(again, part.bytes, part.size) == 0);
    free(bytes);
    free(again);
}

static void read_token(struct span token)
{
    struct jwt jwt;
    char *room = guard_copy(span_of((char[JWT_ROOM_BYTES]){ 0 }, JWT_ROOM_BYTES));
    const char *why;
    if (!jwt_read(token, room, &jwt)) {
        struct jwt_claims claims;
        struct rights rights = { 0 };
        CHECK(jwt.signed_text.size < token.size && jwt.kid.size <= JWT_KID_BYTES_MAX);
        const char *dot = span_find(token, '.');
        check_part(span_of(token.bytes, (size_t)(dot - token.bytes)));
        check_part(span_of(dot + 1, jwt.signed_text.size - (size_t)(dot + 1 - token.bytes)));
        check_part(span_skip(token, jwt.signed_text.size + 1));
        if (!jwt_claims_read(jwt.claims, &claims)) {
            jwt_audience_has(&claims, "us");
            if (claims.rights.text.bytes) rights_read_claim(&rights, claims.rights.text);
        }
        CHECK(!rights.admin);
        rights_free(&rights);
    }
    struct credential *credential = auth_judge(auth, token, NOW_US, &why);
    uint8_t mac[SHA256_BYTES];
    if (credential) CHECK(crypto_hmac(SPAN_LITERAL(SECRET), jwt.signed_text, mac) && jwt.signature.size == sizeof mac && memcmp(mac, jwt.signature.bytes, sizeof mac) == 0);
    else CHECK(why && *why);
    credential_free(credential);
    guard_free(room);
}

static void read_signed(struct span text)
{
    const char *end = span_find(text, '\n'), *why;
    struct span header = span_of(text.bytes, end ? (size_t)(end - text.bytes) : text.size), claims = end ? span_skip(text, header.size + 1) : SPAN_LITERAL("");
    struct text token = { 0 };
    uint8_t mac[SHA256_BYTES];
    const struct span parts[] = { header, claims, span_of((char *)mac, sizeof mac) };
    for (int i = 0; i < 3; i++) {
        if (i == 2) CHECK(crypto_hmac(SPAN_LITERAL(SECRET), text_span(&token), mac));
        if (i > 0) text_add_char(&token, '.');
        token.size += base64url_encode(parts[i], text_reserve(&token, BASE64URL_ENCODED_BYTES(parts[i].size) + 1));
    }
    struct credential *credential = auth_judge(auth, text_span(&token), NOW_US, &why);
    if (credential) {
        CHECK(credential->kind == CREDENTIAL_TOKEN && !credential->rights.admin && !rights_may_read(&credential->rights, SPAN_LITERAL("$sys.a")));
        CHECK(credential->expires_us > NOW_US - 30 * UINT64_C(1000000)); /* the skew */
        uint64_t expires_us = credential->expires_us;
        CHECK(auth_judge_again(auth, credential) && credential->expires_us == expires_us);
        struct text claim = { 0 };
        struct rights again;
        rights_write_claim(&credential->rights, &claim);
        CHECK(!rights_read_claim(&again, text_span(&claim)));
        CHECK(again.reads_all == credential->rights.reads_all && span_equals(text_span(&again.reads), text_span(&credential->rights.reads)) && again.max_hz == credential->rights.max_hz);
        rights_free(&again);
        text_free(&claim);
    }
    credential_free(credential);
    text_free(&token);
}

static void read_files(struct span file, unsigned which)
{
    char why[512] = "";
    struct auth *made = calloc(1, sizeof *made);
    struct text text = { 0 };
    struct crypto_key key;
    bool fine = true;
    text_add(&text, file);
    if (which == 0) fine = auth_add_keys(made, file, why, sizeof why);
    else if (which == 1) fine = auth_add_jwks(made, file, why, sizeof why);
    else if (which == 2) fine = auth_add_revoked(made, &text, why, sizeof why);
    else crypto_key_pem(&key, file);
    CHECK(fine || *why);
    text_free(&text);
    auth_free(made);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    if (!auth) begin();
    struct span text = guard_span(span_of((const char *)data + 1, size - 1));
    if (data[0] % 2 == 0) read_token(text);
    else if (data[0] / 2 % 2 == 0) read_signed(text);
    else read_files(text, data[0] / 4 % 4);
    guard_free(text.bytes);
    return 0;
}
