/* A ring without a kernel: it takes the place of core/io/ring.c, recv_buffers.c, send_test.c, of the clock and of randomness, so that a whole
 * shard runs with simulated sockets, in virtual time, the same at each run. Included by one program alone, which defines sim_turn().
 *
 * A socket has what its client has sent and the shard has not received, and room for so many bytes that the shard may send. Operations wait
 * as they do in the kernel; who drives it says what comes, how much of it, and with which error. */
#ifndef TESTS_FUZZ_RING_SIM_H
#define TESTS_FUZZ_RING_SIM_H

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "core/base/check.h"
#include "core/base/clock.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "core/io/recv_buffers.h"
#include "core/io/send_batch.h"
#include "core/io/send_test.h"

enum { SIM_SOCKETS = 24, SIM_COMPLETIONS = 4096, SIM_ENTRIES = 64, SIM_NONE = -1 };

struct sim_socket {
    bool        open;       /* a slot of the table */
    bool        ended;      /* the client has ended its side; what it sent before comes first */
    bool        broken;     /* reset: receives and sends fail */
    bool        shut;       /* the shard has ended its side */
    struct text sent;       /* by the client, not yet received */
    uint64_t    room;       /* for what the shard sends */
    uint64_t    recv, poll; /* tokens of what waits; 0: nothing */
    int         owner;      /* the client, whose business the bytes are */
};

static struct {
    struct sim_socket  sockets[SIM_SOCKETS];
    uint64_t           accept, wake; /* tokens */
    bool               accepts_one;  /* `accept` is over with the first connection */
    struct completion  queue[SIM_COMPLETIONS];
    uint32_t           queue_first, queue_count;
    struct io_uring_sqe entries[SIM_ENTRIES];
    uint32_t           entries_count;
    uint64_t           mono_us, random;
    char               buffers[RECV_BUFFERS_COUNT][RECV_BUFFER_BYTES];
    uint16_t           buffers_free[RECV_BUFFERS_COUNT];
    uint32_t           buffers_free_count;
} sim;

/* Who drives it: called where the shard would sleep; lets something happen. timeout_ms: -1: it would sleep for ever. */
static void sim_turn(int64_t timeout_ms);
/* Bytes for a client; and the end of the shard's side. */
static void sim_received(int owner, struct span bytes);
static void sim_ended(int owner);

/* ---- completions --------------------------------------------------------------------------------------------------------- */

static void sim_complete(uint64_t token, int32_t result, uint32_t flags)
{
    CHECK(sim.queue_count < SIM_COMPLETIONS);
    sim.queue[(sim.queue_first + sim.queue_count++) % SIM_COMPLETIONS] = (struct completion){ token, result, flags };
}

/* A client connects. The slot, or SIM_NONE: nobody accepts, or no slot is free. */
static int sim_connect(int owner)
{
    for (int file = 0; file < SIM_SOCKETS && sim.accept; file++) {
        struct sim_socket *socket = &sim.sockets[file];
        if (socket->open) continue;
        *socket = (struct sim_socket){ .open = true, .owner = owner, .room = 0 };
        sim_complete(sim.accept, file, sim.accepts_one ? 0 : IORING_CQE_F_MORE);
        if (sim.accepts_one) sim.accept = 0;
        return file;
    }
    return SIM_NONE;
}

/* At most so many of the bytes that wait are received, or the end, or a reset; error: instead, 0: none. */
static void sim_deliver(int file, size_t bytes_max, int error)
{
    struct sim_socket *socket = &sim.sockets[file];
    if (!socket->recv) return;
    uint64_t token = socket->recv;
    if (socket->broken) error = ECONNRESET;
    if (!error && socket->sent.size == 0 && !socket->ended) return;
    if (!error && socket->sent.size > 0 && sim.buffers_free_count == 0) error = ENOBUFS;
    socket->recv = 0;
    if (error || socket->sent.size == 0) {
        sim_complete(token, error ? -error : 0, 0);
        return;
    }
    size_t bytes = socket->sent.size < bytes_max ? socket->sent.size : bytes_max;
    if (bytes > RECV_BUFFER_BYTES) bytes = RECV_BUFFER_BYTES;
    uint16_t id = sim.buffers_free[--sim.buffers_free_count];
    memcpy(sim.buffers[id], socket->sent.bytes, bytes);
    text_cut(&socket->sent, 0, bytes);
    sim_complete(token, (int32_t)bytes, IORING_CQE_F_BUFFER | (uint32_t)id << IORING_CQE_BUFFER_SHIFT);
}

static void sim_poll_over(struct sim_socket *socket, int32_t result)
{
    uint64_t token = socket->poll;
    socket->poll = 0;
    if (token) sim_complete(token, result, 0);
}

/* The client reads so many bytes more. */
static void sim_give_room(int file, uint64_t bytes)
{
    struct sim_socket *socket = &sim.sockets[file];
    socket->room += bytes;
    if (socket->room > 0) sim_poll_over(socket, POLLOUT | (socket->ended ? POLLIN : 0));
}

static void sim_reset(int file)
{
    struct sim_socket *socket = &sim.sockets[file];
    socket->broken = true;
    sim_poll_over(socket, POLLERR | POLLHUP);
    sim_deliver(file, 0, ECONNRESET);
}

/* ---- what the shard calls: ring.h ---------------------------------------------------------------------------------------- */

int ring_init(struct ring *ring, const struct ring_settings *settings, struct counters *counters, const char **why)
{
    *ring = (struct ring){ .counters = counters, .files_max = settings->files_max, .tells_peers = true, .aside_max = SIM_COMPLETIONS };
    ring->aside = calloc(ring->aside_max, sizeof *ring->aside);
    return ring->aside ? 0 : -ENOMEM;
}

void ring_deinit(struct ring *ring)
{
    free(ring->aside);
}

void ring_limit_files(struct ring *ring, uint32_t files) {}

void ring_accept(struct ring *ring, int listener, uint64_t token)
{
    CHECK(!sim.accept); /* one accept at a time */
    sim.accept = token;
    sim.accepts_one = false;
}

void ring_accept_one(struct ring *ring, int listener, struct ring_peer *peer, uint32_t *size, uint64_t token)
{
    CHECK(!sim.accept);
    sim.accept = token;
    sim.accepts_one = true;
}

static struct sim_socket *sim_socket_of(uint32_t file)
{
    CHECK(file < SIM_SOCKETS && sim.sockets[file].open); /* never an operation on what was closed */
    return &sim.sockets[file];
}

void ring_peer(struct ring *ring, uint32_t file, int family, struct ring_peer *peer, uint64_t token)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000200u + (uint32_t)sim_socket_of(file)->owner) };
    memcpy(peer->bytes, &address, sizeof address);
    sim_complete(token, sizeof address, 0);
}

void ring_recv(struct ring *ring, uint32_t file, uint16_t group, uint64_t token)
{
    struct sim_socket *socket = sim_socket_of(file);
    CHECK(!socket->recv);
    socket->recv = token;
}

void ring_poll_room(struct ring *ring, uint32_t file, uint64_t token)
{
    struct sim_socket *socket = sim_socket_of(file);
    CHECK(!socket->poll);
    socket->poll = token;
    if (socket->broken) sim_poll_over(socket, POLLERR | POLLHUP);
    else if (socket->room > 0) sim_poll_over(socket, POLLOUT);
}

void ring_read(struct ring *ring, int descriptor, void *bytes, uint32_t size, uint64_t token)
{
    sim.wake = token; /* commands are looked for at each turn anyway */
}

void ring_cancel(struct ring *ring, uint64_t target, uint64_t token)
{
    bool found = sim.accept == target;
    if (found) sim.accept = 0;
    for (int file = 0; file < SIM_SOCKETS && !found; file++) {
        struct sim_socket *socket = &sim.sockets[file];
        uint64_t *of = socket->recv == target ? &socket->recv : socket->poll == target ? &socket->poll : NULL;
        if (!of) continue;
        *of = 0;
        found = true;
    }
    if (found) sim_complete(target, -ECANCELED, 0);
    sim_complete(token, found ? 0 : -ENOENT, 0);
}

void ring_shutdown(struct ring *ring, uint32_t file, uint64_t token)
{
    struct sim_socket *socket = sim_socket_of(file);
    if (!socket->shut) sim_ended(socket->owner);
    socket->shut = true;
    sim_complete(token, 0, 0);
}

void ring_close(struct ring *ring, uint32_t file, uint64_t token)
{
    struct sim_socket *socket = sim_socket_of(file);
    CHECK(!socket->recv && !socket->poll); /* it dies by joining: the kernel holds nothing of it any more */
    if (!socket->shut) sim_ended(socket->owner);
    text_free(&socket->sent);
    socket->open = false;
    sim_complete(token, 0, 0);
}

void ring_message(struct ring *ring, const struct ring *other, uint64_t token, uint64_t failed)
{
    CHECK(ring != other); /* there is one shard */
}

/* ---- sends --------------------------------------------------------------------------------------------------------------- */

static void sim_send(struct io_uring_sqe *entry)
{
    struct sim_socket *socket = sim_socket_of((uint32_t)entry->fd);
    struct iovec one = { (void *)(uintptr_t)entry->addr, entry->len };
    const struct msghdr *message = entry->opcode == IORING_OP_SENDMSG ? (const struct msghdr *)(uintptr_t)entry->addr : NULL;
    const struct iovec *pieces = message ? message->msg_iov : &one;
    size_t count = message ? message->msg_iovlen : 1, taken = 0, whole = 0;
    CHECK(token_operation(entry->user_data) == OP_SEND && !socket->shut);
    for (size_t i = 0; i < count; i++) whole += pieces[i].iov_len;
    if (socket->broken) {
        sim_complete(entry->user_data, -EPIPE, 0);
        return;
    }
    for (size_t i = 0; i < count && socket->room > 0; i++) {
        size_t bytes = pieces[i].iov_len < socket->room ? pieces[i].iov_len : socket->room;
        sim_received(socket->owner, span_of(pieces[i].iov_base, bytes));
        socket->room -= bytes;
        taken += bytes;
    }
    if (taken < whole) sim_complete(entry->user_data, taken ? (int32_t)taken : -EAGAIN, 0);
    else if (!(entry->flags & IOSQE_CQE_SKIP_SUCCESS)) sim_complete(entry->user_data, (int32_t)taken, 0);
}

void ring_submit(struct ring *ring)
{
    for (uint32_t i = 0; i < sim.entries_count; i++) sim_send(&sim.entries[i]);
    sim.entries_count = 0;
}

struct io_uring_sqe *ring_sqe(struct ring *ring)
{
    if (sim.entries_count == SIM_ENTRIES) ring_submit(ring);
    struct io_uring_sqe *entry = &sim.entries[sim.entries_count++];
    memset(entry, 0, sizeof *entry);
    return entry;
}

void ring_wait(struct ring *ring, int64_t timeout_ms)
{
    ring_submit(ring);
    if (ring->aside_count == 0 && sim.queue_count == 0) sim_turn(timeout_ms);
}

bool ring_next_fresh(struct ring *ring, struct completion *completion)
{
    if (sim.queue_count == 0) return false;
    *completion = sim.queue[sim.queue_first];
    sim.queue_first = (sim.queue_first + 1) % SIM_COMPLETIONS;
    sim.queue_count--;
    return true;
}

bool ring_next(struct ring *ring, struct completion *completion)
{
    if (ring->aside_count == 0) return ring_next_fresh(ring, completion);
    *completion = ring->aside[ring->aside_first];
    ring->aside_first = (ring->aside_first + 1) % ring->aside_max;
    ring->aside_count--;
    return true;
}

void ring_set_aside(struct ring *ring, struct completion completion)
{
    CHECK(ring->aside_count < ring->aside_max);
    ring->aside[(ring->aside_first + ring->aside_count++) % ring->aside_max] = completion;
}

struct address ring_peer_address(const struct ring_peer *peer)
{
    struct sockaddr_in v4;
    memcpy(&v4, peer->bytes, sizeof v4);
    return v4.sin_family == AF_INET ? address_of_v4((const uint8_t *)&v4.sin_addr) : (struct address){ { 0 } };
}

enum send_exactness send_test(struct ring *ring)
{
    return SENDS_EXACT;
}

/* ---- receive buffers ----------------------------------------------------------------------------------------------------- */

int recv_buffers_init(struct recv_buffers *buffers, struct ring *ring)
{
    *buffers = (struct recv_buffers){ .bytes = sim.buffers[0], .uring = ring };
    sim.buffers_free_count = 0;
    for (uint16_t id = 0; id < RECV_BUFFERS_COUNT; id++) sim.buffers_free[sim.buffers_free_count++] = id;
    return 0;
}

void recv_buffers_deinit(struct recv_buffers *buffers)
{
    CHECK(buffers->out == 0);
}

void recv_buffers_taken(struct recv_buffers *buffers)
{
    buffers->out++;
}

void recv_buffers_give(struct recv_buffers *buffers, uint16_t id)
{
    CHECK(buffers->out > 0 && sim.buffers_free_count < RECV_BUFFERS_COUNT);
    buffers->out--;
    POISON(sim.buffers[id], RECV_BUFFER_BYTES);
    sim.buffers_free[sim.buffers_free_count++] = id;
}

/* ---- time and randomness ------------------------------------------------------------------------------------------------- */

enum { SIM_WALL_US_PER_S = 1000000 };
#define SIM_WALL_BEGAN_US (UINT64_C(1763812345) * SIM_WALL_US_PER_S)

uint64_t clock_mono_us(void)
{
    return sim.mono_us;
}

uint64_t clock_mono_ns(void)
{
    enum { NS_PER_US = 1000 };
    return NS_PER_US * sim.mono_us;
}

uint64_t clock_wall_us(void)
{
    return SIM_WALL_BEGAN_US + sim.mono_us;
}

void clock_tick(struct clock *clock)
{
    *clock = (struct clock){ clock_mono_us(), clock_wall_us() };
}

uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

void random_fill(void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) ((unsigned char *)bytes)[i] = (unsigned char)random_next(&sim.random);
}

/* Everything as before the first shard. */
static void sim_begin(void)
{
    for (int file = 0; file < SIM_SOCKETS; file++) text_free(&sim.sockets[file].sent);
    memset(&sim, 0, sizeof sim);
    sim.mono_us = 1000000;
}

#endif
