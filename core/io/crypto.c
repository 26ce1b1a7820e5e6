/* clang-format off */
#include <wolfssl/options.h>
/* clang-format on */
#include <wolfssl/version.h>
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/ed25519.h>
#include <wolfssl/wolfcrypt/hash.h>
#include <wolfssl/wolfcrypt/hmac.h>
#include <wolfssl/wolfcrypt/rsa.h>
#include <wolfssl/wolfcrypt/sha256.h>
#include <wolfssl/wolfcrypt/wc_port.h>

#include "core/io/crypto.h"
#include "core/io/tls_parts.h"

static const byte *bytes_of(struct span span)
{
    return (const byte *)(span.bytes ? span.bytes : "");
}

bool crypto_start(void)
{
    static bool started;
    /* Hashes take memory too: where it is short, a right key may not be a wrong one. */
    if (!started) started = tls_memory_start() && wolfCrypt_Init() == 0;
    return started;
}

#ifndef RINGCAST_TLS_NAME
#define RINGCAST_TLS_NAME "of an unknown build"
#endif

const char *crypto_library(void)
{
#if defined(WOLFSSL_AESNI) || defined(WOLFSSL_ARMASM)
    return "wolfSSL " LIBWOLFSSL_VERSION_STRING " (" RINGCAST_TLS_NAME "), with the CPU's instructions for AES";
#else
    return "wolfSSL " LIBWOLFSSL_VERSION_STRING " (" RINGCAST_TLS_NAME "), without the CPU's instructions for AES";
#endif
}

void crypto_thread_end(void)
{
#ifdef FP_ECC
    wc_ecc_fp_free();
#endif
}

bool crypto_sha256(struct span bytes, uint8_t digest[SHA256_BYTES])
{
    return wc_Sha256Hash(bytes_of(bytes), (word32)bytes.size, digest) == 0;
}

bool crypto_hmac(struct span secret, struct span bytes, uint8_t mac[SHA256_BYTES])
{
    Hmac hmac;
    if (wc_HmacInit(&hmac, NULL, INVALID_DEVID)) return false;
    bool made = wc_HmacSetKey(&hmac, WC_SHA256, bytes_of(secret), (word32)secret.size) == 0 && wc_HmacUpdate(&hmac, bytes_of(bytes), (word32)bytes.size) == 0
                && wc_HmacFinal(&hmac, mac) == 0;
    wc_HmacFree(&hmac);
    return made;
}

bool crypto_equal(const void *a, const void *b, size_t bytes)
{
    const volatile uint8_t *left = a, *right = b;
    uint8_t differs = 0;
    for (size_t i = 0; i < bytes; i++) differs |= left[i] ^ right[i];
    return differs == 0;
}

static bool verify_hmac(const struct crypto_key *key, struct span bytes, struct span signature)
{
    uint8_t mac[SHA256_BYTES];
    return signature.size == sizeof mac && crypto_hmac(span_of((const char *)key->bytes, key->bytes_count), bytes, mac) && crypto_equal(mac, signature.bytes, sizeof mac);
}

/* What was signed is made here and compared as a whole: nothing of the padding is parsed. */
static bool verify_rsa(const struct crypto_key *key, struct span bytes, struct span signature)
{
    byte digest[SHA256_BYTES], wanted[SHA256_BYTES + 64], signed_bytes[CRYPTO_KEY_BYTES_MAX];
    RsaKey rsa;
    if (signature.size != key->bytes_count || !crypto_sha256(bytes, digest)) return false;
    word32 wanted_bytes = wc_EncodeSignature(wanted, digest, sizeof digest, wc_HashGetOID(WC_HASH_TYPE_SHA256));
    if (wanted_bytes == 0 || wc_InitRsaKey(&rsa, NULL)) return false;
    bool right = wc_RsaPublicKeyDecodeRaw(key->bytes, key->bytes_count, key->exponent, key->exponent_count, &rsa) == 0;
    if (right) {
        int size = wc_RsaSSL_Verify(bytes_of(signature), (word32)signature.size, signed_bytes, sizeof signed_bytes, &rsa);
        right = size >= 0 && (word32)size == wanted_bytes && crypto_equal(signed_bytes, wanted, wanted_bytes);
    }
    wc_FreeRsaKey(&rsa);
    return right;
}

enum { HALF_BYTES = 32, PAIR_BYTES = 64 }; /* of a point or a signature on P-256 */

static bool verify_p256(const struct crypto_key *key, struct span bytes, struct span signature)
{
    byte digest[SHA256_BYTES], der[PAIR_BYTES + 16], point[PAIR_BYTES]; /* the library wants one that it might write to */
    word32 der_bytes = sizeof der;
    const byte *r = bytes_of(signature), *s = r + HALF_BYTES;
    int verified = 0;
    ecc_key ecc;
    if (signature.size != PAIR_BYTES || !crypto_sha256(bytes, digest) || wc_ecc_init(&ecc)) return false;
    memcpy(point, key->bytes, sizeof point);
    if (wc_ecc_rs_raw_to_sig(r, HALF_BYTES, s, HALF_BYTES, der, &der_bytes) == 0
        && wc_ecc_import_unsigned(&ecc, point, point + HALF_BYTES, NULL, ECC_SECP256R1) == 0
        && wc_ecc_verify_hash(der, der_bytes, digest, sizeof digest, &verified, &ecc) != 0)
        verified = 0;
    wc_ecc_free(&ecc);
    return verified == 1;
}

static bool verify_ed25519(const struct crypto_key *key, struct span bytes, struct span signature)
{
    int verified = 0;
    ed25519_key ed;
    if (signature.size != ED25519_SIG_SIZE || wc_ed25519_init(&ed)) return false;
    if (wc_ed25519_import_public(key->bytes, key->bytes_count, &ed) == 0
        && wc_ed25519_verify_msg(bytes_of(signature), (word32)signature.size, bytes_of(bytes), (word32)bytes.size, &verified, &ed) != 0)
        verified = 0;
    wc_ed25519_free(&ed);
    return verified == 1;
}

bool crypto_verify(const struct crypto_key *key, struct span bytes, struct span signature)
{
    switch (key->kind) {
    case CRYPTO_HMAC: return verify_hmac(key, bytes, signature);
    case CRYPTO_RSA: return verify_rsa(key, bytes, signature);
    case CRYPTO_P256: return verify_p256(key, bytes, signature);
    case CRYPTO_ED25519: return verify_ed25519(key, bytes, signature);
    }
    return false;
}
