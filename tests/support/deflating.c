#include "tests/support/deflating.h"

#include "core/base/check.h"
#include "core/io/deflate.h"
#include "core/io/inflate.h"

static struct deflater *deflater; /* made at first use, and kept */
static struct inflater *inflater;

static struct span compress(void *context, struct span message)
{
    if (!deflater) deflater = deflater_make();
    CHECK(deflater);
    return message.size % 2 ? deflate_message(deflater, message) : deflate_quickly(deflater, message);
}

const struct compressor deflating = { NULL, compress };

struct span inflated(struct span payload)
{
    enum { MOST = 64 << 20 };
    struct span message = SPAN_NONE;
    if (!inflater) inflater = inflater_make();
    CHECK(inflater);
    inflate_begin(inflater, MOST, true);
    CHECK(inflate_feed(inflater, payload) == INFLATE_FINE);
    CHECK(inflate_end(inflater, &message) == INFLATE_FINE);
    return message;
}
