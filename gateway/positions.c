/* See positions.h. */
#include "gateway/positions.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/random.h"

int positions_init(struct positions *positions)
{
    *positions = (struct positions){ 0 };
    random_fill(positions->hash_key, sizeof positions->hash_key);
    positions->all = calloc(POSITIONS_MAX, sizeof *positions->all);
    if (!positions->all) return -ENOMEM;
    int error = table_init(&positions->by_topic);
    if (error) {
        free(positions->all);
        positions->all = NULL;
    }
    return error;
}

void positions_deinit(struct positions *positions)
{
    if (!positions->all) return;
    table_deinit(&positions->by_topic);
    free(positions->all);
    positions->all = NULL;
}

static struct position *find(struct positions *positions, struct span topic, uint32_t hash)
{
    struct table *table = &positions->by_topic;
    for (uint32_t at = table_first(table, hash); at != TABLE_NONE; at = table_following(table, hash, at)) {
        struct position *position = &positions->all[table->slots[at].index];
        if (span_equals(span_of(position->topic, position->topic_size), topic)) return position;
    }
    return NULL;
}

void positions_follow(struct positions *positions, struct span topic, struct span epoch, uint64_t seq, bool resumed)
{
    if (topic.size > TOPIC_NAME_BYTES_MAX || epoch.size != POSITION_EPOCH_BYTES) return;
    uint32_t hash = (uint32_t)siphash(positions->hash_key, topic);
    struct position *position = find(positions, topic, hash);
    if (position && resumed && memcmp(position->epoch, epoch.bytes, POSITION_EPOCH_BYTES) == 0) return;
    if (!position) {
        if (positions->count == POSITIONS_MAX || table_insert(&positions->by_topic, hash, positions->count) != 0)
            return;
        position = &positions->all[positions->count++];
        position->topic_size = (uint8_t)topic.size;
        memcpy(position->topic, topic.bytes, topic.size);
    }
    memcpy(position->epoch, epoch.bytes, POSITION_EPOCH_BYTES);
    position->seq = seq;
}

void positions_advance(struct positions *positions, struct span topic, uint64_t seq)
{
    struct position *position = find(positions, topic, (uint32_t)siphash(positions->hash_key, topic));
    if (position && seq > position->seq) position->seq = seq;
}
