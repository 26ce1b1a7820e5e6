/* Chunked bodies (RFC 9112, 7.1), byte by byte in the framing and by runs in the data. Promise: there is one
 * reading of where a chunk ends; white space, bare line ends or signs that would allow a second one are refused. */
#include "core/proto/http.h"
#include "core/proto/http_char.h"

#define CHUNK_BYTES_MAX ((uint64_t)1 << 53)

enum chunked_state {
    CHUNKED_SIZE_FIRST, /* the first digit of a size; 0, since users zero the struct */
    CHUNKED_SIZE,
    CHUNKED_SPACE,      /* white space behind the size: it must be that before a ';' (7.1.1), not a stray one */
    CHUNKED_EXTENSION,
    CHUNKED_SIZE_LF,
    CHUNKED_DATA,
    CHUNKED_DATA_CR,
    CHUNKED_DATA_LF,
    CHUNKED_TRAILER,       /* at the start of a trailer line, or of the empty line that ends all */
    CHUNKED_TRAILER_NAME,
    CHUNKED_TRAILER_VALUE,
    CHUNKED_TRAILER_LF,
    CHUNKED_LAST_LF,
    CHUNKED_DONE,
    CHUNKED_BAD,
};

static enum chunked_state after_size(char c)
{
    if (c == '\r') return CHUNKED_SIZE_LF;
    if (c == ';') return CHUNKED_EXTENSION;
    return http_is_space(c) ? CHUNKED_SPACE : CHUNKED_BAD;
}

static enum chunked_state take_size_digit(struct http_chunked *state, char c)
{
    int digit = http_hex_value(c);
    if (digit < 0) return state->state == CHUNKED_SIZE_FIRST ? CHUNKED_BAD : after_size(c);
    state->left = state->left * 16 + (unsigned)digit;
    return state->left > CHUNK_BYTES_MAX ? CHUNKED_BAD : CHUNKED_SIZE;
}

/* What one byte of framing leads to. */
static enum chunked_state step(struct http_chunked *state, char c)
{
    bool token = http_is_token_char((uint8_t)c), value = http_is_value_char((uint8_t)c);
    /* clang-format off */
    switch ((enum chunked_state)state->state) {
    case CHUNKED_SIZE_FIRST:
    case CHUNKED_SIZE:          return take_size_digit(state, c);
    case CHUNKED_SPACE:         return c == '\r' ? CHUNKED_BAD : after_size(c);
    case CHUNKED_EXTENSION:     return c == '\r' ? CHUNKED_SIZE_LF : value ? CHUNKED_EXTENSION : CHUNKED_BAD;
    case CHUNKED_SIZE_LF:       return c != '\n' ? CHUNKED_BAD : state->left != 0 ? CHUNKED_DATA : CHUNKED_TRAILER;
    case CHUNKED_DATA_CR:       return c == '\r' ? CHUNKED_DATA_LF : CHUNKED_BAD;
    case CHUNKED_DATA_LF:       return c == '\n' ? CHUNKED_SIZE_FIRST : CHUNKED_BAD;
    case CHUNKED_TRAILER:       return c == '\r' ? CHUNKED_LAST_LF : token ? CHUNKED_TRAILER_NAME : CHUNKED_BAD;
    case CHUNKED_TRAILER_NAME:  return c == ':' ? CHUNKED_TRAILER_VALUE : token ? CHUNKED_TRAILER_NAME : CHUNKED_BAD;
    case CHUNKED_TRAILER_VALUE: return c == '\r' ? CHUNKED_TRAILER_LF : value ? CHUNKED_TRAILER_VALUE : CHUNKED_BAD;
    case CHUNKED_TRAILER_LF:    return c == '\n' ? CHUNKED_TRAILER : CHUNKED_BAD;
    case CHUNKED_LAST_LF:       return c == '\n' ? CHUNKED_DONE : CHUNKED_BAD;
    case CHUNKED_DATA:
    case CHUNKED_DONE:
    case CHUNKED_BAD:           break; /* no framing: never asked */
    }
    /* clang-format on */
    return CHUNKED_BAD;
}

enum decode http_chunked_feed(struct http_chunked *state, struct span bytes, struct span *body, size_t *eaten)
{
    size_t at = 0;
    *body = span_of(bytes.bytes, 0);
    while (at < bytes.size && state->state < CHUNKED_DONE) {
        if (state->state == CHUNKED_DATA) {
            size_t run = bytes.size - at < state->left ? bytes.size - at : (size_t)state->left;
            *body = span_of(bytes.bytes + at, run);
            at += run;
            state->left -= run;
            if (state->left == 0) state->state = CHUNKED_DATA_CR;
            break;
        }
        state->state = (uint8_t)step(state, bytes.bytes[at++]);
        if (state->state == CHUNKED_DATA || state->state == CHUNKED_SIZE_FIRST) state->line_bytes = 0;
        else if (++state->line_bytes > HTTP_CHUNK_LINE_MAX) state->state = CHUNKED_BAD;
    }
    *eaten = at;
    return state->state == CHUNKED_DONE ? DECODE_DONE : state->state == CHUNKED_BAD ? DECODE_BAD : DECODE_MORE;
}
