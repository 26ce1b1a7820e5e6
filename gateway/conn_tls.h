/* A connection over TLS, as the gateway sees it: its handshake, and what stands between its socket and the readers and writers of
 * plaintext. A connection without `tls` is plain, and nothing here concerns it.
 *
 *   comes   receive buffer (or `held`) -> a record's plaintext, in the shard's scratch, and what is not served at once in conn->held
 *   goes    gateway/fanout_tls.c seals into the flush's arena; what the socket does not take, session.unsent holds
 * Until its turn to shake hands comes, what it sent waits in conn->held: receive buffers are few, and a storm of handshakes must not
 * hold up those who are in. Its shard's thread only. */
#ifndef GATEWAY_CONN_TLS_H
#define GATEWAY_CONN_TLS_H

#include "core/io/tls_session.h"
#include "gateway/conn.h"

struct conn_tls {
    struct tls_session session;
    char              *held;           /* owned copy of ciphertext that waits, so that it holds no receive buffer; or NULL */
    uint32_t           in_at, in_size; /* ciphertext of the receive buffer, or of `held`, not yet opened: [at, size) */
    bool               told;           /* that it has ended or broken */
};

/* In CONN_HANDSHAKE: bytes came. */
void conn_tls_came(struct shard *shard, struct conn *conn, struct span bytes);
/* Once a turn: as many handshakes go on as limits.handshakes-per-turn allows; the others wait, first come first. */
void conns_shake(struct shard *shard);

/* From CONN_HTTP on: the next plaintext becomes the connection's input. False: there is none now, or it is over. */
bool conn_tls_read(struct shard *shard, struct conn *conn);
/* A turn at it is over: plaintext not yet served moves out of the shard's scratch; with `away`, ciphertext out of its receive buffer
 * too. An empty buffer is given back. */
void conn_tls_put_away(struct shard *shard, struct conn *conn, bool away);
/* Ciphertext, or plaintext in the library's hands, is not yet opened. */
static inline bool conn_tls_waits(const struct conn *conn)
{
    return conn->tls && (conn->tls->in_at < conn->tls->in_size || tls_session_holds(&conn->tls->session));
}

/* Its end came without close_notify: what it sent may have been cut by somebody else (RFC 8446, 6.1). */
void conn_tls_cut(struct shard *shard, const struct conn *conn);
/* It broke, by the peer's fault or for want of memory: what was queued can't be said any more, the alert goes out. */
void conn_tls_broke(struct shard *shard, struct conn *conn);
/* It broke when something was to be sealed, and nobody has seen to that yet. */
static inline bool conn_tls_is_lost(const struct conn *conn)
{
    return conn->tls && conn->tls->session.state == TLS_BROKEN && !conn->tls->told;
}
/* All was said: close_notify. False: it was said before, or can't be. */
bool conn_tls_goodbye(struct shard *shard, struct conn *conn);
void conn_tls_free(struct shard *shard, struct conn *conn);
size_t conn_tls_weight(const struct conn *conn);
/* Its peer may have it answer more than it takes: key updates. */
bool conn_tls_must_wait(const struct conn *conn);

#endif
