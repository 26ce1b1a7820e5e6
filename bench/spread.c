/* See spread.h. */
#include "bench/spread.h"

#include <errno.h>
#include <stdlib.h>

#include "bench/zipf.h"
#include "core/base/random.h"

#define SEED UINT64_C(0x52696e6763617374)

static int by_number(const void *a, const void *b)
{
    uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;
    return (one > other) - (one < other);
}

/* Chosen by weight, each once: what was chosen before is drawn again. */
static void choose_zipf(const struct spread *self, const struct zipf *zipf, uint64_t *chosen_by, uint32_t connection, uint64_t *state)
{
    uint32_t *out = self->sorted + (size_t)connection * self->each;
    for (uint32_t count = 0; count < self->each;) {
        uint32_t topic = zipf_choose(zipf, state);
        /* Where nearly all are taken drawing would not end: the next free one does as well. */
        while (chosen_by[topic] == connection + 1) topic = topic + 1 == self->topics ? 0 : topic + 1;
        chosen_by[topic] = connection + 1;
        out[count++] = topic;
    }
}

static int init_zipf(struct spread *self, double exponent)
{
    struct zipf zipf;
    uint64_t *chosen_by = calloc(self->topics, sizeof *chosen_by), state = SEED;
    int error = zipf_init(&zipf, self->topics, exponent);
    if (!chosen_by) error = -ENOMEM;
    for (uint32_t i = 0; error == 0 && i < self->connections; i++) choose_zipf(self, &zipf, chosen_by, i, &state);
    zipf_deinit(&zipf);
    free(chosen_by);
    return error;
}

int spread_init(struct spread *self, enum spread_kind kind, double exponent, uint32_t topics, uint32_t connections, uint32_t each)
{
    *self = (struct spread){ .topics = topics, .connections = connections, .each = each };
    size_t count = (size_t)connections * each;
    self->sorted = malloc(count * sizeof *self->sorted);
    if (!self->sorted) return -ENOMEM;
    if (kind == SPREAD_ZIPF && init_zipf(self, exponent) != 0) return -ENOMEM;
    for (size_t i = 0; kind == SPREAD_ROUND && i < count; i++) self->sorted[i] = (uint32_t)(i % topics);
    for (uint32_t i = 0; i < connections; i++)
        qsort(self->sorted + (size_t)i * each, each, sizeof *self->sorted, by_number);
    return 0;
}

void spread_deinit(struct spread *self)
{
    free(self->sorted);
    self->sorted = NULL;
}

uint32_t spread_place(const struct spread *self, uint32_t connection, uint32_t topic)
{
    const uint32_t *its = self->sorted + (size_t)connection * self->each;
    uint32_t low = 0, high = self->each;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (its[middle] < topic)
            low = middle + 1;
        else
            high = middle;
    }
    return low < self->each && its[low] == topic ? low : SPREAD_NONE;
}

void spread_shuffled(const struct spread *self, uint32_t connection, uint32_t *out)
{
    uint64_t state = SEED + connection;
    for (uint32_t i = 0; i < self->each; i++) {
        uint32_t at = (uint32_t)(random_next(&state) % (i + 1));
        out[i] = out[at];
        out[at] = self->sorted[(size_t)connection * self->each + i];
    }
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

#define DIGITS 7 /* ten million topics */

uint32_t spread_name(uint32_t topic, char out[SPREAD_NAME_BYTES_MAX])
{
    static const char ends[] = ".OF-BOOK"; /* a token of its own, so that the names differ in size */
    uint32_t end_size = topic % sizeof ends, number = topic;
    if (end_size == 1) end_size = 2;
    out[0] = 'T';
    for (int i = DIGITS; i > 0; i--, number /= 10) out[i] = (char)('0' + number % 10);
    memcpy(out + 1 + DIGITS, ends, end_size);
    return 1 + DIGITS + end_size;
}

uint32_t spread_find(const struct spread *self, struct span name)
{
    char wanted[SPREAD_NAME_BYTES_MAX];
    uint32_t topic = 0;
    if (name.size < 1 + DIGITS) return SPREAD_NONE;
    for (int i = 1; i <= DIGITS; i++) topic = topic * 10 + (uint32_t)(name.bytes[i] - '0') % 10;
    if (topic >= self->topics) return SPREAD_NONE;
    return span_equals(name, span_of(wanted, spread_name(topic, wanted))) ? topic : SPREAD_NONE;
}
