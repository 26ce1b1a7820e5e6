/* SipHash: a keyed hash of short texts. Whoever doesn't know the key can't choose names that collide, so names from clients
 * may be table keys. Not for signatures. Pure; any thread.
 * Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012); the variant 1-3 is what Rust, Python and Linux
 * use for tables. */
#ifndef CORE_BASE_SIPHASH_H
#define CORE_BASE_SIPHASH_H

#include <stdint.h>

#include "core/base/span.h"

#define SIPHASH_KEY_BYTES 16

/* SipHash-1-3. */
uint64_t siphash(const uint8_t key[SIPHASH_KEY_BYTES], struct span text);

/* Any variant: `each` rounds for each 8 bytes, `end` rounds at the end. The published test vectors are for 2-4. */
uint64_t siphash_rounds(const uint8_t key[SIPHASH_KEY_BYTES], struct span text, unsigned each, unsigned end);

#endif
