#include "gateway/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { SOCKETS_MAX = 2 * SHARDS_MAX, ANSWER_S = 5 };

/* What the sockets come with; its version is in the magic. */
struct offer {
    char     magic[8];
    uint32_t plain, tls;
};
static const char MAGIC[8] = "ringfd1\n";
static const char GO[2] = "go";

/* A message and the room for its descriptors. */
struct parcel {
    struct offer  offer;
    struct iovec  piece;
    struct msghdr message;
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(SOCKETS_MAX * sizeof(int))];
};

static void parcel_begin(struct parcel *parcel)
{
    *parcel = (struct parcel){ .piece = { &parcel->offer, sizeof parcel->offer } };
    parcel->message = (struct msghdr){ .msg_iov = &parcel->piece, .msg_iovlen = 1, .msg_control = parcel->control, .msg_controllen = sizeof parcel->control };
}

static bool address_of(const char *path, struct sockaddr_un *address)
{
    *address = (struct sockaddr_un){ .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof address->sun_path) return false;
    memcpy(address->sun_path, path, strlen(path));
    return true;
}

/* Of our own user, or root: who may connect could also send us signals. */
static bool is_ours(int descriptor)
{
    struct ucred who;
    socklen_t size = sizeof who;
    return getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 && (who.uid == geteuid() || who.uid == 0);
}

/* ---- the new one ------------------------------------------------------------------------------------------------------- */

static int refuse(int old, const char *path, const char *reason, char *why, size_t why_size)
{
    snprintf(why, why_size, "can't take the listening sockets over from \"%s\" (setting handover): %s", path, reason);
    if (old >= 0) close(old);
    return -1;
}

static void close_all(const int *descriptors, size_t count)
{
    for (size_t i = 0; i < count; i++) close(descriptors[i]);
}

/* How many descriptors came with it. */
static size_t descriptors_of(struct parcel *parcel, int descriptors[SOCKETS_MAX])
{
    size_t count = 0;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(&parcel->message); part; part = CMSG_NXTHDR(&parcel->message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(descriptors, CMSG_DATA(part), count * sizeof(int));
    }
    return count;
}

/* NULL, or what is wrong. */
static const char *take_sockets(int old, uint32_t shards_count, bool tls, struct inherited *inherited)
{
    struct parcel parcel;
    int descriptors[SOCKETS_MAX];
    parcel_begin(&parcel);
    ssize_t bytes = recvmsg(old, &parcel.message, MSG_CMSG_CLOEXEC);
    if (bytes < 0) return errno == EAGAIN ? "who listens there does not answer" : strerror(errno);
    size_t count = bytes > 0 ? descriptors_of(&parcel, descriptors) : 0;
    const struct offer *offer = &parcel.offer;
    const char *fault = NULL;
    if (bytes == 0) fault = "who listens there refused: it is another user's, or drains already";
    else if (bytes != sizeof *offer || memcmp(offer->magic, MAGIC, sizeof MAGIC) != 0 || (uint64_t)offer->plain + offer->tls != count || offer->plain == 0) fault = "who listens there is no gateway of this kind";
    else if (offer->plain > shards_count || offer->tls > shards_count) fault = "the gateway that runs has more listening sockets than there are shards here, and connections would be left in those: use as many shards";
    else if (offer->tls > 0 && !tls) fault = "the gateway that runs serves TLS, and tls-listen is not set here";
    if (fault) {
        close_all(descriptors, count);
        return fault;
    }
    inherited->plain.count = offer->plain;
    inherited->tls.count = offer->tls;
    memcpy(inherited->plain.descriptors, descriptors, offer->plain * sizeof(int));
    memcpy(inherited->tls.descriptors, descriptors + offer->plain, offer->tls * sizeof(int));
    return NULL;
}

int handover_take(const char *path, uint32_t shards_count, bool tls, struct inherited *inherited, int *old, char *why, size_t why_size)
{
    struct sockaddr_un address;
    struct timeval patience = { .tv_sec = ANSWER_S };
    *old = -1;
    if (!address_of(path, &address)) return refuse(-1, path, "the path is too long", why, why_size);
    int descriptor = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return refuse(-1, path, strerror(errno), why, why_size);
    if (connect(descriptor, (struct sockaddr *)&address, sizeof address)) {
        if (errno != ENOENT && errno != ECONNREFUSED) return refuse(descriptor, path, strerror(errno), why, why_size);
        close(descriptor); /* nobody runs, or one that left it behind */
        return 0;
    }
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    const char *fault = take_sockets(descriptor, shards_count, tls, inherited);
    if (fault) return refuse(descriptor, path, fault, why, why_size);
    *old = descriptor;
    return 0;
}

int handover_await(int old, int signals, char *why, size_t why_size)
{
    struct pollfd polled[] = { { old, POLLIN, 0 }, { signals, POLLIN, 0 } };
    char byte;
    if (send(old, GO, sizeof GO, MSG_NOSIGNAL) < 0 && errno != EPIPE && errno != ECONNRESET) {
        snprintf(why, why_size, "can't tell the gateway that runs to go: %s", strerror(errno));
        return -1;
    }
    while (polled[0].revents == 0) {
        int ready = poll(polled, 2, -1);
        if (ready < 0 && errno != EINTR) break;
        if (ready > 0 && polled[1].revents) {
            snprintf(why, why_size, "a signal came while the gateway before was draining");
            return -1;
        }
        if (polled[0].revents && recv(old, &byte, 1, MSG_DONTWAIT) > 0) polled[0].revents = 0; /* it says nothing more: only its end counts */
    }
    close(old);
    return 0;
}

/* ---- the one that runs ------------------------------------------------------------------------------------------------- */

int handover_open(struct handover *handover, const char *path, char *why, size_t why_size)
{
    struct sockaddr_un address;
    *handover = (struct handover){ .path = path, .listener = -1, .peer = -1 };
    bool fits = address_of(path, &address);
    if (!fits) errno = ENAMETOOLONG;
    handover->listener = fits ? socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;
    mode_t before = umask(0177);
    unlink(path); /* nobody answered there */
    bool bound = handover->listener >= 0 && bind(handover->listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(handover->listener, 1) == 0;
    umask(before);
    handover->open = bound;
    if (bound) return 0;
    snprintf(why, why_size, "can't listen on \"%s\" (setting handover): %s", path, strerror(errno));
    if (handover->listener >= 0) close(handover->listener);
    return -1;
}

static void forget_peer(struct handover *handover)
{
    if (handover->peer >= 0) close(handover->peer);
    handover->peer = -1;
}

void handover_close(struct handover *handover)
{
    if (!handover->open) return;
    unlink(handover->path); /* before our end is seen, so that it is never the next one's */
    close(handover->listener);
    forget_peer(handover);
    handover->open = false;
}

static bool offer_sockets(int peer, const struct gateway *gateway)
{
    struct parcel parcel;
    int descriptors[SOCKETS_MAX];
    uint32_t count = 0;
    parcel_begin(&parcel);
    memcpy(parcel.offer.magic, MAGIC, sizeof MAGIC);
    for (uint32_t i = 0; i < gateway->shards_count; i++) descriptors[count++] = gateway->shards[i].listener.descriptor;
    parcel.offer.plain = count;
    for (uint32_t i = 0; i < gateway->shards_count; i++)
        if (gateway->shards[i].tls_listener.descriptor >= 0) descriptors[count++] = gateway->shards[i].tls_listener.descriptor;
    parcel.offer.tls = count - parcel.offer.plain;
    parcel.message.msg_controllen = CMSG_SPACE(count * sizeof(int));
    struct cmsghdr *part = CMSG_FIRSTHDR(&parcel.message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(part), descriptors, count * sizeof(int));
    return sendmsg(peer, &parcel.message, MSG_NOSIGNAL) == (ssize_t)sizeof parcel.offer;
}

void handover_poll(const struct handover *handover, struct pollfd polled[HANDOVER_POLLED])
{
    polled[0] = (struct pollfd){ handover->open && handover->peer < 0 ? handover->listener : -1, POLLIN, 0 }; /* one at a time */
    polled[1] = (struct pollfd){ handover->open ? handover->peer : -1, POLLIN, 0 };
}

bool handover_serve(struct handover *handover, const struct pollfd polled[HANDOVER_POLLED], const struct gateway *gateway)
{
    char said[sizeof GO];
    if (polled[0].revents) {
        handover->peer = accept4(handover->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        bool offered = handover->peer >= 0 && is_ours(handover->peer) && offer_sockets(handover->peer, gateway);
        if (!offered) forget_peer(handover);
    }
    if (!polled[1].revents) return false;
    if (recv(handover->peer, said, sizeof said, 0) == (ssize_t)sizeof GO && memcmp(said, GO, sizeof GO) == 0) return true;
    forget_peer(handover); /* it could not start, or has gone */
    return false;
}
