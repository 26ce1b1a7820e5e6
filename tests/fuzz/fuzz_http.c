/* Fuzzing of what strangers send over HTTP. Promises tried: no byte beyond the input is read, each slice lies
 * within it, an answer never changes with the pieces or with what follows, and every walk ends.
 *
 * Input: one byte that says how (whole head or chunked body, and the size of pieces), then the bytes. */
#include <stdint.h>
#include <stdlib.h>

#include "core/proto/http.h"

#define CLAIM(condition) \
    do { \
        if (!(condition)) __builtin_trap(); \
    } while (0)

static void claim_within(struct span whole, struct span slice)
{
    if (!slice.bytes) return;
    CLAIM(slice.bytes >= whole.bytes && slice.bytes + slice.size <= whole.bytes + whole.size);
}

static void claim_request(struct span head, const struct http_request *request)
{
    const struct span slices[] = {
        request->target, request->path, request->query, request->host, request->origin, request->authorization,
        request->x_api_key, request->accept, request->last_event_id, request->content_type, request->ws_key,
        request->ws_version, request->ws_protocols, request->ws_extensions,
    };
    for (size_t i = 0; i < sizeof slices / sizeof *slices; i++) claim_within(head, slices[i]);
    CLAIM(request->path.size > 0 && request->minor <= 1);
    CLAIM(!(request->chunked && request->has_length));
    CLAIM(request->headers_at <= request->head_bytes);
    CLAIM(head.size >= 4 && memcmp(head.bytes + head.size - 4, "\r\n\r\n", 4) == 0);

    struct span name, value;
    uint32_t at = request->headers_at, count = 0;
    while (http_header_next(head, &at, &name, &value)) {
        claim_within(head, name);
        claim_within(head, value);
        CLAIM(name.size > 0 && !span_find(name, ' ') && !span_find(value, '\n'));
        count++;
    }
    CLAIM(count <= 100 && at + 2 == request->head_bytes); /* the walk and the decoder agree on what a line is */

    const struct span lists[] = { request->ws_protocols, request->ws_extensions, request->accept };
    for (size_t i = 0; i < 3; i++) {
        struct span list = lists[i], element;
        while (http_list_next(&list, &element)) {
            claim_within(lists[i], element);
            CLAIM(element.size > 0 && !span_find(element, '\n'));
        }
    }
    char plain[4096];
    for (struct span query = request->query; http_query_next(&query, &name, &value);) {
        claim_within(request->query, name);
        claim_within(request->query, value);
        CLAIM(http_percent_decode(value, plain) <= (long)value.size);
    }
    CLAIM(http_percent_decode(request->path, plain) <= (long)request->path.size);
}

static void try_head(struct span bytes, size_t bytes_max)
{
    struct http_request whole, prefix;
    struct http_fault fault = { 0, NULL }, first_fault = { 0, NULL };
    enum decode answer = http_request_decode(bytes, bytes_max, &whole, &fault);
    if (answer == DECODE_DONE) {
        CLAIM(whole.head_bytes <= bytes.size && whole.head_bytes <= bytes_max);
        claim_request(span_of(bytes.bytes, whole.head_bytes), &whole);
    }
    if (answer == DECODE_BAD)
        CLAIM(fault.why && (fault.status == 400 || fault.status == 414 || fault.status == 431 || fault.status == 501 ||
                            fault.status == 505));
    for (size_t size = 0; size < bytes.size; size++) {
        enum decode early = http_request_decode(span_of(bytes.bytes, size), bytes_max, &prefix, &first_fault);
        if (early == DECODE_MORE) {
            CLAIM(answer != DECODE_DONE || size < whole.head_bytes);
            continue;
        }
        CLAIM(early == answer); /* what is decided stays */
        if (early == DECODE_DONE) CLAIM(size == whole.head_bytes && prefix.head_bytes == size);
        if (early == DECODE_BAD) CLAIM(first_fault.status == fault.status);
        break;
    }
}

/* Where pieces of that size end up; the body goes to `body`, which has room for all bytes. */
static enum decode read_chunked(struct span bytes, size_t piece_bytes, char *body, size_t *body_bytes,
                                size_t *eaten_in_all)
{
    struct http_chunked chunked = { 0 };
    enum decode answer = DECODE_MORE;
    *body_bytes = *eaten_in_all = 0;
    while (answer == DECODE_MORE && *eaten_in_all < bytes.size) {
        size_t left = bytes.size - *eaten_in_all, eaten;
        struct span piece = span_of(bytes.bytes + *eaten_in_all, left < piece_bytes ? left : piece_bytes), run;
        answer = http_chunked_feed(&chunked, piece, &run, &eaten);
        CLAIM(eaten > 0 && eaten <= piece.size && chunked.line_bytes <= HTTP_CHUNK_LINE_MAX + 1);
        claim_within(span_of(piece.bytes, eaten), run);
        CLAIM(answer != DECODE_DONE || run.size == 0);
        memcpy(body + *body_bytes, run.bytes, run.size);
        *body_bytes += run.size;
        *eaten_in_all += eaten;
    }
    return answer;
}

static void try_chunked(struct span bytes, size_t piece_bytes)
{
    char *whole = malloc(bytes.size + 1), *pieces = malloc(bytes.size + 1);
    size_t whole_bytes, pieces_bytes, whole_eaten, pieces_eaten;
    enum decode answer = read_chunked(bytes, SIZE_MAX, whole, &whole_bytes, &whole_eaten);
    CLAIM(read_chunked(bytes, piece_bytes, pieces, &pieces_bytes, &pieces_eaten) == answer);
    CLAIM(whole_eaten == pieces_eaten && span_equals(span_of(whole, whole_bytes), span_of(pieces, pieces_bytes)));
    free(whole);
    free(pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 4096) return 0;
    uint8_t how = data[0];
    char *copy = malloc(size - 1 ? size - 1 : 1); /* of its own, so that the sanitizer sees a byte too far */
    memcpy(copy, data + 1, size - 1);
    struct span bytes = span_of(copy, size - 1);
    if (how & 1) try_chunked(bytes, 1 + (how >> 1) % 16);
    else try_head(bytes, how & 2 ? (size_t)how * 2 : 4096);
    free(copy);
    return 0;
}
