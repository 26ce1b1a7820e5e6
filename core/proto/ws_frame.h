/* WebSocket frame headers both ways (RFC 6455, 5.2), and close payloads (5.5.1, 7.4). Pure; any thread; no allocation. */
#ifndef CORE_PROTO_WS_FRAME_H
#define CORE_PROTO_WS_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/span.h"
#include "core/proto/decode.h"

enum ws_opcode {
    WS_CONTINUATION = 0,
    WS_TEXT = 1,
    WS_BINARY = 2,
    WS_CLOSE = 8,
    WS_PING = 9,
    WS_PONG = 10,
};

/* Close codes that we send (RFC 6455, 7.4.1; 4xxx: PROTOCOL.md). */
enum ws_close {
    WS_CLOSE_NONE = 0, /* no close frame, or one without a code */
    WS_CLOSE_NORMAL = 1000,
    WS_CLOSE_GOING_AWAY = 1001,
    WS_CLOSE_PROTOCOL = 1002,
    WS_CLOSE_UNSUPPORTED = 1003,
    WS_CLOSE_BAD_DATA = 1007,
    WS_CLOSE_POLICY = 1008,
    WS_CLOSE_TOO_BIG = 1009,
    WS_CLOSE_INTERNAL = 1011,
    WS_CLOSE_TRY_LATER = 1013,
    WS_CLOSE_BAD_REQUEST = 4400,
    WS_CLOSE_UNAUTHORIZED = 4401,
    WS_CLOSE_FORBIDDEN = 4403,
    WS_CLOSE_TIMEOUT = 4408,
    WS_CLOSE_RATE_LIMITED = 4429,
};

#define WS_RSV1 0x40 /* in a header's first byte: the message is compressed (RFC 7692, 6) */
#define WS_HEADER_BYTES_MAX 14  /* 2, 8 of length, 4 of mask */
#define WS_SERVER_HEADER_BYTES_MAX 10
#define WS_CONTROL_BYTES_MAX 125

struct ws_header {
    uint64_t payload_bytes;
    uint8_t  header_bytes; /* 2 to 14 */
    uint8_t  opcode;       /* enum ws_opcode */
    bool     fin;
    bool     rsv1;         /* only where the decoder was told that it may stand (RFC 7692) */
    bool     masked;
    uint8_t  mask_key[4];  /* in wire order */
};

/* Decodes one frame header.
 *   bytes        borrowed for this call; may end in the middle of a header; may go on after it
 *   from_client  true: it must be masked; false: it must not be (the side of a client, used by tests, tail and bench)
 *   rsv1_allowed a compression was negotiated
 *   header       written only on DONE
 *   why          on BAD: a plain sentence for the close reason; a literal
 *   returns      DONE | MORE | BAD: close with 1002. BAD comes with the earliest byte that shows it. A length must be
 *                encoded in the fewest bytes; a control frame must be final and at most 125 bytes; bit 63 must be 0. */
enum decode ws_frame_decode(struct span bytes, bool from_client, bool rsv1_allowed, struct ws_header *header, const char **why);

/* Bytes that the header of an unmasked frame takes: 2, 4 or 10. */
static inline uint32_t ws_server_header_bytes(uint64_t payload_bytes)
{
    return payload_bytes < 126 ? 2 : payload_bytes < 65536 ? 4 : 10;
}

/* Writes the header of a final, unmasked frame; returns its bytes (as above). `out` has room for WS_SERVER_HEADER_BYTES_MAX. */
uint32_t ws_server_header_write(char *out, enum ws_opcode opcode, uint64_t payload_bytes);

/* Writes the header of a final, masked frame as a client does; returns its bytes, at most WS_HEADER_BYTES_MAX. */
uint32_t ws_client_header_write(char *out, enum ws_opcode opcode, uint64_t payload_bytes, const uint8_t mask_key[4]);

/* Bytes of the whole frame that begins at `frame`, which is one of ours: unmasked and complete. For walking over logs. */
static inline uint64_t ws_server_frame_bytes(const char *frame)
{
    const uint8_t *at = (const uint8_t *)frame;
    uint8_t length = at[1];
    if (length < 126) return 2u + length;
    if (length == 126) return 4u + (((uint32_t)at[2] << 8) | at[3]);
    uint64_t payload_bytes = 0;
    for (int i = 2; i < 10; i++) payload_bytes = (payload_bytes << 8) | at[i];
    return 10 + payload_bytes;
}

/* Reads a close payload (5.5.1).
 *   payload  unmasked
 *   code     out: WS_CLOSE_NONE where it is empty
 *   reason   out: a slice of payload
 *   returns  WS_CLOSE_NONE where it is valid; else the code to close with: 1002 (one byte alone; a code that must not be
 *            sent: below 1000, 1004 to 1006, 1015 to 2999, above 4999) or 1007 (the reason is not UTF-8) */
enum ws_close ws_close_read(struct span payload, uint16_t *code, struct span *reason);

/* Writes an unmasked close frame with a reason cut at a character to at most 123 bytes; WS_CLOSE_NONE: without a code.
 * `out` has room for 127 bytes. Returns its bytes. */
uint32_t ws_close_write(char *out, uint16_t code, struct span reason);

#endif
