/* Recorded ticks: a line is taken apart without changing a digit or refused with a reason; a file, plain or gzip,
 * gives each of its rows once and in order, and says where it is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#include "bench/ticks.h"
#include "tests/unit/guard.h"

#define HEADER "ts_ns,symbol,type,price,size,bid,bid_size,ask,ask_size,venue\n"
#define TRADE  "1723161257506332764,ETHUSD-PERP,T,2682.18,22,,,,,BINANCE-COINM"
#define QUOTE  "1723161257506333864,ETHUSD-PERP,Q,,,2682.49,200,2682.5,55,BINANCE-COINM"

/* What a line gives, read in guarded memory: its payload, with ' for " as the table has it; or why not. */
static const char *payload_of(const char *line, char *payload)
{
    struct span guarded = guard_span(span_of_string(line));
    struct tick tick;
    const char *fault = tick_parse(guarded, &tick);
    payload[fault ? 0 : tick_payload(&tick, payload)] = 0;
    for (char *at = payload; *at; at++)
        if (*at == '"') *at = '\'';
    guard_free(guarded.bytes);
    return fault;
}

static void good_lines_become_payloads(void **state)
{
    static const struct { const char *line, *payload, *promise; } facts[] = {
        { TRADE, "{'t':'T','ts':1723161257506332764,'p':2682.18,'s':22,'venue':'BINANCE-COINM'}", "a trade" },
        { QUOTE, "{'t':'Q','ts':1723161257506333864,'b':2682.49,'bs':200,'a':2682.5,'as':55,'venue':'BINANCE-COINM'}",
          "a quote" },
        { "1,A,T,0.00001,0.10,,,,,V", "{'t':'T','ts':1,'p':0.00001,'s':0.10,'venue':'V'}", "digits are passed on" },
        { "9223372036854775807,BTC/USD,T,0,1,,,,,V:1", "{'t':'T','ts':9223372036854775807,'p':0,'s':1,'venue':'V:1'}",
          "the last nanosecond, names with / and :" },
        { "1,A,Q,,,1,2,3,4,V", "{'t':'Q','ts':1,'b':1,'bs':2,'a':3,'as':4,'venue':'V'}", "the shortest quote" },
    };
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        char payload[TICK_PAYLOAD_BYTES_MAX + 1];
        const char *fault = payload_of(facts[i].line, payload);
        if (fault || strcmp(payload, facts[i].payload) != 0)
            fail_msg("%s: %s -> %s", facts[i].promise, facts[i].line, fault ? fault : payload);
    }
}

static void bad_lines_are_refused(void **state)
{
    static const struct { const char *line, *promise; } facts[] = {
        { "", "nothing" },
        { "1,A,T,1,1,,,,", "nine fields" },
        { "1,A,T,1,1,,,,,V,", "eleven fields" },
        { ",A,T,1,1,,,,,V", "no time" },
        { "0,A,T,1,1,,,,,V", "time zero" },
        { "01,A,T,1,1,,,,,V", "a time with a leading zero" },
        { "-1,A,T,1,1,,,,,V", "a time before 1970" },
        { "9223372036854775808,A,T,1,1,,,,,V", "a time beyond 2^63 - 1" },
        { "12345678901234567890,A,T,1,1,,,,,V", "a time of twenty digits" },
        { "1,,T,1,1,,,,,V", "no symbol" },
        { "1,A\"B,T,1,1,,,,,V", "a quote mark in a symbol" },
        { "1,A B,T,1,1,,,,,V", "a space in a symbol" },
        { "1,A*,T,1,1,,,,,V", "a star in a symbol" },
        { "1,\xc3\xa4,T,1,1,,,,,V", "a symbol beyond ASCII" },
        { "1,A,T,1,1,,,,,", "no venue" },
        { "1,A,T,1,1,,,,,V\\", "a backslash in a venue" },
        { "1,A,T,1,1,,,,,V\r", "a carriage return at the end" },
        { "1,A,X,1,1,,,,,V", "a type that is none" },
        { "1,A,TT,1,1,,,,,V", "two types" },
        { "1,A,,1,1,,,,,V", "no type" },
        { "1,A,T,,1,,,,,V", "a trade without a price" },
        { "1,A,T,1,,,,,,V", "a trade without a size" },
        { "1,A,T,1,1,1,,,,V", "a trade with a bid" },
        { "1,A,T,1,1,,,,1,V", "a trade with an ask size" },
        { "1,A,Q,1,,1,1,1,1,V", "a quote with a price" },
        { "1,A,Q,,,1,1,1,,V", "a quote without an ask size" },
        { "1,A,T,1e3,1,,,,,V", "an exponent" },
        { "1,A,T,+1,1,,,,,V", "a plus sign" },
        { "1,A,T,-1,1,,,,,V", "a minus sign" },
        { "1,A,T,.5,1,,,,,V", "no digit before the point" },
        { "1,A,T,5.,1,,,,,V", "no digit behind the point" },
        { "1,A,T,05,1,,,,,V", "a leading zero, which JSON has not" },
        { "1,A,T,1.2.3,1,,,,,V", "two points" },
        { "1,A,T,0x10,1,,,,,V", "a hexadecimal number" },
        { "1,A,T,NaN,1,,,,,V", "no number" },
    };
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        char payload[TICK_PAYLOAD_BYTES_MAX + 1];
        if (!payload_of(facts[i].line, payload)) fail_msg("%s was taken: %s", facts[i].promise, facts[i].line);
    }
}

static void a_cut_line_is_never_read_beyond_its_end(void **state)
{
    for (size_t size = 0; size <= strlen(QUOTE); size++) {
        struct span cut = guard_span(span_of(QUOTE, size));
        struct tick tick;
        bool venue_begun = size > strlen(QUOTE) - strlen("BINANCE-COINM");
        assert_int_equal(tick_parse(cut, &tick) == NULL, venue_begun);
        guard_free(cut.bytes);
    }
}

static const char *file_of(struct span text, bool compressed)
{
    static char path[64];
    snprintf(path, sizeof path, "/tmp/ringcast-ticks-%d", (int)getpid());
    if (compressed) {
        gzFile file = gzopen(path, "wb");
        assert_non_null(file);
        if (text.size) assert_int_equal(gzwrite(file, text.bytes, (unsigned)text.size), text.size);
        assert_int_equal(gzclose(file), Z_OK);
    } else {
        FILE *file = fopen(path, "wb");
        assert_non_null(file);
        assert_int_equal(fwrite(text.bytes, 1, text.size, file), text.size);
        assert_int_equal(fclose(file), 0);
    }
    return path;
}

/* How many rows a file gives; its fault, "" where it has none, is copied to `why`. */
static uint64_t rows_of(const char *path, char why[200])
{
    struct tick_file file;
    struct tick tick;
    uint64_t rows = 0;
    int result = tick_file_open(&file, path);
    if (result == 0)
        while ((result = tick_file_next(&file, &tick)) > 0) rows++;
    strcpy(why, result < 0 ? file.why : "");
    tick_file_close(&file);
    return rows;
}

static void files_give_their_rows(void **state)
{
    static const struct { const char *text; uint64_t rows; const char *why, *promise; } facts[] = {
        { HEADER, 0, "", "a header alone" },
        { HEADER TRADE "\n" QUOTE "\n", 2, "", "two rows" },
        { HEADER TRADE "\n" QUOTE, 2, "", "the last line needs no end" },
        { HEADER TRADE "\n" TRADE "\n", 2, "", "the same time twice" },
        { "", 0, "first line", "an empty file" },
        { TRADE "\n", 0, "first line", "a file without a header" },
        { HEADER QUOTE "\n" TRADE "\n", 1, ":3: its ts_ns is before", "a time that goes back" },
        { HEADER TRADE "\n\n" QUOTE "\n", 1, ":3: it has fewer", "an empty line" },
        { HEADER TRADE "\nnonsense\n", 1, ":3: it has fewer", "a broken line is named" },
    };
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
        for (int compressed = 0; compressed < 2; compressed++) {
            char why[200];
            uint64_t rows = rows_of(file_of(span_of_string(facts[i].text), compressed), why);
            if (rows != facts[i].rows || !strstr(why, facts[i].why) || (!*facts[i].why && *why))
                fail_msg("%s: %llu rows, `%s`", facts[i].promise, (unsigned long long)rows, why);
        }
    unlink(file_of(SPAN_LITERAL(""), false));
}

static void long_files_are_read_across_blocks(void **state)
{
    size_t rows = 20000, size = strlen(HEADER), room = size + rows * 128;
    char *text = malloc(room), why[200];
    strcpy(text, HEADER);
    for (size_t i = 0; i < rows; i++)
        size += (size_t)snprintf(text + size, room - size, "%zu,S%zu,T,%zu.5,1,,,,,V\n", 1000000 + i, i % 7, i);
    assert_int_equal(rows_of(file_of(span_of(text, size), true), why), rows);
    assert_string_equal(why, "");
    assert_int_equal(rows_of(file_of(span_of(text, size), false), why), rows);
    unlink(file_of(SPAN_LITERAL(""), false));
    free(text);
}

static void damage_is_told(void **state)
{
    char text[4096], why[200];
    size_t size = strlen(HEADER);
    strcpy(text, HEADER);
    memset(text + size, '1', sizeof text - size);
    rows_of(file_of(span_of(text, sizeof text), false), why);
    assert_non_null(strstr(why, "too long"));

    const char *path = file_of(span_of_string(HEADER TRADE "\n" QUOTE "\n"), true);
    assert_int_equal(truncate(path, 60), 0); /* in the middle of the compressed bytes */
    rows_of(path, why);
    assert_true(strlen(why) > 0);
    unlink(path);
    rows_of(path, why);
    assert_non_null(strstr(why, "No such file"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_lines_become_payloads),
        cmocka_unit_test(bad_lines_are_refused),
        cmocka_unit_test(a_cut_line_is_never_read_beyond_its_end),
        cmocka_unit_test(files_give_their_rows),
        cmocka_unit_test(long_files_are_read_across_blocks),
        cmocka_unit_test(damage_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
