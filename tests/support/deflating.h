/* Compression for engines in tests: the gateway's own, both ways, and its opposite. One thread. */
#ifndef TESTS_SUPPORT_DEFLATING_H
#define TESTS_SUPPORT_DEFLATING_H

#include "core/pubsub/format.h"

/* For struct home_settings; compresses all that shrinks. */
extern const struct compressor deflating;

/* The message of a compressed frame's payload; asserts that it is one, of UTF-8. Borrowed until the next call. */
struct span inflated(struct span payload);

#endif
