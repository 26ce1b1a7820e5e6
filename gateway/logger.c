#include "gateway/logger.h"

#include <string.h>

enum { SECOND_US = 1000000 };

static const struct {
    enum log_level level;
    uint32_t       per_second;
    const char    *message;
} events[EVENTS_COUNT] = {
#define EVENT_ROW(event_name, event_level, event_per_second, event_message) [EVENT_##event_name] = { LOG_LEVEL_##event_level, event_per_second, event_message },
    EVENTS(EVENT_ROW)
#undef EVENT_ROW
};

void logger_adopt(struct logger *logger, const struct settings *settings)
{
    logger->level = (enum log_level)settings->log_level;
    logger->format = (enum log_format)settings->log_format;
}

static void begin(const struct logger *logger, enum event event, struct log_line *line)
{
    log_line_begin(line, logger->format, logger->clock->wall_us, events[event].level, events[event].message);
    if (logger->shard != LOGGER_NO_SHARD) log_line_number(line, "shard", logger->shard);
}

/* True: it was taken. */
static bool tell_lost(struct logger *logger)
{
    struct log_line line;
    if (logger->lost == 0) return true;
    begin(logger, EVENT_LINES_LOST, &line);
    log_line_number(&line, "lines", logger->lost);
    if (!logger->sink(logger->context, log_line_end(&line))) return false;
    logger->lost = 0;
    return true;
}

void log_end(struct logger *logger, struct log_line *line)
{
    struct span bytes = log_line_end(line);
    if (tell_lost(logger) && logger->sink(logger->context, bytes)) return;
    logger->lost++;
    logger->lost_ever++;
    if (logger->counters) counter_add(logger->counters, COUNTER_LOG_LINES_LOST, 1);
}

static void end_second(struct logger *logger)
{
    for (enum event event = 0; event < EVENTS_COUNT; event++) {
        struct log_line line;
        if (logger->events[event].suppressed == 0) continue;
        begin(logger, event, &line);
        log_line_number(&line, "suppressed", logger->events[event].suppressed);
        log_end(logger, &line);
    }
    tell_lost(logger);
    memset(logger->events, 0, sizeof logger->events);
    logger->suppressed = 0;
    logger->second_us = logger->clock->mono_us;
}

void logger_tick(struct logger *logger)
{
    if (logger_due_us(logger) <= logger->clock->mono_us) end_second(logger);
}

uint64_t logger_due_us(const struct logger *logger)
{
    return logger->suppressed > 0 || logger->lost > 0 ? logger->second_us + SECOND_US : UINT64_MAX;
}

bool log_begin(struct logger *logger, enum event event, struct log_line *line)
{
    if (events[event].level > logger->level) return false;
    if (logger->clock->mono_us - logger->second_us >= SECOND_US) end_second(logger);
    if (logger->events[event].said >= events[event].per_second) {
        logger->events[event].suppressed++;
        logger->suppressed++;
        return false;
    }
    logger->events[event].said++;
    begin(logger, event, line);
    return true;
}

void log_event(struct logger *logger, enum event event)
{
    struct log_line line;
    if (log_begin(logger, event, &line)) log_end(logger, &line);
}

void log_text(struct logger *logger, enum event event, const char *key, const char *value)
{
    struct log_line line;
    if (!log_begin(logger, event, &line)) return;
    log_line_string(&line, key, value);
    log_end(logger, &line);
}

void log_number(struct logger *logger, enum event event, const char *key, uint64_t value)
{
    struct log_line line;
    if (!log_begin(logger, event, &line)) return;
    log_line_number(&line, key, value);
    log_end(logger, &line);
}
