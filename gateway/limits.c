#include "gateway/limits.h"

#include "gateway/conn.h"

#define ROW(X, name, field, text, what, limit_code, limit_why) [LIMIT_##name] = { SETTING_limits_##field, limit_code, limit_why },
static const struct {
    int         setting;
    const char *code, *why;
} limits[] = { LIMITS(ROW, ) };
#undef ROW

const char *limit_code(enum limit limit)
{
    return limits[limit].code;
}

const char *limit_why(enum limit limit)
{
    return limits[limit].why;
}

/* Counts it, and begins its line; false: nothing is to be logged. */
static bool begin(struct shard *shard, enum limit limit, struct log_line *line)
{
    counter_add(&shard->counters, COUNTER_LIMIT_CONNECTIONS + limit, 1);
    if (!log_begin(&shard->logger, EVENT_LIMIT_CONNECTIONS + limit, line)) return false;
    log_line_number(line, "limit", setting_number(shard->settings, limits[limit].setting));
    return true;
}

const char *limit_hit(struct shard *shard, const struct conn *conn, enum limit limit)
{
    struct log_line line;
    if (begin(shard, limit, &line)) {
        char room[ADDRESS_TEXT_BYTES];
        if (conn) log_line_number(&line, "conn", conn_index(shard, conn));
        if (conn && conn_address(conn)) log_line_string(&line, "address", address_write(conn_address(conn), room));
        log_end(&shard->logger, &line);
    }
    return limits[limit].why;
}

#define REQUESTS_BURST_US (10 * RATE_SECOND_US)

enum request_verdict limit_request(struct shard *shard, struct conn *conn, uint64_t count)
{
    uint64_t per_second = shard->settings->limits_requests_per_second, now_us = shard->clock.mono_us;
    if (per_second == 0) return REQUEST_FINE;
    if (conn->requests.due_us <= now_us) conn->excess = 0;
    if (rate_take(&conn->requests, now_us, per_second, REQUESTS_BURST_US, count)) return REQUEST_FINE;
    limit_hit(shard, conn, LIMIT_REQUESTS_PER_SECOND);
    conn->excess += (uint32_t)count;
    return conn->excess > per_second ? REQUEST_ABUSE : REQUEST_EXCESS;
}

void limit_request_back(const struct shard *shard, struct conn *conn, uint64_t count)
{
    uint64_t per_second = shard->settings->limits_requests_per_second;
    if (per_second > 0) rate_give(&conn->requests, per_second, count);
}

const char *limit_hit_by(struct shard *shard, enum limit limit, struct span topic, size_t bytes)
{
    struct log_line line;
    if (begin(shard, limit, &line)) {
        log_line_text(&line, "topic", topic);
        log_line_number(&line, "bytes", bytes);
        log_end(&shard->logger, &line);
    }
    return limits[limit].why;
}
