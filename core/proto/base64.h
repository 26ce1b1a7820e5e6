/* base64url without padding (RFC 4648, 5; RFC 7515, appendix C), as tokens and JSON keys carry bytes. Pure; any thread. */
#ifndef CORE_PROTO_BASE64_H
#define CORE_PROTO_BASE64_H

#include "core/base/span.h"

/* Bytes that so many characters stand for, and characters that so many bytes become. */
#define BASE64URL_DECODED_BYTES(characters) ((characters) / 4 * 3 + ((characters) % 4 == 0 ? 0 : (characters) % 4 - 1))
#define BASE64URL_ENCODED_BYTES(bytes) ((bytes) / 3 * 4 + ((bytes) % 3 == 0 ? 0 : (bytes) % 3 + 1))

/* One text has one reading: no padding, no white space, no other alphabet, no bits left over that are not 0. Returns the bytes
 * written to out, which has room for BASE64URL_DECODED_BYTES, or -1. In place (out == text.bytes) it works too. */
long base64url_decode(struct span text, char *out);
/* Returns the characters written: BASE64URL_ENCODED_BYTES, and no end mark. */
size_t base64url_encode(struct span bytes, char *out);

#endif
