/* TLS as a server, by wolfSSL: what all connections share. Certificates with their keys, chosen by the name that a client asks for; the
 * keys of session tickets; the authorities of clients' certificates, where those are asked for; what is offered: TLS 1.3 and 1.2, AES-GCM or ChaCha20-Poly1305, X25519 and P-256, nothing older.
 *
 * One version of it is const once made and read by all shards at once. It may be freed while connections live that began by it: they hold
 * what they need. No socket is ever the library's: tls_session.h moves bytes. Sources: RFC 8446, 5246, 6066 (SNI), 7301 (ALPN), 5077; RFC 8446, 4.3.2
 * (certificates of clients). */
#ifndef CORE_IO_TLS_H
#define CORE_IO_TLS_H

#include "core/base/span.h"

#define TLS_PAIRS_MAX      64
#define TLS_TICKETS_TURN_S (6 * 3600) /* how long a ticket key seals; it opens for as long again, and clients are told that tickets are good for so long */

struct tls;

/* A certificate with those between it and the authority, leaf first, and its key, both in PEM. Borrowed while tls is made. */
struct tls_pair {
    struct span certificate, key;
};

/* Before anything else of TLS: some builds of the library make the guards of their own caches here. By the main thread, any number of
 * times. False: the library does not work. */
bool tls_start(void);

/* The first pair serves those who ask for no name that any has. Ticket keys are fresh. By the main thread.
 *   pairs         1 to TLS_PAIRS_MAX
 *   authorities   in PEM: clients are asked for a certificate by one of them, and may have none. SPAN_NONE: nobody is asked
 *   at            out, where it fails: which pair it was, from 0; pairs_count: the authorities
 *   NULL    with a plain sentence in `why` */
struct tls *tls_make(const struct tls_pair *pairs, uint32_t pairs_count, struct span authorities, uint32_t *at, char *why, size_t why_size);
void        tls_free(struct tls *tls); /* or NULL */

/* A next version with the same certificates and a fresh ticket key; tickets by the newest key before are still taken. NULL: no memory. */
struct tls *tls_turn_tickets(const struct tls *tls);
/* `tls`, newly made, takes the ticket keys of the version before, so that its tickets go on; not where clients are asked for certificates by other
 * authorities now, or for the first time: who comes back by a ticket is not asked. */
void tls_take_tickets(struct tls *tls, const struct tls *before);
/* A number that is another when the authorities are; 0: nobody is asked. */
uint64_t tls_authorities(const struct tls *tls);
/* How many pairs it was made of, and the first second after the time of one's certificate (not of those above it), since the Unix epoch; 0: it can't be read. */
uint32_t tls_pairs_count(const struct tls *tls);
uint64_t tls_pair_end_s(const struct tls *tls, uint32_t at);

/* The first cipher that is offered, which tells whether AES runs by instructions of the CPU. A literal. */
const char *tls_first_cipher(void);

#endif
