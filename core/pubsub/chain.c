#include "core/pubsub/chain.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/reserve.h"

void chain_init(struct chain *chain, enum wire_format format)
{
    *chain = (struct chain){ .format = format };
}

void chain_deinit(struct chain *chain)
{
    free(chain->links);
    *chain = (struct chain){ 0 };
}

static int grow(struct chain *chain)
{
    uint32_t capacity = chain->capacity ? chain->capacity * 2 : 1;
    struct chain_link *links = malloc(capacity * sizeof *links);
    if (!links) return -ENOMEM;
    for (uint32_t i = 0; i < chain->count; i++) links[i] = *chain_at(chain, chain->number + i);
    free(chain->links);
    chain->links = links;
    chain->capacity = capacity;
    chain->first = 0;
    return 0;
}

int chain_push(struct chain *chain, struct chain_link link)
{
    if (chain->count == chain->capacity) {
        int error = grow(chain);
        if (error) return error;
    }
    if (chain->count == 0) chain->number = link.segment->number; /* a side that held nothing begins where it is told */
    CHECK(link.segment->number == chain->number + chain->count);
    chain->count++;
    *chain_at(chain, link.segment->number) = link;
    return 0;
}

void chain_push_surely(struct chain *chain, struct chain_link link)
{
    if (chain_push(chain, link) == 0) return;
    reserve_draw();
    bool there_is_memory = chain_push(chain, link) == 0;
    CHECK(there_is_memory);
}

struct chain_link chain_drop_first(struct chain *chain)
{
    CHECK(chain->count > 0);
    struct chain_link link = chain->links[chain->first];
    chain->first = (chain->first + 1) & (chain->capacity - 1);
    chain->count--;
    chain->number++;
    return link;
}

struct chain_link chain_drop_last(struct chain *chain)
{
    CHECK(chain->count > 0);
    struct chain_link link = *chain_at(chain, chain->number + chain->count - 1);
    chain->count--;
    return link;
}

struct mark chain_settle(const struct chain *chain, struct mark mark)
{
    if (mark.at.offset == chain_at(chain, mark.at.segment)->end && chain_holds(chain, mark.at.segment + 1))
        mark.at = (struct position){ mark.at.segment + 1, 0 };
    return mark;
}

struct mark chain_next(const struct chain *chain, struct mark mark)
{
    mark.at.offset += (uint32_t)chain_frame_bytes(chain, mark.at);
    mark.seq++;
    return chain_settle(chain, mark);
}

struct mark chain_seek(const struct chain *chain, const struct mark *tail, uint64_t seq)
{
    CHECK(seq >= tail->seq);
    /* The last segment whose first seq is not above. */
    uint32_t low = tail->at.segment - chain->number, high = chain->count - 1;
    while (low < high) {
        uint32_t middle = low + (high - low + 1) / 2;
        if (chain_at(chain, chain->number + middle)->segment->first_seq <= seq) low = middle;
        else high = middle - 1;
    }
    const struct segment *segment = chain_at(chain, chain->number + low)->segment;
    struct mark mark = { { segment->number, 0 }, segment->first_seq };
    while (mark.seq < seq) mark = chain_next(chain, mark);
    return mark;
}

struct mark chain_walk(const struct chain *chain, struct mark from, struct position head, uint64_t end_seq, uint64_t bytes_max, uint64_t *bytes)
{
    /* What lies between in one segment is mostly all that there is. */
    if (from.at.segment == head.segment && head.offset - from.at.offset <= bytes_max) {
        *bytes = head.offset - from.at.offset;
        return (struct mark){ head, end_seq };
    }
    *bytes = 0;
    struct mark at = from;
    while (at.seq < end_seq) {
        uint64_t frame_bytes = chain_frame_bytes(chain, at.at);
        if (*bytes > 0 && *bytes + frame_bytes > bytes_max) break;
        *bytes += frame_bytes;
        at = chain_next(chain, at);
    }
    return at;
}
