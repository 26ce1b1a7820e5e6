#include "core/io/ring_faults.h"

#ifdef RINGCAST_FAULTS

#include <errno.h>
#include <sys/socket.h>

#include "core/base/faults.h"

/* The errors of one kind of operation: those that only delay, then those that end a connection. */
#define ERRORS_MAX 6
struct errors {
    int      passing[ERRORS_MAX], fatal[ERRORS_MAX]; /* 0 ends them */
};

static const struct errors errors_of[] = {
    [OP_ACCEPT] = { { EMFILE, ENFILE, ENOMEM, ENOBUFS, ECONNABORTED, EINTR }, { 0 } },
    [OP_WAKE] = { { EINTR, EAGAIN, ECANCELED }, { 0 } },
    [OP_WAKING] = { { EOVERFLOW, ENOMEM }, { 0 } },
    [OP_RECV] = { { ENOBUFS, EAGAIN, EINTR, ENOMEM }, { ECANCELED, ECONNRESET } },
    [OP_ROOM] = { { ENOMEM, ECANCELED, EINTR }, { 0 } },
    [OP_PEER] = { { ENOMEM, ENOTCONN }, { 0 } },
    [OP_CLOSE] = { { ENOMEM }, { 0 } },
    [OP_SEND] = { { EAGAIN, ENOBUFS, ENOMEM, EINTR }, { EPIPE, ECONNRESET, ECANCELED } },
};

/* Where a token has room: operations take the lower half of its first byte. */
enum { FAULT_SHIFT = 60 };
static const int codes[16] = { 0, EMFILE, ENFILE, ENOMEM, ENOBUFS, ECONNABORTED, EINTR, EAGAIN, ECANCELED, EOVERFLOW, ECONNRESET, ENOTCONN, EPIPE };

static uint64_t code_of(int error)
{
    for (uint64_t code = 1; code < 16; code++)
        if (codes[code] == error) return code;
    return 0;
}

static int some_error(const struct errors *errors)
{
    const int *of = faults_setting(FAULTS_FATAL) && errors->fatal[0] && faults_random(4) == 0 ? errors->fatal : errors->passing;
    uint32_t count = 0;
    while (count < ERRORS_MAX && of[count]) count++;
    return of[faults_random(count)];
}

static void fail(struct io_uring_sqe *sqe, int error)
{
    uint64_t token = sqe->user_data;
    io_uring_prep_nop(sqe);
    sqe->user_data = token | code_of(error) << FAULT_SHIFT;
}

/* The socket has room for a part only. False: there is no smaller part. */
static bool cut(struct io_uring_sqe *sqe)
{
    if (sqe->opcode == IORING_OP_SEND && sqe->len > 1) {
        sqe->len = 1 + faults_random(sqe->len - 1);
    } else if (sqe->opcode == IORING_OP_SENDMSG) {
        struct msghdr *message = (struct msghdr *)(uintptr_t)sqe->addr;
        if (message->msg_iovlen < 2) return false;
        message->msg_iovlen = 1 + faults_random((uint32_t)message->msg_iovlen - 1);
    } else {
        return false;
    }
    sqe->flags &= (uint8_t)~IOSQE_CQE_SKIP_SUCCESS; /* it is no success */
    return true;
}

static void strike(struct io_uring_sqe *sqe)
{
    enum operation operation = token_operation(sqe->user_data);
    if (operation >= sizeof errors_of / sizeof errors_of[0] || errors_of[operation].passing[0] == 0) return;
    if (faults_random(faults_setting(FAULTS_RING)) != 0) return;
    if (operation == OP_SEND && faults_random(2) == 0 && cut(sqe)) return;
    fail(sqe, some_error(&errors_of[operation]));
}

void ring_faults_begin(struct ring *ring, uint32_t shard)
{
    faults_begin(shard);
    ring->strikes = faults_setting(FAULTS_RING) > 0;
}

void ring_faults_size(struct ring_settings *settings)
{
    uint32_t entries = faults_setting(FAULTS_QUEUES);
    if (entries == 0) return;
    settings->entries = entries;
    settings->completions = 2 * entries;
}

void ring_faults_strike(struct ring *ring)
{
    struct io_uring_sq *sq = &ring->uring.sq;
    for (; ring->struck != sq->sqe_tail; ring->struck++)
        if (ring->strikes) strike(&sq->sqes[ring->struck & sq->ring_mask]);
}

void ring_faults_show(struct completion *completion)
{
    uint64_t code = completion->token >> FAULT_SHIFT;
    if (code == 0) return;
    completion->token &= (UINT64_C(1) << FAULT_SHIFT) - 1;
    completion->result = -codes[code];
    completion->flags = 0;
}

#else
typedef int ring_faults_are_off; /* a file holds something */
#endif
