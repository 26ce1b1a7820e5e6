#include "gateway/publish_lines.h"

#include "gateway/messages.h"
#include "gateway/publish.h"
#include "gateway/request.h"

static void add_error(struct http_exchange *exchange, const char *code, const char *why)
{
    if (exchange->errors++ >= PUBLISH_ERRORS_MAX) return;
    if (exchange->answer.size > 0) text_add_char(&exchange->answer, ',');
    text_print(&exchange->answer, "{\"line\":%u,\"code\":\"%s\",\"message\":\"", exchange->line, code);
    text_add_escaped(&exchange->answer, span_of_string(why));
    text_add_string(&exchange->answer, "\"}");
}

static bool is_blank(struct span text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.bytes[i] != ' ' && text.bytes[i] != '\t' && text.bytes[i] != '\r') return false;
    return true;
}

static void serve_line(struct shard *shard, struct http_exchange *exchange, struct span line)
{
    exchange->line++;
    if (exchange->line_too_long) {
        add_error(exchange, "too_large", "the line is longer than limits.message");
        return;
    }
    if (is_blank(line)) return;
    struct request request;
    size_t end = request_read(line, &request);
    if (request.complete && !is_blank(span_skip(line, end))) request.code = "bad_json", request.why = "something stands behind the line's object";
    if (request.code) {
        add_error(exchange, request.code, request.why);
        return;
    }
    struct publish_request publish = {
        .rights = exchange->rights,
        .credential = exchange->credential,
        .topic = request_has(&request, KEY_TOPIC) ? &request.values[KEY_TOPIC] : NULL,
        .data = request_has(&request, KEY_DATA) ? &request.values[KEY_DATA] : NULL,
        .key = request_has(&request, KEY_KEY) ? &request.values[KEY_KEY] : NULL,
    };
    struct publish_outcome outcome;
    publish_one(shard, &publish, &outcome);
    if (outcome.code) add_error(exchange, outcome.code, outcome.why);
    else exchange->published++;
}

void publish_lines_feed(struct shard *shard, struct http_exchange *exchange, struct span piece)
{
    while (piece.size > 0) {
        const char *end = memchr(piece.bytes, '\n', piece.size);
        size_t bytes = end ? (size_t)(end - piece.bytes) : piece.size;
        struct span part = span_of(piece.bytes, bytes);
        if (exchange->body.size + part.size > shard->settings->limits_message) {
            exchange->line_too_long = true;
            exchange->body.size = 0;
        }
        bool collected = exchange->body.size > 0;
        if (!exchange->line_too_long && (collected || !end)) text_add(&exchange->body, part);
        if (!end) return;
        serve_line(shard, exchange, collected ? text_span(&exchange->body) : part);
        exchange->body.size = 0;
        exchange->line_too_long = false;
        piece = span_skip(piece, bytes + 1);
    }
}

void publish_lines_end(struct shard *shard, struct http_exchange *exchange, struct text *answer)
{
    if (exchange->body.size > 0 || exchange->line_too_long) serve_line(shard, exchange, text_span(&exchange->body));
    text_print(answer, "{\"published\":%llu,\"errors\":[", (unsigned long long)exchange->published);
    text_add(answer, text_span(&exchange->answer));
    text_add_char(answer, ']');
    if (exchange->errors > PUBLISH_ERRORS_MAX) text_print(answer, ",\"errors_not_listed\":%llu", (unsigned long long)(exchange->errors - PUBLISH_ERRORS_MAX));
    text_add_char(answer, '}');
}
