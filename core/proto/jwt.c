#include "core/proto/jwt.h"

#include "core/proto/base64.h"

enum { DEPTH_MAX = 8, NAMES_BYTES_MAX = 4096 };
#define TIME_MOST_S 1e12 /* the year 33658: what is beyond is no time, but a mistake of unit or an attack */

bool jwt_has_form(struct span text)
{
    uint32_t dots = 0;
    for (size_t i = 0; i < text.size && dots <= 2; i++) dots += text.bytes[i] == '.';
    return dots == 2;
}

/* ---- objects in which each name stands once -------------------------------------------------------------------------- */

/* The names met so far, unescaped: escaped in two ways they would else pass for two. */
struct names {
    uint32_t    count;
    size_t      size;
    struct span list[JWT_MEMBERS_MAX];
    char        room[NAMES_BYTES_MAX];
};

/* NULL, or what is wrong with this further name. */
static const char *add_name(struct names *names, const struct json_value *key)
{
    if (names->count == JWT_MEMBERS_MAX) return "the token has too many members";
    long size = json_string_unescape(key, names->room + names->size, sizeof names->room - names->size);
    if (size < 0) return "the token has a name that is too long or no text";
    struct span name = span_of(names->room + names->size, (size_t)size);
    for (uint32_t i = 0; i < names->count; i++)
        if (span_equals(names->list[i], name)) return "the token has a name twice";
    names->list[names->count++] = name;
    names->size += (size_t)size;
    return NULL;
}

static bool is_blank(struct span text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.bytes[i] != ' ' && text.bytes[i] != '\t' && text.bytes[i] != '\r' && text.bytes[i] != '\n') return false;
    return true;
}

/* Each member of an object that fills the text: NULL, or what is wrong, found here or by `take`. */
static const char *read_object(struct span text, void *into, const char *(*take)(void *into, const struct json_value *key, const struct json_value *value))
{
    struct json_reader reader;
    struct json_value key, value;
    struct names names = { .count = 0 };
    if (!json_object_begin(&reader, text, DEPTH_MAX)) return "a part of the token is no JSON object";
    while (json_object_next(&reader, &key, &value)) {
        const char *why = add_name(&names, &key);
        if (!why) why = take(into, &key, &value);
        if (why) return why;
    }
    if (reader.verdict == JSON_DEEP) return "the token is nested too deeply";
    if (reader.verdict != JSON_OK || !is_blank(span_skip(text, reader.at))) return "a part of the token is no JSON object";
    return NULL;
}

/* ---- the header ------------------------------------------------------------------------------------------------------ */

struct header {
    struct jwt *jwt;
    bool        has_algorithm;
    char       *kid_room;
};

static const char *take_algorithm(struct header *header, const struct json_value *value)
{
    static const char *const words[] = { JWT_ALGORITHM_WORDS };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (value->kind != JSON_STRING || !json_string_is(value, words[i])) continue;
        header->jwt->algorithm = (enum jwt_algorithm)i;
        header->has_algorithm = true;
        return NULL;
    }
    return "the token's alg is none of HS256, RS256, ES256 and EdDSA";
}

static const char *take_kid(struct header *header, const struct json_value *value)
{
    long size = value->kind == JSON_STRING ? json_string_unescape(value, header->kid_room, JWT_KID_BYTES_MAX) : -1;
    if (size < 0) return "the token's kid is no text of at most 128 bytes";
    header->jwt->kid = span_of(header->kid_room, (size_t)size);
    return NULL;
}

static bool is_word(const struct json_value *value, const char *upper, const char *lower)
{
    return value->kind == JSON_STRING && (json_string_is(value, upper) || json_string_is(value, lower));
}

static const char *take_of_header(void *into, const struct json_value *key, const struct json_value *value)
{
    if (json_string_is(key, "alg")) return take_algorithm(into, value);
    if (json_string_is(key, "kid")) return take_kid(into, value);
    if (json_string_is(key, "crit")) return "the token has crit: an extension that must be understood";
    if (json_string_is(key, "b64")) return "the token has b64: its claims may not be encoded";
    if (json_string_is(key, "enc") || json_string_is(key, "zip")) return "the token is encrypted or compressed";
    if (json_string_is(key, "cty") && is_word(value, "JWT", "jwt")) return "the token holds another token";
    return NULL; /* jwk, jku, x5c and the like: keys come from our own files alone */
}

static long decode(struct span part, char **room)
{
    long size = base64url_decode(part, *room);
    if (size >= 0) *room += size;
    return size;
}

const char *jwt_read(struct span token, char room[JWT_ROOM_BYTES], struct jwt *jwt)
{
    if (token.size > JWT_BYTES_MAX) return "the token is longer than 8192 bytes";
    if (!jwt_has_form(token)) return "the token has not three parts";
    const char *end = token.bytes + token.size;
    const char *first = span_find(token, '.'), *second = span_find(span_of(first + 1, (size_t)(end - first - 1)), '.');
    char *header_at = room, *at = room;
    long header_bytes = decode(span_of(token.bytes, (size_t)(first - token.bytes)), &at);
    char *claims_at = at;
    long claims_bytes = decode(span_of(first + 1, (size_t)(second - first - 1)), &at);
    char *signature_at = at;
    long signature_bytes = decode(span_of(second + 1, (size_t)(end - second - 1)), &at);
    if (header_bytes < 0 || claims_bytes < 0 || signature_bytes < 0) return "a part of the token is no base64url";
    *jwt = (struct jwt){
        .signed_text = span_of(token.bytes, (size_t)(second - token.bytes)),
        .kid = SPAN_NONE,
        .claims = span_of(claims_at, (size_t)claims_bytes),
        .signature = span_of(signature_at, (size_t)signature_bytes),
    };
    struct header header = { .jwt = jwt, .kid_room = at };
    const char *why = read_object(span_of(header_at, (size_t)header_bytes), &header, take_of_header);
    if (!why && !header.has_algorithm) why = "the token has no alg";
    return why;
}

/* ---- claims ---------------------------------------------------------------------------------------------------------- */

static const char *take_time(const struct json_value *value, bool *has, double *seconds)
{
    *has = value->kind == JSON_NUMBER && json_double(value, seconds) && *seconds >= 0 && *seconds <= TIME_MOST_S;
    return *has ? NULL : "exp, nbf and iat must be times: seconds since 1970";
}

static const char *take_string(const struct json_value *value, struct json_value *into)
{
    *into = *value;
    return value->kind == JSON_STRING ? NULL : "iss and jti must be strings";
}

static const char *take_audience(const struct json_value *value, struct json_value *into)
{
    struct json_value element;
    bool right = value->kind == JSON_STRING || value->kind == JSON_ARRAY;
    if (value->kind == JSON_ARRAY)
        for (size_t at = 0; json_array_next(value->text, &at, &element);) right &= element.kind == JSON_STRING;
    *into = *value;
    return right ? NULL : "aud must be a string or an array of strings";
}

static const char *take_claim(void *into, const struct json_value *key, const struct json_value *value)
{
    struct jwt_claims *claims = into;
    bool has_issued;
    double issued_s;
    if (json_string_is(key, "exp")) return take_time(value, &claims->has_expires, &claims->expires_s);
    if (json_string_is(key, "nbf")) return take_time(value, &claims->has_not_before, &claims->not_before_s);
    if (json_string_is(key, "iat")) return take_time(value, &has_issued, &issued_s);
    if (json_string_is(key, "iss")) return take_string(value, &claims->issuer);
    if (json_string_is(key, "jti")) return take_string(value, &claims->id);
    if (json_string_is(key, "aud")) return take_audience(value, &claims->audience);
    if (!json_string_is(key, "ringcast")) return NULL;
    claims->rights = *value;
    return value->kind == JSON_OBJECT ? NULL : "the claim ringcast must be an object";
}

const char *jwt_claims_read(struct span text, struct jwt_claims *claims)
{
    *claims = (struct jwt_claims){ .has_expires = false };
    return read_object(text, claims, take_claim);
}

const char *jwt_time_fault(const struct jwt_claims *claims, double now_s, double skew_s)
{
    if (claims->has_expires && now_s >= claims->expires_s + skew_s) return "the token has expired";
    if (claims->has_not_before && now_s < claims->not_before_s - skew_s) return "the token is not valid yet";
    return NULL;
}

bool jwt_audience_has(const struct jwt_claims *claims, const char *audience)
{
    struct json_value element;
    if (!claims->audience.text.bytes) return false;
    if (claims->audience.kind == JSON_STRING) return json_string_is(&claims->audience, audience);
    for (size_t at = 0; json_array_next(claims->audience.text, &at, &element);)
        if (json_string_is(&element, audience)) return true;
    return false;
}
