/* One request being routed: what handlers share. Its shard's thread only. */
#ifndef GATEWAY_HTTP_CALL_H
#define GATEWAY_HTTP_CALL_H

#include "core/proto/http.h"
#include "gateway/conn.h"
#include "gateway/origin.h"

#define PARAMETERS_MAX 8

struct http_call {
    struct shard              *shard;
    struct conn               *conn;
    struct span                head;
    const struct http_request *request;
    enum origin_kind           origin;
    struct span                topic; /* of the path, decoded; SPAN_NONE */
    const char                *topic_why; /* what is wrong with it, if anything: rights are judged before it */
};

/* Answers at once; where the request has a body, after it was read and thrown away. */
void call_answer(const struct http_call *call, uint16_t status, const char *type, const char *headers, struct span body);
void call_error(const struct http_call *call, const char *code, const char *why);
/* The same with another status than the code's own, and more headers. */
void call_refuse(const struct http_call *call, uint16_t status, const char *code, const char *why, const char *headers);

/* Reads the named parameters of the query, decoded, into values (SPAN_NONE where absent); others are ignored. NULL, or what is wrong
 * (one given twice, a broken percent sign). The values lie in the shard's query text until the next request. */
const char *call_parameters(const struct http_call *call, const char *const *names, struct span *values, uint32_t count);

/* Who stays is counted at its address, also where a proxy brought it. False: there are too many from there, and that was answered. */
bool call_admitted(const struct http_call *call);

/* WebSocket endpoints. */
void http_upgrade(const struct http_call *call, enum conn_kind kind);

/* Reading and operating, one for each path. */
void http_get_newest(const struct http_call *call);
void http_get_history(const struct http_call *call);
void http_get_last(const struct http_call *call);
void http_get_names(const struct http_call *call);
void http_get_metrics(const struct http_call *call);

#endif
