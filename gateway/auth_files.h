/* The files that the settings auth.* name, read into an auth that is being made. Each: false with what is wrong in `why`, where in the
 * file it stands included. The text is the whole of the file. By the main thread. */
#ifndef GATEWAY_AUTH_FILES_H
#define GATEWAY_AUTH_FILES_H

#include "gateway/auth.h"

#define AUTH_KEYS_MAX 4096      /* each request with a key is compared with all */
#define AUTH_JWKS_KEYS_MAX 64
#define AUTH_REVOKED_MAX 1000000
#define AUTH_ID_BYTES_MAX 256   /* of a token's jti */

bool auth_file_read(const char *path, struct text *text, char *why, size_t why_size);

/* Lines name:sha256:rights; the names tell people which is which, and say what a client's certificate of that name may do. */
bool auth_add_keys(struct auth *auth, struct span text, char *why, size_t why_size);
/* A JSON Web Key Set (RFC 7517). What is for other purposes or algorithms is passed over. */
bool auth_add_jwks(struct auth *auth, struct span text, char *why, size_t why_size);
/* Ids of tokens, one a line; `text` becomes the auth's. */
bool auth_add_revoked(struct auth *auth, struct text *text, char *why, size_t why_size);

/* name: AUTH_NAME_BYTES_MAX at most; SPAN_NONE: it has none. False: the same key is there. */
bool auth_add_key(struct auth *auth, struct span name, const uint8_t digest[SHA256_BYTES], const struct rights *rights);
bool auth_add_token_key(struct auth *auth, const struct crypto_key *key, const struct span *kid, bool listed);

#endif
