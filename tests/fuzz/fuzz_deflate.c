/* Any bytes as offers of extensions, as a compressed message in any pieces, and as a message to be compressed. The first byte says which and
 * how it is cut. An inflater makes no more than it may, and the same of the same bytes however they are cut; what a deflater makes
 * comes back; what is accepted is answered with what our own clients take. */
#include <stdlib.h>

#include "core/base/check.h"
#include "core/io/deflate.h"
#include "core/io/deflate_small.h"
#include "core/io/inflate.h"
#include "core/proto/ws_deflate.h"
#include "tests/unit/guard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BYTES_MAX = 100000 };

static struct deflater *deflater;
static struct inflater *inflater, *twin;
static struct deflate_small tables;

static void read_offers(struct span value)
{
    struct ws_deflate agreed = { 0 };
    char answer[WS_DEFLATE_ANSWER_BYTES_MAX];
    if (!ws_deflate_offers_read(value, &agreed)) return;
    if (!agreed.accepted) CHECK(!agreed.server_window_asked);
    else CHECK(ws_deflate_answer_fits(span_of(answer, ws_deflate_answer_write(answer, &agreed))));
    ws_deflate_answer_fits(value);
}

static enum inflate_verdict inflate_in(struct inflater *by, struct span payload, size_t piece, bool text, struct span *message)
{
    inflate_begin(by, BYTES_MAX, text);
    *message = SPAN_NONE;
    while (payload.size > 0) {
        struct span some = span_of(payload.bytes, payload.size < piece ? payload.size : piece);
        enum inflate_verdict verdict = inflate_feed(by, some);
        CHECK(inflate_size(by) <= BYTES_MAX + 1);
        if (verdict != INFLATE_FINE) return verdict;
        payload = span_skip(payload, some.size);
    }
    return inflate_end(by, message);
}

static void inflate_any(struct span payload, size_t piece)
{
    struct span whole, pieces;
    enum inflate_verdict at_once = inflate_in(inflater, payload, payload.size + 1, false, &whole);
    CHECK(inflate_in(twin, payload, piece, false, &pieces) == at_once);
    if (at_once != INFLATE_FINE) return;
    CHECK(span_equals(whole, pieces));
    bool is_text = inflate_in(twin, payload, piece, true, &pieces) == INFLATE_FINE;
    if (is_text) CHECK(span_equals(whole, pieces));
}

static void come_back(struct span payload, struct span message)
{
    struct span back;
    CHECK(inflate_in(inflater, payload, payload.size, false, &back) == INFLATE_FINE);
    CHECK(span_equals(back, message));
}

static void deflate_any(struct span message)
{
    struct span payload = deflate_message(deflater, message);
    if (payload.bytes) come_back(payload, message);
    deflate_begin(deflater, message.size * 2 + 64);
    deflate_add(deflater, span_of(message.bytes, message.size / 3));
    deflate_add(deflater, span_skip(message, message.size / 3));
    payload = deflate_end(deflater);
    CHECK(payload.bytes);
    come_back(payload, message);
    if (message.size > DEFLATE_SMALL_BYTES_MAX) return;
    char *out = guard_copy(span_of((char[DEFLATE_SMALL_ROOM(DEFLATE_SMALL_BYTES_MAX)]){ 0 }, DEFLATE_SMALL_ROOM(message.size)));
    come_back(span_of(out, deflate_small(&tables, message, out)), message);
    guard_free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!deflater) {
        deflater = deflater_make();
        inflater = inflater_make();
        twin = inflater_make();
        deflate_small_init(&tables);
        CHECK(deflater && inflater && twin);
    }
    if (size == 0) return 0;
    struct span bytes = guard_span(span_of((const char *)data + 1, size - 1));
    switch (data[0] & 3) {
    case 0: read_offers(bytes); break;
    case 1: case 2: inflate_any(bytes, 1 + (data[0] >> 2)); break;
    default: deflate_any(bytes);
    }
    guard_free(bytes.bytes);
    return 0;
}
