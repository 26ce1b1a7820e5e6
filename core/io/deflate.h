/* Compression of what is sent (RFC 7692, 7.2.1): raw deflate, each message for itself, so that it may be compressed once for all who
 * read it and no connection owns a window. One compressor for each shard serves all. Its thread only. */
#ifndef CORE_IO_DEFLATE_H
#define CORE_IO_DEFLATE_H

#include "core/base/span.h"

struct deflater;

/* NULL: no memory. Some 50 KB, and as much again as the largest message in between. */
struct deflater *deflater_make(void);
void             deflater_free(struct deflater *deflater);

/* A message, whole or piece by piece.
 *   most     what the payload may have, with the four bytes that are left out
 *   end      returns the message's payload, without its last four bytes 00 00 ff ff, as the frame has it; borrowed until the next
 *            deflate_begin() or deflate_rest(). SPAN_NONE: it would be more
 *   message  the whole at once; SPAN_NONE: it would be no smaller than it was */
void        deflate_begin(struct deflater *deflater, size_t most);
void        deflate_add(struct deflater *deflater, struct span piece);
struct span deflate_end(struct deflater *deflater);
struct span deflate_message(struct deflater *deflater, struct span message);
/* The same in less than a tenth of the time for somewhat more bytes; SPAN_NONE also where it is more than 16 KiB. */
struct span deflate_quickly(struct deflater *deflater, struct span message);
/* Nothing of it is needed any more: what a large message took is given back. */
void        deflate_rest(struct deflater *deflater);

/* Payloads of messages may follow one another in one message: DEFLATE_JOINT stands between two of them. It ends the one at a byte, as the
 * four bytes would that are left out, and says "\n" (RFC 1951, 3.2.4: the length and the bytes of a stored block). */
#define DEFLATE_JOINT "\x01\x00\xfe\xff\n"
#define DEFLATE_JOINT_BYTES 5

#endif
