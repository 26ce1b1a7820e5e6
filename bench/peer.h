/* A server that `compare` measures: how one of its kind is started, subscribed to and published to. Each speaks its own
 * way to publishers; subscribers are WebSocket connections everywhere. */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/process.h"
#include "core/base/span.h"

#define PEER_REQUEST_BYTES_MAX 4096 /* beyond the payload */

enum peer_dialect {
    PEER_RINGCAST, /* requests as lines of a WebSocket message */
    PEER_WS,       /* each WebSocket message to /pub is an update, which comes as it is to all who are at /sub */
    PEER_NATS,     /* PUB over TCP */
    PEER_BARE,     /* our own bare loop of sends: as PEER_WS */
    PEER_HTTP,     /* POST over a kept connection, some in flight */
};

struct peer_kind {
    const char       *name, *title;
    enum peer_dialect dialect;
    const char       *program;    /* found in PATH */
    const char       *command;    /* or what the shell is to run, @PORT@ in it; NULL: the program */
    const char       *package;    /* Debian's, for who has it not */
    const char       *version_flag;
    const char       *target;     /* of subscribers' handshakes */
    const char       *hello;      /* sent by each subscriber once it is open; NULL: nothing */
    const char       *complaint;  /* stands in an answer to the publisher where something is wrong */
};
extern const struct peer_kind peer_kinds[];
extern const int peer_kinds_count;

struct peer {
    const struct peer_kind *kind;
    char           program[PROCESS_PATH_BYTES];
    char           version[80];
    struct process process;
    uint16_t       port, port_publish; /* the same where it has one only */
    char           dir[64];            /* of its own, in /tmp; "": none */
    char           why[PROCESS_WHY_BYTES + 64]; /* it is missing, or does not start */
};

#define PEER_KEY "compare-publishes-with-this" /* where one asks for a key */

/* Finds one. `gateway` is our own program. False: it is missing, `why` says what to install. */
bool peer_find(struct peer *peer, const struct peer_kind *kind, const char *gateway);

/* Starts it on a CPU; `confs` is the folder of bench/peers. False, with `why`. */
bool peer_start(struct peer *peer, const char *confs, int64_t cpu);
void peer_stop(struct peer *peer);

/* Bytes that the peer puts around a payload inside of a WebSocket message, for the update of this number. */
uint32_t peer_envelope_bytes(const struct peer_kind *kind, uint64_t number, uint32_t message_bytes);

/* Writes a payload `[number,at_us,"xxx"]` such that its WebSocket message has exactly message_bytes; returns its size. */
uint32_t peer_payload_write(const struct peer_kind *kind, uint64_t number, int64_t at_us, uint32_t message_bytes, char *out);

/* Writes what publishes one payload, without a WebSocket frame around it; returns its size. */
uint32_t peer_request_write(const struct peer_kind *kind, struct span payload, char *out);

#endif
