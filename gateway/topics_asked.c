#include "gateway/topics_asked.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/base/reserve.h"
#include "core/base/siphash.h"
#include "core/proto/topic_name.h"
#include "gateway/shard.h"

void topics_asked_init(struct shard *shard, struct topics_asked *asked)
{
    *asked = (struct topics_asked){ 0 };
    shard->arena.size = 0;
    table_init_surely(&asked->by_name);
    table_init_surely(&asked->points_by_name);
}

void topics_asked_free(struct topics_asked *asked)
{
    table_deinit(&asked->points_by_name);
    table_deinit(&asked->by_name);
    free(asked->points);
    free(asked->list);
}

static struct span in_arena(const struct shard *shard, uint32_t at, uint32_t bytes)
{
    return span_of(shard->arena.bytes + at, bytes);
}

struct span topics_asked_name(const struct shard *shard, const struct topic_asked *topic)
{
    return in_arena(shard, topic->name_at, topic->name_bytes);
}

bool topics_asked_refuse(struct topics_asked *asked, const char *code, const char *why, struct span name)
{
    asked->code = code;
    int shown = name.size > TOPIC_NAME_BYTES_MAX ? TOPIC_NAME_BYTES_MAX : (int)name.size;
    while ((size_t)shown < name.size && shown > 0 && ((uint8_t)name.bytes[shown] & 0xc0) == 0x80) shown--; /* no character is cut */
    if (name.bytes) snprintf(asked->why, sizeof asked->why, "topic \"%.*s\": %s", shown, name.bytes, why);
    else snprintf(asked->why, sizeof asked->why, "%s", why);
    return false;
}

static const struct topic_asked *find(const struct shard *shard, const struct topics_asked *asked, struct span name, uint32_t hash)
{
    const struct table *table = &asked->by_name;
    for (uint32_t at = table_first(table, hash); at != TABLE_NONE; at = table_following(table, hash, at)) {
        const struct topic_asked *topic = &asked->list[table->slots[at].index];
        if (span_equals(topics_asked_name(shard, topic), name)) return topic;
    }
    return NULL;
}

static uint32_t hash_of(const struct shard *shard, struct span name)
{
    return (uint32_t)siphash(shard->engine.settings.hash_key, name);
}

bool topics_asked_names(const struct shard *shard, const struct topics_asked *asked, struct span name)
{
    return find(shard, asked, name, hash_of(shard, name)) != NULL;
}

bool topics_asked_add(struct shard *shard, struct topics_asked *asked, struct span name)
{
    bool pattern = topic_pattern_is(name);
    const char *why = pattern ? topic_pattern_fault(name) : topic_name_fault(name);
    if (why) return topics_asked_refuse(asked, "bad_topic", why, name);
    uint32_t hash = hash_of(shard, name);
    if (find(shard, asked, name, hash)) return true; /* a repeated topic counts once */
    if (asked->count == asked->capacity) {
        asked->capacity = asked->capacity ? asked->capacity * 2 : 8;
        asked->list = reserve_resize(asked->list, asked->capacity * sizeof *asked->list);
    }
    asked->list[asked->count] = (struct topic_asked){ .name_at = (uint32_t)shard->arena.size, .name_bytes = (uint32_t)name.size, .hash = hash, .pattern = pattern };
    text_add(&shard->arena, name);
    asked->patterns_count += pattern;
    table_insert_surely(&asked->by_name, hash, asked->count++);
    return true;
}

/* A string's text, unescaped where it must be; false: it holds what is no UTF-8, or is longer than `out`. */
static bool plain(const struct json_value *string, char *out, size_t out_max, struct span *text)
{
    *text = json_string_inside(string);
    if (!string->escaped) return true;
    long size = json_string_unescape(string, out, out_max);
    *text = span_of(out, size < 0 ? 0 : (size_t)size);
    return size >= 0;
}

enum { NAME_ROOM = 4 * TOPIC_NAME_BYTES_MAX };

bool topics_asked_add_array(struct shard *shard, struct topics_asked *asked, const struct json_value *array)
{
    struct json_value element;
    if (array->kind != JSON_ARRAY) return topics_asked_refuse(asked, "bad_request", "\"topics\" must be an array of topic names", SPAN_NONE);
    for (size_t at = 0; json_array_next(array->text, &at, &element);) {
        char room[NAME_ROOM];
        struct span name;
        if (element.kind != JSON_STRING) return topics_asked_refuse(asked, "bad_request", "\"topics\" must hold strings only", SPAN_NONE);
        if (!plain(&element, room, sizeof room, &name)) return topics_asked_refuse(asked, "bad_topic", "is not a valid name", json_string_inside(&element));
        if (!topics_asked_add(shard, asked, name)) return false;
    }
    return asked->count > 0 || topics_asked_refuse(asked, "bad_request", "\"topics\" is empty", SPAN_NONE);
}

bool topics_asked_add_list(struct shard *shard, struct topics_asked *asked, struct span list)
{
    while (list.size > 0) {
        const char *comma = span_find(list, ',');
        size_t size = comma ? (size_t)(comma - list.bytes) : list.size;
        if (!topics_asked_add(shard, asked, span_of(list.bytes, size))) return false;
        if (comma && size + 1 == list.size) return topics_asked_add(shard, asked, span_of("", 0)); /* a comma at the end */
        list = span_skip(list, comma ? size + 1 : size);
    }
    return true;
}

/* One {"epoch":…,"seq":…}; false: it is none. */
static bool read_point(const struct json_value *point, struct json_value *epoch, int64_t *seq)
{
    struct json_value key, value;
    bool has_epoch = false, has_seq = false;
    if (point->kind != JSON_OBJECT) return false;
    for (size_t at = 0; json_member_next(point->text, &at, &key, &value);) {
        if (json_string_is(&key, "epoch")) {
            if (value.kind != JSON_STRING || has_epoch) return false;
            *epoch = value;
            has_epoch = true;
        } else if (json_string_is(&key, "seq")) {
            if (has_seq || !json_integer(&value, seq) || *seq < 0) return false;
            has_seq = true;
        }
    }
    return has_epoch && has_seq;
}

void topics_asked_resume_at(struct shard *shard, struct topics_asked *asked, struct span name, struct span epoch, uint64_t seq)
{
    if (asked->points_count == asked->points_capacity) {
        asked->points_capacity = asked->points_capacity ? asked->points_capacity * 2 : 8;
        asked->points = reserve_resize(asked->points, asked->points_capacity * sizeof *asked->points);
    }
    struct resume_point *point = &asked->points[asked->points_count];
    *point = (struct resume_point){ .seq = seq, .name_bytes = (uint32_t)name.size, .epoch_bytes = (uint32_t)epoch.size };
    point->name_at = (uint32_t)shard->arena.size;
    text_add(&shard->arena, name);
    point->epoch_at = (uint32_t)shard->arena.size;
    text_add(&shard->arena, epoch);
    table_insert_surely(&asked->points_by_name, hash_of(shard, name), asked->points_count++);
}

bool topics_asked_resume(struct shard *shard, struct topics_asked *asked, const struct json_value *object)
{
    struct json_value key, point, epoch;
    if (object->kind != JSON_OBJECT) return topics_asked_refuse(asked, "bad_request", "\"resume\" must be an object of topics with epoch and seq", SPAN_NONE);
    for (size_t at = 0; json_member_next(object->text, &at, &key, &point);) {
        char room[NAME_ROOM], epoch_room[64];
        struct span name, epoch_text;
        int64_t seq;
        if (!read_point(&point, &epoch, &seq))
            return topics_asked_refuse(asked, "bad_request", "each topic of \"resume\" must have an \"epoch\" (string) and a \"seq\" (whole number)", json_string_inside(&key));
        if (!plain(&key, room, sizeof room, &name)) continue; /* no name: nothing covers it, and that is ignored */
        if (!plain(&epoch, epoch_room, sizeof epoch_room, &epoch_text)) epoch_text = SPAN_LITERAL("?");
        topics_asked_resume_at(shard, asked, name, epoch_text, (uint64_t)seq);
    }
    return true;
}

void topics_asked_point(const struct shard *shard, const struct topics_asked *asked, uint32_t i, struct span *topic, struct span *epoch)
{
    const struct resume_point *point = &asked->points[i];
    *topic = in_arena(shard, point->name_at, point->name_bytes);
    *epoch = in_arena(shard, point->epoch_at, point->epoch_bytes);
}

void topics_asked_resume_of(const struct shard *shard, const struct topics_asked *asked, struct subscribe_ask *ask)
{
    if (asked->resume_rest) {
        ask->resume = ask->resume_any = true;
        ask->resume_epoch = span_of("", 0);
        ask->resume_seq = 0;
    }
    if (asked->points_count == 0) return;
    uint32_t hash = hash_of(shard, ask->topic);
    const struct table *table = &asked->points_by_name;
    for (uint32_t at = table_first(table, hash); at != TABLE_NONE; at = table_following(table, hash, at)) {
        const struct resume_point *point = &asked->points[table->slots[at].index];
        if (!span_equals(in_arena(shard, point->name_at, point->name_bytes), ask->topic)) continue;
        ask->resume = true;
        ask->resume_any = false;
        ask->resume_epoch = in_arena(shard, point->epoch_at, point->epoch_bytes);
        ask->resume_seq = point->seq;
        return;
    }
}
