#include "gateway/publish_lines.h"

#include "gateway/messages.h"
#include "gateway/pending.h"
#include "gateway/publish.h"
#include "gateway/request.h"

static void add_error(struct http_exchange *exchange, uint32_t line, const char *code, const char *why)
{
    if (exchange->errors++ >= PUBLISH_ERRORS_MAX) return;
    if (exchange->answer.size > 0) text_add_char(&exchange->answer, ',');
    text_print(&exchange->answer, "{\"line\":%u,\"code\":\"%s\",\"message\":\"", line, code);
    text_add_escaped(&exchange->answer, span_of_string(why));
    text_add_string(&exchange->answer, "\"}");
}

void http_line_published(struct conn *conn, uint32_t line, const struct publish_outcome *outcome)
{
    struct http_exchange *exchange = conn->exchange;
    if (!exchange || exchange->use != BODY_LINES) return; /* the body was refused meanwhile */
    if (outcome->code) add_error(exchange, line, outcome->code, outcome->why);
    else exchange->published++;
}

/* A publish that was read; false: a link is full. */
static bool publish(struct shard *shard, struct conn *conn, const struct publish_request *request, uint32_t line)
{
    struct publish_outcome outcome;
    uint32_t ticket = pending_make(shard, conn, PENDING_LINE, line);
    publish_one(shard, request, ticket, &outcome);
    if (outcome.sent) {
        pending_sent(shard, ticket, SPAN_NONE, SPAN_NONE);
        return true;
    }
    pending_drop(shard, ticket);
    if (outcome.full) {
        if (!conn_stall(shard, conn)) return false;
        outcome.code = "busy";
        outcome.why = PUBLISH_STALLED_WHY;
    }
    http_line_published(conn, line, &outcome);
    return true;
}

/* False: a link is full, and the line is to come again. */
static bool serve_line(struct shard *shard, struct conn *conn, struct span text)
{
    struct http_exchange *exchange = conn->exchange;
    uint32_t line = exchange->line + 1;
    struct request request;
    if (exchange->line_too_long) {
        add_error(exchange, line, "too_large", "the line is longer than limits.message");
    } else if (!request_blank(text)) {
        request_read_line(text, &request);
        struct publish_request asked = publish_request_of(&request, conn->credential);
        if (request.code) add_error(exchange, line, request.code, request.why);
        else if (!publish(shard, conn, &asked, line)) return false;
    }
    exchange->line = line;
    conn_unstall(conn);
    return true;
}

/* What births cost among many patterns: then it is another connection's turn. */
enum { TOIL_AT_ONCE = 16 * 1024 };

size_t publish_lines_feed(struct shard *shard, struct conn *conn, struct span piece)
{
    struct http_exchange *exchange = conn->exchange;
    size_t served = 0;
    while (served < piece.size && conn->asks < ASKS_OF_CONN_MAX && (served == 0 || shard->toil < TOIL_AT_ONCE)) {
        struct span rest = span_skip(piece, served);
        const char *end = span_find(rest, '\n');
        struct span part = span_of(rest.bytes, end ? (size_t)(end - rest.bytes) : rest.size);
        bool too_long = exchange->line_too_long || exchange->body.size + part.size > shard->settings->limits_message;
        if (too_long) exchange->body.size = 0;
        exchange->line_too_long = too_long;
        if (!end) {
            if (!too_long) text_add(&exchange->body, part);
            return piece.size;
        }
        bool collected = exchange->body.size > 0;
        size_t before = exchange->body.size;
        if (collected) text_add(&exchange->body, part);
        if (!serve_line(shard, conn, collected ? text_span(&exchange->body) : part)) {
            exchange->body.size = before; /* the part comes again */
            return served;
        }
        exchange->body.size = 0;
        exchange->line_too_long = false;
        served += part.size + 1;
    }
    return served;
}

bool publish_lines_last(struct shard *shard, struct conn *conn)
{
    struct http_exchange *exchange = conn->exchange;
    if (exchange->body.size == 0 && !exchange->line_too_long) return true;
    if (!serve_line(shard, conn, text_span(&exchange->body))) return false;
    exchange->body.size = 0;
    exchange->line_too_long = false;
    return true;
}

void publish_lines_end(struct http_exchange *exchange, struct text *answer)
{
    text_print(answer, "{\"published\":%llu,\"errors\":[", (unsigned long long)exchange->published);
    text_add(answer, text_span(&exchange->answer));
    text_add_char(answer, ']');
    if (exchange->errors > PUBLISH_ERRORS_MAX) text_print(answer, ",\"errors_not_listed\":%llu", (unsigned long long)(exchange->errors - PUBLISH_ERRORS_MAX));
    text_add_char(answer, '}');
}
