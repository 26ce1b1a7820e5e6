/* Settings: one table tells each one's name, unit, default, bounds, whether it may change while the gateway runs, and its meaning.
 * The struct, flags, variables, the file, --help, the example file and `ringcast check` follow it: a new setting is one line.
 *
 * Sizes take K, M, G (powers of 1024); times take ms, s, m, h, and a bare number is in the unit that the name ends in, else in
 * seconds. A version of the settings is const once the shards know it; the main thread makes the next one (reload.h). */
#ifndef GATEWAY_SETTINGS_H
#define GATEWAY_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/text.h"

/* A secret is a text that is never printed. A list is a text with commas; origins are one of scheme://host:port; networks are one of networks in CIDR form. */
enum setting_kind { KIND_FLAG, KIND_ADDRESS, KIND_TEXT, KIND_LIST, KIND_ORIGINS, KIND_NETWORKS, KIND_SECRET, KIND_COUNT, KIND_BYTES, KIND_TIME, KIND_LOG_LEVEL, KIND_LOG_FORMAT, KIND_PROXY_PROTOCOL };

/* Whether connections from trusted proxies begin with the header of the PROXY protocol. */
enum proxy_protocol { PROXY_PROTOCOL_OFF, PROXY_PROTOCOL_ACCEPT, PROXY_PROTOCOL_REQUIRE };
#define NETWORKS_MAX 64 /* of one setting */

/* Whether a reload takes it: not before a restart; up to so many times its value at the start (once: or to its default, where that is more); always. */
enum { AT_START = 0, UP_TO_START = 1, UP_TO_TWICE = 2, ANY_TIME = 255 };

#define KIB UINT64_C(1024)
#define MIB (KIB * KIB)
#define HOURS UINT64_C(3600000)

/* Kind, field, name, default, least and most (of a number; most of a text: its bytes), change, meaning. Those without a dot come
 * first, and those of one section together. */
#define SETTINGS(X) \
    X(ADDRESS, listen, "listen", "127.0.0.1:8080", 0, 127, AT_START, "address and port for http and ws; [::1]:8080 for IPv6") \
    X(ADDRESS, tls_listen, "tls-listen", "", 0, 127, AT_START, "address and port for https and wss; none: TLS is not served") \
    X(LIST, cert, "cert", "", 0, 1023, ANY_TIME, "files of certificates in PEM, each with those between it and its authority; of several the name that is asked for chooses, the first serves all others") \
    X(LIST, key, "key", "", 0, 1023, ANY_TIME, "files of their keys in PEM, in the same order") \
    X(TEXT, client_ca, "client-ca", "", 0, 1023, ANY_TIME, "file of authorities in PEM: clients of tls-listen are asked for a certificate by one, which may do what its name's line in auth.keys says, or publish where that is not set; none: nobody is asked") \
    X(TEXT, state, "state", "", 0, 1023, AT_START, "file that keeps each topic's newest update, seq and epoch across a restart: written at the end, read at the start; none: topics begin anew") \
    X(TEXT, handover, "handover", "", 0, 107, AT_START, "Unix socket by which the next gateway takes over the listening sockets of this one, which then drains and ends; none: it is not offered") \
    X(COUNT, shards, "shards", "0", 0, 64, AT_START, "shard threads; 0: as many as CPUs may be used") \
    X(FLAG, demo, "demo", "false", 0, 0, AT_START, "publish a synthetic demo feed") \
    X(FLAG, echo, "echo", "false", 0, 0, AT_START, "serve /v1/echo, for conformance tests") \
    X(COUNT, trace, "trace", "0", 0, 1000000000, AT_START, "for measuring: of each topic every so many updates one is given a time stamp wherever it passes, told once a second in $sys.trace.0 and so on, one topic a shard; 0: none") \
    X(FLAG, compression, "compression", "true", 0, 0, ANY_TIME, "agree to permessage-deflate where a WebSocket client offers it") \
    X(ORIGINS, origins, "origins", "", 0, 1023, ANY_TIME, "foreign origins whose pages may connect, separated by commas") \
    X(TIME, heartbeat_ms, "heartbeat-ms", "25s", 1000, 60000, ANY_TIME, "silence after which a heartbeat is sent, unless the client names its own") \
    X(PROXY_PROTOCOL, proxy_protocol, "listen.proxy-protocol", "off", 0, 0, ANY_TIME, "whether proxies.trusted begin with a PROXY header: they may (accept), or all must and nobody else may connect (require)") \
    X(FLAG, shards_pin, "shards.pin", "true", 0, 0, AT_START, "keep each shard on a CPU of its own, where there is exactly one shard for each CPU that may be used; false: the kernel moves them, as it is best beside real-time or other pinned work") \
    X(COUNT, compression_cpu, "compression.cpu", "25", 1, 100, ANY_TIME, "percent of its time that a shard may spend on compressing updates well; beyond it they are compressed in haste") \
    X(BYTES, compression_threshold, "compression.threshold", "80", 0, MIB, ANY_TIME, "a message below it goes out uncompressed") \
    X(NETWORKS, proxies_trusted, "proxies.trusted", "", 0, 1023, ANY_TIME, "proxies that are believed whom they speak for (X-Forwarded-For, PROXY protocol)") \
    X(SECRET, publish_key, "auth.publish-key", "", 0, 255, ANY_TIME, "the API key that may publish; none: publishing is off") \
    X(SECRET, admin_key, "auth.admin-key", "", 0, 255, ANY_TIME, "the API key that may do all, /metrics included") \
    X(FLAG, auth_required, "auth.required", "false", 0, 0, ANY_TIME, "reading needs a right too, and a connection must show a key or token within deadline.auth-ms") \
    X(TEXT, auth_keys, "auth.keys", "", 0, 1023, ANY_TIME, "file of further API keys, a line each: name:sha256:rights, as in feed:9f86…:sub=AAPL,crypto.* pub=chat.> max_hz=10, or admin; certificates of clients have their name's") \
    X(SECRET, jwt_secret, "auth.jwt-secret", "", 0, 511, ANY_TIME, "the secret of tokens (JWT) by HS256, of 32 bytes at least") \
    X(TEXT, jwt_key, "auth.jwt-key", "", 0, 1023, ANY_TIME, "file of a public key in PEM, for tokens by RS256, ES256 or EdDSA") \
    X(TEXT, jwks, "auth.jwks", "", 0, 1023, ANY_TIME, "file of public keys as a JSON Web Key Set, told apart by kid") \
    X(TEXT, jwt_issuer, "auth.jwt-issuer", "", 0, 255, ANY_TIME, "the iss that a token must have; none: any") \
    X(TEXT, jwt_audience, "auth.jwt-audience", "", 0, 255, ANY_TIME, "the aud that a token must have or name among others; none: it must have none") \
    X(TIME, jwt_skew_ms, "auth.jwt-skew", "30s", 0, 10 * 60000, ANY_TIME, "how far the clock of who makes tokens may be off ours") \
    X(TEXT, revoked, "auth.revoked", "", 0, 1023, ANY_TIME, "file of the ids (jti) of tokens that count no more, one a line") \
    X(COUNT, topics_window, "topics.window", "1000", 1, 1000000000, ANY_TIME, "updates that a topic keeps at least, as far as bytes and age allow") \
    X(BYTES, topics_window_bytes, "topics.window-bytes", "1M", 1024, 64 * KIB * MIB, ANY_TIME, "bytes that a topic keeps at most, give or take a segment") \
    X(TIME, topics_window_age_ms, "topics.window-age", "5m", 1000, 24 * 365 * HOURS, ANY_TIME, "age after which an update need not be kept") \
    X(TIME, topics_ttl_ms, "topics.ttl", "24h", 1000, 24 * 365 * HOURS, ANY_TIME, "a topic is forgotten so long after its newest update and its last follower") \
    X(COUNT, limits_connections, "limits.connections", "16000", 1, 1000000, UP_TO_TWICE, "connections in all, also bounded by the limit of open files") \
    X(COUNT, limits_connections_per_address, "limits.connections-per-address", "1000", 0, 1000000, ANY_TIME, "connections of one address but loopback and trusted proxies; 0: no limit") \
    X(COUNT, limits_ipv6_prefix, "limits.ipv6-prefix", "64", 1, 128, ANY_TIME, "bits of an IPv6 address that make one address for that limit") \
    X(COUNT, limits_accepts_per_second, "limits.accepts-per-second", "20000", 0, 1000000, ANY_TIME, "new connections a second, the others wait; 0: no limit") \
    X(COUNT, limits_requests_per_second, "limits.requests-per-second", "1000", 0, 1000000, ANY_TIME, "requests of one connection but publishing, with bursts of ten seconds' worth; a compressed message counts one more for each 16 KiB begun; 0: no limit") \
    X(COUNT, limits_handshakes_per_turn, "limits.handshakes-per-turn", "8", 1, 10000, ANY_TIME, "steps of TLS handshakes that a shard takes before it serves those who are in again; the others wait") \
    X(BYTES, limits_memory, "limits.memory", "256M", MIB, 1024 * KIB * MIB, ANY_TIME, "memory for what clients have not sent or taken whole: messages, bodies, replies") \
    X(COUNT, limits_topics, "limits.topics", "1000000", 1, 10000000, AT_START, "topics in all") \
    X(COUNT, limits_subscriptions, "limits.subscriptions", "10000", 1, 1000000, ANY_TIME, "subscriptions of one connection, those that its patterns cover among them") \
    X(COUNT, limits_patterns, "limits.patterns", "100", 0, 100000, ANY_TIME, "patterns of one connection") \
    X(BYTES, limits_log_bytes, "limits.log-bytes", "1G", MIB, 1024 * KIB * MIB, ANY_TIME, "memory for the logs of all topics") \
    X(BYTES, limits_head, "limits.head", "16K", 1024, MIB, ANY_TIME, "an HTTP request line with its headers") \
    X(BYTES, limits_body, "limits.body", "8M", 1024, 1024 * MIB, ANY_TIME, "an HTTP request body") \
    X(BYTES, limits_payload, "limits.payload", "64K", 16, 64 * MIB, UP_TO_START, "an update's payload") \
    X(BYTES, limits_message, "limits.message", "1M", 128, 64 * MIB, ANY_TIME, "a WebSocket message to /v1/ws") \
    X(BYTES, limits_echo_message, "limits.echo-message", "16M", 128, 256 * MIB, ANY_TIME, "a WebSocket message to /v1/echo") \
    X(TIME, deadline_head_ms, "deadline.head-ms", "10s", 10, HOURS, ANY_TIME, "for a request head to be complete") \
    X(TIME, deadline_handshake_ms, "deadline.handshake-ms", "10s", 10, HOURS, ANY_TIME, "for a TLS handshake to be over") \
    X(TIME, deadline_body_ms, "deadline.body-ms", "1m", 10, HOURS, ANY_TIME, "for a request body to be complete, and for one that was refused to be heard out") \
    X(TIME, deadline_auth_ms, "deadline.auth-ms", "10s", 10, HOURS, ANY_TIME, "for a connection to show a key or token, where auth.required") \
    X(TIME, deadline_idle_ms, "deadline.idle-ms", "75s", 10, HOURS, ANY_TIME, "for the next request on a kept connection") \
    X(TIME, deadline_close_ms, "deadline.close-ms", "3s", 10, HOURS, ANY_TIME, "for the peer's part of a closing handshake; an eighth of it lies between a close frame that no answer is read to and the end") \
    X(TIME, deadline_write_ms, "deadline.write-ms", "2m", 100, HOURS, ANY_TIME, "for a peer with a full socket to take anything") \
    X(TIME, drain_timeout_ms, "drain.timeout", "10s", 0, HOURS, ANY_TIME, "after SIGTERM, for connections to go") \
    X(BYTES, socket_backlog, "socket.backlog", "16K", 4096, MIB, AT_START, "bytes not yet on the wire that a socket may hold (TCP_NOTSENT_LOWAT)") \
    X(LOG_LEVEL, log_level, "log.level", "info", 0, 0, ANY_TIME, "the least severe that is logged to standard error: debug tells of each connection closed by a fault") \
    X(LOG_FORMAT, log_format, "log.format", "logfmt", 0, 0, ANY_TIME, "how a line of the log is written")

#define SETTING_FIELD_FLAG(field, most) bool field;
#define SETTING_FIELD_TEXT(field, most) char field[(most) + 1];
#define SETTING_FIELD_NUMBER(field, most) uint64_t field;
#define SETTING_FIELD_ADDRESS SETTING_FIELD_TEXT
#define SETTING_FIELD_LIST SETTING_FIELD_TEXT
#define SETTING_FIELD_ORIGINS SETTING_FIELD_TEXT
#define SETTING_FIELD_NETWORKS SETTING_FIELD_TEXT
#define SETTING_FIELD_SECRET SETTING_FIELD_TEXT
#define SETTING_FIELD_COUNT SETTING_FIELD_NUMBER
#define SETTING_FIELD_BYTES SETTING_FIELD_NUMBER
#define SETTING_FIELD_TIME SETTING_FIELD_NUMBER
#define SETTING_FIELD_LOG_LEVEL SETTING_FIELD_NUMBER
#define SETTING_FIELD_LOG_FORMAT SETTING_FIELD_NUMBER
#define SETTING_FIELD_PROXY_PROTOCOL SETTING_FIELD_NUMBER
#define SETTING_FIELD(kind, field, name, preset, least, most, change, help) SETTING_FIELD_##kind(field, most)
struct auth;
struct settings {
    SETTINGS(SETTING_FIELD)
    uint64_t version; /* counts up with each reload that changed something */
    const struct auth *auth; /* what the settings auth.* and their files come to; the version's own. NULL until control made it */
};

#define SETTING_INDEX(kind, field, name, preset, least, most, change, help) SETTING_##field,
enum setting_index { SETTINGS(SETTING_INDEX) SETTINGS_COUNT };

struct setting {
    const char       *name;
    enum setting_kind kind;
    uint8_t           change;
    size_t            offset, size; /* in struct settings */
    uint64_t          least, most;
    const char       *preset;
    const char       *help;
};
extern const struct setting settings_table[SETTINGS_COUNT];

/* All at their defaults. */
void settings_default(struct settings *settings);
/* The index of a setting by its name; -1: there is none. */
int setting_find(const char *name);
/* The name that is nearest (Levenshtein); NULL: none is near. */
const char *setting_nearest(const char *name);
/* RINGCAST_LIMITS_PAYLOAD for limits.payload. */
void setting_variable(const char *name, char *variable, size_t size);

/* Sets one from its text. False: nothing changed, and `why` goes on a sentence that begins with what was set, as in ' is "x"; it must
 * be a whole number from 1 to 64'. A secret is not quoted. Lists: `more` appends. */
bool setting_read(struct settings *settings, int index, const char *text, bool more, char *why, size_t why_size);
/* Appends its value as it would be read again; of a secret only "(set)". Nothing for an empty text. */
void setting_write(const struct settings *settings, int index, struct text *text);
/* Appends what would be right: "a time from 1s to 1m, such as 500ms, 10s, 5m or 1h". */
void setting_right(int index, struct text *text);
bool setting_equals(const struct settings *a, const struct settings *b, int index);
void setting_copy(struct settings *to, const struct settings *from, int index);
/* The value of one that is a number. */
uint64_t setting_number(const struct settings *settings, int index);
/* A reload may set it so, after a start with the value that `start` holds. */
bool setting_may_become(const struct settings *start, const struct settings *next, int index);
/* Of one that a reload takes up to some value: which. */
uint64_t setting_most(const struct settings *start, int index);

#endif
