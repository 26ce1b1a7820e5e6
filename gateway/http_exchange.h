/* An HTTP exchange: from the bytes of a request to its answer. Heads and bodies that are incomplete are kept here, on the heap;
 * a request that lies whole in a receive buffer needs none of it. Its shard's thread only. */
#ifndef GATEWAY_HTTP_EXCHANGE_H
#define GATEWAY_HTTP_EXCHANGE_H

#include "core/proto/http.h"
#include "core/proto/topic_name.h"
#include "gateway/conn.h"
#include "gateway/limits.h"

/* What a body is for. */
enum body_use {
    BODY_DISCARD, /* read and thrown away; then the answer that stands ready is given */
    BODY_PUBLISH, /* one payload */
    BODY_LINES,   /* many, one request a line, served as they come */
    BODY_NONE,    /* there is none: the answer is gathered, or comes from another shard */
};

/* What the answer will need of the head, which is gone when the body has come. */
struct http_exchange {
    struct text         head;      /* of an incomplete head */
    bool                in_body;
    bool                chunked;
    struct http_chunked chunks;
    uint64_t            left;      /* of a body with a length */
    uint64_t            body_bytes; /* came so far */
    enum body_use       use;
    bool                keep_alive, head_only, key;
    uint16_t            status;    /* DISCARD: of the answer */
    struct text         answer;    /* DISCARD: its body; LINES: the errors */
    const char         *type, *headers; /* DISCARD: of the answer, literals; or NULL */
    struct text         body;      /* PUBLISH: what came; LINES: of a line that is incomplete */
    char                topic[TOPIC_NAME_BYTES_MAX]; /* PUBLISH: decoded, valid */
    uint32_t            topic_bytes;
    uint32_t            line;      /* LINES: counted from 1 */
    bool                line_too_long;
    uint64_t            published, errors;
    bool                ended;     /* the body has come as a whole: the answer is due */
    struct text         rest;      /* LINES: what could not be served yet */
    struct gather      *gather;    /* NONE: what is gathered; or NULL */
};

/* Consumes bytes up to the end of one head, or some of a body; serves what is complete. Returns how many: at least one. */
size_t http_feed(struct shard *shard, struct conn *conn, char *bytes, size_t size);
void   http_exchange_free(struct conn *conn);
/* Ends the exchange with this answer; whether it has a body and is the last one follows from the request. */
struct http_answer;
void   http_exchange_end(struct shard *shard, struct conn *conn, struct http_answer *answer);

/* The deadline for a head, a body or the next request has passed. */
void http_on_deadline(struct shard *shard, struct conn *conn);
/* A limit is reached by the connection as such: it is told so, and goodbye. */
void http_refuse(struct shard *shard, struct conn *conn, enum limit limit);
/* Its address is known: refuses it where it may not come in. */
void http_admit(struct shard *shard, struct conn *conn);
/* The same of one that has yet to shake hands: what it may not is told after that, or it ends at once. */
void http_admit_later(struct shard *shard, struct conn *conn);
/* It speaks plain HTTP where TLS is spoken. */
void http_refuse_plain(struct shard *shard, struct conn *conn);
/* Memory that its exchange holds. */
size_t http_exchange_bytes(const struct conn *conn);

/* Its answer waits for other shards: nothing more of the connection is to be consumed. */
bool http_awaits(const struct conn *conn);
/* Something that came is not served yet; http_go_on() goes on with it. */
bool http_rest_waits(const struct conn *conn);
void http_go_on(struct shard *shard, struct conn *conn);

/* Replies of other shards. */
struct publish_outcome;
struct query_reply;
void http_published(struct shard *shard, struct conn *conn, const struct publish_outcome *outcome);
void http_line_published(struct conn *conn, uint32_t line, const struct publish_outcome *outcome);
void http_deleted(struct shard *shard, struct conn *conn, bool found);
void http_part_answered(struct shard *shard, struct conn *conn, uint32_t part, const struct query_reply *reply, struct span text);

/* A request without a body whose answer is not there at once. */
struct http_exchange *http_expect_reply(struct conn *conn, const struct http_request *request);

/* A request without a body that waits for other shards, and is then served again from its head. */
void http_expect_again(struct conn *conn, struct span head);

/* A body is to be read before the answer; by the routes. The exchange is made here. */
struct http_exchange *http_expect_body(struct shard *shard, struct conn *conn, const struct http_request *request, enum body_use use);

#endif
