#include "gateway/auth.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/reserve.h"
#include "gateway/auth_files.h"

/* ---- keys -------------------------------------------------------------------------------------------------------------- */

bool auth_add_key(struct auth *auth, struct span name, const uint8_t digest[SHA256_BYTES], const struct rights *rights)
{
    if (auth->keys_count % 64 == 0) {
        auth->keys = reserve_resize(auth->keys, (auth->keys_count + 64) * sizeof *auth->keys);
    }
    for (uint32_t i = 0; i < auth->keys_count; i++)
        if (memcmp(auth->keys[i].digest, digest, SHA256_BYTES) == 0) return false;
    struct api_key *key = &auth->keys[auth->keys_count++];
    memcpy(key->digest, digest, SHA256_BYTES);
    key->name_bytes = (uint8_t)name.size;
    span_write(name, key->name);
    rights_copy(&key->rights, rights);
    return true;
}

bool auth_add_token_key(struct auth *auth, const struct crypto_key *key, const struct span *kid, bool listed)
{
    if (auth->token_keys_count % 8 == 0) {
        auth->token_keys = reserve_resize(auth->token_keys, (auth->token_keys_count + 8) * sizeof *auth->token_keys);
    }
    struct token_key *added = &auth->token_keys[auth->token_keys_count];
    *added = (struct token_key){ .key = *key, .listed = listed, .has_kid = kid != NULL };
    if (!crypto_key_thumbprint(key, added->thumbprint)) return false;
    if (kid) {
        span_write(*kid, added->kid);
        added->kid_bytes = (uint8_t)kid->size;
    }
    auth->token_keys_count++;
    return true;
}

static bool add_plain_key(struct auth *auth, const char *name, const char *key, const char *words, char *why, size_t why_size)
{
    uint8_t digest[SHA256_BYTES];
    struct rights rights;
    if (!*key) return true;
    CHECK(!rights_read_words(&rights, span_of_string(words)));
    bool added = crypto_sha256(span_of_string(key), digest) && auth_add_key(auth, SPAN_NONE, digest, &rights);
    rights_free(&rights);
    if (!added) snprintf(why, why_size, "%s is the same key as another, which may do something else: give each a key of its own", name);
    return added;
}

/* What the settings hold, without files. */
static bool add_settings(struct auth *auth, const struct settings *settings, const char *publish_key, char *why, size_t why_size)
{
    struct crypto_key key;
    if (!add_plain_key(auth, "auth.admin-key", settings->admin_key, "admin", why, why_size)) return false;
    bool same = strcmp(publish_key, settings->admin_key) == 0; /* one key for all: it is the admin's */
    if (!same && !add_plain_key(auth, "auth.publish-key", publish_key, "pub=>", why, why_size)) return false;
    if (settings->jwt_secret[0]) {
        const char *fault = crypto_key_make(&key, CRYPTO_HMAC, span_of_string(settings->jwt_secret), SPAN_NONE);
        if (fault || !auth_add_token_key(auth, &key, NULL, false)) {
            snprintf(why, why_size, "auth.jwt-secret: %s (`ringcast token secret` makes one)", fault ? fault : "no digest");
            return false;
        }
        explicit_bzero(&key, sizeof key);
    }
    snprintf(auth->issuer, sizeof auth->issuer, "%s", settings->jwt_issuer);
    snprintf(auth->audience, sizeof auth->audience, "%s", settings->jwt_audience);
    auth->skew_s = (double)settings->jwt_skew_ms / 1000;
    auth->certificates = settings->client_ca[0] && settings->tls_listen[0];
    auth->has_lines = settings->auth_keys[0] != '\0';
    return true;
}

static bool add_pem(struct auth *auth, struct span text, char *why, size_t why_size)
{
    struct crypto_key key;
    const char *fault = crypto_key_pem(&key, text);
    if (!fault && auth_add_token_key(auth, &key, NULL, false)) return true;
    snprintf(why, why_size, "%s", fault ? fault : "no digest");
    return false;
}

/* The files, each beside the setting that names it; what was read of all goes into `seen`. */
static bool add_files(struct auth *auth, const struct settings *settings, struct text *seen, char *why, size_t why_size)
{
    const struct {
        const char *name, *path;
    } files[] = { { "auth.keys", settings->auth_keys }, { "auth.jwt-key", settings->jwt_key }, { "auth.jwks", settings->jwks }, { "auth.revoked", settings->revoked } };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct text text = { 0 };
        char detail[512];
        text_print(seen, "\n%s%s\n", files[i].name, files[i].path[0] ? " is set" : ""); /* an empty file is not none: it takes from certificates what they had */
        if (!files[i].path[0]) continue;
        bool fine = auth_file_read(files[i].path, &text, detail, sizeof detail);
        if (fine) {
            text_add(seen, text_span(&text));
            if (i == 0) fine = auth_add_keys(auth, text_span(&text), detail, sizeof detail);
            else if (i == 1) fine = add_pem(auth, text_span(&text), detail, sizeof detail);
            else if (i == 2) fine = auth_add_jwks(auth, text_span(&text), detail, sizeof detail);
            else fine = auth_add_revoked(auth, &text, detail, sizeof detail);
        }
        text_free(&text);
        if (fine) continue;
        snprintf(why, why_size, "%s, %s: %s", files[i].name, files[i].path, detail);
        return false;
    }
    return true;
}

struct auth *auth_make(const struct settings *settings, const char *publish_key, char *why, size_t why_size)
{
    struct auth *auth = reserve_zeroed(1, sizeof *auth);
    struct text seen = { 0 };
    text_print(&seen, "%s\n%s\n%s\n%s\n%s\n%s\n%llu\n", settings->client_ca[0] ? "certificates" : "", publish_key, settings->admin_key, settings->jwt_secret, settings->jwt_issuer, settings->jwt_audience,
               (unsigned long long)settings->jwt_skew_ms);
    bool works = crypto_start();
    if (!works) snprintf(why, why_size, "the cryptography library does not start");
    bool made = works && add_settings(auth, settings, publish_key, why, why_size) && add_files(auth, settings, &seen, why, why_size);
    bool only_own = publish_key[0] && !settings->publish_key[0] && auth->keys_count == 1 && auth->token_keys_count == 0 && !auth->certificates;
    auth->is_set = made && auth_is_on(auth) && !only_own;
    if (made && settings->auth_required && !auth->is_set) {
        snprintf(why, why_size, "auth.required is set, but no key: nobody could come in; set auth.keys, auth.jwt-secret, auth.jwt-key, auth.jwks or auth.admin-key");
        made = false;
    }
    if (made && !crypto_sha256(text_span(&seen), auth->digest)) {
        snprintf(why, why_size, "no SHA-256: the cryptography library does not work");
        made = false;
    }
    explicit_bzero(seen.bytes, seen.size);
    text_free(&seen);
    if (made) return auth;
    auth_free(auth);
    return NULL;
}

void auth_free(struct auth *auth)
{
    if (!auth) return;
    for (uint32_t i = 0; i < auth->keys_count; i++) rights_free(&auth->keys[i].rights);
    if (auth->token_keys_count > 0) explicit_bzero(auth->token_keys, auth->token_keys_count * sizeof *auth->token_keys);
    free(auth->keys);
    free(auth->token_keys);
    free(auth->revoked);
    text_free(&auth->revoked_text);
    free(auth);
}

bool auth_equals(const struct auth *a, const struct auth *b)
{
    return memcmp(a->digest, b->digest, SHA256_BYTES) == 0;
}

/* ---- credentials ------------------------------------------------------------------------------------------------------- */

void credential_free(struct credential *credential)
{
    if (!credential) return;
    rights_free(&credential->rights);
    text_free(&credential->claims);
    free(credential);
}

static struct credential *make(enum credential_kind kind, const uint8_t key[SHA256_BYTES])
{
    struct credential *credential = reserve_zeroed(1, sizeof *credential);
    credential->kind = kind;
    credential->expires_us = UINT64_MAX;
    memcpy(credential->key, key, SHA256_BYTES);
    return credential;
}

/* All are compared, so that the time does not tell which it was. */
static const struct api_key *find_key(const struct auth *auth, const uint8_t digest[SHA256_BYTES])
{
    const struct api_key *found = NULL;
    for (uint32_t i = 0; i < auth->keys_count; i++)
        if (crypto_equal(auth->keys[i].digest, digest, SHA256_BYTES)) found = &auth->keys[i];
    return found;
}

static bool is_revoked(const struct auth *auth, struct span id)
{
    uint32_t low = 0, high = auth->revoked_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = span_compare(auth->revoked[middle], id);
        if (order == 0) return true;
        if (order < 0) low = middle + 1;
        else high = middle;
    }
    return false;
}

static const char *judge_id(const struct auth *auth, const struct json_value *id)
{
    char room[AUTH_ID_BYTES_MAX];
    if (!id->text.bytes) return NULL;
    long size = json_string_unescape(id, room, sizeof room);
    if (size < 0) return "the token's jti is longer than 256 bytes";
    return is_revoked(auth, span_of(room, (size_t)size)) ? "the token was revoked" : NULL;
}

/* Claims whose signature is right; in_time: now is to lie within their time. NULL, or what is wrong. */
static const char *judge_claims(const struct auth *auth, struct credential *credential, bool in_time, uint64_t wall_us)
{
    struct jwt_claims claims;
    const char *why = jwt_claims_read(text_span(&credential->claims), &claims);
    if (!why && in_time) why = jwt_time_fault(&claims, (double)wall_us / 1e6, auth->skew_s);
    if (!why && auth->issuer[0] && (!claims.issuer.text.bytes || !json_string_is(&claims.issuer, auth->issuer))) why = "the token is not by the issuer that is asked for (iss)";
    /* Who is no audience must refuse a token that has one (RFC 7519, 4.1.3). */
    if (!why && !auth->audience[0] && claims.audience.text.bytes) why = "the token is for an audience (aud), and this gateway has none: see auth.jwt-audience";
    if (!why && auth->audience[0] && !jwt_audience_has(&claims, auth->audience)) why = "the token is not for this audience (aud)";
    if (!why) why = judge_id(auth, &claims.id);
    rights_free(&credential->rights);
    if (!why && claims.rights.text.bytes) why = rights_read_claim(&credential->rights, claims.rights.text);
    if (!why) credential->expires_us = claims.has_expires ? (uint64_t)ceil(claims.expires_s * 1e6) : UINT64_MAX;
    return why;
}

static enum jwt_algorithm algorithm_of(const struct token_key *key)
{
    static const enum jwt_algorithm algorithms[] = { [CRYPTO_HMAC] = JWT_HS256, [CRYPTO_RSA] = JWT_RS256, [CRYPTO_P256] = JWT_ES256, [CRYPTO_ED25519] = JWT_EDDSA };
    return algorithms[key->key.kind];
}

/* Whether a token may be by this key. Without a kid the keys of a set count only where one alone has the algorithm (`rivals` 1), so that
 * a token costs three verifications at most: by the secret, the PEM and one of the set. */
static bool may_sign(const struct token_key *key, const struct jwt *jwt, uint32_t rivals)
{
    if (algorithm_of(key) != jwt->algorithm) return false;
    if (!key->listed) return true;
    if (!jwt->kid.bytes) return rivals == 1;
    return key->has_kid && span_equals(span_of(key->kid, key->kid_bytes), jwt->kid);
}

static const struct token_key *find_signer(const struct auth *auth, const struct jwt *jwt, const char **why)
{
    uint32_t rivals = 0, tried = 0;
    for (uint32_t i = 0; i < auth->token_keys_count; i++) rivals += auth->token_keys[i].listed && algorithm_of(&auth->token_keys[i]) == jwt->algorithm;
    for (uint32_t i = 0; i < auth->token_keys_count; i++) {
        const struct token_key *key = &auth->token_keys[i];
        if (!may_sign(key, jwt, rivals)) continue;
        tried++;
        if (crypto_verify(&key->key, jwt->signed_text, jwt->signature)) return key;
    }
    *why = tried > 0 ? "the token's signature is not right" : "no key of this gateway fits the token (its alg and kid)";
    return NULL;
}

static struct credential *judge_token(const struct auth *auth, struct span token, uint64_t wall_us, const char **why)
{
    char room[JWT_ROOM_BYTES];
    struct jwt jwt;
    *why = jwt_read(token, room, &jwt);
    if (*why) return NULL;
    const struct token_key *key = find_signer(auth, &jwt, why);
    if (!key) return NULL;
    struct credential *credential = make(CREDENTIAL_TOKEN, key->thumbprint);
    text_add(&credential->claims, jwt.claims);
    *why = judge_claims(auth, credential, true, wall_us);
    if (!*why) return credential;
    credential_free(credential);
    return NULL;
}

struct credential *auth_judge(const struct auth *auth, struct span token, uint64_t wall_us, const char **why)
{
    uint8_t digest[SHA256_BYTES];
    *why = "the key or token is not right";
    if (token.size == 0 || !crypto_sha256(token, digest)) return NULL; /* nothing is no key, whatever a file says */
    const struct api_key *key = find_key(auth, digest);
    if (key) {
        struct credential *credential = make(CREDENTIAL_KEY, digest);
        rights_copy(&credential->rights, &key->rights);
        return credential;
    }
    return auth->token_keys_count > 0 && jwt_has_form(token) ? judge_token(auth, token, wall_us, why) : NULL;
}

/* What a certificate of this name may do: its own line says so. Where there are lines and none is its, nothing: a line that is taken away must not widen it. */
static void give_rights(const struct auth *auth, struct credential *credential)
{
    struct span name = text_span(&credential->claims);
    const struct api_key *line = NULL;
    for (uint32_t i = 0; i < auth->keys_count && !line; i++)
        if (auth->keys[i].name_bytes > 0 && span_equals(span_of(auth->keys[i].name, auth->keys[i].name_bytes), name)) line = &auth->keys[i];
    rights_free(&credential->rights);
    if (line) rights_copy(&credential->rights, &line->rights);
    else if (!auth->has_lines) CHECK(!rights_read_words(&credential->rights, SPAN_LITERAL("pub=>")));
}

struct credential *auth_judge_certificate(const struct auth *auth, struct span name, uint64_t authorities, uint64_t end_us, uint64_t wall_us)
{
    static const uint8_t no_key[SHA256_BYTES];
    if (!auth->certificates || end_us <= wall_us) return NULL;
    struct credential *credential = make(CREDENTIAL_CERTIFICATE, no_key);
    credential->authorities = authorities;
    credential->expires_us = end_us;
    text_add(&credential->claims, name);
    give_rights(auth, credential);
    return credential;
}

static bool still_right(const struct auth *auth, struct credential *credential)
{
    if (credential->kind == CREDENTIAL_KEY) {
        const struct api_key *key = find_key(auth, credential->key);
        rights_free(&credential->rights);
        if (key) rights_copy(&credential->rights, &key->rights);
        return key != NULL;
    }
    if (credential->kind == CREDENTIAL_CERTIFICATE) {
        if (auth->certificates) give_rights(auth, credential);
        return auth->certificates;
    }
    for (uint32_t i = 0; i < auth->token_keys_count; i++)
        if (memcmp(auth->token_keys[i].thumbprint, credential->key, SHA256_BYTES) == 0) return judge_claims(auth, credential, false, 0) == NULL;
    return false;
}

void credential_end(struct credential *credential)
{
    rights_free(&credential->rights);
    credential->kind = CREDENTIAL_OVER;
    credential->expires_us = UINT64_MAX;
}

bool auth_judge_again(const struct auth *auth, struct credential *credential)
{
    if (credential->kind == CREDENTIAL_OVER) return false;
    if (still_right(auth, credential)) return true;
    credential_end(credential);
    return false;
}
