/* The opening handshake (RFC 6455, 4.2.2). SHA-1 proves here that the peer has read the key and nothing else, so
 * its age does not matter. Promise: accept is what the key demands, to the byte. */
#include "core/proto/ws_handshake.h"

#include <stdint.h>

#define SHA1_BYTES 20
#define SHA1_BLOCK_BYTES 64

struct sha1 {
    uint32_t sum[5];
    uint8_t  block[SHA1_BLOCK_BYTES];
    uint64_t fed; /* bytes, all blocks together */
};

static uint32_t rotate(uint32_t word, int bits)
{
    return (word << bits) | (word >> (32 - bits));
}

/* RFC 3174, 6.1 */
static void sha1_block(struct sha1 *sha)
{
    uint32_t words[80];
    for (size_t i = 0; i < 16; i++)
        words[i] = (uint32_t)sha->block[4 * i] << 24 | (uint32_t)sha->block[4 * i + 1] << 16 |
                   (uint32_t)sha->block[4 * i + 2] << 8 | sha->block[4 * i + 3];
    for (int i = 16; i < 80; i++) words[i] = rotate(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);

    uint32_t a = sha->sum[0], b = sha->sum[1], c = sha->sum[2], d = sha->sum[3], e = sha->sum[4];
    for (int i = 0; i < 80; i++) {
        /* clang-format off */
        uint32_t mix, constant;
        if (i < 20)      mix = (b & c) | (~b & d),          constant = 0x5a827999;
        else if (i < 40) mix = b ^ c ^ d,                   constant = 0x6ed9eba1;
        else if (i < 60) mix = (b & c) | (b & d) | (c & d), constant = 0x8f1bbcdc;
        else             mix = b ^ c ^ d,                   constant = 0xca62c1d6;
        /* clang-format on */
        uint32_t next = rotate(a, 5) + mix + e + words[i] + constant;
        e = d, d = c, c = rotate(b, 30), b = a, a = next;
    }
    sha->sum[0] += a, sha->sum[1] += b, sha->sum[2] += c, sha->sum[3] += d, sha->sum[4] += e;
}

static void sha1_feed(struct sha1 *sha, struct span bytes)
{
    for (size_t i = 0; i < bytes.size; i++) {
        sha->block[sha->fed++ % SHA1_BLOCK_BYTES] = (uint8_t)bytes.bytes[i];
        if (sha->fed % SHA1_BLOCK_BYTES == 0) sha1_block(sha);
    }
}

static void sha1_end(struct sha1 *sha, uint8_t digest[SHA1_BYTES])
{
    uint64_t bits = sha->fed * 8;
    char length[8];
    for (int i = 0; i < 8; i++) length[i] = (char)(bits >> (56 - 8 * i));
    sha1_feed(sha, SPAN_LITERAL("\x80"));
    while (sha->fed % SHA1_BLOCK_BYTES != SHA1_BLOCK_BYTES - sizeof length) sha1_feed(sha, SPAN_LITERAL("\0"));
    sha1_feed(sha, span_of(length, sizeof length));
    for (int i = 0; i < SHA1_BYTES; i++) digest[i] = (uint8_t)(sha->sum[i / 4] >> (24 - 8 * (i % 4)));
}

static const char base64_digits[65] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* RFC 4648, 4, for the one size that stands here: 20 bytes make 27 digits and one '='. */
static void encode_digest(const uint8_t digest[SHA1_BYTES], char out[WS_ACCEPT_BYTES])
{
    for (int i = 0; i < SHA1_BYTES; i += 3) {
        uint32_t three =
            (uint32_t)digest[i] << 16 | (uint32_t)digest[i + 1] << 8 | (i + 2 < SHA1_BYTES ? digest[i + 2] : 0);
        for (int j = 0; j < 4; j++) *out++ = base64_digits[(three >> (18 - 6 * j)) & 63];
    }
    out[-1] = '='; /* the last three bytes were two */
}

void ws_accept(struct span key, char accept[WS_ACCEPT_BYTES])
{
    struct sha1 sha = { .sum = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0 } };
    uint8_t digest[SHA1_BYTES];
    sha1_feed(&sha, key);
    sha1_feed(&sha, SPAN_LITERAL("258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    sha1_end(&sha, digest);
    encode_digest(digest, accept);
}

static bool is_base64_digit(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
}

bool ws_key_valid(struct span key)
{
    if (key.size != 24 || key.bytes[22] != '=' || key.bytes[23] != '=') return false;
    for (int i = 0; i < 22; i++)
        if (!is_base64_digit(key.bytes[i])) return false;
    char last = key.bytes[21]; /* 128 bits are 21 digits and two bits: its lower four are zero in these only */
    return last == 'A' || last == 'Q' || last == 'g' || last == 'w';
}
