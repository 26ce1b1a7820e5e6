#include "gateway/settings.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/check.h"
#include "core/proto/address.h"
#include "core/proto/http.h"
#include "core/proto/log_line.h"
#include "gateway/listener.h"

#define ROW(row_kind, field, row_name, row_preset, row_least, row_most, row_change, row_help) \
    { .name = row_name, .kind = KIND_##row_kind, .change = row_change, .offset = offsetof(struct settings, field), \
      .size = sizeof(((struct settings *)0)->field), .least = row_least, .most = row_most, .preset = row_preset, .help = row_help },
const struct setting settings_table[SETTINGS_COUNT] = { SETTINGS(ROW) };

/* What a word of these kinds may be; its number is its place. */
static const char *const level_words[] = { LOG_LEVEL_WORDS, NULL };
static const char *const format_words[] = { LOG_FORMAT_WORDS, NULL };
static const char *const proxy_protocol_words[] = { "off", "accept", "require", NULL };

static const char *const *words_of(enum setting_kind kind)
{
    return kind == KIND_LOG_LEVEL ? level_words : kind == KIND_LOG_FORMAT ? format_words : kind == KIND_PROXY_PROTOCOL ? proxy_protocol_words : NULL;
}

static bool is_text(enum setting_kind kind)
{
    return kind == KIND_ADDRESS || kind == KIND_TEXT || kind == KIND_LIST || kind == KIND_ORIGINS || kind == KIND_NETWORKS || kind == KIND_SECRET;
}

static char *field_of(const struct settings *settings, int index)
{
    CHECK(index >= 0 && index < SETTINGS_COUNT);
    return (char *)(uintptr_t)settings + settings_table[index].offset;
}

uint64_t setting_number(const struct settings *settings, int index)
{
    CHECK(settings_table[index].size == sizeof(uint64_t) && !is_text(settings_table[index].kind));
    return *(const uint64_t *)field_of(settings, index);
}

/* ---- values read ------------------------------------------------------------------------------------------------------- */

static bool read_number(const char *text, uint64_t *number, const char **rest)
{
    if (!isdigit((unsigned char)*text)) return false;
    char *end;
    errno = 0;
    *number = strtoull(text, &end, 10);
    *rest = end;
    return errno == 0;
}

static bool read_count(const char *text, uint64_t *count)
{
    const char *rest;
    return read_number(text, count, &rest) && *rest == '\0';
}

static bool read_bytes(const char *text, uint64_t *bytes)
{
    const char *rest;
    if (!read_number(text, bytes, &rest)) return false;
    unsigned shift = 0;
    if (*rest == 'K' || *rest == 'k') shift = 10;
    else if (*rest == 'M' || *rest == 'm') shift = 20;
    else if (*rest == 'G' || *rest == 'g') shift = 30;
    if (shift) rest++;
    if (*bytes > UINT64_MAX >> shift) return false;
    *bytes <<= shift;
    return *rest == '\0' || strcmp(rest, "B") == 0 || strcmp(rest, "iB") == 0;
}

static const struct {
    const char *unit;
    uint64_t    ms;
} time_units[] = { { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 }, { "min", 60000 } };

static bool read_time(const char *text, bool bare_is_ms, uint64_t *ms)
{
    const char *rest;
    if (!read_number(text, ms, &rest)) return false;
    uint64_t factor = 0;
    if (*rest == '\0') factor = bare_is_ms ? 1 : 1000;
    for (size_t i = 0; i < sizeof time_units / sizeof *time_units; i++)
        if (strcmp(rest, time_units[i].unit) == 0) factor = time_units[i].ms;
    if (factor == 0 || *ms > UINT64_MAX / factor) return false;
    *ms *= factor;
    return true;
}

static bool read_word(const char *text, const char *const *words, uint64_t *number)
{
    for (*number = 0; words[*number]; (*number)++)
        if (strcmp(text, words[*number]) == 0) return true;
    return false;
}

static bool name_ends_in_ms(const char *name)
{
    size_t size = strlen(name);
    return size > 3 && strcmp(name + size - 3, "-ms") == 0;
}

static bool read_value(const struct setting *setting, const char *text, uint64_t *number)
{
    switch (setting->kind) {
    case KIND_FLAG: return (*number = strcmp(text, "true") == 0 || strcmp(text, "1") == 0) || strcmp(text, "false") == 0 || strcmp(text, "0") == 0;
    case KIND_COUNT: return read_count(text, number);
    case KIND_BYTES: return read_bytes(text, number);
    case KIND_TIME: return read_time(text, name_ends_in_ms(setting->name), number);
    case KIND_LOG_LEVEL:
    case KIND_LOG_FORMAT:
    case KIND_PROXY_PROTOCOL: return read_word(text, words_of(setting->kind), number);
    default: return false;
    }
}

static bool has_range(enum setting_kind kind)
{
    return kind == KIND_COUNT || kind == KIND_BYTES || kind == KIND_TIME;
}

/* ' is "x"; it must be …'. */
static bool refuse(int index, const char *given, char *why, size_t why_size)
{
    struct text right = { 0 };
    setting_right(index, &right);
    if (settings_table[index].kind == KIND_SECRET) snprintf(why, why_size, " must be %.*s", (int)right.size, right.bytes);
    else snprintf(why, why_size, " is \"%.200s\"; it must be %.*s", given, (int)right.size, right.bytes);
    text_free(&right);
    return false;
}

/* A list goes on in further lines: all of it is judged. */
static bool networks_fit(const char *before, const char *given)
{
    struct text whole = { 0 };
    struct network networks[NETWORKS_MAX];
    struct span fault;
    text_print(&whole, "%s,%s", before, given);
    bool fit = networks_read(text_span(&whole), networks, NETWORKS_MAX, &fault) >= 0;
    text_free(&whole);
    return fit;
}

/* Scheme, host and port alone, as browsers send them: with a path behind, or as `*` or `null`, one would never match, and nobody be told. */
static bool is_origin(struct span text)
{
    const char *slashes = span_find_string(text, "://");
    if (!slashes || slashes == text.bytes) return false;
    struct span authority = span_skip(text, (size_t)(slashes - text.bytes) + 3);
    for (const char *at = text.bytes; at < slashes; at++)
        if (!isalnum((unsigned char)*at) && !strchr("+-.", *at)) return false;
    for (size_t i = 0; i < authority.size; i++)
        if (!isgraph((unsigned char)authority.bytes[i]) || strchr("/?#@*\\", authority.bytes[i])) return false;
    return authority.size > 0 && authority.bytes[0] != ':';
}

static bool origins_fit(const char *given)
{
    struct span list = span_of_string(given), element;
    while (http_list_next(&list, &element))
        if (!is_origin(element)) return false;
    return true;
}

static bool read_text(struct settings *settings, int index, const char *given, bool more, char *why, size_t why_size)
{
    const struct setting *setting = &settings_table[index];
    char *field = field_of(settings, index);
    size_t before = more ? strlen(field) : 0, comma = before > 0, size = strlen(given);
    bool right = before + comma + size <= setting->most && (setting->kind != KIND_ADDRESS || (size == 0 && !*setting->preset) || listener_address_valid(given));
    for (size_t i = 0; right && i < size; i++) right = (unsigned char)given[i] >= ' ' && given[i] != 0x7f;
    if (right && setting->kind == KIND_ORIGINS) right = origins_fit(given);
    if (right && setting->kind == KIND_NETWORKS) right = networks_fit(more ? field : "", given);
    if (!right) return refuse(index, given, why, why_size);
    if (comma) field[before] = ',';
    memcpy(field + before + comma, given, size);
    memset(field + before + comma + size, 0, setting->size - before - comma - size); /* so that equal ones are equal bytes */
    return true;
}

bool setting_read(struct settings *settings, int index, const char *given, bool more, char *why, size_t why_size)
{
    const struct setting *setting = &settings_table[index];
    uint64_t number = 0;
    if (is_text(setting->kind)) return read_text(settings, index, given, more, why, why_size);
    if (!read_value(setting, given, &number) || (has_range(setting->kind) && (number < setting->least || number > setting->most)))
        return refuse(index, given, why, why_size);
    if (setting->kind == KIND_FLAG) *(bool *)field_of(settings, index) = number;
    else *(uint64_t *)field_of(settings, index) = number;
    return true;
}

void settings_default(struct settings *settings)
{
    char why[512];
    memset(settings, 0, sizeof *settings);
    for (int i = 0; i < SETTINGS_COUNT; i++) CHECK(setting_read(settings, i, settings_table[i].preset, false, why, sizeof why));
}

/* ---- values written ---------------------------------------------------------------------------------------------------- */

static void write_number(enum setting_kind kind, uint64_t number, struct text *text)
{
    static const char *const sizes[] = { "G", "M", "K" };
    if (kind == KIND_BYTES && number > 0)
        for (unsigned i = 0; i < 3; i++)
            if (number % (UINT64_C(1) << (30 - 10 * i)) == 0) {
                text_print(text, "%llu%s", (unsigned long long)(number >> (30 - 10 * i)), sizes[i]);
                return;
            }
    if (kind == KIND_TIME)
        for (unsigned i = 0; i < 4; i++)
            if (number > 0 ? number % time_units[i].ms == 0 : i == 2) {
                text_print(text, "%llu%s", (unsigned long long)(number / time_units[i].ms), time_units[i].unit);
                return;
            }
    text_add_number(text, number);
}

void setting_write(const struct settings *settings, int index, struct text *text)
{
    const struct setting *setting = &settings_table[index];
    const char *field = field_of(settings, index);
    if (setting->kind == KIND_SECRET) text_add_string(text, *field ? "(set)" : "");
    else if (is_text(setting->kind)) text_add_string(text, field);
    else if (setting->kind == KIND_FLAG) text_add_string(text, *(const bool *)field ? "true" : "false");
    else if (words_of(setting->kind)) text_add_string(text, words_of(setting->kind)[setting_number(settings, index)]);
    else write_number(setting->kind, setting_number(settings, index), text);
}

static void write_range(const struct setting *setting, const char *what, const char *such, struct text *text)
{
    text_print(text, "%s from ", what);
    write_number(setting->kind, setting->least, text);
    text_add_string(text, " to ");
    write_number(setting->kind, setting->most, text);
    text_add_string(text, such);
}

void setting_right(int index, struct text *text)
{
    const struct setting *setting = &settings_table[index];
    const char *const *words = words_of(setting->kind);
    switch (setting->kind) {
    case KIND_FLAG: text_add_string(text, "true or false"); break;
    case KIND_COUNT: write_range(setting, "a whole number", "", text); break;
    case KIND_BYTES: write_range(setting, "a size", ", such as 65536, 64K, 8M or 1G", text); break;
    case KIND_TIME: write_range(setting, "a time", name_ends_in_ms(setting->name) ? ", such as 500ms or 10s; a bare number is in ms" : ", such as 500ms, 10s, 5m or 1h; a bare number is in s", text); break;
    case KIND_ADDRESS: text_add_string(text, "an address and a port, from 1 to 65535, as in 127.0.0.1:8080 or [::1]:8080"); break;
    case KIND_LIST: text_print(text, "a list with commas, of at most %llu bytes in all and no control characters", (unsigned long long)setting->most); break;
    case KIND_ORIGINS: text_print(text, "origins with commas between them, such as https://app.example or http://localhost:3000, with no path behind, of at most %llu bytes in all", (unsigned long long)setting->most); break;
    case KIND_NETWORKS: text_print(text, "a list of at most %d networks, such as 10.0.0.0/8, 2001:db8::/32 or 192.0.2.7, with no bits behind the prefix", NETWORKS_MAX); break;
    case KIND_TEXT:
    case KIND_SECRET: text_print(text, "a text of at most %llu bytes without control characters", (unsigned long long)setting->most); break;
    case KIND_LOG_LEVEL:
    case KIND_LOG_FORMAT:
    case KIND_PROXY_PROTOCOL:
        for (uint32_t i = 0; words[i]; i++) text_print(text, "%s%s", i == 0 ? "" : words[i + 1] ? ", " : " or ", words[i]);
        break;
    }
}

/* ---- names ------------------------------------------------------------------------------------------------------------- */

int setting_find(const char *name)
{
    for (int i = 0; i < SETTINGS_COUNT; i++)
        if (strcmp(settings_table[i].name, name) == 0) return i;
    return -1;
}

void setting_variable(const char *name, char *variable, size_t size)
{
    size_t at = (size_t)snprintf(variable, size, "RINGCAST_");
    for (; *name && at + 1 < size; name++) variable[at++] = *name == '.' || *name == '-' ? '_' : (char)toupper((unsigned char)*name);
    variable[at] = '\0';
}

enum { NAME_BYTES_MAX = 63 };

/* How many letters must be inserted, taken out or exchanged (Levenshtein). */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[NAME_BYTES_MAX + 1];
    size_t width = strlen(b);
    if (width > NAME_BYTES_MAX) return UINT32_MAX;
    for (size_t j = 0; j <= width; j++) row[j] = (unsigned)j;
    for (size_t i = 1; a[i - 1]; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= width; j++) {
            unsigned change = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            unsigned insert = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            row[j] = change < insert ? change : insert;
        }
    }
    return row[width];
}

/* The name without its section. */
static const char *own_name(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot ? dot + 1 : name;
}

const char *setting_nearest(const char *name)
{
    const char *best = NULL;
    size_t size = strlen(name);
    if (size > NAME_BYTES_MAX) return NULL;
    unsigned least = (unsigned)(size / 2 > 2 ? size / 2 : 2) + 1; /* farther is no help */
    for (size_t i = 0; i < SETTINGS_COUNT; i++) {
        bool section_missing = strcmp(name, own_name(settings_table[i].name)) == 0;
        unsigned far = section_missing ? 0 : distance(name, settings_table[i].name);
        if (far >= least) continue;
        least = far;
        best = settings_table[i].name;
    }
    return best;
}

/* ---- two versions ------------------------------------------------------------------------------------------------------- */

bool setting_equals(const struct settings *a, const struct settings *b, int index)
{
    return memcmp(field_of(a, index), field_of(b, index), settings_table[index].size) == 0;
}

void setting_copy(struct settings *to, const struct settings *from, int index)
{
    memcpy(field_of(to, index), field_of(from, index), settings_table[index].size);
}

bool setting_may_become(const struct settings *start, const struct settings *next, int index)
{
    uint8_t change = settings_table[index].change;
    if (change == AT_START || change == ANY_TIME) return change == ANY_TIME;
    return setting_number(next, index) <= setting_most(start, index);
}

uint64_t setting_most(const struct settings *start, int index)
{
    uint8_t change = settings_table[index].change;
    uint64_t most = setting_number(start, index) * change;
    if (change != UP_TO_START) return most;
    struct settings defaults;
    settings_default(&defaults); /* what it is made for in any case */
    uint64_t preset = setting_number(&defaults, index);
    return most > preset ? most : preset;
}
