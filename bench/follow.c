/* See follow.h. Each connection follows all topics of the file. Some may be slow: they have a small receive buffer
 * and are read a few bytes at a time until the last row has reached the others; then they read on until they have the
 * newest too. */
#include "bench/follow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/churn.h"
#include "bench/fetch.h"
#include "bench/flags.h"
#include "bench/machine.h"
#include "bench/recording.h"
#include "bench/report.h"
#include "bench/subscribers.h"
#include "bench/verify.h"

#define TURN_NS             20000000
#define SIP_EVERY_NS        100000000 /* how often a slow one reads */
#define SLOW_RECEIVE_BUFFER 4096
#define PROGRESS_NS         1000000000

struct follow {
    const char *path, *url, *key, *prefix;
    uint64_t connections, slow, slow_bytes, churning, limit;
    int mode; /* 0 every, 1 latest */
    double patience, cpu, churn_every;
    bool json, deflate, batch, churns; /* churns: it has begun */

    struct recording recording;
    struct subscribers subscribers;
    struct verify verify;
    struct churn churn;
    int64_t first_ns, last_ns; /* when updates came */
    int64_t sip_ns, progress_ns;
    char why[320];
};

static bool is_slow(const struct follow *self, uint32_t index) { return index < self->slow; }

static void write_target(void *owner, uint32_t index, char *out, size_t room)
{
    const struct follow *self = owner;
    if (self->churns && index < self->churning) { /* what it resumes does not fit into a query */
        snprintf(out, room, "/v1/ws?heartbeat_ms=60000&batch=%d", self->batch);
        return;
    }
    size_t size = (size_t)snprintf(
        out, room, "/v1/ws?mode=%s&snapshot=false&heartbeat_ms=60000&batch=%d&topics=", self->mode ? "latest" : "every", self->batch);
    for (uint32_t i = 0; i < self->recording.count && size < room; i++)
        size += (size_t)snprintf(out + size, room - size, "%s%s", i ? "," : "", self->recording.topics[i].name);
}

static void on_line(struct follow *self, uint32_t index, struct span text, int64_t at_ns)
{
    uint64_t before = self->verify.counted[index];
    verify_text(&self->verify, index, text, at_ns);
    if (self->churns) churn_on_text(&self->churn, index, text);
    if (self->verify.counted[index] == before) return;
    if (self->first_ns == 0) self->first_ns = at_ns;
    self->last_ns = at_ns;
}

static void on_text(void *owner, uint32_t index, struct span text, int64_t at_ns)
{
    struct follow *self = owner;
    while (self->batch) {
        const char *end = span_find(text, '\n');
        if (!end) break;
        on_line(self, index, span_of(text.bytes, (size_t)(end - text.bytes)), at_ns);
        text = span_skip(text, (size_t)(end - text.bytes) + 1);
    }
    on_line(self, index, text, at_ns);
}

static void on_cut_due(void *owner, uint32_t index)
{
    churn_on_cut_due(&((struct follow *)owner)->churn, index);
}

/* To resume one must have an epoch, and only topics with an update have one: each gets its first. */
static bool publish_firsts(struct follow *self)
{
    struct fetch fetch;
    struct span answer;
    size_t room = self->recording.count * (RECORDING_NAME_BYTES + 32), size = 0;
    char *body = malloc(room), wanted[64];
    if (!body) return snprintf(self->why, sizeof self->why, "no memory"), false;
    for (uint32_t i = 0; i < self->recording.count; i++)
        size += (size_t)snprintf(body + size, room - size, "{\"topic\":\"%s\",\"data\":\"first\"}\n",
                                 self->recording.topics[i].name);
    snprintf(wanted, sizeof wanted, "{\"published\":%u,", self->recording.count);
    bool done = fetch_init(&fetch, self->url, self->key) == 0 &&
                fetch_exchange(&fetch, "POST", "/v1/publish", span_of(body, size), &answer) == 0;
    if (!done)
        snprintf(self->why, sizeof self->why, "%s", fetch.why);
    else if (fetch.status != 200 || answer.size < strlen(wanted) || memcmp(answer.bytes, wanted, strlen(wanted)) != 0)
        done = false, snprintf(self->why, sizeof self->why, "no epoch to resume by: publishing the first updates was answered "
                               "%u %.*s", fetch.status, answer.size < 160 ? (int)answer.size : 160, answer.bytes);
    fetch_deinit(&fetch);
    free(body);
    return done;
}

/* All must stand at the same place before the first row: that is where the rows are counted from. */
static bool take_bases(struct follow *self)
{
    uint32_t topics = self->recording.count;
    for (uint32_t topic = 0; topic < topics; topic++) {
        struct recorded_topic *one = &self->recording.topics[topic];
        for (uint32_t i = 0; i < self->verify.connections; i++) {
            uint64_t seq = self->verify.last[(size_t)i * topics + verify_place(&self->verify, i, topic)];
            if (i == 0) one->base = seq;
            if (seq == one->base) continue;
            snprintf(self->why, sizeof self->why,
                     "somebody is publishing %s already; start the replay when this says so", one->name);
            return false;
        }
    }
    return true;
}

static bool start(struct follow *self)
{
    uint32_t count = (uint32_t)self->connections;
    if (recording_load(&self->recording, self->path, self->prefix, self->limit, self->why) < 0) return false;
    bool memory = subscribers_init(&self->subscribers, count) == 0;
    memory = verify_init(&self->verify, recording_source(&self->recording), count, self->recording.count,
                         self->mode == 1) == 0 &&
             memory;
    if (!memory) return snprintf(self->why, sizeof self->why, "no memory"), false;
    self->subscribers.owner = self;
    self->subscribers.write_target = write_target;
    self->subscribers.on_text = on_text;
    self->subscribers.deflate = self->deflate;
    self->subscribers.on_cut_due = on_cut_due;
    if (self->churning && !publish_firsts(self)) return false;
    if (!subscribers_connect(&self->subscribers, self->url, self->key))
        return snprintf(self->why, sizeof self->why, "%s", self->subscribers.why), false;
    int64_t until_ns = now_ns() + 20000000000;
    while (self->verify.acks < count && now_ns() < until_ns) subscribers_turn(&self->subscribers, TURN_NS);
    if (self->verify.acks < count || verify_failed(&self->verify))
        return snprintf(self->why, sizeof self->why, "%s",
                        self->verify.first[0] ? self->verify.first : "not all subscriptions were acknowledged"),
               false;
    for (uint32_t i = 0; i < count && is_slow(self, i); i++) {
        setsockopt(self->subscribers.all[i].fd, SOL_SOCKET, SO_RCVBUF, &(int){ SLOW_RECEIVE_BUFFER }, sizeof(int));
        subscribers_stall(&self->subscribers, i, true);
    }
    return take_bases(self);
}

static bool start_churning(struct follow *self)
{
    if (self->churning == 0) return true;
    self->churns = churn_init(&self->churn, 0, (uint32_t)self->churning, self->churn_every, &self->subscribers, &self->verify) == 0;
    return self->churns || (snprintf(self->why, sizeof self->why, "no memory"), false);
}

/* Whether one has the last row of every topic. */
static bool has_all(const struct follow *self, uint32_t index)
{
    for (uint32_t topic = 0; topic < self->recording.count; topic++) {
        const struct recorded_topic *one = &self->recording.topics[topic];
        if (self->verify.last[(size_t)index * self->recording.count + verify_place(&self->verify, index, topic)] <
            one->base + one->rows)
            return false;
    }
    return true;
}

static uint32_t count_done(const struct follow *self, bool slow)
{
    uint32_t done = 0;
    for (uint32_t i = 0; i < self->verify.connections; i++) done += is_slow(self, i) == slow && has_all(self, i);
    return done;
}

/* Reads until all of one kind have the end, or nothing has come for as long as patience lasts. */
static bool read_until_done(struct follow *self, bool slow)
{
    uint32_t wanted = slow ? (uint32_t)self->slow : (uint32_t)(self->connections - self->slow);
    int64_t quiet_ns = now_ns();
    while (self->subscribers.ended == 0) {
        uint64_t before = self->verify.updates_right + self->verify.changed;
        subscribers_turn(&self->subscribers, TURN_NS);
        int64_t at_ns = now_ns();
        subscribers_live(&self->subscribers, at_ns);
        if (self->churns) churn_turn(&self->churn, at_ns);
        if (at_ns >= self->sip_ns) {
            for (uint32_t i = 0; !slow && i < self->slow; i++)
                subscribers_sip(&self->subscribers, i, (uint32_t)self->slow_bytes);
            self->sip_ns = at_ns + SIP_EVERY_NS;
        }
        if (self->verify.updates_right + self->verify.changed != before) quiet_ns = at_ns;
        if (at_ns >= self->progress_ns) {
            if (count_done(self, slow) == wanted) return true;
            fprintf(stderr, "%14llu updates, %llu gaps, %u of %u have all%s",
                    (unsigned long long)self->verify.updates_right, (unsigned long long)self->verify.gaps,
                    count_done(self, slow), wanted, isatty(2) ? "   \r" : "\n");
            self->progress_ns = at_ns + PROGRESS_NS;
        }
        if (at_ns - quiet_ns > (int64_t)(self->patience * 1e9)) return count_done(self, slow) == wanted;
    }
    return false;
}

static int by_size(const void *a, const void *b)
{
    uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;
    return (one > other) - (one < other);
}

static int tell(struct follow *self, bool complete, bool slow_complete)
{
    struct report report = { .json = self->json };
    const struct verify *verify = &self->verify;
    uint64_t slow_got = 0, readers = self->connections - self->slow, sum = 0, wire = 0;
    double seconds = (double)(self->last_ns - self->first_ns) * 1e-9;
    for (uint64_t i = 0; i < self->slow; i++) slow_got += verify->counted[i];
    qsort(verify->counted + self->slow, readers, sizeof *verify->counted, by_size);
    for (uint64_t i = self->slow; i < self->connections; i++) sum += verify->counted[i];
    for (uint64_t i = 0; i < self->connections; i++) wire += self->subscribers.all[i].bytes;
    report_begin(&report, "follow");
    report_text(&report, "file", "file", self->path);
    report_text(&report, "mode", "mode", self->mode ? "latest" : "every");
    report_count(&report, "rows", "rows of the file", self->recording.rows, "");
    report_count(&report, "topics", "topics", self->recording.count, "");
    report_count(&report, "connections", "connections that read fast", readers, "");
    report_count(&report, "least", "rows of one, fewest", verify->counted[self->slow], "");
    report_count(&report, "median", "rows of one, median", verify->counted[self->slow + readers / 2], "");
    report_count(&report, "most", "rows of one, most", verify->counted[self->connections - 1], "");
    report_yes(&report, "complete", "all have the last row of each topic", complete);
    if (self->slow) {
        report_count(&report, "slow", "connections that read slowly", self->slow, "");
        report_count(&report, "slow_rows", "rows of one, on average", slow_got / self->slow, "");
        report_yes(&report, "slow_complete", "they end on the last row too", slow_complete);
    }
    if (self->churns) {
        report_count(&report, "churn", "connections lost again and again", self->churning, "");
        report_count(&report, "cuts", "cut, and connected anew", self->churn.cuts, "times");
        report_count(&report, "cuts_in_frame", "of that within a frame", self->churn.cuts_in_frame, "times");
        report_count(&report, "resumed", "acknowledged as resumed", verify->resumed, "times");
    }
    report_count(&report, "updates_checked", "updates as published", verify->updates_right, "");
    report_real(&report, "wire_bytes", "bytes received for each, frames and all", verify->updates_right ? (double)wire / (double)verify->updates_right : 0, 1, "");
    report_count(&report, "lost", "lost", verify->lost, "");
    report_count(&report, "doubled", "doubled or out of order", verify->doubled, "");
    report_count(&report, "changed", "changed", verify->changed, "");
    report_count(&report, "gaps", "gaps", verify->gaps, "");
    report_count(&report, "gap_updates", "updates in gaps", verify->gap_updates, "");
    report_count(&report, "gaps_wrong", "gaps not exact", verify->gaps_wrong, "");
    report_count(&report, "skipped", "superseded (latest)", verify->skipped, "");
    report_count(&report, "errors", "errors", verify->errors + verify->strange, "");
    report_count(&report, "closed", "closed connections", self->subscribers.ended, "");
    report_real(&report, "seconds", "from first to last", seconds, 3, "s");
    report_real(&report, "delivered_per_s", "delivered/s to the fast ones", seconds > 0 ? (double)sum / seconds : 0, 0,
                "");
    if (verify->first[0]) report_warn(&report, verify->first);
    if (self->subscribers.why[0]) report_warn(&report, self->subscribers.why);
    report_end(&report);
    return verify_failed(verify) || self->subscribers.ended || !complete || !slow_complete;
}

static int run(struct follow *self)
{
    bool started = start(self) && start_churning(self);
    if (!started) return fprintf(stderr, "ringcast-bench follow: %s\n", self->why), 1;
    fprintf(stderr, "%llu connections follow %u topics: start the replay now\n", (unsigned long long)self->connections,
            self->recording.count);
    bool complete = read_until_done(self, false);
    for (uint32_t i = 0; i < self->slow; i++) subscribers_stall(&self->subscribers, i, false);
    bool slow_complete = self->slow == 0 || read_until_done(self, true);
    return tell(self, complete, slow_complete);
}

int follow_main(int argc, char **argv)
{
    static struct follow self;
    self = (struct follow){ .url = "ws://127.0.0.1:8080",
                            .prefix = "",
                            .connections = 100,
                            .slow_bytes = 512,
                            .churn_every = 2,
                            .limit = UINT64_MAX,
                            .patience = 30,
                            .cpu = -1 };
    const struct flag flags[] = {
        { "url", FLAG_TEXT, &self.url, "URL", "the gateway (ws://127.0.0.1:8080)", 0, 0 },
        { "key", FLAG_TEXT, &self.key, "KEY", "a key, where subscribing needs one", 0, 0 },
        { "connections", FLAG_COUNT, &self.connections, "N", "each follows all topics of the file (100)", 1, 100000 },
        { "mode", FLAG_CHOICE, &self.mode, "every|latest", "(every)", 0, 0 },
        { "slow", FLAG_COUNT, &self.slow, "K", "that many of N read slowly (0)", 0, 100000 },
        { "slow-bytes", FLAG_COUNT, &self.slow_bytes, "B", "what a slow one reads in a tenth of a second (512)", 1,
          1e6 },
        { "churn", FLAG_COUNT, &self.churning, "K", "that many are cut and resume again and again; --key may publish (0)", 0,
          100000 },
        { "churn-every", FLAG_REAL, &self.churn_every, "S", "the longest that one of those lives (2)", 0.001, 86400 },
        { "topic-prefix", FLAG_TEXT, &self.prefix, "TEXT", "as given to replay", 0, 0 },
        { "limit", FLAG_COUNT, &self.limit, "ROWS", "as given to replay", 1, 1e15 },
        { "patience", FLAG_REAL, &self.patience, "S", "how long nothing may come before it gives up (30)", 0.1, 86400 },
        { "cpu", FLAG_REAL, &self.cpu, "C", "run on this CPU alone", 0, 1023 },
        { "deflate", FLAG_YES, &self.deflate, NULL, "by permessage-deflate", 0, 0 },
        { "batch", FLAG_YES, &self.batch, NULL, "several updates a message", 0, 0 },
        { "json", FLAG_YES, &self.json, NULL, "one JSON object instead of a table", 0, 0 },
        { 0 },
    };
    enum flags_result read = flags_read("follow", flags, argc, argv, &self.path, 1);
    if (read == FLAGS_HELP) {
        printf("usage: ringcast-bench follow FILE.csv[.gz] [flags]\nSubscribers that check a replay of this file, row "
               "by row.\n\n");
        flags_help(flags);
    }
    if (read != FLAGS_OK) return read == FLAGS_HELP ? 0 : 2;
    if (!self.path) return fprintf(stderr, "ringcast-bench follow: which file? The one that is replayed\n"), 2;
    if (self.slow >= self.connections)
        return fprintf(stderr, "ringcast-bench follow: --slow is less than --connections: someone has to read\n"), 2;
    if (self.slow && self.churning)
        return fprintf(stderr, "ringcast-bench follow: --slow and --churn are for different runs\n"), 2;
    if (self.churning > self.connections || (self.churning && self.mode != 0))
        return fprintf(stderr, "ringcast-bench follow: --churn is at most --connections, in mode every\n"), 2;
    uint64_t files = machine_files();
    if (self.connections + 16 > files)
        return fprintf(stderr, "ringcast-bench follow: the limit of %llu files is less than these connections need\n",
                       (unsigned long long)files),
               2;
    if (!machine_pin((int64_t)self.cpu)) return 2;
    int status = run(&self);
    if (self.churns) churn_deinit(&self.churn);
    subscribers_deinit(&self.subscribers);
    verify_deinit(&self.verify);
    recording_free(&self.recording);
    return status;
}
