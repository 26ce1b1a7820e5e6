/* What a command has found out, as a table for people or as one JSON object: the same facts in the same order. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdbool.h>
#include <stdint.h>

struct report {
    bool json;
    bool begun;
};

void report_begin(struct report *report, const char *command);

/* One fact: `name` is the JSON member, `label` what people read; `unit` may be "". */
void report_text(struct report *report, const char *name, const char *label, const char *text);
void report_count(struct report *report, const char *name, const char *label, uint64_t count, const char *unit);
void report_real(struct report *report, const char *name, const char *label, double real, int decimals,
                 const char *unit);
void report_yes(struct report *report, const char *name, const char *label, bool yes);

/* A table: a line for each row, the same columns for all; in JSON an array of objects.
 *   name     the JSON member; first: the label over the rows' names, which are "name" in JSON
 *   cells    rows × columns; NAN: there is none */
struct report_column {
    const char *name, *label;
    int         decimals;
};
void report_table(struct report *report, const char *name, const char *first, const struct report_column *columns, int columns_count,
                  const char *const *rows, int rows_count, const double *cells);

/* A sentence that must not be overlooked: on stderr too where the report is JSON, and there under "warnings". */
void report_warn(struct report *report, const char *sentence);

void report_end(struct report *report);

#endif
