/* See tls_client.h. Ciphertext is taken from the socket in large pieces and handed to the library from memory: it would itself ask the
 * kernel twice for each record. */
/* clang-format off */
#include <wolfssl/options.h>
/* clang-format on */
#include <wolfssl/ssl.h>
#include <wolfssl/error-ssl.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/span.h"
#include "core/io/crypto.h"
#include "core/io/tls_client.h"

#define PIECE_BYTES (64u << 10)

struct tls_trust {
    WOLFSSL_CTX *context;
};

struct tls_client {
    WOLFSSL    *ssl;
    int         fd;
    bool        ended; /* the socket has no more */
    struct span in;    /* ciphertext that the library has not taken yet: a part of a call's piece, between calls of `rest` */
    char       *rest;
    char        why[160];
};

/* ---- whom one trusts --------------------------------------------------------------------------------------------- */

static int on_receive(WOLFSSL *ssl, char *bytes, int size, void *context)
{
    struct tls_client *client = context;
    size_t taken = client->in.size < (size_t)size ? client->in.size : (size_t)size;
    if (taken == 0) return client->ended ? WOLFSSL_CBIO_ERR_CONN_CLOSE : WOLFSSL_CBIO_ERR_WANT_READ;
    memcpy(bytes, client->in.bytes, taken);
    client->in = span_skip(client->in, taken);
    return (int)taken;
}

static int on_send(WOLFSSL *ssl, char *bytes, int size, void *context)
{
    const struct tls_client *client = context;
    ssize_t sent = send(client->fd, bytes, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) return (int)sent;
    if (errno == EAGAIN || errno == EINTR) return WOLFSSL_CBIO_ERR_WANT_WRITE;
    return errno == ECONNRESET || errno == EPIPE ? WOLFSSL_CBIO_ERR_CONN_RST : WOLFSSL_CBIO_ERR_GENERAL;
}

static struct tls_trust *trust_make(char *why, size_t why_bytes)
{
    struct tls_trust *trust = calloc(1, sizeof *trust);
    if (!trust || !crypto_start() || wolfSSL_Init() != WOLFSSL_SUCCESS || !(trust->context = wolfSSL_CTX_new(wolfSSLv23_client_method())) ||
        wolfSSL_CTX_SetMinVersion(trust->context, WOLFSSL_TLSV1_2) != WOLFSSL_SUCCESS) {
        snprintf(why, why_bytes, "the TLS library does not work");
        tls_trust_free(trust);
        return NULL;
    }
    wolfSSL_CTX_SetIORecv(trust->context, on_receive);
    wolfSSL_CTX_SetIOSend(trust->context, on_send);
    wolfSSL_CTX_set_session_cache_mode(trust->context, WOLFSSL_SESS_CACHE_OFF);
    return trust;
}

struct tls_trust *tls_trust_make(char *why, size_t why_bytes)
{
    static const char *const systems[] = { "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem" };
    struct tls_trust *trust = trust_make(why, why_bytes);
    const char *named = getenv(TLS_AUTHORITIES_VARIABLE);
    bool found = false;
    if (!trust) return NULL;
    wolfSSL_CTX_set_verify(trust->context, WOLFSSL_VERIFY_PEER, NULL);
    if (named && *named) found = wolfSSL_CTX_load_verify_locations(trust->context, named, NULL) == WOLFSSL_SUCCESS;
    /* One of very many that the library can't read is no reason to trust none. */
    for (size_t i = 0; !named && !found && i < sizeof systems / sizeof *systems; i++)
        found = wolfSSL_CTX_load_verify_locations_ex(trust->context, systems[i], NULL, WOLFSSL_LOAD_FLAG_IGNORE_ERR) == WOLFSSL_SUCCESS;
    if (found) return trust;
    snprintf(why, why_bytes, named ? "%s holds no certificate of an authority" : "no authorities are known here: ca-certificates is not installed, and no file is named%s",
             named ? named : "");
    tls_trust_free(trust);
    return NULL;
}

void tls_trust_free(struct tls_trust *trust)
{
    if (trust && trust->context) wolfSSL_CTX_free(trust->context);
    free(trust);
}

/* ---- one connection ---------------------------------------------------------------------------------------------- */

/* Addresses stand in certificates as bytes; the library compares them in this spelling. */
static void spell_host(const char *host, char spelled[256])
{
    unsigned char bytes[16];
    size_t at = 0;
    if (inet_pton(AF_INET6, host, bytes) != 1) {
        snprintf(spelled, 256, "%s", host);
        return;
    }
    for (int i = 0; i < 16; i += 2) at += (size_t)snprintf(spelled + at, 256 - at, "%s%02X%02X", i ? ":" : "", bytes[i], bytes[i + 1]);
}

struct tls_client *tls_client_make(struct tls_trust *trust, const char *host, int fd)
{
    char spelled[256];
    unsigned char address[16];
    struct tls_client *client = calloc(1, sizeof *client);
    if (!client || !(client->ssl = wolfSSL_new(trust->context))) return free(client), NULL;
    client->fd = fd;
    wolfSSL_SetIOReadCtx(client->ssl, client);
    wolfSSL_SetIOWriteCtx(client->ssl, client);
    spell_host(host, spelled);
    bool is_name = inet_pton(AF_INET, host, address) != 1 && !strchr(host, ':');
    bool set = wolfSSL_check_domain_name(client->ssl, spelled) == WOLFSSL_SUCCESS;
    set = set && (!is_name || wolfSSL_UseSNI(client->ssl, WOLFSSL_SNI_HOST_NAME, host, (unsigned short)strlen(host)) == WOLFSSL_SUCCESS);
    set = set && wolfSSL_UseALPN(client->ssl, (char *)"http/1.1", 8, WOLFSSL_ALPN_CONTINUE_ON_MISMATCH) == WOLFSSL_SUCCESS;
    if (set) return client;
    tls_client_free(client);
    return NULL;
}

void tls_client_free(struct tls_client *client)
{
    if (!client) return;
    wolfSSL_free(client->ssl);
    free(client->rest);
    free(client);
}

/* Some ciphertext, where there is some. False: none is there now. */
static bool fill(struct tls_client *client, char *piece)
{
    ssize_t got = recv(client->fd, piece, PIECE_BYTES, MSG_DONTWAIT);
    if (got > 0) client->in = span_of(piece, (size_t)got);
    else if (got == 0 || (errno != EAGAIN && errno != EINTR)) client->ended = true;
    return got > 0 || client->ended;
}

/* What the library did not take of the piece outlives it. False: no memory. */
static bool keep_rest(struct tls_client *client)
{
    char *rest = client->in.size ? malloc(client->in.size) : NULL;
    if (client->in.size && !rest) return false;
    if (rest) memcpy(rest, client->in.bytes, client->in.size);
    free(client->rest);
    client->rest = rest;
    client->in.bytes = rest;
    return true;
}

static void fail(struct tls_client *client, int code)
{
    char words[WOLFSSL_MAX_ERROR_SZ] = "";
    const char *plain = NULL;
    switch (code) {
    case DOMAIN_NAME_MISMATCH: plain = "its certificate is for another name"; break;
    case ASN_NO_SIGNER_E: plain = "its certificate is by an authority that is not trusted here (" TLS_AUTHORITIES_VARIABLE " or --cacert names a file of those that are)"; break;
    case ASN_AFTER_DATE_E: plain = "its certificate has expired"; break;
    case ASN_BEFORE_DATE_E: plain = "its certificate is not valid yet"; break;
    case UNKNOWN_RECORD_TYPE:
    case LENGTH_ERROR:
    case PARSE_ERROR:
    case VERSION_ERROR: plain = "what answers there does not speak TLS 1.2 or 1.3"; break;
    }
    if (!plain && client->ended) plain = "it ended the stream in the middle";
    if (!plain) wolfSSL_ERR_error_string_n((unsigned long)code, words, sizeof words);
    snprintf(client->why, sizeof client->why, "%s", plain ? plain : words);
}

enum tls_client_step tls_client_shake(struct tls_client *client)
{
    static _Thread_local char piece[PIECE_BYTES];
    for (;;) {
        int result = wolfSSL_connect(client->ssl), code = result == WOLFSSL_SUCCESS ? 0 : wolfSSL_get_error(client->ssl, result);
        if (code == 0) return keep_rest(client) ? TLS_CLIENT_READY : TLS_CLIENT_FAILED;
        if (code == WOLFSSL_ERROR_WANT_WRITE) return keep_rest(client) ? TLS_CLIENT_WRITES : TLS_CLIENT_FAILED;
        if (code != WOLFSSL_ERROR_WANT_READ) return fail(client, code), TLS_CLIENT_FAILED;
        if (!fill(client, piece)) return keep_rest(client) ? TLS_CLIENT_READS : TLS_CLIENT_FAILED;
    }
}

ssize_t tls_client_receive(struct tls_client *client, void *bytes, size_t room)
{
    static _Thread_local char piece[PIECE_BYTES];
    size_t done = 0;
    bool filled = false;
    while (done < room) {
        size_t size = room - done < INT_MAX ? room - done : INT_MAX;
        int got = wolfSSL_read(client->ssl, (char *)bytes + done, (int)size);
        if (got > 0) {
            done += (size_t)got;
            continue;
        }
        int code = wolfSSL_get_error(client->ssl, got);
        if (code == WOLFSSL_ERROR_WANT_READ) {
            /* Once a call: who reads much shares the thread with others. */
            if (done || filled || !fill(client, piece)) break;
            filled = true;
            continue;
        }
        if (done || code == WOLFSSL_ERROR_WANT_WRITE) break; /* the end is told by the next call */
        if (code == WOLFSSL_ERROR_ZERO_RETURN) return 0;
        if (client->ended) return errno = ECONNRESET, -1;
        fail(client, code);
        return errno = EPROTO, -1;
    }
    if (!keep_rest(client)) return errno = ENOMEM, -1;
    return done ? (ssize_t)done : (errno = EAGAIN, -1);
}

bool tls_client_holds(const struct tls_client *client) { return client->in.size > 0 || wolfSSL_pending(client->ssl) > 0; }

ssize_t tls_client_send(struct tls_client *client, const void *bytes, size_t size)
{
    int sent = wolfSSL_write(client->ssl, bytes, size < INT_MAX ? (int)size : INT_MAX);
    if (sent > 0) return sent;
    int code = wolfSSL_get_error(client->ssl, sent);
    if (code == WOLFSSL_ERROR_WANT_WRITE || code == WOLFSSL_ERROR_WANT_READ) return errno = EAGAIN, -1;
    fail(client, code);
    return errno = code == SOCKET_ERROR_E ? ECONNRESET : EPROTO, -1;
}

void tls_client_end(struct tls_client *client) { wolfSSL_shutdown(client->ssl); }

const char *tls_client_why(const struct tls_client *client) { return client->why; }
const char *tls_client_version(const struct tls_client *client) { return wolfSSL_get_version(client->ssl); }
const char *tls_client_cipher(const struct tls_client *client) { return wolfSSL_get_cipher_name(client->ssl); }
