#include "gateway/settings.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { KIND_FLAG, KIND_TEXT, KIND_COUNT, KIND_BYTES, KIND_TIME };

struct setting {
    const char *name;
    enum kind   kind;
    size_t      offset, size; /* in struct settings */
    uint64_t    min, max;     /* of numbers */
    const char *preset;
    const char *help;
};

#define AT(field) offsetof(struct settings, field), sizeof(((struct settings *)0)->field)
#define KIB UINT64_C(1024)
#define MIB (KIB * KIB)
#define HOURS UINT64_C(3600000)

static const struct setting table[] = {
    { "listen", KIND_TEXT, AT(listen), 0, 0, "127.0.0.1:8080", "address and port for http and ws; [::1]:8080 for IPv6" },
    { "shards", KIND_COUNT, AT(shards), 0, 64, "0", "shard threads; 0: as many as CPUs may be used" },
    { "demo", KIND_FLAG, AT(demo), 0, 0, "false", "publish a synthetic demo feed" },
    { "echo", KIND_FLAG, AT(echo), 0, 0, "false", "serve /v1/echo, for conformance tests" },
    { "auth.publish-key", KIND_TEXT, AT(publish_key), 0, 0, "", "the API key that may publish; none: publishing is off" },
    { "auth.admin-key", KIND_TEXT, AT(admin_key), 0, 0, "", "the API key that may do all, /metrics included" },
    { "origins", KIND_TEXT, AT(origins), 0, 0, "", "foreign origins whose pages may connect, separated by commas" },
    { "heartbeat-ms", KIND_TIME, AT(heartbeat_ms), 1000, 60000, "25s", "silence after which a heartbeat is sent, unless the client names its own" },
    { "topics.window", KIND_COUNT, AT(topics_window), 1, 1000000000, "1000", "updates that a topic keeps at least, as far as bytes and age allow" },
    { "topics.window-bytes", KIND_BYTES, AT(topics_window_bytes), 1024, 64 * KIB * MIB, "1M", "bytes that a topic keeps at most, give or take a segment" },
    { "topics.window-age", KIND_TIME, AT(topics_window_age_ms), 1000, 24 * 365 * HOURS, "5m", "age after which an update need not be kept" },
    { "topics.ttl", KIND_TIME, AT(topics_ttl_ms), 1000, 24 * 365 * HOURS, "24h", "a topic that nobody follows is forgotten so long after its newest update" },
    { "limits.connections", KIND_COUNT, AT(limits_connections), 1, 1000000, "16000", "connections in all, also bounded by the limit of open files" },
    { "limits.topics", KIND_COUNT, AT(limits_topics), 1, 10000000, "1000000", "topics in all" },
    { "limits.subscriptions", KIND_COUNT, AT(limits_subscriptions), 1, 1000000, "10000", "subscriptions of one connection, those that its patterns cover among them" },
    { "limits.patterns", KIND_COUNT, AT(limits_patterns), 0, 100000, "100", "patterns of one connection" },
    { "limits.log-bytes", KIND_BYTES, AT(limits_log_bytes), MIB, 1024 * KIB * MIB, "1G", "memory for the logs of all topics" },
    { "limits.head", KIND_BYTES, AT(limits_head), 1024, MIB, "16K", "an HTTP request line with its headers" },
    { "limits.body", KIND_BYTES, AT(limits_body), 1024, 1024 * MIB, "8M", "an HTTP request body" },
    { "limits.payload", KIND_BYTES, AT(limits_payload), 16, 64 * MIB, "64K", "an update's payload" },
    { "limits.message", KIND_BYTES, AT(limits_message), 128, 64 * MIB, "1M", "a WebSocket message to /v1/ws" },
    { "limits.echo-message", KIND_BYTES, AT(limits_echo_message), 128, 256 * MIB, "16M", "a WebSocket message to /v1/echo" },
    { "deadline.head-ms", KIND_TIME, AT(deadline_head_ms), 10, HOURS, "10s", "for a request head to be complete" },
    { "deadline.body-ms", KIND_TIME, AT(deadline_body_ms), 10, HOURS, "60s", "for a request body to be complete" },
    { "deadline.idle-ms", KIND_TIME, AT(deadline_idle_ms), 10, HOURS, "75s", "for the next request on a kept connection" },
    { "deadline.close-ms", KIND_TIME, AT(deadline_close_ms), 10, HOURS, "3s", "for the peer's part of a closing handshake" },
    { "deadline.write-ms", KIND_TIME, AT(deadline_write_ms), 100, HOURS, "120s", "for a peer with a full socket to take anything" },
    { "drain.timeout", KIND_TIME, AT(drain_timeout_ms), 0, HOURS, "10s", "after SIGTERM, for connections to go" },
    { "socket.backlog", KIND_BYTES, AT(socket_backlog), 4096, MIB, "16K", "bytes not yet on the wire that a socket may hold (TCP_NOTSENT_LOWAT)" },
};
enum { SETTINGS_COUNT = sizeof table / sizeof *table };

static bool read_number(const char *text, uint64_t *number, const char **rest)
{
    if (!isdigit((unsigned char)*text)) return false;
    char *end;
    errno = 0;
    *number = strtoull(text, &end, 10);
    *rest = end;
    return errno == 0;
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

static bool read_time(const char *text, bool bare_is_ms, uint64_t *ms)
{
    static const struct {
        const char *unit;
        uint64_t    ms;
    } units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "min", 60000 }, { "h", 3600000 } };
    const char *rest;
    if (!read_number(text, ms, &rest)) return false;
    uint64_t factor = 0;
    if (*rest == '\0') factor = bare_is_ms ? 1 : 1000;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strcmp(rest, units[i].unit) == 0) factor = units[i].ms;
    if (factor == 0 || *ms > UINT64_MAX / factor) return false;
    *ms *= factor;
    return true;
}

static bool read_flag(const char *text, bool *flag)
{
    *flag = strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
    return *flag || strcmp(text, "false") == 0 || strcmp(text, "0") == 0;
}

static bool name_ends_in_ms(const char *name)
{
    size_t size = strlen(name);
    return size > 3 && strcmp(name + size - 3, "-ms") == 0;
}

static const char *what_is_right(enum kind kind)
{
    switch (kind) {
    case KIND_FLAG: return "true or false";
    case KIND_COUNT: return "a whole number";
    case KIND_BYTES: return "a size such as 65536, 64K, 8M or 1G";
    case KIND_TIME: return "a time such as 500ms, 10s, 5m or 1h";
    default: return "a text";
    }
}

/* Sets one setting from its text; `source` names where it stood. */
static int set(struct settings *settings, const struct setting *setting, const char *text, const char *source, char *why, int why_size)
{
    char *field = (char *)settings + setting->offset;
    if (setting->kind == KIND_TEXT) {
        if (strlen(text) >= setting->size) {
            snprintf(why, (size_t)why_size, "%s is longer than %zu bytes", source, setting->size - 1);
            return -1;
        }
        memcpy(field, text, strlen(text) + 1);
        return 0;
    }
    if (setting->kind == KIND_FLAG) {
        if (read_flag(text, (bool *)field)) return 0;
    } else {
        uint64_t number;
        bool read = setting->kind == KIND_BYTES  ? read_bytes(text, &number)
                    : setting->kind == KIND_TIME ? read_time(text, name_ends_in_ms(setting->name), &number)
                                                 : read_bytes(text, &number) && isdigit((unsigned char)text[strlen(text) - 1]);
        if (read && number >= setting->min && number <= setting->max) {
            *(uint64_t *)field = number;
            return 0;
        }
        if (read) {
            const char *unit = setting->kind == KIND_TIME ? " ms" : setting->kind == KIND_BYTES ? " bytes" : "";
            snprintf(why, (size_t)why_size, "%s is \"%s\"; it must be from %llu to %llu%s", source, text, (unsigned long long)setting->min,
                     (unsigned long long)setting->max, unit);
            return -1;
        }
    }
    snprintf(why, (size_t)why_size, "%s is \"%s\"; it must be %s", source, text, what_is_right(setting->kind));
    return -1;
}

static void variable_name(const char *setting, char *variable, size_t size)
{
    size_t at = (size_t)snprintf(variable, size, "RINGCAST_");
    for (; *setting && at + 1 < size; setting++)
        variable[at++] = *setting == '.' || *setting == '-' ? '_' : (char)toupper((unsigned char)*setting);
    variable[at] = '\0';
}

/* How many letters must be inserted, taken out or exchanged (Levenshtein). */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[64];
    size_t width = strlen(b);
    if (width >= 63) return 99;
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

static const char *nearest(const char *name)
{
    const char *best = table[0].name;
    unsigned least = UINT32_MAX;
    for (size_t i = 0; i < SETTINGS_COUNT; i++) {
        unsigned far = distance(name, table[i].name);
        if (far < least) {
            least = far;
            best = table[i].name;
        }
    }
    return best;
}

static const struct setting *find(const char *name)
{
    for (size_t i = 0; i < SETTINGS_COUNT; i++)
        if (strcmp(table[i].name, name) == 0) return &table[i];
    return NULL;
}

static int read_flags(struct settings *settings, int argc, char **argv, char *why, int why_size)
{
    for (int i = 0; i < argc; i++) {
        char name[64], source[80];
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return 1;
        if (strncmp(argv[i], "--", 2) != 0) {
            snprintf(why, (size_t)why_size, "\"%s\" is not a flag; flags begin with --, as in --listen 127.0.0.1:8080", argv[i]);
            return -1;
        }
        const char *equals = strchr(argv[i], '=');
        size_t size = equals ? (size_t)(equals - argv[i]) - 2 : strlen(argv[i]) - 2;
        snprintf(name, sizeof name, "%.*s", (int)(size < sizeof name ? size : sizeof name - 1), argv[i] + 2);
        snprintf(source, sizeof source, "--%s", name);
        const struct setting *setting = find(name);
        if (!setting) {
            snprintf(why, (size_t)why_size, "unknown setting --%s; did you mean --%s?", name, nearest(name));
            return -1;
        }
        const char *text = equals ? equals + 1 : NULL;
        if (!text && setting->kind == KIND_FLAG) text = "true";
        if (!text && i + 1 < argc) text = argv[++i];
        if (!text) {
            snprintf(why, (size_t)why_size, "--%s needs a value: %s", name, what_is_right(setting->kind));
            return -1;
        }
        if (set(settings, setting, text, source, why, why_size)) return -1;
    }
    return 0;
}

int settings_read(struct settings *settings, int argc, char **argv, char *why, int why_size)
{
    memset(settings, 0, sizeof *settings);
    for (size_t i = 0; i < SETTINGS_COUNT; i++) {
        char variable[96];
        variable_name(table[i].name, variable, sizeof variable);
        const char *text = getenv(variable);
        if (set(settings, &table[i], table[i].preset, table[i].name, why, why_size)) return -1;
        if (text && set(settings, &table[i], text, variable, why, why_size)) return -1;
    }
    return read_flags(settings, argc, argv, why, why_size);
}

void settings_print(void)
{
    for (size_t i = 0; i < SETTINGS_COUNT; i++)
        printf("  --%-22s %s (%s)\n", table[i].name, table[i].help, *table[i].preset ? table[i].preset : "none");
}
