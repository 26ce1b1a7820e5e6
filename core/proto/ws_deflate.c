/* permessage-deflate, negotiated (RFC 7692, 5 and 7.1). Promise: what is accepted is exactly what the compressors of both sides
 * then keep to, and a list that is none is never taken for one. */
#include "core/proto/ws_deflate.h"

#include "core/proto/http_char.h"

#define NAME "permessage-deflate"
#define SERVER_NO_CONTEXT "server_no_context_takeover"
#define CLIENT_NO_CONTEXT "client_no_context_takeover"
#define SERVER_WINDOW "server_max_window_bits"
#define CLIENT_WINDOW "client_max_window_bits"

enum { WINDOW_BITS_MIN = 8, WINDOW_BITS_MAX = 15, VALUE_BYTES = 3 };

/* One parameter of an extension. Of its value the beginning is kept, enough to tell all that is valid from all that is not. */
struct parameter {
    struct span name;
    bool        has_value;
    uint8_t     value_bytes; /* VALUE_BYTES: so many or more */
    char        value[VALUE_BYTES];
};

static void skip_spaces(struct span *text)
{
    while (text->size > 0 && http_is_space(text->bytes[0])) *text = span_skip(*text, 1);
}

/* Takes a character that must stand next, and the white space behind it. */
static bool take(struct span *text, char c)
{
    if (text->size == 0 || text->bytes[0] != c) return false;
    *text = span_skip(*text, 1);
    skip_spaces(text);
    return true;
}

static bool take_token(struct span *text, struct span *token)
{
    size_t size = 0;
    while (size < text->size && http_is_token_char((uint8_t)text->bytes[size])) size++;
    *token = span_of(text->bytes, size);
    *text = span_skip(*text, size);
    skip_spaces(text);
    return size > 0;
}

static void add_to_value(struct parameter *parameter, char c)
{
    if (parameter->value_bytes < VALUE_BYTES) parameter->value[parameter->value_bytes++] = c;
}

/* A quoted value stands for a token: what it quotes must be one (RFC 6455, 9.1). */
static bool take_quoted(struct span *text, struct parameter *parameter)
{
    size_t i = 1;
    for (; i < text->size && text->bytes[i] != '"'; i++) {
        if (text->bytes[i] == '\\' && ++i == text->size) return false;
        if (!http_is_token_char((uint8_t)text->bytes[i])) return false;
        add_to_value(parameter, text->bytes[i]);
    }
    if (i >= text->size || parameter->value_bytes == 0) return false;
    *text = span_skip(*text, i + 1);
    skip_spaces(text);
    return true;
}

static bool take_parameter(struct span *text, struct parameter *parameter)
{
    *parameter = (struct parameter){ 0 };
    if (!take_token(text, &parameter->name)) return false;
    if (!take(text, '=')) return true;
    parameter->has_value = true;
    if (text->size > 0 && text->bytes[0] == '"') return take_quoted(text, parameter);
    struct span value;
    if (!take_token(text, &value)) return false;
    for (size_t i = 0; i < value.size; i++) add_to_value(parameter, value.bytes[i]);
    return true;
}

/* A window size: a decimal from 8 to 15 without leading zeros (7.1.2); 0: it is none. */
static unsigned window_bits(const struct parameter *parameter)
{
    unsigned bits = 0;
    if (!parameter->has_value || parameter->value_bytes >= VALUE_BYTES || parameter->value[0] == '0') return 0;
    for (unsigned i = 0; i < parameter->value_bytes; i++) {
        if (!http_is_digit(parameter->value[i])) return 0;
        bits = bits * 10 + (unsigned)(parameter->value[i] - '0');
    }
    return bits >= WINDOW_BITS_MIN && bits <= WINDOW_BITS_MAX ? bits : 0;
}

enum { SEEN_SERVER_NO_CONTEXT = 1, SEEN_CLIENT_NO_CONTEXT = 2, SEEN_SERVER_WINDOW = 4, SEEN_CLIENT_WINDOW = 8 };

/* Which one it is, where an offer with it can be accepted; 0: it can't. */
static unsigned known(const struct parameter *parameter)
{
    if (span_is(parameter->name, SERVER_NO_CONTEXT)) return parameter->has_value ? 0 : SEEN_SERVER_NO_CONTEXT;
    if (span_is(parameter->name, CLIENT_NO_CONTEXT)) return parameter->has_value ? 0 : SEEN_CLIENT_NO_CONTEXT;
    /* The compressors here look no further back than 32 KiB: a smaller window would have to be kept to. */
    if (span_is(parameter->name, SERVER_WINDOW)) return window_bits(parameter) == WINDOW_BITS_MAX ? SEEN_SERVER_WINDOW : 0;
    /* That the client would bear a bound of its own window, or what it will keep to: any window can be inflated. */
    if (span_is(parameter->name, CLIENT_WINDOW)) return !parameter->has_value || window_bits(parameter) > 0 ? SEEN_CLIENT_WINDOW : 0;
    return 0;
}

/* The parameters of one extension. False: they are none. *seen: all of them; *fits: it can be accepted with them. */
static bool take_parameters(struct span *text, unsigned *seen, bool *fits)
{
    *seen = 0;
    while (take(text, ';')) {
        struct parameter parameter;
        if (!take_parameter(text, &parameter)) return false;
        unsigned which = known(&parameter);
        if (which == 0 || (*seen & which)) *fits = false;
        *seen |= which;
    }
    return true;
}

bool ws_deflate_offers_read(struct span text, struct ws_deflate *agreed)
{
    skip_spaces(&text);
    while (text.size > 0) {
        struct span name;
        if (take(&text, ',')) continue; /* RFC 9110, 5.6.1: empty elements are passed over */
        if (!take_token(&text, &name)) return false;
        bool fits = span_is(name, NAME);
        unsigned seen;
        if (!take_parameters(&text, &seen, &fits)) return false;
        if (text.size > 0 && text.bytes[0] != ',') return false;
        if (fits && !agreed->accepted) *agreed = (struct ws_deflate){ true, seen & SEEN_SERVER_WINDOW };
    }
    return true;
}

uint32_t ws_deflate_answer_write(char *out, const struct ws_deflate *agreed)
{
    static const char answer[] = WS_DEFLATE_OFFER, window[] = "; " SERVER_WINDOW "=15";
    memcpy(out, answer, sizeof answer - 1);
    if (!agreed->server_window_asked) return sizeof answer - 1;
    memcpy(out + sizeof answer - 1, window, sizeof window - 1);
    return sizeof answer - 1 + sizeof window - 1;
}

bool ws_deflate_answer_fits(struct span text)
{
    struct span name;
    unsigned seen;
    bool fits = true;
    skip_spaces(&text);
    if (!take_token(&text, &name) || !span_is(name, NAME) || !take_parameters(&text, &seen, &fits)) return false;
    return fits && text.size == 0 && (seen & SEEN_SERVER_NO_CONTEXT) && !(seen & SEEN_CLIENT_WINDOW);
}
