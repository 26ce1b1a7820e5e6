/* Any bytes as a Sec-WebSocket-Key, judged by twins that were written from the standards alone: base64 (RFC 4648) and SHA-1 (RFC 3174).
 * Promises tried: a key is valid just where it is the one way to write 16 bytes, and the answer to it is the one that a client computes. */
#include <stdlib.h>

#include "core/base/check.h"
#include "core/proto/ws_handshake.h"
#include "tests/unit/guard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static size_t twin_encode(const uint8_t *bytes, size_t size, char *out)
{
    size_t written = 0;
    for (size_t i = 0; i < size; i += 3) {
        uint32_t three = (uint32_t)bytes[i] << 16 | (i + 1 < size ? (uint32_t)bytes[i + 1] << 8 : 0) | (i + 2 < size ? bytes[i + 2] : 0);
        for (size_t sextet = 0; sextet < 4; sextet++) out[written++] = i + sextet <= size ? alphabet[three >> (18 - 6 * sextet) & 63] : '=';
    }
    return written;
}

/* 16 bytes and nothing else, written in the one way. */
static bool twin_valid(struct span key)
{
    uint8_t bytes[18];
    char again[24];
    if (key.size != 24) return false;
    for (size_t i = 0; i < 24; i += 4) {
        uint32_t four = 0;
        for (size_t k = 0; k < 4; k++) {
            const char *at = key.bytes[i + k] ? strchr(alphabet, key.bytes[i + k]) : NULL;
            if (!at && !(key.bytes[i + k] == '=' && i == 20 && k > 1)) return false;
            four = four << 6 | (at ? (uint32_t)(at - alphabet) : 0);
        }
        for (size_t k = 0; k < 3; k++) bytes[i / 4 * 3 + k] = (uint8_t)(four >> (16 - 8 * k));
    }
    return twin_encode(bytes, 16, again) == 24 && memcmp(again, key.bytes, 24) == 0;
}

static uint32_t rotated(uint32_t word, int by)
{
    return word << by | word >> (32 - by);
}

static void twin_sha1(const uint8_t *bytes, size_t size, uint8_t digest[20])
{
    uint32_t h[5] = { 0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0 };
    size_t padded_bytes = (size + 8) / 64 * 64 + 64;
    uint8_t *padded = calloc(1, padded_bytes);
    memcpy(padded, bytes, size);
    padded[size] = 0x80;
    for (size_t i = 0; i < 8; i++) padded[padded_bytes - 1 - i] = (uint8_t)((uint64_t)size * 8 >> 8 * i);
    for (size_t block = 0; block < padded_bytes; block += 64) {
        uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
        for (size_t t = 0; t < 16; t++) w[t] = (uint32_t)padded[block + 4 * t] << 24 | (uint32_t)padded[block + 4 * t + 1] << 16 | (uint32_t)padded[block + 4 * t + 2] << 8 | padded[block + 4 * t + 3];
        for (size_t t = 16; t < 80; t++) w[t] = rotated(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
        for (size_t t = 0; t < 80; t++) {
            uint32_t f = t < 20 ? (b & c) | (~b & d) : t < 40 || t >= 60 ? b ^ c ^ d : (b & c) | (b & d) | (c & d);
            uint32_t k = t < 20 ? 0x5A827999 : t < 40 ? 0x6ED9EBA1 : t < 60 ? 0x8F1BBCDC : 0xCA62C1D6;
            uint32_t next = rotated(a, 5) + f + e + w[t] + k;
            e = d, d = c, c = rotated(b, 30), b = a, a = next;
        }
        h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
    }
    free(padded);
    for (size_t i = 0; i < 20; i++) digest[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

static void try_accept(struct span key)
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    uint8_t joined[24 + sizeof guid], digest[20];
    char accept[WS_ACCEPT_BYTES], wanted[WS_ACCEPT_BYTES];
    memcpy(joined, key.bytes, key.size);
    memcpy(joined + key.size, guid, sizeof guid - 1);
    twin_sha1(joined, key.size + sizeof guid - 1, digest);
    CHECK(twin_encode(digest, sizeof digest, wanted) == WS_ACCEPT_BYTES);
    ws_accept(key, accept);
    CHECK(memcmp(accept, wanted, WS_ACCEPT_BYTES) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span key = guard_span(span_of((const char *)data, size));
    CHECK(ws_key_valid(key) == twin_valid(key));
    if (twin_valid(key)) try_accept(key);
    guard_free(key.bytes);
    if (size < 16) return 0;
    char written[24]; /* so that valid ones are met at once */
    CHECK(twin_encode(data, 16, written) == sizeof written);
    struct span good = guard_span(span_of(written, sizeof written));
    CHECK(ws_key_valid(good));
    try_accept(good);
    guard_free(good.bytes);
    return 0;
}
