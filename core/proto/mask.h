/* Unmasking of WebSocket payloads (RFC 6455, 5.3), in place. Pure; any thread. */
#ifndef CORE_PROTO_MASK_H
#define CORE_PROTO_MASK_H

#include <stddef.h>
#include <stdint.h>

/* XORs `bytes` with the four key bytes, repeated.
 *   bytes   any alignment; changed in place; nothing outside [bytes, bytes + size) is read or written
 *   key     in wire order
 *   phase   how many payload bytes of the frame came before these, modulo 4 is what counts */
void mask_apply(char *bytes, size_t size, const uint8_t key[4], size_t phase);

/* The same, one byte at a time: the twin that tests compare with. */
void mask_apply_scalar(char *bytes, size_t size, const uint8_t key[4], size_t phase);

#endif
