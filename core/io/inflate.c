#include "core/io/inflate.h"

#include <stdlib.h>
#include <zlib.h>

#include "core/base/check.h"
#include "core/base/text.h"
#include "core/proto/utf8.h"

enum {
    WINDOW_BITS = 15,        /* whatever a client may use */
    WINDOW_BYTES = 1 << WINDOW_BITS,
    STATE_BYTES = 7 * 1024,  /* zlib's own, without the window */
    STEP_BYTES = 16 * 1024,  /* of output at a time: so soon a fault shows */
    KEPT_BYTES = 128 * 1024, /* of room for a message, from one to the next */
    /* zlib.h, inflate(): with just this in data_type it stands between two blocks, and at a byte. */
    BETWEEN_BLOCKS = 128,
};

struct inflater {
    z_stream    stream;
    struct text out;
    struct utf8 utf8;
    size_t      bytes_max;
    bool        text;
    bool        between; /* the message may end here */
};

struct inflater *inflater_make(void)
{
    struct inflater *inflater = calloc(1, sizeof *inflater);
    if (inflater && inflateInit2(&inflater->stream, -WINDOW_BITS) == Z_OK) return inflater;
    free(inflater);
    return NULL;
}

void inflater_free(struct inflater *inflater)
{
    if (!inflater) return;
    inflateEnd(&inflater->stream);
    text_free(&inflater->out);
    free(inflater);
}

size_t inflater_bytes(const struct inflater *inflater)
{
    return sizeof *inflater + STATE_BYTES + WINDOW_BYTES + inflater->out.capacity;
}

size_t inflate_size(const struct inflater *inflater)
{
    return inflater->out.size;
}

void inflate_rest(struct inflater *inflater)
{
    inflater->out.size = 0;
    if (inflater->out.capacity > KEPT_BYTES) text_free(&inflater->out);
}

void inflate_begin(struct inflater *inflater, size_t bytes_max, bool text)
{
    inflate_rest(inflater);
    CHECK(inflateReset(&inflater->stream) == Z_OK);
    inflater->utf8 = (struct utf8){ 0 };
    inflater->bytes_max = bytes_max;
    inflater->text = text;
    inflater->between = true;
}

/* Room for the next step: one byte more than the message may have shows that it is too large. */
static size_t make_room(struct inflater *inflater)
{
    size_t left = inflater->bytes_max + 1 - inflater->out.size, room = left < STEP_BYTES ? left : STEP_BYTES;
    inflater->stream.next_out = (Bytef *)text_reserve(&inflater->out, room);
    inflater->stream.avail_out = (uInt)room;
    return room;
}

static int step(struct inflater *inflater)
{
    z_stream *stream = &inflater->stream;
    int result = inflate(stream, Z_SYNC_FLUSH);
    inflater->between = result == Z_STREAM_END || (result != Z_BUF_ERROR ? stream->data_type == BETWEEN_BLOCKS : inflater->between);
    if (result == Z_STREAM_END) result = inflateReset(stream); /* a last block ends a run of blocks, and another run may follow (7.2.3.4) */
    return result == Z_BUF_ERROR ? Z_OK : result; /* there was nothing left to do */
}

enum inflate_verdict inflate_feed(struct inflater *inflater, struct span piece)
{
    z_stream *stream = &inflater->stream;
    CHECK(piece.size <= UINT32_MAX);
    stream->next_in = (z_const Bytef *)piece.bytes;
    stream->avail_in = (uInt)piece.size;
    for (bool full = false; stream->avail_in > 0 || full; full = stream->avail_out == 0) {
        size_t before = inflater->out.size, room = make_room(inflater);
        int result = step(inflater);
        inflater->out.size += room - stream->avail_out;
        if (inflater->text && !utf8_feed(&inflater->utf8, span_of(inflater->out.bytes + before, inflater->out.size - before))) return INFLATE_NO_TEXT;
        if (inflater->out.size > inflater->bytes_max) return INFLATE_TOO_LARGE;
        CHECK(result != Z_MEM_ERROR);
        if (result != Z_OK) return INFLATE_BROKEN;
    }
    return INFLATE_FINE;
}

enum inflate_verdict inflate_end(struct inflater *inflater, struct span *message)
{
    /* The four bytes that a sender leaves out. One that sends them, or whose last block says that it is the last, is between blocks already. */
    enum inflate_verdict verdict = inflater->between ? INFLATE_FINE : inflate_feed(inflater, SPAN_LITERAL("\0\0\xff\xff"));
    if (verdict != INFLATE_FINE) return verdict;
    if (!inflater->between) return INFLATE_BROKEN;
    if (inflater->text && !utf8_complete(&inflater->utf8)) return INFLATE_NO_TEXT;
    *message = inflater->out.bytes ? text_span(&inflater->out) : SPAN_LITERAL("");
    return INFLATE_FINE;
}
