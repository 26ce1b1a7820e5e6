/* One TLS connection, in memory: ciphertext in, plaintext out, and the other way round. It knows no socket.
 *
 *   SHAKING ---> OPEN ---> ENDED      the peer has said close_notify: nothing more comes, and we may still send
 *        \________\_____> BROKEN      it broke the protocol, or we did: an alert is among what is unsent, nothing more goes or comes
 * What the library writes on its own account (handshake, alerts, answers to key updates, close_notify) and what a socket did not take is
 * `unsent`, in order: it goes out before whatever is sealed next. One thread at a time. */
#ifndef CORE_IO_TLS_SESSION_H
#define CORE_IO_TLS_SESSION_H

#include "core/io/tls.h"

#define TLS_RECORD_BYTES_MAX 16384u /* of plaintext (RFC 8446, 5.1) */

/* What is sealed in one go at most, and the ciphertext that this may come to: two records, or many where the peer asked for small ones
 * (RFC 6066, 4: 512 bytes at least). */
#define TLS_SEAL_BYTES_MAX   (2u * TLS_RECORD_BYTES_MAX)
#define TLS_SEALED_BYTES_MAX (TLS_SEAL_BYTES_MAX + (TLS_SEAL_BYTES_MAX / 512u + 4u) * 64u)

enum tls_state { TLS_SHAKING, TLS_OPEN, TLS_ENDED, TLS_BROKEN };

/* The certificate that the client showed, and whose key it has. */
#define TLS_SHOWN_NAME_BYTES_MAX 255
struct tls_shown {
    uint64_t authorities; /* tls_authorities() of those whom it was verified by */
    uint64_t end_us;      /* its time is over then, by the wall clock */
    uint8_t  name_bytes;
    char     name[TLS_SHOWN_NAME_BYTES_MAX]; /* its common name, or the first DNS name where it has none; any bytes */
};

struct tls_session {
    struct WOLFSSL   *ssl;
    const struct tls *tls; /* the version in force, while a call shakes hands */
    struct span       in;  /* what a call brought and the library has not taken yet */
    struct span      *records; /* where a call tells which records it sealed, `records_count` runs of them; NULL: they go to unsent */
    uint32_t          records_count;
    /*  0 .... unsent_at ......... unsent_bytes
     *   taken         ciphertext that no socket has taken, of exactly this size */
    char             *unsent;
    uint32_t          unsent_at, unsent_bytes;
    uint32_t          answers_bytes; /* written on the library's own account since all was sent last */
    uint32_t          awaited_bytes; /* of a record that has not come whole: the library holds room for it */
    uint64_t          authorities;   /* of the version that it began by */
    struct tls_shown *shown;         /* noted in the handshake, owned; or NULL: see tls_session_shown() */
    int               error;         /* the library's, where BROKEN */
    uint8_t           state;         /* enum tls_state */
    bool              closed;        /* our close_notify, or an alert, was written */
    bool              resumed;
    bool              refused; /* a certificate that it showed was not right */
};

/* Whether the first record of a connection is here, so that the name which it asks for can be read.
 *   returns 1: it is; 0: more must come; -1: this is no TLS */
int tls_hello_look(struct span bytes);

/* hello: begins with the first record, whole; only looked at. False: no memory. */
bool tls_session_init(struct tls_session *session, const struct tls *tls, struct span hello);
void tls_session_deinit(struct tls_session *session);

/* Shakes hands. *in is moved over what was taken; what comes behind the handshake stays. Returns the state: SHAKING: more must come. */
enum tls_state tls_session_shake(struct tls_session *session, const struct tls *tls, struct span *in);

/* NULL: no certificate was shown by its own handshake; nor is one known of who came back by a ticket. Borrowed. */
const struct tls_shown *tls_session_shown(const struct tls_session *session);

/* Opens records, as many as there are and fit. *in is moved over what was taken: all of it, but where the room is full.
 *   returns  bytes of plaintext; 0: more must come, or the state says that nothing will */
size_t tls_session_open(struct tls_session *session, struct span *in, char *plain, size_t room);
/* Plaintext that the library holds because there was no room for it. */
bool tls_session_holds(const struct tls_session *session);

/* By the thread that seals, before it does: where sealed records lie until the thread seals over them. */
void tls_session_arena(char *arena, size_t bytes);
/* Seals one record into the arena, from `*used` on, which is moved behind it; TLS_SEALED_BYTES_MAX must be free there for all that is sealed for one
 * session in one go. Appends where it lies to records[*count], of which there may be TLS_RUNS_MAX, each a run of one record or several.
 *   plain    at most TLS_RECORD_BYTES_MAX; it may lie anywhere but in the arena
 *   returns  false: it is broken */
bool tls_session_seal(struct tls_session *session, const char *plain, size_t size, size_t *used, struct span *records, uint32_t *count);
#define TLS_RUNS_MAX 8u

/* Writes close_notify, once. */
void tls_session_close(struct tls_session *session);

static inline struct span tls_session_unsent(const struct tls_session *session)
{
    if (!session->unsent) return SPAN_NONE;
    return span_of(session->unsent + session->unsent_at, session->unsent_bytes - session->unsent_at);
}
/* A socket took so many bytes of it. */
void tls_session_taken(struct tls_session *session, size_t bytes);
/* A socket did not take these, which come behind it: they are kept. */
void tls_session_keep(struct tls_session *session, struct span bytes);

/* Memory that it holds beyond what it holds at rest. */
size_t tls_session_weight(const struct tls_session *session);
/* What broke it, in words. */
const char *tls_session_why(const struct tls_session *session);

#endif
