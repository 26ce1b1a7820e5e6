/* A whole shard without sockets, driven by a byte stream: clients that connect, ask well and badly, send in pieces, read slowly or not at all, end
 * and break off, while receives fail and time passes (tests/fuzz/ring_sim.h). DESIGN.md's promises are the oracle:
 *   - each client's stream is whole frames of valid JSON, nothing after a close frame
 *   - an update is the same for all who get it; seq goes up; in mode `every` by one, or a gap tells exactly what is missing
 *   - an ack says where the updates begin; a resume goes on where it was
 *   - at rest everybody has the newest of all that it follows; at the end the shard drains, and nothing is left of anybody
 *
 * Input: deeds, of a byte that says which and whose, and what each takes. Clients that sent raw bytes are not judged by what they follow. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/proto/json.h"
#include "core/proto/ws_frame.h"
#include "core/pubsub/engine.h"
#include "core/pubsub/following.h"
#include "gateway/auth.h"
#include "gateway/gateway.h"
#include "gateway/shard_settings.h"
#include "tests/fuzz/ring_sim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define KEY "fuzz-key"
enum { CLIENTS = 6, TOPICS = 4, ASKED_MAX = 4096, SEEN_MAX = 1 << 13, TURNS_MAX = 20000, REST_MS_MAX = 3000 };
static const char *const names[TOPICS] = { "a", "a.b", "c.d.e", "f" };

/* What a client asked for, by the id of its request. */
struct asked {
    uint8_t  topic;
    bool     every, snapshot, resume;
    uint64_t seq;
};

/* A topic as a client follows it. */
struct follow {
    bool     on, every;
    bool     had;       /* an epoch is known, also after it was cut off */
    char     epoch[EPOCH_BYTES];
    uint64_t next;      /* the seq that is due, or the least; 0: any */
    uint64_t seen;      /* the newest that came */
};

struct client {
    int           file;      /* SIM_NONE: it has no connection */
    bool          asks_ws;   /* its handshake is under way */
    bool          ws, closed, raw;
    struct text   in;
    struct asked  asked[ASKED_MAX];
    uint32_t      asked_count;
    struct follow follows[TOPICS];
};

static struct client clients[CLIENTS];
static struct gateway gateway;
static struct settings settings;
static struct span input;
static bool keyed; /* somebody may have marked an update */
static enum { PHASE_INPUT, PHASE_REST, PHASE_DRAIN, PHASE_END, PHASE_LEAVE } phase;
static uint32_t turns, numbers;
static uint64_t rest_ms;

/* Updates that were seen, so that all see the same. */
static struct {
    uint64_t place, bytes; /* hashes of topic, epoch and seq; of the data */
} seen[SEEN_MAX];

/* ---- the oracle ---------------------------------------------------------------------------------------------------------- */

static uint64_t hash(uint64_t hash, struct span bytes)
{
    for (size_t i = 0; i < bytes.size; i++) hash = (hash ^ (unsigned char)bytes.bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static void claim_same_for_all(uint32_t topic, const char epoch[EPOCH_BYTES], uint64_t seq, struct span data)
{
    uint64_t place = hash(hash(topic * 1000003 + seq + 1, span_of(epoch, EPOCH_BYTES)), span_of((const char *)&seq, sizeof seq)) | 1, bytes = hash(1, data);
    for (uint32_t i = 0; i < SEEN_MAX; i++) {
        uint32_t at = (uint32_t)(place + i) % SEEN_MAX;
        if (seen[at].place == place) CHECK(seen[at].bytes == bytes);
        if (seen[at].place != 0 && seen[at].place != place) continue;
        seen[at].place = place;
        seen[at].bytes = bytes;
        return;
    }
}

struct message {
    struct json_value op, topic, seq, from, to, epoch, id, topics, data, resumed;
    uint32_t          present; /* a bit for each, in that order */
};

static bool read_message(struct span text, struct message *message)
{
    static const char *const keys[] = { "op", "topic", "seq", "from", "to", "epoch", "id", "topics", "data", "resumed" };
    struct json_value *const values[] = { &message->op, &message->topic, &message->seq, &message->from, &message->to, &message->epoch, &message->id, &message->topics, &message->data, &message->resumed };
    struct json_value key, value;
    message->present = 0;
    for (size_t at = 0; json_member_next(text, &at, &key, &value);)
        for (uint32_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
            if (json_string_is(&key, keys[i])) *values[i] = value, message->present |= 1u << i;
    return message->present & 1;
}

enum { HAS_TOPIC = 1 << 1, HAS_SEQ = 1 << 2, HAS_EPOCH = 1 << 5, HAS_ID = 1 << 6, HAS_RESUMED = 1 << 9 };

static uint64_t number(const struct json_value *value)
{
    int64_t integer;
    CHECK(json_integer(value, &integer) && integer >= 0);
    return (uint64_t)integer;
}

static struct follow *follow_of(struct client *client, const struct json_value *topic, uint32_t *index)
{
    for (uint32_t i = 0; i < TOPICS; i++)
        if (json_string_is(topic, names[i])) return *index = i, &client->follows[i];
    return NULL;
}

static void set_epoch(struct follow *follow, const struct json_value *epoch)
{
    struct span text = json_string_inside(epoch);
    CHECK(text.size == EPOCH_BYTES);
    memcpy(follow->epoch, text.bytes, EPOCH_BYTES);
    follow->had = true;
}

static void on_update(struct client *client, const struct message *message)
{
    uint32_t topic;
    struct follow *follow = follow_of(client, &message->topic, &topic);
    uint64_t seq = number(&message->seq);
    CHECK(seq > 0);
    if (!follow || client->raw) return;
    CHECK(follow->on && follow->had);
    claim_same_for_all(topic, follow->epoch, seq, message->data.text);
    CHECK(seq > follow->seen);
    if (follow->next > 0) CHECK(follow->every ? seq == follow->next : seq >= follow->next);
    follow->seen = seq;
    follow->next = seq + 1;
}

static void on_gap(struct client *client, const struct message *message)
{
    uint32_t topic;
    struct follow *follow = follow_of(client, &message->topic, &topic);
    uint64_t from = number(&message->from), to = number(&message->to);
    CHECK(from >= 1 && to >= from);
    if (!follow || client->raw) return;
    CHECK(follow->on && (follow->every || keyed));
    if (follow->next > 0) CHECK(from == follow->next);
    follow->next = to + 1;
    follow->seen = to;
}

/* Behind an ack of one topic. */
static void on_subscribed(struct client *client, const struct asked *asked, struct span entry)
{
    struct message message;
    read_message(entry, &message);
    struct follow *follow = &client->follows[asked->topic];
    uint64_t seq = number(&message.seq);
    bool resumed = message.present & HAS_RESUMED && message.resumed.kind == JSON_TRUE;
    CHECK((message.present & HAS_EPOCH) || seq == 0);
    if (!follow->on) {
        bool same = follow->had && message.present & HAS_EPOCH && span_equals(json_string_inside(&message.epoch), span_of(follow->epoch, EPOCH_BYTES));
        if (resumed) CHECK(asked->resume && same);
        if (message.present & HAS_EPOCH) set_epoch(follow, &message.epoch);
        follow->next = resumed ? asked->seq + 1 : seq == 0 ? 1 : asked->snapshot ? (keyed ? 0 : seq) : seq + 1;
        follow->seen = follow->next > 0 ? follow->next - 1 : 0;
    } else if (asked->every && !follow->every) {
        follow->next = follow->next > 0 && follow->seen > 0 && follow->seen + 1 == follow->next ? follow->next : 0; /* it goes on from the last sent */
    }
    follow->every = asked->every;
    follow->on = true;
}

static void on_topic(struct client *client, const struct message *message)
{
    uint32_t topic;
    struct follow *follow = follow_of(client, &message->topic, &topic);
    if (!follow || client->raw) return;
    CHECK(message->present & HAS_EPOCH);
    set_epoch(follow, &message->epoch);
    follow->next = number(&message->seq) == 0 ? 1 : 0;
    follow->seen = 0;
}

static void on_text(struct client *client, struct span text)
{
    struct json_value whole;
    struct message message;
    CHECK(json_validate(text, 80, &whole) == JSON_OK && whole.kind == JSON_OBJECT);
    if (!read_message(whole.text, &message)) {
        CHECK((message.present & (HAS_TOPIC | HAS_SEQ)) == (HAS_TOPIC | HAS_SEQ));
        on_update(client, &message);
    } else if (json_string_is(&message.op, "gap")) on_gap(client, &message);
    else if (json_string_is(&message.op, "topic")) on_topic(client, &message);
    else if (!client->raw && message.present & HAS_ID) {
        uint64_t id = number(&message.id);
        CHECK(id < client->asked_count); /* of something that was asked */
        const struct asked *asked = &client->asked[id];
        struct json_value entry;
        size_t at = 0;
        if (json_string_is(&message.op, "subscribed") && json_array_next(message.topics.text, &at, &entry)) on_subscribed(client, asked, entry.text);
        if (json_string_is(&message.op, "unsubscribed")) client->follows[asked->topic].on = false;
    }
}

/* One frame of what came, if it is whole. */
static bool take_frame(struct client *client)
{
    struct ws_header header;
    const char *why;
    enum decode answer = ws_frame_decode(text_span(&client->in), false, false, &header, &why);
    CHECK(answer != DECODE_BAD);
    if (answer == DECODE_MORE || client->in.size - header.header_bytes < header.payload_bytes) return false;
    CHECK(!client->closed); /* after a close frame there is nothing */
    struct span payload = span_of(client->in.bytes + header.header_bytes, header.payload_bytes);
    CHECK(header.fin && header.opcode != WS_CONTINUATION && header.opcode != WS_BINARY);
    if (header.opcode == WS_TEXT) on_text(client, payload);
    if (header.opcode == WS_CLOSE) {
        uint16_t code;
        struct span reason;
        CHECK(ws_close_read(payload, &code, &reason) == WS_CLOSE_NONE);
        client->closed = true;
    }
    text_cut(&client->in, 0, header.header_bytes + header.payload_bytes);
    return true;
}

static void sim_received(int owner, struct span bytes)
{
    struct client *client = &clients[owner];
    text_add(&client->in, bytes);
    if (!client->ws) {
        const char *end = span_find_string(text_span(&client->in), "\r\n\r\n");
        CHECK(client->in.size < 7 || memcmp(client->in.bytes, "HTTP/1.", 7) == 0 || client->raw || !client->asks_ws);
        if (!end || !client->asks_ws) return;
        client->ws = memcmp(client->in.bytes, "HTTP/1.1 101 ", 13) == 0;
        if (!client->ws) client->raw = true; /* it was refused, and a body follows */
        text_cut(&client->in, 0, (size_t)(end + 4 - client->in.bytes));
    }
    while (client->ws && take_frame(client)) {}
}

static void sim_ended(int owner)
{
    struct client *client = &clients[owner];
    client->file = SIM_NONE;
    for (uint32_t i = 0; i < TOPICS; i++) client->follows[i].on = false;
}

static struct shard *shard(void)
{
    return &gateway.shards[0];
}

/* Nothing is left to be sent: everybody has the newest. */
static void claim_at_rest(void)
{
    const struct home *home = &shard()->engine.home;
    for (int c = 0; c < CLIENTS; c++) {
        const struct client *client = &clients[c];
        if (client->file == SIM_NONE || !client->ws || client->closed || client->raw || sim.sockets[client->file].ended || sim.sockets[client->file].broken) continue;
        for (uint32_t i = 0; i < TOPICS; i++) {
            const struct follow *follow = &client->follows[i];
            struct span name = span_of_string(names[i]);
            uint32_t index = home_find_index(home, name, engine_name_hash(&shard()->engine, name), FORMAT_JSON);
            if (!follow->on || index == POOL_NONE) continue;
            const struct topic *topic = pool_at(&home->topics, index);
            if (log_newest_seq(&topic->log) == 0) continue;
            CHECK(follow->had && memcmp(follow->epoch, topic->epoch, EPOCH_BYTES) == 0);
            if (follow->next > 0) CHECK(follow->next == log_newest_seq(&topic->log) + 1);
        }
    }
}

/* ---- deeds --------------------------------------------------------------------------------------------------------------- */

static uint8_t take(void)
{
    if (input.size == 0) return 0;
    uint8_t byte = (uint8_t)input.bytes[0];
    input = span_skip(input, 1);
    return byte;
}

static void send_bytes(struct client *client, struct span bytes)
{
    if (client->file != SIM_NONE && sim.sockets[client->file].sent.size < 256 * 1024) text_add(&sim.sockets[client->file].sent, bytes);
}

static void send_frame(struct client *client, enum ws_opcode opcode, struct span payload)
{
    static const uint8_t mask[4] = { 0 };
    char header[WS_HEADER_BYTES_MAX];
    uint32_t bytes = ws_client_header_write(header, opcode, payload.size, mask);
    send_bytes(client, span_of(header, bytes));
    send_bytes(client, payload);
}

__attribute__((format(printf, 2, 3))) static void ask(struct client *client, const char *format, ...)
{
    char text[4096];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (client->ws && !client->closed && client->asked_count < ASKED_MAX) send_frame(client, WS_TEXT, span_of(text, (size_t)size));
}

static void connect_client(struct client *client, int owner)
{
    if (client->file != SIM_NONE) return;
    client->file = sim_connect(owner);
    client->asks_ws = client->ws = client->closed = client->raw = false;
    client->in.size = 0;
    client->asked_count = 0;
    for (uint32_t i = 0; i < TOPICS; i++) client->follows[i].on = false;
}

static void upgrade(struct client *client, uint8_t how)
{
    char head[512];
    if (client->file == SIM_NONE || client->ws || client->asks_ws || client->raw) return;
    client->raw = client->in.size > 0; /* it was answered before it asked: there are too many */
    if (client->raw) return;
    int size = snprintf(head, sizeof head, "GET /v1/ws?heartbeat_ms=%u HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nX-API-Key: " KEY "\r\n\r\n", 1000 + how * 200u);
    client->asks_ws = true;
    send_bytes(client, span_of(head, (size_t)size));
    if (sim.sockets[client->file].room == 0) sim_give_room(client->file, 4096); /* for the answer, so that it can begin */
}

static void subscribe(struct client *client, uint8_t how)
{
    struct asked asked = { .topic = how % TOPICS, .every = how & 4, .snapshot = !(how & 8), .resume = how & 16 };
    const struct follow *follow = &client->follows[asked.topic];
    char resume[128] = "", hz[32] = "";
    if (!client->ws || client->closed || client->asked_count == ASKED_MAX) return;
    asked.resume = asked.resume && follow->had && !follow->on;
    asked.seq = follow->seen;
    if (asked.resume) snprintf(resume, sizeof resume, ",\"resume\":{\"%s\":{\"epoch\":\"%.*s\",\"seq\":%llu}}", names[asked.topic], EPOCH_BYTES, follow->epoch, (unsigned long long)asked.seq);
    if (how & 32 && !asked.every) snprintf(hz, sizeof hz, ",\"max_hz\":%u", 1 + (how >> 6) * 20);
    client->asked[client->asked_count] = asked;
    ask(client, "{\"op\":\"subscribe\",\"id\":%u,\"topics\":[\"%s\"],\"mode\":\"%s\",\"snapshot\":%s%s%s}", client->asked_count, names[asked.topic], asked.every ? "every" : "latest",
        asked.snapshot ? "true" : "false", resume, hz);
    client->asked_count++;
}

static void unsubscribe(struct client *client, uint8_t how)
{
    if (!client->ws || client->closed || client->asked_count == ASKED_MAX) return;
    client->asked[client->asked_count] = (struct asked){ .topic = how % TOPICS };
    ask(client, "{\"op\":\"unsubscribe\",\"id\":%u,\"topics\":[\"%s\"]}", client->asked_count, names[how % TOPICS]);
    client->asked_count++;
}

static void publish(struct client *client, uint8_t how, uint8_t length)
{
    static const char padding[2048] = "";
    char spaces[sizeof padding];
    size_t size = (size_t)length * 8;
    memset(spaces, 'x', sizeof spaces);
    ask(client, "{\"op\":\"publish\",\"topic\":\"%s\",\"data\":{\"n\":%u,\"x\":\"%.*s\"}}", names[how % TOPICS], ++numbers, (int)(size < sizeof spaces ? size : sizeof spaces), spaces);
}

static void http(struct client *client, uint8_t how)
{
    static const char *const requests[] = {
        "GET /v1/topics/a HTTP/1.1\r\nHost: h\r\n\r\n", "POST /v1/topics/a.b HTTP/1.1\r\nHost: h\r\nX-API-Key: " KEY "\r\nContent-Length: 2\r\n\r\n{}",
        "DELETE /v1/topics/a HTTP/1.1\r\nHost: h\r\nX-API-Key: " KEY "\r\n\r\n", "GET /v1/topics/a/history?limit=10 HTTP/1.1\r\nHost: h\r\n\r\n", "GET /v1/topics?prefix=a HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST /v1/publish HTTP/1.1\r\nHost: h\r\nX-API-Key: " KEY "\r\nTransfer-Encoding: chunked\r\n\r\n1c\r\n{\"topic\":\"f\",\"data\":[1,2,3]}\n\r\n0\r\n\r\n", "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /v1/stream?topics=a,f HTTP/1.1\r\nHost: h\r\n\r\n", "GET /v1/last?topics=a,f HTTP/1.0\r\n\r\n", "GET /v1/ws?format=array&batch=1&topics=>&mode=every HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
    };
    if (client->file == SIM_NONE || client->ws || client->asks_ws) return;
    client->raw = true; /* what it is sent is not frames of ours */
    send_bytes(client, span_of_string(requests[how % (sizeof requests / sizeof requests[0])]));
}

static void send_raw(struct client *client, uint8_t length)
{
    struct span bytes = span_of(input.bytes, length < input.size ? length : input.size);
    input = span_skip(input, bytes.size);
    if (client->file == SIM_NONE || client->asks_ws != client->ws) return; /* it would change a request that is judged */
    client->raw = true;
    if (span_find_string(bytes, "key")) keyed = true;
    send_bytes(client, bytes);
}

/* One deed of the input; false: it ends this turn. */
static bool deed(void)
{
    static const int errors[] = { ENOBUFS, EAGAIN, EINTR, ENOMEM };
    uint8_t what = take();
    int owner = what / 16 % CLIENTS;
    struct client *client = &clients[owner];
    switch (what % 16) {
    case 0: connect_client(client, owner); break;
    case 1: upgrade(client, take()); break;
    case 2: case 3: subscribe(client, take()); break;
    case 4: unsubscribe(client, take()); break;
    case 5: case 6: { uint8_t how = take(); publish(client, how, take()); break; }
    case 7: send_raw(client, take()); break;
    case 8: { uint8_t bytes = take(); if (client->file != SIM_NONE) sim_deliver(client->file, bytes < 128 ? bytes + 1u : (size_t)bytes * 256, 0); break; }
    case 9: { uint8_t bytes = take(); if (client->file != SIM_NONE) sim_give_room(client->file, bytes < 64 ? bytes : (uint64_t)bytes * bytes); break; }
    case 10: sim.mono_us += (uint64_t)take() * 20000; break;
    case 11: if (client->file != SIM_NONE) sim.sockets[client->file].ended = true; break;
    case 12: if (client->file != SIM_NONE) sim_reset(client->file); break;
    case 13: if (client->file != SIM_NONE) sim_deliver(client->file, 0, errors[take() % 4]); break;
    case 14: http(client, take()); break;
    default: return false;
    }
    return sim.queue_count < SIM_COMPLETIONS / 2;
}

/* Everything that can go on does. */
static void let_go_on(void)
{
    for (int file = 0; file < SIM_SOCKETS; file++) {
        if (!sim.sockets[file].open) continue;
        sim_give_room(file, UINT32_MAX);
        sim_deliver(file, SIZE_MAX, 0);
    }
}

static void command(enum command_kind kind, int next)
{
    CHECK(shard_command(shard(), (struct command){ .kind = kind }));
    phase = next;
}

static void sim_turn(int64_t timeout_ms)
{
    struct report report;
    struct span text;
    CHECK(++turns < TURNS_MAX); /* it never comes to rest, or never ends */
    while (reports_take(&shard()->reports, &report, &text)) {}
    reports_release(&shard()->reports);
    while (phase == PHASE_INPUT && input.size > 0)
        if (!deed()) return;
    if (phase == PHASE_INPUT) phase = PHASE_REST;
    let_go_on();
    if (sim.queue_count > 0) return;
    uint64_t pass_ms = timeout_ms < 0 || timeout_ms > 1000 ? 1000 : timeout_ms == 0 ? 1 : (uint64_t)timeout_ms;
    sim.mono_us += pass_ms * 1000;
    rest_ms += pass_ms;
    if (phase == PHASE_REST && rest_ms >= REST_MS_MAX && timeout_ms != 0) {
        claim_at_rest();
        command(COMMAND_DRAIN, PHASE_DRAIN);
    } else if (phase == PHASE_DRAIN && shard()->state == SHARD_DRAINED) command(COMMAND_END, PHASE_END);
    else if (phase == PHASE_END && shard()->state == SHARD_ANSWERED) command(COMMAND_LEAVE, PHASE_LEAVE);
}

/* ---- one life ------------------------------------------------------------------------------------------------------------ */

static void set_up(void)
{
    char why[512];
    settings_default(&settings);
    settings.shards = 1;
    settings.limits_connections = 5; /* one less than there are clients */
    settings.limits_topics = 64;
    settings.limits_subscriptions = 16;
    settings.limits_patterns = 4;
    settings.limits_requests_per_second = 0;
    settings.topics_window = 20;
    settings.topics_window_bytes = 8192;
    settings.limits_memory = 1 << 20;
    settings.limits_log_bytes = 1 << 20;
    settings.auth = auth_make(&settings, KEY, why, sizeof why);
    CHECK(settings.auth);
}

static int listening_socket(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(descriptor >= 0 && bind(descriptor, (struct sockaddr *)&address, sizeof address) == 0 && listen(descriptor, 1) == 0);
    return descriptor;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct inherited inherited;
    char why[512];
    if (!settings.auth) {
        set_up();
        inherited.plain = (struct inherited_sockets){ .descriptors = { listening_socket() }, .count = 1 }; /* nobody ever connects to it */
    }
    sim_begin();
    for (int c = 0; c < CLIENTS; c++) {
        clients[c].file = SIM_NONE;
        clients[c].asks_ws = clients[c].ws = clients[c].closed = clients[c].raw = false;
        clients[c].in.size = clients[c].asked_count = 0;
        memset(clients[c].follows, 0, sizeof clients[c].follows);
    }
    memset(seen, 0, sizeof seen);
    input = span_of((const char *)data, size < 2000 ? size : 2000);
    keyed = false;
    phase = PHASE_INPUT;
    turns = numbers = 0;
    rest_ms = 0;
    CHECK(gateway_init(&gateway, &settings, NULL, &inherited, why, sizeof why) == 0);
    CHECK(gateway_start(&gateway, why, sizeof why) == 0);
    gateway_join(&gateway);
    CHECK(gateway.shards[0].conns.used == 0 && gateway.shards[0].clients_bytes == 0 && counter_read(&gateway.shards[0].counters, COUNTER_SUBSCRIPTIONS) == 0);
    for (int file = 0; file < SIM_SOCKETS; file++) CHECK(!sim.sockets[file].open);
    gateway_deinit(&gateway);
    for (int c = 0; c < CLIENTS; c++) text_free(&clients[c].in);
    return 0;
}
