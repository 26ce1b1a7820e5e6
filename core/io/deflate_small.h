/* One short message, compressed in half a microsecond, for when there is no time for zlib: one block by the fixed code (RFC 1951, 3.2.6),
 * matches found by a table that looks back to the last place alone. zlib makes 3 to 7 % fewer bytes in fourteen times as long (deflate.c). Pure but for its tables, which never change once they are made. */
#ifndef CORE_IO_DEFLATE_SMALL_H
#define CORE_IO_DEFLATE_SMALL_H

#include <stdint.h>

#include "core/base/span.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "bits are stored eight bytes at a time, lowest first"
#endif

#define DEFLATE_SMALL_BYTES_MAX 16384u /* of a message */
/* Room for what it may become, and for the last store of eight bytes. */
#define DEFLATE_SMALL_ROOM(bytes) ((bytes) + (bytes) / 8 + 16)

/* Bits in the order in which they are written. */
struct deflate_bits {
    uint16_t bits;
    uint8_t  count;
};

struct deflate_small {
    struct deflate_bits literals[256];
    struct deflate_bits lengths[259]; /* from 3 on, with their extra bits */
    uint8_t             distances[30]; /* five bits each */
};

void deflate_small_init(struct deflate_small *tables);

/* Writes the payload of a message of at most DEFLATE_SMALL_BYTES_MAX bytes as permessage-deflate has it, without the last four bytes
 * 00 00 ff ff; returns its bytes. `out` has DEFLATE_SMALL_ROOM(message.size). */
size_t deflate_small(const struct deflate_small *tables, struct span message, char *out);

#endif
