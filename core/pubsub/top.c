#include "core/pubsub/top.h"

#include "core/base/check.h"

/* top->count: it has no place. */
static uint32_t find(const struct top *top, struct span name, uint32_t hash)
{
    uint32_t at = 0;
    while (at < top->count && (top->hashes[at] != hash || !span_equals(top_name(top, at), name))) at++;
    return at;
}

static uint32_t lowest(const struct top *top)
{
    uint32_t lowest = 0;
    for (uint32_t i = 1; i < top->count; i++)
        if (top->scores[i] < top->scores[lowest]) lowest = i;
    return lowest;
}

static uint32_t take_place(struct top *top, struct span name, uint32_t hash)
{
    bool is_free = top->count < TOP_PLACES;
    uint32_t at = is_free ? top->count++ : lowest(top);
    if (is_free) top->scores[at] = 0;
    struct top_place *place = &top->places[at];
    place->owed = top->scores[at];
    place->name_bytes = (uint8_t)name.size;
    memcpy(place->name, name.bytes, name.size);
    top->hashes[at] = hash;
    return at;
}

void top_add(struct top *top, struct span name, uint32_t hash, uint64_t score)
{
    CHECK(name.size <= TOPIC_NAME_BYTES_MAX);
    uint32_t at = find(top, name, hash);
    if (at == top->count) at = take_place(top, name, hash);
    top->scores[at] += score;
}

static uint64_t faded(uint64_t score)
{
    return score - (score + TOP_FADE - 1) / TOP_FADE; /* rounded so that it comes to nothing */
}

void top_fade(struct top *top)
{
    for (uint32_t i = 0; i < top->count;) {
        top->scores[i] = faded(top->scores[i]);
        top->places[i].owed = faded(top->places[i].owed);
        if (top->scores[i] > 0) {
            i++;
            continue;
        }
        uint32_t last = --top->count;
        top->hashes[i] = top->hashes[last];
        top->scores[i] = top->scores[last];
        top->places[i] = top->places[last];
    }
}

uint32_t top_best(const struct top *top, uint32_t *best, uint32_t most)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < top->count; i++) {
        uint64_t score = top_own_score(top, i);
        if (score == 0) continue;
        uint32_t at = count;
        while (at > 0 && top_own_score(top, best[at - 1]) < score) at--;
        if (at == most) continue;
        if (count < most) count++;
        for (uint32_t j = count - 1; j > at; j--) best[j] = best[j - 1];
        best[at] = i;
    }
    return count;
}
