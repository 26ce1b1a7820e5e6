/* Cryptography as the gateway needs it, by wolfCrypt: digests, keys that verify, comparing without telling where. With TLS the only
 * place that knows the library. Any thread: nothing is shared and nothing is kept, but for what the library itself guards. */
#ifndef CORE_IO_CRYPTO_H
#define CORE_IO_CRYPTO_H

#include "core/base/span.h"

#define SHA256_BYTES 32

/* Before any other thread verifies: some builds of the library guard caches of their own, and make that guard here. By the main thread,
 * any number of times. False: the library does not work. */
bool crypto_start(void);
/* Which build of the library is linked, for people: "wolfSSL 5.5.4-2+deb12u3 with AES instructions". */
const char *crypto_library(void);
/* By each thread that verified, at its end: gives back what the library keeps for it (Debian's 1.6 MB for the first key on P-256). */
void crypto_thread_end(void);

/* False only where the library fails, which has then no digest for anybody. */
bool crypto_sha256(struct span bytes, uint8_t digest[SHA256_BYTES]);
/* HMAC-SHA256 (RFC 2104). */
bool crypto_hmac(struct span secret, struct span bytes, uint8_t mac[SHA256_BYTES]);
/* In a time that depends on the size alone. */
bool crypto_equal(const void *a, const void *b, size_t bytes);

/* The kind of a key says what it verifies; nothing else does. */
enum crypto_kind {
    CRYPTO_HMAC,    /* HMAC-SHA256, a secret of 32 bytes at least (RFC 7518, 3.2) */
    CRYPTO_RSA,     /* RSASSA-PKCS1-v1_5 with SHA-256, 2048 to 4096 bits (RFC 7518, 3.3) */
    CRYPTO_P256,    /* ECDSA on P-256 with SHA-256, signatures as r and s of 32 bytes (RFC 7518, 3.4) */
    CRYPTO_ED25519, /* RFC 8032, 8037 */
};

#define CRYPTO_KEY_BYTES_MAX 512 /* of an RSA modulus of 4096 bits */

/* A key as plain bytes, so that it may be copied and read by all threads at once: the library's own keys may not.
 *   HMAC the secret; RSA the modulus and, in exponent, e; P256 x and y; ED25519 the point */
struct crypto_key {
    enum crypto_kind kind;
    uint16_t         bytes_count, exponent_count;
    uint8_t          bytes[CRYPTO_KEY_BYTES_MAX];
    uint8_t          exponent[8];
};

/* Make a key of its parts: NULL, or a literal that says why it is none: too short, not on its curve. `a` and `b`: the secret and
 * nothing, n and e, x and y, the point and nothing. */
const char *crypto_key_make(struct crypto_key *key, enum crypto_kind kind, struct span a, struct span b);
/* A public key, or a certificate's, in PEM (RFC 7468). */
const char *crypto_key_pem(struct crypto_key *key, struct span pem);
/* The SHA-256 of kind and parts: two keys are the same where it is. */
bool crypto_key_thumbprint(const struct crypto_key *key, uint8_t digest[SHA256_BYTES]);

/* Whether the signature is this key's over the bytes. */
bool crypto_verify(const struct crypto_key *key, struct span bytes, struct span signature);

#endif
