/* Fuzzing of what strangers send over a WebSocket, up to their payloads. Promises tried: no byte beyond the input
 * is read, a header that is taken is the shortest one for what it says, an answer never changes with the pieces,
 * twins agree.
 *
 * Input: one byte that says how (side, RSV1, phase of the mask), then the bytes of a frame and what follows. */
#include <stdint.h>
#include <stdlib.h>

#include "core/proto/mask.h"
#include "core/proto/utf8.h"
#include "core/proto/ws_frame.h"

#define CLAIM(condition) \
    do { \
        if (!(condition)) __builtin_trap(); \
    } while (0)

static void try_header(struct span bytes, bool from_client, bool rsv1_allowed)
{
    struct ws_header header, early_header;
    const char *why = NULL, *early_why = NULL;
    enum decode answer = ws_frame_decode(bytes, from_client, rsv1_allowed, &header, &why);
    for (size_t size = 0; size < bytes.size && size <= WS_HEADER_BYTES_MAX; size++) {
        enum decode early =
            ws_frame_decode(span_of(bytes.bytes, size), from_client, rsv1_allowed, &early_header, &early_why);
        if (early != DECODE_MORE) CLAIM(early == answer);
        if (early == DECODE_BAD) CLAIM(early_why == why);
        if (answer == DECODE_DONE) CLAIM((early == DECODE_DONE) == (size >= header.header_bytes));
    }
    CLAIM(answer != DECODE_MORE || bytes.size < WS_HEADER_BYTES_MAX);
    if (answer == DECODE_BAD) CLAIM(why);
    if (answer != DECODE_DONE) return;

    /* written again it is the same, but for FIN and RSV1, which we always and never set */
    char again[WS_HEADER_BYTES_MAX];
    uint32_t written = from_client ? ws_client_header_write(again, header.opcode, header.payload_bytes, header.mask_key)
                                   : ws_server_header_write(again, header.opcode, header.payload_bytes);
    CLAIM(written == header.header_bytes && (again[0] & 15) == (bytes.bytes[0] & 15));
    CLAIM(memcmp(again + 1, bytes.bytes + 1, written - 1) == 0);
    CLAIM(header.payload_bytes <= INT64_MAX && header.masked == from_client && (rsv1_allowed || !header.rsv1));
    CLAIM(header.opcode < WS_CLOSE || (header.fin && header.payload_bytes <= WS_CONTROL_BYTES_MAX));
    if (!from_client) CLAIM(ws_server_frame_bytes(bytes.bytes) == header.header_bytes + header.payload_bytes);
}

static void try_close(struct span payload)
{
    uint16_t code, code_again;
    struct span reason, reason_again;
    if (ws_close_read(payload, &code, &reason) != WS_CLOSE_NONE) {
        CLAIM(code == WS_CLOSE_NONE && reason.size == 0);
        return;
    }
    char frame[127];
    uint32_t written = ws_close_write(frame, code, reason);
    CLAIM(written <= sizeof frame && written == 2u + (uint8_t)frame[1]);
    CLAIM(ws_close_read(span_of(frame + 2, written - 2), &code_again, &reason_again) == WS_CLOSE_NONE &&
          code_again == code);
    CLAIM(reason_again.size <= reason.size &&
          (reason.size == 0 || memcmp(reason.bytes, reason_again.bytes, reason_again.size) == 0));
    CLAIM(reason.size <= 123 ? reason_again.size == reason.size : reason_again.size >= 120);
}

static void try_utf8(struct span text, size_t cut)
{
    struct utf8 whole = { 0 }, pieces = { 0 }, scalar = { 0 };
    bool valid = utf8_feed(&whole, text);
    CLAIM(utf8_feed_scalar(&scalar, text) == valid);
    CLAIM((utf8_feed(&pieces, span_of(text.bytes, cut)) && utf8_feed(&pieces, span_skip(text, cut))) == valid);
    CLAIM(memcmp(&whole, &scalar, sizeof whole) == 0 && memcmp(&whole, &pieces, sizeof whole) == 0);
    CLAIM(utf8_valid(text) == (valid && utf8_complete(&whole)));
}

static void try_mask(struct span text, size_t phase)
{
    static const uint8_t key[4] = { 0x37, 0xfa, 0x21, 0x3d };
    char *fast = malloc(text.size + 1), *slow = malloc(text.size + 1);
    memcpy(fast, text.bytes, text.size);
    memcpy(slow, text.bytes, text.size);
    mask_apply(fast, text.size, key, phase);
    mask_apply_scalar(slow, text.size, key, phase);
    CLAIM(memcmp(fast, slow, text.size) == 0);
    free(fast);
    free(slow);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    uint8_t how = data[0];
    char *copy = malloc(size - 1 ? size - 1 : 1); /* of its own, so that the sanitizer sees a byte too far */
    memcpy(copy, data + 1, size - 1);
    struct span bytes = span_of(copy, size - 1);
    try_header(bytes, how & 1, how & 2);
    try_close(bytes);
    try_utf8(bytes, how < bytes.size ? how : bytes.size);
    try_mask(bytes, how >> 2);
    free(copy);
    return 0;
}
