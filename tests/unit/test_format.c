/* Wire formats: exactly the bytes that PROTOCOL.md shows, in one whole frame, and JSON back again; whoever writes one byte too many dies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "core/proto/ws_frame.h"
#include "core/pubsub/format.h"
#include "tests/support/deflating.h"
#include "tests/support/frames.h"
#include "tests/unit/guard.h"

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
            char message[100];
            snprintf(message, sizeof message, "{\"topic\":\"a\",\"seq\":%llu,\"ts\":0,\"data\":0}", (unsigned long long)near);
            assert_encodes(&(struct update){ SPAN_LITERAL("a"), near, 0, SPAN_LITERAL("0"), false }, message);
        }
        if (power == UINT64_C(10000000000000000000)) return; /* the largest is among the facts above */
    }
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

/* The frame, written between two guard pages: its end is the page's, then its start. */
static char *encode(enum wire_format format, const struct update *update, bool at_end)
{
    size_t bytes = formats[format].frame_bytes(update);
    char *room = calloc(bytes, 1);
    assert_non_null(room);
    char *frame = at_end ? guard_copy(span_of(room, bytes)) : guard_copy_after(span_of(room, bytes));
    free(room);
    formats[format].encode(update, frame);
    return frame;
}

static void assert_frame(enum wire_format format, const struct update *update, const char *message)
{
    for (int at_end = 0; at_end < 2; at_end++) {
        char *frame = encode(format, update, at_end);
        struct span got = frame_message(format, frame);
        assert_int_equal(got.size, strlen(message));
        assert_memory_equal(got.bytes, message, got.size);
        size_t behind = format == FORMAT_SSE ? 2 : format_is_lines(format);
        assert_int_equal(formats[format].frame_bytes(update), (size_t)(got.bytes - frame) + got.size + behind);
        assert_int_equal(format_frame_bytes(format, frame), formats[format].frame_bytes(update));
        guard_free(frame);
    }
}

static void each_format_says_an_update_as_the_protocol_shows_it(void **state)
{
    static const struct {
        const char *topic;
        uint64_t    seq, ts_us;
        const char *data;
        bool        line_break;
        const char *array, *raw, *sse;
    } facts[] = {
        { "AAPL", 1042, 1763812345679313, "{\"p\":1}", false, "[\"AAPL\",1042,1763812345679313,{\"p\":1}]", "{\"p\":1}", "{\"topic\":\"AAPL\",\"seq\":1042,\"ts\":1763812345679313,\"data\":{\"p\":1}}" },
        { "a", 1, 0, "0", false, "[\"a\",1,0,0]", "0", "{\"topic\":\"a\",\"seq\":1,\"ts\":0,\"data\":0}" },
        { "x.y/z", UINT64_MAX, UINT64_MAX, "null", false, "[\"x.y/z\",18446744073709551615,18446744073709551615,null]", "null",
          "{\"topic\":\"x.y/z\",\"seq\":18446744073709551615,\"ts\":18446744073709551615,\"data\":null}" },
        { "t", 7, 7, "[1,\r\n2,\n3,\r4]", true, "[\"t\",7,7,[1,  2, 3, 4]]", "[1,  2, 3, 4]", "{\"topic\":\"t\",\"seq\":7,\"ts\":7,\"data\":[1,  2, 3, 4]}" },
        { "t", 7, 7, "\"\\n\\r\"", true, "[\"t\",7,7,\"\\n\\r\"]", "\"\\n\\r\"", "{\"topic\":\"t\",\"seq\":7,\"ts\":7,\"data\":\"\\n\\r\"}" },
        { "data: ", 9, 9, "\"data: \\n\\n\"", false, "[\"data: \",9,9,\"data: \\n\\n\"]", "\"data: \\n\\n\"", "{\"topic\":\"data: \",\"seq\":9,\"ts\":9,\"data\":\"data: \\n\\n\"}" },
    };
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        struct update update = { span_of_string(facts[i].topic), facts[i].seq, facts[i].ts_us, span_of_string(facts[i].data), facts[i].line_break };
        assert_frame(FORMAT_ARRAY, &update, facts[i].array);
        assert_frame(FORMAT_RAW, &update, facts[i].raw);
        assert_frame(FORMAT_SSE, &update, facts[i].sse);
        assert_frame(FORMAT_LINES, &update, facts[i].sse);
        assert_frame(FORMAT_ARRAY_LINES, &update, facts[i].array);
    }
}

/* Where the header of a frame grows, and where digits are added; with line ends in the data and without. */
static void frames_of_every_size_are_written_and_walked_to_the_byte(void **state)
{
    enum { MOST = 66000 };
    char *data = malloc(MOST);
    assert_non_null(data);
    for (size_t bytes = 1; bytes < MOST; bytes += bytes < 200 || (bytes > 65440 && bytes < 65600) ? 1 : 1777)
        for (enum wire_format format = 0; format < FORMATS_COUNT; format++) {
            bool line_break = bytes > 2 && bytes % 3 == 0;
            memset(data, '5', bytes);
            if (line_break) data[bytes / 2] = bytes % 2 ? '\n' : '\r';
            struct update update = { SPAN_LITERAL("crypto.BTC"), bytes * 31, bytes * 1000003, span_of(data, bytes), line_break };
            char *frame = encode(format, &update, bytes % 2);
            assert_int_equal(format_frame_bytes(format, frame), formats[format].frame_bytes(&update));
            struct update back = frame_read(format, frame, update.topic);
            assert_int_equal(back.data.size, bytes);
            if (line_break) data[bytes / 2] = ' ';
            assert_memory_equal(back.data.bytes, data, bytes);
            if (format_inflated(format) != FORMAT_RAW) assert_true(back.seq == update.seq && back.ts_us == update.ts_us);
            guard_free(frame);
        }
    free(data);
}

/* One behind the other in one run of bytes, as in a segment: who walks from frame to frame lands on each, and on the end. */
static void a_run_of_frames_is_walked_from_one_to_the_next(void **state)
{
    enum { COUNT = 400 };
    for (enum wire_format format = 0; format < FORMATS_COUNT; format++) {
        char *run = malloc(COUNT * 2000), *end = run;
        assert_non_null(run);
        char data[1200];
        memset(data, '7', sizeof data);
        for (uint64_t seq = 1; seq <= COUNT; seq++) {
            struct update update = { SPAN_LITERAL("t"), seq, seq, span_of(data, 1 + seq * 3 % sizeof data), false };
            formats[format].encode(&update, end);
            end += formats[format].frame_bytes(&update);
        }
        char *copy = guard_copy(span_of(run, (size_t)(end - run))), *at = copy;
        for (uint64_t seq = 1; seq <= COUNT; seq++) {
            assert_int_equal(frame_read(format, at, SPAN_LITERAL("t")).data.size, 1 + seq * 3 % sizeof data);
            at += format_frame_bytes(format, at);
        }
        assert_ptr_equal(at, copy + (end - run));
        guard_free(copy);
        free(run);
    }
}

/* What a log in another format is filled by. */
static void what_is_read_out_of_json_is_written_alike_in_every_format(void **state)
{
    static const char *const bodies[] = { "0", "\"}\"", "{\"data\":1,\"seq\":5}", "[[],{}]", "\"\\\"\"" };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        for (enum wire_format format = 0; format < FORMATS_COUNT; format++) {
            struct update update = { SPAN_LITERAL("a.b"), 17 + i, 1763812345679313, span_of_string(bodies[i]), false };
            char *json = encode(FORMAT_JSON, &update, true), *direct = encode(format, &update, true);
            struct update back = format_json_read(json, update.topic);
            char *over = encode(format, &back, true);
            assert_int_equal(formats[format].frame_bytes(&back), formats[format].frame_bytes(&update));
            assert_memory_equal(over, direct, formats[format].frame_bytes(&update));
            guard_free(json);
            guard_free(direct);
            guard_free(over);
        }
}

/* What stands in a deflated log: the frame with its message compressed, or as it was where that is no gain. */
static void a_frame_is_compressed_in_its_place(void **state)
{
    char data[70000];
    for (size_t bytes = 1; bytes < sizeof data; bytes += bytes < 400 ? 1 : 4999) {
        for (size_t i = 0; i < bytes; i++) data[i] = (char)('0' + i * i / 7 % 10);
        data[0] = '1';
        struct update update = { SPAN_LITERAL("crypto.BTC"), bytes * 31, bytes * 1000003, span_of(data, bytes), false };
        for (enum wire_format format = FORMAT_JSON_DEFLATED; format <= FORMAT_RAW_DEFLATED; format++) {
            size_t before = formats[format].frame_bytes(&update);
            char *frame = encode(format, &update, bytes % 2), *plain = malloc(before);
            assert_non_null(plain);
            memcpy(plain, frame, before);
            assert_int_equal(format_deflate(NULL, frame, before), before);
            assert_memory_equal(frame, plain, before);
            size_t after = format_deflate(&deflating, frame, before);
            assert_true(after <= before && (after < before || bytes < 100 || bytes > 16000));
            assert_int_equal(format_frame_bytes(format, frame), after);
            assert_int_equal((frame[0] & WS_RSV1) != 0, after < before);
            if (after == before) assert_memory_equal(frame, plain, before);
            struct update back = frame_read(format, frame, update.topic);
            assert_true(span_equals(back.data, update.data));
            assert_int_equal(format_ts_read(format, frame, update.topic), 0);
            free(plain);
            guard_free(frame);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_update_is_written_as_the_protocol_shows_it),
        cmocka_unit_test(digits_are_counted_right_at_every_power_of_ten),
        cmocka_unit_test(frames_of_every_size_are_read_back),
        cmocka_unit_test(each_format_says_an_update_as_the_protocol_shows_it),
        cmocka_unit_test(frames_of_every_size_are_written_and_walked_to_the_byte),
        cmocka_unit_test(a_run_of_frames_is_walked_from_one_to_the_next),
        cmocka_unit_test(a_frame_is_compressed_in_its_place),
        cmocka_unit_test(what_is_read_out_of_json_is_written_alike_in_every_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
