/* Reading by HTTP: newest, history, several at once, names; and the metrics. See http_call.h and PROTOCOL.md. */
#include <stdlib.h>

#include "gateway/access.h"
#include "gateway/http_call.h"
#include "gateway/http_exchange.h"
#include "gateway/http_gather.h"
#include "gateway/metrics.h"
#include "gateway/publish.h"
#include "gateway/topics_asked.h"

/* A valid name that may be read; false: refused. */
static bool topic_readable(const struct http_call *call)
{
    char room[ACCESS_WHY_BYTES];
    const char *why = room, *code = access_read_fault(call->shard, call->conn, call->topic, room);
    if (!code && (why = call->topic_why)) code = "bad_topic";
    if (code) call_error(call, code, why);
    return !code;
}

/* Hands a gathering to the connection's exchange and begins it. */
static void gather_begin(const struct http_call *call, struct gather *gather)
{
    http_expect_reply(call->conn, call->request)->gather = gather;
    gather_go_on(call->shard, call->conn);
}

static void answer_one(const struct http_call *call, const struct query_ask *ask)
{
    struct gather *gather = gather_make(GATHER_ONE, 1);
    gather->ask = *ask;
    gather_topic(gather, 0, call->topic);
    gather_begin(call, gather);
}

void http_get_newest(const struct http_call *call)
{
    if (topic_readable(call)) answer_one(call, &(struct query_ask){ .kind = QUERY_NEWEST, .bytes_max = ANSWER_BYTES_MAX });
}

/* limit and, where asked for, after as a seq. NULL, or what is wrong. */
static const char *read_limit(struct span text, uint32_t *limit)
{
    uint64_t number = 100;
    if (text.bytes && !query_number(text, 1, 1000, &number)) return "limit must be from 1 to 1000";
    *limit = (uint32_t)number;
    return NULL;
}

void http_get_history(const struct http_call *call)
{
    static const char *const names[] = { "after", "limit" };
    struct span values[2];
    struct query_ask ask = { .kind = QUERY_HISTORY, .bytes_max = ANSWER_BYTES_MAX };
    const char *why = call_parameters(call, names, values, 2);
    if (!why) why = read_limit(values[1], &ask.limit);
    if (!why && values[0].bytes && !query_number(values[0], 0, UINT64_MAX, &ask.after_seq)) why = "after must be a seq, a whole number";
    if (why) call_error(call, "bad_request", why);
    else if (topic_readable(call)) answer_one(call, &ask);
}

/* The names with a prefix are read by who may read all that may have them: those of its whole tokens, and any that go on. */
static bool may_list(const struct http_call *call, struct span prefix)
{
    char why[ACCESS_WHY_BYTES], pattern[TOPIC_NAME_BYTES_MAX + 1];
    size_t size = prefix.size <= TOPIC_NAME_BYTES_MAX ? prefix.size : 0;
    while (size > 0 && prefix.bytes[size - 1] != '.') size--;
    memcpy(pattern, size > 0 ? prefix.bytes : "", size);
    pattern[size] = '>';
    const char *code = access_read_fault(call->shard, call->conn, span_of(pattern, size + 1), why);
    if (code) call_error(call, code, why);
    return !code;
}

void http_get_names(const struct http_call *call)
{
    static const char *const names[] = { "prefix", "after", "limit" };
    struct span values[3];
    struct query_ask ask = { .kind = QUERY_NAMES };
    const char *why = call_parameters(call, names, values, 3);
    if (!why && !may_list(call, values[0])) return;
    if (!why) why = read_limit(values[2], &ask.limit);
    if (why) {
        call_error(call, "bad_request", why);
        return;
    }
    struct gather *gather = gather_make(GATHER_NAMES, (uint32_t)call->shard->settings->shards);
    ask.own = access_is_admin(call->conn);
    gather->ask = ask;
    gather->has_after = values[1].bytes != NULL;
    gather->prefix_bytes = (uint32_t)values[0].size;
    gather->after_bytes = (uint32_t)values[1].size;
    text_add(&gather->names, values[0]);
    text_add(&gather->names, values[1]);
    gather_begin(call, gather);
}

void http_get_last(const struct http_call *call)
{
    static const char *const names[] = { "topics" };
    struct span topics;
    struct topics_asked asked;
    topics_asked_init(call->shard, &asked);
    const char *why = call_parameters(call, names, &topics, 1);
    if (!why && topics.size == 0) why = "topics= must name one topic or several, separated by commas";
    struct subscribe_options options = { .mode = MODE_LATEST };
    if (!why) asked.code = access_read_fault(call->shard, call->conn, SPAN_NONE, asked.why);
    if (why) call_error(call, "bad_request", why);
    else if (asked.code || !topics_asked_add_list(call->shard, &asked, topics) || !access_subscribe(call->shard, call->conn, &asked, &options)) call_error(call, asked.code, asked.why);
    else if (asked.patterns_count > 0) call_error(call, "bad_topic", "topics= takes names, no patterns");
    else {
        struct gather *gather = gather_make(GATHER_LAST, asked.count);
        gather->ask = (struct query_ask){ .kind = QUERY_NEWEST, .bytes_max = ANSWER_BYTES_MAX };
        for (uint32_t i = 0; i < asked.count; i++) gather_topic(gather, i, topics_asked_name(call->shard, &asked.list[i]));
        gather_begin(call, gather);
    }
    topics_asked_free(&asked);
}

void http_get_metrics(const struct http_call *call)
{
    char why[ACCESS_WHY_BYTES];
    const char *code = access_admin_fault(call->shard, call->conn, "/metrics", why);
    if (code) {
        call_error(call, code, why);
        return;
    }
    struct text page = { 0 };
    metrics_write(call->shard, &page);
    call_answer(call, 200, "text/plain; version=0.0.4; charset=utf-8", NULL, text_span(&page));
    text_free(&page);
}
