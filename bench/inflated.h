/* Messages of compressed frames, as a crowd of readers wants them: what many are sent alike is inflated once and remembered by its
 * bytes, all of which are compared. One thread. */
#ifndef BENCH_INFLATED_H
#define BENCH_INFLATED_H

#include "core/base/span.h"

struct inflated;

/* NULL: no memory. */
struct inflated *inflated_make(void);
void             inflated_free(struct inflated *inflated);

/* The message of a compressed frame's payload, of text; borrowed until the next call. SPAN_NONE: it is broken. */
struct span inflated_message(struct inflated *inflated, struct span payload);

#endif
