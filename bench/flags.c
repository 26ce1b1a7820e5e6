/* See flags.h. */
#include "bench/flags.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/io/tls_client.h"

/* Of whoever takes a URL. */
static const char *authorities;
static bool        over_tls;
static const struct flag of_urls[] = {
    { "tls", FLAG_YES, &over_tls, NULL, "the URL over TLS, as wss:// and https:// say", 0, 0 },
    { "cacert", FLAG_TEXT, &authorities, "FILE", "whom wss:// is trusted by, in PEM (" TLS_AUTHORITIES_VARIABLE ", the system's)", 0, 0 },
    { 0 },
};

static const struct flag *find(const struct flag *flags, const char *name)
{
    while (flags->name && strcmp(flags->name, name) != 0) flags++;
    return flags->name ? flags : NULL;
}

/* The URL over TLS; NULL: no memory. It is kept to the end. */
static const char *secured(const char *url)
{
    static const char *const schemes[][2] = { { "ws://", "wss://" }, { "http://", "https://" }, { "wss://", "wss://" }, { "https://", "https://" }, { "", "wss://" } };
    size_t i = 0;
    while (strncmp(url, schemes[i][0], strlen(schemes[i][0])) != 0) i++;
    char *text;
    return asprintf(&text, "%s%s", schemes[i][1], url + strlen(schemes[i][0])) < 0 ? NULL : text;
}

/* What was said of all URLs goes where it is looked for: the authorities, in the environment. */
static void apply(const struct flag *flags)
{
    const struct flag *url = find(flags, "url");
    if (!url) return;
    if (authorities) setenv(TLS_AUTHORITIES_VARIABLE, authorities, 1);
    const char **value = url->value;
    if (over_tls && *value) *value = secured(*value);
}

static void help(const struct flag *flag)
{
    char left[64];
    snprintf(left, sizeof left, "--%s %s", flag->name, flag->shape ? flag->shape : "");
    printf("  %-26s %s\n", left, flag->help);
}

void flags_help(const struct flag *flags)
{
    for (const struct flag *flag = flags; flag->name; flag++) help(flag);
    if (find(flags, "url"))
        for (const struct flag *flag = of_urls; flag->name; flag++) help(flag);
}

/* How many letters must be changed, added or taken away (Levenshtein), bounded by the names' sizes here. */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[64];
    size_t b_size = strlen(b);
    if (b_size >= 63) return 99;
    for (unsigned j = 0; j <= b_size; j++) row[j] = j;
    for (unsigned i = 1; *a; a++, i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= b_size; j++) {
            unsigned best = diagonal + (*a != b[j - 1]);
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[b_size];
}

static enum flags_result unknown(const char *command, const struct flag *flags, const char *name)
{
    const struct flag *nearest = NULL;
    unsigned least = 4;
    for (const struct flag *flag = flags; flag->name; flag++) {
        unsigned apart = distance(name, flag->name);
        if (apart < least) nearest = flag, least = apart;
    }
    fprintf(stderr, "ringcast-bench %s: there is no --%s", command, name);
    if (nearest)
        fprintf(stderr, "; did you mean --%s?", nearest->name);
    else
        fprintf(stderr, "; `ringcast-bench %s --help` lists what there is", command);
    fputc('\n', stderr);
    return FLAGS_BAD;
}

static bool choose(const struct flag *flag, const char *text)
{
    int index = 0;
    for (const char *word = flag->shape; *word; index++) {
        size_t size = strcspn(word, "|");
        if (strlen(text) == size && memcmp(text, word, size) == 0) {
            *(int *)flag->value = index;
            return true;
        }
        word += size + (word[size] == '|');
    }
    return false;
}

static bool read_number(const struct flag *flag, const char *text)
{
    char *end;
    if ((text[0] < '0' || text[0] > '9') && text[0] != '.') return false;
    double real = strtod(text, &end);
    if (*end || (flag->least != flag->most && (real < flag->least || real > flag->most))) return false;
    if (flag->kind == FLAG_REAL) {
        *(double *)flag->value = real;
        return true;
    }
    *(uint64_t *)flag->value = strtoull(text, &end, 10);
    return *end == 0;
}

static enum flags_result wrong(const char *command, const struct flag *flag, const char *text)
{
    fprintf(stderr, "ringcast-bench %s: --%s takes ", command, flag->name);
    if (flag->kind == FLAG_CHOICE)
        fprintf(stderr, "%s", flag->shape);
    else
        fprintf(stderr, flag->kind == FLAG_COUNT ? "a whole number" : "a number");
    if (flag->kind != FLAG_CHOICE && flag->least != flag->most)
        fprintf(stderr, " from %.15g to %.15g", flag->least, flag->most);
    fprintf(stderr, ", not `%s`\n", text);
    return FLAGS_BAD;
}

static enum flags_result set(const char *command, const struct flag *flag, const char *text)
{
    if (flag->kind == FLAG_TEXT) {
        *(const char **)flag->value = text;
        return FLAGS_OK;
    }
    bool right = flag->kind == FLAG_CHOICE ? choose(flag, text) : read_number(flag, text);
    return right ? FLAGS_OK : wrong(command, flag, text);
}

enum flags_result flags_read(const char *command, const struct flag *flags, int argc, char **argv, const char **others,
                             int others_max)
{
    int others_count = 0;
    for (int i = 0; i < others_max; i++) others[i] = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return FLAGS_HELP;
        if (strncmp(argv[i], "--", 2) != 0) {
            if (others_count == others_max) {
                fprintf(stderr, "ringcast-bench %s: `%s` is one argument too many\n", command, argv[i]);
                return FLAGS_BAD;
            }
            others[others_count++] = argv[i];
            continue;
        }
        char name[64];
        const char *equals = strchr(argv[i], '=');
        snprintf(name, sizeof name, "%.*s", (int)(equals ? equals - argv[i] - 2 : (long)strlen(argv[i]) - 2),
                 argv[i] + 2);
        const struct flag *flag = find(flags, name);
        if (!flag && find(flags, "url")) flag = find(of_urls, name);
        if (!flag) return unknown(command, flags, name);
        if (flag->kind == FLAG_YES) {
            *(bool *)flag->value = true;
            continue;
        }
        if (!equals && i + 1 == argc) {
            fprintf(stderr, "ringcast-bench %s: --%s needs a value: %s\n", command, name, flag->shape);
            return FLAGS_BAD;
        }
        enum flags_result result = set(command, flag, equals ? equals + 1 : argv[++i]);
        if (result != FLAGS_OK) return result;
    }
    apply(flags);
    return FLAGS_OK;
}
