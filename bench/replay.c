/* See replay.h. Rows are gathered into a batch until it is full or the next row is not due yet; a batch is one
 * WebSocket message of one request a line, or one NDJSON body. Over WebSocket each request carries its row's number
 * as id, so every row is answered; at most IN_FLIGHT_MOST rows are without an answer. */
#include "bench/replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/fetch.h"
#include "bench/flags.h"
#include "bench/histogram.h"
#include "bench/machine.h"
#include "bench/report.h"
#include "bench/ticks.h"
#include "core/io/client.h"
#include "core/proto/json.h"

#define IN_FLIGHT_MOST 8192
#define BATCH_MOST     4096
#define ROW_BYTES_MAX  (TICK_PAYLOAD_BYTES_MAX + 512) /* with the request around it */
#define MESSAGE_BYTES  (512u << 10)                   /* below the gateway's limits.message */
#define BODY_BYTES     (4u << 20)                     /* below its limits.body */
#define PATIENCE_NS    30000000000                    /* for an answer, before it is given up */
#define ERRORS_SHOWN   5
#define PROGRESS_NS    1000000000
#define PUBLISH_TARGET "/v1/publish"

enum via { VIA_WS, VIA_NDJSON };

struct replay {
    const char *path, *url, *key, *speed_text, *prefix;
    uint64_t limit, batch_rows;
    int via;
    bool json;
    double speed; /* 0: as fast as it is taken */

    struct tick_file file;
    struct client client;
    struct fetch fetch;

    char *batch; /* requests, one a line */
    size_t batch_size, batch_room;
    uint64_t batch_count;

    /* rows = published + failed + those without an answer + those in the batch */
    uint64_t rows, published, failed;
    int64_t from_ns;      /* when the first row was due */
    int64_t first_ts_ns;  /* and its ts_ns */
    int64_t batch_due_ns; /* when the batch's first row was due; 0: it paces nothing */
    int64_t progress_ns;  /* when to show progress next */
    uint64_t progress_rows;
    struct histogram late; /* how long after it was due a batch was sent */
};

/* ---- progress and errors ----------------------------------------------------------------------------------------- */

static uint64_t unanswered(const struct replay *self)
{
    return self->rows - self->batch_count - self->published - self->failed;
}

static void show_progress(struct replay *self, int64_t at_ns)
{
    if (at_ns < self->progress_ns) return;
    double seconds = (double)(at_ns - self->progress_ns + PROGRESS_NS) * 1e-9;
    uint64_t done = self->published + self->failed;
    fprintf(stderr, "%s%9.1f s  %12llu rows  %10.0f rows/s  %llu in flight  %llu errors%s", isatty(2) ? "\r" : "",
            (double)(at_ns - self->from_ns) * 1e-9, (unsigned long long)done,
            (double)(done - self->progress_rows) / seconds, (unsigned long long)unanswered(self),
            (unsigned long long)self->failed, isatty(2) ? "   " : "\n");
    self->progress_rows = done;
    self->progress_ns = at_ns + PROGRESS_NS;
}

static void row_failed(struct replay *self, uint64_t row, struct span said)
{
    self->failed++;
    if (self->failed <= ERRORS_SHOWN)
        fprintf(stderr, "row %llu: %.*s\n", (unsigned long long)row, (int)said.size, said.bytes);
    if (self->failed == ERRORS_SHOWN + 1) fprintf(stderr, "further errors are counted only\n");
}

static int gave_up(const char *why)
{
    fprintf(stderr, "%sringcast-bench replay: %s\n", isatty(2) ? "\n" : "", why);
    return -1;
}

/* ---- over WebSocket ---------------------------------------------------------------------------------------------- */

static void on_answer(struct replay *self, struct span text)
{
    struct json_reader reader;
    struct json_value key, value, op = { 0 }, id = { 0 };
    int64_t row = 0;
    if (!json_object_begin(&reader, text, 8)) return;
    while (json_object_next(&reader, &key, &value)) {
        if (json_string_is(&key, "op") && value.kind == JSON_STRING) op = value;
        if (json_string_is(&key, "id")) id = value;
    }
    if (!op.text.size) return;
    if (id.text.size) json_integer(&id, &row);
    if (json_string_is(&op, "published"))
        self->published++;
    else if (json_string_is(&op, "error"))
        row_failed(self, (uint64_t)row, text);
}

/* Takes answers until the deadline, or until at most `unanswered_most` rows are without one; CLIENT_NOW: those that
 * are there. */
static int take_answers(struct replay *self, uint64_t unanswered_most, int64_t deadline_ns)
{
    struct span text;
    int result = CLIENT_OK;
    while (deadline_ns == CLIENT_NOW || unanswered(self) > unanswered_most) {
        result = client_receive(&self->client, &text, CLIENT_NOW);
        if (result == CLIENT_QUIET && deadline_ns != CLIENT_NOW) {
            int64_t slice_ns = self->progress_ns < deadline_ns ? self->progress_ns : deadline_ns;
            result = client_receive(&self->client, &text, slice_ns);
            int64_t at_ns = now_ns();
            show_progress(self, at_ns);
            if (result == CLIENT_QUIET && at_ns < deadline_ns) continue;
        }
        if (result != CLIENT_OK) break;
        on_answer(self, text);
    }
    return result == CLIENT_GONE ? gave_up(self->client.why) : 0;
}

static int send_message(struct replay *self)
{
    if (unanswered(self) + self->batch_count > IN_FLIGHT_MOST) {
        if (take_answers(self, IN_FLIGHT_MOST - self->batch_count, now_ns() + PATIENCE_NS) < 0) return -1;
        if (unanswered(self) + self->batch_count > IN_FLIGHT_MOST) return gave_up("the gateway stopped answering");
    }
    if (client_send_text(&self->client, span_of(self->batch, self->batch_size - 1)) != CLIENT_OK)
        return gave_up(self->client.why);
    self->batch_count = 0;
    if (client_flush(&self->client) != CLIENT_OK) return gave_up(self->client.why);
    return take_answers(self, 0, CLIENT_NOW);
}

/* ---- over NDJSON ------------------------------------------------------------------------------------------------- */

/* {"published":N,"errors":[{"line":i,"code":…,"message":…}]} */
static int on_body_answer(struct replay *self, struct span answer, uint64_t first_row)
{
    struct json_value whole, key, value, error;
    int64_t published = -1, line = 0;
    if (self->fetch.status != 200 || json_validate(answer, 8, &whole) != JSON_OK || whole.kind != JSON_OBJECT) {
        fprintf(stderr, "the gateway answered %u: %.*s\n", self->fetch.status, (int)answer.size, answer.bytes);
        return gave_up("no row of the last body is known to be published");
    }
    for (size_t at = 0; json_member_next(whole.text, &at, &key, &value);) {
        if (json_string_is(&key, "published")) json_integer(&value, &published);
        if (!json_string_is(&key, "errors") || value.kind != JSON_ARRAY) continue;
        struct span errors = value.text;
        for (size_t inner = 0; json_array_next(errors, &inner, &error);) {
            for (size_t member = 0; json_member_next(error.text, &member, &key, &value);)
                if (json_string_is(&key, "line")) json_integer(&value, &line);
            row_failed(self, first_row + (uint64_t)line - 1, error.text);
        }
    }
    if (published < 0) return gave_up("the gateway's answer does not say how many it published");
    self->published += (uint64_t)published;
    return unanswered(self) == 0
               ? 0
               : gave_up("published and errors of the gateway's answer are not as many as the body's lines");
}

static int send_body(struct replay *self)
{
    struct span answer;
    uint64_t first_row = self->rows - self->batch_count + 1;
    int result = fetch_exchange(&self->fetch, "POST", PUBLISH_TARGET, span_of(self->batch, self->batch_size), &answer);
    self->batch_count = 0;
    return result < 0 ? gave_up(self->fetch.why) : on_body_answer(self, answer, first_row);
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

static int send_batch(struct replay *self)
{
    if (self->batch_count == 0) return 0;
    int64_t at_ns = now_ns();
    if (self->batch_due_ns) histogram_add(&self->late, at_ns - self->batch_due_ns);
    int result = self->via == VIA_WS ? send_message(self) : send_body(self);
    self->batch_size = 0;
    self->batch_due_ns = 0;
    show_progress(self, at_ns);
    return result;
}

static int sleep_until(struct replay *self, int64_t due_ns)
{
    if (self->via == VIA_WS) {
        int64_t at_ns;
        while ((at_ns = now_ns()) < due_ns) {
            struct span text;
            int64_t slice_ns = self->progress_ns < due_ns ? self->progress_ns : due_ns;
            int result = client_receive(&self->client, &text, slice_ns);
            if (result == CLIENT_GONE) return gave_up(self->client.why);
            if (result == CLIENT_OK) on_answer(self, text);
            show_progress(self, at_ns);
        }
        return 0;
    }
    struct timespec due = { due_ns / 1000000000, due_ns % 1000000000 };
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) != 0) continue;
    return 0;
}

static void add_row(struct replay *self, const struct tick *tick)
{
    char *out = self->batch + self->batch_size;
    self->rows++;
    int size = self->via == VIA_WS ? sprintf(out, "{\"op\":\"publish\",\"id\":%llu,", (unsigned long long)self->rows)
                                   : sprintf(out, "{");
    size +=
        sprintf(out + size, "\"topic\":\"%s%.*s\",\"data\":", self->prefix, (int)tick->symbol.size, tick->symbol.bytes);
    size += (int)tick_payload(tick, out + size);
    memcpy(out + size, "}\n", 2);
    self->batch_size += (size_t)size + 2;
    self->batch_count++;
}

static int play_row(struct replay *self, const struct tick *tick)
{
    if (self->rows == 0) self->first_ts_ns = tick->ts_ns;
    if (self->speed > 0) {
        int64_t due_ns = self->from_ns + (int64_t)((double)(tick->ts_ns - self->first_ts_ns) / self->speed);
        if (due_ns > now_ns() && (send_batch(self) < 0 || sleep_until(self, due_ns) < 0)) return -1;
        if (!self->batch_due_ns) self->batch_due_ns = due_ns;
    }
    add_row(self, tick);
    bool full = self->batch_count == self->batch_rows || self->batch_room - self->batch_size < ROW_BYTES_MAX;
    return full ? send_batch(self) : 0;
}

static int play(struct replay *self)
{
    struct tick tick;
    int more = 0;
    while (self->rows < self->limit && (more = tick_file_next(&self->file, &tick)) > 0)
        if (play_row(self, &tick) < 0) return -1;
    if (send_batch(self) < 0) return -1;
    if (self->via == VIA_WS && take_answers(self, 0, now_ns() + PATIENCE_NS) < 0) return -1;
    return more < 0 ? gave_up(self->file.why) : 0;
}

static void tell(struct replay *self, bool complete)
{
    struct report report = { .json = self->json };
    double seconds = (double)(now_ns() - self->from_ns) * 1e-9;
    if (isatty(2)) fputc('\n', stderr);
    report_begin(&report, "replay");
    report_text(&report, "file", "file", self->path);
    report_text(&report, "via", "via", self->via == VIA_WS ? "ws" : "ndjson");
    report_text(&report, "speed", "speed", self->speed_text);
    report_count(&report, "rows", "rows", self->rows, "");
    report_count(&report, "published", "published", self->published, "");
    report_count(&report, "errors", "errors", self->failed, "");
    report_count(&report, "unanswered", "without an answer", self->rows - self->published - self->failed, "");
    report_real(&report, "seconds", "seconds", seconds, 3, "");
    report_real(&report, "rows_per_s", "rows/s", (double)self->published / seconds, 0, "");
    if (self->speed > 0) {
        report_real(&report, "late_p50_us", "sent late, half below", (double)histogram_at(&self->late, 0.5) * 1e-3, 0,
                    "µs");
        report_real(&report, "late_p99_us", "sent late, 99 % below", (double)histogram_at(&self->late, 0.99) * 1e-3, 0,
                    "µs");
        report_real(&report, "late_most_us", "sent late, at most", (double)histogram_at(&self->late, 1) * 1e-3, 0,
                    "µs");
    }
    report_yes(&report, "complete", "complete", complete);
    report_end(&report);
}

static int run(struct replay *self)
{
    if (tick_file_open(&self->file, self->path) < 0)
        return fprintf(stderr, "ringcast-bench replay: %s\n", self->file.why), 2;
    if (self->via == VIA_WS &&
        client_connect(&self->client, span_of_string(self->url), "/v1/ws", self->key) != CLIENT_OK)
        return gave_up(self->client.why), 1;
    if (self->via == VIA_NDJSON && fetch_init(&self->fetch, self->url, self->key) < 0)
        return gave_up(self->fetch.why), 1;
    histogram_clear(&self->late);
    self->from_ns = now_ns();
    self->progress_ns = self->from_ns + PROGRESS_NS;
    bool complete = play(self) == 0 && self->published == self->rows;
    tell(self, complete);
    return complete ? 0 : 1;
}

int replay_main(int argc, char **argv)
{
    struct replay self = { .url = "ws://127.0.0.1:8080", .speed_text = "1", .prefix = "", .limit = UINT64_MAX };
    const struct flag flags[] = {
        { "url", FLAG_TEXT, &self.url, "URL", "the gateway (ws://127.0.0.1:8080)", 0, 0 },
        { "key", FLAG_TEXT, &self.key, "KEY", "a key that may publish", 0, 0 },
        { "speed", FLAG_TEXT, &self.speed_text, "X|max",
          "1 is the recording's own pace; max: as fast as it is taken (1)", 0, 0 },
        { "via", FLAG_CHOICE, &self.via, "ws|ndjson", "WebSocket requests, or POST /v1/publish (ws)", 0, 0 },
        { "topic-prefix", FLAG_TEXT, &self.prefix, "TEXT", "put before each symbol, as in `ticks.`", 0, 0 },
        { "limit", FLAG_COUNT, &self.limit, "N", "rows to play (all)", 1, 1e15 },
        { "batch", FLAG_COUNT, &self.batch_rows, "B", "rows of a message, at most (ws 64, ndjson 2048)", 1,
          BATCH_MOST },
        { "json", FLAG_YES, &self.json, NULL, "one JSON object instead of a table", 0, 0 },
        { 0 },
    };
    enum flags_result read = flags_read("replay", flags, argc, argv, &self.path, 1);
    if (read == FLAGS_HELP) {
        printf(
            "usage: ringcast-bench replay FILE.csv[.gz] --key KEY [flags]\nRecorded ticks into a running gateway.\n\n");
        flags_help(flags);
    }
    if (read != FLAGS_OK) return read == FLAGS_HELP ? 0 : 2;
    char *end = NULL;
    bool fastest = strcmp(self.speed_text, "max") == 0;
    self.speed = fastest ? 0 : strtod(self.speed_text, &end);
    if (!fastest && (*end || !(self.speed > 0) || self.speed > 1e6))
        return fprintf(stderr, "ringcast-bench replay: --speed takes a number above 0, or max, not `%s`\n",
                       self.speed_text),
               2;
    if (!self.path) return fprintf(stderr, "ringcast-bench replay: which file? A CSV of ticks, plain or gzip\n"), 2;
    if (strlen(self.prefix) > 100 || strpbrk(self.prefix, "\"\\,*> "))
        return fprintf(stderr, "ringcast-bench replay: --topic-prefix can't begin a topic's name\n"), 2;
    if (self.batch_rows == 0) self.batch_rows = self.via == VIA_WS ? 64 : 2048;
    self.batch_room = self.via == VIA_WS ? MESSAGE_BYTES : BODY_BYTES;
    self.batch = malloc(self.batch_room);
    if (!self.batch) return gave_up("no memory"), 1;
    client_init(&self.client, -1);
    int status = run(&self);
    client_close(&self.client);
    if (self.via == VIA_NDJSON) fetch_deinit(&self.fetch);
    tick_file_close(&self.file);
    free(self.batch);
    return status;
}
