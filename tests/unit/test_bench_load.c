/* What the bench's load is made of: Zipf's law, who follows what, updates of each format, what peers are sent, a command's own words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench/peer.h"
#include "bench/said.h"
#include "bench/spread.h"
#include "bench/updates.h"
#include "bench/zipf.h"

enum { TOPICS = 100, DRAWS = 200000 };

static void zipf_draws_by_its_weights(void **state)
{
    const double exponents[] = { 0, 0.8, 1, 2 };
    for (size_t e = 0; e < sizeof exponents / sizeof *exponents; e++) {
        struct zipf zipf;
        uint64_t random = 42, drawn[TOPICS] = { 0 };
        double sum = 0;
        assert_int_equal(zipf_init(&zipf, TOPICS, exponents[e]), 0);
        for (int i = 0; i < DRAWS; i++) drawn[zipf_choose(&zipf, &random)]++;
        for (int i = 0; i < TOPICS; i++) sum += pow(i + 1, -exponents[e]);
        for (int i = 0; i < TOPICS; i++) {
            double expected = DRAWS * pow(i + 1, -exponents[e]) / sum;
            assert_true(fabs((double)drawn[i] - expected) <= 6 * sqrt(expected) + 1);
        }
        zipf_deinit(&zipf);
    }
}

static void each_connection_follows_each_of_its_topics_once(void **state)
{
    struct spread spread;
    uint32_t followers[TOPICS] = { 0 };
    assert_int_equal(spread_init(&spread, SPREAD_ZIPF, 1, TOPICS, 1000, 10), 0);
    for (uint32_t i = 0; i < 1000; i++)
        for (uint32_t place = 0; place < 10; place++) {
            uint32_t topic = spread.sorted[i * 10 + place];
            assert_true(place == 0 || spread.sorted[i * 10 + place - 1] < topic);
            assert_int_equal(spread_place(&spread, i, topic), place);
            followers[topic]++;
        }
    assert_true(followers[0] > 850 && followers[0] > 5 * followers[30] && followers[99] > 0);
    spread_deinit(&spread);
}

/* The frame that the gateway makes of an update, in each format. */
static void updates_are_as_long_as_asked_for_in_each_format(void **state)
{
    static const char *const parts[][4] = { { "{\"topic\":\"bench\",\"seq\":", ",\"ts\":", ",\"data\":", "}" }, { "[\"bench\",", ",", ",", "]" } };
    for (int format = UPDATES_JSON; format <= UPDATES_RAW; format++)
        for (uint64_t bytes = 127; bytes <= 200; bytes += 3)
            for (uint64_t seq = 9; seq < 20000; seq = seq * 10 + 1) {
                struct updates updates;
                char why[320], request[1024], frame[1024];
                if (bytes == 128 || bytes == 129) continue;
                const char *wrong = updates_init(&updates, (enum updates_format)format, "bench", 1, bytes, why);
                if (wrong) fail_msg("%s", wrong);
                size_t size = update_request_write(&updates, 0, seq, 1763812345678900, 0, request);
                const char *data = strstr(request, "\"data\":") + 7;
                int data_size = (int)(request + size - 1 - data);
                int frame_size = format == UPDATES_RAW ? snprintf(frame, sizeof frame, "%.*s", data_size, data)
                                                       : snprintf(frame, sizeof frame, "%s%llu%s1763812345678901%s%.*s%s", parts[format][0],
                                                                  (unsigned long long)seq, parts[format][1], parts[format][2], data_size, data, parts[format][3]);
                assert_int_equal(frame_size + (bytes < 128 ? 2 : 4), bytes);
                uint32_t topic = 9;
                uint64_t read_seq = 0;
                int64_t due_ns;
                struct verify_source source = updates_source(&updates);
                assert_int_equal(source.read(source.self, span_of(frame, (size_t)frame_size), &topic, &read_seq, &due_ns), VERDICT_RIGHT);
                assert_true(topic == 0 && read_seq == seq);
                frame[frame_size - 4] = '!'; /* within the pad's end */
                frame[frame_size - 3] = '!';
                frame[frame_size - 2] = '!';
                assert_int_not_equal(source.read(source.self, span_of(frame, (size_t)frame_size), &topic, &read_seq, &due_ns), VERDICT_RIGHT);
            }
}

/* A delay counts by when its update was due, not by when it came; and not of who is slow on purpose. */
static void delays_are_those_of_what_was_due_in_the_measurement(void **state)
{
    static struct verify verify;
    struct updates updates;
    char why[320], request[1024], frame[1024];
    assert_null(updates_init(&updates, UPDATES_RAW, "bench", 1, 100, why));
    assert_int_equal(verify_init(&verify, updates_source(&updates), 2, 1, false), 0);
    memset(verify.acked, 1, 2);
    verify.apart[1] = 1;
    const struct { int64_t due_us, came_us, from_us, until_us; uint64_t counted; const char *why; } facts[] = {
        { 100, 150, 0, 0, 0, "nothing is measured yet" },
        { 200, 260, 201, 1000, 0, "due before, though it came within" },
        { 201, 270, 201, 1000, 1, "due at the beginning" },
        { 999, 5000, 201, 1000, 2, "came long after the end" },
        { 1000, 1001, 201, 1000, 2, "due at the end" },
    };
    for (uint64_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        size_t size = update_request_write(&updates, 0, i + 1, updates_clock_us(&updates, facts[i].due_us * 1000), 0, request);
        const char *data = strstr(request, "\"data\":") + 7;
        memcpy(frame, data, size - 1 - (size_t)(data - request));
        verify.due_from_ns = facts[i].from_us * 1000;
        verify.due_until_ns = facts[i].until_us * 1000;
        for (uint32_t connection = 0; connection < 2; connection++)
            verify_text(&verify, connection, span_of(frame, size - 1 - (size_t)(data - request)), facts[i].came_us * 1000);
        if (verify.delays.total != facts[i].counted) fail_msg("%s: %llu counted", facts[i].why, (unsigned long long)verify.delays.total);
    }
    assert_int_equal(verify.delays.most, (5000 - 999) * 1000);
    assert_int_equal(verify.updates_right, 10);
    assert_false(verify_failed(&verify));
    verify_deinit(&verify);
}

static void a_frame_that_is_too_short_is_refused_with_what_would_do(void **state)
{
    struct updates updates;
    char why[320];
    assert_non_null(updates_init(&updates, UPDATES_JSON, "bench", 1, 40, why));
    assert_non_null(strstr(why, "to 60000"));
    assert_null(updates_init(&updates, UPDATES_RAW, "bench", 1, 60, why));
}

static void each_peer_makes_a_message_of_the_same_size(void **state)
{
    const uint32_t sizes[] = { 98, 123, 126, 496, 1996 };
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int kind = 0; kind < peer_kinds_count; kind++)
            for (uint64_t number = 1; number < 2000000; number = number * 7 + 1) {
                char payload[2048], request[2048 + PEER_REQUEST_BYTES_MAX], length[32];
                enum peer_dialect dialect = peer_kinds[kind].dialect;
                uint32_t size = peer_payload_write(&peer_kinds[kind], number, 1763812345678901, sizes[s], payload);
                assert_int_equal(size + peer_envelope_bytes(&peer_kinds[kind], number, sizes[s]), sizes[s]);
                uint32_t request_size = peer_request_write(&peer_kinds[kind], span_of(payload, size), request);
                assert_true(request_size >= size && memmem(request, request_size, payload, size));
                snprintf(length, sizeof length, dialect == PEER_NATS ? "PUB bench %u\r\n" : "Content-Length: %u\r\n", size);
                assert_int_equal(memmem(request, request_size, length, strlen(length)) != NULL, dialect == PEER_NATS || dialect == PEER_HTTP);
            }
}

static void a_commands_words_are_read(void **state)
{
    static const char said[] = "{\"command\":\"floor\",\"ratio\":0.963,\"counts\":true,\"text\":\"x\",\"warnings\":[\"it was \\\"busy\\\"\",\"more\"]}\n";
    double real;
    char warning[64];
    assert_true(said_real(said, "ratio", &real) && real == 0.963);
    assert_true(said_real(said, "counts", &real) && real == 1);
    assert_false(said_real(said, "text", &real));
    assert_false(said_real(said, "absent", &real));
    assert_false(said_real(NULL, "ratio", &real));
    said_warning(said, warning, sizeof warning);
    assert_string_equal(warning, "\"it was \\\"busy\\\"\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zipf_draws_by_its_weights),
        cmocka_unit_test(each_connection_follows_each_of_its_topics_once),
        cmocka_unit_test(updates_are_as_long_as_asked_for_in_each_format),
        cmocka_unit_test(delays_are_those_of_what_was_due_in_the_measurement),
        cmocka_unit_test(a_frame_that_is_too_short_is_refused_with_what_would_do),
        cmocka_unit_test(each_peer_makes_a_message_of_the_same_size),
        cmocka_unit_test(a_commands_words_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
