#include "core/pubsub/generation.h"

#include <stdlib.h>
#include <string.h>

void generations_deinit(struct generations *generations)
{
    free(generations->of);
    *generations = (struct generations){ 0 };
}

uint32_t generation_begin(struct generations *generations, uint32_t index)
{
    if (index >= generations->capacity) {
        uint32_t capacity = generations->capacity ? generations->capacity : 64;
        while (capacity <= index) capacity *= 2;
        uint32_t *of = realloc(generations->of, capacity * sizeof *of);
        if (!of) return 0;
        memset(of + generations->capacity, 0, (capacity - generations->capacity) * sizeof *of);
        generations->of = of;
        generations->capacity = capacity;
    }
    if (++generations->newest == 0) generations->newest = 1;
    return generations->of[index] = generations->newest;
}

void generation_end(struct generations *generations, uint32_t index)
{
    generations->of[index] = 0;
}
