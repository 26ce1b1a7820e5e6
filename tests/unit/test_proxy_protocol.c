/* The PROXY protocol's headers, each on guard pages and in all splits; those of version 1 from its specification. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/proto/proxy_protocol.h"
#include "tests/unit/guard.h"

#define V2 "\r\n\r\n\0\r\nQUIT\n"
#define V4_ADDRESSES "\xcb\0q\7" "\xc6\x33\x64\1" "\xdc\4" "\1\xbb"
#define V6_ADDRESSES " \1\r\xb8\0\0\0\0\0\0\0\0\0\0\0\1" "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1" "\xdc\4" "\1\xbb"
#define BYTES(text) { text, sizeof(text) - 1 }

struct fact {
    struct span bytes;
    enum decode verdict;
    uint8_t     version;
    const char *source; /* NULL: not proxied */
    uint32_t    size;
    const char *name;
};

/* clang-format off */
static const struct fact facts[] = {
    { BYTES("PROXY TCP4 203.0.113.7 198.51.100.1 56324 443\r\nGET"), DECODE_DONE, 1, "203.0.113.7", 47, "version 1, IPv4" },
    { BYTES("PROXY TCP6 2001:db8::1 ::1 0 65535\r\n"), DECODE_DONE, 1, "2001:db8::1", 36, "version 1, IPv6" },
    { BYTES("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"), DECODE_DONE, 1, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 104, "the longest of TCP6" },
    { BYTES("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"), DECODE_DONE, 1, NULL, 107, "the longest there is" },
    { BYTES("PROXY UNKNOWN\r\n"), DECODE_DONE, 1, NULL, 15, "the short UNKNOWN" },
    { BYTES("GET / HTTP/1.1\r\n"), DECODE_DONE, 0, NULL, 0, "a request" },
    { BYTES("PUT / HTTP/1.1\r\n"), DECODE_DONE, 0, NULL, 0, "one that begins with P" },
    { BYTES("\r\nGET / HTTP/1.1\r\n"), DECODE_DONE, 0, NULL, 0, "one behind an empty line" },
    { BYTES("\r\n\r\nGET"), DECODE_DONE, 0, NULL, 0, "one behind two" },
    { BYTES("PROXY\r\n"), DECODE_DONE, 0, NULL, 0, "a word alone is no header" },
    { BYTES("PROXY TCP4 203.0.113.7 198.51.100.1 56324"), DECODE_MORE, 0, NULL, 0, "cut in a port" },
    { BYTES(""), DECODE_MORE, 0, NULL, 0, "nothing" },
    { BYTES("PROXY \r\n"), DECODE_BAD, 0, NULL, 0, "no family" },
    { BYTES("PROXY \n"), DECODE_BAD, 0, NULL, 0, "no CR" },
    { BYTES("PROXY TCP4 203.0.113.7 198.51.100.1 56324 443\n"), DECODE_BAD, 0, NULL, 0, "a bare LF" },
    { BYTES("PROXY TCP4  203.0.113.7 198.51.100.1 56324 443\r\n"), DECODE_BAD, 0, NULL, 0, "two spaces" },
    { BYTES("PROXY TCP4 203.0.113.7 198.51.100.1 56324 443 \r\n"), DECODE_BAD, 0, NULL, 0, "a space at the end" },
    { BYTES("PROXY TCP4 203.0.113.7 198.51.100.1 56324\r\n"), DECODE_BAD, 0, NULL, 0, "a port is missing" },
    { BYTES("PROXY TCP4 203.0.113.7 198.51.100.1 056324 443\r\n"), DECODE_BAD, 0, NULL, 0, "a leading zero" },
    { BYTES("PROXY TCP4 203.0.113.7 198.51.100.1 65536 443\r\n"), DECODE_BAD, 0, NULL, 0, "a port too large" },
    { BYTES("PROXY TCP4 2001:db8::1 ::1 1 2\r\n"), DECODE_BAD, 0, NULL, 0, "IPv6 as TCP4" },
    { BYTES("PROXY TCP6 203.0.113.7 198.51.100.1 1 2\r\n"), DECODE_BAD, 0, NULL, 0, "IPv4 as TCP6" },
    { BYTES("PROXY UDP4 203.0.113.7 198.51.100.1 1 2\r\n"), DECODE_BAD, 0, NULL, 0, "UDP" },
    { BYTES("PROXY tcp4 203.0.113.7 198.51.100.1 1 2\r\n"), DECODE_BAD, 0, NULL, 0, "small letters" },
    { BYTES("PROXY UNKNOWN xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"), DECODE_BAD, 0, NULL, 0, "107 bytes without an end" },
    { BYTES(V2 "\x21\x11\0\x0c" V4_ADDRESSES "GET"), DECODE_DONE, 2, "203.0.113.7", 28, "version 2, IPv4" },
    { BYTES(V2 "\x21\x21\0\x24" V6_ADDRESSES), DECODE_DONE, 2, "2001:db8::1", 52, "version 2, IPv6" },
    { BYTES(V2 "\x21\x12\0\x0c" V4_ADDRESSES), DECODE_DONE, 2, "203.0.113.7", 28, "version 2, UDP: the address is one all the same" },
    { BYTES(V2 "\x21\x11\0\x14" V4_ADDRESSES "\4\0\5hello"), DECODE_DONE, 2, "203.0.113.7", 36, "with a type-length-value" },
    { BYTES(V2 "\x20\0\0\0"), DECODE_DONE, 2, NULL, 16, "LOCAL" },
    { BYTES(V2 "\x20\x11\0\x0c" V4_ADDRESSES), DECODE_DONE, 2, NULL, 28, "LOCAL with addresses, which don't count" },
    { BYTES(V2 "\x20\x11\0\1x"), DECODE_DONE, 2, NULL, 17, "LOCAL with what is too short for any" },
    { BYTES(V2 "\x21\0\0\0"), DECODE_DONE, 2, NULL, 16, "of no family" },
    { BYTES(V2 "\x21\x11\0\x0c" "\xcb\0q"), DECODE_MORE, 0, NULL, 0, "cut in an address" },
    { BYTES(V2 "\x21\x11\0"), DECODE_MORE, 0, NULL, 0, "cut in the length" },
    { BYTES(V2 "\x11\x11\0\x0c" V4_ADDRESSES), DECODE_BAD, 0, NULL, 0, "version 1 in binary" },
    { BYTES(V2 "\x22\x11\0\x0c" V4_ADDRESSES), DECODE_BAD, 0, NULL, 0, "an unknown command" },
    { BYTES(V2 "\x21\x41\0\x0c" V4_ADDRESSES), DECODE_BAD, 0, NULL, 0, "an unknown family" },
    { BYTES(V2 "\x21\x13\0\x0c" V4_ADDRESSES), DECODE_BAD, 0, NULL, 0, "an unknown transport" },
    { BYTES(V2 "\x21\x11\0\x0b"), DECODE_BAD, 0, NULL, 0, "too short for IPv4" },
    { BYTES(V2 "\x21\x21\0\x23"), DECODE_BAD, 0, NULL, 0, "too short for IPv6" },
    { BYTES(V2 "\x21\x11\x0f\xf1"), DECODE_BAD, 0, NULL, 0, "longer than 4096 bytes" },
};
/* clang-format on */

static void check(const struct fact *fact, struct span bytes)
{
    struct proxy_header header;
    const char *why = NULL;
    char out[ADDRESS_TEXT_BYTES];
    enum decode verdict = proxy_header_decode(bytes, &header, &why);
    if (verdict != fact->verdict) fail_msg("%s: %d", fact->name, verdict);
    if (verdict == DECODE_BAD) assert_non_null(why);
    if (verdict != DECODE_DONE) return;
    if (header.version != fact->version || header.bytes != fact->size || header.proxied != (fact->source != NULL)) fail_msg("%s: %u %u", fact->name, header.version, header.bytes);
    if (fact->source) assert_string_equal(address_write(&header.source, out), fact->source);
}

/* Cut anywhere it is MORE or already what it is as a whole, and never another. */
static void headers_are_told_in_all_splits(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        for (size_t size = 0; size <= facts[i].bytes.size; size++) {
            struct span bytes = guard_span(span_of(facts[i].bytes.bytes, size));
            struct proxy_header header;
            const char *why;
            if (proxy_header_decode(bytes, &header, &why) != DECODE_MORE) check(&facts[i], bytes);
            else if (facts[i].verdict == DECODE_DONE && facts[i].version > 0) assert_true(size < facts[i].size);
            guard_free(bytes.bytes);
        }
        check(&facts[i], facts[i].bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(headers_are_told_in_all_splits) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
