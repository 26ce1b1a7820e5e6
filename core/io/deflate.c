#include "core/io/deflate.h"

#include <stdlib.h>
#include <zlib.h>

#include "core/base/check.h"
#include "core/base/text.h"
#include "core/io/deflate_small.h"

/* Of recorded ticks, as JSON messages of 163 bytes (bytes and microseconds for each update):
 *                              1 a message    2            8            32           100
 *   deflate_small()            146   0.5     96   0.5     53   0.4
 *   level 1, 2^9, memory 1     136   6.8                  62   4.5     56   4.2     55   4.1
 *   level 3, 2^13, memory 5    136   6.7     85   4.4     41   1.8     27   1.2     23   0.9
 *   level 6, 2^15, memory 8    134   7.2                  37   2.9     23   2.0     19   1.9
 * Alone a message has little to look back to, and the time goes into its code. Together they want the window; beyond these numbers a
 * fifth fewer bytes cost as much time again. The hash table of memory level 5, cleared for each message, has 8 KB. */
enum { LEVEL = 3, WINDOW_BITS = 13, MEMORY_LEVEL = 5 };

enum {
    TAIL_BYTES = 4,           /* 00 00 ff ff: what a flush ends with */
    KEPT_BYTES = 128 * 1024,  /* of room for a message, from one to the next */
};

struct deflater {
    z_stream    stream;
    struct text out;
    struct deflate_small small;
    bool        larger; /* than it may be, already */
};

struct deflater *deflater_make(void)
{
    struct deflater *deflater = calloc(1, sizeof *deflater);
    if (deflater) deflate_small_init(&deflater->small);
    if (deflater && deflateInit2(&deflater->stream, LEVEL, Z_DEFLATED, -WINDOW_BITS, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) == Z_OK) return deflater;
    free(deflater);
    return NULL;
}

void deflater_free(struct deflater *deflater)
{
    if (!deflater) return;
    deflateEnd(&deflater->stream);
    text_free(&deflater->out);
    free(deflater);
}

void deflate_rest(struct deflater *deflater)
{
    deflater->out.size = 0;
    if (deflater->out.capacity > KEPT_BYTES) text_free(&deflater->out);
}

void deflate_begin(struct deflater *deflater, size_t most)
{
    z_stream *stream = &deflater->stream;
    deflate_rest(deflater);
    CHECK(deflateReset(stream) == Z_OK);
    stream->next_out = (Bytef *)text_reserve(&deflater->out, most);
    stream->avail_out = (uInt)most;
    deflater->larger = most > UINT32_MAX;
}

static void run(struct deflater *deflater, struct span piece, int flush)
{
    z_stream *stream = &deflater->stream;
    stream->next_in = (z_const Bytef *)piece.bytes;
    stream->avail_in = (uInt)piece.size;
    deflate(stream, flush);
    if (stream->avail_out == 0 || stream->avail_in > 0) deflater->larger = true; /* a flush is complete only where room is left */
}

void deflate_add(struct deflater *deflater, struct span piece)
{
    if (!deflater->larger && piece.size > 0) run(deflater, piece, Z_NO_FLUSH);
}

struct span deflate_end(struct deflater *deflater)
{
    if (!deflater->larger) run(deflater, SPAN_NONE, Z_SYNC_FLUSH);
    if (deflater->larger) return SPAN_NONE;
    size_t size = (size_t)((char *)deflater->stream.next_out - deflater->out.bytes);
    CHECK(size > TAIL_BYTES && memcmp(deflater->out.bytes + size - TAIL_BYTES, "\0\0\xff\xff", TAIL_BYTES) == 0);
    return span_of(deflater->out.bytes, size - TAIL_BYTES);
}

struct span deflate_quickly(struct deflater *deflater, struct span message)
{
    if (message.size > DEFLATE_SMALL_BYTES_MAX) return SPAN_NONE;
    deflate_rest(deflater);
    size_t size = deflate_small(&deflater->small, message, text_reserve(&deflater->out, DEFLATE_SMALL_ROOM(message.size)));
    return size < message.size ? span_of(deflater->out.bytes, size) : SPAN_NONE;
}

struct span deflate_message(struct deflater *deflater, struct span message)
{
    deflate_begin(deflater, message.size + TAIL_BYTES); /* which it must not fill */
    deflate_add(deflater, message);
    return deflate_end(deflater);
}
