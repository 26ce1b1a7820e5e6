/* What is logged: one line here for each kind of message, with its level and how many of it a thread may say in a second. */
#ifndef GATEWAY_EVENTS_H
#define GATEWAY_EVENTS_H

#include "core/base/limits.h"
#include "core/proto/log_line.h"

#define OFTEN 10   /* kinds that clients or the kernel can cause */
#define BOUNDED 1000 /* kinds that are bounded by what causes them: the number of settings, of shards, of signals */

/* A limit that was reached: "a message was refused: limits.message". */
#define LIMIT_EVENT(X, name, field, limit, what, code, why) X(LIMIT_##name, WARN, OFTEN, what ": limits." limit)

#define EVENTS(X) \
    /* the program; by the main thread */ \
    X(LISTENING, INFO, BOUNDED, "listening") \
    X(SETTING, INFO, BOUNDED, "setting differs from its default") \
    X(FILES_FEW, WARN, BOUNDED, "the limit of open files allows fewer connections than limits.connections") \
    X(VARIABLE_UNKNOWN, WARN, OFTEN, "this variable names no setting") \
    X(RELOADED, INFO, BOUNDED, "settings were read again") \
    X(RELOAD_REFUSED, ERROR, BOUNDED, "settings were not reloaded: those before stay in force") \
    X(SETTING_CHANGED, INFO, BOUNDED, "setting changed") \
    X(NEEDS_RESTART, WARN, BOUNDED, "setting needs a restart: the one before stays in force") \
    X(CERTIFICATES_CHANGED, INFO, BOUNDED, "certificates changed") \
    X(CERTIFICATES_REFUSED, ERROR, BOUNDED, "certificates were not changed: those before stay in force") \
    X(TAKEN_OVER, INFO, BOUNDED, "listening sockets were taken over from the gateway before, which has ended") \
    X(STATE_READ, INFO, BOUNDED, "the saved state was read") \
    X(STATE_WRITTEN, INFO, BOUNDED, "the state was saved") \
    X(STATE_FAILED, ERROR, BOUNDED, "the state was not saved") \
    X(DRAINING, INFO, BOUNDED, "draining") \
    X(STOPPING, WARN, BOUNDED, "ending at once: a second signal came") \
    X(ENDED, INFO, BOUNDED, "ended") \
    X(LINES_LOST, WARN, BOUNDED, "lines of the log were lost: standard error did not take them") \
    X(DEMO_FAILED, WARN, OFTEN, "the demo feed can't publish") \
    /* limits that were reached */ \
    LIMITS(LIMIT_EVENT, X) \
    /* shortage */ \
    X(LINK_FULL, WARN, OFTEN, "a request was answered busy: its topic's shard had no room for a second") \
    X(RECEIVE_STARVED, WARN, OFTEN, "receiving waits: no receive buffer is free") \
    /* the kernel */ \
    X(ACCEPT_FAILED, ERROR, OFTEN, "a connection could not be accepted") \
    /* connections that end by a fault */ \
    X(CLOSED, DEBUG, OFTEN, "a connection was closed")

enum event {
#define EVENT_ENUM(name, level, per_second, message) EVENT_##name,
    EVENTS(EVENT_ENUM)
#undef EVENT_ENUM
    EVENTS_COUNT
};

#endif
