#include "core/proto/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '-') return 62;
    return c == '_' ? 63 : -1;
}

long base64url_decode(struct span text, char *out)
{
    uint32_t bits = 0, held = 0; /* `held` bits of `bits` are not written yet */
    size_t size = 0;
    if (text.size % 4 == 1) return -1;
    for (size_t i = 0; i < text.size; i++) {
        int value = value_of(text.bytes[i]);
        if (value < 0) return -1;
        bits = bits << 6 | (uint32_t)value;
        held += 6;
        if (held < 8) continue;
        held -= 8;
        out[size++] = (char)(bits >> held);
        bits &= (1u << held) - 1;
    }
    return bits == 0 ? (long)size : -1;
}

size_t base64url_encode(struct span bytes, char *out)
{
    uint32_t bits = 0, held = 0;
    size_t size = 0;
    for (size_t i = 0; i < bytes.size; i++) {
        bits = (bits << 8 | (uint8_t)bytes.bytes[i]) & 0xffff;
        for (held += 8; held >= 6;) {
            held -= 6;
            out[size++] = alphabet[bits >> held & 63];
        }
    }
    if (held > 0) out[size++] = alphabet[bits << (6 - held) & 63];
    return size;
}
