/* Limits: one line here for each. From it follow its counter (counters.h), its event in the log (gateway/events.h), and the number of
 * its setting, which must have the same name (gateway/limits.h); why the client is told and with which code stands beside it.
 *
 * ROW(X, name, setting's field, setting's name behind "limits.", what happened, code, why), the last two as the client is told them. */
#ifndef CORE_BASE_LIMITS_H
#define CORE_BASE_LIMITS_H

#define LIMITS(ROW, X) \
    ROW(X, CONNECTIONS, connections, "connections", "a connection was refused", "busy", "limits.connections is reached") \
    ROW(X, CONNECTIONS_PER_ADDRESS, connections_per_address, "connections-per-address", "a connection was refused", "rate_limited", "this address has as many connections as limits.connections-per-address allows") \
    ROW(X, ACCEPTS_PER_SECOND, accepts_per_second, "accepts-per-second", "accepting pauses", "", "") \
    ROW(X, REQUESTS_PER_SECOND, requests_per_second, "requests-per-second", "a request was refused", "rate_limited", "more requests than limits.requests-per-second allows") \
    ROW(X, MEMORY, memory, "memory", "connections are shed", "busy", "the gateway has no memory for this now: limits.memory is reached") \
    ROW(X, HEAD, head, "head", "a request head was refused", "too_large", "the request's head is larger than limits.head") \
    ROW(X, BODY, body, "body", "a request body was refused", "too_large", "the body is larger than limits.body") \
    ROW(X, MESSAGE, message, "message", "a message was refused", "too_large", "the message is larger than limits.message") \
    ROW(X, PAYLOAD, payload, "payload", "an update was refused", "too_large", "the payload is larger than limits.payload") \
    ROW(X, ECHO_MESSAGE, echo_message, "echo-message", "a message was refused", "too_large", "the message is larger than limits.echo-message") \
    ROW(X, TOPICS, topics, "topics", "a new topic was refused", "too_many_topics", "more topics than limits.topics allows") \
    ROW(X, SUBSCRIPTIONS, subscriptions, "subscriptions", "a subscription was refused", "too_many_topics", "more subscriptions than limits.subscriptions allows") \
    ROW(X, PATTERNS, patterns, "patterns", "a pattern was refused", "too_many_topics", "more patterns than limits.patterns allows") \
    ROW(X, LOG_BYTES, log_bytes, "log-bytes", "an update was answered busy", "busy", "no memory for another update: limits.log-bytes is reached")

enum limit {
#define LIMIT_ENUM(X, name, field, text, what, code, why) LIMIT_##name,
    LIMITS(LIMIT_ENUM, )
#undef LIMIT_ENUM
    LIMITS_COUNT
};

#endif
