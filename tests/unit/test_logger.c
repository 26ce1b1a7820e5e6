/* A logger and its reports: so many of a kind in a second, the rest counted and told; nothing waits, and what is lost is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "gateway/logger.h"
#include "gateway/reports.h"

/* A sink with room for so many lines. */
struct sink {
    struct text text;
    int         room, lines;
};

static bool take(void *context, struct span line)
{
    struct sink *sink = context;
    if (sink->room == 0) return false;
    sink->room--;
    sink->lines++;
    text_add(&sink->text, line);
    return true;
}

static bool says(struct sink *sink, const char *words)
{
    return span_find_string(text_span(&sink->text), words);
}

static struct logger logger_into(struct sink *sink, const struct clock *clock)
{
    return (struct logger){ .level = LOG_LEVEL_WARN, .shard = 3, .clock = clock, .context = sink, .sink = take };
}

static void lines_below_the_level_are_not_made(void **state)
{
    struct sink sink = { .room = 100 };
    struct clock clock = { .mono_us = 9000000 };
    struct logger logger = logger_into(&sink, &clock);
    log_event(&logger, EVENT_RELOADED);
    log_event(&logger, EVENT_CLOSED);
    assert_int_equal(sink.lines, 0);
    log_event(&logger, EVENT_LIMIT_TOPICS);
    log_event(&logger, EVENT_RELOAD_REFUSED);
    assert_int_equal(sink.lines, 2);
    logger_adopt(&logger, &(struct settings){ .log_level = LOG_LEVEL_DEBUG, .log_format = LOG_FORMAT_JSON });
    log_text(&logger, EVENT_CLOSED, "why", "x");
    assert_true(says(&sink, "\"shard\":3,\"why\":\"x\"}\n"));
    text_free(&sink.text);
}

static void more_than_so_many_in_a_second_are_counted(void **state)
{
    struct sink sink = { .room = 1000 };
    struct clock clock = { .mono_us = 9000000 };
    struct logger logger = logger_into(&sink, &clock);
    for (int i = 0; i < 1000; i++, clock.mono_us += 500) log_event(&logger, EVENT_LIMIT_TOPICS);
    assert_int_equal(sink.lines, OFTEN);
    log_event(&logger, EVENT_LINK_FULL); /* another kind has its own measure */
    assert_int_equal(sink.lines, OFTEN + 1);
    assert_int_equal(logger_due_us(&logger), 10000000);
    logger_tick(&logger);
    assert_false(says(&sink, "suppressed"));
    clock.mono_us = 10000000;
    logger_tick(&logger);
    assert_true(says(&sink, " suppressed=990\n"));
    assert_int_equal(sink.lines, OFTEN + 2);
    assert_true(logger_due_us(&logger) == UINT64_MAX);
    logger_tick(&logger);
    assert_int_equal(sink.lines, OFTEN + 2);
    for (int i = 0; i < 1000; i++) log_event(&logger, EVENT_LIMIT_TOPICS); /* a new second, a new measure */
    assert_int_equal(sink.lines, 2 * OFTEN + 2);
    text_free(&sink.text);
}

static void lost_lines_are_told_when_there_is_room(void **state)
{
    struct sink sink = { .room = 1 };
    struct clock clock = { .mono_us = 9000000 };
    static struct counters counters;
    struct logger logger = logger_into(&sink, &clock);
    logger.counters = &counters;
    for (int i = 0; i < 4; i++) log_event(&logger, EVENT_LIMIT_TOPICS);
    assert_int_equal(counter_read(&counters, COUNTER_LOG_LINES_LOST), 3);
    assert_true(logger_due_us(&logger) == 10000000); /* it is tried again, though nothing else is said */
    sink.room = 2;
    log_event(&logger, EVENT_LINK_FULL);
    assert_true(says(&sink, " lines=3\n"));
    assert_true(says(&sink, "no room for a second"));
    log_event(&logger, EVENT_LINK_FULL);
    sink.room = 1;
    clock.mono_us = 10000000;
    logger_tick(&logger);
    assert_true(says(&sink, " lines=1\n"));
    assert_true(logger_due_us(&logger) == UINT64_MAX);
    assert_int_equal(logger.lost_ever, 4);
    text_free(&sink.text);
}

/* ---- reports ----------------------------------------------------------------------------------------------------------- */

static struct wake reader;

static void texts_leave_room_for_words(void **state)
{
    static struct reports reports;
    struct report report;
    struct span text;
    char bytes[300];
    memset(bytes, 'x', sizeof bytes);
    assert_int_equal(reports_init(&reports, &reader), 0);
    for (size_t size = 1; size <= sizeof bytes; size += 299) { /* short ones fill the slots, long ones the bytes */
        int taken = 0, heard = 0;
        while (reports_text(&reports, REPORT_LINE, span_of(bytes, size)) && taken < 10000) taken++;
        assert_in_range(taken, 100, 1000);
        reports_word(&reports, REPORT_ADOPTED, 7);
        reports_word(&reports, REPORT_DRAINED, 8);
        while (reports_take(&reports, &report, &text)) {
            if (heard < taken) assert_true(report.kind == REPORT_LINE && text.size == size && text.bytes[size - 1] == 'x');
            else assert_int_equal(report.word, 7 + (heard - taken));
            heard++;
        }
        assert_int_equal(heard, taken + 2);
        reports_release(&reports);
        assert_true(reports_empty(&reports));
    }
    reports_deinit(&reports);
}

enum { LINES = 50000 };

static void *report_all(void *context)
{
    struct reports *reports = context;
    for (uint64_t i = 0; i < LINES; i++) {
        char line[32];
        int size = snprintf(line, sizeof line, "line %llu\n", (unsigned long long)i);
        while (!reports_text(reports, REPORT_LINE, span_of(line, (size_t)size))) sched_yield();
    }
    reports_word(reports, REPORT_DRAINED, LINES);
    return NULL;
}

static void two_threads_pass_all_lines_in_order(void **state)
{
    static struct reports reports;
    struct report report = { 0 };
    struct span text;
    pthread_t thread;
    uint64_t heard = 0, wrong = 0;
    assert_int_equal(reports_init(&reports, &reader), 0);
    assert_int_equal(pthread_create(&thread, NULL, report_all, &reports), 0);
    while (report.kind != REPORT_DRAINED) {
        while (reports_take(&reports, &report, &text) && report.kind == REPORT_LINE) {
            char line[32];
            int size = snprintf(line, sizeof line, "line %llu\n", (unsigned long long)heard++);
            wrong += !span_equals(text, span_of(line, (size_t)size));
        }
        reports_release(&reports);
    }
    pthread_join(thread, NULL);
    assert_int_equal(heard, LINES);
    assert_int_equal(wrong, 0);
    reports_deinit(&reports);
}

static int make_reader(void **state)
{
    return wake_init(&reader);
}

static int end_reader(void **state)
{
    wake_deinit(&reader);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_below_the_level_are_not_made),
        cmocka_unit_test(more_than_so_many_in_a_second_are_counted),
        cmocka_unit_test(lost_lines_are_told_when_there_is_room),
        cmocka_unit_test(texts_leave_room_for_words),
        cmocka_unit_test(two_threads_pass_all_lines_in_order),
    };
    return cmocka_run_group_tests(tests, make_reader, end_reader);
}
