/* Settings: each text means what it says or is refused in words, wherever it stands; the table is in order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/reload.h"
#include "gateway/settings_read.h"
#include "gateway/settings_show.h"

#define COUNT_OF(table) (sizeof(table) / sizeof *(table))

static void assert_says(const char *said, const char *words)
{
    if (!strstr(said, words)) fail_msg("\"%s\" does not say \"%s\"", said, words);
}

static void texts_are_read_and_written(void **state)
{
    static const struct {
        const char *name, *text, *written; /* written NULL: refused */
        const char *why;
    } facts[] = {
        { "shards", "0", "0", NULL },
        { "shards", "64", "64", NULL },
        { "shards", "65", NULL, " is \"65\"; it must be a whole number from 0 to 64" },
        { "shards", "1K", NULL, "a whole number" },
        { "shards", "-1", NULL, "a whole number" },
        { "shards", "", NULL, "a whole number" },
        { "shards", " 1", NULL, "a whole number" },
        { "shards", "18446744073709551616", NULL, "a whole number" },
        { "proxies.trusted", "10.0.0.0/8, ::1", "10.0.0.0/8, ::1", NULL },
        { "proxies.trusted", "", "", NULL },
        { "proxies.trusted", "10.0.0.1/8", NULL, "a list of at most 64 networks" },
        { "listen.proxy-protocol", "accept", "accept", NULL },
        { "listen.proxy-protocol", "on", NULL, "off, accept or require" },
        { "limits.payload", "65536", "64K", NULL },
        { "limits.payload", "64k", "64K", NULL },
        { "limits.payload", "1MiB", "1M", NULL },
        { "limits.payload", "1000B", "1000", NULL },
        { "limits.payload", "1025", "1025", NULL },
        { "limits.payload", "1.5K", NULL, "a size from 16 to 64M, such as 65536, 64K, 8M or 1G" },
        { "limits.payload", "15", NULL, "from 16 to 64M" },
        { "limits.payload", "65M", NULL, "from 16 to 64M" },
        { "limits.payload", "18014398509481984K", NULL, "from 16 to 64M" },
        { "limits.payload", "64KB!", NULL, "a size" },
        { "topics.ttl", "90", "90s", NULL },
        { "topics.ttl", "1h", "1h", NULL },
        { "topics.ttl", "90min", "90m", NULL },
        { "topics.ttl", "1500ms", "1500ms", NULL },
        { "topics.ttl", "999ms", NULL, "from 1s to 8760h" },
        { "topics.ttl", "1d", NULL, "a bare number is in s" },
        { "heartbeat-ms", "1000", "1s", NULL },
        { "heartbeat-ms", "61s", NULL, "from 1s to 1m" },
        { "drain.timeout", "0", "0s", NULL },
        { "demo", "true", "true", NULL },
        { "demo", "1", "true", NULL },
        { "demo", "0", "false", NULL },
        { "demo", "yes", NULL, "true or false" },
        { "listen", "[::1]:80", "[::1]:80", NULL },
        { "listen", ":80", ":80", NULL },
        { "listen", "::1:80", NULL, "an address and a port" },
        { "listen", "a:0", NULL, "from 1 to 65535" },
        { "listen", "a:65536", NULL, "from 1 to 65535" },
        { "origins", "https://a.example,https://b.example", "https://a.example,https://b.example", NULL },
        { "origins", " http://localhost:3000 ,, https://[::1]:8443,capacitor://localhost", " http://localhost:3000 ,, https://[::1]:8443,capacitor://localhost", NULL },
        { "origins", "", "", NULL },
        { "origins", "https://a.example,b.example", NULL, "origins with commas between them, such as https://app.example" },
        { "origins", "https://a.example/", NULL, "with no path behind" },
        { "origins", "*", NULL, "https://app.example" },
        { "origins", "null", NULL, "https://app.example" },
        { "origins", "https://", NULL, "https://app.example" },
        { "origins", "https://*.example", NULL, "https://app.example" },
        { "origins", "https://a.example https://b.example", NULL, "with commas" },
        { "origins", "https://a\nb", NULL, "https://app.example" },
        { "auth.publish-key", "s3cret", "(set)", NULL },
        { "auth.publish-key", "", "", NULL },
        { "auth.publish-key", "s3\x7f", NULL, " must be a text of at most 255 bytes" },
        { "log.level", "debug", "debug", NULL },
        { "log.level", "DEBUG", NULL, "error, warn, info or debug" },
        { "log.format", "json", "json", NULL },
        { "log.format", "xml", NULL, "logfmt or json" },
    };
    for (size_t i = 0; i < COUNT_OF(facts); i++) {
        struct settings settings, before;
        struct text written = { 0 };
        char why[512] = "";
        int index = setting_find(facts[i].name);
        assert_true(index >= 0);
        settings_default(&settings);
        before = settings;
        bool read = setting_read(&settings, index, facts[i].text, false, why, sizeof why);
        if (read != (facts[i].written != NULL)) fail_msg("%s = \"%s\": %s", facts[i].name, facts[i].text, why);
        if (!read) {
            assert_says(why, facts[i].why);
            assert_memory_equal(&settings, &before, sizeof settings);
            if (strstr(facts[i].text, "s3")) assert_null(strstr(why, "s3"));
            continue;
        }
        setting_write(&settings, index, &written);
        assert_true(span_is(written.bytes ? text_span(&written) : SPAN_LITERAL(""), facts[i].written));
        text_free(&written);
    }
}

/* What the example file says of a default is what a check of it prints; a longer text leaves nothing of itself behind. */
static void defaults_are_written_as_they_are_given(void **state)
{
    struct settings settings, defaults;
    char why[512];
    settings_default(&settings);
    settings_default(&defaults);
    for (int i = 0; i < SETTINGS_COUNT; i++) {
        struct text written = { 0 };
        text_add_char(&written, ' ');
        setting_write(&settings, i, &written);
        assert_true(span_is(span_skip(text_span(&written), 1), settings_table[i].preset));
        text_free(&written);
    }
    assert_true(setting_read(&settings, SETTING_origins, "https://a.example", false, why, sizeof why));
    assert_false(setting_equals(&settings, &defaults, SETTING_origins));
    assert_true(setting_read(&settings, SETTING_origins, "", false, why, sizeof why));
    assert_true(setting_equals(&settings, &defaults, SETTING_origins));
}

static void the_table_is_in_order(void **state)
{
    for (int i = 0; i < SETTINGS_COUNT; i++) {
        const char *name = settings_table[i].name, *dot = strchr(name, '.');
        size_t section = dot ? (size_t)(dot - name) + 1 : 0;
        assert_int_equal(setting_find(name), i);
        for (int j = i + 1; j < SETTINGS_COUNT; j++) {
            const char *next = settings_table[j].name, *last = settings_table[j - 1].name;
            if (section == 0) break;
            assert_non_null(strchr(next, '.')); /* those of no section come first */
            if (strncmp(name, next, section) == 0) assert_int_equal(strncmp(name, last, section), 0); /* a section is one run */
        }
        if (settings_table[i].change == UP_TO_START || settings_table[i].change == UP_TO_TWICE) setting_number(&(struct settings){ 0 }, i); /* checks that it is one */
    }
}

static void the_nearest_name_is_told(void **state)
{
    static const struct {
        const char *given, *nearest;
    } facts[] = {
        { "limits.conections", "limits.connections" }, { "connections", "limits.connections" }, { "limits.limits.connections", "limits.connections" },
        { "auth.publish_key", "auth.publish-key" },    { "topic.window", "topics.window" },     { "lisen", "listen" },
        { "LISTEN", NULL },                            { "foo", NULL },                         { "", NULL },
        { "zzzzzzzzzzzzzzzz", NULL },
    };
    for (size_t i = 0; i < COUNT_OF(facts); i++) {
        const char *nearest = setting_nearest(facts[i].given);
        if (!facts[i].nearest) assert_null(nearest);
        else {
            assert_non_null(nearest);
            assert_string_equal(nearest, facts[i].nearest);
        }
    }
    char endless[4096];
    memset(endless, 'x', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    assert_null(setting_nearest(endless));
}

/* ---- the file ---------------------------------------------------------------------------------------------------------- */

static char path[] = "/tmp/ringcast-settings-XXXXXX";

static void write_file(struct span bytes)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes.bytes, 1, bytes.size, file), bytes.size);
    assert_int_equal(fclose(file), 0);
}

static int read_file(struct configuration *configuration, char *why, size_t why_size)
{
    memset(configuration, 0, sizeof *configuration);
    settings_default(&configuration->settings);
    return configuration_read_file(configuration, path, why, why_size);
}

#define HUNDRED "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define BYTES(text) SPAN_LITERAL(text)

static void a_file_is_read_or_refused_by_line(void **state)
{
    const struct {
        struct span text;
        const char *why; /* NULL: read, and then limits.patterns is `patterns` */
        uint64_t    patterns;
    } facts[] = {
        { BYTES(""), NULL, 100 },
        { BYTES("limits.patterns = 7\n"), NULL, 7 },
        { BYTES("limits.patterns=7"), NULL, 7 },
        { BYTES("\xef\xbb\xbflimits.patterns: 7 ; a colon and a mark do too\r\n"), NULL, 7 },
        { BYTES("# so\n; and so\n\n[limits]\n\n  patterns = 7\n"), NULL, 7 },
        { BYTES("shards = 2\n[limits]\npatterns = 7\n[topics]\nwindow = 5\n[limits]\nhead = 2K\n"), NULL, 7 },
        { BYTES("[limits]\npatterns = 7\npatterns = 7\n"), ":3: limits.patterns stands twice; the first is in line 2", 0 },
        { BYTES("limits.patterns = 7\n[limits]\npatterns = 8\n"), ":3: limits.patterns stands twice; the first is in line 1", 0 },
        { BYTES("[limits]\npatern = 7\n"), ":2: unknown setting limits.patern; did you mean limits.patterns?", 0 },
        { BYTES("[limits]\nlisten = :80\n"), ":2: unknown setting limits.listen; if listen is meant, it stands before the first [section]", 0 },
        { BYTES("patterns = 7\n"), "did you mean limits.patterns?", 0 },
        { BYTES("qwertyuiop = 7\n"), ":1: unknown setting qwertyuiop; ringcast --help lists them", 0 },
        { BYTES("\n\nlimits.patterns = seven\n"), ":3: limits.patterns is \"seven\"; it must be a whole number from 0 to 100000", 0 },
        { BYTES("limits.patterns = 7 # no comment\n"), ":1: limits.patterns is \"7 # no comment\"", 0 },
        { BYTES("limits.patterns\n"), ":1: neither a [section] nor a setting", 0 },
        { BYTES("[limits\npatterns = 7\n"), ":1: neither a [section] nor a setting", 0 },
        { BYTES("what\n[limits]\npatterns = x\n"), ":1: neither", 0 },
        { BYTES("limits.patterns = x\nwhat\n"), ":1: limits.patterns is \"x\"", 0 },
        { BYTES("limits.patterns = 7\n  shards = 2\n"), ":2: the line begins with white space, so it goes on with limits.patterns of line 1, which is no list", 0 },
        { BYTES("limits.patterns = 7\0\n"), ":1: the line holds a NUL byte", 0 },
        { BYTES("shards = 1\norigins = " HUNDRED HUNDRED "\nlimits.patterns = 7\n"), ":2: the line is longer than", 0 },
        { BYTES("# " HUNDRED HUNDRED "\n"), ":1: the line is longer than", 0 },
        { BYTES("auth.publish-key = s3cret" HUNDRED "\nauth.admin-key s3cret\n"), ":2: neither", 0 },
        { BYTES("= 5\n"), ":1: unknown setting", 0 },
    };
    for (size_t i = 0; i < COUNT_OF(facts); i++) {
        struct configuration configuration;
        char why[1024] = "";
        write_file(facts[i].text);
        int result = read_file(&configuration, why, sizeof why);
        if ((result == 0) != (facts[i].why == NULL)) fail_msg("fact %zu: %d, \"%s\"", i, result, why);
        if (facts[i].why) assert_says(why, facts[i].why);
        else assert_int_equal(configuration.settings.limits_patterns, facts[i].patterns);
        assert_null(strstr(why, "s3cret"));
    }
}

static void a_list_goes_on_in_further_lines(void **state)
{
    struct configuration configuration;
    char why[1024];
    write_file(SPAN_LITERAL("origins = https://a.example\n   https://b.example\n\thttps://c.example ; the last\nshards = 3\n"));
    assert_int_equal(read_file(&configuration, why, sizeof why), 0);
    assert_string_equal(configuration.settings.origins, "https://a.example,https://b.example,https://c.example");
    assert_int_equal(configuration.sources[SETTING_origins].line, 1);
    assert_int_equal(configuration.sources[SETTING_shards].line, 4);
    struct text many = { 0 };
    text_add_string(&many, "origins = https://" HUNDRED "\n");
    for (int i = 0; i < 10; i++) text_add_string(&many, " https://" HUNDRED "\n");
    write_file(text_span(&many));
    assert_int_equal(read_file(&configuration, why, sizeof why), -1);
    assert_says(why, ":10: origins"); /* 109 bytes and more of each */
    text_free(&many);
}

static void a_file_that_cannot_be_read_is_told(void **state)
{
    struct configuration configuration = { 0 };
    char why[1024];
    settings_default(&configuration.settings);
    assert_int_equal(configuration_read_file(&configuration, "/nowhere/ringcast.ini", why, sizeof why), -1);
    assert_says(why, "/nowhere/ringcast.ini: No such file");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(configuration_read_file(&configuration, path, why, sizeof why), -1); /* and does not wait for a writer */
    assert_says(why, "it is no regular file");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(configuration_read_file(&configuration, "/", why, sizeof why), -1);
    assert_says(why, "Is a directory");
    assert_int_equal(configuration_read_file(&configuration, "/dev/zero", why, sizeof why), -1);
    assert_says(why, "/dev/zero: it is no regular file");
}

static void a_flag_beats_a_variable_beats_the_file(void **state)
{
    struct configuration configuration;
    char why[1024];
    static char words[][24] = { "--config", "--limits.head=4K", "--demo", "--shards", "4", "--limits.patterns" };
    char *flags[] = { words[0], path, words[1], words[2], words[3], words[4] };
    write_file(SPAN_LITERAL("shards = 2\nlimits.patterns = 2\nlimits.head = 2K\nlimits.body = 2K\n"));
    setenv("RINGCAST_SHARDS", "3", 1);
    setenv("RINGCAST_LIMITS_PATTERNS", "3", 1);
    assert_int_equal(configuration_read(&configuration, COUNT_OF(flags), flags, why, sizeof why), 0);
    assert_int_equal(configuration.settings.shards, 4);
    assert_int_equal(configuration.settings.limits_patterns, 3);
    assert_int_equal(configuration.settings.limits_head, 4096);
    assert_int_equal(configuration.settings.limits_body, 2048);
    assert_true(configuration.settings.demo);
    static const struct {
        int         index;
        const char *source;
    } sources[] = { { SETTING_shards, "--shards" }, { SETTING_limits_patterns, "RINGCAST_LIMITS_PATTERNS" }, { SETTING_limits_body, ":4" }, { SETTING_echo, "default" } };
    for (size_t i = 0; i < COUNT_OF(sources); i++) {
        struct text text = { 0 };
        configuration_write_source(&configuration, sources[i].index, &text);
        text_add_char(&text, '\0');
        assert_says(text.bytes, sources[i].source);
        text_free(&text);
    }
    setenv("RINGCAST_LIMITS_PATTERNS", "three", 1); /* also what a flag overrides is checked */
    flags[4] = words[5];
    assert_int_equal(configuration_read(&configuration, COUNT_OF(flags), flags, why, sizeof why), -1);
    assert_says(why, "RINGCAST_LIMITS_PATTERNS is \"three\"");
    unsetenv("RINGCAST_SHARDS");
    unsetenv("RINGCAST_LIMITS_PATTERNS");
}

struct found {
    int         count;
    const char *nearest;
};

static void on_found(void *context, const char *variable, const char *nearest)
{
    struct found *found = context;
    found->count++;
    assert_string_equal(variable, "RINGCAST_LIMITS_PAYLAOD");
    assert_non_null(nearest);
    assert_string_equal(nearest, "RINGCAST_LIMITS_PAYLOAD");
}

static void unknown_variables_are_found(void **state)
{
    struct found found = { 0 };
    setenv("RINGCAST_LIMITS_PAYLAOD", "1", 1);
    setenv("RINGCAST_LIMITS_BODY", "8M", 1);
    setenv("RINGCAST_CONFIG", "", 1);
    setenv("RINGCAST_SERVICE_HOST", "10.0.0.1", 1); /* Kubernetes sets these for a service of our name */
    setenv("RINGCAST_PORT_8080_TCP_ADDR", "10.0.0.1", 1);
    variables_unknown(&found, on_found);
    assert_int_equal(found.count, 1);
    unsetenv("RINGCAST_LIMITS_PAYLAOD");
    unsetenv("RINGCAST_LIMITS_BODY");
    unsetenv("RINGCAST_CONFIG");
}

/* ---- a reload ---------------------------------------------------------------------------------------------------------- */

static bool keep_line(void *context, struct span line)
{
    text_add(context, line);
    return true;
}

static void a_reload_takes_what_may_change(void **state)
{
    static const struct {
        const char *name, *start, *next;
        bool        taken;
    } facts[] = {
        { "limits.body", "1M", "2G", false }, /* malformed: 2G is beyond the most */
        { "limits.body", "1M", "1G", true },          { "limits.connections", "100", "200", true }, { "limits.connections", "100", "201", false },
        { "limits.connections", "100", "1", true },   { "limits.payload", "1K", "512", true },      { "limits.payload", "1K", "64K", true },      { "limits.payload", "1K", "65537", false },   { "limits.payload", "1M", "2M", false },
        { "listen", "127.0.0.1:80", ":80", false },   { "shards", "1", "2", false },                { "auth.publish-key", "s3cret", "s3cret2", true },
        { "auth.admin-key", "", "s3cret", true },     { "log.level", "info", "debug", true },       { "origins", "http://a", "", true },
        { "heartbeat-ms", "25s", "1s", true },        { "demo", "false", "true", false },
    };
    for (size_t i = 0; i < COUNT_OF(facts); i++) {
        struct configuration running = { 0 }, fresh = { 0 };
        struct clock clock = { .mono_us = 5000000 };
        struct text log = { 0 };
        struct logger logger = { .level = LOG_LEVEL_INFO, .shard = LOGGER_NO_SHARD, .clock = &clock, .context = &log, .sink = keep_line };
        char why[512];
        int index = setting_find(facts[i].name);
        settings_default(&running.settings);
        assert_true(setting_read(&running.settings, index, facts[i].start, false, why, sizeof why));
        struct settings start = running.settings;
        fresh = running;
        if (!setting_read(&fresh.settings, index, facts[i].next, false, why, sizeof why)) {
            assert_false(facts[i].taken);
            continue;
        }
        assert_int_equal(reload_merge(&running, &fresh, &start, &logger), facts[i].taken);
        assert_int_equal(setting_equals(&running.settings, &fresh.settings, index), facts[i].taken);
        assert_int_equal(setting_equals(&running.settings, &start, index), !facts[i].taken);
        text_add_char(&log, '\0');
        assert_says(log.bytes, facts[i].name);
        assert_says(log.bytes, facts[i].taken ? "setting changed" : "needs a restart");
        assert_null(strstr(log.bytes, "s3cret"));
        log.size = 0;
        assert_int_equal(reload_merge(&running, &running, &start, &logger), 0);
        assert_int_equal(log.size, 0);
        text_free(&log);
    }
}

static int make_file(void **state)
{
    unsetenv("RINGCAST_BENCH"); /* of the test runner */
    unsetenv("RINGCAST_TEST_PATIENCE");
    int descriptor = mkstemp(path);
    return descriptor < 0 ? -1 : close(descriptor);
}

static int remove_file(void **state)
{
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_read_and_written),
        cmocka_unit_test(defaults_are_written_as_they_are_given),
        cmocka_unit_test(the_table_is_in_order),
        cmocka_unit_test(the_nearest_name_is_told),
        cmocka_unit_test(a_file_is_read_or_refused_by_line),
        cmocka_unit_test(a_list_goes_on_in_further_lines),
        cmocka_unit_test(a_file_that_cannot_be_read_is_told),
        cmocka_unit_test(a_flag_beats_a_variable_beats_the_file),
        cmocka_unit_test(unknown_variables_are_found),
        cmocka_unit_test(a_reload_takes_what_may_change),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
