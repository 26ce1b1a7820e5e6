#include "core/io/deflate_small.h"

#include <string.h>

enum {
    MATCH_MIN = 3, /* 18 bits at most within 128 bytes, for 24 of literals */
    MATCH_MAX = 258,
    HASH_BITS = 9,
    LITERAL_9_FROM = 144, /* from here on literals have nine bits */
    SYMBOL_END = 256,
    SYMBOL_LENGTHS = 257,
    SYMBOL_8_FROM = 280, /* from here on what is no literal has eight bits */
    FIXED_BLOCK = 2,     /* BFINAL 0, BTYPE 01, lowest bit first */
    BLOCK_BITS = 3,
    END_BITS = 7,        /* of SYMBOL_END: zeros */
};

static uint16_t reversed(uint32_t code, uint32_t count)
{
    uint32_t back = 0;
    for (; count > 0; count--, code >>= 1) back = back << 1 | (code & 1);
    return (uint16_t)back;
}

/* Huffman codes are written from their highest bit on, all else from the lowest (3.1.1). */
static struct deflate_bits symbol_bits(uint32_t symbol)
{
    if (symbol < LITERAL_9_FROM) return (struct deflate_bits){ reversed(0x30 + symbol, 8), 8 };
    if (symbol < SYMBOL_END) return (struct deflate_bits){ reversed(0x190 + symbol - LITERAL_9_FROM, 9), 9 };
    if (symbol < SYMBOL_8_FROM) return (struct deflate_bits){ reversed(symbol - SYMBOL_END, 7), 7 };
    return (struct deflate_bits){ reversed(0xc0 + symbol - SYMBOL_8_FROM, 8), 8 };
}

/* 3.2.5: eight lengths with no extra bits, then four with one, four with two, up to five; 258 stands alone. */
static void lengths_init(struct deflate_small *tables)
{
    uint32_t length = MATCH_MIN;
    for (uint32_t symbol = SYMBOL_LENGTHS; symbol < SYMBOL_LENGTHS + 28; symbol++) {
        uint32_t extra_bits = symbol < SYMBOL_LENGTHS + 8 ? 0 : (symbol - SYMBOL_LENGTHS) / 4 - 1;
        struct deflate_bits bits = symbol_bits(symbol);
        for (uint32_t extra = 0; extra < 1u << extra_bits; extra++)
            tables->lengths[length++] = (struct deflate_bits){ (uint16_t)(bits.bits | extra << bits.count), (uint8_t)(bits.count + extra_bits) };
    }
    tables->lengths[MATCH_MAX] = symbol_bits(SYMBOL_LENGTHS + 28);
}

void deflate_small_init(struct deflate_small *tables)
{
    for (uint32_t symbol = 0; symbol < 256; symbol++) tables->literals[symbol] = symbol_bits(symbol);
    for (uint32_t code = 0; code < 30; code++) tables->distances[code] = (uint8_t)reversed(code, 5);
    lengths_init(tables);
}

/*  out ..... | up to seven bits more in `bits` */
struct writer {
    char    *out;
    uint64_t bits;
    uint32_t count;
};

/* At most 56 bits at a time. */
static inline void put(struct writer *writer, uint64_t bits, uint32_t count)
{
    writer->bits |= bits << writer->count;
    writer->count += count;
    memcpy(writer->out, &writer->bits, sizeof writer->bits);
    writer->out += writer->count / 8;
    writer->bits >>= writer->count / 8 * 8;
    writer->count %= 8;
}

static inline void put_match(struct writer *writer, const struct deflate_small *tables, uint32_t length, uint32_t distance)
{
    struct deflate_bits of_length = tables->lengths[length];
    uint32_t before = distance - 1, code = before, extra_bits = 0;
    if (before >= 4) { /* 3.2.5: two codes for each power of two */
        extra_bits = 30u - (uint32_t)__builtin_clz(before);
        code = 2 * extra_bits + (before >> extra_bits);
    }
    uint64_t bits = tables->distances[code] | (uint64_t)(before & ((1u << extra_bits) - 1)) << 5;
    put(writer, of_length.bits | bits << of_length.count, of_length.count + 5u + extra_bits);
}

static inline uint32_t load(const char *at)
{
    uint32_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

static inline uint32_t hash_of(uint32_t word)
{
    return (word & 0xffffff) * 0x9e3779b1u >> (32 - HASH_BITS);
}

static inline uint32_t common_bytes(const char *a, const char *b, const char *b_end)
{
    const char *from = b;
    if (b_end - b > MATCH_MAX) b_end = b + MATCH_MAX;
    while (b < b_end && *a == *b) a++, b++;
    return (uint32_t)(b - from);
}

size_t deflate_small(const struct deflate_small *tables, struct span message, char *out)
{
    uint16_t places[1u << HASH_BITS]; /* where three bytes with this hash came last, from 1 */
    const char *start = message.bytes, *at = start, *end = start + message.size;
    struct writer writer = { .out = out };
    memset(places, 0, sizeof places);
    put(&writer, FIXED_BLOCK, BLOCK_BITS);
    while (end - at >= 4) {
        uint32_t word = load(at), hash = hash_of(word), place = places[hash];
        places[hash] = (uint16_t)(at - start + 1);
        const char *before = start + place - 1;
        if (place == 0 || ((load(before) ^ word) & 0xffffff) != 0) {
            struct deflate_bits literal = tables->literals[(uint8_t)*at++];
            put(&writer, literal.bits, literal.count);
            continue;
        }
        uint32_t length = common_bytes(before, at, end);
        put_match(&writer, tables, length, (uint32_t)(at - before));
        for (const char *next = at + 1, *behind = at + length; next < behind && end - next >= 4; next++) places[hash_of(load(next))] = (uint16_t)(next - start + 1);
        at += length;
    }
    for (; at < end; at++) {
        struct deflate_bits literal = tables->literals[(uint8_t)*at];
        put(&writer, literal.bits, literal.count);
    }
    put(&writer, 0, END_BITS + BLOCK_BITS); /* the end of the block, and the head of an empty stored one, whose length is what is left out */
    return (size_t)(writer.out - out) + (writer.count > 0);
}
