#include "core/io/send_test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/io/send_batch.h"

/* A pair of connected TCP sockets with small buffers; false: none. */
static bool make_pair(int *sender, int *receiver)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    int small = 16 * 1024;
    *sender = *receiver = -1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0) return false;
    setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 1) || getsockname(listener, (struct sockaddr *)&address, &size)) goto fail;
    *sender = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*sender < 0) goto fail;
    setsockopt(*sender, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    if (connect(*sender, (struct sockaddr *)&address, size)) goto fail;
    *receiver = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (*receiver < 0) goto fail;
    close(listener);
    return true;
fail:
    close(listener);
    return false;
}

static uint64_t drain(int receiver)
{
    static char bytes[64 * 1024];
    uint64_t total = 0;
    for (ssize_t size; (size = recv(receiver, bytes, sizeof bytes, 0)) > 0;) total += (uint64_t)size;
    return total;
}

/* Sends until the socket is full, a few sends more, and says how many bytes were taken by their completions. */
static bool fill(struct ring *ring, int sender, uint64_t *taken)
{
    enum { SENDS = 64, SEND_BYTES = 24 * 1000 };
    static const char bytes[SEND_BYTES];
    uint32_t silent = SENDS, refused = 0;
    *taken = 0;
    for (uint32_t i = 0; i < SENDS; i++) {
        struct io_uring_sqe *sqe = ring_sqe(ring);
        io_uring_prep_send(sqe, sender, bytes, sizeof bytes, MSG_WAITALL | MSG_DONTWAIT | MSG_NOSIGNAL);
        sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
        sqe->user_data = token_make(OP_SEND, 0, i);
    }
    ring_submit(ring);
    struct completion completion;
    while (ring_next_fresh(ring, &completion)) {
        silent--;
        if (completion.result > 0) *taken += (uint64_t)completion.result;
        else refused++;
    }
    *taken += (uint64_t)silent * SEND_BYTES;
    return refused > 0; /* else the socket was never full, and nothing was shown */
}

enum send_exactness send_test(struct ring *ring)
{
    int sender, receiver;
    enum send_exactness exactness = SENDS_UNTESTED;
    if (make_pair(&sender, &receiver)) {
        uint64_t taken;
        bool full = fill(ring, sender, &taken);
        shutdown(sender, SHUT_WR);
        if (full) exactness = drain(receiver) == taken ? SENDS_EXACT : SENDS_COUNTED;
    }
    if (sender >= 0) close(sender);
    if (receiver >= 0) close(receiver);
    return exactness;
}
