/* See ticks.h. */
#include "bench/ticks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#define FIELDS      10
#define BLOCK_BYTES (256u << 10)

static const char header[] = "ts_ns,symbol,type,price,size,bid,bid_size,ask,ask_size,venue";

bool tick_header_is(struct span line) { return span_is(line, header); }

static bool digits(struct span text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.bytes[i] < '0' || text.bytes[i] > '9') return false;
    return text.size > 0;
}

/* A number that JSON takes as it stands: digits, and maybe a point with digits behind it. */
static bool decimal(struct span text)
{
    const char *point = span_find(text, '.');
    struct span whole = span_of(text.bytes, point ? (size_t)(point - text.bytes) : text.size);
    if (!digits(whole) || (whole.size > 1 && whole.bytes[0] == '0')) return false;
    return !point || digits(span_skip(text, whole.size + 1));
}

/* Fit to be a topic's name and the inside of a JSON string as it stands. */
static bool word(struct span text)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = text.bytes[i];
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!letter && (c == 0 || !strchr("-_./:", c))) return false;
    }
    return text.size > 0;
}

static bool timestamp(struct span text, int64_t *ts_ns)
{
    if (!digits(text) || text.size > 19 || text.bytes[0] == '0') return false;
    uint64_t number = 0; /* 19 digits fit */
    for (size_t i = 0; i < text.size; i++) number = number * 10 + (uint64_t)(text.bytes[i] - '0');
    *ts_ns = (int64_t)number;
    return number <= INT64_MAX;
}

const char *tick_parse(struct span line, struct tick *tick)
{
    struct span fields[FIELDS];
    size_t count = 0;
    for (struct span rest = line;;) {
        const char *comma = span_find(rest, ',');
        size_t size = comma ? (size_t)(comma - rest.bytes) : rest.size;
        if (count == FIELDS) return "it has more than ten fields";
        fields[count++] = span_of(rest.bytes, size);
        if (!comma) break;
        rest = span_skip(rest, size + 1);
    }
    if (count != FIELDS) return "it has fewer than ten fields";
    *tick = (struct tick){ .ts = fields[0],
                           .symbol = fields[1],
                           .price = fields[3],
                           .size = fields[4],
                           .bid = fields[5],
                           .bid_size = fields[6],
                           .ask = fields[7],
                           .ask_size = fields[8],
                           .venue = fields[9] };
    if (!timestamp(tick->ts, &tick->ts_ns)) return "ts_ns is not a time in nanoseconds";
    if (!word(tick->symbol)) return "the symbol is empty or holds a character that a symbol can't";
    if (!word(tick->venue)) return "the venue is empty or holds a character that a venue can't";
    bool trade = span_is(fields[2], "T");
    if (!trade && !span_is(fields[2], "Q")) return "the type is neither T nor Q";
    tick->type = trade ? 'T' : 'Q';
    for (size_t i = 3; i < 9; i++) {
        bool wanted = trade == (i < 5);
        if (wanted && !decimal(fields[i]))
            return trade ? "price or size is not a plain decimal" : "bid or ask is not a plain decimal";
        if (!wanted && fields[i].size) return trade ? "a trade has a bid or an ask" : "a quote has a price or a size";
    }
    return NULL;
}

static size_t put(char *out, const char *before, struct span text)
{
    size_t size = strlen(before);
    memcpy(out, before, size);
    span_write(text, out + size);
    return size + text.size;
}

size_t tick_payload(const struct tick *tick, char *out)
{
    size_t size = put(out, tick->type == 'T' ? "{\"t\":\"T\",\"ts\":" : "{\"t\":\"Q\",\"ts\":", tick->ts);
    if (tick->type == 'T') {
        size += put(out + size, ",\"p\":", tick->price);
        size += put(out + size, ",\"s\":", tick->size);
    } else {
        size += put(out + size, ",\"b\":", tick->bid);
        size += put(out + size, ",\"bs\":", tick->bid_size);
        size += put(out + size, ",\"a\":", tick->ask);
        size += put(out + size, ",\"as\":", tick->ask_size);
    }
    size += put(out + size, ",\"venue\":\"", tick->venue);
    return size + put(out + size, "\"}", SPAN_NONE);
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

static int wrong(struct tick_file *file, const char *what)
{
    if (file->line)
        snprintf(file->why, sizeof file->why, "%s:%llu: %s", file->path, (unsigned long long)file->line, what);
    else
        snprintf(file->why, sizeof file->why, "%s: %s", file->path, what);
    return -1;
}

/* Moves what is left to the front and reads more behind it. 1: some came, 0: the file has ended, -1: damaged. */
static int refill(struct tick_file *file)
{
    memmove(file->bytes, file->bytes + file->start, file->size - file->start);
    file->size -= file->start;
    file->start = 0;
    if (file->size == BLOCK_BYTES) return wrong(file, "a line is too long");
    int got = gzread(file->file, file->bytes + file->size, (unsigned)(BLOCK_BYTES - file->size));
    int error = Z_OK;
    const char *words = gzerror(file->file, &error);
    if (got < 0 || (error != Z_OK && error != Z_STREAM_END))
        return wrong(file, error == Z_ERRNO ? strerror(errno) : words);
    file->size += (size_t)got;
    return got > 0;
}

/* The next line without its end: 1 | 0 at the end | -1. */
static int next_line(struct tick_file *file, struct span *line)
{
    for (;;) {
        const char *from = file->bytes + file->start;
        const char *end = span_find(span_of(from, file->size - file->start), '\n');
        if (!end && !file->ended) {
            int more = refill(file);
            if (more < 0) return more;
            file->ended = more == 0;
            continue;
        }
        if (!end && file->start == file->size) return 0;
        *line = span_of(from, end ? (size_t)(end - from) : file->size - file->start);
        file->start += line->size + (end != NULL);
        file->line++;
        return line->size > TICK_LINE_BYTES_MAX ? wrong(file, "a line is too long") : 1;
    }
}

int tick_file_open(struct tick_file *file, const char *path)
{
    struct span line;
    *file = (struct tick_file){ .path = path, .ts_ns = INT64_MIN };
    errno = 0;
    file->file = gzopen(path, "rbe");
    if (!file->file) return wrong(file, errno ? strerror(errno) : "no memory to read it");
    gzbuffer(file->file, BLOCK_BYTES);
    file->bytes = malloc(BLOCK_BYTES);
    if (!file->bytes) return wrong(file, "no memory to read it");
    int result = next_line(file, &line);
    if (result < 0) return result;
    if (result == 0 || !tick_header_is(line)) return wrong(file, "its first line is not the header of a tick file");
    return 0;
}

void tick_file_close(struct tick_file *file)
{
    if (file->file) gzclose(file->file);
    free(file->bytes);
    file->file = NULL;
    file->bytes = NULL;
}

int tick_file_next(struct tick_file *file, struct tick *tick)
{
    struct span line;
    int result = next_line(file, &line);
    if (result <= 0) return result;
    const char *fault = tick_parse(line, tick);
    if (fault) return wrong(file, fault);
    if (tick->ts_ns < file->ts_ns) return wrong(file, "its ts_ns is before that of the line above");
    file->ts_ns = tick->ts_ns;
    return 1;
}
