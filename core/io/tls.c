#include "core/io/tls_parts.h"

#include <wolfssl/wolfcrypt/asn.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/base/check.h"
#include "core/io/crypto.h"

bool tls_start(void)
{
    static bool started;
    if (!started) started = tls_memory_start() && wolfSSL_Init() == WOLFSSL_SUCCESS;
    return started;
}

/* ---- what is offered --------------------------------------------------------------------------------------------------- */

#define AES_13    "TLS13-AES128-GCM-SHA256:TLS13-AES256-GCM-SHA384"
#define CHACHA_13 "TLS13-CHACHA20-POLY1305-SHA256"
#define AES_12    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
#define CHACHA_12 "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"

/* Whether the library encrypts AES by the CPU's own instructions. Without them ChaCha20 is three times faster (MEASURED.md, wolfSSL). */
static bool has_fast_aes(void)
{
#if defined(WOLFSSL_AESNI) && defined(__x86_64__)
    return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
#elif defined(WOLFSSL_ARMASM)
    return true;
#else
    return false;
#endif
}

const char *tls_first_cipher(void)
{
    return has_fast_aes() ? "AES-128-GCM" : "ChaCha20-Poly1305";
}

static const char *offer(WOLFSSL_CTX *context)
{
    static const char aes_first[] = AES_13 ":" CHACHA_13 ":" AES_12 ":" CHACHA_12, chacha_first[] = CHACHA_13 ":" AES_13 ":" CHACHA_12 ":" AES_12;
    int groups[] = { WOLFSSL_ECC_X25519, WOLFSSL_ECC_SECP256R1 };
    if (wolfSSL_CTX_SetMinVersion(context, WOLFSSL_TLSV1_2) != WOLFSSL_SUCCESS) return "the library has no TLS 1.2";
    if (wolfSSL_CTX_set_cipher_list(context, has_fast_aes() ? aes_first : chacha_first) != WOLFSSL_SUCCESS) return "the library lacks the ciphers";
    if (wolfSSL_CTX_set_groups(context, groups, 2) != WOLFSSL_SUCCESS) return "the library lacks X25519 or P-256";
    for (int i = 0; i < 2; i++)
        if (wolfSSL_CTX_UseSupportedCurve(context, (word16)groups[i]) != WOLFSSL_SUCCESS) return "the library lacks X25519 or P-256";
    wolfSSL_CTX_set_group_messages(context); /* a flight is one write */
    wolfSSL_CTX_set_session_cache_mode(context, WOLFSSL_SESS_CACHE_OFF); /* tickets alone: no table that all shards would share */
    wolfSSL_CTX_set_TicketEncCb(context, tls_ticket_crypt);
    wolfSSL_CTX_set_TicketHint(context, TLS_TICKETS_TURN_S);
    wolfSSL_CTX_SetIORecv(context, tls_session_receive);
    wolfSSL_CTX_SetIOSend(context, tls_session_send);
    return NULL;
}

/* ---- certificates ------------------------------------------------------------------------------------------------------ */

static void add_name(struct tls_certificate *certificate, const char *name, size_t size)
{
    char *copy = malloc(size + 1);
    certificate->names = realloc(certificate->names, (certificate->names_count + 1) * sizeof *certificate->names);
    CHECK(copy && certificate->names);
    for (size_t i = 0; i < size; i++) copy[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] | 0x20) : name[i];
    copy[size] = '\0';
    certificate->names[certificate->names_count++] = copy;
}

uint64_t tls_end_s_of(const struct DecodedCert *decoded)
{
    const unsigned char *date;
    unsigned char format;
    int size;
    struct tm time;
    if (!decoded->afterDate || wc_GetDateInfo(decoded->afterDate, decoded->afterDateLen, &date, &format, &size)) return 0;
    if (wc_GetDateAsCalendarTime(date, size, format, &time)) return 0;
    time_t seconds = timegm(&time);
    return seconds > 0 ? (uint64_t)seconds + 1 : 0; /* the last second that is named is its own (RFC 5280, 4.1.2.5) */
}

/* The names in the certificate itself; the subject's own only where it has no others (RFC 6125, 6.4.4); and its end. False: it can't be read. */
static bool read_leaf(struct tls_certificate *certificate, struct span pem)
{
    DerBuffer *der = NULL;
    struct DecodedCert decoded;
    if (wc_PemToDer((const unsigned char *)pem.bytes, (long)pem.size, CERT_TYPE, &der, NULL, NULL, NULL)) return false;
    wc_InitDecodedCert(&decoded, der->buffer, der->length, NULL);
    bool read = wc_ParseCert(&decoded, CERT_TYPE, NO_VERIFY, NULL) == 0;
    for (const DNS_entry *entry = read ? decoded.altNames : NULL; entry; entry = entry->next)
        if (entry->type == ASN_DNS_TYPE && entry->len > 0) add_name(certificate, entry->name, (size_t)entry->len);
    if (read && certificate->names_count == 0 && decoded.subjectCN && decoded.subjectCNLen > 0) add_name(certificate, decoded.subjectCN, (size_t)decoded.subjectCNLen);
    if (read) certificate->end_s = tls_end_s_of(&decoded);
    wc_FreeDecodedCert(&decoded);
    wc_FreeDer(&der);
    return read;
}

static const char *load(struct tls_certificate *certificate, const struct tls_pair *pair)
{
    certificate->context = wolfSSL_CTX_new(wolfSSLv23_server_method());
    if (!certificate->context) return "no memory";
    const char *fault = offer(certificate->context);
    if (fault) return fault;
    if (wolfSSL_CTX_use_certificate_chain_buffer(certificate->context, (const unsigned char *)pair->certificate.bytes, (long)pair->certificate.size) != WOLFSSL_SUCCESS)
        return "the certificate can't be read: it must be in PEM, followed by those between it and the authority";
    if (wolfSSL_CTX_use_PrivateKey_buffer(certificate->context, (const unsigned char *)pair->key.bytes, (long)pair->key.size, WOLFSSL_FILETYPE_PEM) != WOLFSSL_SUCCESS)
        return "the key can't be read: it must be in PEM, of RSA, ECDSA or Ed25519, and without a password";
    if (wolfSSL_CTX_check_private_key(certificate->context) != WOLFSSL_SUCCESS) return "the key does not belong to the certificate";
    if (!read_leaf(certificate, pair->certificate)) return "the certificate can't be read";
    return NULL;
}

static const char *ask_clients(struct tls *tls, struct span authorities)
{
    uint8_t digest[SHA256_BYTES];
    if (!crypto_sha256(authorities, digest)) return "no SHA-256: the cryptography library does not work";
    memcpy(&tls->authorities, digest, sizeof tls->authorities);
    tls->authorities += tls->authorities == 0;
    const char *fault = NULL;
    for (uint32_t i = 0; i < tls->certificates_count && !fault; i++) fault = tls_shown_ask(tls->certificates[i].context, authorities);
    return fault;
}

struct tls *tls_make(const struct tls_pair *pairs, uint32_t pairs_count, struct span authorities, uint32_t *at, char *why, size_t why_size)
{
    CHECK(pairs_count > 0 && pairs_count <= TLS_PAIRS_MAX);
    struct tls *tls = calloc(1, sizeof *tls);
    CHECK(tls);
    tls_tickets_turn(&tls->tickets);
    const char *fault = NULL;
    for (*at = 0; *at < pairs_count; (*at)++) {
        fault = load(&tls->certificates[tls->certificates_count++], &pairs[*at]);
        if (fault) break;
    }
    if (!fault && authorities.bytes) fault = ask_clients(tls, authorities);
    if (!fault) return tls;
    snprintf(why, why_size, "%s", fault);
    tls_free(tls);
    return NULL;
}

void tls_free(struct tls *tls)
{
    if (!tls) return;
    for (uint32_t i = 0; i < tls->certificates_count; i++) {
        struct tls_certificate *certificate = &tls->certificates[i];
        for (uint32_t n = 0; n < certificate->names_count; n++) free(certificate->names[n]);
        free(certificate->names);
        wolfSSL_CTX_free(certificate->context); /* sessions that began by it have a hold on it of their own */
    }
    explicit_bzero(&tls->tickets, sizeof tls->tickets);
    free(tls);
}

struct tls *tls_turn_tickets(const struct tls *tls)
{
    struct tls *next = calloc(1, sizeof *next);
    CHECK(next);
    for (uint32_t i = 0; i < tls->certificates_count; i++) {
        const struct tls_certificate *from = &tls->certificates[i];
        struct tls_certificate *to = &next->certificates[next->certificates_count++];
        for (uint32_t n = 0; n < from->names_count; n++) add_name(to, from->names[n], strlen(from->names[n]));
        to->end_s = from->end_s;
        if (wolfSSL_CTX_up_ref(from->context) == WOLFSSL_SUCCESS) {
            to->context = from->context;
            continue;
        }
        tls_free(next);
        return NULL;
    }
    next->authorities = tls->authorities;
    next->tickets = tls->tickets;
    tls_tickets_turn(&next->tickets);
    return next;
}

void tls_take_tickets(struct tls *tls, const struct tls *before)
{
    if (tls->authorities == before->authorities) tls->tickets = before->tickets;
}

uint64_t tls_authorities(const struct tls *tls)
{
    return tls->authorities;
}

uint32_t tls_pairs_count(const struct tls *tls)
{
    return tls->certificates_count;
}

uint64_t tls_pair_end_s(const struct tls *tls, uint32_t at)
{
    CHECK(at < tls->certificates_count);
    return tls->certificates[at].end_s;
}

/* ---- names ------------------------------------------------------------------------------------------------------------- */

/* `*.example.org` is for one label more, no less (RFC 6125, 6.4.3). */
static bool is_for(const char *own, struct span name)
{
    struct span pattern = span_of_string(own);
    if (pattern.size > 2 && pattern.bytes[0] == '*' && pattern.bytes[1] == '.') {
        const char *dot = span_find(name, '.');
        if (!dot || dot == name.bytes) return false;
        pattern = span_skip(pattern, 1);
        name = span_skip(name, (size_t)(dot - name.bytes));
    }
    if (pattern.size != name.size) return false;
    for (size_t i = 0; i < name.size; i++) {
        char letter = name.bytes[i] >= 'A' && name.bytes[i] <= 'Z' ? (char)(name.bytes[i] | 0x20) : name.bytes[i];
        if (letter != pattern.bytes[i]) return false;
    }
    return true;
}

WOLFSSL_CTX *tls_context_for(const struct tls *tls, struct span name)
{
    for (uint32_t i = 0; name.size > 0 && i < tls->certificates_count; i++)
        for (uint32_t n = 0; n < tls->certificates[i].names_count; n++)
            if (is_for(tls->certificates[i].names[n], name)) return tls->certificates[i].context;
    return tls->certificates[0].context;
}
