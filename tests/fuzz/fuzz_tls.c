/* Bytes that reach TLS, without a socket. An even first byte: the others are a connection's, in pieces of any size. An odd one: an honest
 * client shakes hands and sends what follows the edits, and its stream is altered on the way, at up to 16 places of the fuzzer's choice.
 * However it ends: what the session opens is what the client sent, from its beginning, and nothing else. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/check.h"
#include "tests/support/tls_ends.h"
#include "tests/unit/guard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { EDITS_MAX = 16, EDIT_BYTES = 4, PLAIN_BYTES = 40000, STREAM_BYTES = 1 << 16 };

struct edit {
    uint32_t at;
    uint8_t  bits, cut; /* cut: the stream ends there */
};

static struct tls_ends ends;

/* The gateway's side of one connection, and what it has opened. */
struct side {
    struct tls_session session;
    bool   begun, over;
    char   waiting[STREAM_BYTES]; /* before the first record is whole */
    size_t waiting_bytes, opened_bytes;
    char   opened[PLAIN_BYTES + 1];
};

static void take(struct side *side, struct span in)
{
    struct tls_session *session = &side->session;
    while (session->state == TLS_SHAKING && in.size > 0) {
        size_t before = in.size;
        if (tls_session_shake(session, ends.tls, &in) == TLS_SHAKING) CHECK(in.size == 0);
        if (in.size == before) break;
    }
    while ((session->state == TLS_OPEN || session->state == TLS_ENDED) && (in.size > 0 || tls_session_holds(session))) {
        size_t before = in.size, count = tls_session_open(session, &in, side->opened + side->opened_bytes, sizeof side->opened - side->opened_bytes);
        side->opened_bytes += count;
        CHECK(side->opened_bytes < sizeof side->opened);
        if (count == 0 && in.size == before) break;
    }
    CHECK(tls_session_weight(session) < 256 * 1024);
    if (session->state == TLS_BROKEN) CHECK(*tls_session_why(session));
    side->over = session->state == TLS_BROKEN || session->state == TLS_ENDED;
}

static void receive(struct side *side, struct span bytes)
{
    if (side->over) return;
    struct span guarded = guard_span(bytes);
    if (side->begun) {
        take(side, guarded);
    } else {
        CHECK(side->waiting_bytes + bytes.size <= sizeof side->waiting);
        memcpy(side->waiting + side->waiting_bytes, bytes.bytes, bytes.size);
        side->waiting_bytes += bytes.size;
        struct span hello = span_of(side->waiting, side->waiting_bytes);
        int look = tls_hello_look(hello);
        side->over = look < 0;
        if (look == 1) {
            side->begun = true;
            CHECK(tls_session_init(&side->session, ends.tls, hello));
            take(side, hello);
        }
    }
    guard_free(guarded.bytes);
}

static void raw(struct span bytes)
{
    struct side *side = calloc(1, sizeof *side);
    size_t piece = bytes.size ? (uint8_t)bytes.bytes[0] % 128 + 1u : 1;
    if (bytes.size) bytes = span_skip(bytes, 1);
    if (bytes.size > STREAM_BYTES) bytes.size = STREAM_BYTES;
    while (bytes.size > 0) {
        size_t count = piece < bytes.size ? piece : bytes.size;
        receive(side, span_of(bytes.bytes, count));
        bytes = span_skip(bytes, count);
    }
    CHECK(side->opened_bytes == 0); /* nobody shook hands */
    if (side->begun) tls_session_deinit(&side->session);
    free(side);
}

/* Alters what is at [at, at + size) of the stream; returns how much of it is left. */
static size_t alter(const struct edit *edits, size_t count, uint32_t at, char *bytes, size_t size)
{
    for (size_t i = 0; i < count; i++) {
        if (edits[i].at < at || edits[i].at >= at + size) continue;
        if (edits[i].cut % 8 == 7) size = edits[i].at - at;
        else bytes[edits[i].at - at] ^= (char)edits[i].bits;
    }
    return size;
}

static bool altered(const struct edit *edits, size_t count, uint32_t sent)
{
    for (size_t i = 0; i < count; i++)
        if (edits[i].at < sent && ((edits[i].bits && edits[i].at != 2) || edits[i].cut % 8 == 7)) return true; /* 2: says nothing (RFC 8446, 5.1) */
    return false;
}

static void honest(const struct edit *edits, size_t count, struct span plain)
{
    struct side *side = calloc(1, sizeof *side);
    char bytes[16384];
    int pair[2];
    uint32_t sent = 0;
    size_t written = 0;
    bool shaken = false, failed = false, cut = false;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
    struct tls_client *client = tls_client_make(ends.trust, TLS_ENDS_NAME, pair[0]);
    CHECK(client);
    for (bool moved = true; moved && !cut;) {
        moved = false;
        if (!shaken && !failed) {
            enum tls_client_step step = tls_client_shake(client);
            shaken = step == TLS_CLIENT_READY;
            failed = step == TLS_CLIENT_FAILED;
        }
        if (shaken && !failed && written < plain.size) {
            ssize_t taken = tls_client_send(client, plain.bytes + written, plain.size - written);
            if (taken > 0) written += (size_t)taken;
            else failed = errno != EAGAIN;
        }
        ssize_t got;
        while (!cut && (got = recv(pair[1], bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
            size_t left = alter(edits, count, sent, bytes, (size_t)got);
            cut = left < (size_t)got;
            sent += (uint32_t)got;
            receive(side, span_of(bytes, left));
            moved = true;
        }
        struct span unsent = side->begun ? tls_session_unsent(&side->session) : SPAN_NONE;
        if (unsent.size == 0) continue;
        ssize_t back = send(pair[1], unsent.bytes, unsent.size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (back > 0) tls_session_taken(&side->session, (size_t)back), moved = true;
    }
    CHECK(side->opened_bytes <= plain.size && (side->opened_bytes == 0 || memcmp(side->opened, plain.bytes, side->opened_bytes) == 0));
    if (!altered(edits, count, sent)) CHECK(shaken && side->opened_bytes == plain.size && side->session.state == TLS_OPEN);
    if (side->begun) tls_session_deinit(&side->session);
    tls_client_free(client);
    close(pair[0]);
    close(pair[1]);
    free(side);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct edit edits[EDITS_MAX];
    size_t count = 0;
    if (size == 0) return 0;
    if (!ends.tls) tls_ends_begin(&ends);
    struct span rest = span_of((const char *)data + 1, size - 1);
    if (data[0] % 2 == 0) return raw(rest), 0;
    for (size_t wanted = data[0] / 2 % (EDITS_MAX + 1); count < wanted && rest.size >= EDIT_BYTES; rest = span_skip(rest, EDIT_BYTES)) {
        const uint8_t *at = (const uint8_t *)rest.bytes;
        edits[count++] = (struct edit){ .at = (uint32_t)at[0] << 8 | at[1], .bits = at[2], .cut = at[3] };
    }
    if (rest.size > PLAIN_BYTES) rest.size = PLAIN_BYTES;
    honest(edits, count, rest);
    return 0;
}
