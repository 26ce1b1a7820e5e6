/* A crowd of WebSocket connections in one thread: connected fast, read by epoll, each message handed to the owner.
 * They answer pings, and give a sign of life before the gateway has to ask.
 *
 * A connection costs this side 80 bytes and, while a frame is cut, the bytes of that frame; in TLS what the library holds. */
#ifndef BENCH_SUBSCRIBERS_H
#define BENCH_SUBSCRIBERS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/span.h"
#include "core/io/tls_client.h"

#define SUBSCRIBER_FRAME_BYTES_MAX (256u << 10)
#define SUBSCRIBERS_SILENT_NS      20000000000 /* between two signs of life of one connection */

enum subscriber_state {
    SUBSCRIBER_NONE,       /* not begun */
    SUBSCRIBER_CONNECTING,
    SUBSCRIBER_SECURING,   /* connected, and shakes hands in TLS */
    SUBSCRIBER_SHAKING,    /* the request is sent, its answer is awaited */
    SUBSCRIBER_OPEN,
    SUBSCRIBER_ENDED,
};

struct subscriber {
    int      fd;
    uint8_t  state;
    struct tls_client *tls; /* NULL: not in TLS */
    bool     stalled;      /* open, but not read */
    uint16_t close_code;   /* of the gateway's close frame */
    char    *carry;        /* the beginning of a frame, or of the handshake's answer */
    uint32_t carry_size, carry_room;
    uint64_t bytes;        /* received after the handshake */
    uint64_t received;     /* in this life, the handshake's answer among them */
    uint64_t cut_at;       /* of those, after how many it is cut; 0: it is not */
    uint64_t piece_left;   /* with on_piece: bytes of the frame's payload that have not come yet */
};

struct subscribers {
    struct subscriber *all;
    uint32_t           count, opened, ended;
    int                poll;   /* an epoll; the owner may add descriptors of his own, data.u64 SUBSCRIBERS_FOREIGN */
    bool               foreign; /* the last turn saw one of those */
    char              *buffer; /* one for all reads */
    uint32_t           pong_next;
    int64_t            pong_ns; /* when */
    char               accept[28];
    struct tls_trust  *trust;  /* of wss */
    bool               deflate; /* the owner's: offer permessage-deflate, and take nothing less */
    struct inflated   *inflated; /* then; messages are handed out inflated */
    char               why[320]; /* of the first that failed or was closed */

    /* The owner's: writes path and query for a connection; takes a text message (borrowed, unmasked, whole). */
    void *owner;
    void (*write_target)(void *owner, uint32_t index, char *out, size_t room);
    void (*on_text)(void *owner, uint32_t index, struct span text, int64_t at_ns);
    /* Instead of on_text, where it is set: payloads of text and binary frames of any size, cut wherever the network cut them. */
    void (*on_piece)(void *owner, uint32_t index, struct span piece, int64_t at_ns);
    /* One has shaken hands; NULL: nobody wants to know. */
    void (*on_open)(void *owner, uint32_t index);
    /* Exactly cut_at bytes of one were received: it is to be cut now. NULL: none is ever. */
    void (*on_cut_due)(void *owner, uint32_t index);
};
#define SUBSCRIBERS_FOREIGN (1ull << 63)

/* Prepares `count` connections; owner and functions are set by the caller afterwards. 0 or -errno. */
int  subscribers_init(struct subscribers *subscribers, uint32_t count);
void subscribers_deinit(struct subscribers *subscribers);

/* Connects and shakes hands, some at a time. `key` may be NULL. True when all are open; else `why`. What comes behind
 * the handshakes is handed out already. */
bool subscribers_connect(struct subscribers *subscribers, const char *url, const char *key);

/* The same until so many of them are open; the others stay for a later call. */
bool subscribers_connect_some(struct subscribers *subscribers, const char *url, const char *key, uint32_t count);

/* Waits at most this long for something to read, and reads it: one receive for each of some ready connections. */
void subscribers_turn(struct subscribers *subscribers, int64_t wait_ns);

/* Sends the signs of life that are due. Cheap; to be called often. */
void subscribers_live(struct subscribers *subscribers, int64_t at_ns);

/* No longer reads one, or reads it again. */
/* No more events of its socket: whoever sends to it would else pay for telling this process (6 % of a sender's time),
 * which the floor's sender does not. */
void subscribers_unwatch(struct subscribers *self, uint32_t index);
void subscribers_stall(struct subscribers *subscribers, uint32_t index, bool stalled);

/* Reads at most this many bytes of one that is stalled. */
void subscribers_sip(struct subscribers *subscribers, uint32_t index, uint32_t bytes_most);

/* Ends one from our side as a lost line does, without a close frame; what was received of a frame is thrown away. By a reset, or
 * by an end of the stream. It counts neither as open nor as ended until it is begun again, outside of subscribers_turn(). */
void subscribers_cut(struct subscribers *subscribers, uint32_t index, bool reset);
void subscribers_begin_again(struct subscribers *subscribers, uint32_t index);

/* Sends one text message at once; false: the socket does not take all of it. */
bool subscribers_send_text(struct subscribers *subscribers, uint32_t index, struct span text);

#endif
