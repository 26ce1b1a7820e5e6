/* Frame headers and close payloads: RFC 6455's examples, every first pair of bytes, and what must be refused at
 * which byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/proto/ws_frame.h"
#include "tests/unit/guard.h"

enum side { CLIENT, CLIENT_DEFLATE, SERVER, SERVER_DEFLATE }; /* whose frame, and whether RSV1 may stand */

enum flags { FRAGMENT = 0, FIN = 1, RSV1 = 2, MASKED = 4 };

struct fact {
    enum side      side;
    struct span    bytes;
    enum decode    decode;
    size_t         decided_at; /* how many bytes show it */
    enum ws_opcode opcode;
    uint64_t       payload_bytes;
    unsigned       flags;
    const char    *name;
};

#define DONE(side, text, opcode, payload_bytes, header_bytes, flags, name) \
    { side, SPAN_LITERAL(text), DECODE_DONE, header_bytes, opcode, payload_bytes, flags, name }
#define MORE(side, text, name) { side, SPAN_LITERAL(text), DECODE_MORE, SIZE_MAX, 0, 0, 0, name }
#define BAD(side, text, shown_at, name) { side, SPAN_LITERAL(text), DECODE_BAD, shown_at, 0, 0, 0, name }
#define MASK "\x37\xfa\x21\x3d"
static const uint8_t key[4] = { 0x37, 0xfa, 0x21, 0x3d };

/* clang-format off */
static const struct fact facts[] = {
    DONE(SERVER, "\x81\x05Hello", WS_TEXT, 5, 2, FIN, "RFC 5.7: an unmasked text"),
    DONE(CLIENT, "\x81\x85" MASK "\x7f\x9f\x4d\x51\x58", WS_TEXT, 5, 6, FIN | MASKED, "RFC 5.7: a masked text"),
    DONE(SERVER, "\x01\x03Hel", WS_TEXT, 3, 2, FRAGMENT, "RFC 5.7: the first fragment"),
    DONE(SERVER, "\x80\x02lo", WS_CONTINUATION, 2, 2, FIN, "RFC 5.7: the last fragment"),
    DONE(SERVER, "\x89\x05Hello", WS_PING, 5, 2, FIN, "RFC 5.7: a ping"),
    DONE(CLIENT, "\x8a\x85" MASK "\x7f\x9f\x4d\x51\x58", WS_PONG, 5, 6, FIN | MASKED, "RFC 5.7: a masked pong"),
    DONE(SERVER, "\x82\x7e\x01\x00", WS_BINARY, 256, 4, FIN, "RFC 5.7: 256 bytes"),
    DONE(SERVER, "\x82\x7f\0\0\0\0\0\x01\0\0", WS_BINARY, 65536, 10, FIN, "RFC 5.7: 64 KiB"),
    DONE(CLIENT, "\x00\x80" MASK, WS_CONTINUATION, 0, 6, MASKED, "an empty fragment in the middle"),
    DONE(CLIENT, "\x88\x80" MASK, WS_CLOSE, 0, 6, FIN | MASKED, "an empty close"),
    DONE(CLIENT, "\x89\xfd" MASK, WS_PING, 125, 6, FIN | MASKED, "the longest ping"),
    DONE(CLIENT, "\x82\xfe\0\x7e" MASK, WS_BINARY, 126, 8, FIN | MASKED, "126 bytes are the fewest in two"),
    DONE(CLIENT, "\x82\xfe\xff\xff" MASK, WS_BINARY, 65535, 8, FIN | MASKED, "65535 bytes are the most in two"),
    DONE(CLIENT, "\x82\xff\0\0\0\0\0\x01\0\0" MASK, WS_BINARY, 65536, 14, FIN | MASKED, "the longest header"),
    DONE(CLIENT, "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff" MASK, WS_BINARY, INT64_MAX, 14, FIN | MASKED, "2^63 - 1 bytes"),
    DONE(CLIENT_DEFLATE, "\xc1\x85" MASK, WS_TEXT, 5, 6, FIN | RSV1 | MASKED, "a compressed text"),
    DONE(CLIENT_DEFLATE, "\x42\x85" MASK, WS_BINARY, 5, 6, RSV1 | MASKED, "a compressed binary's first fragment"),
    DONE(CLIENT_DEFLATE, "\x81\x85" MASK, WS_TEXT, 5, 6, FIN | MASKED, "an uncompressed text where compression was negotiated"),
    DONE(SERVER_DEFLATE, "\xc1\x07", WS_TEXT, 7, 2, FIN | RSV1, "RFC 7692, 7.2.3.1: a server's compressed text"),
    MORE(CLIENT, "", "nothing"),
    MORE(CLIENT, "\x82", "one byte is not yet a header"),
    MORE(CLIENT, "\x82\x85\x01\x02\x03", "a mask key that lacks a byte"),
    MORE(CLIENT, "\x82\xff\x00\x00\x00\x00\x00", "five zeros may still become 65536"),
    BAD(CLIENT, "\x83\x85" MASK, 1, "opcode 3 is reserved"),
    BAD(CLIENT, "\x87\x85" MASK, 1, "opcode 7 is reserved"),
    BAD(CLIENT, "\x8b\x80" MASK, 1, "opcode 11 is reserved"),
    BAD(CLIENT, "\x8f\x80" MASK, 1, "opcode 15 is reserved"),
    BAD(CLIENT, "\xa1\x85" MASK, 1, "RSV2"),
    BAD(CLIENT, "\x91\x85" MASK, 1, "RSV3"),
    BAD(CLIENT_DEFLATE, "\xe1\x85" MASK, 1, "RSV2 beside RSV1"),
    BAD(CLIENT, "\xc1\x85" MASK, 1, "RSV1 without compression"),
    BAD(CLIENT_DEFLATE, "\xc0\x85" MASK, 1, "RFC 7692, 6: RSV1 on a later fragment"),
    BAD(CLIENT_DEFLATE, "\xc9\x80" MASK, 1, "RFC 7692, 6: RSV1 on a ping"),
    BAD(CLIENT_DEFLATE, "\xc8\x80" MASK, 1, "RFC 7692, 6: RSV1 on a close"),
    BAD(CLIENT, "\x09\x80" MASK, 1, "a fragmented ping"),
    BAD(CLIENT, "\x08\x80" MASK, 1, "a fragmented close"),
    BAD(CLIENT, "\x0a\x80" MASK, 1, "a fragmented pong"),
    BAD(CLIENT, "\x81\x05Hello", 2, "a client's frame without mask"),
    BAD(SERVER, "\x81\x85" MASK, 2, "a server's frame with mask"),
    BAD(CLIENT, "\x89\xfe\x00\x7e" MASK, 2, "a ping of 126 bytes"),
    BAD(CLIENT, "\x88\xff\0\0\0\0\0\x01\0\0" MASK, 2, "a close of 64 KiB"),
    BAD(SERVER, "\x8a\x7e\x00\x05", 2, "a pong with a long length"),
    BAD(CLIENT, "\x82\xfe\x00\x7d" MASK, 4, "125 bytes, said in two"),
    BAD(CLIENT, "\x82\xfe\x00\x00" MASK, 4, "no bytes, said in two"),
    BAD(CLIENT, "\x82\xff\x00\x00\x00\x00\x00\x00\xff\xff" MASK, 8, "65535 bytes, said in eight: six zeros show it"),
    BAD(CLIENT, "\x82\xff\x80\x00\x00\x00\x00\x01\x00\x00" MASK, 3, "bit 63"),
    BAD(SERVER, "\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff", 3, "all bits"),
};
/* clang-format on */

static enum decode decode(enum side side, struct span bytes, struct ws_header *header, const char **why)
{
    struct span guarded = guard_span(bytes);
    *why = NULL;
    enum decode answer = ws_frame_decode(guarded, side == CLIENT || side == CLIENT_DEFLATE,
                                         side == CLIENT_DEFLATE || side == SERVER_DEFLATE, header, why);
    guard_free(guarded.bytes);
    return answer;
}

static bool headers_equal(const struct ws_header *a, const struct ws_header *b)
{
    return a->payload_bytes == b->payload_bytes && a->header_bytes == b->header_bytes && a->opcode == b->opcode &&
           a->fin == b->fin && a->rsv1 == b->rsv1 && a->masked == b->masked && memcmp(a->mask_key, b->mask_key, 4) == 0;
}

static struct ws_header expected_header(uint8_t opcode, uint64_t payload_bytes, size_t header_bytes, unsigned flags)
{
    struct ws_header header = {
        .payload_bytes = payload_bytes, .header_bytes = (uint8_t)header_bytes, .opcode = opcode,
        .fin = flags & FIN, .rsv1 = flags & RSV1, .masked = flags & MASKED,
    };
    if (flags & MASKED) memcpy(header.mask_key, key, 4);
    return header;
}

static void each_fact_holds_for_every_prefix(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        const struct fact *fact = &facts[i];
        struct ws_header expected = expected_header(fact->opcode, fact->payload_bytes, fact->decided_at, fact->flags);
        struct ws_header untouched = expected_header(15, 12345, 77, MASKED);
        for (size_t size = 0; size <= fact->bytes.size; size++) {
            struct ws_header header = untouched;
            const char *why;
            enum decode answer = decode(fact->side, span_of(fact->bytes.bytes, size), &header, &why);
            if (answer != (size < fact->decided_at ? DECODE_MORE : fact->decode))
                fail_msg("%s: %zu bytes", fact->name, size);
            if ((answer == DECODE_BAD) != (why != NULL)) fail_msg("%s: the reason", fact->name);
            if (!headers_equal(&header, answer == DECODE_DONE ? &expected : &untouched))
                fail_msg("%s: the header", fact->name);
        }
    }
}

/* All pairs of first bytes against the rules of 5.2 and 5.5, written once more as a list. */
static void every_first_pair_of_bytes_is_judged(void **state)
{
    (void)state;
    for (unsigned pair = 0; pair < 65536; pair++)
        for (enum side side = CLIENT; side <= SERVER_DEFLATE; side++) {
            unsigned first = pair >> 8, second = pair & 0xff, opcode = first & 15, length = second & 127;
            bool client = side == CLIENT || side == CLIENT_DEFLATE,
                 deflate = side == CLIENT_DEFLATE || side == SERVER_DEFLATE;
            bool known = opcode <= 2 || (opcode >= 8 && opcode <= 10), control = opcode >= 8;
            bool rsv_good = (first & 0x70) == 0 || ((first & 0x70) == 0x40 && deflate && (opcode == 1 || opcode == 2));
            bool first_good = known && rsv_good && (!control || first >= 128);
            bool second_good = (second >= 128) == client && (!control || length <= 125);
            bool whole = !client && length < 126;
            char bytes[2] = { (char)first, (char)second };
            struct ws_header header;
            const char *why;
            enum decode answer = ws_frame_decode(span_of(bytes, 2), client, deflate, &header, &why);
            enum decode expected = !first_good || !second_good ? DECODE_BAD : whole ? DECODE_DONE : DECODE_MORE;
            if (answer != expected) fail_msg("%02x %02x, side %d", first, second, (int)side);
            answer = ws_frame_decode(span_of(bytes, 1), client, deflate, &header, &why);
            if (answer != (first_good ? DECODE_MORE : DECODE_BAD)) fail_msg("%02x, side %d", first, (int)side);
        }
}

static const uint64_t sizes[] = {
    0, 1, 124, 125, 126, 127, 255, 256, 65534, 65535, 65536, 65537, 1 << 24, UINT32_MAX, (uint64_t)1 << 32, INT64_MAX
};

static void what_a_server_writes_reads_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char room[WS_SERVER_HEADER_BYTES_MAX];
        uint32_t bytes = ws_server_header_write(room, WS_BINARY, sizes[i]);
        assert_int_equal(bytes, ws_server_header_bytes(sizes[i]));
        assert_int_equal(bytes, sizes[i] < 126 ? 2 : sizes[i] < 65536 ? 4 : 10);
        char *out = guard_copy(span_of(room, bytes)); /* and writes no byte more than it says */
        assert_int_equal(ws_server_header_write(out, WS_BINARY, sizes[i]), bytes);
        struct ws_header header;
        const char *why;
        assert_int_equal(decode(SERVER, span_of(out, bytes), &header, &why), DECODE_DONE);
        struct ws_header expected = expected_header(WS_BINARY, sizes[i], bytes, FIN);
        assert_true(headers_equal(&header, &expected));
        assert_int_equal(ws_server_frame_bytes(out), bytes + sizes[i]);
        guard_free(out);
    }
}

static void what_a_client_writes_reads_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char room[WS_HEADER_BYTES_MAX];
        uint32_t bytes = ws_client_header_write(room, WS_TEXT, sizes[i], key);
        assert_int_equal(bytes, ws_server_header_bytes(sizes[i]) + 4);
        char *out = guard_copy(span_of(room, bytes));
        assert_int_equal(ws_client_header_write(out, WS_TEXT, sizes[i], key), bytes);
        struct ws_header header;
        const char *why;
        assert_int_equal(decode(CLIENT, span_of(out, bytes), &header, &why), DECODE_DONE);
        struct ws_header expected = expected_header(WS_TEXT, sizes[i], bytes, FIN | MASKED);
        assert_true(headers_equal(&header, &expected));
        guard_free(out);
    }
}

static void a_log_is_walked_frame_by_frame(void **state)
{
    (void)state;
    static const uint32_t payloads[] = { 0, 5, 125, 126, 4000, 65535, 65536, 70000 };
    static char log[300000];
    size_t end = 0, at = 0;
    for (size_t i = 0; i < 8; i++) end += ws_server_header_write(log + end, WS_TEXT, payloads[i]) + payloads[i];
    for (size_t i = 0; i < 8; i++) {
        uint64_t bytes = ws_server_frame_bytes(log + at);
        assert_int_equal(bytes, ws_server_header_bytes(payloads[i]) + payloads[i]);
        at += bytes;
    }
    assert_int_equal(at, end);
}

static void close_payloads_are_read(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct { struct span payload; unsigned answer, code; const char *reason, *name; } closes[] = {
        { SPAN_LITERAL(""), 0, 0, "", "empty: no code" },
        { SPAN_LITERAL("\x03"), 1002, 0, "", "one byte is half a code" },
        { SPAN_LITERAL("\x03\xe8"), 0, 1000, "", "1000 without a reason" },
        { SPAN_LITERAL("\x03\xe8" "bye"), 0, 1000, "bye", "1000 with a reason" },
        { SPAN_LITERAL("\x0f\xa0" "gr\xc3\xbc\xc3\x9f"), 0, 4000, "gr\xc3\xbc\xc3\x9f", "a reason beyond ASCII" },
        { SPAN_LITERAL("\x03\xe8\xff"), 1007, 0, "", "a reason that is not UTF-8" },
        { SPAN_LITERAL("\x03\xe8" "ab\xc3"), 1007, 0, "", "a reason that ends within a character" },
        { SPAN_LITERAL("\x03\xed\xff"), 1002, 0, "", "1005: the code comes before the reason" },
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof closes / sizeof *closes; i++) {
        struct span guarded = guard_span(closes[i].payload), reason;
        uint16_t code;
        if (ws_close_read(guarded, &code, &reason) != closes[i].answer) fail_msg("%s", closes[i].name);
        if (code != closes[i].code || !span_is(reason, closes[i].reason))
            fail_msg("%s: code or reason", closes[i].name);
        if (reason.bytes < guarded.bytes || reason.bytes > guarded.bytes + guarded.size)
            fail_msg("%s: no slice", closes[i].name);
        guard_free(guarded.bytes);
    }
}

static void only_codes_for_the_wire_are_taken(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct { unsigned first, last; bool good; } ranges[] = {
        { 0, 999, false }, { 1000, 1003, true }, { 1004, 1006, false }, { 1007, 1014, true },
        { 1015, 2999, false }, { 3000, 4999, true }, { 5000, 65535, false },
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        for (unsigned sent = ranges[i].first; sent <= ranges[i].last; sent++) {
            char payload[2] = { (char)(sent >> 8), (char)sent };
            uint16_t code;
            struct span reason;
            enum ws_close answer = ws_close_read(span_of(payload, 2), &code, &reason);
            if (answer != (ranges[i].good ? WS_CLOSE_NONE : WS_CLOSE_PROTOCOL)) fail_msg("code %u", sent);
            if (code != (ranges[i].good ? sent : 0)) fail_msg("code %u came out as %u", sent, code);
        }
}

static void what_closes_we_write(void **state)
{
    (void)state;
    char out[127];
    assert_int_equal(ws_close_write(out, WS_CLOSE_NONE, SPAN_LITERAL("not sent")), 2);
    assert_memory_equal(out, "\x88\x00", 2);
    assert_int_equal(ws_close_write(out, WS_CLOSE_GOING_AWAY, SPAN_LITERAL("bye")), 7);
    assert_memory_equal(out, "\x88\x05\x03\xe9" "bye", 7);
    assert_int_equal(ws_close_write(out, WS_CLOSE_TIMEOUT, SPAN_NONE), 4);
    assert_memory_equal(out, "\x88\x02\x11\x38", 4);
}

/* A long reason of characters of 1 to 4 bytes, shifted so that each place in a character meets the limit of 123. */
static void a_long_reason_is_cut_between_characters(void **state)
{
    (void)state;
    static const char *const characters[] = { "a", "\xc3\xbc", "\xe2\x82\xac", "\xf0\x9f\x98\x80" };
    for (size_t width = 1; width <= 4; width++)
        for (size_t shift = 0; shift < width; shift++)
            for (size_t count = 20; count < 70; count++) {
                char reason[400], room[127];
                size_t size = shift;
                memset(reason, '-', shift);
                for (size_t i = 0; i < count; i++, size += width) memcpy(reason + size, characters[width - 1], width);
                size_t kept = size <= 123 ? size : shift + (123 - shift) / width * width;
                char *out = guard_copy(span_of(room, 4 + kept));
                struct span guarded = guard_span(span_of(reason, size));
                assert_int_equal(ws_close_write(out, 1000, guarded), 4 + kept);
                uint16_t code;
                struct span back;
                assert_int_equal(ws_close_read(span_of(out + 2, 2 + kept), &code, &back), WS_CLOSE_NONE);
                assert_true(span_equals(back, span_of(reason, kept)));
                assert_int_equal((uint8_t)out[1], 2 + kept);
                guard_free(out);
                guard_free(guarded.bytes);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_fact_holds_for_every_prefix),
        cmocka_unit_test(every_first_pair_of_bytes_is_judged),
        cmocka_unit_test(what_a_server_writes_reads_back),
        cmocka_unit_test(what_a_client_writes_reads_back),
        cmocka_unit_test(a_log_is_walked_frame_by_frame),
        cmocka_unit_test(close_payloads_are_read),
        cmocka_unit_test(only_codes_for_the_wire_are_taken),
        cmocka_unit_test(what_closes_we_write),
        cmocka_unit_test(a_long_reason_is_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
