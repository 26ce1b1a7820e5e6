/* What the tests of request heads share: short spellings, and the walk over all prefixes of a head. */
#ifndef TESTS_UNIT_HTTP_HEADS_H
#define TESTS_UNIT_HTTP_HEADS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/proto/http.h"
#include "tests/unit/guard.h"

#define HEAD_MAX 16384
#define H11 " HTTP/1.1\r\n"
#define GET "GET / HTTP/1.1\r\nHost: x\r\n"
#define POST "POST / HTTP/1.1\r\nHost: x\r\n"
#define END "\r\n"

/* Decodes from before a guard page; the slices of the request end with it. */
static inline enum decode decode(struct span bytes, size_t bytes_max, struct http_request *request,
                                 struct http_fault *fault)
{
    struct span guarded = guard_span(bytes);
    *fault = (struct http_fault){ 0, NULL };
    enum decode answer = http_request_decode(guarded, bytes_max, request, fault);
    guard_free(guarded.bytes);
    return answer;
}

/* Feeds every prefix: MORE, and from some byte on DONE or BAD for good, with one status. Returns what it ends with. */
static inline enum decode walk_prefixes(struct span head, size_t bytes_max, const char *name, struct http_fault *fault)
{
    enum decode answer = DECODE_MORE;
    *fault = (struct http_fault){ 0, NULL };
    struct http_request request;
    for (size_t size = 0; size <= head.size; size++) {
        struct http_fault now = { 0, NULL };
        /* the guard page only for the whole: a page for each prefix would take minutes */
        enum decode next = size == head.size
                               ? decode(span_of(head.bytes, size), bytes_max, &request, &now)
                               : http_request_decode(span_of(head.bytes, size), bytes_max, &request, &now);
        if (answer != DECODE_MORE && next != answer)
            fail_msg("%s: %d, then with %zu bytes %d", name, (int)answer, size, (int)next);
        if (answer == DECODE_BAD && now.status != fault->status)
            fail_msg("%s: %u, then with %zu bytes %u", name, fault->status, size, now.status);
        answer = next;
        *fault = now;
    }
    return answer;
}

#endif
