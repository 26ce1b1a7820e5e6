/* What the files of TLS (tls.c, tls_ticket.c, tls_session.c, tls_shown.c) share. */
#ifndef CORE_IO_TLS_PARTS_H
#define CORE_IO_TLS_PARTS_H

/* clang-format off */
#include <wolfssl/options.h>
/* clang-format on */
#include <wolfssl/ssl.h>

#include "core/io/tls.h"

#if !defined(HAVE_SNI) || !defined(HAVE_ALPN) || !defined(HAVE_SESSION_TICKET) || !defined(WOLFSSL_TLS13) || !defined(HAVE_AESGCM) || !defined(HAVE_CHACHA) || !defined(HAVE_POLY1305)
#error "this wolfSSL lacks something of: TLS 1.3, SNI, ALPN, session tickets, AES-GCM, ChaCha20-Poly1305"
#endif

#define TLS_TICKET_NAME_BYTES 8
#define TLS_TICKET_KEY_BYTES  32

/* Keys that tickets are sealed by: the newest first. */
struct tls_tickets {
    uint8_t  names[2][TLS_TICKET_NAME_BYTES];
    uint8_t  keys[2][TLS_TICKET_KEY_BYTES];
    uint32_t count;
};

struct tls_certificate {
    WOLFSSL_CTX *context;
    char       **names; /* DNS names that it is for, in lower case; perhaps with * as the first label */
    uint32_t     names_count;
    uint64_t     end_s; /* tls_end_s_of() its leaf */
};

struct tls {
    struct tls_tickets     tickets;
    uint64_t               authorities; /* the first bytes of their text's SHA-256; 0: none */
    uint32_t               certificates_count;
    struct tls_certificate certificates[TLS_PAIRS_MAX];
};

/* A fresh key becomes the newest. */
void tls_tickets_turn(struct tls_tickets *tickets);
/* Seals and opens tickets: the library's callback. */
int tls_ticket_crypt(WOLFSSL *ssl, unsigned char *name, unsigned char *iv, unsigned char *mac, int seal, unsigned char *ticket, int ticket_bytes, int *out_bytes, void *context);

/* The context of the certificate that is for this name; of the first one where none is. */
WOLFSSL_CTX *tls_context_for(const struct tls *tls, struct span name);

/* The first second after a certificate's time, since the Unix epoch; 0: it can't be read. */
struct DecodedCert;
uint64_t tls_end_s_of(const struct DecodedCert *decoded);

/* tls_shown.c: clients of this context are asked for a certificate by one of these authorities. NULL, or what is wrong with them. */
const char *tls_shown_ask(WOLFSSL_CTX *context, struct span authorities);

/* tls_memory.c: of the thread. The arena, for as long as the thread lives; while records of at least `record_bytes` are sealed they lie in it,
 * from `used` on. tls_memory_record(): where a record that the library tells of lies there. */
bool   tls_memory_start(void);
void   tls_memory_arena(char *arena, size_t bytes);
void   tls_memory_begin(size_t used, size_t record_bytes);
char  *tls_memory_record(const char *bytes, size_t size);
size_t tls_memory_end(void);

/* The library's callbacks; their context is the session. */
int tls_session_receive(WOLFSSL *ssl, char *bytes, int size, void *context);
int tls_session_send(WOLFSSL *ssl, char *bytes, int size, void *context);

#endif
