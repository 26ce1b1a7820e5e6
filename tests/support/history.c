#include "tests/support/history.h"

#include <stdio.h>
#include <stdlib.h>

void history_free(struct history *history)
{
    for (uint32_t i = 0; i < history->topics_count; i++) free(history->topics[i].updates);
    text_free(&history->data);
}

uint32_t history_topic(struct history *history, const char *name)
{
    if (history->topics_count == PAST_TOPICS_MAX || strlen(name) > PAST_NAME_MAX) abort();
    struct past_topic *topic = &history->topics[history->topics_count];
    *topic = (struct past_topic){ .floor_counted = 1, .floor_bytes = 1, .floor = 1 };
    strcpy(topic->name, name);
    return history->topics_count++;
}

uint32_t history_find(const struct history *history, struct span name)
{
    for (uint32_t i = 0; i < history->topics_count; i++)
        if (span_is(name, history->topics[i].name)) return i;
    return PAST_TOPICS_MAX;
}

static uint32_t frame_bytes(const char *name, uint64_t seq, uint64_t ts_us, size_t data_bytes)
{
    int head = snprintf(NULL, 0, "{\"topic\":\"%s\",\"seq\":%llu,\"ts\":%llu,\"data\":", name, (unsigned long long)seq, (unsigned long long)ts_us);
    size_t message_bytes = (size_t)head + data_bytes + 1;
    size_t header_bytes = message_bytes <= 125 ? 2 : message_bytes <= 0xffff ? 4 : 10;
    return (uint32_t)(header_bytes + message_bytes);
}

void history_add(struct history *history, uint32_t index, struct span data, bool marked, uint64_t wall_us)
{
    struct past_topic *topic = &history->topics[index];
    if (topic->newest == topic->capacity) {
        topic->capacity = topic->capacity ? topic->capacity * 2 : 64;
        topic->updates = realloc(topic->updates, topic->capacity * sizeof *topic->updates);
        if (!topic->updates) abort();
    }
    const struct past_update *before = topic->newest > 0 ? history_at(topic, topic->newest) : NULL;
    topic->newest++;
    if (marked) topic->keyed = true;

    struct past_update update = { .data_at = history->data.size, .data_bytes = (uint32_t)data.size, .published_us = wall_us };
    update.ts_us = before && before->ts_us > wall_us ? before->ts_us : wall_us;
    update.key_seq = marked || !topic->keyed ? topic->newest : before->key_seq;
    update.frame_bytes = frame_bytes(topic->name, topic->newest, update.ts_us, data.size);
    update.bytes_before = before ? before->bytes_before + before->frame_bytes : 0;
    topic->updates[topic->newest - 1] = update;

    text_add(&history->data, data);
    char *copy = history->data.bytes + update.data_at;
    for (const char *end = copy + data.size, *characters = "\r\n"; *characters; characters++)
        for (char *at = copy; (at = memchr(at, *characters, (size_t)(end - at)));) *at = ' ';
}

void history_message(const struct history *history, uint32_t index, uint64_t seq, struct text *message)
{
    const struct past_topic *topic = &history->topics[index];
    const struct past_update *update = history_at(topic, seq);
    text_print(message, "{\"topic\":\"%s\",\"seq\":%llu,\"ts\":%llu,\"data\":", topic->name, (unsigned long long)seq, (unsigned long long)update->ts_us);
    text_add(message, span_of(history->data.bytes + update->data_at, update->data_bytes));
    text_add_char(message, '}');
}

uint64_t history_bytes_from(const struct past_topic *topic, uint64_t seq)
{
    const struct past_update *newest = history_at(topic, topic->newest);
    return newest->bytes_before + newest->frame_bytes - history_at(topic, seq)->bytes_before;
}

static void move_floor(const struct history *history, struct past_topic *topic, uint64_t wall_us)
{
    if (topic->newest - topic->floor_counted >= history->window_updates) topic->floor_counted = topic->newest - history->window_updates + 1;
    /* Counted from the newest: what is behind one that is too old need not be held either. */
    for (uint64_t seq = topic->newest; seq >= topic->floor_counted; seq--) {
        uint64_t published_us = history_at(topic, seq)->published_us;
        if (wall_us <= published_us || wall_us - published_us <= history->window_age_us) continue;
        topic->floor_counted = seq < topic->newest ? seq + 1 : seq;
        break;
    }
    while (topic->floor_bytes < topic->newest && history_bytes_from(topic, topic->floor_bytes) > history->window_bytes) topic->floor_bytes++;

    uint64_t key_seq = history_at(topic, topic->newest)->key_seq;
    uint64_t floor = topic->floor_counted < key_seq ? topic->floor_counted : key_seq; /* the last key stays, whatever its age */
    if (floor < topic->floor_bytes) floor = topic->floor_bytes;
    if (topic->floor < floor) topic->floor = floor;
}

void history_trim(struct history *history, uint64_t wall_us)
{
    for (uint32_t i = 0; i < history->topics_count; i++)
        if (history->topics[i].newest > 0) move_floor(history, &history->topics[i], wall_us);
}

void history_pressed(struct history *history)
{
    for (uint32_t i = 0; i < history->topics_count; i++)
        if (history->topics[i].newest > 0) history->topics[i].floor = history->topics[i].newest;
}
