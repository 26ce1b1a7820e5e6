/* Session tickets: sealed by keys that all shards share and that the main thread turns, so that whoever comes back is taken in cheaply by
 * any shard, and what was sealed long ago by none.
 *
 *   name 16 bytes: which key (8), and zeros   iv 16: a fresh nonce (12), zeros   mac 32: Poly1305's tag (16), zeros
 * The name is authenticated with the ticket (RFC 5077, 4; RFC 8439). */
#include "core/io/tls_parts.h"

#include <wolfssl/wolfcrypt/chacha20_poly1305.h>

#include "core/base/random.h"
#include "core/io/tls_session.h"

void tls_tickets_turn(struct tls_tickets *tickets)
{
    memcpy(tickets->names[1], tickets->names[0], sizeof tickets->names[0]);
    memcpy(tickets->keys[1], tickets->keys[0], sizeof tickets->keys[0]);
    random_fill(tickets->names[0], sizeof tickets->names[0]);
    random_fill(tickets->keys[0], sizeof tickets->keys[0]);
    if (tickets->count < 2) tickets->count++;
}

static int seal_ticket(const struct tls_tickets *tickets, unsigned char *name, unsigned char *iv, unsigned char *mac, unsigned char *ticket, int bytes)
{
    memset(name, 0, WOLFSSL_TICKET_NAME_SZ);
    memset(iv, 0, WOLFSSL_TICKET_IV_SZ);
    memset(mac, 0, WOLFSSL_TICKET_MAC_SZ);
    memcpy(name, tickets->names[0], TLS_TICKET_NAME_BYTES);
    random_fill(iv, CHACHA20_POLY1305_AEAD_IV_SIZE);
    int error = wc_ChaCha20Poly1305_Encrypt(tickets->keys[0], iv, name, WOLFSSL_TICKET_NAME_SZ, ticket, (word32)bytes, ticket, mac);
    return error ? WOLFSSL_TICKET_RET_FATAL : WOLFSSL_TICKET_RET_OK;
}

/* By a key that nobody keeps: who showed a certificate shows it again, in full, since a ticket would not tell of it. (To give none at all
 * would break a promise of TLS 1.2, made before the certificate came.) */
static int seal_for_nobody(unsigned char *name, unsigned char *iv, unsigned char *mac, unsigned char *ticket, int bytes)
{
    struct tls_tickets tickets = { .count = 0 };
    tls_tickets_turn(&tickets);
    int result = seal_ticket(&tickets, name, iv, mac, ticket, bytes);
    explicit_bzero(&tickets, sizeof tickets);
    return result;
}

static int open_ticket(const struct tls_tickets *tickets, const unsigned char *name, const unsigned char *iv, const unsigned char *mac, unsigned char *ticket, int bytes)
{
    for (uint32_t i = 0; i < tickets->count; i++) {
        if (memcmp(name, tickets->names[i], TLS_TICKET_NAME_BYTES) != 0) continue;
        if (wc_ChaCha20Poly1305_Decrypt(tickets->keys[i], iv, name, WOLFSSL_TICKET_NAME_SZ, ticket, (word32)bytes, mac, ticket)) return WOLFSSL_TICKET_RET_REJECT;
        return i == 0 ? WOLFSSL_TICKET_RET_OK : WOLFSSL_TICKET_RET_CREATE; /* sealed anew by the newest */
    }
    return WOLFSSL_TICKET_RET_REJECT; /* a full handshake follows */
}

int tls_ticket_crypt(WOLFSSL *ssl, unsigned char *name, unsigned char *iv, unsigned char *mac, int seal, unsigned char *ticket, int ticket_bytes, int *out_bytes, void *context)
{
    const struct tls_session *session = wolfSSL_GetIOReadCtx(ssl);
    const struct tls_tickets *tickets = &session->tls->tickets;
    *out_bytes = ticket_bytes;
    if (seal && session->shown) return seal_for_nobody(name, iv, mac, ticket, ticket_bytes);
    return seal ? seal_ticket(tickets, name, iv, mac, ticket, ticket_bytes) : open_ticket(tickets, name, iv, mac, ticket, ticket_bytes);
}
