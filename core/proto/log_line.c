#include "core/proto/log_line.h"

#include <stdio.h>
#include <string.h>

#include "core/base/check.h"
#include "core/proto/json.h"

enum { END_BYTES = 16 }; /* room that is kept for `,"cut":true}` and the line feed */

static bool put(struct log_line *line, struct span bytes)
{
    if (bytes.size > LOG_LINE_BYTES_MAX - END_BYTES - line->size) return false;
    span_write(bytes, line->bytes + line->size);
    line->size += (uint32_t)bytes.size;
    return true;
}

/* `key=value`, or `"key":value` behind a comma; as a whole or not at all. */
static void put_field(struct log_line *line, const char *key, struct span value, bool quoted)
{
    uint32_t before = line->size;
    bool json = line->format == LOG_FORMAT_JSON;
    struct span quote = quoted ? SPAN_LITERAL("\"") : SPAN_LITERAL("");
    struct span front = json ? SPAN_LITERAL(",\"") : SPAN_LITERAL(" "), behind = json ? SPAN_LITERAL("\":") : SPAN_LITERAL("=");
    if (before == 0) front = json ? SPAN_LITERAL("{\"") : SPAN_LITERAL("");
    if (put(line, front) && put(line, span_of_string(key)) && put(line, behind) && put(line, quote) && put(line, value) && put(line, quote)) return;
    line->size = before;
    line->cut = true;
}

/* Letters, digits and what paths and addresses are made of need no quotes in logfmt. */
static bool is_bare(struct span value)
{
    for (size_t i = 0; i < value.size; i++) {
        char c = value.bytes[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c != '\0' && strchr("._-:/[],+*>()%@$", c));
        if (!plain) return false;
    }
    return value.size > 0;
}

/* Terminals obey DEL and U+0080 to U+009F too, which JSON lets through. */
static void mask_controls(char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        bool pair = (uint8_t)bytes[i] == 0xc2 && i + 1 < size && (uint8_t)bytes[i + 1] < 0xa0;
        if (bytes[i] == 0x7f || pair) bytes[i] = '?';
        if (pair) bytes[++i] = '?';
    }
}

void log_line_text(struct log_line *line, const char *key, struct span value)
{
    char room[6 * LOG_VALUE_BYTES_MAX]; /* the longest escape of a byte is six */
    if (value.size > LOG_VALUE_BYTES_MAX) {
        value.size = LOG_VALUE_BYTES_MAX;
        line->cut = true;
    }
    size_t size = json_escape(value, room, sizeof room);
    mask_controls(room, size);
    put_field(line, key, span_of(room, size), line->format == LOG_FORMAT_JSON || !is_bare(span_of(room, size)));
}

void log_line_string(struct log_line *line, const char *key, const char *value)
{
    log_line_text(line, key, span_of_string(value));
}

void log_line_number(struct log_line *line, const char *key, uint64_t value)
{
    char digits[24];
    put_field(line, key, span_of(digits, (size_t)snprintf(digits, sizeof digits, "%llu", (unsigned long long)value)), false);
}

/* Days since the epoch as a date of the Gregorian calendar, by eras of 400 years that begin in March; gmtime_r() would take a lock.
 * Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days. */
static void date_of(uint64_t days, unsigned *year, unsigned *month, unsigned *day)
{
    uint64_t since = days + 719468, era = since / 146097, of_era = since % 146097;
    uint64_t years = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    uint64_t of_year = of_era - (365 * years + years / 4 - years / 100), from_march = (5 * of_year + 2) / 153;
    *day = (unsigned)(of_year - (153 * from_march + 2) / 5 + 1);
    *month = (unsigned)(from_march < 10 ? from_march + 3 : from_march - 9);
    *year = (unsigned)(years + era * 400 + (*month <= 2));
}

void log_line_begin(struct log_line *line, enum log_format format, uint64_t wall_us, enum log_level level, const char *message)
{
    static const char *const levels[] = { LOG_LEVEL_WORDS };
    char time[48];
    unsigned year, month, day, second = (unsigned)(wall_us / 1000000 % 86400);
    CHECK(level < sizeof levels / sizeof *levels);
    date_of(wall_us / 1000000 / 86400, &year, &month, &day);
    int size = snprintf(time, sizeof time, "%04u-%02u-%02uT%02u:%02u:%02u.%06uZ", year % 10000, month, day, second / 3600, second / 60 % 60, second % 60, (unsigned)(wall_us % 1000000));
    line->format = format;
    line->cut = false;
    line->size = 0;
    log_line_text(line, "time", span_of(time, (size_t)size));
    log_line_string(line, "level", levels[level]);
    log_line_string(line, "msg", message);
}

struct span log_line_end(struct log_line *line)
{
    bool json = line->format == LOG_FORMAT_JSON;
    struct span end = json ? (line->cut ? SPAN_LITERAL(",\"cut\":true}\n") : SPAN_LITERAL("}\n")) : (line->cut ? SPAN_LITERAL(" cut=true\n") : SPAN_LITERAL("\n"));
    CHECK(end.size <= END_BYTES && line->size + end.size <= LOG_LINE_BYTES_MAX);
    memcpy(line->bytes + line->size, end.bytes, end.size);
    line->size += (uint32_t)end.size;
    return span_of(line->bytes, line->size);
}
