#include "gateway/http_answer.h"

#include "core/proto/http.h"
#include "gateway/messages.h"
#include "gateway/origin.h"

enum { HEAD_BYTES = 1024 }; /* of most heads of answers; a longer one is no more than a small text grows by */

void http_add_date(struct shard *shard, struct text *head)
{
    text_add_string(head, "Date: ");
    text_add(head, http_date_at(&shard->date, shard->clock.wall_us / 1000000));
    text_add_string(head, "\r\n");
}

/* The options of Connection; an Upgrade must be named there (RFC 9110, 7.8). NULL: none. */
static const char *connection_of(uint16_t status, bool close)
{
    if (status == 426) return close ? "upgrade, close" : "upgrade";
    return close ? "close" : NULL;
}

/* Its head is small and there always; a body may be 16 MiB, far beyond what is in reserve. */
static bool has_room(struct conn *conn, size_t body_bytes)
{
    return conn->state == CONN_JOINING || body_bytes < HEAD_BYTES || text_try(&conn->out, body_bytes + HEAD_BYTES);
}

void http_answer(struct shard *shard, struct conn *conn, const struct http_answer *answer)
{
    static const char no_memory[] = "{\"error\":{\"code\":\"busy\",\"message\":\"" HTTP_NO_MEMORY_WHY "\"}}";
    struct http_answer refusal = { .status = 503, .headers = "Retry-After: 1\r\n", .body = span_of_string(no_memory), .head_only = answer->head_only, .close = true };
    if (!answer->head_only && !has_room(conn, answer->body.size)) answer = &refusal;
    struct text head = { 0 };
    bool draining = shard->state != SHARD_OPEN;
    bool close = answer->close || draining, bodiless = answer->status == 204 || answer->status == 304;
    text_print(&head, "HTTP/1.1 %u %s\r\n", answer->status, http_status_text(answer->status));
    if (!bodiless) {
        text_print(&head, "Content-Type: %s\r\nContent-Length: %zu\r\n", answer->type ? answer->type : "application/json", answer->body.size);
        if (!answer->type) text_add_string(&head, "Cache-Control: no-store\r\n");
    }
    http_add_date(shard, &head);
    origin_add_headers(shard, conn, &head);
    conn->origin = 0; /* what comes next has its own */
    if (answer->headers) text_add_string(&head, answer->headers);
    const char *connection = connection_of(answer->status, close);
    if (connection) text_print(&head, "Connection: %s\r\n", connection);
    text_add_string(&head, "\r\n");
    conn_add(shard, conn, text_span(&head));
    if (!answer->head_only && !bodiless) conn_add(shard, conn, answer->body);
    text_free(&head);
    if (close) conn_linger(shard, conn);
    else conn_deadline(shard, conn, shard->settings->deadline_idle_ms);
}

void http_error_body(struct text *text, const char *code, const char *message)
{
    text_print(text, "{\"error\":{\"code\":\"%s\",\"message\":\"", code);
    text_add_escaped(text, span_of_string(message));
    text_add_string(text, "\"}}");
}
