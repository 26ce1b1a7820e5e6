/* The WebSocket opening handshake (RFC 6455, 4). Pure; any thread; no allocation. */
#ifndef CORE_PROTO_WS_HANDSHAKE_H
#define CORE_PROTO_WS_HANDSHAKE_H

#include <stdbool.h>

#include "core/base/span.h"

#define WS_ACCEPT_BYTES 28

/* Sec-WebSocket-Accept of a key: base64(SHA-1(key ‖ GUID)) (4.2.2). `accept` is not ended by a NUL. */
void ws_accept(struct span key, char accept[WS_ACCEPT_BYTES]);

/* Whether a Sec-WebSocket-Key is the base64 of 16 bytes: 24 characters, the last two `==`, no stray bits. */
bool ws_key_valid(struct span key);

#endif
