/* Request heads that are refused: smuggling in all its forms, each with its status, at the earliest byte, and for
 * good. */
#include "tests/unit/http_heads.h"

#include <stdio.h>

/* clang-format off */
static const struct { struct span head; unsigned status; const char *name; } bads[] = {
#define IS(status, head, name) { SPAN_LITERAL(head), status, name }
    /* the request line */
    IS(400, " GET / HTTP/1.1\r\nHost: x\r\n\r\n", "a space before the method"),
    IS(400, "\r\n\r\n" GET END, "two empty lines before"),
    IS(400, "\n" GET END, "a bare LF before"),
    IS(400, "\r" GET END, "a bare CR before"),
    IS(400, "GET  / HTTP/1.1\r\nHost: x\r\n\r\n", "two spaces before the target"),
    IS(400, "GET /  HTTP/1.1\r\nHost: x\r\n\r\n", "two spaces behind the target"),
    IS(400, "GET / HTTP/1.1 \r\nHost: x\r\n\r\n", "a space behind the version"),
    IS(400, "GET /\tHTTP/1.1\r\nHost: x\r\n\r\n", "a tab for a space"),
    IS(400, "GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n", "a tab behind the method"),
    IS(400, "GET / b HTTP/1.1\r\nHost: x\r\n\r\n", "a space in the target"),
    IS(400, "GET /\r\n", "HTTP/0.9"),
    IS(400, "GET\r\n", "a method alone"),
    IS(400, "G{T / HTTP/1.1\r\nHost: x\r\n\r\n", "a method that is no token"),
    IS(400, "GET / http/1.1\r\nHost: x\r\n\r\n", "a version in small letters"),
    IS(400, "GET / HTTP1.1\r\nHost: x\r\n\r\n", "a version without slash"),
    IS(400, "GET / HTTP/\r\nHost: x\r\n\r\n", "a version without number"),
    IS(400, "GET / HTTP/1.1a\r\nHost: x\r\n\r\n", "a version with a letter"),
    IS(400, "GET / JUNK/1.1\r\nHost: x\r\n\r\n", "another protocol"),
    IS(505, "GET / HTTP/2.0\r\nHost: x\r\n\r\n", "HTTP/2.0"),
    IS(505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/2 with prior knowledge"),
    IS(505, "GET / HTTP/0.9\r\nHost: x\r\n\r\n", "HTTP/0.9, said aloud"),
    IS(400, "GET / HTTP/1.10\r\nHost: x\r\n\r\n", "HTTP/1.10 is not 1.1"),
    IS(400, "GET / HTTP/11\r\nHost: x\r\n\r\n", "HTTP/11"),
    IS(400, "\x16\x03\x01\x02\x00\x01", "a TLS hello"),
    IS(400, "GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n", "a NUL in the target"),
    IS(400, "GET /\x7f HTTP/1.1\r\nHost: x\r\n\r\n", "DEL in the target"),
    IS(400, "GET /\xc3\xbc HTTP/1.1\r\nHost: x\r\n\r\n", "UTF-8 in the target"),
    IS(400, "GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n", "a fragment"),
    IS(400, "GET /a\rb HTTP/1.1\r\nHost: x\r\n\r\n", "a CR in the target"),
    IS(400, "GET / HTTP/1.1\nHost: x\n\n", "bare LF as line end"),
    IS(400, "GET / HTTP/1.1\rHost: x\r\r", "bare CR as line end"),
    IS(400, "GET / HTTP/1.1\r\r\nHost: x\r\n\r\n", "CR CR LF"),
    IS(400, "GET a HTTP/1.1\r\nHost: x\r\n\r\n", "a relative path"),
    IS(400, "GET * HTTP/1.1\r\nHost: x\r\n\r\n", "the asterisk is for OPTIONS"),
    IS(400, "OPTIONS *a HTTP/1.1\r\nHost: x\r\n\r\n", "an asterisk and more"),
    IS(400, "CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", "authority form"),
    IS(400, "GET ?a HTTP/1.1\r\nHost: x\r\n\r\n", "a query without path"),
    IS(400, "GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n", "absolute form of another scheme"),
    IS(400, "GET http:/x/ HTTP/1.1\r\nHost: x\r\n\r\n", "absolute form with one slash"),
    IS(400, "GET http: HTTP/1.1\r\nHost: x\r\n\r\n", "a scheme alone"),
    IS(400, "GET http:// HTTP/1.1\r\nHost: x\r\n\r\n", "absolute form without host"),
    IS(400, "GET http:///a HTTP/1.1\r\nHost: x\r\n\r\n", "absolute form with an empty host"),
    IS(400, "GET http://a:b@x/ HTTP/1.1\r\nHost: x\r\n\r\n", "RFC 9110, 4.2.4: a password in the target"),
    IS(400, "GET http://x@y/ HTTP/1.1\r\nHost: x\r\n\r\n", "a user in the target"),
    IS(400, "GET http://x:99999/ HTTP/1.1\r\nHost: x\r\n\r\n", "absolute form with a port beyond ports"),
    IS(400, "GET http://x/ HTTP/1.1\r\n\r\n", "RFC 9112, 3.2.2: absolute form doesn't spare the Host line"),
    /* Host */
    IS(400, "GET / HTTP/1.1\r\n\r\n", "no Host"),
    IS(400, GET "Host: x\r\n" END, "the same Host twice"),
    IS(400, GET "Host: y\r\n" END, "two Hosts"),
    IS(400, "GET / HTTP/1.0\r\nHost: x\r\nHOST: x\r\n\r\n", "two Hosts in 1.0"),
    IS(400, "GET / HTTP/1.1\r\nHost:\r\n\r\n", "an empty Host"),
    IS(400, "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", "two Hosts merged by someone"),
    IS(400, "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", "two Hosts merged without a space"),
    IS(400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "a space in Host"),
    IS(400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "a slash in Host"),
    IS(400, "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", "a user in Host"),
    IS(400, "GET / HTTP/1.1\r\nHost: a?b\r\n\r\n", "a query in Host"),
    IS(400, "GET / HTTP/1.1\r\nHost: a#b\r\n\r\n", "a fragment in Host"),
    IS(400, "GET / HTTP/1.1\r\nHost: a\\b\r\n\r\n", "a backslash in Host"),
    IS(400, "GET / HTTP/1.1\r\nHost: a\xc3\xbc\r\n\r\n", "UTF-8 in Host"),
    IS(400, "GET / HTTP/1.1\r\nHost: a%2\r\n\r\n", "half a percent-encoding in Host"),
    IS(400, "GET / HTTP/1.1\r\nHost: a%zz\r\n\r\n", "no percent-encoding in Host"),
    IS(400, "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", "a port that is no number"),
    IS(400, "GET / HTTP/1.1\r\nHost: a:-1\r\n\r\n", "a port with a sign"),
    IS(400, "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", "a port beyond ports"),
    IS(400, "GET / HTTP/1.1\r\nHost: a:000080\r\n\r\n", "a port of six digits"),
    IS(400, "GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n", "two ports"),
    IS(400, "GET / HTTP/1.1\r\nHost: :80\r\n\r\n", "a port alone"),
    IS(400, "GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", "an IPv6 address without brackets"),
    IS(400, "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", "an open bracket"),
    IS(400, "GET / HTTP/1.1\r\nHost: []\r\n\r\n", "empty brackets"),
    IS(400, "GET / HTTP/1.1\r\nHost: [:]\r\n\r\n", "an address of one colon"),
    IS(400, "GET / HTTP/1.1\r\nHost: [::1]a\r\n\r\n", "something behind the bracket"),
    IS(400, "GET / HTTP/1.1\r\nHost: [::g]\r\n\r\n", "an address of other letters"),
    /* header lines */
    IS(400, GET "X : y\r\n" END, "a space before the colon"),
    IS(400, GET "X\t: y\r\n" END, "a tab before the colon"),
    IS(400, GET "Transfer-Encoding : chunked\r\n" END, "a space before the colon of Transfer-Encoding"),
    IS(400, GET "X Y: z\r\n" END, "a space in a name"),
    IS(400, GET " X: y\r\n" END, "obs-fold, a space"),
    IS(400, GET "X: y\r\n\tz\r\n" END, "obs-fold, a tab"),
    IS(400, GET "X: y\r\n \r\n" END, "a line of white space"),
    IS(400, "GET / HTTP/1.1\r\n Host: x\r\n\r\n", "white space before the first header"),
    IS(400, GET ": y\r\n" END, "no name"),
    IS(400, GET "X\r\n" END, "no colon"),
    IS(400, GET "X(): y\r\n" END, "a name that is no token"),
    IS(400, GET "X\xc3\xbc: y\r\n" END, "a name beyond ASCII"),
    IS(400, GET "\"X\": y\r\n" END, "a name in quotes"),
    IS(400, GET "X: y\nZ: z\r\n" END, "a bare LF between headers"),
    IS(400, GET "X: y\rZ: z\r\n" END, "a bare CR in a value"),
    IS(400, GET "X: y\r\r\n" END, "CR CR LF behind a value"),
    IS(400, GET "X: \0\r\n" END, "a NUL in a value"),
    IS(400, GET "X: \x0b\r\n" END, "a vertical tab in a value"),
    IS(400, GET "X: \x1b[0m\r\n" END, "an escape in a value"),
    IS(400, GET "X: \x7f\r\n" END, "DEL in a value"),
    IS(400, GET "X\0: y\r\n" END, "a NUL in a name"),
    IS(400, GET "\n", "a bare LF for the empty line"),
    IS(400, GET "\rGET / HTTP/1.1\r\n", "CR and a second request"),
    /* where the request ends */
    IS(400, POST "Content-Length: 5\r\nContent-Length: 5\r\n" END, "the same length twice"),
    IS(400, POST "Content-Length: 5\r\nContent-Length: 6\r\n" END, "two lengths"),
    IS(400, POST "Content-Length: 5, 5\r\n" END, "a list of lengths"),
    IS(400, POST "Content-Length: 5,6\r\n" END, "a list of different lengths"),
    IS(400, POST "Content-Length: +5\r\n" END, "a plus"),
    IS(400, POST "Content-Length: -5\r\n" END, "a minus"),
    IS(400, POST "Content-Length: 0x5\r\n" END, "hexadecimal"),
    IS(400, POST "Content-Length: 5a\r\n" END, "a letter"),
    IS(400, POST "Content-Length: 5 5\r\n" END, "a space within"),
    IS(400, POST "Content-Length: 5.0\r\n" END, "a point"),
    IS(400, POST "Content-Length: \"5\"\r\n" END, "quotes"),
    IS(400, POST "Content-Length: \xb2\r\n" END, "a digit of Latin-1"),
    IS(400, POST "Content-Length:\r\n" END, "an empty length"),
    IS(400, POST "Content-Length: 9223372036854775808\r\n" END, "2^63"),
    IS(400, POST "Content-Length: 18446744073709551616\r\n" END, "2^64"),
    IS(400, POST "Content-Length: 18446744073709551621\r\n" END, "2^64 + 5"),
    IS(400, POST "Content-Length: 99999999999999999999999999999999999999999\r\n" END, "far beyond"),
    IS(400, POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" END, "length, then chunked"),
    IS(400, POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n" END, "chunked, then length"),
    IS(400, POST "transfer-encoding: chunked\r\nX: y\r\nCONTENT-LENGTH: 0\r\n" END, "chunked, something, then length zero"),
    IS(400, "POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", "chunked in 1.0"),
    IS(400, "POST / HTTP/1.0\r\nTransfer-Encoding: gzip\r\n\r\n", "another coding in 1.0"),
    IS(501, POST "Transfer-Encoding: gzip\r\n" END, "another coding"),
    IS(501, POST "Transfer-Encoding: gzip, chunked\r\n" END, "another coding, then chunked"),
    IS(501, POST "Transfer-Encoding: chunked, gzip\r\n" END, "chunked, then another coding"),
    IS(501, POST "Transfer-Encoding: chunked, chunked\r\n" END, "chunked twice"),
    IS(501, POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" END, "chunked in two lines"),
    IS(501, POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n" END, "chunked, then identity"),
    IS(501, POST "Transfer-Encoding: identity\r\n" END, "identity"),
    IS(501, POST "Transfer-Encoding: xchunked\r\n" END, "a word that ends like it"),
    IS(501, POST "Transfer-Encoding: chunkedx\r\n" END, "a word that begins like it"),
    IS(501, POST "Transfer-Encoding: chunked;q=1\r\n" END, "chunked with a parameter"),
    IS(501, POST "Transfer-Encoding: \"chunked\"\r\n" END, "chunked in quotes"),
    IS(501, POST "Transfer-Encoding: ,chunked\r\n" END, "chunked behind an empty element"),
    IS(501, POST "Transfer-Encoding:\r\n" END, "no coding"),
    IS(501, POST "Transfer-Encoding: chun\xc5\xbf" "ed\r\n" END, "letters that fold to it elsewhere"),
    IS(400, POST "Transfer-Encoding: \x0b" "chunked\r\n" END, "a vertical tab before it"),
    IS(501, POST "Transfer-Encoding:\r\n chunked\r\n" END, "obs-fold before it: no coding at all comes first"),
    IS(400, POST "Transfer\rEncoding: chunked\r\n" END, "a CR in its name"),
    /* what must stand once */
    IS(400, GET "Sec-WebSocket-Key: a\r\nSec-WebSocket-Key: a\r\n" END, "two keys"),
    IS(400, GET "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13\r\n" END, "two versions"),
    IS(400, GET "Authorization: a\r\nAuthorization: b\r\n" END, "two Authorizations"),
    IS(400, GET "X-API-Key: a\r\nx-api-key: b\r\n" END, "two API keys"),
    IS(400, GET "Origin:\r\nOrigin: b\r\n" END, "two Origins, the first empty"),
};
/* clang-format on */

static void bad_heads_are_refused_with_their_status(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bads / sizeof *bads; i++) {
        struct http_request request;
        struct http_fault fault;
        if (decode(bads[i].head, HEAD_MAX, &request, &fault) != DECODE_BAD) fail_msg("%s: passes", bads[i].name);
        if (fault.status != bads[i].status || !fault.why) fail_msg("%s: %u %s", bads[i].name, fault.status, fault.why);
    }
}

static void bad_heads_never_pass_and_stay_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bads / sizeof *bads; i++) {
        struct http_fault fault;
        if (walk_prefixes(bads[i].head, HEAD_MAX, bads[i].name, &fault) != DECODE_BAD)
            fail_msg("%s: passes", bads[i].name);
        if (fault.status != bads[i].status) fail_msg("%s: %u", bads[i].name, fault.status);
    }
}

static void faults_show_at_the_earliest_byte(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct { const char *head; size_t shown_at; const char *name; } early[] = {
        { "\x16\x03\x01", 1, "a TLS hello" },
        { "\nGET", 1, "a bare LF" },
        { "\rG", 2, "a bare CR" },
        { " GET", 1, "a space before the method" },
        { "G{", 2, "a method that is no token" },
        { "GET\t", 4, "a tab behind the method" },
        { "GET /\x01", 6, "a control character in the target" },
        { "GET / HTTP/1.1\n", 15, "a bare LF behind the version" },
        { "GET / HTTP/2.0\r\n", 16, "a version, when its line is over" },
        { GET " ", 26, "a fold" },
        { GET "X ", 27, "a space before the colon" },
        { GET ":", 26, "no name" },
        { GET "X: \x02", 29, "a control character in a value" },
        { GET "\rG", 27, "CR for the empty line, then not LF" },
        { GET "Host: y\r\n", 34, "a second Host, when its line is over" },
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof early / sizeof *early; i++) {
        struct http_request request;
        struct http_fault fault;
        struct span head = span_of_string(early[i].head);
        if (decode(span_of(head.bytes, early[i].shown_at), HEAD_MAX, &request, &fault) != DECODE_BAD)
            fail_msg("%s: late", early[i].name);
        if (decode(span_of(head.bytes, early[i].shown_at - 1), HEAD_MAX, &request, &fault) != DECODE_MORE)
            fail_msg("%s: early", early[i].name);
    }
}

/* Each control character at each place of a value long enough for all paths of the scan. */
static void no_place_hides_a_control_character(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++)
        for (size_t size = 1; size <= 70; size += c == '\r' || c == '\t' ? 1 : 23)
            for (size_t place = 0; place < size; place++) {
                char head[200];
                size_t at = (size_t)sprintf(head, GET "X:");
                memset(head + at, 'v', size);
                head[at + place] = (char)c;
                memcpy(head + at + size, "\r\n\r\n", 4);
                struct http_request request;
                struct http_fault fault;
                bool good = c == '\t' || (c >= 0x20 && c != 0x7f);
                enum decode answer = decode(span_of(head, at + size + 4), HEAD_MAX, &request, &fault);
                if (answer != (good ? DECODE_DONE : DECODE_BAD))
                    fail_msg("%02x at %zu of %zu", (unsigned)c, place, size);
            }
}

static void what_is_bad_within_the_limit_is_bad_beyond_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bads / sizeof *bads; i++)
        for (size_t limit = 1; limit <= bads[i].head.size; limit++) {
            struct http_fault fault;
            if (walk_prefixes(bads[i].head, limit, bads[i].name, &fault) != DECODE_BAD)
                fail_msg("%s: passes", bads[i].name);
            if (fault.status != bads[i].status && fault.status != 414 && fault.status != 431)
                fail_msg("%s: %u", bads[i].name, fault.status);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_heads_are_refused_with_their_status),
        cmocka_unit_test(bad_heads_never_pass_and_stay_bad),
        cmocka_unit_test(faults_show_at_the_earliest_byte),
        cmocka_unit_test(no_place_hides_a_control_character),
        cmocka_unit_test(what_is_bad_within_the_limit_is_bad_beyond_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
