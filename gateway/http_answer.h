/* HTTP answers: status, headers, body, in one piece into what the connection has to send. Its shard's thread only. */
#ifndef GATEWAY_HTTP_ANSWER_H
#define GATEWAY_HTTP_ANSWER_H

#include "gateway/conn.h"

struct http_answer {
    uint16_t    status;
    const char *type;    /* of the body; NULL: application/json */
    const char *headers; /* more of them, each ended by CRLF; NULL: none */
    struct span body;
    bool        head_only; /* the request was HEAD: all but the body */
    bool        close;     /* the last answer of this connection */
};

/* The line `Date: …`, now. */
void http_add_date(struct shard *shard, struct text *head);

#define HTTP_NO_MEMORY_WHY "the system has no memory for this answer now"

/* Queues it; where it is the last one, the connection lingers. Where there is no memory for a large one, 503 and the end take its place. */
void http_answer(struct shard *shard, struct conn *conn, const struct http_answer *answer);

/* {"error":{"code":…,"message":…}} into a text. */
void http_error_body(struct text *text, const char *code, const char *message);

#endif
