#include "gateway/auth_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/reserve.h"
#include "core/proto/base64.h"

enum { FILE_BYTES_MAX = 64 * 1024 * 1024, DIGEST_DIGITS = 64 };

__attribute__((format(printf, 3, 4))) static bool refuse(char *why, size_t why_size, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, why_size, format, arguments);
    va_end(arguments);
    return false;
}

/* Regular files alone: a reload must not wait for the writer of a pipe. */
bool auth_file_read(const char *path, struct text *text, char *why, size_t why_size)
{
    struct stat status;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) return refuse(why, why_size, "can't be read: %s", strerror(errno));
    bool fine = fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
    ssize_t size = fine ? 1 : -1;
    while (size > 0 && text->size <= FILE_BYTES_MAX) {
        size = read(descriptor, text_reserve(text, 16384), 16384);
        if (size > 0) text->size += (size_t)size;
    }
    int error = errno;
    close(descriptor);
    if (!fine) return refuse(why, why_size, "is no regular file");
    if (size < 0) return refuse(why, why_size, "can't be read: %s", strerror(error));
    return text->size <= FILE_BYTES_MAX || refuse(why, why_size, "is larger than 64M");
}

/* ---- lines ------------------------------------------------------------------------------------------------------------- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* The next line that says something, without the white space around it; comments begin with # in the first column. */
static bool next_line(struct span *rest, uint32_t *number, struct span *line)
{
    while (rest->size > 0) {
        const char *end = span_find(*rest, '\n');
        *line = span_of(rest->bytes, end ? (size_t)(end - rest->bytes) : rest->size);
        *rest = span_skip(*rest, end ? line->size + 1 : line->size);
        ++*number;
        while (line->size > 0 && is_space(line->bytes[line->size - 1])) line->size--;
        while (line->size > 0 && is_space(line->bytes[0])) *line = span_skip(*line, 1);
        if (line->size > 0 && line->bytes[0] != '#') return true;
    }
    return false;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool read_digest(struct span text, uint8_t digest[SHA256_BYTES])
{
    if (text.size != DIGEST_DIGITS) return false;
    for (size_t i = 0; i < SHA256_BYTES; i++) {
        int high = digit_of(text.bytes[2 * i]), low = digit_of(text.bytes[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        digest[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool is_name(struct span text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.bytes[i] <= ' ' || text.bytes[i] >= 0x7f) return false;
    return text.size > 0 && text.size <= AUTH_NAME_BYTES_MAX;
}

/* One line: NULL, or what is wrong. */
static const char *add_line(struct auth *auth, struct span line)
{
    const char *end = line.bytes + line.size, *first = span_find(line, ':');
    const char *second = first ? span_find(span_of(first + 1, (size_t)(end - first - 1)), ':') : NULL;
    uint8_t digest[SHA256_BYTES];
    struct rights rights;
    if (!second) return "a line must be name:sha256:rights (`ringcast token key NAME RIGHTS` makes one)";
    struct span name = span_of(line.bytes, (size_t)(first - line.bytes));
    if (!is_name(name)) return "a name must have 1 to 64 visible characters of ASCII";
    if (!read_digest(span_of(first + 1, (size_t)(second - first - 1)), digest)) return "the second part must be the SHA-256 of the key, as 64 hexadecimal digits";
    const char *why = rights_read_words(&rights, span_of(second + 1, (size_t)(end - second - 1)));
    if (why) return why;
    if (auth->keys_count >= AUTH_KEYS_MAX) why = "there are more than 4096 keys: use tokens";
    else if (!auth_add_key(auth, name, digest, &rights)) why = "the same key stands above, or is auth.publish-key or auth.admin-key";
    rights_free(&rights);
    return why;
}

bool auth_add_keys(struct auth *auth, struct span text, char *why, size_t why_size)
{
    struct span line;
    struct text names = { 0 }; /* each with a NUL before and behind it */
    uint32_t number = 0;
    const char *fault = NULL;
    text_add_char(&names, '\0');
    while (!fault && next_line(&text, &number, &line)) {
        fault = add_line(auth, line);
        if (fault) break;
        size_t at = names.size - 1;
        text_add(&names, span_of(line.bytes, (size_t)(span_find(line, ':') - line.bytes)));
        text_add_char(&names, '\0');
        if (memmem(names.bytes, at + 1, names.bytes + at, names.size - at)) fault = "the same name stands above";
    }
    text_free(&names);
    return !fault || refuse(why, why_size, "line %u: %s", number, fault);
}

static int compare_ids(const void *a, const void *b)
{
    return span_compare(*(const struct span *)a, *(const struct span *)b);
}

bool auth_add_revoked(struct auth *auth, struct text *text, char *why, size_t why_size)
{
    struct span rest, line;
    uint32_t number = 0, capacity = 0;
    auth->revoked_text = *text;
    *text = (struct text){ 0 };
    rest = text_span(&auth->revoked_text);
    while (next_line(&rest, &number, &line)) {
        if (line.size > AUTH_ID_BYTES_MAX) return refuse(why, why_size, "line %u: a token's id (jti) has 256 bytes at most", number);
        if (auth->revoked_count == AUTH_REVOKED_MAX) return refuse(why, why_size, "line %u: there are more than 1000000 ids: forget those that have expired", number);
        if (auth->revoked_count == capacity) {
            capacity = capacity ? capacity * 2 : 64;
            auth->revoked = reserve_resize(auth->revoked, capacity * sizeof *auth->revoked);
        }
        auth->revoked[auth->revoked_count++] = line;
    }
    if (auth->revoked_count > 0) qsort(auth->revoked, auth->revoked_count, sizeof *auth->revoked, compare_ids);
    return true;
}

/* ---- JWKS -------------------------------------------------------------------------------------------------------------- */

enum jwk_member { JWK_KTY, JWK_KID, JWK_USE, JWK_ALG, JWK_CRV, JWK_N, JWK_E, JWK_X, JWK_Y, JWK_K, JWK_D, JWK_MEMBERS };

static const char *read_members(struct span object, struct json_value members[JWK_MEMBERS])
{
    static const char *const names[] = { "kty", "kid", "use", "alg", "crv", "n", "e", "x", "y", "k", "d" };
    struct json_value key, value;
    memset(members, 0, JWK_MEMBERS * sizeof *members);
    for (size_t at = 0; json_member_next(object, &at, &key, &value);)
        for (size_t i = 0; i < JWK_MEMBERS; i++) {
            if (!json_string_is(&key, names[i])) continue;
            if (members[i].text.bytes) return "a member stands twice";
            if (value.kind != JSON_STRING) return "its members must be strings";
            members[i] = value;
        }
    return NULL;
}

static bool member_is(const struct json_value *member, const char *word)
{
    return member->text.bytes && json_string_is(member, word);
}

/* What kind of key it is and where its parts stand; false: none that serves here. */
static bool kind_of(const struct json_value members[JWK_MEMBERS], enum crypto_kind *kind, enum jwk_member parts[2])
{
    static const struct {
        const char      *kty, *crv, *alg;
        enum crypto_kind kind;
        enum jwk_member  parts[2];
    } kinds[] = {
        { "RSA", NULL, "RS256", CRYPTO_RSA, { JWK_N, JWK_E } },
        { "EC", "P-256", "ES256", CRYPTO_P256, { JWK_X, JWK_Y } },
        { "OKP", "Ed25519", "EdDSA", CRYPTO_ED25519, { JWK_X, JWK_MEMBERS } },
        { "oct", NULL, "HS256", CRYPTO_HMAC, { JWK_K, JWK_MEMBERS } },
    };
    if (members[JWK_USE].text.bytes && !member_is(&members[JWK_USE], "sig")) return false;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (!member_is(&members[JWK_KTY], kinds[i].kty) || (kinds[i].crv && !member_is(&members[JWK_CRV], kinds[i].crv))) continue;
        if (members[JWK_ALG].text.bytes && !member_is(&members[JWK_ALG], kinds[i].alg)) continue;
        *kind = kinds[i].kind;
        memcpy(parts, kinds[i].parts, sizeof kinds[i].parts);
        return true;
    }
    return false;
}

/* The bytes of a part; false: it is missing or no base64url. */
static bool read_part(const struct json_value *member, char *room, size_t room_bytes, struct span *part)
{
    if (!member->text.bytes || member->escaped) return false;
    struct span text = json_string_inside(member);
    long size = BASE64URL_DECODED_BYTES(text.size) <= room_bytes ? base64url_decode(text, room) : -1;
    *part = span_of(room, size < 0 ? 0 : (size_t)size);
    return size > 0;
}

static bool kid_is_known(const struct auth *auth, struct span kid)
{
    for (uint32_t i = 0; i < auth->token_keys_count; i++)
        if (auth->token_keys[i].has_kid && span_equals(span_of(auth->token_keys[i].kid, auth->token_keys[i].kid_bytes), kid)) return true;
    return false;
}

/* NULL, or what is wrong; *used: it serves. */
static const char *add_jwk(struct auth *auth, const struct json_value *element, bool *used)
{
    struct json_value members[JWK_MEMBERS];
    enum crypto_kind kind;
    enum jwk_member parts[2];
    char first[CRYPTO_KEY_BYTES_MAX + 8], second[CRYPTO_KEY_BYTES_MAX + 8], kid_room[JWT_KID_BYTES_MAX];
    struct span a = SPAN_NONE, b = SPAN_NONE, kid = SPAN_NONE;
    struct crypto_key key;
    *used = false;
    if (element->kind != JSON_OBJECT) return "it must be an object";
    const char *why = read_members(element->text, members);
    if (why || !kind_of(members, &kind, parts)) return why;
    if (members[JWK_D].text.bytes) return "it is a private key, which has no business here";
    if (!read_part(&members[parts[0]], first, sizeof first, &a)) return "a part of it is missing, too long or no base64url";
    if (parts[1] != JWK_MEMBERS && !read_part(&members[parts[1]], second, sizeof second, &b)) return "a part of it is missing, too long or no base64url";
    if (members[JWK_KID].text.bytes) {
        long size = json_string_unescape(&members[JWK_KID], kid_room, sizeof kid_room);
        if (size < 0) return "its kid must be a text of at most 128 bytes";
        kid = span_of(kid_room, (size_t)size);
        if (kid_is_known(auth, kid)) return "its kid stands twice";
    }
    why = crypto_key_make(&key, kind, a, b);
    if (why) return why;
    *used = true;
    return auth_add_token_key(auth, &key, kid.bytes ? &kid : NULL, true) ? NULL : "no digest";
}

/* The array of keys, in a text that is JSON. */
static bool find_keys(struct span object, struct json_value *keys)
{
    struct json_value key, value;
    bool found = false;
    for (size_t at = 0; json_member_next(object, &at, &key, &value);)
        if (json_string_is(&key, "keys")) {
            if (found || value.kind != JSON_ARRAY) return false;
            *keys = value;
            found = true;
        }
    return found;
}

bool auth_add_jwks(struct auth *auth, struct span text, char *why, size_t why_size)
{
    struct json_value whole, keys, element;
    uint32_t number = 0, used_count = 0;
    if (json_validate(text, 16, &whole) != JSON_OK || whole.kind != JSON_OBJECT || !find_keys(whole.text, &keys))
        return refuse(why, why_size, "is no JSON Web Key Set: {\"keys\":[…]}");
    for (size_t at = 0; json_array_next(keys.text, &at, &element);) {
        bool used;
        number++;
        if (used_count == AUTH_JWKS_KEYS_MAX) return refuse(why, why_size, "there are more than 64 keys");
        const char *fault = add_jwk(auth, &element, &used);
        if (fault) return refuse(why, why_size, "key %u: %s", number, fault);
        used_count += used;
    }
    return used_count > 0 || refuse(why, why_size, "no key in it serves: there must be one for RS256, ES256 (P-256), EdDSA (Ed25519) or HS256");
}
