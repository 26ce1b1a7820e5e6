#include "tests/support/history.h"

#include <stdio.h>
#include <stdlib.h>

void history_free(struct history *history)
{
    for (uint32_t i = 0; i < history->topics_count; i++) {
        struct past_topic *topic = &history->topics[i];
        for (uint32_t life = 0; life < topic->lives_count; life++) free(topic->lives[life].updates);
        free(topic->lives);
    }
    text_free(&history->data);
    free(history->places);
}

void history_end_life(struct history *history, uint32_t index, bool forgotten)
{
    struct past_topic *topic = &history->topics[index];
    if (forgotten) topic->ts_us = 0;
    topic->lives = realloc(topic->lives, (topic->lives_count + 1) * sizeof *topic->lives);
    if (!topic->lives) abort();
    topic->lives[topic->lives_count++] = (struct past_life){ .floor_counted = 1, .floor_bytes = 1, .floor = 1, .loose_bytes = 1, .loose = 1 };
}

uint32_t history_topic(struct history *history, const char *name)
{
    if (history->topics_count == PAST_TOPICS_MAX || strlen(name) > PAST_NAME_MAX) abort();
    struct past_topic *topic = &history->topics[history->topics_count];
    *topic = (struct past_topic){ .lives_count = 0 };
    strcpy(topic->name, name);
    history_end_life(history, history->topics_count, true);
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

static size_t number_of(struct span data)
{
    char digits[PAST_NUMBER_BYTES] = "";
    if (data.size < PAST_NUMBER_BYTES || *data.bytes != '#') return SIZE_MAX;
    memcpy(digits, data.bytes + 1, PAST_NUMBER_BYTES - 1);
    char *end;
    size_t number = strtoul(digits, &end, 16);
    return *end ? SIZE_MAX : number;
}

const struct past_place *history_place(const struct history *history, struct span data)
{
    size_t number = number_of(data);
    return number < history->places_capacity && history->places[number].known ? &history->places[number] : NULL;
}

static void note_place(struct history *history, size_t number, struct past_place place)
{
    if (number == SIZE_MAX) return;
    if (number >= history->places_capacity) {
        size_t capacity = (number + 1) * 2;
        history->places = realloc(history->places, capacity * sizeof *history->places);
        if (!history->places) abort();
        memset(history->places + history->places_capacity, 0, (capacity - history->places_capacity) * sizeof *history->places);
        history->places_capacity = capacity;
    }
    history->places[number] = place;
}

void history_add(struct history *history, uint32_t index, const char epoch[8], struct span data, bool marked, uint64_t wall_us)
{
    struct past_topic *topic = &history->topics[index];
    struct past_life *life = history_life(history, index);
    if (life->newest == 0) memcpy(life->epoch, epoch, 8);
    if (life->newest == life->capacity) {
        life->capacity = life->capacity ? life->capacity * 2 : 64;
        life->updates = realloc(life->updates, life->capacity * sizeof *life->updates);
        if (!life->updates) abort();
    }
    const struct past_update *before = life->newest > 0 ? history_at(life, life->newest) : NULL;
    life->newest++;
    if (marked) life->keyed = true;

    struct past_update update = { .data_at = history->data.size, .data_bytes = (uint32_t)data.size, .published_us = wall_us };
    update.ts_us = topic->ts_us = topic->ts_us > wall_us ? topic->ts_us : wall_us;
    update.key_seq = marked || !life->keyed ? life->newest : before->key_seq;
    update.frame_bytes = frame_bytes(topic->name, life->newest, update.ts_us, data.size);
    update.bytes_before = before ? before->bytes_before + before->frame_bytes : 0;
    life->updates[life->newest - 1] = update;
    note_place(history, number_of(data), (struct past_place){ true, index, topic->lives_count - 1, life->newest });

    text_add(&history->data, data);
    char *copy = history->data.bytes + update.data_at;
    for (const char *end = copy + data.size, *characters = "\r\n"; *characters; characters++)
        for (char *at = copy; (at = memchr(at, *characters, (size_t)(end - at)));) *at = ' ';
}

void history_message(const struct history *history, enum wire_format format, uint32_t index, const struct past_life *life, uint64_t seq, struct text *message)
{
    const struct past_update *update = history_at(life, seq);
    const char *name = history->topics[index].name;
    if (format == FORMAT_ARRAY) text_print(message, "[\"%s\",%llu,%llu,", name, (unsigned long long)seq, (unsigned long long)update->ts_us);
    else if (format != FORMAT_RAW) text_print(message, "{\"topic\":\"%s\",\"seq\":%llu,\"ts\":%llu,\"data\":", name, (unsigned long long)seq, (unsigned long long)update->ts_us);
    text_add(message, span_of(history->data.bytes + update->data_at, update->data_bytes));
    if (format != FORMAT_RAW) text_add_char(message, format == FORMAT_ARRAY ? ']' : '}');
}

uint64_t history_bytes_from(const struct past_life *life, uint64_t seq)
{
    const struct past_update *newest = history_at(life, life->newest);
    return newest->bytes_before + newest->frame_bytes - history_at(life, seq)->bytes_before;
}

static void move_floor(const struct history *history, struct past_life *life, uint64_t wall_us)
{
    if (life->newest - life->floor_counted >= history->window_updates) life->floor_counted = life->newest - history->window_updates + 1;
    /* Counted from the newest: what is behind one that is too old need not be held either. */
    for (uint64_t seq = life->newest; seq >= life->floor_counted; seq--) {
        uint64_t published_us = history_at(life, seq)->published_us;
        if (wall_us <= published_us || wall_us - published_us <= history->window_age_us) continue;
        life->floor_counted = seq < life->newest ? seq + 1 : seq;
        break;
    }
    while (life->floor_bytes < life->newest && history_bytes_from(life, life->floor_bytes) > history->window_bytes) life->floor_bytes++;

    uint64_t key_seq = history_at(life, life->newest)->key_seq;
    uint64_t floor = life->floor_counted < key_seq ? life->floor_counted : key_seq; /* the last key stays, whatever its age */
    if (floor < life->floor_bytes) floor = life->floor_bytes;
    if (life->floor < floor) life->floor = floor;

    while (life->loose_bytes < life->newest && history_bytes_most(life, life->loose_bytes) > history->window_bytes) life->loose_bytes++;
    if (floor < life->loose_bytes) floor = life->loose_bytes;
    if (life->loose < floor) life->loose = floor;
}

void history_trim(struct history *history, uint64_t wall_us)
{
    for (uint32_t i = 0; i < history->topics_count; i++)
        if (history_life(history, i)->newest > 0) move_floor(history, history_life(history, i), wall_us);
}

void history_pressed(struct history *history)
{
    for (uint32_t i = 0; i < history->topics_count; i++)
        if (history_life(history, i)->newest > 0) history_life(history, i)->floor = history_life(history, i)->loose = history_life(history, i)->newest;
}

void history_pressed_formats(struct history *history, uint32_t index)
{
    struct past_life *life = history_life(history, index);
    if (life->newest > 0) life->loose = life->newest;
}
