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

/* Looking at a topic costs some 20 ns. So TOP_LOOKS are looked at in TOP_EACH_US at most, those that come first, and all is added that each
 * has had since it was looked at last: who has much comes often. */
#define TOP_EACH_US 5000
#define TOP_LOOKS   64

struct top_place {
    uint64_t score;
    uint64_t owed; /* at most so much of it was another's */
    uint32_t hash; /* of the name, any that the caller likes */
    uint8_t  name_bytes;
    char     name[TOPIC_NAME_BYTES_MAX];
};

struct top {
    uint32_t         count; /* of places taken */
    struct top_place places[TOP_PLACES];
};

/* Zeroed it is empty. */
void top_add(struct top *top, struct span name, uint32_t hash, uint64_t score);
/* To be called once a second. */
void top_fade(struct top *top);
/* The places with the highest scores that are more than what is owed, highest first, at most `most`: returns how many. Borrowed until the next call. */
uint32_t top_best(const struct top *top, const struct top_place **best, uint32_t most);

/* What a second brings to a topic that has had the same for a while: its score before a fade, less what is owed. */
static inline double top_per_second(const struct top_place *place)
{
    return (double)(place->score - place->owed) / TOP_FADE;
}

#endif
