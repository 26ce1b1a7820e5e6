/* See micro.h. Each step runs for a while at a time, often; the fastest time counts, since all that disturbs makes it slower, and the
 * median beside it says how much did. */
#include "bench/micro.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench/flags.h"
#include "bench/machine.h"
#include "bench/median.h"
#include "bench/report.h"

#define TIMES     25
#define ROWS_MAX  40
#define LEAST_NS  4000000 /* of one time */

enum column { NS, NS_MEDIAN, GB_PER_S, COLUMNS };
static const struct report_column columns[COLUMNS] = {
    { "ns", "ns", 2 }, { "ns_median", "median", 2 }, { "gb_per_s", "GB/s", 2 },
};

static const struct micro_step *const groups[] = { micro_codec_steps, micro_queue_steps, micro_fanout_steps };
#define GROUPS (sizeof groups / sizeof *groups)

__attribute__((noipa)) uint64_t micro_measured(const struct micro_step *step, void *context, uint64_t count)
{
    return step->run(context, count);
}

static uint64_t checksum; /* printed nowhere, but kept */

static double time_of(const struct micro_step *step, void *context, uint64_t count)
{
    int64_t from_ns = now_ns();
    checksum += micro_measured(step, context, count);
    return (double)(now_ns() - from_ns);
}

static void measure(const struct micro_step *step, void *context, double cells[COLUMNS])
{
    double each[TIMES];
    uint64_t count = 1;
    while (time_of(step, context, count) < LEAST_NS && count < UINT64_C(1) << 32) count *= 2;
    for (int i = 0; i < TIMES; i++) each[i] = time_of(step, context, count) / (double)count;
    struct spread_of spread = median_spread(each, TIMES);
    cells[NS] = spread.least;
    cells[NS_MEDIAN] = spread.median;
    cells[GB_PER_S] = step->bytes ? step->bytes / spread.least : NAN;
}

static bool asked_for(const char *only, const struct micro_step *step)
{
    return !only || strcmp(only, step->name) == 0;
}

/* For callgrind: one step, so many times, after one warm-up of as many. */
static int run_once(const char *only, uint64_t count)
{
    for (size_t g = 0; g < GROUPS; g++)
        for (const struct micro_step *step = groups[g]; step->name; step++) {
            if (!only || !asked_for(only, step)) continue;
            void *context = step->begin();
            if (!context) return 1;
            checksum += step->run(context, count) + micro_measured(step, context, count);
            step->end(context);
            return 0;
        }
    fprintf(stderr, "ringcast-bench micro: --count needs --only with one of the names that --names lists\n");
    return 2;
}

static void list(void)
{
    for (size_t g = 0; g < GROUPS; g++)
        for (const struct micro_step *step = groups[g]; step->name; step++) printf("%-16s %s\n", step->name, step->title);
}

static int run(const char *only, bool json)
{
    struct report report = { .json = json };
    double cells[ROWS_MAX * COLUMNS];
    const char *rows[ROWS_MAX];
    int rows_count = 0;
    report_begin(&report, "micro");
    for (size_t g = 0; g < GROUPS; g++)
        for (const struct micro_step *step = groups[g]; step->name && rows_count < ROWS_MAX; step++) {
            if (!asked_for(only, step)) continue;
            void *context = step->begin();
            if (!context) {
                report_text(&report, step->name, step->title, "skipped: it needs two CPUs, or there is no memory");
                continue;
            }
            measure(step, context, &cells[rows_count * COLUMNS]);
            rows[rows_count++] = step->title;
            step->end(context);
        }
    report_table(&report, "steps", "step", columns, COLUMNS, rows, rows_count, cells);
    report_end(&report);
    return rows_count ? 0 : 1;
}

int micro_main(int argc, char **argv)
{
    const char *only = NULL;
    uint64_t count = 0, cpu = 0;
    bool json = false, names = false;
    const struct flag flags[] = {
        { "only", FLAG_TEXT, &only, "NAME", "one of them (all)", 0, 0 },
        { "names", FLAG_YES, &names, NULL, "list them", 0, 0 },
        { "count", FLAG_COUNT, &count, "N", "that often and no clock, for callgrind --toggle-collect=micro_measured", 1, 1e9 },
        { "cpu", FLAG_COUNT, &cpu, "C", "steps between two CPUs take the next one too (0)", 0, 1023 },
        { "json", FLAG_YES, &json, NULL, "one JSON object instead of a table", 0, 0 },
        { 0 },
    };
    enum flags_result read = flags_read("micro", flags, argc, argv, NULL, 0);
    if (read == FLAGS_HELP) {
        printf("usage: ringcast-bench micro [flags]\nSingle steps of the hot paths, in nanoseconds each.\n\n");
        flags_help(flags);
    }
    if (read != FLAGS_OK) return read == FLAGS_HELP ? 0 : 2;
    if (names) return list(), 0;
    if (!machine_pin((int64_t)cpu)) return 2;
    return count ? run_once(only, count) : run(only, json);
}
