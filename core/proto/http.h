/* HTTP/1.1 requests (RFC 9110, 9112): the head, chunked bodies, targets and queries. Strict on all that request smuggling
 * lives from. Pure; any thread; no allocation: all slices point into the bytes given. */
#ifndef CORE_PROTO_HTTP_H
#define CORE_PROTO_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/span.h"
#include "core/proto/decode.h"

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_DELETE, HTTP_OPTIONS, HTTP_PATCH, HTTP_OTHER };

/* One request head. Slices point into the bytes that were decoded; absent headers are SPAN_NONE. Values come without the
 * white space around them. */
struct http_request {
    enum http_method method;
    struct span      target;  /* as sent */
    struct span      path;    /* of the origin or absolute form, up to the '?', percent-encoding untouched; "*" of OPTIONS */
    struct span      query;   /* after the first '?', without it; SPAN_NONE where there is none */
    uint8_t          minor;   /* HTTP/1.minor: 0, or 1 of all that come after it */
    bool             keep_alive;   /* from version and Connection: what the client wants */
    bool             chunked;      /* the body is chunked */
    bool             has_length;
    uint64_t         content_length; /* bytes; where has_length */
    bool             expect_continue;
    bool             connection_upgrade; /* Connection names `upgrade` (any case, list form, several lines) */
    bool             upgrade_websocket;  /* Upgrade names `websocket` (any case, list form) */
    struct span      host; /* of the Host line; of the target where that is in absolute form, which counts (9112, 3.2.2) */
    struct span      origin, authorization, x_api_key, accept, last_event_id, content_type;
    struct span      ws_key, ws_version;
    struct span      ws_protocols, ws_extensions; /* of several lines of one kind that follow one another: from the first value's
                                                     start to the last value's end, which http_list_next walks over; of lines
                                                     that stand apart the first run, for the others see http_header_next */
    uint32_t         head_bytes; /* of request line, headers and the empty line */
    uint32_t         headers_at; /* offset of the first header line, for http_header_next */
};

/* What a bad head is answered with. */
struct http_fault {
    uint16_t    status; /* 400, 405 never, 414, 431, 501, 505 */
    const char *why;    /* a plain sentence; a literal */
};

/* Decodes one request head.
 *   bytes       borrowed; may end anywhere; may go on after the head (body, next request)
 *   bytes_max   bound on request line and headers together (limits.head): a request line alone that is longer is 414, else 431;
 *               bytes_max bytes without the end are BAD already, so room for more is never needed
 *   returns     DONE, request written | MORE | BAD, fault written
 * Refused with 400: bare CR or LF as line end, CR, NUL or other control characters in a line, white space before the colon or at a
 * line's start (obs-fold), an empty or non-token name, a missing (1.1), repeated or malformed Host, repeated or non-decimal
 * or overflowing Content-Length (also the same value twice, also lists), Content-Length with Transfer-Encoding, Transfer-
 * Encoding on 1.0, any Transfer-Encoding but `chunked` alone (501), repeated Sec-WebSocket-Key or -Version, a repeated
 * Authorization or X-API-Key or Origin, more than 100 headers (431), a target that is not origin, absolute (http, https, ws, wss) or, for
 * OPTIONS, asterisk form, or holds bytes outside of printable ASCII. A version other than HTTP/1 is 505; HTTP/1.2 to 1.9 is served
 * as 1.1 (9110, 2.5). At most one empty line before the request line is skipped (9112, 2.2) and counts into head_bytes. */
enum decode http_request_decode(struct span bytes, size_t bytes_max, struct http_request *request, struct http_fault *fault);

/* Walks over header lines of a head (head_bytes of it) that decoded as DONE: sets name and value (trimmed) and moves *at,
 * which starts as request->headers_at. False at the end. For the rarely needed: several Sec-WebSocket-Protocol lines. */
bool http_header_next(struct span head, uint32_t *at, struct span *name, struct span *value);

/* Next element of a comma-separated list (9110, 5.6.1), trimmed, empty ones skipped; moves *list behind it. A comma within
 * quotes separates nothing. */
bool http_list_next(struct span *list, struct span *element);

/* ASCII comparison without case. */
bool http_token_is(struct span token, const char *lower_case);

/* Chunked bodies (9112, 7.1), fed piece by piece. Zero it before the first. */
struct http_chunked {
    uint64_t left;        /* bytes of the chunk not yet delivered */
    uint32_t line_bytes;  /* of the size line or of all trailers, bounded by HTTP_CHUNK_LINE_MAX */
    uint8_t  state;
};
#define HTTP_CHUNK_LINE_MAX 4096

/* Takes bytes from `bytes` and delivers at most one run of body bytes.
 *   body      out: a slice of bytes, maybe empty
 *   eaten     out: how many bytes were used, framing and body together
 *   returns   DONE: the body ended (after *eaten bytes; body is then empty) | MORE: go on with what follows *eaten (call again
 *             while eaten > 0 and bytes are left) | BAD: 400. Extensions and trailers are checked for their characters and
 *             skipped; sizes above 2^53 are BAD. */
enum decode http_chunked_feed(struct http_chunked *state, struct span bytes, struct span *body, size_t *eaten);

/* Next `name=value` of a query string, still percent-encoded; a missing '=' is an empty value. False at the end. */
bool http_query_next(struct span *query, struct span *name, struct span *value);

/* Decodes %XX; `+` stands for itself. `out` has room for text.size bytes. Returns the size, or -1 for a broken %XX. */
long http_percent_decode(struct span text, char *out);

/* The standard's words for a status, "Not Found"; "Error" where unknown. */
const char *http_status_text(uint16_t status);

#endif
