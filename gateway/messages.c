#include "gateway/messages.h"

#include "core/base/random.h"
#include "core/proto/json.h"
#include "gateway/conn.h"
#include "gateway/publish.h"

void text_add_escaped(struct text *text, struct span raw)
{
    enum { GROWTH = 6 }; /* \u00XX */
    char *out = text_reserve(text, raw.size * GROWTH);
    text->size += json_escape(raw, out, raw.size * GROWTH);
}

void message_begin(struct shard *shard, const char *op, struct span id)
{
    shard->scratch.size = 0;
    text_print(&shard->scratch, "{\"op\":\"%s\"", op);
    if (!id.bytes) return;
    text_add_string(&shard->scratch, ",\"id\":");
    text_add(&shard->scratch, id);
}

void message_send(struct shard *shard, struct conn *conn)
{
    text_add_char(&shard->scratch, '}');
    conn_add_message(shard, conn, text_span(&shard->scratch));
}

bool message_fits(struct shard *shard, struct conn *conn, size_t bytes)
{
    enum { AROUND_BYTES = 64 }; /* the end of the message, and what frames it */
    bool sent = conn->state != CONN_JOINING && format_inflated(conn->subscriber.format) != FORMAT_RAW;
    if (text_try(&shard->scratch, bytes + AROUND_BYTES) && (!sent || text_try(&conn->out, shard->scratch.size + bytes + AROUND_BYTES))) return true;
    text_free(&shard->scratch);
    return false;
}

void message_hello(struct shard *shard, struct conn *conn)
{
    message_begin(shard, "hello", SPAN_NONE);
    text_print(&shard->scratch, ",\"version\":\"%s\",\"heartbeat_ms\":%u", RINGCAST_VERSION, conn->heartbeat_ms);
    message_send(shard, conn);
}

void message_heartbeat(struct shard *shard, struct conn *conn)
{
    if (conn->subscriber.format == FORMAT_SSE) { /* a comment: it is no event */
        conn_add(shard, conn, SPAN_LITERAL(": heartbeat\n\n"));
        conn->message_ms = shard_now_ms(shard);
        return;
    }
    message_begin(shard, "heartbeat", SPAN_NONE);
    text_print(&shard->scratch, ",\"ts\":%llu", (unsigned long long)shard->clock.wall_us);
    message_send(shard, conn);
}

static void add_topic(struct shard *shard, struct span topic)
{
    text_add_string(&shard->scratch, ",\"topic\":\"");
    text_add(&shard->scratch, topic);
    text_add_char(&shard->scratch, '"');
}

void message_topic(struct shard *shard, struct conn *conn, struct span topic, struct span epoch, uint64_t seq, struct span by, int resumed)
{
    message_begin(shard, "topic", SPAN_NONE);
    add_topic(shard, topic);
    text_print(&shard->scratch, ",\"epoch\":\"%.*s\",\"seq\":%llu", (int)epoch.size, epoch.bytes, (unsigned long long)seq);
    if (by.bytes) text_print(&shard->scratch, ",\"by\":\"%.*s\"", (int)by.size, by.bytes);
    if (resumed >= 0) text_add_string(&shard->scratch, resumed ? ",\"resumed\":true" : ",\"resumed\":false");
    message_send(shard, conn);
}

void message_gap(struct shard *shard, struct conn *conn, struct span topic, uint64_t from, uint64_t to)
{
    message_begin(shard, "gap", SPAN_NONE);
    add_topic(shard, topic);
    text_print(&shard->scratch, ",\"from\":%llu,\"to\":%llu", (unsigned long long)from, (unsigned long long)to);
    message_send(shard, conn);
}

/* When it should come back. At a drain all go at once: each gets a place of its own in the drain's time, evenly apart over all shards, in the
 * order in which they are closed. Otherwise by chance. */
static uint32_t reconnect_ms(struct shard *shard)
{
    enum { LEAST_MS = 100, SPREAD_MS_MIN = 1000 };
    uint64_t drain_ms = shard->settings->drain_timeout_ms, shards = shard->settings->shards;
    if (shard->goodbyes_due == 0) return LEAST_MS + random_below(&shard->random_state, (uint32_t)drain_ms + SPREAD_MS_MIN);
    uint64_t spread_ms = drain_ms > SPREAD_MS_MIN ? drain_ms : SPREAD_MS_MIN;
    uint64_t place = shard->goodbyes < shard->goodbyes_due ? shard->goodbyes++ : shard->goodbyes_due - 1;
    return (uint32_t)((2 * (place * shards + shard->index) + 1) * spread_ms / (2 * shard->goodbyes_due * shards));
}

void message_closing(struct shard *shard, struct conn *conn, const char *reason)
{
    message_begin(shard, "closing", SPAN_NONE);
    text_add_string(&shard->scratch, ",\"reason\":\"");
    text_add_escaped(&shard->scratch, span_of_string(reason));
    text_print(&shard->scratch, "\",\"reconnect_ms\":%u", reconnect_ms(shard));
    message_send(shard, conn);
}

void message_error(struct shard *shard, struct conn *conn, struct span id, uint32_t line, const char *code, const char *message)
{
    message_begin(shard, "error", id);
    if (line > 0) text_print(&shard->scratch, ",\"line\":%u", line);
    text_print(&shard->scratch, ",\"code\":\"%s\",\"message\":\"", code);
    text_add_escaped(&shard->scratch, span_of_string(message));
    text_add_char(&shard->scratch, '"');
    message_send(shard, conn);
    counter_add(&shard->counters, COUNTER_ERRORS_SENT, 1);
}

void message_published(struct shard *shard, struct conn *conn, struct span id, uint32_t line, const struct publish_outcome *outcome)
{
    if (outcome->code) {
        message_error(shard, conn, id, line, outcome->code, outcome->why);
        return;
    }
    if (!id.bytes) return;
    message_begin(shard, "published", id);
    publish_write_reply(&shard->scratch, ",", outcome);
    message_send(shard, conn);
}
