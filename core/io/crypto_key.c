/* Keys that verify, out of their parts or of PEM. See crypto.h. */
/* clang-format off */
#include <wolfssl/options.h>
/* clang-format on */
#include <stdlib.h>

#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/ed25519.h>
#include <wolfssl/wolfcrypt/error-crypt.h>
#include <wolfssl/wolfcrypt/rsa.h>

#include "core/io/crypto.h"

enum { SECRET_BYTES_MIN = 32, MODULUS_BYTES_MIN = 256, HALF_BYTES = 32, PEM_BYTES_MAX = 64 * 1024 };

static struct span without_zeros(struct span number)
{
    while (number.size > 0 && number.bytes[0] == 0) number = span_skip(number, 1);
    return number;
}

static void set_bytes(struct crypto_key *key, struct span a, struct span b)
{
    span_write(b, span_write(a, (char *)key->bytes));
    key->bytes_count = (uint16_t)(a.size + b.size);
}

static const char *make_rsa(struct crypto_key *key, struct span modulus, struct span exponent)
{
    modulus = without_zeros(modulus), exponent = without_zeros(exponent);
    uint64_t e = 0;
    for (size_t i = 0; i < exponent.size && i < 8; i++) e = e << 8 | (uint8_t)exponent.bytes[i];
    if (modulus.size < MODULUS_BYTES_MIN || (modulus.size == MODULUS_BYTES_MIN && !(modulus.bytes[0] & 0x80))) return "an RSA key must have 2048 bits at least";
    if (modulus.size > CRYPTO_KEY_BYTES_MAX) return "an RSA key may have 4096 bits at most";
    if (exponent.size == 0 || exponent.size > 4 || e < 3 || e % 2 == 0) return "an RSA key's exponent must be odd and from 3 to 2^32";
    if (!(modulus.bytes[modulus.size - 1] & 1)) return "an RSA key's modulus must be odd";
    set_bytes(key, modulus, SPAN_NONE);
    memcpy(key->exponent, exponent.bytes, exponent.size);
    key->exponent_count = (uint16_t)exponent.size;
    return NULL;
}

static const char *make_p256(struct crypto_key *key, struct span x, struct span y)
{
    ecc_key ecc;
    if (x.size != HALF_BYTES || y.size != HALF_BYTES) return "a key on P-256 must have x and y of 32 bytes";
    set_bytes(key, x, y);
    if (wc_ecc_init(&ecc)) return "no memory";
    bool on_curve = wc_ecc_import_unsigned(&ecc, key->bytes, key->bytes + HALF_BYTES, NULL, ECC_SECP256R1) == 0 && wc_ecc_check_key(&ecc) == 0;
    wc_ecc_free(&ecc);
    return on_curve ? NULL : "the key's point is not on P-256";
}

/* Points of small order, in both signs and all encodings that decoders take: with them as key one signature is right for many
 * messages (RFC 8032, 8; "Taming the many EdDSAs", table 5 holds the eight). */
static bool is_small_order(const uint8_t *point)
{
    static const uint8_t small[][32] = {
        { 0 },
        { 1 },
        { 0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05 },
        { 0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a },
    };
    uint8_t y[32];
    memcpy(y, point, sizeof y);
    y[31] &= 0x7f;
    for (size_t i = 0; i < sizeof small / sizeof *small; i++)
        if (memcmp(y, small[i], sizeof y) == 0) return true;
    bool high = y[31] == 0x7f && y[0] >= 0xec; /* p - 1 (order 2), and p and above, which are no canonical numbers */
    for (size_t i = 1; i < 31; i++) high &= y[i] == 0xff;
    return high;
}

static const char *make_ed25519(struct crypto_key *key, struct span point)
{
    ed25519_key ed;
    if (point.size != ED25519_PUB_KEY_SIZE) return "an Ed25519 key must have 32 bytes";
    set_bytes(key, point, SPAN_NONE);
    if (is_small_order(key->bytes)) return "the key's point is of small order: any signature would do";
    if (wc_ed25519_init(&ed)) return "no memory";
    /* The library's own check wants the private half. It finds a signature of zeros wrong, and a point that is none before that. */
    const byte zeros[ED25519_SIG_SIZE] = { 0 };
    int verified = 0;
    bool on_curve = wc_ed25519_import_public(key->bytes, key->bytes_count, &ed) == 0
                    && wc_ed25519_verify_msg(zeros, sizeof zeros, zeros, sizeof zeros, &verified, &ed) == SIG_VERIFY_E;
    wc_ed25519_free(&ed);
    return on_curve ? NULL : "the key's point is not on Ed25519's curve";
}

const char *crypto_key_make(struct crypto_key *key, enum crypto_kind kind, struct span a, struct span b)
{
    *key = (struct crypto_key){ .kind = kind };
    switch (kind) {
    case CRYPTO_HMAC:
        if (a.size < SECRET_BYTES_MIN) return "a secret for HS256 must have 32 bytes at least";
        if (a.size > CRYPTO_KEY_BYTES_MAX) return "a secret for HS256 may have 512 bytes at most";
        set_bytes(key, a, SPAN_NONE);
        return NULL;
    case CRYPTO_RSA: return make_rsa(key, a, b);
    case CRYPTO_P256: return make_p256(key, a, b);
    case CRYPTO_ED25519: return make_ed25519(key, a);
    }
    return "there is no such kind of key";
}

/* ---- PEM -------------------------------------------------------------------------------------------------------------- */

static bool rsa_of_der(struct crypto_key *key, const byte *der, word32 der_bytes, const char **why)
{
    RsaKey rsa;
    byte exponent[16], modulus[2 * CRYPTO_KEY_BYTES_MAX];
    word32 at = 0, exponent_bytes = sizeof exponent, modulus_bytes = sizeof modulus;
    if (wc_InitRsaKey(&rsa, NULL)) return false;
    bool is = wc_RsaPublicKeyDecode(der, &at, &rsa, der_bytes) == 0;
    if (is) {
        bool flat = wc_RsaFlattenPublicKey(&rsa, exponent, &exponent_bytes, modulus, &modulus_bytes) == 0;
        *why = flat ? crypto_key_make(key, CRYPTO_RSA, span_of((char *)modulus, modulus_bytes), span_of((char *)exponent, exponent_bytes)) : "the RSA key can't be read";
    }
    wc_FreeRsaKey(&rsa);
    return is;
}

static bool ecc_of_der(struct crypto_key *key, const byte *der, word32 der_bytes, const char **why)
{
    ecc_key ecc;
    byte x[MAX_ECC_BYTES], y[MAX_ECC_BYTES];
    word32 at = 0, x_bytes = sizeof x, y_bytes = sizeof y;
    if (wc_ecc_init(&ecc)) return false;
    bool is = wc_EccPublicKeyDecode(der, &at, &ecc, der_bytes) == 0;
    if (is && (!ecc.dp || ecc.dp->id != ECC_SECP256R1)) *why = "an EC key must be on P-256 (prime256v1)";
    else if (is) *why = wc_ecc_export_public_raw(&ecc, x, &x_bytes, y, &y_bytes) == 0 ? crypto_key_make(key, CRYPTO_P256, span_of((char *)x, x_bytes), span_of((char *)y, y_bytes)) : "the EC key can't be read";
    wc_ecc_free(&ecc);
    return is;
}

static bool ed25519_of_der(struct crypto_key *key, const byte *der, word32 der_bytes, const char **why)
{
    ed25519_key ed;
    byte point[ED25519_PUB_KEY_SIZE];
    word32 at = 0, point_bytes = sizeof point;
    if (wc_ed25519_init(&ed)) return false;
    bool is = wc_Ed25519PublicKeyDecode(der, &at, &ed, der_bytes) == 0;
    if (is) *why = wc_ed25519_export_public(&ed, point, &point_bytes) == 0 ? crypto_key_make(key, CRYPTO_ED25519, span_of((char *)point, point_bytes), SPAN_NONE) : "the Ed25519 key can't be read";
    wc_ed25519_free(&ed);
    return is;
}

const char *crypto_key_pem(struct crypto_key *key, struct span pem)
{
    const char *why = "neither an RSA key, nor an EC key on P-256, nor an Ed25519 key";
    if (span_find_string(pem, "PRIVATE KEY-----")) return "it holds a private key, which has no business here: give the public one (openssl pkey -pubout)";
    if (span_find_string(pem, "BEGIN CERTIFICATE")) return "it holds a certificate: give its public key (openssl x509 -pubkey -noout)";
    if (!span_find_string(pem, "-----BEGIN PUBLIC KEY-----")) return "it holds no PUBLIC KEY in PEM";
    const char *first = span_find_string(pem, "-----BEGIN");
    if (span_find_string(span_skip(pem, (size_t)(first - pem.bytes) + 10), "-----BEGIN")) return "it holds more than one key: several go into a JWKS file";
    if (pem.size > PEM_BYTES_MAX) return "it is larger than any key";
    byte *der = malloc(pem.size);
    if (!der) return "no memory";
    int size = wc_PubKeyPemToDer((const byte *)pem.bytes, (int)pem.size, der, (int)pem.size);
    if (size <= 0) why = "its PEM is broken";
    else if (!rsa_of_der(key, der, (word32)size, &why) && !ecc_of_der(key, der, (word32)size, &why)) ed25519_of_der(key, der, (word32)size, &why);
    free(der);
    return why;
}

bool crypto_key_thumbprint(const struct crypto_key *key, uint8_t digest[SHA256_BYTES])
{
    uint8_t parts[1 + CRYPTO_KEY_BYTES_MAX + sizeof key->exponent] = { (uint8_t)key->kind };
    memcpy(parts + 1, key->bytes, key->bytes_count);
    memcpy(parts + 1 + key->bytes_count, key->exponent, key->exponent_count);
    return crypto_sha256(span_of((char *)parts, 1u + key->bytes_count + key->exponent_count), digest);
}
