/* A line of the log: one line whatever the values hold, never longer than its room, and JSON that is JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/base/random.h"
#include "core/proto/json.h"
#include "core/proto/log_line.h"
#include "tests/unit/guard.h"

#define COUNT_OF(table) (sizeof(table) / sizeof *(table))

static void assert_line(struct log_line *line, const char *expected)
{
    struct span span = log_line_end(line);
    if (!span_is(span, expected)) fail_msg("%.*s", (int)span.size, span.bytes);
}

static void lines_are_logfmt_or_json(void **state)
{
    struct log_line line;
    log_line_begin(&line, LOG_FORMAT_LOGFMT, 1763836441123456, LOG_LEVEL_WARN, "connections are refused");
    log_line_number(&line, "limit", 16000);
    log_line_string(&line, "at", "127.0.0.1:80");
    assert_line(&line, "time=2025-11-22T18:34:01.123456Z level=warn msg=\"connections are refused\" limit=16000 at=127.0.0.1:80\n");
    log_line_begin(&line, LOG_FORMAT_JSON, 0, LOG_LEVEL_ERROR, "x");
    log_line_number(&line, "limit", UINT64_MAX);
    log_line_string(&line, "at", "");
    assert_line(&line, "{\"time\":\"1970-01-01T00:00:00.000000Z\",\"level\":\"error\",\"msg\":\"x\",\"limit\":18446744073709551615,\"at\":\"\"}\n");
}

static void dates_are_those_of_the_calendar(void **state)
{
    static const struct {
        uint64_t    seconds;
        const char *date;
    } facts[] = {
        { 951782399, "2000-02-28T23:59:59" },  { 951782400, "2000-02-29T00:00:00" },  { 951868800, "2000-03-01T00:00:00" },
        { 1709251199, "2024-02-29T23:59:59" }, { 1735689599, "2024-12-31T23:59:59" }, { 1735689600, "2025-01-01T00:00:00" },
        { 4107542400, "2100-03-01T00:00:00" }, { 4107542399, "2100-02-28T23:59:59" }, { 253402300799, "9999-12-31T23:59:59" },
    };
    for (size_t i = 0; i < COUNT_OF(facts); i++) {
        struct log_line line;
        log_line_begin(&line, LOG_FORMAT_LOGFMT, facts[i].seconds * 1000000, LOG_LEVEL_INFO, "x");
        assert_memory_equal(line.bytes + 5, facts[i].date, 19);
    }
}

static void hostile_values_are_escaped(void **state)
{
    static const struct {
        struct span value;
        const char *logfmt, *json;
    } facts[] = {
        { SPAN_LITERAL("plain.value-1"), "plain.value-1", "\"plain.value-1\"" },
        { SPAN_LITERAL(""), "\"\"", "\"\"" },
        { SPAN_LITERAL("a b"), "\"a b\"", "\"a b\"" },
        { SPAN_LITERAL("a=b"), "\"a=b\"", "\"a=b\"" },
        { SPAN_LITERAL("a\"b\\c"), "\"a\\\"b\\\\c\"", "\"a\\\"b\\\\c\"" },
        { SPAN_LITERAL("a\nlevel=error msg=forged"), "\"a\\nlevel=error msg=forged\"", "\"a\\nlevel=error msg=forged\"" },
        { SPAN_LITERAL("\r\t\0\x1b[2J"), "\"\\r\\t\\u0000\\u001b[2J\"", "\"\\r\\t\\u0000\\u001b[2J\"" },
        { SPAN_LITERAL("\x7f"), "\"?\"", "\"?\"" },
        { SPAN_LITERAL("\xc2\x9b" "31m\xc2\xa0"), "\"??31m\xc2\xa0\"", "\"??31m\xc2\xa0\"" },
        { SPAN_LITERAL("caf\xc3\xa9"), "\"caf\xc3\xa9\"", "\"caf\xc3\xa9\"" },
        { SPAN_LITERAL("\xff\xc3"), "\"\xef\xbf\xbd\xef\xbf\xbd\"", "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
    };
    for (size_t i = 0; i < COUNT_OF(facts); i++) {
        struct span copy = guard_span(facts[i].value);
        for (enum log_format format = LOG_FORMAT_LOGFMT; format <= LOG_FORMAT_JSON; format++) {
            struct log_line line = { .format = format };
            log_line_text(&line, "v", copy);
            struct span span = log_line_end(&line);
            const char *value = format == LOG_FORMAT_JSON ? facts[i].json : facts[i].logfmt;
            size_t before = format == LOG_FORMAT_JSON ? 5 : 2, behind = format == LOG_FORMAT_JSON ? 2 : 1;
            assert_true(span_is(span_of(span.bytes + before, span.size - before - behind), value));
        }
        guard_free(copy.bytes);
    }
}

static void what_is_too_long_is_cut_and_says_so(void **state)
{
    char bytes[1000];
    struct log_line line;
    memset(bytes, '\x01', sizeof bytes);
    for (enum log_format format = LOG_FORMAT_LOGFMT; format <= LOG_FORMAT_JSON; format++)
        for (size_t size = 0; size <= sizeof bytes; size++) {
            log_line_begin(&line, format, 0, LOG_LEVEL_INFO, "x");
            log_line_text(&line, "v", span_of(bytes, size));
            log_line_number(&line, "n", 7);
            struct span span = log_line_end(&line);
            assert_true(span.size <= LOG_LINE_BYTES_MAX);
            const char *cut = format == LOG_FORMAT_JSON ? ",\"cut\":true}\n" : " cut=true\n";
            bool says = span.size > strlen(cut) && memcmp(span.bytes + span.size - strlen(cut), cut, strlen(cut)) == 0;
            bool whole = memmem(span.bytes, span.size, format == LOG_FORMAT_JSON ? "\"v\":\"" : "v=\"", format == LOG_FORMAT_JSON ? 5 : 3) != NULL;
            bool next = memmem(span.bytes, span.size, format == LOG_FORMAT_JSON ? "\"n\":7" : "n=7", format == LOG_FORMAT_JSON ? 5 : 3) != NULL;
            assert_int_equal(says, !whole || !next || size > LOG_VALUE_BYTES_MAX);
            assert_true(whole || next); /* a field that does not fit leaves the room to the next */
        }
}

static void any_bytes_make_one_line_of_valid_json(void **state)
{
    uint64_t seed = 7;
    for (int round = 0; round < 20000; round++) {
        struct log_line line;
        log_line_begin(&line, LOG_FORMAT_JSON, random_next(&seed) >> 8, LOG_LEVEL_DEBUG, "x");
        for (uint32_t fields = random_below(&seed, 6); fields > 0; fields--) {
            char bytes[300];
            uint32_t size = random_below(&seed, sizeof bytes), mask = random_below(&seed, 2) ? 0xff : 0x1f;
            for (uint32_t i = 0; i < size; i++) bytes[i] = (char)(random_below(&seed, 256) & mask);
            log_line_text(&line, "v", span_of(bytes, size));
        }
        struct span span = log_line_end(&line);
        struct json_value value;
        assert_true(span.size <= LOG_LINE_BYTES_MAX && span.bytes[span.size - 1] == '\n');
        assert_int_equal(json_validate(span_of(span.bytes, span.size - 1), 2, &value), JSON_OK);
        for (size_t i = 0; i + 1 < span.size; i++) assert_true((uint8_t)span.bytes[i] >= ' ' && span.bytes[i] != 0x7f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_logfmt_or_json),
        cmocka_unit_test(dates_are_those_of_the_calendar),
        cmocka_unit_test(hostile_values_are_escaped),
        cmocka_unit_test(what_is_too_long_is_cut_and_says_so),
        cmocka_unit_test(any_bytes_make_one_line_of_valid_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
