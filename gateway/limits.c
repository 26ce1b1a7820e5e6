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
        if (conn) log_line_number(&line, "conn", conn_index(shard, conn));
        log_end(&shard->logger, &line);
    }
    return limits[limit].why;
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
