/* The demo feed of `--demo`: some thirty invented instruments, a few hundred updates a second in all, published over
 * the gateway's own port by an ordinary WebSocket client with the ordinary key. Each payload says "synthetic":true. */
#ifndef GATEWAY_DEMO_H
#define GATEWAY_DEMO_H

#include "gateway/reports.h"
#include "gateway/settings.h"

/* Starts the feed's thread; it connects when the listener answers and comes back by itself when the connection is lost.
 *   settings         where it listens, a key that may publish, how to log; copied
 *   reports          for its log; borrowed until demo_stop
 *   returns          0 or -errno. Not again before demo_stop.
 *   thread           main; all signals are blocked in the feed's thread */
int demo_start(const struct settings *settings, struct reports *reports);

/* Ends the feed and joins its thread, within some 100 ms whatever the gateway does. Without demo_start it does
 * nothing. */
void demo_stop(void);

#endif
