/* The small texts of HTTP: tokens, lists, header lines of a decoded head, queries, percent-encoding, words for
 * statuses. Promise: each walk ends, whatever the text. */
#include "core/proto/http.h"
#include "core/proto/http_char.h"

bool http_header_next(struct span head, uint32_t *at, struct span *name, struct span *value)
{
    if (*at >= head.size || head.bytes[*at] == '\r') return false;
    struct span rest = span_skip(head, *at);
    const char *end = span_find(rest, '\r');
    if (!end) return false;
    const char *colon = span_find(span_of(rest.bytes, (size_t)(end - rest.bytes)), ':');
    if (!colon) return false;
    *name = span_of(rest.bytes, (size_t)(colon - rest.bytes));
    *value = http_trim(span_of(colon + 1, (size_t)(end - colon - 1)));
    *at += (uint32_t)(end - rest.bytes) + 2;
    return true;
}

/* Where the element that the list begins with ends: a comma, but not one within quotes, or the end of its line. */
static size_t element_bytes(struct span list)
{
    bool quoted = false;
    size_t i = 0;
    for (; i < list.size && list.bytes[i] != '\r'; i++) {
        char c = list.bytes[i];
        if (c == '"') quoted = !quoted;
        else if (c == '\\' && quoted && i + 1 < list.size && list.bytes[i + 1] != '\r') i++;
        else if (c == ',' && !quoted) break;
    }
    return i;
}

bool http_list_next(struct span *list, struct span *element)
{
    while (list->size > 0) {
        size_t bytes = element_bytes(*list);
        *element = http_trim(span_of(list->bytes, bytes));
        *list = span_skip(*list, bytes);
        if (list->size > 0 && list->bytes[0] == '\r') {
            /* a list in several header lines goes on behind the next name */
            const char *colon = span_find(*list, ':');
            *list = span_skip(*list, colon ? (size_t)(colon - list->bytes) + 1 : list->size);
        } else if (list->size > 0) {
            *list = span_skip(*list, 1); /* the comma */
        }
        if (element->size > 0) return true;
    }
    return false;
}

bool http_token_is(struct span token, const char *lower_case)
{
    size_t i = 0;
    for (; i < token.size && lower_case[i] != '\0'; i++)
        if (http_lower(token.bytes[i]) != lower_case[i]) return false;
    return i == token.size && lower_case[i] == '\0';
}

bool http_query_next(struct span *query, struct span *name, struct span *value)
{
    while (query->size > 0) {
        const char *end = span_find(*query, '&');
        struct span pair = span_of(query->bytes, end ? (size_t)(end - query->bytes) : query->size);
        *query = span_skip(*query, end ? pair.size + 1 : pair.size);
        if (pair.size == 0) continue; /* "a=1&&b=2" */
        const char *equals = span_find(pair, '=');
        size_t name_bytes = equals ? (size_t)(equals - pair.bytes) : pair.size;
        *name = span_of(pair.bytes, name_bytes);
        *value = span_skip(pair, equals ? name_bytes + 1 : name_bytes);
        return true;
    }
    return false;
}

long http_percent_decode(struct span text, char *out)
{
    long size = 0;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.bytes[i];
        if (c == '%') {
            if (text.size - i < 3) return -1;
            int high = http_hex_value(text.bytes[i + 1]), low = http_hex_value(text.bytes[i + 2]);
            if (high < 0 || low < 0) return -1;
            c = (char)(high * 16 + low);
            i += 2;
        }
        out[size++] = c;
    }
    return size;
}

const char *http_status_text(uint16_t status)
{
    switch (status) {
    case 100: return "Continue";
    case 101: return "Switching Protocols";
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 206: return "Partial Content";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 411: return "Length Required";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 416: return "Range Not Satisfiable";
    case 417: return "Expectation Failed";
    case 421: return "Misdirected Request";
    case 422: return "Unprocessable Content";
    case 426: return "Upgrade Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    default:  return "Error";
    }
}
