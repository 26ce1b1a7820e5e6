#include "gateway/origin.h"

#include "core/proto/http.h"
#include "gateway/conn.h"

/* An authority without the scheme's own port. */
static struct span without_port(struct span authority, const char *port)
{
    size_t size = strlen(port);
    if (authority.size > size && memcmp(authority.bytes + authority.size - size, port, size) == 0) authority.size -= size;
    return authority;
}

static char lower(char character)
{
    return character >= 'A' && character <= 'Z' ? (char)(character | 0x20) : character;
}

static bool same_text(struct span a, struct span b)
{
    if (a.size != b.size) return false;
    for (size_t i = 0; i < a.size; i++)
        if (lower(a.bytes[i]) != lower(b.bytes[i])) return false;
    return true;
}

/* As browsers write it: `https://a.example:443` is `https://a.example`. */
static struct span as_sent(struct span origin)
{
    if (origin.size > 8 && memcmp(origin.bytes, "https://", 8) == 0) return without_port(origin, ":443");
    return origin.size > 7 && memcmp(origin.bytes, "http://", 7) == 0 ? without_port(origin, ":80") : origin;
}

static bool is_same_host(struct span origin, struct span host)
{
    const char *slashes = span_find_string(origin, "://");
    if (!slashes) return false; /* `null` is foreign */
    struct span authority = span_skip(origin, (size_t)(slashes - origin.bytes) + 3);
    const char *port = slashes - origin.bytes == 5 ? ":443" : ":80";
    return same_text(without_port(authority, port), without_port(host, port));
}

enum origin_kind origin_judge(const struct settings *settings, struct span origin, struct span host, uint16_t *place)
{
    struct span list = span_of_string(settings->origins), element;
    *place = 0;
    if (!origin.bytes) return ORIGIN_NONE;
    for (uint16_t at = 1; http_list_next(&list, &element); at++) {
        if (!same_text(as_sent(element), as_sent(origin))) continue;
        *place = at;
        return ORIGIN_LISTED;
    }
    return is_same_host(origin, host) ? ORIGIN_SAME : ORIGIN_FOREIGN;
}

void origin_add_headers(const struct shard *shard, const struct conn *conn, struct text *head)
{
    struct span list = span_of_string(shard->settings->origins), element;
    if (list.size == 0) return;
    text_add_string(head, "Vary: Origin\r\n"); /* whoever asks, as a cache between must not give one page's answer to another */
    if (conn->origin == 0) return;
    for (uint16_t at = 0; at < conn->origin; at++)
        if (!http_list_next(&list, &element)) return;
    element = as_sent(element);
    text_add_string(head, "Access-Control-Allow-Origin: ");
    for (size_t i = 0; i < element.size; i++) text_add_char(head, lower(element.bytes[i])); /* as browsers write it, and compare */
    text_add_string(head, "\r\n");
}
