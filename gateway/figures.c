#include "gateway/figures.h"

#include <string.h>

void figures_add(struct figures *figures, const struct counters *counters)
{
    for (enum counter counter = 0; counter < COUNTERS_COUNT; counter++) figures->cells[counter] += counter_read(counters, counter);
}

double figures_busy(uint64_t idle_before_us, uint64_t idle_us, uint64_t interval_us)
{
    uint64_t slept_us = idle_us > idle_before_us ? idle_us - idle_before_us : 0;
    return interval_us == 0 || slept_us >= interval_us ? 0 : 1 - (double)slept_us / (double)interval_us;
}

/* ---- writing ------------------------------------------------------------------------------------------------------------ */

static void write_name(struct text *text, struct span name)
{
    char before = text->size > 0 ? text->bytes[text->size - 1] : '{';
    text_add_string(text, before == '{' || before == '[' ? "\"" : ",\"");
    text_add(text, name);
    text_add_string(text, "\":");
}

static void write_number(struct text *text, struct span name, uint64_t value)
{
    write_name(text, name);
    text_add_number(text, value);
}

static void write_fixed(struct text *text, struct span name, double value)
{
    uint64_t tenths = value > 0 ? (uint64_t)(value * 10 + 0.5) : 0;
    write_number(text, name, tenths / 10);
    if (tenths % 10 == 0) return;
    text_add_char(text, '.');
    text_add_char(text, (char)('0' + tenths % 10));
}

void figures_write_tenths(struct text *text, const char *name, double value)
{
    write_fixed(text, span_of_string(name), value);
}

static void begin(struct text *text, const char *name)
{
    write_name(text, span_of_string(name));
    text_add_char(text, '{');
}

/* ---- counters by their table -------------------------------------------------------------------------------------------- */

static uint64_t grew(const struct figures *before, const struct figures *now, enum counter counter)
{
    return now->cells[counter] > before->cells[counter] ? now->cells[counter] - before->cells[counter] : 0;
}

/* "limit_hits_total" is called limit_hits here. */
static struct span name_of(const struct counter_text *of)
{
    static const char suffix[] = "_total";
    size_t size = strlen(of->name), tail = sizeof suffix - 1;
    return span_of(of->name, size > tail && strcmp(of->name + size - tail, suffix) == 0 ? size - tail : size);
}

/* Of name="value" the value. */
static struct span label_of(const struct counter_text *of)
{
    const char *from = strchr(of->labels, '"') + 1;
    return span_of(from, (size_t)(strrchr(of->labels, '"') - from));
}

static bool is_level(const struct counter_text *of)
{
    return of->kind == LEVEL || of->kind == LEVEL_EACH;
}

static bool is_count(const struct counter_text *of)
{
    return of->kind == COUNTS || of->kind == COUNTS_EACH;
}

static void write_levels(const struct figures *now, struct text *text)
{
    begin(text, "now");
    for (enum counter counter = 0; counter < COUNTERS_COUNT; counter++) {
        const struct counter_text *of = counter_text(counter);
        if (is_level(of) && !of->labels[0]) write_number(text, name_of(of), now->cells[counter]);
    }
    text_add_char(text, '}');
}

static void write_rates(const struct figures *before, const struct figures *now, double seconds, struct text *text)
{
    begin(text, "per_second");
    for (enum counter counter = 0; counter < COUNTERS_COUNT; counter++) {
        const struct counter_text *of = counter_text(counter);
        uint64_t more = grew(before, now, counter);
        if (more == 0 || of->labels[0] || counter == COUNTER_IDLE_US) continue; /* that is told as `busy` */
        if (is_count(of)) write_fixed(text, name_of(of), (double)more / seconds);
        if (of->kind != TIME_EACH) continue;
        write_name(text, name_of(of));
        text_print(text, "%.4g", (double)more / 1e6 / seconds);
    }
    text_add_char(text, '}');
}

/* Rows of one name stand together in the table. */
static void write_families(const struct figures *now, struct text *text)
{
    const char *family = NULL;
    for (enum counter counter = 0; counter < COUNTERS_COUNT; counter++) {
        const struct counter_text *of = counter_text(counter);
        if (!of->labels[0] || !(is_count(of) || is_level(of))) continue;
        if (!family || strcmp(family, of->name) != 0) {
            if (family) text_add_char(text, '}');
            write_name(text, name_of(of));
            text_add_char(text, '{');
            family = of->name;
        }
        if (is_level(of) || now->cells[counter] > 0) write_number(text, label_of(of), now->cells[counter]);
    }
    if (family) text_add_char(text, '}');
}

/* ---- delays ------------------------------------------------------------------------------------------------------------- */

enum { DELAYS_COUNT = COUNTER_DELAY_INF - COUNTER_DELAY_0 + 1, DELAY_UNIT_US = 16 };

/* Between the bounds of the bucket that holds it, as if what is there were spread evenly; the last has no bound and is taken for as wide
 * as the one before. */
static uint64_t delay_at(const uint64_t counts[DELAYS_COUNT], uint64_t all, double share)
{
    double rank = share * (double)all, below = 0;
    for (unsigned i = 0; i < DELAYS_COUNT; i++) {
        if (counts[i] > 0 && below + (double)counts[i] >= rank) {
            double low = i > 0 ? DELAY_UNIT_US * (double)(UINT64_C(1) << (i - 1)) : 0, high = DELAY_UNIT_US * (double)(UINT64_C(1) << i);
            return (uint64_t)(low + (high - low) * (rank - below) / (double)counts[i] + 0.5);
        }
        below += (double)counts[i];
    }
    return 0;
}

static void write_delays(const struct figures *before, const struct figures *now, struct text *text)
{
    static const struct { const char *name; double share; } shares[] = { { "p50", 0.5 }, { "p90", 0.9 }, { "p99", 0.99 }, { "most", 1 } };
    uint64_t counts[DELAYS_COUNT], all = 0;
    for (unsigned i = 0; i < DELAYS_COUNT; i++) all += counts[i] = grew(before, now, COUNTER_DELAY_0 + i);
    begin(text, "delay_us");
    write_number(text, SPAN_LITERAL("count"), all);
    for (size_t i = 0; all > 0 && i < sizeof shares / sizeof *shares; i++) write_number(text, span_of_string(shares[i].name), delay_at(counts, all, shares[i].share));
    text_add_char(text, '}');
}

void figures_write(const struct figures *before, const struct figures *now, struct text *text)
{
    uint64_t interval_us = now->at_us > before->at_us ? now->at_us - before->at_us : 1, sends = grew(before, now, COUNTER_SENDS);
    write_number(text, SPAN_LITERAL("interval_ms"), (interval_us + 500) / 1000);
    write_levels(now, text);
    write_rates(before, now, (double)interval_us / 1e6, text);
    figures_write_tenths(text, "frames_per_send", sends > 0 ? (double)grew(before, now, COUNTER_FRAMES_SENT) / (double)sends : 0);
    write_delays(before, now, text);
    write_families(now, text);
}
