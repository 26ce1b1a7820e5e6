#include "gateway/http_gather.h"

#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/reserve.h"
#include "gateway/http_answer.h"
#include "gateway/http_exchange.h"
#include "gateway/memory.h"
#include "gateway/pending.h"

struct gather *gather_make(enum gather_kind kind, uint32_t count)
{
    struct gather *gather = reserve_zeroed(1, sizeof *gather);
    gather->kind = kind;
    gather->count = count;
    gather->parts = reserve_zeroed(count, sizeof *gather->parts);
    gather->ask.bytes_max = ANSWER_BYTES_MAX;
    return gather;
}

void gather_free(struct gather *gather)
{
    for (uint32_t i = 0; i < gather->count; i++) text_free(&gather->parts[i].text);
    free(gather->parts);
    text_free(&gather->names);
    free(gather);
}

size_t gather_bytes(const struct gather *gather)
{
    size_t bytes = sizeof *gather + gather->count * sizeof *gather->parts + gather->names.capacity;
    for (uint32_t i = 0; i < gather->count; i++) bytes += gather->parts[i].text.capacity;
    return bytes;
}

void gather_topic(struct gather *gather, uint32_t part, struct span topic)
{
    gather->parts[part].name_at = (uint32_t)gather->names.size;
    gather->parts[part].name_bytes = (uint32_t)topic.size;
    text_add(&gather->names, topic);
}

static struct query_ask ask_for(const struct gather *gather, uint32_t part)
{
    struct query_ask ask = gather->ask;
    if (gather->kind == GATHER_NAMES) {
        ask.shard = part;
        ask.prefix = span_of(gather->names.bytes ? gather->names.bytes : "", gather->prefix_bytes);
        ask.after = gather->has_after ? span_of(gather->names.bytes + gather->prefix_bytes, gather->after_bytes) : SPAN_NONE;
    } else {
        ask.topic = span_of(gather->names.bytes + gather->parts[part].name_at, gather->parts[part].name_bytes);
    }
    return ask;
}

/* Writing the answer. */

/* The next "name" of a part's list, without its quotes; moves *at behind it and the comma. */
static bool next_name(const struct gather_part *part, size_t *at, struct span *name)
{
    if (*at >= part->text.size) return false;
    const char *start = part->text.bytes + *at + 1, *end = span_find(span_of(start, part->text.size - *at - 1), '"');
    *name = span_of(start, (size_t)(end - start));
    *at += name->size + 3;
    return true;
}

/* Names of all shards, each in byte order: the smallest first, up to the limit. */
static void merge_names(const struct gather *gather, struct text *answer)
{
    size_t *at = reserve_zeroed(gather->count, sizeof *at);
    struct span last = SPAN_NONE;
    bool more = false;
    text_add_string(answer, "{\"topics\":[");
    for (uint32_t given = 0;; given++) {
        struct span best = SPAN_NONE, name;
        uint32_t best_part = 0;
        for (uint32_t i = 0; i < gather->count; i++) {
            size_t looked = at[i];
            if (!next_name(&gather->parts[i], &looked, &name) || (best.bytes && span_compare(name, best) >= 0)) continue;
            best = name;
            best_part = i;
        }
        more = best.bytes != NULL;
        if (!more || given == gather->ask.limit) break;
        next_name(&gather->parts[best_part], &at[best_part], &last);
        text_add_string(answer, given > 0 ? ",\"" : "\"");
        text_add(answer, last);
        text_add_char(answer, '"');
    }
    for (uint32_t i = 0; i < gather->count; i++) more |= gather->parts[i].more;
    text_add_char(answer, ']');
    if (more && last.bytes) {
        text_add_string(answer, ",\"next\":\"");
        text_add(answer, last);
        text_add_char(answer, '"');
    }
    text_add_char(answer, '}');
    free(at);
}

static void answer_busy(struct shard *shard, struct conn *conn, const char *why)
{
    struct text body = { 0 };
    struct http_answer reply = { .status = 503, .headers = "Retry-After: 1\r\n" };
    conn->exchange->keep_alive = false; /* replies to what was asked may still come: none may meet another request */
    http_error_body(&body, "busy", why);
    reply.body = text_span(&body);
    http_exchange_end(shard, conn, &reply);
    text_free(&body);
}

static void join_last(const struct gather *gather, struct text *answer)
{
    bool first = true;
    text_add_string(answer, "{\"updates\":[");
    for (uint32_t i = 0; i < gather->count; i++) {
        if (!gather->parts[i].found) continue;
        if (!first) text_add_char(answer, ',');
        text_add(answer, text_span(&gather->parts[i].text));
        first = false;
    }
    text_add_string(answer, "]}");
}

static bool join_fits(const struct gather *gather, struct text *answer)
{
    return text_try(answer, gather->bytes + gather->count + 64);
}

static void answer(struct shard *shard, struct conn *conn)
{
    struct gather *gather = conn->exchange->gather;
    struct text body = { 0 };
    struct http_answer reply = { .status = 200 };
    if (gather->busy || (gather->kind == GATHER_LAST && gather->bytes <= ANSWER_BYTES_MAX && !join_fits(gather, &body))) {
        answer_busy(shard, conn, HTTP_NO_MEMORY_WHY);
        return;
    }
    if (gather->bytes > ANSWER_BYTES_MAX) {
        reply.status = 413;
        http_error_body(&body, "too_large", "the answer would be larger than 16 MiB: ask for fewer topics");
    } else if (gather->kind == GATHER_NAMES) {
        merge_names(gather, &body);
    } else if (gather->kind == GATHER_LAST) {
        join_last(gather, &body);
    } else if (gather->parts[0].found) {
        body = gather->parts[0].text;
        gather->parts[0].text = (struct text){ 0 };
    } else {
        reply.status = 404;
        http_error_body(&body, "not_found", "the topic has no update");
    }
    reply.body = text_span(&body);
    http_exchange_end(shard, conn, &reply);
    text_free(&body);
}

static void take_part(struct gather *gather, struct gather_part *part, const struct query_reply *reply, struct span text)
{
    part->found = reply->found;
    part->more = reply->more;
    gather->bytes += text.size;
    gather->busy |= reply->busy;
    if (text.size == 0 || gather->bytes > ANSWER_BYTES_MAX) return;
    if (text_try(&part->text, text.size)) text_add(&part->text, text);
    else gather->busy = true;
}

void gather_go_on(struct shard *shard, struct conn *conn)
{
    struct gather *gather = conn->exchange->gather;
    for (; gather->next < gather->count && conn->asks < ASKS_OF_CONN_MAX; gather->next++) {
        struct query_ask ask = ask_for(gather, gather->next);
        struct query_reply reply;
        struct text text = { 0 };
        uint32_t ticket = pending_make(shard, conn, PENDING_HTTP, gather->next);
        enum link_result result = ticket == TICKET_NONE ? LINK_FULL : engine_query(&shard->engine, &ask, ticket, &reply, &text);
        if (result == LINK_SENT) {
            pending_sent(shard, ticket, SPAN_NONE, SPAN_NONE);
            continue;
        }
        pending_drop(shard, ticket);
        if (result == LINK_DONE) take_part(gather, &gather->parts[gather->next], &reply, text_span(&text));
        text_free(&text);
        if (result == LINK_DONE) continue;
        if (conn_stall(shard, conn)) answer_busy(shard, conn, "a topic's shard has had no room for another request for a second");
        return;
    }
    conn_unstall(conn);
    if (gather->next == gather->count && conn->asks == 0) answer(shard, conn);
}

void http_part_answered(struct shard *shard, struct conn *conn, uint32_t part, const struct query_reply *reply, struct span text)
{
    if (!conn->exchange || !conn->exchange->gather) return; /* it was answered busy meanwhile */
    take_part(conn->exchange->gather, &conn->exchange->gather->parts[part], reply, text);
    gather_go_on(shard, conn);
    memory_weigh(shard, conn);
}
