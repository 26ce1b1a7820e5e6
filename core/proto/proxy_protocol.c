#include "core/proto/proxy_protocol.h"

#include <string.h>

static const char v1_start[] = "PROXY ";
static const char v2_start[] = "\r\n\r\n\0\r\nQUIT\n";
enum { V1_START_BYTES = sizeof v1_start - 1, V2_START_BYTES = sizeof v2_start - 1, V2_FIXED_BYTES = 16 };

static bool begins(struct span bytes, const char *start, size_t size)
{
    return memcmp(bytes.bytes, start, bytes.size < size ? bytes.size : size) == 0;
}

static enum decode bad(const char **why, const char *sentence)
{
    *why = sentence;
    return DECODE_BAD;
}

/* ---- version 1: PROXY TCP4 192.0.2.7 198.51.100.1 56324 443 CR LF ------------------------------------------------------- */

/* The next word and the one space behind it; the last one ends with the line. */
static struct span next_word(struct span *line)
{
    const char *space = span_find(*line, ' ');
    struct span word = span_of(line->bytes, space ? (size_t)(space - line->bytes) : line->size);
    *line = span_skip(*line, word.size + (space != NULL));
    return word;
}

static bool is_port(struct span word)
{
    uint32_t number = 0;
    if (word.size == 0 || word.size > 5 || (word.size > 1 && word.bytes[0] == '0')) return false;
    for (size_t i = 0; i < word.size; i++) {
        if (word.bytes[i] < '0' || word.bytes[i] > '9') return false;
        number = number * 10 + (uint32_t)(word.bytes[i] - '0');
    }
    return number <= 65535;
}

static enum decode decode_v1(struct span bytes, struct proxy_header *header, const char **why)
{
    struct span seen = span_of(bytes.bytes, bytes.size < PROXY_V1_BYTES_MAX ? bytes.size : PROXY_V1_BYTES_MAX);
    const char *end = span_find(seen, '\n');
    if (!end && seen.size == PROXY_V1_BYTES_MAX) return bad(why, "the line of the PROXY protocol is longer than 107 bytes");
    if (!end) return DECODE_MORE;
    struct proxy_header read = { .version = 1, .bytes = (uint32_t)(end - bytes.bytes) + 1 };
    if (end[-1] != '\r') return bad(why, "the line of the PROXY protocol must end with CR LF");
    struct span line = span_of(bytes.bytes + V1_START_BYTES, read.bytes - V1_START_BYTES - 2), family = next_word(&line);
    if (span_is(family, "UNKNOWN")) { /* the rest of the line is not to be looked at */
        *header = read;
        return DECODE_DONE;
    }
    bool v4 = span_is(family, "TCP4"), v6 = span_is(family, "TCP6");
    if (!v4 && !v6) return bad(why, "the PROXY protocol knows TCP4, TCP6 and UNKNOWN");
    struct span source = next_word(&line), destination = next_word(&line), from = next_word(&line), to = line;
    struct address other;
    bool fits = address_read(source, &read.source) && address_read(destination, &other) && is_port(from) && is_port(to);
    bool colons = fits && span_find(source, ':') && span_find(destination, ':');
    bool dots = fits && !span_find(source, ':') && !span_find(destination, ':');
    if (v4 ? !dots : !colons) return bad(why, "the line of the PROXY protocol must hold two addresses of its family and two ports");
    read.proxied = true;
    *header = read;
    return DECODE_DONE;
}

/* ---- version 2 ---------------------------------------------------------------------------------------------------------- */

/*  0 signature 12 | version, command 13 | family, transport 14 | bytes that follow 16 | addresses, type-length-values */
static enum decode decode_v2(struct span bytes, struct proxy_header *header, const char **why)
{
    enum { LOCAL = 0x20, PROXY = 0x21, FAMILY_NONE = 0, FAMILY_V4 = 1, FAMILY_V6 = 2, FAMILY_UNIX = 3 };
    static const uint8_t address_bytes[] = { [FAMILY_NONE] = 0, [FAMILY_V4] = 12, [FAMILY_V6] = 36, [FAMILY_UNIX] = 216 };
    const uint8_t *at = (const uint8_t *)bytes.bytes;
    if (bytes.size > 12 && at[12] != LOCAL && at[12] != PROXY) return bad(why, "the PROXY protocol's version must be 2, its command LOCAL or PROXY");
    if (bytes.size > 13 && (at[13] >> 4 > FAMILY_UNIX || (at[13] & 15) > 2)) return bad(why, "the PROXY protocol names a family or transport that there is not");
    if (bytes.size < V2_FIXED_BYTES) return DECODE_MORE;
    uint32_t follow = (uint32_t)at[14] << 8 | at[15], family = at[13] >> 4;
    if (V2_FIXED_BYTES + follow > PROXY_V2_BYTES_MAX) return bad(why, "the header of the PROXY protocol is longer than 4096 bytes");
    if (at[12] == PROXY && follow < address_bytes[family]) return bad(why, "the header of the PROXY protocol is too short for its addresses");
    if (bytes.size < V2_FIXED_BYTES + follow) return DECODE_MORE;
    struct proxy_header read = { .version = 2, .bytes = V2_FIXED_BYTES + follow };
    read.proxied = at[12] == PROXY && (family == FAMILY_V4 || family == FAMILY_V6);
    if (read.proxied && family == FAMILY_V4) read.source = address_of_v4(at + V2_FIXED_BYTES);
    if (read.proxied && family == FAMILY_V6) memcpy(read.source.bytes, at + V2_FIXED_BYTES, sizeof read.source.bytes);
    *header = read;
    return DECODE_DONE;
}

enum decode proxy_header_decode(struct span bytes, struct proxy_header *header, const char **why)
{
    if (bytes.size == 0) return DECODE_MORE;
    bool v1 = begins(bytes, v1_start, V1_START_BYTES), v2 = begins(bytes, v2_start, V2_START_BYTES);
    if (!v1 && !v2) {
        *header = (struct proxy_header){ 0 };
        return DECODE_DONE;
    }
    if (bytes.size < (size_t)(v1 ? V1_START_BYTES : V2_START_BYTES)) return DECODE_MORE;
    return v1 ? decode_v1(bytes, header, why) : decode_v2(bytes, header, why);
}
