/* See lasts.h. */
#include "bench/lasts.h"

#include <errno.h>
#include <stdlib.h>

int lasts_init(struct lasts *self, uint32_t topics)
{
    *self = (struct lasts){ .topics = topics };
    histogram_clear(&self->delays);
    self->followers = calloc(topics, sizeof *self->followers);
    self->updates = calloc((size_t)topics * LASTS_DEPTH, sizeof *self->updates);
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
    struct lasts_update *update = &self->updates[(size_t)topic * LASTS_DEPTH + number % LASTS_DEPTH];
    if (number < update->number) return; /* given up already */
    if (number > update->number) {
        self->given_up += update->number && update->count < self->followers[topic];
        *update = (struct lasts_update){ .number = number };
    }
    if (++update->count == self->followers[topic]) histogram_add(&self->delays, delay_ns);
}
