/* Settings: one table tells each one's name, unit, default, bounds and meaning; flags and environment variables follow it.
 *
 * Flag over variable: --limits.payload 64K, RINGCAST_LIMITS_PAYLOAD=64K. Sizes take K, M, G (powers of 1024); times take ms, s, m,
 * h, and a bare number is in the unit that the name ends in, else in seconds. Written once at start, then const. */
#ifndef GATEWAY_SETTINGS_H
#define GATEWAY_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

struct settings {
    char     listen[128];
    uint64_t shards;
    bool     demo, echo;
    char     publish_key[256], admin_key[256];
    char     origins[1024];
    uint64_t heartbeat_ms;
    uint64_t topics_window, topics_window_bytes, topics_window_age_ms, topics_ttl_ms;
    uint64_t limits_connections, limits_topics, limits_subscriptions, limits_patterns, limits_log_bytes;
    uint64_t limits_head, limits_body, limits_payload, limits_message, limits_echo_message;
    uint64_t deadline_head_ms, deadline_body_ms, deadline_idle_ms, deadline_close_ms, deadline_write_ms;
    uint64_t drain_timeout_ms;
    uint64_t socket_backlog;
};

/* Defaults, then variables of the environment, then flags. 0, or -1 with a plain sentence in `why` (which setting, what was
 * wrong, what would be right); 1: --help was asked for. argv begins with the first flag. */
int settings_read(struct settings *settings, int argc, char **argv, char *why, int why_size);

/* All settings with default and meaning, for --help. */
void settings_print(void);

#endif
