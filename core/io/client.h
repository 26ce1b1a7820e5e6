/* A small WebSocket client, over TCP or TLS, for the tools: tail, the demo feed, replay, the bench publisher. One thread,
 * one connection; it waits in poll where it must, and never longer than it was told. Its buffers are bounded; what the
 * peer sends beyond them is a named failure.
 *
 * The promise: whole messages in, whole messages out, pings answered, and one sentence in `why` when it is over. */
#ifndef CORE_IO_CLIENT_H
#define CORE_IO_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/span.h"
#include "core/io/tls_client.h"

#define CLIENT_MESSAGE_BYTES_MAX (4u << 20)  /* of one message, and of all that was received and not yet taken */
#define CLIENT_OUT_BYTES         (256u << 10) /* encoded and not yet written */
#define CLIENT_HEAD_BYTES_MAX    (16u << 10)  /* of the answer to the handshake */
#define CLIENT_CONNECT_NS        10000000000 /* from the first packet to the 101 */
#define CLIENT_WHY_BYTES         320

#define CLIENT_NEVER INT64_MAX /* a deadline */
#define CLIENT_NOW   0         /* a deadline: do not wait at all */

enum client_result {
    CLIENT_OK = 0,       /* done; of client_receive: a message */
    CLIENT_QUIET = 1,    /* the deadline passed with nothing to tell */
    CLIENT_STOPPED = -1, /* stop_fd became readable */
    CLIENT_GONE = -2,    /* closed or failed: `why` says it, status or close_code where there is one */
};

struct client {
    int      fd;      /* -1: not connected */
    struct tls_client *tls;   /* NULL: not in TLS */
    struct tls_trust  *trust; /* made for the first wss:// URL */
    int      stop_fd; /* -1, or a descriptor that ends all waiting when it becomes readable; borrowed */

    /*  0 ..... in_start ..... in_size ..... in_room
     *   taken        received      room              in_start <= in_size <= in_room <= 2 * CLIENT_MESSAGE_BYTES_MAX */
    char    *in;
    size_t   in_start, in_size, in_room;

    /*  0 ..... out_start ..... out_size ..... CLIENT_OUT_BYTES
     *   written       to write       room */
    char    *out;
    size_t   out_start, out_size;

    char    *parts; /* the fragments of a message that has not ended yet */
    size_t   parts_size, parts_room;
    bool     in_fragments;

    uint64_t random;     /* state of the mask keys' generator, seeded by the kernel for each connection */
    uint16_t status;     /* of the HTTP answer where it was not 101 */
    uint16_t close_code; /* of the peer's close frame; 1005 where it had none; 0: no close frame came */
    char     why[CLIENT_WHY_BYTES];
};

/* A URL taken apart; slices point into the text that was read. */
struct client_url {
    char        host[256]; /* without brackets */
    char        port[6];
    bool        bracketed; /* the host is an IPv6 address */
    bool        secure;    /* wss or https */
    struct span target;    /* path and query; size 0 where the URL has no path */
};

/* Nanoseconds of CLOCK_MONOTONIC: the clock of all deadlines here. */
int64_t client_now_ns(void);

/* Reads `ws://host:port/path?query`, `http://…`, `wss://…`, `https://…` or `host:port…`. False: `why` is a sentence (a literal). */
bool client_url_read(struct span text, struct client_url *url, const char **why);

/* Opens a TCP connection: non-blocking, TCP_NODELAY, close-on-exec. Returns the descriptor, or CLIENT_STOPPED or
 * CLIENT_GONE with a sentence in why[CLIENT_WHY_BYTES]. */
int client_dial(const struct client_url *url, int stop_fd, int64_t deadline_ns, char *why);

/* Shakes hands in TLS over a connection that client_dial() opened, and checks who is there.
 *   tls      out: to be freed before the descriptor is closed; NULL where it failed
 *   returns  CLIENT_OK | CLIENT_STOPPED | CLIENT_GONE with a sentence in why[CLIENT_WHY_BYTES] */
int client_secure(int fd, const struct client_url *url, struct tls_trust *trust, int stop_fd, int64_t deadline_ns,
                  struct tls_client **tls, char *why);

/* Prepares a client that is not connected. */
void client_init(struct client *client, int stop_fd);

/* Connects and shakes hands.
 *   url        ws://host:port/path?query, http://…, wss://…, https://… or host:port
 *   path       used where the URL has none, or only "/"
 *   key        NULL, or sent as `Authorization: Bearer`
 *   returns    CLIENT_OK | CLIENT_STOPPED | CLIENT_GONE; after the latter two it may be tried again */
int client_connect(struct client *client, struct span url, const char *path, const char *key);

/* Encodes one text message into the out buffer; waits for the peer only where the buffer has no room for it. While it
 * waits it goes on receiving, so that two sides that both write can't stand still. Returns CLIENT_OK | CLIENT_STOPPED
 * | CLIENT_GONE. */
int client_send_text(struct client *client, struct span text);

/* Waits until all is written. Returns as above. */
int client_flush(struct client *client);

/* Writes what the socket takes at once. Returns CLIENT_OK | CLIENT_GONE. */
int client_push(struct client *client);

/* Bytes encoded and not yet written. */
static inline size_t client_unsent(const struct client *client)
{
    return client->out_size - client->out_start;
}

/* The next message, text or binary.
 *   message    out: valid until the next call on this client
 *   deadline   absolute, client_now_ns's clock; CLIENT_NOW: takes what is there; CLIENT_NEVER
 *   returns    CLIENT_OK | CLIENT_QUIET | CLIENT_STOPPED | CLIENT_GONE */
int client_receive(struct client *client, struct span *message, int64_t deadline_ns);

/* Says goodbye with 1000 where connected, waits at most a quarter of a second for the answer, closes, frees the
 * buffers. */
void client_close(struct client *client);

#endif
