/* JSON Web Tokens (RFC 7519) in the compact form (RFC 7515, 7.1), read strictly (RFC 8725): what may be read in two ways is refused.
 *
 *     base64url(header) . base64url(claims) . base64url(signature)
 *
 * This is the codec alone: nothing here is to be believed before the signature was verified with a key whose own kind says which
 * algorithm it is for. Pure; any thread. Nothing is allocated: what is decoded lies in the caller's room. */
#ifndef CORE_PROTO_JWT_H
#define CORE_PROTO_JWT_H

#include "core/proto/json.h"

#define JWT_BYTES_MAX 8192
#define JWT_KID_BYTES_MAX 128
#define JWT_ROOM_BYTES (JWT_BYTES_MAX / 4 * 3 + JWT_KID_BYTES_MAX)
#define JWT_MEMBERS_MAX 64 /* of a header or claims */

enum jwt_algorithm { JWT_HS256, JWT_RS256, JWT_ES256, JWT_EDDSA };
#define JWT_ALGORITHM_WORDS "HS256", "RS256", "ES256", "EdDSA"

struct jwt {
    enum jwt_algorithm algorithm;   /* as the token says: to be compared with the key's, never obeyed */
    struct span        signed_text; /* header and claims as they came; in the token */
    struct span        kid;         /* in room; SPAN_NONE: none */
    struct span        claims;      /* in room; not read yet */
    struct span        signature;   /* in room */
};

/* Whether a text has the form of a token at all: three parts between two dots. Keys of another kind have none. */
bool jwt_has_form(struct span text);

/* NULL, or a literal that says what is wrong. Refused are: more than JWT_BYTES_MAX, anything but three parts in strict base64url, a
 * header that is no JSON object, holds a name twice, `crit`, `enc` or `zip`, another `alg` than the four, or says that it holds a token. */
const char *jwt_read(struct span token, char room[JWT_ROOM_BYTES], struct jwt *jwt);

/* Claims; those that are absent have text.bytes NULL. All slices point into what was read. */
struct jwt_claims {
    bool              has_expires, has_not_before;
    double            expires_s, not_before_s; /* since the Unix epoch; may have fractions */
    struct json_value issuer, id;              /* strings */
    struct json_value audience;                /* a string or an array of strings */
    struct json_value rights;                  /* `ringcast`: an object, not looked into */
};

/* NULL, or a literal: no JSON object, a name twice, a claim of the wrong type, a time that is none. */
const char *jwt_claims_read(struct span text, struct jwt_claims *claims);

/* NULL where now lies in [nbf - skew, exp + skew), else what is wrong. A claim that is absent bounds nothing. */
const char *jwt_time_fault(const struct jwt_claims *claims, double now_s, double skew_s);
/* Whether the audience names this one. */
bool jwt_audience_has(const struct jwt_claims *claims, const char *audience);

#endif
