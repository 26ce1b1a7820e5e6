/* Request heads (RFC 9112, 2 to 6). Promise: what passes has one reading only, whoever else read it on the way;
 * whether it passes, and the status if not, don't depend on the pieces in which it came.
 *
 * For the second half, faults are looked for in the order of the bytes: line by line; within a line first for bytes
 * that may stand in no line, then for what the line says. A line that is not complete yet is judged only by what
 * would be a 400 anyway. */
#include "core/proto/http.h"
#include "core/proto/http_char.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define HEADERS_MAX 100

static enum decode bad(struct http_fault *fault, uint16_t status, const char *why)
{
    *fault = (struct http_fault){ status, why };
    return DECODE_BAD;
}

/* ---- lines ---- */

/* Offset of the first control character but HTAB at or after `at`; bytes.size where there is none. */
static size_t find_control(struct span bytes, size_t at)
{
#if defined(__SSE2__)
    const __m128i last_control = _mm_set1_epi8(0x1f), tab = _mm_set1_epi8('\t'), del = _mm_set1_epi8(0x7f);
    for (; bytes.size - at >= 16; at += 16) {
        __m128i block = _mm_loadu_si128((const __m128i *)(bytes.bytes + at));
        __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(block, last_control), block);
        control = _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(block, tab), control), _mm_cmpeq_epi8(block, del));
        unsigned hits = (unsigned)_mm_movemask_epi8(control);
        if (hits != 0) return at + (size_t)__builtin_ctz(hits);
    }
#endif
    while (at < bytes.size && http_is_value_char((uint8_t)bytes.bytes[at])) at++;
    return at;
}

/* Takes the line that begins at *at, without its CR LF, and moves *at behind it. On MORE, `line` is what is there. */
static enum decode take_line(struct span bytes, size_t *at, struct span *line, const char **why)
{
    size_t end = find_control(bytes, *at);
    *line = span_of(bytes.bytes + *at, end - *at);
    if (end == bytes.size) return DECODE_MORE;
    if (bytes.bytes[end] != '\r') {
        *why = bytes.bytes[end] == '\n' ? "a line ends in LF without CR" : "a control character in the request's head";
        return DECODE_BAD;
    }
    if (end + 1 == bytes.size) return DECODE_MORE;
    if (bytes.bytes[end + 1] != '\n') {
        *why = "a CR without LF in the request's head";
        return DECODE_BAD;
    }
    *at = end + 2;
    return DECODE_DONE;
}

static size_t token_bytes(struct span text)
{
    size_t i = 0;
    while (i < text.size && http_is_token_char((uint8_t)text.bytes[i])) i++;
    return i;
}

/* ---- the host, of the Host header or of a target in absolute form (RFC 3986, 3.2.2 and 3.2.3) ---- */

/* unreserved and sub-delims. The comma is left out: it is how two Host lines look that someone has merged into one. */
static bool is_host_char(char c)
{
    return http_in_set((uint8_t)c,
                       HTTP_DIGITS | HTTP_BIT('-') | HTTP_BIT('.') | HTTP_BIT('!') | HTTP_BIT('$') | HTTP_BIT('&') |
                           HTTP_BIT('\'') | HTTP_BIT('(') | HTTP_BIT(')') | HTTP_BIT('*') | HTTP_BIT('+') |
                           HTTP_BIT(';') | HTTP_BIT('='),
                       HTTP_LETTERS | HTTP_BIT('_') | HTTP_BIT('~'));
}

/* Bytes of the name or address that `host` begins with; 0 where it begins with neither. */
static size_t host_name_bytes(struct span host)
{
    size_t i = 0;
    if (host.size > 0 && host.bytes[0] == '[') { /* an IPv6 address */
        for (i = 1; i < host.size && host.bytes[i] != ']'; i++)
            if (http_hex_value(host.bytes[i]) < 0 && host.bytes[i] != ':' && host.bytes[i] != '.') return 0;
        return i < host.size && i >= 3 ? i + 1 : 0; /* "[::]" is the shortest */
    }
    while (i < host.size) {
        if (is_host_char(host.bytes[i])) {
            i++;
        } else if (host.bytes[i] == '%') {
            if (host.size - i < 3 || http_hex_value(host.bytes[i + 1]) < 0 || http_hex_value(host.bytes[i + 2]) < 0)
                return 0;
            i += 3;
        } else {
            break;
        }
    }
    return i;
}

static bool host_valid(struct span host)
{
    size_t name_bytes = host_name_bytes(host);
    if (name_bytes == 0) return false;
    struct span port = span_skip(host, name_bytes);
    if (port.size == 0) return true;
    if (port.bytes[0] != ':' || port.size > 6) return false;
    uint32_t number = 0;
    for (size_t i = 1; i < port.size; i++) {
        if (!http_is_digit(port.bytes[i])) return false;
        number = number * 10 + (uint32_t)(port.bytes[i] - '0');
    }
    return number <= 65535;
}

/* ---- the request line (9112, 3) ---- */

static enum http_method method_of(struct span method)
{
    if (span_is(method, "GET")) return HTTP_GET;
    if (span_is(method, "HEAD")) return HTTP_HEAD;
    if (span_is(method, "POST")) return HTTP_POST;
    if (span_is(method, "PUT")) return HTTP_PUT;
    if (span_is(method, "DELETE")) return HTTP_DELETE;
    if (span_is(method, "OPTIONS")) return HTTP_OPTIONS;
    if (span_is(method, "PATCH")) return HTTP_PATCH;
    return HTTP_OTHER;
}

/* HTTP/1.0 and HTTP/1.1 pass, and what comes after 1.1 is served as that (RFC 9110, 2.5); other digits are a version that we don't speak, the
 * rest is no version. */
static enum decode read_version(struct span version, struct http_request *request, struct http_fault *fault)
{
    /* One digit, a point, one digit (RFC 9112, 2.3). */
    bool form = version.size == 8 && memcmp(version.bytes, "HTTP/", 5) == 0 && http_is_digit(version.bytes[5]) && version.bytes[6] == '.'
                && http_is_digit(version.bytes[7]);
    if (!form) return bad(fault, 400, "the request line does not end in a version");
    request->minor = version.bytes[7] != '0';
    if (version.bytes[5] == '1') return DECODE_DONE;
    return bad(fault, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
}

static void split_path(struct span text, struct http_request *request)
{
    const char *mark = span_find(text, '?');
    size_t path_bytes = mark ? (size_t)(mark - text.bytes) : text.size;
    request->path = span_of(text.bytes, path_bytes);
    request->query = mark ? span_skip(text, path_bytes + 1) : SPAN_NONE;
}

/* scheme://host[/path][?query]: what a proxy would be sent; servers must take it too (9112, 3.2.2). */
static bool read_absolute_target(struct span target, struct http_request *request)
{
    const char *colon = span_find(target, ':');
    if (!colon) return false;
    struct span scheme = span_of(target.bytes, (size_t)(colon - target.bytes));
    if (!http_token_is(scheme, "http") && !http_token_is(scheme, "https") && !http_token_is(scheme, "ws") &&
        !http_token_is(scheme, "wss"))
        return false;
    struct span rest = span_skip(target, scheme.size + 1);
    if (rest.size < 2 || memcmp(rest.bytes, "//", 2) != 0) return false;
    rest = span_skip(rest, 2);
    size_t host_bytes = 0;
    while (host_bytes < rest.size && rest.bytes[host_bytes] != '/' && rest.bytes[host_bytes] != '?') host_bytes++;
    request->host = span_of(rest.bytes, host_bytes);
    if (!host_valid(request->host)) return false; /* user:password@ is refused with it (9110, 4.2.4) */
    split_path(span_skip(rest, host_bytes), request);
    /* no path means "/": the one of "://" serves */
    if (request->path.size == 0) request->path = span_of(rest.bytes - 1, 1);
    return true;
}

static enum decode read_target(struct span target, struct http_request *request, struct http_fault *fault)
{
    static const char no_form[] = "the request target is neither a path nor an http address";
    for (size_t i = 0; i < target.size; i++) {
        uint8_t byte = (uint8_t)target.bytes[i];
        if (byte <= 0x20 || byte >= 0x7f)
            return bad(fault, 400, "the request target holds a byte that must be percent-encoded");
        if (byte == '#') return bad(fault, 400, "the request target holds a fragment");
    }
    request->target = target;
    if (target.size == 0) return bad(fault, 400, no_form);
    if (target.bytes[0] == '/') {
        split_path(target, request);
        return DECODE_DONE;
    }
    if (request->method == HTTP_OPTIONS && span_is(target, "*")) {
        request->path = target;
        return DECODE_DONE;
    }
    return read_absolute_target(target, request) ? DECODE_DONE : bad(fault, 400, no_form);
}

/* Method, one space, target, one space, version. The version is judged before the target, so that "PRI * HTTP/2.0" gets
 * its 505. */
static enum decode read_request_line(struct span line, struct http_request *request, struct http_fault *fault)
{
    size_t method_bytes = token_bytes(line);
    if (method_bytes == 0 || method_bytes == line.size || line.bytes[method_bytes] != ' ')
        return bad(fault, 400, "the request line does not begin with a method");
    request->method = method_of(span_of(line.bytes, method_bytes));
    struct span rest = span_skip(line, method_bytes + 1);
    const char *space = span_find(rest, ' ');
    if (!space) return bad(fault, 400, "the request line is not method, target and version");
    struct span target = span_of(rest.bytes, (size_t)(space - rest.bytes));
    enum decode decode = read_version(span_skip(rest, target.size + 1), request, fault);
    return decode == DECODE_DONE ? read_target(target, request, fault) : decode;
}

/* ---- header lines (9112, 5) ---- */

/* For what may stand once only. A slot is taken when it has bytes, and even an empty value has. */
static bool set_once(struct span *slot, struct span value)
{
    if (slot->bytes) return false;
    *slot = value;
    return true;
}

static void set_first(struct span *slot, struct span value)
{
    if (!slot->bytes) *slot = value;
}

/* A list that may stand in several lines. Where the lines follow one another, the slot grows over them all. */
static void extend_list(struct span *slot, struct span name, struct span value)
{
    if (!slot->bytes) {
        *slot = value;
        return;
    }
    const char *end = slot->bytes + slot->size;
    while (http_is_space(*end)) end++; /* white space behind the value; CR LF stops it */
    if (end + 2 == name.bytes) slot->size = (size_t)(value.bytes + value.size - slot->bytes);
}

static bool read_content_length(struct span value, uint64_t *content_length)
{
    uint64_t number = 0;
    if (value.size == 0) return false;
    for (size_t i = 0; i < value.size; i++) {
        if (!http_is_digit(value.bytes[i])) return false;
        unsigned digit = (unsigned)(value.bytes[i] - '0');
        /* so small that a sum with another size can't overflow either */
        if (number > ((uint64_t)INT64_MAX - digit) / 10) return false;
        number = number * 10 + digit;
    }
    *content_length = number;
    return true;
}

/* What Connection says, over all its lines. */
struct connection_words {
    bool close, keep_alive;
};

static void read_connection(struct span list, struct http_request *request, struct connection_words *words)
{
    for (struct span element; http_list_next(&list, &element);) {
        if (http_token_is(element, "close")) words->close = true;
        else if (http_token_is(element, "keep-alive")) words->keep_alive = true;
        else if (http_token_is(element, "upgrade")) request->connection_upgrade = true;
    }
}

static void read_upgrade(struct span list, struct http_request *request)
{
    for (struct span element; http_list_next(&list, &element);)
        if (http_token_is(element, "websocket")) request->upgrade_websocket = true;
}

/* The headers that decide where this request ends (9112, 6.1 to 6.3). */
static enum decode read_framing(bool is_length, struct span value, struct http_request *request,
                                struct http_fault *fault)
{
    if (is_length && request->has_length) return bad(fault, 400, "Content-Length stands twice");
    if (!is_length && request->minor == 0) return bad(fault, 400, "Transfer-Encoding in HTTP/1.0");
    if (is_length ? request->chunked : request->has_length)
        return bad(fault, 400, "both Content-Length and Transfer-Encoding");
    if (is_length) {
        request->has_length = true;
        if (read_content_length(value, &request->content_length)) return DECODE_DONE;
        return bad(fault, 400, "Content-Length is not a number");
    }
    if (request->chunked || !http_token_is(value, "chunked"))
        return bad(fault, 501, "the only transfer coding is chunked, once");
    request->chunked = true;
    return DECODE_DONE;
}

/* Sorts one header in; its length tells most names apart. */
static enum decode sort_header(struct span name, struct span value, struct http_request *request, struct span *host,
                               struct connection_words *words, struct http_fault *fault)
{
    switch (name.size) {
    case 4:
        if (!http_token_is(name, "host")) break;
        if (!set_once(host, value)) return bad(fault, 400, "Host stands twice");
        if (!host_valid(value)) return bad(fault, 400, "Host is not a host");
        break;
    case 6:
        if (http_token_is(name, "origin")) {
            if (!set_once(&request->origin, value)) return bad(fault, 400, "Origin stands twice");
        } else if (http_token_is(name, "accept")) {
            set_first(&request->accept, value);
        } else if (http_token_is(name, "expect") && request->minor == 1) { /* 9110, 10.1.1: not for 1.0 */
            request->expect_continue |= http_token_is(value, "100-continue");
        }
        break;
    case 7:
        if (http_token_is(name, "upgrade")) read_upgrade(value, request);
        break;
    case 9:
        if (http_token_is(name, "x-api-key") && !set_once(&request->x_api_key, value))
            return bad(fault, 400, "X-API-Key stands twice");
        break;
    case 10:
        if (http_token_is(name, "connection")) read_connection(value, request, words);
        break;
    case 12:
        if (http_token_is(name, "content-type")) set_first(&request->content_type, value);
        break;
    case 13:
        if (http_token_is(name, "authorization")) {
            if (!set_once(&request->authorization, value)) return bad(fault, 400, "Authorization stands twice");
        } else if (http_token_is(name, "last-event-id")) {
            set_first(&request->last_event_id, value);
        }
        break;
    case 14:
        if (http_token_is(name, "content-length")) return read_framing(true, value, request, fault);
        break;
    case 17:
        if (http_token_is(name, "transfer-encoding")) return read_framing(false, value, request, fault);
        if (http_token_is(name, "sec-websocket-key") && !set_once(&request->ws_key, value))
            return bad(fault, 400, "Sec-WebSocket-Key stands twice");
        break;
    case 21:
        if (http_token_is(name, "sec-websocket-version") && !set_once(&request->ws_version, value))
            return bad(fault, 400, "Sec-WebSocket-Version stands twice");
        break;
    case 22:
        if (http_token_is(name, "sec-websocket-protocol")) extend_list(&request->ws_protocols, name, value);
        break;
    case 24:
        if (http_token_is(name, "sec-websocket-extensions")) extend_list(&request->ws_extensions, name, value);
        break;
    }
    return DECODE_DONE;
}

/* What a header line, complete or not, shows already; *name_bytes is as far as the name goes. */
static const char *header_line_fault(struct span line, bool complete, size_t *name_bytes)
{
    *name_bytes = token_bytes(line);
    if (line.size > 0 && http_is_space(line.bytes[0])) return "a header line begins with white space";
    if (*name_bytes == line.size) return complete ? "a header line has no colon" : NULL;
    if (http_is_space(line.bytes[*name_bytes])) return "white space in a header's name";
    if (line.bytes[*name_bytes] != ':') return "a header's name is not a token";
    return *name_bytes == 0 ? "a header has no name" : NULL;
}

/* ---- the head ---- */

/* At the end of what we may see: wait for more, or is it too much already? A head of bytes_max that lacks its end will
 * exceed it. */
static enum decode unfinished(struct span bytes, size_t bytes_max, bool in_request_line, struct http_fault *fault)
{
    if (bytes.size < bytes_max) return DECODE_MORE;
    if (in_request_line) return bad(fault, 414, "the request line is too long");
    return bad(fault, 431, "the request's headers are too long");
}

enum decode http_request_decode(struct span bytes, size_t bytes_max, struct http_request *request,
                                struct http_fault *fault)
{
    struct span seen = span_of(bytes.bytes, bytes.size < bytes_max ? bytes.size : bytes_max);
    struct http_request read = { .method = HTTP_OTHER };
    struct connection_words words = { false, false };
    struct span line, host = SPAN_NONE;
    size_t at = 0, name_bytes = 0;
    const char *why = NULL;

    if (bytes.size == 0) return DECODE_MORE;
    enum decode decode = take_line(seen, &at, &line, &why);
    /* one empty line before is forgiven (2.2) */
    if (decode == DECODE_DONE && line.size == 0) decode = take_line(seen, &at, &line, &why);
    if (decode == DECODE_BAD) return bad(fault, 400, why);
    if (decode == DECODE_MORE) {
        size_t method_bytes = token_bytes(line);
        if (method_bytes < line.size && (method_bytes == 0 || line.bytes[method_bytes] != ' '))
            return bad(fault, 400, "the request line does not begin with a method");
        return unfinished(bytes, bytes_max, true, fault);
    }
    decode = read_request_line(line, &read, fault);
    if (decode != DECODE_DONE) return decode;
    read.headers_at = (uint32_t)at;

    for (int count = 0;; count++) {
        if (count == HEADERS_MAX && at < seen.size && seen.bytes[at] != '\r')
            return bad(fault, 431, "more than 100 headers");
        decode = take_line(seen, &at, &line, &why);
        if (decode == DECODE_DONE && line.size == 0) break;
        if (decode != DECODE_BAD) why = header_line_fault(line, decode == DECODE_DONE, &name_bytes);
        if (why) return bad(fault, 400, why);
        if (decode == DECODE_MORE) return unfinished(bytes, bytes_max, false, fault);
        struct span name = span_of(line.bytes, name_bytes), value = http_trim(span_skip(line, name_bytes + 1));
        decode = sort_header(name, value, &read, &host, &words, fault);
        if (decode != DECODE_DONE) return decode;
    }
    if (!host.bytes && read.minor == 1) return bad(fault, 400, "Host is missing");
    if (!read.host.bytes) read.host = host; /* else the target in absolute form named it, which counts (3.2.2) */
    read.keep_alive = !words.close && (read.minor == 1 || words.keep_alive);
    read.head_bytes = (uint32_t)at;
    *request = read;
    return DECODE_DONE;
}
