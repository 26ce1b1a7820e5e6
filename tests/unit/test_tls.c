/* What is sealed arrives: by records of every size, several sessions sealing into one arena in turn as a batch does, against the tools' own
 * client over a socket pair. Each session stays within the room that is promised, and nobody's records touch another's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <unistd.h>

#include "core/base/random.h"
#include "tests/support/tls_ends.h"

enum { SIDES = 3, ARENA_BYTES = SIDES * TLS_SEALED_BYTES_MAX, ROUNDS = 60 };

static struct tls_ends ends;
static char arena[ARENA_BYTES], plain[TLS_RECORD_BYTES_MAX], got[SIDES * TLS_SEAL_BYTES_MAX];

static int begin(void **state)
{
    tls_ends_begin(&ends);
    tls_session_arena(arena, sizeof arena);
    return 0;
}

static int end(void **state)
{
    tls_session_arena(NULL, 0);
    tls_ends_end(&ends);
    return 0;
}

/* One connection, both ends of it. */
struct side {
    struct tls_session session;
    struct tls_client *client;
    int                pair[2];
};

static void deliver(struct side *side, struct span bytes)
{
    assert_int_equal(send(side->pair[1], bytes.bytes, bytes.size, MSG_DONTWAIT | MSG_NOSIGNAL), bytes.size);
}

static void send_unsent(struct side *side)
{
    struct span unsent = tls_session_unsent(&side->session);
    if (unsent.size == 0) return;
    deliver(side, unsent);
    tls_session_taken(&side->session, unsent.size);
}

static void connect_side(struct side *side)
{
    char bytes[16384];
    bool begun = false;
    int room = 1 << 20;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, side->pair), 0);
    setsockopt(side->pair[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    side->client = tls_client_make(ends.trust, TLS_ENDS_NAME, side->pair[0]);
    while (tls_client_shake(side->client) != TLS_CLIENT_READY || side->session.state == TLS_SHAKING) {
        ssize_t count = recv(side->pair[1], bytes, sizeof bytes, MSG_DONTWAIT);
        if (count <= 0) continue;
        struct span in = span_of(bytes, (size_t)count);
        assert_int_equal(tls_hello_look(begun ? span_of("\x16\x03\x01\x00\x01.", 6) : in), 1);
        if (!begun) assert_true(tls_session_init(&side->session, ends.tls, in));
        begun = true;
        assert_int_not_equal(tls_session_shake(&side->session, ends.tls, &in), TLS_BROKEN);
        send_unsent(side);
    }
    assert_int_equal(side->session.state, TLS_OPEN);
}

static void close_side(struct side *side)
{
    tls_client_free(side->client);
    tls_session_deinit(&side->session);
    close(side->pair[0]);
    close(side->pair[1]);
}

static size_t receive(struct side *side, size_t size)
{
    size_t bytes = 0;
    while (bytes < size) {
        ssize_t count = tls_client_receive(side->client, got + bytes, sizeof got - bytes);
        if (count <= 0) break;
        bytes += (size_t)count;
    }
    return bytes;
}

/* What a side seals in one round: records of these sizes, each filled with bytes of its own. */
struct sealing {
    size_t      sizes[4], total;
    uint32_t    records, runs_count;
    struct span runs[TLS_RUNS_MAX];
};

static char byte_of(uint32_t side, uint32_t record, size_t at)
{
    return (char)(side * 71 + record * 29 + at * 7);
}

static void seal(struct side *side, uint32_t number, struct sealing *sealing, size_t *used, uint64_t *random)
{
    size_t before = *used, sealed = 0;
    *sealing = (struct sealing){ .records = 1 + random_below(random, 2) };
    for (uint32_t record = 0; record < sealing->records; record++) {
        size_t size = 1 + (random_below(random, 3) == 0 ? random_below(random, 300) : random_below(random, TLS_RECORD_BYTES_MAX));
        if (random_below(random, 8) == 0) size = TLS_RECORD_BYTES_MAX;
        for (size_t i = 0; i < size; i++) plain[i] = byte_of(number, record, i);
        assert_true(tls_session_seal(&side->session, plain, size, used, sealing->runs, &sealing->runs_count));
        sealing->sizes[record] = size;
        sealing->total += size;
    }
    assert_true(*used - before <= TLS_SEALED_BYTES_MAX);
    assert_true(sealing->runs_count >= 1 && sealing->runs_count <= sealing->records);
    for (uint32_t i = 0; i < sealing->runs_count; i++) {
        sealed += sealing->runs[i].size;
        assert_true(sealing->runs[i].bytes >= arena + before && sealing->runs[i].bytes + sealing->runs[i].size <= arena + *used);
    }
    assert_true(sealed > sealing->total && sealed <= sealing->total + sealing->records * 32u); /* nothing was copied or left out */
    assert_int_equal(tls_session_unsent(&side->session).size, 0);
}

static void what_is_sealed_arrives_whoever_seals_between(void **state)
{
    struct side sides[SIDES] = { 0 };
    struct sealing sealings[SIDES];
    uint64_t random = 4711;
    for (uint32_t i = 0; i < SIDES; i++) connect_side(&sides[i]);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        size_t used = 0;
        for (uint32_t i = 0; i < SIDES; i++) seal(&sides[i], i, &sealings[i], &used, &random);
        for (uint32_t i = 0; i < SIDES; i++) {
            for (uint32_t run = 0; run < sealings[i].runs_count; run++) deliver(&sides[i], sealings[i].runs[run]);
            assert_int_equal(receive(&sides[i], sealings[i].total), sealings[i].total);
            size_t at = 0;
            for (uint32_t record = 0; record < sealings[i].records; record++)
                for (size_t k = 0; k < sealings[i].sizes[record]; k++) assert_int_equal(got[at++], byte_of(i, record, k));
        }
    }
    for (uint32_t i = 0; i < SIDES; i++) close_side(&sides[i]);
}

static void what_a_socket_did_not_take_goes_first(void **state)
{
    struct side side = { 0 };
    struct span runs[TLS_RUNS_MAX];
    uint32_t count = 0;
    size_t used = 0;
    connect_side(&side);
    memset(plain, 'x', sizeof plain);
    assert_true(tls_session_seal(&side.session, plain, 1000, &used, runs, &count));
    deliver(&side, span_of(runs[0].bytes, 300));
    tls_session_keep(&side.session, span_skip(runs[0], 300));
    assert_int_equal(tls_session_unsent(&side.session).size, runs[0].size - 300);
    assert_int_equal(tls_session_weight(&side.session) - side.session.awaited_bytes, runs[0].size - 300); /* of exactly this size */
    memset(arena, 0, sizeof arena); /* the batch is over */
    used = count = 0;
    assert_true(tls_session_seal(&side.session, "behind", 6, &used, runs, &count));
    send_unsent(&side);
    deliver(&side, runs[0]);
    assert_int_equal(receive(&side, 1006), 1006);
    assert_memory_equal(got, plain, 1000);
    assert_memory_equal(got + 1000, "behind", 6);
    tls_session_close(&side.session);
    send_unsent(&side);
    assert_int_equal(tls_client_receive(side.client, got, sizeof got), 0); /* a proper end */
    close_side(&side);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sealed_arrives_whoever_seals_between),
        cmocka_unit_test(what_a_socket_did_not_take_goes_first),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
