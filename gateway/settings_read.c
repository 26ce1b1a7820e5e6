/* See settings_read.h. The file is read by libinih, line by line through a reader of our own, which counts lines and refuses what
 * would be cut. */
#include "gateway/settings_read.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

enum { FILE_BYTES_MAX = 1 << 20, NAME_BYTES_MAX = 128, DETAIL_BYTES = 400, LINE_BYTES_MAX = 1024 };

#define CONFIG_VARIABLE "RINGCAST_CONFIG"

/* ---- the file ----------------------------------------------------------------------------------------------------------- */

struct reading {
    struct configuration *configuration;
    FILE                 *stream;
    uint32_t              line;
    size_t                bytes;
    bool                  indented;   /* the line begins with white space: it may go on with the one before */
    int                   last;       /* the setting that was read last, -1 */
    uint32_t              fault_line; /* of the first fault; 0: none */
    char                  fault[DETAIL_BYTES + NAME_BYTES_MAX];
};

__attribute__((format(printf, 2, 3))) static void fault(struct reading *reading, const char *format, ...)
{
    if (reading->fault_line) return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reading->fault, sizeof reading->fault, format, arguments);
    va_end(arguments);
    reading->fault_line = reading->line;
}

/* inih's reader: like fgets(), but a line that does not fit is a fault, and not two lines. */
static char *read_line(char *line, int room, void *context)
{
    struct reading *reading = context;
    int size = 0, byte = EOF;
    if (room > LINE_BYTES_MAX) room = LINE_BYTES_MAX; /* it depends on how libinih was built */
    if (reading->fault_line) return NULL;
    reading->line++;
    while (size < room - 1 && (byte = getc(reading->stream)) != EOF) {
        if (++reading->bytes > FILE_BYTES_MAX) return fault(reading, "the file is larger than 1M"), NULL;
        if (byte == '\0') return fault(reading, "the line holds a NUL byte: this is no text file"), NULL;
        line[size++] = (char)byte;
        if (byte == '\n') break;
    }
    if (size == 0) return NULL;
    if (byte != '\n' && byte != EOF) return fault(reading, "the line is longer than %d bytes; a long list may go on in further lines that begin with white space", room - 2), NULL;
    line[size] = '\0';
    reading->indented = isspace((unsigned char)line[0]);
    return line;
}

static void unknown(struct reading *reading, const char *section, const char *name, const char *full)
{
    const char *nearest = setting_nearest(full);
    if (*section && setting_find(name) >= 0) fault(reading, "unknown setting %s; if %s is meant, it stands before the first [section]", full, name);
    else if (nearest) fault(reading, "unknown setting %s; did you mean %s?", full, nearest);
    else fault(reading, "unknown setting %s; ringcast --help lists them", full);
}

/* A comment behind the value, which libinih leaves in lines that go on with the one before. */
static void cut_comment(char *text)
{
    for (char *at = text; *at; at++) {
        if (*at != ';' || at == text || !isspace((unsigned char)at[-1])) continue;
        while (at > text && isspace((unsigned char)at[-1])) at--;
        *at = '\0';
        return;
    }
}

static int on_entry(void *context, const char *section, const char *name, const char *value)
{
    struct reading *reading = context;
    struct configuration *configuration = reading->configuration;
    char full[NAME_BYTES_MAX], detail[DETAIL_BYTES];
    snprintf(full, sizeof full, "%s%s%s", section, *section ? "." : "", name);
    int index = setting_find(full);
    if (reading->fault_line) return 1;
    if (index < 0) {
        unknown(reading, section, name, full);
        return 1;
    }
    struct setting_source *source = &configuration->sources[index];
    bool goes_on = reading->indented && index == reading->last;
    char rest[LINE_BYTES_MAX];
    if (goes_on) {
        snprintf(rest, sizeof rest, "%s", value);
        cut_comment(rest);
        value = rest;
    }
    if (goes_on && settings_table[index].kind != KIND_LIST && settings_table[index].kind != KIND_ORIGINS && settings_table[index].kind != KIND_NETWORKS)
        fault(reading, "the line begins with white space, so it goes on with %s of line %u, which is no list; begin it in the first column", full, source->line);
    else if (!goes_on && source->from == FROM_FILE) fault(reading, "%s stands twice; the first is in line %u", full, source->line);
    else if (!setting_read(&configuration->settings, index, value, goes_on, detail, sizeof detail)) fault(reading, "%s%s", full, detail);
    else if (!goes_on) *source = (struct setting_source){ FROM_FILE, reading->line };
    reading->last = index;
    return 1;
}

/* Regular files alone: a reload must neither wait for a writer of a pipe nor take its end for an empty file. */
static FILE *open_file(const char *file)
{
    struct stat status;
    int descriptor = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) return NULL;
    bool regular = fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
    FILE *stream = regular ? fdopen(descriptor, "r") : NULL;
    if (stream) return stream;
    close(descriptor);
    if (!regular) errno = S_ISDIR(status.st_mode) ? EISDIR : EINVAL;
    return NULL;
}

int configuration_read_file(struct configuration *configuration, const char *file, char *why, size_t why_size)
{
    struct reading reading = { .configuration = configuration, .last = -1 };
    reading.stream = open_file(file);
    if (!reading.stream) {
        snprintf(why, why_size, "can't read the settings in %s: %s", file, errno == EINVAL ? "it is no regular file" : strerror(errno));
        return -1;
    }
    int wrong = ini_parse_stream(read_line, &reading, on_entry, &reading);
    int error = ferror(reading.stream) ? errno : 0;
    fclose(reading.stream);
    if (error) snprintf(why, why_size, "can't read the settings in %s: %s", file, strerror(error));
    else if (wrong > 0 && (!reading.fault_line || (uint32_t)wrong < reading.fault_line))
        snprintf(why, why_size, "%s:%d: neither a [section] nor a setting (name = value) nor a comment (# or ;)", file, wrong);
    else if (reading.fault_line) snprintf(why, why_size, "%s:%u: %s", file, reading.fault_line, reading.fault);
    else if (wrong < 0) snprintf(why, why_size, "no memory to read %s", file);
    else return 0;
    return -1;
}

/* ---- variables ---------------------------------------------------------------------------------------------------------- */

static int read_variables(struct configuration *configuration, char *why, size_t why_size)
{
    for (int i = 0; i < SETTINGS_COUNT; i++) {
        char variable[NAME_BYTES_MAX], detail[DETAIL_BYTES];
        setting_variable(settings_table[i].name, variable, sizeof variable);
        const char *text = getenv(variable);
        if (!text) continue;
        if (!setting_read(&configuration->settings, i, text, false, detail, sizeof detail)) {
            snprintf(why, why_size, "%s%s", variable, detail);
            return -1;
        }
        configuration->sources[i] = (struct setting_source){ .from = FROM_VARIABLE };
    }
    return 0;
}

void variables_unknown(void *context, void (*found)(void *context, const char *variable, const char *nearest))
{
    for (char **at = environ; *at; at++) {
        char name[NAME_BYTES_MAX], lower[NAME_BYTES_MAX], variable[NAME_BYTES_MAX], nearest[NAME_BYTES_MAX];
        const char *equals = strchr(*at, '=');
        if (!equals || strncmp(*at, "RINGCAST_", 9) != 0) continue;
        snprintf(name, sizeof name, "%.*s", (int)(equals - *at), *at);
        if (strcmp(name, CONFIG_VARIABLE) == 0 || strncmp(name, "RINGCAST_SERVICE_", 17) == 0 || strncmp(name, "RINGCAST_PORT", 13) == 0) continue;
        bool known = false;
        for (int i = 0; i < SETTINGS_COUNT && !known; i++) {
            setting_variable(settings_table[i].name, variable, sizeof variable);
            known = strcmp(variable, name) == 0;
        }
        if (known) continue;
        size_t size = 0;
        for (const char *from = name + 9; *from; from++) lower[size++] = *from == '_' ? '.' : (char)tolower((unsigned char)*from);
        lower[size] = '\0';
        const char *near = setting_nearest(lower);
        if (near) setting_variable(near, nearest, sizeof nearest);
        found(context, name, near ? nearest : NULL);
    }
}

/* ---- flags -------------------------------------------------------------------------------------------------------------- */

/* One flag: its name, and its value where one is given with it. */
struct flag {
    char        name[NAME_BYTES_MAX];
    const char *value;
};

static void split_flag(const char *word, struct flag *flag)
{
    const char *equals = strchr(word, '=');
    size_t size = equals ? (size_t)(equals - word) - 2 : strlen(word) - 2;
    snprintf(flag->name, sizeof flag->name, "%.*s", (int)(size < sizeof flag->name ? size : sizeof flag->name - 1), word + 2);
    flag->value = equals ? equals + 1 : NULL;
}

static int needs_value(const struct flag *flag, const char *what, char *why, size_t why_size)
{
    snprintf(why, why_size, "--%s needs a value: %s", flag->name, what);
    return -1;
}

static int set_flag(struct configuration *configuration, const struct flag *flag, int index, char *why, size_t why_size)
{
    char detail[DETAIL_BYTES];
    configuration->sources[index] = (struct setting_source){ .from = FROM_FLAG };
    if (setting_read(&configuration->settings, index, flag->value, false, detail, sizeof detail)) return 0;
    snprintf(why, why_size, "--%s%s", flag->name, detail);
    return -1;
}

/* All flags in order; those that are settings count only where `apply`, so that the file can be found first. */
static int read_flags(struct configuration *configuration, int argc, char **argv, bool apply, char *why, size_t why_size)
{
    for (int i = 0; i < argc; i++) {
        struct flag flag;
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return 1;
        if (strncmp(argv[i], "--", 2) != 0) {
            snprintf(why, why_size, "\"%s\" is not a flag; flags begin with --, as in --listen 127.0.0.1:8080", argv[i]);
            return -1;
        }
        split_flag(argv[i], &flag);
        bool config = strcmp(flag.name, "config") == 0;
        int index = config ? -1 : setting_find(flag.name);
        if (!config && index < 0) {
            const char *nearest = setting_nearest(flag.name);
            snprintf(why, why_size, nearest ? "unknown setting --%s; did you mean --%s?" : "unknown setting --%s; ringcast --help lists them", flag.name, nearest);
            return -1;
        }
        if (!flag.value && !config && settings_table[index].kind == KIND_FLAG) flag.value = "true";
        if (!flag.value && i + 1 < argc) flag.value = argv[++i];
        if (!flag.value && config) return needs_value(&flag, "the path of an INI file", why, why_size);
        if (!flag.value) {
            struct text right = { 0 };
            setting_right(index, &right);
            text_add_char(&right, '\0');
            needs_value(&flag, right.bytes, why, why_size);
            text_free(&right);
            return -1;
        }
        if (config) configuration->file = flag.value;
        else if (apply && set_flag(configuration, &flag, index, why, why_size)) return -1;
    }
    return 0;
}

/* ---- all together ------------------------------------------------------------------------------------------------------- */

int configuration_read(struct configuration *configuration, int argc, char **argv, char *why, size_t why_size)
{
    memset(configuration, 0, sizeof *configuration);
    settings_default(&configuration->settings);
    configuration->file = getenv(CONFIG_VARIABLE);
    int result = read_flags(configuration, argc, argv, false, why, why_size);
    if (result) return result;
    if (configuration->file && configuration_read_file(configuration, configuration->file, why, why_size)) return -1;
    if (read_variables(configuration, why, why_size)) return -1;
    return read_flags(configuration, argc, argv, true, why, why_size);
}

void configuration_write_source(const struct configuration *configuration, int index, struct text *text)
{
    char variable[NAME_BYTES_MAX];
    switch (configuration->sources[index].from) {
    case FROM_DEFAULT: text_add_string(text, "default"); break;
    case FROM_FILE: text_print(text, "%s:%u", configuration->file ? configuration->file : "file", configuration->sources[index].line); break;
    case FROM_FLAG: text_print(text, "--%s", settings_table[index].name); break;
    case FROM_VARIABLE:
        setting_variable(settings_table[index].name, variable, sizeof variable);
        text_add_string(text, variable);
        break;
    }
}
