/* See lasts.h. */
#include "bench/lasts.h"

#include <errno.h>
#include <stdlib.h>

int lasts_init(struct lasts *self, uint32_t topics)
{
    uint32_t depth = LASTS_ENTRIES / topics;
    if (depth < LASTS_DEPTH_MIN) depth = LASTS_DEPTH_MIN;
    if (depth > LASTS_DEPTH_MAX) depth = LASTS_DEPTH_MAX;
    *self = (struct lasts){ .topics = topics, .depth = depth };
    histogram_clear(&self->delays);
    self->followers = calloc(topics, sizeof *self->followers);
    self->updates = calloc((size_t)topics * depth, sizeof *self->updates);
    return self->followers && self->updates ? 0 : -ENOMEM;
}

void lasts_deinit(struct lasts *self)
{
    free(self->followers);
    free(self->updates);
    self->followers = NULL;
    self->updates = NULL;
}

void lasts_seen(struct lasts *self, uint32_t topic, uint64_t number, int64_t delay_ns)
{
    struct lasts_update *update = &self->updates[(size_t)topic * self->depth + number % self->depth];
    if (number < update->number) return; /* given up already */
    if (number > update->number) {
        self->given_up += update->number && update->count < self->followers[topic];
        *update = (struct lasts_update){ .number = number };
    }
    if (++update->count == self->followers[topic]) histogram_add(&self->delays, delay_ns);
}
