/* One UTF-8 character at once, for scanners that stop at every byte that is not ASCII (RFC 3629, 4). Pure; any thread. */
#ifndef CORE_PROTO_UTF8_CHAR_H
#define CORE_PROTO_UTF8_CHAR_H

#include <stdint.h>

static inline int utf8_is_continuation(char byte)
{
    return ((uint8_t)byte & 0xc0) == 0x80;
}

/* The size of the character that begins at `at`, 1 to 4 bytes; 0: no character does, or it goes on behind `end`. at < end. */
static inline unsigned utf8_char_bytes(const char *at, const char *end)
{
    uint8_t lead = (uint8_t)*at;
    if (lead < 0x80) return 1;
    if (lead < 0xc2 || end - at < 2) return 0;
    uint8_t second = (uint8_t)at[1];
    if (lead < 0xe0) return utf8_is_continuation(at[1]) ? 2 : 0;
    if (lead < 0xf0) {
        uint8_t low = lead == 0xe0 ? 0xa0 : 0x80, high = lead == 0xed ? 0x9f : 0xbf; /* overlong; surrogates */
        return end - at >= 3 && second >= low && second <= high && utf8_is_continuation(at[2]) ? 3 : 0;
    }
    if (lead > 0xf4) return 0;
    uint8_t low = lead == 0xf0 ? 0x90 : 0x80, high = lead == 0xf4 ? 0x8f : 0xbf; /* overlong; beyond U+10FFFF */
    return end - at >= 4 && second >= low && second <= high && utf8_is_continuation(at[2]) && utf8_is_continuation(at[3]) ? 4 : 0;
}

#endif
