/* A connection: its states, what it receives, what it has still to be sent, and how it dies.
 *
 *   HANDSHAKE -----> HTTP -----> OPEN -----> CLOSING -----> LINGER -----> JOINING -----> (free)
 *     \________________\___________\______________________/  ^             ^
 *      \________________\_____ an answer with close _________/             |
 *       \________________\________ the peer left, an error, a deadline ____/
 * It dies by joining: nothing that the kernel may still touch is freed before its last completion. Its shard's thread only. */
#ifndef GATEWAY_CONN_H
#define GATEWAY_CONN_H

#include "core/proto/ws_frame.h"
#include "gateway/shard.h"

enum conn_state {
    CONN_FREE,
    CONN_HANDSHAKE, /* of TLS: conn_tls.h */
    CONN_HTTP,    /* reads requests */
    CONN_OPEN,    /* a WebSocket, or a stream of events */
    CONN_CLOSING, /* our close frame is queued; the client's is awaited until the deadline */
    CONN_LINGER,  /* nothing more will be said: what is queued goes out, then our side is shut, and what comes is thrown away
                     until the peer ends or the deadline, so that the last answer is not lost to a reset (RFC 9112, 9.6) */
    CONN_JOINING, /* no new operations; waits until the kernel holds none, then FREE */
};

enum conn_kind { CONN_KIND_SESSION, CONN_KIND_ECHO, CONN_KIND_STREAM };

enum why_joined { WHY_PEER_LEFT, WHY_DONE, WHY_RECV_FAILED, WHY_SEND_FAILED, WHY_DEADLINE, WHY_TOO_SLOW, WHY_SILENT, WHY_ENDED, WHY_SHED };

#define NO_BUFFER UINT16_MAX

struct conn {
    struct subscriber subscriber; /* first: the engine knows connections as these; blocked: its socket was full, a poll for room
                                     is under way and nothing is sent */
    uint32_t          file;       /* slot in the ring's table */
    struct timer      timer;
    struct text       out;        /* the rest of a frame that was cut (carry), then control bytes: replies, pongs, gaps, close */
    uint64_t          weight;     /* memory that it holds: memory.h */
    uint32_t          out_sent;   /* of it */
    uint32_t          pong_at;    /* where the pong stands that ends `out`, so that a newer one takes its place; NO_PONG */
    union {
        struct ring_peer peer;    /* while OP_PEER is under way */
        struct {
            struct address address;  /* whose connection it is: the peer's, or whom a trusted proxy speaks for; see conn_address() */
            struct rate    requests; /* limits.requests-per-second */
        };
    };
    uint32_t          counted;    /* where it is counted at its address, POOL_NONE; by admission.h alone */
    uint32_t          excess;     /* requests beyond limits.requests-per-second since it last kept to it */
    uint32_t          generation; /* of this place in the pool, for tokens */
    uint8_t           state;      /* enum conn_state; changed by conn_set_state() alone */
    uint8_t           kind;       /* enum conn_kind, from OPEN on */
    uint16_t          ops;        /* operations that the kernel holds: a bit for each enum operation */
    bool              deflates;   /* a WebSocket: permessage-deflate was negotiated */
    bool              asked;      /* its first request was read whole */
    bool              proxy;      /* its peer is one of proxies.trusted */
    bool              greets;     /* it may begin with the header of the PROXY protocol */
    bool              paused;     /* its replies wait for room: nothing of it is consumed until they went out */
    bool              stalled;    /* a link to another shard was full: its requests wait for room */
    bool              hears;      /* a subscribe waits, or has waited, until this shard was told what the homes of its topics had told others */
    bool              behind;     /* and one of them had no room to tell all: it is to be asked again */
    bool              settles;    /* a request waits until all that was asked for the connection is answered */
    bool              listed;     /* stands in the shard's input or starved list */
    bool              ping_sent;  /* a ping went out since something was received */
    bool              moved;      /* a stream: it was sent updates since its position was told */
    bool              shut;       /* our side was shut down */
    uint8_t           refusal;    /* a limit was reached when it came, which it is told after its handshake: enum limit, from 1 */
    bool              end_later;  /* LINGER: our close frame failed the connection, and its end is to follow it at a distance (conn_fail()) */
    bool              end_at_rest; /* LINGER: the peer has ended too (both close frames were exchanged, or its end came), so that it ends when the last byte is out */
    uint16_t          buffer;     /* the receive buffer it holds, NO_BUFFER */
    uint16_t          origin;     /* an HTTP request's: its place in the setting `origins`, from 1; 0: it does not stand there */
    uint16_t          asks;       /* under way to other shards for it */
    uint16_t          awaits;     /* of those: topics that a subscribe needs before it can be served */
    uint32_t          input_at, input_size; /* bytes of that buffer, or of `held`, not yet consumed: [at, size) */
    uint32_t          list_next;  /* in the list it stands in */
    uint32_t          heartbeat_ms;
    uint64_t          received_ms; /* when bytes came last */
    union {
        uint64_t      message_ms;  /* OPEN: when a message was sent last (pings don't count) */
        uint64_t      linger_until_ms; /* LINGER: so long it is heard out while it goes on sending */
    };
    uint64_t          blocked_ms;  /* since when its socket takes nothing */
    uint64_t          again_ms;    /* when a full socket that can't be polled is tried again; 0: it is polled */
    uint64_t          stalled_ms; /* since when a request of it finds links full; 0: it does not */
    union {
        uint64_t      deadline_ms; /* in states that have one: HTTP, CLOSING, LINGER */
        uint64_t      position_ms; /* OPEN, a stream: when its position was told last */
    };
    char             *held;        /* owned copy of input that waits while paused, so that it holds no receive buffer; or NULL */
    struct conn_tls  *tls;         /* from its first record on, where it speaks TLS; or NULL: it is plain */
    struct ws_reader *reader;      /* of an incomplete frame or message; or NULL */
    struct http_exchange *exchange; /* of an incomplete request; or NULL */
    struct credential *credential; /* owned: what it showed that was right (access.h), in HTTP with the current request; or NULL */
    union {
        uint64_t      auth_due_ms; /* OPEN: when it is closed unless it shows another; 0: never */
        uint64_t      discarded_ms; /* CLOSING, LINGER: what was thrown away of it lasts until then, at a buffer a millisecond */
    };
};
#define NO_PONG UINT32_MAX

/* Replies that wait for room beyond this pause a connection's receiving. */
#define CONN_OUT_MAX (16u * 1024u)

static inline struct conn *conn_at(const struct shard *shard, uint32_t index)
{
    return pool_at(&shard->conns, index);
}

static inline uint32_t conn_index(const struct shard *shard, const struct conn *conn)
{
    return pool_index(&shard->conns, conn);
}

static inline size_t conn_out_waiting(const struct conn *conn)
{
    return conn->out.size - conn->out_sent;
}

/* A connection was accepted in this slot; secure: by the listener for TLS; peer: who it is, or NULL: to be asked. */
void conn_accepted(struct shard *shard, uint32_t file, bool secure, const struct ring_peer *peer);
/* Whose it is; NULL: not known yet. */
const struct address *conn_address(const struct conn *conn);

/* All that waits to be sent, sealed or not. */
size_t conn_unsent(const struct conn *conn);

/* Completions. */
void conn_on_peer(struct shard *shard, struct conn *conn, const struct completion *completion);
void conn_on_recv(struct shard *shard, struct conn *conn, const struct completion *completion);
void conn_on_room(struct shard *shard, struct conn *conn, const struct completion *completion); /* or an error, which shows in the next send */
void conn_on_close(struct shard *shard, struct conn *conn, const struct completion *completion);
void conn_on_over(struct shard *shard, struct conn *conn, enum operation operation);
/* Its timer fired. */
void conn_on_timer(struct shard *shard, struct conn *conn);

/* Consumes some of the input of those who have any, until it weighs weight_max; returns its weight: bytes, where they are not very few at a time. */
size_t conns_consume(struct shard *shard, size_t weight_max);
/* Receive buffers are free again: arms as many of those who found none. */
void conns_rearm(struct shard *shard);

/* States. */
void conn_set_state(struct conn *conn, enum conn_state next);
void conn_open(struct shard *shard, struct conn *conn, enum conn_kind kind); /* HTTP -> OPEN, after the head of the answer is queued */
void conn_close(struct shard *shard, struct conn *conn, uint16_t code, const char *reason); /* queues a close frame */
void conn_fail(struct shard *shard, struct conn *conn, uint16_t code, const char *reason); /* the same for a broken stream of frames */
void conn_closed_by_peer(struct shard *shard, struct conn *conn, uint16_t code);  /* its close frame came */
void conn_linger(struct shard *shard, struct conn *conn); /* nothing more will be queued */
void conn_join(struct shard *shard, struct conn *conn, enum why_joined why);
void conn_deadline(struct shard *shard, struct conn *conn, uint64_t after_ms);

/* Queues bytes to be sent before any update. */
void conn_add(struct shard *shard, struct conn *conn, struct span bytes);
/* Queues a message, as its format has it: a text frame, an event, nothing at all for those who read payloads alone. It counts as a
 * sign of life to the client. */
void conn_add_message(struct shard *shard, struct conn *conn, struct span text);
/* Any frame. */
void conn_add_frame(struct shard *shard, struct conn *conn, enum ws_opcode opcode, struct span payload);
void conn_add_pong(struct shard *shard, struct conn *conn, struct span payload);

/* So many bytes of `out` were taken: they are gone, at once or when they are the most of it. */
void conn_out_taken(struct conn *conn, size_t bytes);
/* A flush is over with it: all that was queued and staged was taken, or the socket is full. */
void conn_on_sent(struct shard *shard, struct conn *conn);
void conn_on_full(struct shard *shard, struct conn *conn, bool progress);

#endif
