/* One shard's io_uring: operations are staged, one enter hands them to the kernel, completions come back with their tokens.
 *
 * SINGLE_ISSUER, DEFER_TASKRUN, SUBMIT_ALL (Linux 6.1). Sockets are direct descriptors: slots of the ring's own table, not
 * counted against the process's open files. Its shard's thread only. Source: io_uring_setup(2), io_uring_enter(2). */
#ifndef CORE_IO_RING_H
#define CORE_IO_RING_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/counters.h"
#include "core/io/token.h"
#include "core/proto/address.h"

struct completion {
    uint64_t token;
    int32_t  result; /* a count, or -errno */
    uint32_t flags;  /* IORING_CQE_F_MORE, and the buffer of a receive: see completion_buffer() */
};

/* A peer's address as the kernel writes it; it must stay where it is until the operation is over. */
struct ring_peer {
    char bytes[24]; /* struct sockaddr_in, or what matters of sockaddr_in6 */
};

struct ring_settings {
    uint32_t entries;       /* of the submission queue; a batch of sends and what else a turn stages fit in it */
    uint32_t completions;   /* of the completion queue */
    uint32_t files_max;     /* slots for sockets; at most RLIMIT_NOFILE */
};

struct ring {
    struct io_uring    uring;
    struct counters   *counters;
    struct completion *aside; /* those met while a batch settled, in order, for the next turn */
    uint32_t           aside_first, aside_count, aside_max;
    uint32_t           files_max;
    bool               tells_peers; /* ring_peer() works here: Linux 6.7 */
#ifdef RINGCAST_FAULTS
    uint32_t           struck;  /* entries before this one were looked at */
    bool               strikes; /* ring_faults_begin() was called */
#endif
};

/* 0 or -errno; *why then names the cause in a plain sentence (a literal): an old kernel, kernel.io_uring_disabled, a seccomp
 * profile, too few files or memory. */
int  ring_init(struct ring *ring, const struct ring_settings *settings, struct counters *counters, const char **why);
void ring_deinit(struct ring *ring);
/* From now on accepts find only the first `files` slots; those in use beyond stay. Source: io_uring_register_file_alloc_range(3), Linux 6.0. */
void ring_limit_files(struct ring *ring, uint32_t files);

/* Stages. Each is in the kernel's hands from the next submit on, and may be earlier where the queue is full. */
void ring_accept(struct ring *ring, int listener, uint64_t token);             /* multishot: results are files */
void ring_accept_one(struct ring *ring, int listener, struct ring_peer *peer, uint32_t *size, uint64_t token); /* one, and who it is */
/* Who a file's peer is (the socket option SO_PEERNAME, by a socket command). Where ring->tells_peers.  family: the listener's */
void ring_peer(struct ring *ring, uint32_t file, int family, struct ring_peer *peer, uint64_t token);
void ring_recv(struct ring *ring, uint32_t file, uint16_t group, uint64_t token); /* once, into a provided buffer */
void ring_poll_room(struct ring *ring, uint32_t file, uint64_t token);         /* once: there is room, an error, or the peer ended its side (the kernel always adds that); the result tells */
void ring_read(struct ring *ring, int descriptor, void *bytes, uint32_t size, uint64_t token);
void ring_cancel(struct ring *ring, uint64_t target, uint64_t token);          /* the target completes too, if it was still there */
void ring_shutdown(struct ring *ring, uint32_t file, uint64_t token);          /* of the sending side */
void ring_close(struct ring *ring, uint32_t file, uint64_t token);

/* Posts a completion with `token` to another shard's ring, so that it wakes (io_uring_prep_msg_ring(3)). In silence where it
 * could, else `failed` completes here. */
void ring_message(struct ring *ring, const struct ring *other, uint64_t token, uint64_t failed);

/* An entry to fill in, for the batch. Never NULL: submits first where the queue is full. */
struct io_uring_sqe *ring_sqe(struct ring *ring);

/* Hands over all that is staged and runs what the kernel deferred for us, without waiting. */
void ring_submit(struct ring *ring);
/* The same, and sleeps until there is a completion or timeout_ms passed (-1: no limit). */
void ring_wait(struct ring *ring, int64_t timeout_ms);

/* The next completion: those set aside first. False: there is none. */
bool ring_next(struct ring *ring, struct completion *completion);
/* The next completion in the queue itself, past those set aside: for settling. */
bool ring_next_fresh(struct ring *ring, struct completion *completion);
/* Sets one aside, behind the others. */
void ring_set_aside(struct ring *ring, struct completion completion);

/* What was written there; all zero where it is of no Internet family. */
struct address ring_peer_address(const struct ring_peer *peer);

static inline bool completion_more(const struct completion *completion)
{
    return completion->flags & IORING_CQE_F_MORE;
}

static inline bool completion_has_buffer(const struct completion *completion)
{
    return completion->flags & IORING_CQE_F_BUFFER;
}

static inline uint16_t completion_buffer(const struct completion *completion)
{
    return (uint16_t)(completion->flags >> IORING_CQE_BUFFER_SHIFT);
}

#endif
