#include "core/io/ring.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/clock.h"
#include "core/io/ring_faults.h"

static bool kernel_is_old(void)
{
    struct utsname name;
    unsigned major = 0, minor = 0;
    if (uname(&name) || sscanf(name.release, "%u.%u", &major, &minor) != 2) return false;
    return major < 6 || (major == 6 && minor < 1);
}

static int disabled_level(void)
{
    FILE *file = fopen("/proc/sys/kernel/io_uring_disabled", "re");
    int level = 0;
    if (!file) return 0;
    if (fscanf(file, "%d", &level) != 1) level = 0;
    fclose(file);
    return level;
}

static const char *explain(int error)
{
    if (kernel_is_old()) return "this kernel is older than Linux 6.1, which Ringcast needs (io_uring with DEFER_TASKRUN)";
    if (error == -EPERM && disabled_level() > 0) return "io_uring is switched off on this host: sysctl kernel.io_uring_disabled must be 0";
    if (error == -EPERM || error == -EACCES || error == -ENOSYS)
        return "io_uring is forbidden here, most likely by the container's seccomp profile: run with one that allows io_uring_setup, io_uring_enter and io_uring_register";
    if (error == -ENOMEM) return "not enough memory to lock for io_uring";
    if (error == -EMFILE) return "the limit of open files (RLIMIT_NOFILE) is too low for the table of connections";
    return "io_uring could not be set up";
}

/* getsockopt by the ring; liburing 2.3 has neither its name nor its fields. */
static struct io_uring_sqe *socket_option(struct ring *ring, int file, int option, void *value, uint32_t size)
{
    enum { COMMAND_GETSOCKOPT = 2 };
    struct io_uring_sqe *sqe = ring_sqe(ring);
    io_uring_prep_rw(IORING_OP_URING_CMD, sqe, file, NULL, 0, 0);
    sqe->cmd_op = COMMAND_GETSOCKOPT;
    sqe->addr = (uint64_t)(uint32_t)option << 32 | SOL_SOCKET;
    sqe->file_index = size;
    sqe->addr3 = (uintptr_t)value;
    return sqe;
}

/* A socket that is not connected has no peer: who knows the question says so. */
static bool tells_peers(struct ring *ring)
{
    struct ring_peer peer;
    struct completion completion = { .result = 0 };
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return false;
    socket_option(ring, descriptor, SO_PEERNAME, peer.bytes, sizeof(struct sockaddr_in))->user_data = token_make(OP_NONE, 0, 0);
    while (!ring_next_fresh(ring, &completion)) ring_submit(ring);
    close(descriptor);
    return completion.result == -ENOTCONN;
}

int ring_init(struct ring *ring, const struct ring_settings *wanted, struct counters *counters, const char **why)
{
    struct ring_settings sized = *wanted, *settings = &sized;
    ring_faults_size(settings);
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
        .cq_entries = settings->completions,
    };
    *ring = (struct ring){ .counters = counters, .files_max = settings->files_max };
    int error = io_uring_queue_init_params(settings->entries, &ring->uring, &params);
    if (error) {
        *why = explain(error);
        return error;
    }
    error = io_uring_register_files_sparse(&ring->uring, settings->files_max);
    if (error) goto undo_ring;
    io_uring_register_ring_fd(&ring->uring); /* saves a look-up for each enter; where it can't be had all works without */

    /* As many as can come for each file: a joining connection's receive, room, shutdown, two cancels and close, and some to spare. */
    ring->aside_max = settings->files_max * 8 + 64;
    ring->aside = malloc(ring->aside_max * sizeof *ring->aside);
    error = -ENOMEM;
    if (!ring->aside) goto undo_ring;
    ring->tells_peers = tells_peers(ring);
    return 0;
undo_ring:
    *why = explain(error);
    io_uring_queue_exit(&ring->uring);
    return error;
}

void ring_deinit(struct ring *ring)
{
    io_uring_queue_exit(&ring->uring);
    free(ring->aside);
}

void ring_limit_files(struct ring *ring, uint32_t files)
{
    CHECK(files > 0 && files <= ring->files_max);
    CHECK(io_uring_register_file_alloc_range(&ring->uring, 0, files) == 0);
}

struct io_uring_sqe *ring_sqe(struct ring *ring)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
    while (!sqe) {
        ring_submit(ring);
        sqe = io_uring_get_sqe(&ring->uring);
    }
    return sqe;
}

static struct io_uring_sqe *on_file(struct io_uring_sqe *sqe, uint64_t token)
{
    sqe->flags |= IOSQE_FIXED_FILE;
    sqe->user_data = token;
    return sqe;
}

void ring_accept(struct ring *ring, int listener, uint64_t token)
{
    struct io_uring_sqe *sqe = ring_sqe(ring);
    io_uring_prep_multishot_accept_direct(sqe, listener, NULL, NULL, 0);
    sqe->user_data = token;
}

void ring_accept_one(struct ring *ring, int listener, struct ring_peer *peer, uint32_t *size, uint64_t token)
{
    struct io_uring_sqe *sqe = ring_sqe(ring);
    static_assert(sizeof *size == sizeof(socklen_t), "the kernel writes it");
    *size = sizeof peer->bytes;
    io_uring_prep_accept_direct(sqe, listener, (struct sockaddr *)peer->bytes, size, 0, 0);
    sqe->file_index = UINT32_MAX; /* any free slot: liburing 2.3 would add one to it */
    sqe->user_data = token;
}

void ring_peer(struct ring *ring, uint32_t file, int family, struct ring_peer *peer, uint64_t token)
{
    uint32_t size = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof peer->bytes; /* not more than there is: else EINVAL */
    on_file(socket_option(ring, (int)file, SO_PEERNAME, peer->bytes, size), token);
}

struct address ring_peer_address(const struct ring_peer *peer)
{
    struct address address = { { 0 } };
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    static_assert(offsetof(struct sockaddr_in6, sin6_addr) + sizeof v6.sin6_addr <= sizeof peer->bytes, "its address is there");
    memcpy(&v4, peer->bytes, sizeof v4);
    memcpy(&v6, peer->bytes, sizeof peer->bytes);
    if (v4.sin_family == AF_INET) return address_of_v4((const uint8_t *)&v4.sin_addr);
    if (v6.sin6_family == AF_INET6) memcpy(address.bytes, &v6.sin6_addr, sizeof address.bytes);
    return address;
}

void ring_recv(struct ring *ring, uint32_t file, uint16_t group, uint64_t token)
{
    struct io_uring_sqe *sqe = ring_sqe(ring);
    io_uring_prep_recv(sqe, (int)file, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = group;
    on_file(sqe, token);
}

void ring_poll_room(struct ring *ring, uint32_t file, uint64_t token)
{
    struct io_uring_sqe *sqe = ring_sqe(ring);
    io_uring_prep_poll_add(sqe, (int)file, POLLOUT);
    on_file(sqe, token);
}

void ring_read(struct ring *ring, int descriptor, void *bytes, uint32_t size, uint64_t token)
{
    struct io_uring_sqe *sqe = ring_sqe(ring);
    io_uring_prep_read(sqe, descriptor, bytes, size, 0);
    sqe->user_data = token;
}

void ring_cancel(struct ring *ring, uint64_t target, uint64_t token)
{
    struct io_uring_sqe *sqe = ring_sqe(ring);
    io_uring_prep_cancel64(sqe, target, 0);
    sqe->user_data = token;
}

void ring_shutdown(struct ring *ring, uint32_t file, uint64_t token)
{
    struct io_uring_sqe *sqe = ring_sqe(ring);
    io_uring_prep_shutdown(sqe, (int)file, 1 /* SHUT_WR */);
    on_file(sqe, token);
}

void ring_close(struct ring *ring, uint32_t file, uint64_t token)
{
    struct io_uring_sqe *sqe = ring_sqe(ring);
    io_uring_prep_close_direct(sqe, file);
    sqe->user_data = token;
}

void ring_message(struct ring *ring, const struct ring *other, uint64_t token, uint64_t failed)
{
    struct io_uring_sqe *sqe = ring_sqe(ring);
    io_uring_prep_msg_ring(sqe, other->uring.ring_fd, 0, token, 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = failed;
}

void ring_submit(struct ring *ring)
{
    ring_faults_strike(ring);
    /* With SUBMIT_ALL one call takes all; the kernel may stop short for want of memory, and then it is asked again. */
    do {
        int taken = io_uring_submit_and_get_events(&ring->uring);
        counter_add(ring->counters, COUNTER_ENTERS, 1);
        CHECK(taken >= 0 || taken == -EINTR || taken == -EAGAIN || taken == -EBUSY || taken == -ETIME);
    } while (io_uring_sq_ready(&ring->uring) > 0);
}

void ring_wait(struct ring *ring, int64_t timeout_ms)
{
    if (ring->aside_count > 0 || timeout_ms == 0) {
        ring_submit(ring);
        return;
    }
    struct __kernel_timespec timeout = { .tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1000000 };
    struct io_uring_cqe *cqe;
    ring_faults_strike(ring);
    counter_idle_begin(ring->counters, clock_mono_us());
    int taken = io_uring_submit_and_wait_timeout(&ring->uring, &cqe, 1, timeout_ms < 0 ? NULL : &timeout, NULL);
    counter_add(ring->counters, COUNTER_ENTERS, 1);
    counter_idle_end(ring->counters, clock_mono_us());
    CHECK(taken >= 0 || taken == -EINTR || taken == -EAGAIN || taken == -EBUSY || taken == -ETIME);
    if (io_uring_sq_ready(&ring->uring) > 0) ring_submit(ring);
}

bool ring_next_fresh(struct ring *ring, struct completion *completion)
{
    struct io_uring_cqe *cqe;
    unsigned head;
    io_uring_for_each_cqe(&ring->uring, head, cqe)
    {
        *completion = (struct completion){ cqe->user_data, cqe->res, cqe->flags };
        ring_faults_show(completion);
        io_uring_cq_advance(&ring->uring, 1);
        counter_add(ring->counters, COUNTER_COMPLETIONS, 1);
        return true;
    }
    if (!io_uring_cq_has_overflow(&ring->uring)) return false;
    counter_add(ring->counters, COUNTER_CQ_OVERFLOWS, 1);
    io_uring_get_events(&ring->uring);
    return io_uring_cq_ready(&ring->uring) > 0 && ring_next_fresh(ring, completion);
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
    ring->aside[(ring->aside_first + ring->aside_count) % ring->aside_max] = completion;
    ring->aside_count++;
}
