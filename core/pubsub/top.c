#include "core/pubsub/top.h"

#include "core/base/check.h"

static struct top_place *find(struct top *top, struct span name, uint32_t hash)
{
    for (uint32_t i = 0; i < top->count; i++) {
        struct top_place *place = &top->places[i];
        if (place->hash == hash && span_equals(span_of(place->name, place->name_bytes), name)) return place;
    }
    return NULL;
}

static struct top_place *lowest(struct top *top)
{
    struct top_place *lowest = &top->places[0];
    for (uint32_t i = 1; i < top->count; i++)
        if (top->places[i].score < lowest->score) lowest = &top->places[i];
    return lowest;
}

void top_add(struct top *top, struct span name, uint32_t hash, uint64_t score)
{
    CHECK(name.size <= TOPIC_NAME_BYTES_MAX);
    struct top_place *place = find(top, name, hash);
    if (!place) {
        bool free_place = top->count < TOP_PLACES;
        place = free_place ? &top->places[top->count++] : lowest(top);
        uint64_t owed = free_place ? 0 : place->score;
        *place = (struct top_place){ .score = owed, .owed = owed, .hash = hash, .name_bytes = (uint8_t)name.size };
        memcpy(place->name, name.bytes, name.size);
    }
    place->score += score;
}

void top_fade(struct top *top)
{
    for (uint32_t i = 0; i < top->count;) {
        struct top_place *place = &top->places[i];
        place->score -= (place->score + TOP_FADE - 1) / TOP_FADE; /* rounded so that it comes to nothing */
        place->owed -= (place->owed + TOP_FADE - 1) / TOP_FADE;
        if (place->score > 0) i++;
        else *place = top->places[--top->count];
    }
}

uint32_t top_best(const struct top *top, const struct top_place **best, uint32_t most)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < top->count; i++) {
        const struct top_place *place = &top->places[i];
        if (place->score == place->owed) continue;
        uint32_t at = count;
        while (at > 0 && best[at - 1]->score - best[at - 1]->owed < place->score - place->owed) at--;
        if (at == most) continue;
        if (count < most) count++;
        for (uint32_t j = count - 1; j > at; j--) best[j] = best[j - 1];
        best[at] = place;
    }
    return count;
}
