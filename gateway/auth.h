/* Who may come in: the keys that the settings name, read from them and from their files, and what each allows.
 *
 *   auth         one version of all keys: made by the main thread, const afterwards, read by all shards; as old as the settings' version
 *   credential   one that was shown and found right: its holder's own
 * API keys are kept as their SHA-256. Tokens are judged by keys from our own files alone, each for the one algorithm of its kind. */
#ifndef GATEWAY_AUTH_H
#define GATEWAY_AUTH_H

#include "core/io/crypto.h"
#include "core/proto/jwt.h"
#include "gateway/rights.h"
#include "gateway/settings.h"

#define AUTH_NAME_BYTES_MAX 64

struct api_key {
    uint8_t       digest[SHA256_BYTES];
    struct rights rights;
    char          name[AUTH_NAME_BYTES_MAX]; /* of its line in auth.keys */
    uint8_t       name_bytes;                /* 0: it has none */
};

/* A key that tokens are signed with. */
struct token_key {
    struct crypto_key key;
    uint8_t           thumbprint[SHA256_BYTES];
    char              kid[JWT_KID_BYTES_MAX];
    uint8_t           kid_bytes;
    bool              listed; /* it comes from a JWKS, where others may have its algorithm too */
    bool              has_kid;
};

struct auth {
    struct api_key   *keys;
    struct token_key *token_keys;
    struct span      *revoked; /* ids of tokens, in byte order; in revoked_text */
    uint32_t          keys_count, token_keys_count, revoked_count;
    struct text       revoked_text;
    char              issuer[256], audience[256]; /* "": none is asked for */
    double            skew_s;
    bool              certificates; /* those of clients count: client-ca is set */
    bool              has_lines; /* auth.keys is set, be it empty: a certificate without a line there has no rights */
    bool              is_set; /* a key was set by somebody: not the demo feed's own alone */
    uint8_t           digest[SHA256_BYTES]; /* of all that it was made from */
};

/* Reads the files. NULL with a plain sentence in `why`: which setting, file and line, what is wrong, what would be right.
 *   publish_key   in place of the setting's */
struct auth *auth_make(const struct settings *settings, const char *publish_key, char *why, size_t why_size);
void         auth_free(struct auth *auth);
/* Made from the same keys and files. */
bool auth_equals(const struct auth *a, const struct auth *b);
/* Whether any key is set, be it the demo feed's own, or authorities of certificates. */
static inline bool auth_is_on(const struct auth *auth)
{
    return auth->keys_count > 0 || auth->token_keys_count > 0 || auth->certificates;
}

enum credential_kind {
    CREDENTIAL_KEY,
    CREDENTIAL_TOKEN,
    CREDENTIAL_CERTIFICATE, /* of the client, shown in the handshake of TLS */
    CREDENTIAL_OVER, /* it was right once: it allows nothing any more */
};

struct credential {
    enum credential_kind kind;
    uint8_t              key[SHA256_BYTES]; /* digest of the API key, or thumbprint of the key that signed the token */
    uint64_t             expires_us;        /* by the wall clock; UINT64_MAX: never */
    uint64_t             authorities;       /* of a certificate: tls_authorities() of those whom it was verified by */
    struct rights        rights;
    struct text          claims;            /* of a token, as they were signed; of a certificate, its name: owned */
};

/* Owned by the caller; NULL: it is not right, and *why, a literal, says why. */
struct credential *auth_judge(const struct auth *auth, struct span token, uint64_t wall_us, const char **why);
/* The same for a certificate that was verified. Its rights are those of the line of its name in auth.keys, and none where there is no such line;
 * without auth.keys it may publish everywhere. NULL: its time is over, or none counts.
 *   end_us   of its time, by the wall clock */
struct credential *auth_judge_certificate(const struct auth *auth, struct span name, uint64_t authorities, uint64_t end_us, uint64_t wall_us);
/* The same for one that was right by another version: its rights may be others now. False: it is over. Its time is not looked at. */
bool auth_judge_again(const struct auth *auth, struct credential *credential);
/* It is not right any more. */
void credential_end(struct credential *credential);
void credential_free(struct credential *credential); /* or NULL */

#endif
