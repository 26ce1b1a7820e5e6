/* Top: which topics have had most of something lately, in a few KiB however many topics there are.
 *
 * A sketch of the "space-saving" kind (Metwally, Agrawal, El Abbadi, 2005): TOP_PLACES names with a score each. A name that has no place
 * takes the one with the lowest score, goes on from it and remembers how much of its score is owed to that. So a topic with more than
 * 1/TOP_PLACES of all is always among them, and its score is too high by no more than `owed`.
 *
 * Scores fade by a quarter with each top_fade(), called once a second: they weigh some four seconds, the last the most. One thread. */
#ifndef CORE_PUBSUB_TOP_H
#define CORE_PUBSUB_TOP_H

#include "core/proto/topic_name.h"

#define TOP_PLACES 32
#define TOP_FADE   4 /* the part that one second fades: one of so many */

/* Looking at a topic costs 12 to 45 ns. So TOP_LOOKS are looked at in TOP_EACH_US at most, those that come first, and all is added that each
 * has had since it was looked at last: who has much comes often. */
#define TOP_EACH_US 5000
#define TOP_LOOKS   32

struct top_place {
    uint64_t owed; /* at most so much of its score was another's */
    uint8_t  name_bytes;
    char     name[TOPIC_NAME_BYTES_MAX];
};

/* Entry by entry beside one another: what is searched lies close together. */
struct top {
    uint32_t         count; /* of places taken */
    uint32_t         hashes[TOP_PLACES]; /* of the names, any that the caller likes */
    uint64_t         scores[TOP_PLACES];
    struct top_place places[TOP_PLACES];
};

/* Zeroed it is empty. */
void top_add(struct top *top, struct span name, uint32_t hash, uint64_t score);
/* To be called once a second. */
void top_fade(struct top *top);
/* Writes the numbers of the places whose scores are more than what is owed, the highest first, at most `most`: returns how many. */
uint32_t top_best(const struct top *top, uint32_t *best, uint32_t most);

static inline uint64_t top_own_score(const struct top *top, uint32_t place)
{
    return top->scores[place] - top->places[place].owed;
}

/* What a second brings to a topic that has had the same for a while: its score before a fade. */
static inline double top_per_second(const struct top *top, uint32_t place)
{
    return (double)top_own_score(top, place) / TOP_FADE;
}

static inline struct span top_name(const struct top *top, uint32_t place)
{
    return span_of(top->places[place].name, top->places[place].name_bytes);
}

#endif
