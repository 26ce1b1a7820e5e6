/* Generations: whether what a number names is still the same thing. Kept apart from the things, so that one that is gone
 * can be asked for. One thread. */
#ifndef CORE_PUBSUB_GENERATION_H
#define CORE_PUBSUB_GENERATION_H

#include <stdbool.h>
#include <stdint.h>

struct generations {
    uint32_t *of; /* by index; 0: there is no such thing now */
    uint32_t  capacity;
    uint32_t  newest;
};

void generations_deinit(struct generations *generations);
/* Begins the next life of the thing; its generation, or 0: no memory. */
uint32_t generation_begin(struct generations *generations, uint32_t index);
void     generation_end(struct generations *generations, uint32_t index);

static inline bool generation_is(const struct generations *generations, uint32_t index, uint32_t generation)
{
    return index < generations->capacity && generation != 0 && generations->of[index] == generation;
}

#endif
