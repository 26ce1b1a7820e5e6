#include "gateway/http_answer.h"

#include "core/proto/http.h"
#include "gateway/messages.h"
#include "gateway/origin.h"

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

void http_answer(struct shard *shard, struct conn *conn, const struct http_answer *answer)
{
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
    if (!answer->head_only && !bodiless) text_add(&head, answer->body);
    conn_add(shard, conn, text_span(&head));
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
