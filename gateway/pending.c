#include "gateway/pending.h"

#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/reserve.h"
#include "gateway/conn_parts.h"
#include "gateway/http_exchange.h"
#include "gateway/messages.h"
#include "gateway/publish.h"
#include "gateway/publish_lines.h"

#define STALL_MS_MAX 1000u /* what has waited a second is answered `busy` (DESIGN.md) */

int pendings_init(struct shard *shard)
{
    return pool_init(&shard->pendings, sizeof(struct pending), PENDINGS_MAX);
}

void pendings_deinit(struct shard *shard)
{
    pool_deinit(&shard->pendings); /* asks are answered before a shard leaves, but for what took longer than a second */
}

static struct pending *pending_at(const struct shard *shard, uint32_t ticket)
{
    return pool_at(&shard->pendings, ticket);
}

uint32_t pending_make(struct shard *shard, struct conn *conn, enum pending_kind kind, uint32_t number)
{
    uint32_t ticket = pool_take(&shard->pendings);
    if (ticket == POOL_NONE) return TICKET_NONE;
    *pending_at(shard, ticket) = (struct pending){ .conn = conn_index(shard, conn), .generation = conn->generation, .kind = (uint8_t)kind, .number = number };
    return ticket;
}

void pending_drop(struct shard *shard, uint32_t ticket)
{
    if (ticket == TICKET_NONE) return;
    free(pending_at(shard, ticket)->text);
    pool_give(&shard->pendings, ticket);
}

void pending_sent(struct shard *shard, uint32_t ticket, struct span id, struct span topic)
{
    struct pending *pending = pending_at(shard, ticket);
    conn_at(shard, pending->conn)->asks++;
    if (id.size + topic.size == 0) return;
    pending->text = reserve_resize(NULL, id.size + topic.size);
    span_write(topic, span_write(id, pending->text));
    pending->id_bytes = (uint32_t)id.size;
    pending->topic_bytes = (uint32_t)topic.size;
}

/* The connection that waits, its ask counted as over; NULL: it is gone. */
static struct conn *answered(struct shard *shard, const struct pending *pending)
{
    if (!bitset_has(&shard->live, pending->conn)) return NULL;
    struct conn *conn = conn_at(shard, pending->conn);
    if (conn->generation != pending->generation || conn->state == CONN_JOINING) return NULL;
    CHECK(conn->asks > 0);
    conn->asks--;
    return conn;
}

static struct span id_of(const struct pending *pending)
{
    return pending->id_bytes > 0 ? span_of(pending->text, pending->id_bytes) : SPAN_NONE;
}

static struct span topic_of(const struct pending *pending)
{
    return span_of(pending->text + pending->id_bytes, pending->topic_bytes);
}

static void go_on(struct shard *shard, struct conn *conn)
{
    if (conn->state != CONN_JOINING && conn->paused && !conn_must_wait(conn)) conn_resume_receiving(shard, conn);
}

static void on_published(void *context, uint32_t ticket, const struct publish_reply *reply)
{
    struct shard *shard = context;
    struct pending *pending = pending_at(shard, ticket);
    struct conn *conn = answered(shard, pending);
    if (conn) {
        struct publish_outcome outcome = { .topic = topic_of(pending), .reply = *reply };
        publish_judge(shard, &outcome);
        if (pending->kind == PENDING_PUBLISH) {
            if (conn->state == CONN_OPEN) message_published(shard, conn, id_of(pending), pending->number, &outcome);
        } else if (pending->kind == PENDING_LINE) {
            http_line_published(conn, pending->number, &outcome);
        } else {
            http_published(shard, conn, &outcome);
        }
        go_on(shard, conn);
    }
    pending_drop(shard, ticket);
}

static void on_deleted(void *context, uint32_t ticket, const struct delete_reply *reply)
{
    struct shard *shard = context;
    struct conn *conn = answered(shard, pending_at(shard, ticket));
    if (conn) {
        http_deleted(shard, conn, reply->found);
        go_on(shard, conn);
    }
    pending_drop(shard, ticket);
}

/* What a subscribe awaited has come; `behind`: not all of it. */
static void take_awaited(struct shard *shard, uint32_t ticket, bool behind)
{
    struct conn *conn = answered(shard, pending_at(shard, ticket));
    if (conn) {
        CHECK(conn->awaits > 0);
        conn->awaits--;
        conn->behind |= behind;
        go_on(shard, conn);
    }
    pending_drop(shard, ticket);
}

static void on_live(void *context, uint32_t ticket)
{
    take_awaited(context, ticket, false);
}

static void on_answered(void *context, uint32_t ticket, const struct query_reply *reply, struct span answer)
{
    struct shard *shard = context;
    const struct pending *pending = pending_at(shard, ticket);
    if (pending->kind == PENDING_LIVE) {
        take_awaited(shard, ticket, reply->more);
        return;
    }
    struct conn *conn = answered(shard, pending);
    if (conn) {
        http_part_answered(shard, conn, pending->number, reply, answer);
        go_on(shard, conn);
    }
    pending_drop(shard, ticket);
}

static void on_room(void *context)
{
    conns_unstall(context);
}

static void on_wake(void *context, uint32_t peer)
{
    struct shard *shard = context;
    shard_wake_peer(shard, peer);
}

struct engine_hooks pending_hooks(struct shard *shard)
{
    return (struct engine_hooks){ shard, on_published, on_deleted, on_answered, on_live, on_room, on_wake };
}

/* Stalling. */

bool conn_stall(struct shard *shard, struct conn *conn)
{
    uint64_t now_ms = shard_now_ms(shard);
    if (conn->stalled_ms == 0) {
        conn->stalled_ms = now_ms;
        counter_add(&shard->counters, COUNTER_REQUESTS_STALLED, 1);
    }
    if (now_ms - conn->stalled_ms >= STALL_MS_MAX) {
        conn->stalled_ms = 0;
        counter_add(&shard->counters, COUNTER_LINK_BUSY, 1);
        log_event(&shard->logger, EVENT_LINK_FULL);
        return true;
    }
    conn->stalled = true;
    bitset_add(&shard->stalled, conn_index(shard, conn));
    return false;
}

void conn_unstall(struct conn *conn)
{
    conn->stalled_ms = 0;
}

/* The one that has waited longest, or BITSET_NONE. */
static uint32_t longest_stalled(const struct shard *shard)
{
    uint32_t longest = bitset_next(&shard->stalled, 0);
    for (uint32_t index = longest; index != BITSET_NONE; index = bitset_next(&shard->stalled, index + 1))
        if (conn_at(shard, index)->stalled_ms < conn_at(shard, longest)->stalled_ms) longest = index;
    return longest;
}

static void unstall(struct shard *shard, uint32_t from, uint32_t to)
{
    for (uint32_t index = from; (index = bitset_next(&shard->stalled, index)) < to; index++) {
        struct conn *conn = conn_at(shard, index);
        bitset_remove(&shard->stalled, index);
        conn->stalled = false;
        go_on(shard, conn);
    }
}

/* The first may take all the room that there is, and has then waited least. */
void conns_unstall(struct shard *shard)
{
    uint32_t first = longest_stalled(shard);
    if (first == BITSET_NONE) return;
    unstall(shard, first, BITSET_NONE);
    unstall(shard, 0, first);
}
