/* The JSON wire format: exactly the bytes that PROTOCOL.md shows, in one whole frame, and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "core/proto/ws_frame.h"
#include "core/pubsub/format.h"

static void assert_encodes(const struct update *update, const char *message)
{
    size_t bytes = formats[FORMAT_JSON].frame_bytes(update), message_bytes = strlen(message);
    char *frame = malloc(bytes); /* to the byte: the address sanitizer sees one more */
    assert_non_null(frame);
    formats[FORMAT_JSON].encode(update, frame);
    struct ws_header header;
    const char *why;
    assert_int_equal(ws_frame_decode(span_of(frame, bytes), false, false, &header, &why), DECODE_DONE);
    assert_true(header.fin && header.opcode == WS_TEXT && !header.masked);
    assert_int_equal(header.payload_bytes, message_bytes);
    assert_int_equal(header.header_bytes + message_bytes, bytes);
    assert_memory_equal(frame + header.header_bytes, message, message_bytes);
    assert_int_equal(ws_server_frame_bytes(frame), bytes);
    free(frame);
}

static void an_update_is_written_as_the_protocol_shows_it(void **state)
{
    static const struct {
        const char *topic;
        uint64_t    seq, ts_us;
        const char *data;
        bool        line_break;
        const char *message;
    } facts[] = {
        { "AAPL", 1042, 1763812345679313, "{\"p\":189.33}", false, "{\"topic\":\"AAPL\",\"seq\":1042,\"ts\":1763812345679313,\"data\":{\"p\":189.33}}" },
        { "a", 1, 0, "0", false, "{\"topic\":\"a\",\"seq\":1,\"ts\":0,\"data\":0}" },
        { "x.y/z", UINT64_MAX, UINT64_MAX, "null", false, "{\"topic\":\"x.y/z\",\"seq\":18446744073709551615,\"ts\":18446744073709551615,\"data\":null}" },
        { "t", 7, 7, "[1,\r\n2,\n3]", true, "{\"topic\":\"t\",\"seq\":7,\"ts\":7,\"data\":[1,  2, 3]}" },
        { "t", 7, 7, "\"\\n\\r\"", true, "{\"topic\":\"t\",\"seq\":7,\"ts\":7,\"data\":\"\\n\\r\"}" },
    };
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        struct update update = { span_of_string(facts[i].topic), facts[i].seq, facts[i].ts_us, span_of_string(facts[i].data), facts[i].line_break };
        assert_encodes(&update, facts[i].message);
    }
}

static void digits_are_counted_right_at_every_power_of_ten(void **state)
{
    for (uint64_t number = 1, power = 1;; power *= 10, number = power) {
        for (uint64_t near = number - 1; near <= number + 1; near++) {
            char out[20], expected[24];
            int size = snprintf(expected, sizeof expected, "%llu", (unsigned long long)near);
            assert_int_equal(format_digits(near, out), size);
            assert_memory_equal(out, expected, (size_t)size);
        }
        if (power == UINT64_C(10000000000000000000)) break;
    }
    char out[20];
    assert_int_equal(format_digits(UINT64_MAX, out), 20);
    assert_memory_equal(out, "18446744073709551615", 20);
}

/* The header grows at 126 and at 65536 bytes of message. */
static void frames_of_every_size_are_read_back(void **state)
{
    char *data = malloc(70000);
    assert_non_null(data);
    memset(data, '5', 70000);
    for (size_t bytes = 1; bytes < 70000; bytes += bytes < 300 || (bytes > 65400 && bytes < 65600) ? 1 : 977) {
        struct update update = { SPAN_LITERAL("crypto.BTC"), bytes * 31, bytes * 1000003, span_of(data, bytes), false };
        size_t frame_bytes = formats[FORMAT_JSON].frame_bytes(&update);
        char *frame = malloc(frame_bytes);
        assert_non_null(frame);
        formats[FORMAT_JSON].encode(&update, frame);
        assert_int_equal(ws_server_frame_bytes(frame), frame_bytes);
        struct update back = format_json_read(frame, update.topic);
        assert_int_equal(back.seq, update.seq);
        assert_int_equal(back.ts_us, update.ts_us);
        assert_true(span_equals(back.data, update.data));
        assert_true(span_equals(back.topic, update.topic));
        free(frame);
    }
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_update_is_written_as_the_protocol_shows_it),
        cmocka_unit_test(digits_are_counted_right_at_every_power_of_ten),
        cmocka_unit_test(frames_of_every_size_are_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
