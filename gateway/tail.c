/* See tail.h. A loop of: connect, subscribe from the known positions, print until it ends, wait a little longer each
 * time. */
#include "gateway/tail.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/base/random.h"
#include "core/io/client.h"
#include "core/proto/json.h"
#include "core/proto/topic_name.h"
#include "gateway/positions.h"

#define TOPICS_MAX       1000
#define REQUEST_BYTES    (1u << 20) /* limits.message of the gateway */
#define SUBSCRIBE_ID     1
#define MESSAGE_DEPTH    72 /* a payload's 64 levels and the update around it */
#define BACKOFF_FIRST_MS 250
#define BACKOFF_MOST_MS  15000
#define SILENCE_FIRST_MS 60000 /* until hello says what the heartbeat is */

static int interrupt_fd = -1; /* an eventfd: readable once SIGINT, SIGTERM or the end of stdout has come */

struct tail {
    struct client client;
    struct span url;
    const char *key;
    const char *mode;
    char **topics;
    int topics_count;
    uint64_t left;              /* updates still to print; UINT64_MAX: no end */
    struct positions positions; /* the newest seq seen of each topic */
    int64_t silence_ns;         /* after which the gateway is taken for dead */
    bool served;                /* a subscription stood at least once: from now on, failures are retried */
    bool served_now;            /* and on this connection */
    bool final;                 /* retrying would not help */
    uint32_t reconnect_ms;      /* what the gateway asked for in `closing`; 0: nothing */
    char *request;
};

static const char usage[] =
    "usage: ringcast tail URL TOPIC... [--mode every|latest] [--key KEY] [--count N]\n"
    "\n"
    "Prints each update of the topics as one line of JSON; what else the gateway says goes to stderr.\n"
    "  URL           ws://host:port, wss://host:port, http://…, https://… or host:port; /v1/ws is added where no path stands\n"
    "  TOPIC         a name as AAPL, or a pattern as crypto.* or fx.>\n"
    "  --mode MODE   latest (the default): the newest value, as fast as it is read; every: each update\n"
    "  --key KEY     sent as Authorization: Bearer\n"
    "  --cacert FILE whom wss:// is trusted by, in PEM (" TLS_AUTHORITIES_VARIABLE " or the system's)\n"
    "  --count N     ends after N updates\n";

static void on_signal(int number)
{
    (void)number;
    int saved = errno;
    uint64_t one = 1;
    if (write(interrupt_fd, &one, sizeof one) < 0) errno = saved; /* it is readable already */
    errno = saved;
}

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    va_list arguments;
    fflush(stdout); /* so that the two streams of a terminal stay in order */
    va_start(arguments, format);
    fputs("tail: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

/* ---- the request ------------------------------------------------------------------------------------------------- */

static size_t append(char *out, size_t size, struct span text)
{
    if (size + text.size > REQUEST_BYTES) return size;
    memcpy(out + size, text.bytes, text.size);
    return size + text.size;
}

static struct span subscribe_request(struct tail *tail)
{
    char *out = tail->request;
    size_t size = (size_t)snprintf(out, REQUEST_BYTES, "{\"op\":\"subscribe\",\"id\":%d,\"mode\":\"%s\",\"topics\":[",
                                   SUBSCRIBE_ID, tail->mode);
    for (int i = 0; i < tail->topics_count; i++) {
        size = append(out, size, i ? SPAN_LITERAL(",\"") : SPAN_LITERAL("\""));
        size = append(out, size, span_of_string(tail->topics[i])); /* a valid name needs no escape */
        size = append(out, size, SPAN_LITERAL("\""));
    }
    size = append(out, size, SPAN_LITERAL("],\"resume\":{"));
    bool first = true;
    for (uint32_t i = 0; i < tail->positions.count; i++) {
        const struct position *position = &tail->positions.all[i];
        char entry[TOPIC_NAME_BYTES_MAX + 80];
        int entry_size =
            snprintf(entry, sizeof entry, "%s\"%.*s\":{\"epoch\":\"%.8s\",\"seq\":%llu}", first ? "" : ",",
                     (int)position->topic_size, position->topic, position->epoch, (unsigned long long)position->seq);
        if (size + (size_t)entry_size + 3 > REQUEST_BYTES) break; /* the rest begins afresh */
        size = append(out, size, span_of(entry, (size_t)entry_size));
        first = false;
    }
    size = append(out, size, SPAN_LITERAL("}}"));
    return span_of(out, size);
}

/* ---- what the gateway says --------------------------------------------------------------------------------------- */

/* The members that any message of the gateway may have. Slices point into the message. */
struct said {
    struct json_value op, id, topic, seq, epoch, topics, code, message, reason, heartbeat_ms, reconnect_ms, resumed,
        data;
};

static bool read_object(struct span text, struct said *said)
{
    static const struct {
        const char *name;
        size_t at;
    } members[] = {
        { "op", offsetof(struct said, op) },           { "id", offsetof(struct said, id) },
        { "topic", offsetof(struct said, topic) },     { "seq", offsetof(struct said, seq) },
        { "epoch", offsetof(struct said, epoch) },     { "topics", offsetof(struct said, topics) },
        { "code", offsetof(struct said, code) },       { "message", offsetof(struct said, message) },
        { "reason", offsetof(struct said, reason) },   { "heartbeat_ms", offsetof(struct said, heartbeat_ms) },
        { "resumed", offsetof(struct said, resumed) }, { "reconnect_ms", offsetof(struct said, reconnect_ms) },
        { "data", offsetof(struct said, data) },
    };
    struct json_reader reader;
    struct json_value key, value;
    *said = (struct said){ 0 };
    if (!json_object_begin(&reader, text, MESSAGE_DEPTH)) return false;
    while (json_object_next(&reader, &key, &value))
        for (size_t i = 0; i < sizeof members / sizeof *members; i++)
            if (json_string_is(&key, members[i].name)) memcpy((char *)said + members[i].at, &value, sizeof value);
    return reader.verdict == JSON_OK;
}

static struct span inside(const struct json_value *value)
{
    return value->text.size && value->kind == JSON_STRING ? json_string_inside(value) : SPAN_NONE;
}

static uint64_t number(const struct json_value *value, uint64_t otherwise)
{
    int64_t integer;
    if (value->text.size == 0 || value->kind != JSON_NUMBER || !json_integer(value, &integer) || integer < 0)
        return otherwise;
    return (uint64_t)integer;
}

/* An entry of an ack, or op:topic: from here on, these are the topic's epoch and place. */
static void follow(struct tail *tail, const struct said *said)
{
    struct span topic = inside(&said->topic), epoch = inside(&said->epoch);
    if (topic.size == 0 || epoch.size == 0 || topic_pattern_is(topic)) return;
    bool resumed = said->resumed.text.size && said->resumed.kind == JSON_TRUE;
    uint64_t newest = number(&said->seq, 0);
    /* What was the newest then is yet to come as the snapshot; a resumed topic stays where it was. */
    positions_follow(&tail->positions, topic, epoch, newest ? newest - 1 : 0, resumed);
}

static void on_subscribed(struct tail *tail, const struct said *said)
{
    struct json_value entry;
    tail->served = tail->served_now = true;
    if (said->topics.kind != JSON_ARRAY || said->topics.text.size == 0) return;
    for (size_t at = 0; json_array_next(said->topics.text, &at, &entry);) {
        struct said member;
        if (entry.kind != JSON_OBJECT || !read_object(entry.text, &member)) continue;
        struct span topic = inside(&member.topic);
        if (member.epoch.text.size == 0 && !topic_pattern_is(topic))
            say("%.*s has no update yet", (int)topic.size, topic.bytes);
        follow(tail, &member);
    }
}

static void on_error(struct tail *tail, const struct said *said, struct span text)
{
    char words[400] = "";
    struct span code = inside(&said->code);
    if (number(&said->id, 0) != SUBSCRIBE_ID) return say("%.*s", (int)text.size, text.bytes);
    if (inside(&said->message).size) {
        long size = json_string_unescape(&said->message, words, sizeof words - 1);
        words[size > 0 ? size : 0] = 0;
    }
    say("the gateway refused the subscription: %.*s: %s", (int)code.size, code.size ? code.bytes : "", words);
    tail->final = !span_is(code, "busy") && !span_is(code, "rate_limited") && !span_is(code, "shutting_down");
}

static void on_op(struct tail *tail, const struct said *said, struct span text)
{
    struct span op = inside(&said->op);
    if (span_is(op, "heartbeat")) return;
    if (span_is(op, "hello")) {
        uint64_t heartbeat_ms = number(&said->heartbeat_ms, 0);
        if (heartbeat_ms > 0 && heartbeat_ms < 3600000) tail->silence_ns = (int64_t)(2 * heartbeat_ms) * 1000000;
        return;
    }
    if (span_is(op, "error")) return on_error(tail, said, text);
    if (span_is(op, "subscribed")) return on_subscribed(tail, said);
    if (span_is(op, "topic")) follow(tail, said);
    if (span_is(op, "closing")) {
        uint64_t asked_ms = number(&said->reconnect_ms, 0);
        tail->reconnect_ms = asked_ms > BACKOFF_MOST_MS ? BACKOFF_MOST_MS : (uint32_t)asked_ms;
    }
    say("%.*s", (int)text.size, text.bytes);
}

static void on_message(struct tail *tail, struct span text)
{
    struct said said;
    if (!read_object(text, &said))
        return say("what the gateway sent is no JSON object: %.*s", (int)text.size, text.bytes);
    if (said.op.text.size) return on_op(tail, &said, text);
    struct span topic = inside(&said.topic);
    if (topic.size == 0 || said.data.text.size == 0)
        return say("neither an update nor an op: %.*s", (int)text.size, text.bytes);
    positions_advance(&tail->positions, topic, number(&said.seq, 0));
    fwrite(text.bytes, 1, text.size, stdout);
    if (fputc('\n', stdout) == EOF) tail->final = true;
    if (tail->left != UINT64_MAX) tail->left--;
}

/* ---- the connection ---------------------------------------------------------------------------------------------- */

/* One connection from its beginning to its end. False: the user ended it, or it has printed all. */
static bool follow_until_gone(struct tail *tail)
{
    struct client *client = &tail->client;
    struct span message;
    tail->silence_ns = (int64_t)SILENCE_FIRST_MS * 1000000;
    tail->reconnect_ms = 0;
    tail->served_now = false;
    int result = client_connect(client, tail->url, "/v1/ws", tail->key);
    if (result == CLIENT_OK) result = client_send_text(client, subscribe_request(tail));
    while (result == CLIENT_OK && tail->left > 0 && !tail->final) {
        result = client_receive(client, &message, CLIENT_NOW);
        if (result == CLIENT_QUIET) { /* nothing more is there: show what came, then wait */
            if (fflush(stdout) == EOF) return false;
            result = client_receive(client, &message, client_now_ns() + tail->silence_ns);
        }
        if (result == CLIENT_OK) on_message(tail, message);
    }
    if (tail->left == 0 || result == CLIENT_STOPPED) return false;
    if (result == CLIENT_QUIET) say("the gateway has been silent for too long");
    if (result == CLIENT_GONE) say("%s", client->why);
    uint16_t code = client->close_code, status = client->status;
    if (code == 1008 || code == 4400 || code == 4401 || code == 4403) tail->final = true;
    if (status && status != 101 && status != 429 && status < 500) tail->final = true;
    if (!tail->served) tail->final = true; /* more likely a mistyped URL than a gateway that is coming back */
    return true;
}

/* Some time between half of it and all of it, so that not all who lost a gateway come back at once. False:
 * interrupted. */
static bool wait_before_retry(uint32_t wait_ms)
{
    uint32_t random;
    random_fill(&random, sizeof random);
    int jittered_ms = (int)(wait_ms / 2 + random % (wait_ms / 2 + 1));
    say("trying again in %.1f s", jittered_ms / 1000.0);
    struct pollfd polled = { .fd = interrupt_fd, .events = POLLIN };
    return poll(&polled, 1, jittered_ms) == 0;
}

static int follow_forever(struct tail *tail)
{
    uint32_t backoff_ms = BACKOFF_FIRST_MS;
    while (follow_until_gone(tail)) {
        if (tail->final) return 1;
        if (tail->served_now) backoff_ms = BACKOFF_FIRST_MS;
        client_close(&tail->client);
        if (!wait_before_retry(tail->reconnect_ms ? tail->reconnect_ms : backoff_ms)) break;
        backoff_ms = 2 * backoff_ms > BACKOFF_MOST_MS ? BACKOFF_MOST_MS : 2 * backoff_ms;
    }
    return fflush(stdout) == EOF || ferror(stdout) ? 1 : 0;
}

/* ---- the command line -------------------------------------------------------------------------------------------- */

__attribute__((format(printf, 1, 2))) static int misused(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("ringcast tail: ", stderr);
    vfprintf(stderr, format, arguments);
    fputs("\n`ringcast tail --help` says more\n", stderr);
    va_end(arguments);
    return 2;
}

/* 0, or the exit status plus one: help ends with 0. */
static int read_command_line(struct tail *tail, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        char *text = argv[i];
        if (strcmp(text, "--help") == 0 || strcmp(text, "-h") == 0) return fputs(usage, stdout), 1;
        if (strncmp(text, "--", 2) != 0) {
            if (!tail->url.bytes)
                tail->url = span_of_string(text);
            else if (tail->topics_count == TOPICS_MAX)
                return misused("at most %d topics", TOPICS_MAX) + 1;
            else
                tail->topics[tail->topics_count++] = text;
            continue;
        }
        size_t name_size = strcspn(text, "=");
        struct span name = span_of(text, name_size);
        const char *value = text[name_size] ? text + name_size + 1 : i + 1 < argc ? argv[++i] : NULL;
        char *end = NULL;
        if (!span_is(name, "--mode") && !span_is(name, "--key") && !span_is(name, "--cacert") && !span_is(name, "--count"))
            return misused("there is no %.*s; there are --mode, --key, --cacert and --count", (int)name.size, name.bytes) + 1;
        if (!value) return misused("%.*s needs a value", (int)name.size, name.bytes) + 1;
        if (span_is(name, "--key")) tail->key = value;
        if (span_is(name, "--mode")) tail->mode = value;
        if (span_is(name, "--cacert")) setenv(TLS_AUTHORITIES_VARIABLE, value, 1);
        if (span_is(name, "--count") &&
            (value[0] < '0' || value[0] > '9' || (tail->left = strtoull(value, &end, 10)) == 0 || *end))
            return misused("--count is a number of updates, not %s", value) + 1;
    }
    if (!tail->url.bytes) return misused("which gateway? For example: ringcast tail 127.0.0.1:8080 AAPL") + 1;
    if (tail->topics_count == 0) return misused("which topics?") + 1;
    if (strcmp(tail->mode, "every") != 0 && strcmp(tail->mode, "latest") != 0)
        return misused("--mode is every or latest, not %s", tail->mode) + 1;
    for (int i = 0; i < tail->topics_count; i++) {
        struct span topic = span_of_string(tail->topics[i]);
        const char *fault = topic_pattern_is(topic) ? topic_pattern_fault(topic) : topic_name_fault(topic);
        if (fault) return misused("%s is no topic: %s", tail->topics[i], fault) + 1;
    }
    return 0;
}

int tail_main(int argc, char **argv)
{
    struct tail tail = { .mode = "latest", .left = UINT64_MAX };
    tail.topics = calloc(TOPICS_MAX, sizeof *tail.topics);
    tail.request = malloc(REQUEST_BYTES);
    interrupt_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!tail.topics || !tail.request || interrupt_fd < 0 || positions_init(&tail.positions) != 0)
        return say("no memory to begin with"), 1;
    int ended = read_command_line(&tail, argc, argv);
    if (!ended) {
        struct sigaction action = { .sa_handler = on_signal };
        sigaction(SIGINT, &action, NULL);
        sigaction(SIGTERM, &action, NULL);
        signal(SIGPIPE, SIG_IGN); /* a closed pipe ends it by the error of the write */
        client_init(&tail.client, interrupt_fd);
        ended = follow_forever(&tail) + 1;
        client_close(&tail.client);
    }
    positions_deinit(&tail.positions);
    close(interrupt_fd);
    free(tail.request);
    free(tail.topics);
    return ended - 1;
}
