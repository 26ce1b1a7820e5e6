/* WebSocket frame headers (RFC 6455, 5.2) and close payloads. Promise: a header is taken only in its one shortest
 * form, and refused at the first byte that shows a fault. */
#include "core/proto/ws_frame.h"

#include "core/proto/utf8.h"

#define FIN 0x80u
#define RSV23 0x30u
#define OPCODE 0x0fu
#define OPCODE_CONTROL 0x08u
#define MASKED 0x80u
#define LENGTH 0x7fu
#define LENGTH_IN_2 126u
#define LENGTH_IN_8 127u

/* The first byte: FIN, RSV, opcode. NULL where it may stand. */
static const char *first_byte_fault(uint8_t byte, bool rsv1_allowed)
{
    uint8_t opcode = byte & OPCODE;
    if (byte & RSV23) return "a reserved bit is set";
    if ((byte & WS_RSV1) && !rsv1_allowed) return "a frame is marked as compressed, but compression was not negotiated";
    if (opcode > WS_BINARY && opcode < WS_CLOSE) return "a reserved opcode";
    if (opcode > WS_PONG) return "a reserved opcode";
    if ((opcode & OPCODE_CONTROL) && !(byte & FIN)) return "a control frame is fragmented";
    /* RFC 7692, 6: only the first frame of a data message carries the mark */
    if ((byte & WS_RSV1) && (opcode == WS_CONTINUATION || (opcode & OPCODE_CONTROL)))
        return "only the first frame of a message may be marked as compressed";
    return NULL;
}

/* The second byte: mask bit and short length. */
static const char *second_byte_fault(uint8_t byte, uint8_t opcode, bool from_client)
{
    if (from_client && !(byte & MASKED)) return "a client's frame is not masked";
    if (!from_client && (byte & MASKED)) return "a server's frame is masked";
    if ((opcode & OPCODE_CONTROL) && (byte & LENGTH) > WS_CONTROL_BYTES_MAX)
        return "a control frame is longer than 125 bytes";
    return NULL;
}

/* The long length, of which `known` bytes are there. */
static const char *length_fault(const uint8_t *length, size_t length_bytes, size_t known)
{
    static const char not_shortest[] = "a length is not in its shortest form";
    if (length_bytes == 2) return known == 2 && length[0] == 0 && length[1] < LENGTH_IN_2 ? not_shortest : NULL;
    if (known > 0 && length[0] >= 0x80) return "a length has its highest bit set";
    if (known < 6) return NULL;
    for (int i = 0; i < 6; i++)
        if (length[i] != 0) return NULL;
    return not_shortest; /* six zeros: whatever follows is below 65536 */
}

enum decode ws_frame_decode(struct span bytes, bool from_client, bool rsv1_allowed, struct ws_header *header,
                            const char **why)
{
    const uint8_t *at = (const uint8_t *)bytes.bytes;
    if (bytes.size < 1) return DECODE_MORE;
    const char *fault = first_byte_fault(at[0], rsv1_allowed);
    if (fault) goto bad;
    if (bytes.size < 2) return DECODE_MORE;
    fault = second_byte_fault(at[1], at[0] & OPCODE, from_client);
    if (fault) goto bad;

    uint8_t short_length = at[1] & LENGTH;
    size_t length_bytes = short_length == LENGTH_IN_2 ? 2 : short_length == LENGTH_IN_8 ? 8 : 0;
    size_t header_bytes = 2 + length_bytes + (from_client ? 4 : 0);
    uint64_t payload_bytes = short_length;
    if (length_bytes != 0) {
        size_t known = bytes.size - 2 < length_bytes ? bytes.size - 2 : length_bytes;
        fault = length_fault(at + 2, length_bytes, known);
        if (fault) goto bad;
        payload_bytes = 0;
        for (size_t i = 0; i < known; i++) payload_bytes = (payload_bytes << 8) | at[2 + i];
    }
    if (bytes.size < header_bytes) return DECODE_MORE;

    *header = (struct ws_header){
        .payload_bytes = payload_bytes,
        .header_bytes = (uint8_t)header_bytes,
        .opcode = at[0] & OPCODE,
        .fin = (at[0] & FIN) != 0,
        .rsv1 = (at[0] & WS_RSV1) != 0,
        .masked = from_client,
    };
    if (from_client) memcpy(header->mask_key, at + header_bytes - 4, 4);
    return DECODE_DONE;
bad:
    *why = fault;
    return DECODE_BAD;
}

static uint32_t write_header(char *out, enum ws_opcode opcode, uint64_t payload_bytes, uint8_t mask_bit)
{
    uint8_t *at = (uint8_t *)out;
    uint32_t header_bytes = ws_server_header_bytes(payload_bytes);
    at[0] = (uint8_t)(FIN | (uint8_t)opcode);
    at[1] = (uint8_t)(mask_bit | (header_bytes == 2 ? payload_bytes : header_bytes == 4 ? LENGTH_IN_2 : LENGTH_IN_8));
    for (uint32_t i = header_bytes; i > 2; payload_bytes >>= 8) at[--i] = (uint8_t)payload_bytes;
    return header_bytes;
}

uint32_t ws_server_header_write(char *out, enum ws_opcode opcode, uint64_t payload_bytes)
{
    return write_header(out, opcode, payload_bytes, 0);
}

uint32_t ws_client_header_write(char *out, enum ws_opcode opcode, uint64_t payload_bytes, const uint8_t mask_key[4])
{
    uint32_t header_bytes = write_header(out, opcode, payload_bytes, MASKED);
    memcpy(out + header_bytes, mask_key, 4);
    return header_bytes + 4;
}

/* RFC 6455, 7.4: what may stand on the wire. 1004 to 1006 and 1015 are for inside a program, 1016 to 2999 are not yet
 * given out. */
static bool may_be_sent(uint16_t code)
{
    if (code < 1000 || code > 4999) return false;
    if (code >= 1004 && code <= 1006) return false;
    return code <= 1014 || code >= 3000;
}

enum ws_close ws_close_read(struct span payload, uint16_t *code, struct span *reason)
{
    *code = WS_CLOSE_NONE;
    *reason = span_of(payload.bytes, 0);
    if (payload.size == 0) return WS_CLOSE_NONE;
    if (payload.size == 1) return WS_CLOSE_PROTOCOL;
    const uint8_t *at = (const uint8_t *)payload.bytes;
    uint16_t sent = (uint16_t)((at[0] << 8) | at[1]);
    if (!may_be_sent(sent)) return WS_CLOSE_PROTOCOL;
    if (!utf8_valid(span_skip(payload, 2))) return WS_CLOSE_BAD_DATA;
    *code = sent;
    *reason = span_skip(payload, 2);
    return WS_CLOSE_NONE;
}

uint32_t ws_close_write(char *out, uint16_t code, struct span reason)
{
    if (code == WS_CLOSE_NONE) return ws_server_header_write(out, WS_CLOSE, 0);
    size_t reason_bytes = reason.size;
    if (reason_bytes > WS_CONTROL_BYTES_MAX - 2) {
        reason_bytes = WS_CONTROL_BYTES_MAX - 2;
        while (reason_bytes > 0 && ((uint8_t)reason.bytes[reason_bytes] & 0xc0) == 0x80) reason_bytes--;
    }
    uint32_t at = ws_server_header_write(out, WS_CLOSE, 2 + reason_bytes);
    out[at++] = (char)(code >> 8);
    out[at++] = (char)(code & 0xff);
    if (reason_bytes != 0) memcpy(out + at, reason.bytes, reason_bytes);
    return at + (uint32_t)reason_bytes;
}
