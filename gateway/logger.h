/* A logger: how one thread writes to the log. Each has its own; lines go to a sink that never waits.
 *
 *     struct log_line line;
 *     if (log_begin(&shard->logger, EVENT_CONNECTIONS_FULL, &line)) {
 *         log_line_number(&line, "limit", limit);
 *         log_end(&shard->logger, &line);
 *     }
 *
 * Of each kind of message a thread says so many in a second (events.h); when the second is over, suppressed=N tells of the rest. A line
 * that the sink has no room for is lost and counted, and told when there is room. Nothing is called on the path of an update. */
#ifndef GATEWAY_LOGGER_H
#define GATEWAY_LOGGER_H

#include "core/base/clock.h"
#include "core/base/counters.h"
#include "gateway/events.h"
#include "gateway/settings.h"

#define LOGGER_NO_SHARD UINT32_MAX

struct logger {
    enum log_level      level;
    enum log_format     format;
    uint32_t            shard; /* for the line; LOGGER_NO_SHARD: none */
    const struct clock *clock;
    struct counters    *counters; /* NULL: lost lines are not counted there */
    void               *context;
    bool (*sink)(void *context, struct span line); /* false: no room */
    uint64_t second_us;  /* when the current second began, by clock->mono_us */
    uint64_t suppressed; /* in it */
    uint64_t lost;       /* not told yet */
    uint64_t lost_ever;
    struct {
        uint32_t said, suppressed; /* in the current second */
    } events[EVENTS_COUNT];
};

/* Level and format, from the start and after a reload. */
void logger_adopt(struct logger *logger, const struct settings *settings);

/* False: not to be logged, or not now. Else the line is begun, and log_end() sends it. */
bool log_begin(struct logger *logger, enum event event, struct log_line *line);
void log_end(struct logger *logger, struct log_line *line);
/* The same at once, without fields or with one text. */
void log_event(struct logger *logger, enum event event);
void log_text(struct logger *logger, enum event event, const char *key, const char *value);
void log_number(struct logger *logger, enum event event, const char *key, uint64_t value);

/* Once a turn: tells what was suppressed and lost when a second is over. */
void logger_tick(struct logger *logger);
/* When it wants to be called at the latest, by clock->mono_us; UINT64_MAX: no matter. */
uint64_t logger_due_us(const struct logger *logger);

#endif
