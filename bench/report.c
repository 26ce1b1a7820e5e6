/* See report.h. Texts are ours or a gateway's: they are escaped for JSON. */
#include "bench/report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/proto/json.h"

#define WARNINGS_MAX 8

static char warnings[WARNINGS_MAX][320];
static int warnings_count;

void report_begin(struct report *report, const char *command)
{
    report->begun = true;
    warnings_count = 0;
    if (report->json) printf("{\"command\":\"%s\"", command);
}

static void print_escaped(const char *text)
{
    char escaped[1024];
    size_t size = json_escape(span_of_string(text), escaped, sizeof escaped);
    printf("\"%.*s\"", (int)size, escaped);
}

/* 1234567.8 as 1,234,567.8: figures are read by people. */
static void print_grouped(double real, int decimals)
{
    char digits[64];
    snprintf(digits, sizeof digits, "%.*f", decimals, fabs(real));
    size_t whole = strcspn(digits, ".");
    char grouped[96];
    size_t at = 0;
    if (real < 0) grouped[at++] = '-';
    for (size_t i = 0; i < whole; i++) {
        if (i && (whole - i) % 3 == 0) grouped[at++] = ',';
        grouped[at++] = digits[i];
    }
    snprintf(grouped + at, sizeof grouped - at, "%s", digits + whole);
    printf("%16s", grouped);
}

void report_text(struct report *report, const char *name, const char *label, const char *text)
{
    if (!report->json) {
        printf("%-30s %s\n", label, text);
        return;
    }
    printf(",\"%s\":", name);
    print_escaped(text);
}

void report_real(struct report *report, const char *name, const char *label, double real, int decimals,
                 const char *unit)
{
    if (!isfinite(real)) real = 0;
    if (report->json) {
        printf(",\"%s\":%.*f", name, decimals, real);
        return;
    }
    printf("%-30s ", label);
    print_grouped(real, decimals);
    printf("%s%s\n", *unit ? " " : "", unit);
}

void report_count(struct report *report, const char *name, const char *label, uint64_t count, const char *unit)
{
    report_real(report, name, label, (double)count, 0, unit);
}

void report_yes(struct report *report, const char *name, const char *label, bool yes)
{
    if (report->json)
        printf(",\"%s\":%s", name, yes ? "true" : "false");
    else
        printf("%-30s %16s\n", label, yes ? "yes" : "NO");
}

void report_warn(struct report *report, const char *sentence)
{
    if (warnings_count < WARNINGS_MAX) snprintf(warnings[warnings_count++], sizeof *warnings, "%s", sentence);
    if (report->json) fprintf(stderr, "WARNING: %s\n", sentence);
}

void report_end(struct report *report)
{
    if (!report->json) {
        for (int i = 0; i < warnings_count; i++) printf("\nWARNING: %s\n", warnings[i]);
        return;
    }
    printf(",\"warnings\":[");
    for (int i = 0; i < warnings_count; i++) {
        if (i) putchar(',');
        print_escaped(warnings[i]);
    }
    printf("]}\n");
}
