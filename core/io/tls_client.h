/* TLS on the side of our own tools: over a socket that never blocks, read and written as by recv() and send(). TLS 1.3 or 1.2, the
 * certificate and the name in it always checked.
 *
 * The promise: what is received was said by the one whose name was asked for, and an end that nobody signed is not taken for one. */
#ifndef CORE_IO_TLS_CLIENT_H
#define CORE_IO_TLS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

#define TLS_AUTHORITIES_VARIABLE "SSL_CERT_FILE" /* as OpenSSL and curl know it */

/* Whom one trusts: const once made, for any number of connections at once, which it must outlive. */
struct tls_trust;

/* The authorities of the file that the variable names, else the system's. NULL: a sentence in `why`. */
struct tls_trust *tls_trust_make(char *why, size_t why_bytes);
void tls_trust_free(struct tls_trust *trust); /* or NULL */

/* One connection. One thread at a time. */
struct tls_client;

/* fd: connected, non-blocking; stays the caller's. host: the name or address that the certificate must be for. NULL: no memory. */
struct tls_client *tls_client_make(struct tls_trust *trust, const char *host, int fd);
void tls_client_free(struct tls_client *client); /* or NULL; says nothing to the peer */

enum tls_client_step { TLS_CLIENT_READY, TLS_CLIENT_READS, TLS_CLIENT_WRITES, TLS_CLIENT_FAILED };

/* Goes on with the handshake as far as the socket allows; READS, WRITES: call again when it may be read, or written. */
enum tls_client_step tls_client_shake(struct tls_client *client);

/* As recv(MSG_DONTWAIT): bytes; 0: the peer said that it ends; -1 with errno: EAGAIN, ECONNRESET: the stream ended without that word,
 * EPROTO: it is broken, tls_client_why() says how. */
ssize_t tls_client_receive(struct tls_client *client, void *bytes, size_t room);
/* Bytes that were taken from the socket and not yet received: no poll tells of them. */
bool tls_client_holds(const struct tls_client *client);
/* As send(MSG_DONTWAIT | MSG_NOSIGNAL); after -1 with EAGAIN the same bytes come first the next time. */
ssize_t tls_client_send(struct tls_client *client, const void *bytes, size_t size);
/* Says close_notify, if the socket has room for it. */
void tls_client_end(struct tls_client *client);

/* What failed, in words; "" where nothing did. */
const char *tls_client_why(const struct tls_client *client);
/* "TLSv1.3" and "TLS_AES_128_GCM_SHA256", of a handshake that is over. */
const char *tls_client_version(const struct tls_client *client);
const char *tls_client_cipher(const struct tls_client *client);

/* A stream that may be in TLS or not (NULL). */
static inline ssize_t stream_receive(int fd, struct tls_client *tls, void *bytes, size_t room)
{
    return tls ? tls_client_receive(tls, bytes, room) : recv(fd, bytes, room, MSG_DONTWAIT);
}

static inline ssize_t stream_send(int fd, struct tls_client *tls, const void *bytes, size_t size)
{
    return tls ? tls_client_send(tls, bytes, size) : send(fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

#endif
