/* Reading by HTTP: newest, history, several at once, names; and the metrics. See http_call.h and PROTOCOL.md. */
#include <stdlib.h>

#include "core/proto/topic_name.h"
#include "gateway/http_call.h"
#include "gateway/metrics.h"
#include "gateway/publish.h"
#include "gateway/topics_asked.h"

#define ANSWER_BYTES_MAX (16u * 1024u * 1024u) /* of one answer, which is made in one piece */

/* A valid name that may be read; false: refused. */
static bool topic_readable(const struct http_call *call)
{
    const char *why = topic_name_fault(call->topic);
    if (why) call_error(call, "bad_topic", why);
    return !why;
}

static void answer_query(const struct http_call *call, struct query_ask *ask)
{
    struct query_reply reply;
    struct text answer = { 0 };
    if (engine_query(&call->shard->engine, ask, &reply, &answer) != LINK_DONE) call_error(call, "busy", "the topic's shard has no room for another request");
    else if (!reply.found) call_error(call, "not_found", "the topic has no update");
    else call_answer(call, 200, NULL, NULL, text_span(&answer));
    text_free(&answer);
}

void http_get_newest(const struct http_call *call)
{
    if (!topic_readable(call)) return;
    answer_query(call, &(struct query_ask){ .kind = QUERY_NEWEST, .topic = call->topic });
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
    struct query_ask ask = { .kind = QUERY_HISTORY, .topic = call->topic, .bytes_max = ANSWER_BYTES_MAX };
    const char *why = call_parameters(call, names, values, 2);
    if (!why) why = read_limit(values[1], &ask.limit);
    if (!why && values[0].bytes && !query_number(values[0], 0, UINT64_MAX, &ask.after_seq)) why = "after must be a seq, a whole number";
    if (why) call_error(call, "bad_request", why);
    else if (topic_readable(call)) answer_query(call, &ask);
}

void http_get_names(const struct http_call *call)
{
    static const char *const names[] = { "prefix", "after", "limit" };
    struct span values[3];
    struct query_ask ask = { .kind = QUERY_NAMES };
    const char *why = call_parameters(call, names, values, 3);
    if (!why) why = read_limit(values[2], &ask.limit);
    if (why) {
        call_error(call, "bad_request", why);
        return;
    }
    ask.prefix = values[0].bytes ? values[0] : span_of("", 0);
    ask.after = values[1];
    struct query_reply reply;
    struct text answer = { 0 };
    text_add_string(&answer, "{\"topics\":[");
    if (engine_query(&call->shard->engine, &ask, &reply, &answer) != LINK_DONE) {
        call_error(call, "busy", "the topic's shard has no room for another request");
    } else {
        text_add_char(&answer, ']');
        if (reply.more) {
            text_add_string(&answer, ",\"next\":\"");
            text_add(&answer, reply.last);
            text_add_char(&answer, '"');
        }
        text_add_char(&answer, '}');
        call_answer(call, 200, NULL, NULL, text_span(&answer));
    }
    text_free(&answer);
}

/* The newest of each topic, in the order asked; false: refused. */
static bool collect_last(const struct http_call *call, const struct topics_asked *asked, struct text *answer)
{
    bool first = true;
    for (uint32_t i = 0; i < asked->count; i++) {
        struct query_ask ask = { .kind = QUERY_NEWEST, .topic = topics_asked_name(call->shard, &asked->list[i]) };
        struct query_reply reply;
        size_t before = answer->size;
        if (!first) text_add_char(answer, ',');
        if (engine_query(&call->shard->engine, &ask, &reply, answer) != LINK_DONE) {
            call_error(call, "busy", "a topic's shard has no room for another request");
            return false;
        }
        if (!reply.found) answer->size = before;
        else first = false;
        if (answer->size > ANSWER_BYTES_MAX) {
            call_error(call, "too_large", "the answer would be larger than 16 MiB: ask for fewer topics");
            return false;
        }
    }
    return true;
}

void http_get_last(const struct http_call *call)
{
    static const char *const names[] = { "topics" };
    struct span topics;
    struct topics_asked asked;
    struct text answer = { 0 };
    topics_asked_init(call->shard, &asked);
    const char *why = call_parameters(call, names, &topics, 1);
    if (!why && topics.size == 0) why = "topics= must name one topic or several, separated by commas";
    if (why) call_error(call, "bad_request", why);
    else if (!topics_asked_add_list(call->shard, &asked, topics)) call_error(call, asked.code, asked.why);
    else if (asked.patterns_count > 0) call_error(call, "bad_topic", "topics= takes names, no patterns");
    else {
        text_add_string(&answer, "{\"updates\":[");
        if (collect_last(call, &asked, &answer)) {
            text_add_string(&answer, "]}");
            call_answer(call, 200, NULL, NULL, text_span(&answer));
        }
    }
    topics_asked_free(&asked);
    text_free(&answer);
}

void http_get_metrics(const struct http_call *call)
{
    bool closed = publish_is_on(call->shard->settings) || !call->shard->listener.loopback;
    if (closed && !(call->rights & RIGHT_ADMIN)) {
        if (call->credential) call_error(call, "forbidden", "/metrics needs the admin key");
        else call_error(call, "unauthorized", "/metrics needs the admin key (auth.admin-key), as soon as a key is set or the listener is not loopback");
        return;
    }
    struct text page = { 0 };
    metrics_write(call->shard, &page);
    call_answer(call, 200, "text/plain; version=0.0.4; charset=utf-8", NULL, text_span(&page));
    text_free(&page);
}
