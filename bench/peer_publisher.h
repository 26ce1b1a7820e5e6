/* The one publisher of a contest, in whatever way its peer takes updates. It writes what the socket takes and never waits once it runs. */
#ifndef BENCH_PEER_PUBLISHER_H
#define BENCH_PEER_PUBLISHER_H

#include "bench/peer.h"
#include "core/io/client.h"

struct peer_publisher {
    const struct peer *peer;
    uint32_t      message_bytes; /* of the WebSocket message that a subscriber gets */
    struct client client;        /* of the dialects that publish by WebSocket; else only its socket is used */
    int64_t       wall_us;       /* added to the monotonic clock */
    uint64_t      published;     /* the number of the last one; they are counted from 1 */
    uint64_t      answered;      /* POSTs */
    char         *out;
    uint32_t      out_start, out_size;
    char          tail[16];      /* of the answers: what may be the beginning of a word that is looked for */
    uint32_t      tail_size;
    char          why[CLIENT_WHY_BYTES + 32];
};

/* Connects. 0, or -1 with `why`. */
int  peer_publisher_begin(struct peer_publisher *publisher, const struct peer *peer, uint32_t message_bytes);
void peer_publisher_end(struct peer_publisher *publisher);

/* Publishes up to `count` updates, the first due at due_ns, each further one step_ns later; stops where the socket is full. How
 * many are written or on their way, or -1 with `why`. */
int64_t peer_publisher_publish(struct peer_publisher *publisher, uint64_t count, double due_ns, double step_ns);

/* Takes what the peer answers. 0, or -1 with `why`: it has closed, or complains. */
int peer_publisher_listen(struct peer_publisher *publisher);

#endif
