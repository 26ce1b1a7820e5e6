/* Decompression of what is received (RFC 7692, 7.2.2): a message at a time, as its bytes come, bounded while it grows, so that a bomb
 * costs no more than the limit that it breaks. A message that comes whole is inflated by the shard's one inflater; one that comes in
 * pieces holds one of its own until it ends. Clients keep no context from one message to the next. Its shard's thread only. */
#ifndef CORE_IO_INFLATE_H
#define CORE_IO_INFLATE_H

#include "core/base/span.h"

struct inflater;

/* NULL: no memory. Up to 40 KB, and the message at hand. */
struct inflater *inflater_make(void);
void             inflater_free(struct inflater *inflater);
/* Memory that it holds, in bytes. */
size_t           inflater_bytes(const struct inflater *inflater);

enum inflate_verdict {
    INFLATE_FINE,
    INFLATE_TOO_LARGE, /* it is more than bytes_max; no more than that was made of it */
    INFLATE_BROKEN,    /* not what deflate makes, or it ends in the middle */
    INFLATE_NO_TEXT,   /* not UTF-8; said as soon as it shows */
};

/* One message. After another verdict than FINE only inflate_begin() may follow.
 *   bytes_max  the most that the message may have
 *   text       it must be UTF-8
 *   piece      of the payloads of its frames, unmasked, in their order; borrowed for the call
 *   message    out: the whole, borrowed until the next inflate_begin() or inflate_rest() */
void                 inflate_begin(struct inflater *inflater, size_t bytes_max, bool text);
enum inflate_verdict inflate_feed(struct inflater *inflater, struct span piece);
enum inflate_verdict inflate_end(struct inflater *inflater, struct span *message);
/* How much of the message there is by now. */
size_t               inflate_size(const struct inflater *inflater);
/* The message is not needed any more: what a large one took is given back. */
void                 inflate_rest(struct inflater *inflater);

#endif
