/* See report.h. Texts are ours or a gateway's: they are escaped for JSON. */
#include "bench/report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/proto/json.h"

#define WARNINGS_MAX 32

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
static void group(double real, int decimals, char *grouped, size_t room)
{
    char digits[64];
    snprintf(digits, sizeof digits, "%.*f", decimals, fabs(real));
    size_t whole = strcspn(digits, ".");
    size_t at = 0;
    if (real < 0) grouped[at++] = '-';
    for (size_t i = 0; i < whole; i++) {
        if (i && (whole - i) % 3 == 0) grouped[at++] = ',';
        grouped[at++] = digits[i];
    }
    snprintf(grouped + at, room - at, "%s", digits + whole);
}

static void print_grouped(double real, int decimals)
{
    char grouped[96];
    group(real, decimals, grouped, sizeof grouped);
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

static void print_row_json(const struct report_column *columns, int count, const char *row, const double *cells)
{
    printf("{\"name\":");
    print_escaped(row);
    for (int c = 0; c < count; c++) {
        if (isfinite(cells[c])) printf(",\"%s\":%.*f", columns[c].name, columns[c].decimals, cells[c]);
        else printf(",\"%s\":null", columns[c].name);
    }
    putchar('}');
}

static void print_row(const struct report_column *columns, int count, int first_width, const char *row, const double *cells)
{
    printf("%-*s", first_width, row);
    for (int c = 0; c < count; c++) {
        char grouped[96] = "-";
        int width = (int)strlen(columns[c].label) > 11 ? (int)strlen(columns[c].label) : 11;
        if (isfinite(cells[c])) group(cells[c], columns[c].decimals, grouped, sizeof grouped);
        printf("  %*s", width, grouped);
    }
    putchar('\n');
}

void report_table(struct report *report, const char *name, const char *first, const struct report_column *columns, int columns_count,
                  const char *const *rows, int rows_count, const double *cells)
{
    if (report->json) {
        printf(",\"%s\":[", name);
        for (int r = 0; r < rows_count; r++) {
            if (r) putchar(',');
            print_row_json(columns, columns_count, rows[r], cells + (size_t)r * (size_t)columns_count);
        }
        putchar(']');
        return;
    }
    int first_width = (int)strlen(first);
    for (int r = 0; r < rows_count; r++)
        if ((int)strlen(rows[r]) > first_width) first_width = (int)strlen(rows[r]);
    printf("\n%-*s", first_width, first);
    for (int c = 0; c < columns_count; c++) printf("  %11s", columns[c].label);
    putchar('\n');
    for (int r = 0; r < rows_count; r++)
        print_row(columns, columns_count, first_width, rows[r], cells + (size_t)r * (size_t)columns_count);
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
