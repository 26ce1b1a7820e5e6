/* See recording.h. */
#include "bench/recording.h"

#include <stdio.h>
#include <stdlib.h>

#include "bench/ticks.h"

#define WHY_BYTES 320

static struct recorded_topic *topic_of(struct recording *self, const char *prefix, struct span symbol)
{
    char name[RECORDING_NAME_BYTES + 1];
    int size = snprintf(name, sizeof name, "%s%.*s", prefix, (int)symbol.size, symbol.bytes);
    if (size > RECORDING_NAME_BYTES) return NULL;
    for (uint32_t i = 0; i < self->count; i++)
        if (strcmp(self->topics[i].name, name) == 0) return &self->topics[i];
    if (self->count == RECORDING_TOPICS_MAX) return NULL;
    struct recorded_topic *topic = &self->topics[self->count++];
    memcpy(topic->name, name, (size_t)size + 1);
    topic->name_size = (uint32_t)size;
    return topic;
}

static bool add_row(struct recording *self, struct recorded_topic *topic, const struct tick *tick)
{
    if (self->room - self->size < TICK_PAYLOAD_BYTES_MAX) {
        size_t room = self->room ? 2 * self->room : 1u << 20;
        char *bytes = realloc(self->bytes, room);
        if (!bytes) return false;
        self->bytes = bytes;
        self->room = room;
    }
    if (topic->rows == topic->rows_room) {
        uint64_t room = topic->rows_room ? 2 * topic->rows_room : 1024;
        size_t *starts = realloc(topic->starts, room * sizeof *starts);
        if (starts) topic->starts = starts;
        size_t *ends = realloc(topic->ends, room * sizeof *ends);
        if (ends) topic->ends = ends;
        if (!starts || !ends) return false;
        topic->rows_room = room;
    }
    topic->starts[topic->rows] = self->size;
    self->size += tick_payload(tick, self->bytes + self->size);
    topic->ends[topic->rows++] = self->size;
    self->rows++;
    return true;
}

int recording_load(struct recording *self, const char *path, const char *prefix, uint64_t rows_most, char *why)
{
    struct tick_file file;
    struct tick tick;
    memset(self, 0, sizeof *self);
    int result = tick_file_open(&file, path);
    while (result >= 0 && self->rows < rows_most && (result = tick_file_next(&file, &tick)) > 0) {
        struct recorded_topic *topic = topic_of(self, prefix, tick.symbol);
        if (topic && add_row(self, topic, &tick)) continue;
        snprintf(file.why, sizeof file.why,
                 topic ? "no memory for it" : "too many symbols, or a name that is too long");
        result = -1;
    }
    if (result < 0) snprintf(why, WHY_BYTES, "%s", file.why);
    tick_file_close(&file);
    if (result >= 0 && self->rows == 0) snprintf(why, WHY_BYTES, "%s: no rows", path), result = -1;
    return result < 0 ? -1 : 0;
}

void recording_free(struct recording *self)
{
    for (uint32_t i = 0; i < self->count; i++) {
        free(self->topics[i].starts);
        free(self->topics[i].ends);
    }
    free(self->bytes);
}

/* ---- what a message is ------------------------------------------------------------------------------------------- */

static uint32_t find(const void *recording, struct span name)
{
    const struct recording *self = recording;
    for (uint32_t i = 0; i < self->count; i++)
        if (span_equals(span_of(self->topics[i].name, self->topics[i].name_size), name)) return i;
    return UINT32_MAX;
}

/* Moves behind `text` where it stands there. */
static bool take(struct span *rest, const char *text)
{
    size_t size = strlen(text);
    if (rest->size < size || memcmp(rest->bytes, text, size) != 0) return false;
    *rest = span_skip(*rest, size);
    return true;
}

static bool take_digits(struct span *rest, uint64_t *number)
{
    size_t digits = 0;
    for (*number = 0; digits < rest->size && digits < 19 && rest->bytes[digits] >= '0' && rest->bytes[digits] <= '9';
         digits++)
        *number = *number * 10 + (uint64_t)(rest->bytes[digits] - '0');
    *rest = span_skip(*rest, digits);
    return digits > 0;
}

/* {"topic":"…","seq":…,"ts":…,"data":PAYLOAD}, byte for byte. */
static enum verdict read_row(const void *recording, struct span text, uint32_t *topic, uint64_t *seq, int64_t *due_ns)
{
    const struct recording *self = recording;
    uint64_t ts;
    *due_ns = 0;
    if (!take(&text, "{\"topic\":\"")) return VERDICT_NONE;
    const char *quote = span_find(text, '"');
    if (!quote) return VERDICT_NONE;
    struct span name = span_of(text.bytes, (size_t)(quote - text.bytes));
    if ((*topic = find(self, name)) == UINT32_MAX) return VERDICT_NONE;
    text = span_skip(text, name.size);
    if (!take(&text, "\",\"seq\":") || !take_digits(&text, seq)) return VERDICT_NONE;
    const struct recorded_topic *one = &self->topics[*topic];
    uint64_t row = *seq - one->base - 1;
    if (*seq <= one->base || row >= one->rows) return VERDICT_CHANGED; /* more updates than the file has rows */
    if (!take(&text, ",\"ts\":") || !take_digits(&text, &ts) || !take(&text, ",\"data\":")) return VERDICT_CHANGED;
    struct span wanted = span_of(self->bytes + one->starts[row], one->ends[row] - one->starts[row]);
    if (text.size != wanted.size + 1 || text.bytes[wanted.size] != '}') return VERDICT_CHANGED;
    return memcmp(text.bytes, wanted.bytes, wanted.size) == 0 ? VERDICT_RIGHT : VERDICT_CHANGED;
}

static uint32_t write_name(const void *self, uint32_t topic, char *out)
{
    const struct recorded_topic *one = &((const struct recording *)self)->topics[topic];
    memcpy(out, one->name, one->name_size + 1);
    return one->name_size;
}

struct verify_source recording_source(const struct recording *self)
{
    return (struct verify_source){ .self = self, .topics = self->count, .read = read_row, .find = find, .write_name = write_name };
}
