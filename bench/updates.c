/* See updates.h. */
#include "bench/updates.h"

#include <stdio.h>
#include <time.h>

#include "bench/machine.h"
#include "core/io/client.h"
#include "core/proto/topic_name.h"
#include "core/proto/ws_frame.h"

#define STAMP_DIGITS 16

#define SIZE(text) (sizeof(text) - 1)

/* What stands around the payload [seq,stamp,"pad"] in each format. Where there is no topic there is nothing before the payload. */
struct layout {
    bool       bare;
    struct span topic, seq, ts, data, end;
};
static const struct layout layouts[] = {
    [UPDATES_JSON] = { false, SPAN_LITERAL("{\"topic\":\""), SPAN_LITERAL("\",\"seq\":"), SPAN_LITERAL(",\"ts\":"),
                       SPAN_LITERAL(",\"data\":["), SPAN_LITERAL("\"]}") },
    [UPDATES_ARRAY] = { false, SPAN_LITERAL("[\""), SPAN_LITERAL("\","), SPAN_LITERAL(","), SPAN_LITERAL(",["), SPAN_LITERAL("\"]]") },
    [UPDATES_RAW] = { true, SPAN_LITERAL(""), SPAN_LITERAL(""), SPAN_LITERAL(""), SPAN_LITERAL("["), SPAN_LITERAL("\"]") },
};

/* Of a frame's payload without the pad and without the digits of seq: once in the payload, and once before it where that is not bare. */
static uint32_t fixed_bytes(enum updates_format format, uint32_t name_size)
{
    const struct layout *layout = &layouts[format];
    uint32_t around = layout->bare ? 0 : STAMP_DIGITS + name_size;
    return (uint32_t)(layout->topic.size + layout->seq.size + layout->ts.size + layout->data.size + layout->end.size) + around +
           (uint32_t)SIZE(",") + STAMP_DIGITS + (uint32_t)SIZE(",\"");
}

static uint32_t seqs_in(enum updates_format format) { return layouts[format].bare ? 1 : 2; }

static uint32_t digits_of(uint64_t number)
{
    uint32_t digits = 1;
    while (number >= 10) number /= 10, digits++;
    return digits;
}

static uint32_t payload_bytes(const struct updates *updates) { return updates->bytes - (updates->bytes < 128 ? 2 : 4); }

const char *updates_init(struct updates *updates, enum updates_format format, const char *topic, uint32_t topics, uint64_t bytes,
                         char *why)
{
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    *updates = (struct updates){ .topic = topic, .topics = topics, .bytes = (uint32_t)bytes, .format = format };
    updates->wall_us = (int64_t)wall.tv_sec * 1000000 + wall.tv_nsec / 1000 - now_ns() / 1000;

    char name[UPDATE_TOPIC_BYTES_MAX + 16];
    if (strlen(topic) > UPDATE_TOPIC_BYTES_MAX - 8)
        return snprintf(why, CLIENT_WHY_BYTES, "the topic's name is too long"), why;
    uint32_t name_size = update_topic_write(updates, topics - 1, name);
    const char *fault = topic_name_fault(span_of(name, name_size));
    if (fault) return snprintf(why, CLIENT_WHY_BYTES, "%s is no topic: %s", name, fault), why;
    /* Short frames leave less room for seq, and a seq outgrows it late: nine digits each are a billion updates. */
    uint64_t least = fixed_bytes(format, name_size) + seqs_in(format) * 9 + 2;
    if (bytes < least || bytes > UPDATE_BYTES_MAX || bytes == 128 || bytes == 129) {
        snprintf(why, CLIENT_WHY_BYTES,
                 "--bytes is the size of a whole frame: %llu to %d with the topic %s, but neither 128 nor 129, which "
                 "no frame has",
                 (unsigned long long)least, UPDATE_BYTES_MAX, name);
        return why;
    }
    return NULL;
}

int64_t updates_clock_us(const struct updates *updates, int64_t mono_ns) { return mono_ns / 1000 + updates->wall_us; }

static char *put_number(char *out, uint64_t number, uint32_t digits)
{
    for (uint32_t i = digits; i-- > 0; number /= 10) out[i] = (char)('0' + number % 10);
    return out + digits;
}

uint32_t update_topic_write(const struct updates *updates, uint32_t topic, char *out)
{
    size_t size = strlen(updates->topic);
    memcpy(out, updates->topic, size + 1);
    if (updates->topics == 1) return (uint32_t)size;
    out[size++] = '.';
    uint32_t digits = digits_of(topic);
    put_number(out + size, topic, digits)[0] = 0;
    return (uint32_t)size + digits;
}

size_t update_request_write(const struct updates *updates, uint32_t topic, uint64_t seq, int64_t at_us, uint64_t id,
                            char *out)
{
    static const char begin[] = "{\"op\":\"publish\",", before_topic[] = "\"topic\":\"", middle[] = "\",\"data\":[";
    char *at = out;
    memcpy(at, begin, SIZE(begin));
    at += SIZE(begin);
    if (id) {
        memcpy(at, "\"id\":", 5);
        at = put_number(at + 5, id, digits_of(id));
        *at++ = ',';
    }
    memcpy(at, before_topic, SIZE(before_topic));
    at += SIZE(before_topic);
    uint32_t name_size = update_topic_write(updates, topic, at), digits = digits_of(seq);
    at += name_size;
    memcpy(at, middle, SIZE(middle));
    at = put_number(at + SIZE(middle), seq, digits);
    *at++ = ',';
    at = put_number(at, (uint64_t)at_us, STAMP_DIGITS);
    *at++ = ',';
    *at++ = '"';
    uint32_t without_pad = fixed_bytes(updates->format, name_size) + seqs_in(updates->format) * digits;
    uint32_t payload = payload_bytes(updates);
    uint32_t pad = payload > without_pad ? payload - without_pad : 0;
    memset(at, 'x', pad);
    at += pad;
    memcpy(at, "\"]}", 3);
    return (size_t)(at + 3 - out);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

struct cursor {
    const char *at, *end;
};

static bool take(struct cursor *cursor, struct span text)
{
    if ((size_t)(cursor->end - cursor->at) < text.size || memcmp(cursor->at, text.bytes, text.size) != 0) return false;
    cursor->at += text.size;
    return true;
}

static bool take_number(struct cursor *cursor, uint64_t *number)
{
    const char *from = cursor->at;
    *number = 0;
    while (cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9' && cursor->at - from < 19)
        *number = *number * 10 + (uint64_t)(*cursor->at++ - '0');
    return cursor->at > from;
}

static bool take_topic(const struct updates *updates, struct cursor *cursor, uint32_t *topic)
{
    uint64_t number = 0;
    if (!take(cursor, span_of_string(updates->topic))) return false;
    if (updates->topics > 1 && (!take(cursor, SPAN_LITERAL(".")) || !take_number(cursor, &number))) return false;
    *topic = (uint32_t)number;
    return number < updates->topics;
}

static uint32_t find(const void *updates, struct span name)
{
    struct cursor cursor = { name.bytes, name.bytes + name.size };
    uint32_t topic;
    return take_topic(updates, &cursor, &topic) && cursor.at == cursor.end ? topic : UINT32_MAX;
}

static enum verdict read_update(const void *self, struct span text, uint32_t *topic, uint64_t *seq, int64_t *due_ns)
{
    const struct updates *updates = self;
    const struct layout *layout = &layouts[updates->format];
    struct cursor cursor = { text.bytes, text.bytes + text.size };
    uint64_t ts, inner_seq, stamp_us;
    *topic = 0;
    if (!layout->bare) {
        if (!take(&cursor, layout->topic) || !take_topic(updates, &cursor, topic)) return VERDICT_NONE;
        if (!take(&cursor, layout->seq) || !take_number(&cursor, seq)) return VERDICT_NONE;
        if (!take(&cursor, layout->ts) || !take_number(&cursor, &ts)) return VERDICT_NONE;
    }
    bool begins = take(&cursor, layout->data) && take_number(&cursor, &inner_seq);
    if (!begins) return layout->bare ? VERDICT_NONE : VERDICT_CHANGED;
    if (layout->bare) *seq = inner_seq;
    if (!take(&cursor, SPAN_LITERAL(",")) || !take_number(&cursor, &stamp_us) || !take(&cursor, SPAN_LITERAL(",\""))) return VERDICT_CHANGED;
    *due_ns = ((int64_t)stamp_us - updates->wall_us) * 1000;
    bool sealed = (size_t)(cursor.end - cursor.at) >= layout->end.size &&
                  memcmp(cursor.end - layout->end.size, layout->end.bytes, layout->end.size) == 0;
    return sealed && inner_seq == *seq && text.size == payload_bytes(updates) ? VERDICT_RIGHT : VERDICT_CHANGED;
}

static uint32_t write_name(const void *updates, uint32_t topic, char *out) { return update_topic_write(updates, topic, out); }

struct verify_source updates_source(const struct updates *updates)
{
    return (struct verify_source){ .self = updates, .topics = updates->topics, .read = read_update, .find = find,
                                   .write_name = write_name };
}
