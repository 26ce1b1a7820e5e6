/* The negotiation of permessage-deflate (RFC 7692, 5 and 7.1): offers of a client, our answer, and the other way round for our own
 * clients. Both sides always go without context takeover, so that no connection owns a compressor or a window, and what is sent to
 * many is compressed once. Pure; any thread; no allocation. */
#ifndef CORE_PROTO_WS_DEFLATE_H
#define CORE_PROTO_WS_DEFLATE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/span.h"

/* What was agreed. Zero it before the first line of offers. */
struct ws_deflate {
    bool accepted;            /* an offer was; later ones don't count */
    bool server_window_asked; /* it named server_max_window_bits, which the answer must do then (7.1.2.1) */
};

/* Reads the value of one Sec-WebSocket-Extensions line, and accepts the first offer that can be: one without unknown, repeated or
 * invalid parameters, and with no smaller server_max_window_bits than 15. All others are declined, as is every other extension.
 * Several lines are read one after another, in their order.
 *   value    borrowed for this call, as a header's value comes: only HTAB, space, visible ASCII and obs-text
 *   returns  false: it is not a list of extensions (RFC 6455, 9.1), for which the handshake must fail */
bool ws_deflate_offers_read(struct span value, struct ws_deflate *agreed);

/* Writes what answers the accepted offer, as the value of that header; returns its bytes. `out` has room for WS_DEFLATE_ANSWER_BYTES_MAX. */
#define WS_DEFLATE_ANSWER_BYTES_MAX 128
uint32_t ws_deflate_answer_write(char *out, const struct ws_deflate *agreed);

/* What our own clients offer, and whether an answer's value accepts just that, so that each message may be inflated for itself. */
#define WS_DEFLATE_OFFER "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
bool ws_deflate_answer_fits(struct span value);

#endif
