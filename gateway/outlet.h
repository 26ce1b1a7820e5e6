/* The outlet: standard error without ever waiting for it. The main thread's, who has signals to serve while a pipe is full.
 *
 * Lines wait in a bounded room and go out when poll() says that there is room: a write of at most PIPE_BUF bytes, always whole lines, is
 * then taken as a whole by a pipe, and lines of several processes don't mix. O_NONBLOCK would not do: it belongs to the open file, which
 * the shell and other programs share. */
#ifndef GATEWAY_OUTLET_H
#define GATEWAY_OUTLET_H

#include "core/base/text.h"

#define OUTLET_BYTES_MAX (256u * 1024u)

struct outlet {
    struct text waiting;
    size_t      sent; /* of it */
};

/* Takes whole lines. False: too much waits that can't be written now; nothing was taken. */
bool outlet_add(struct outlet *outlet, struct span lines);
/* Writes what can be written now. */
void outlet_write(struct outlet *outlet);
/* The same, waiting up to timeout_ms for all of it: before the end. */
void outlet_drain(struct outlet *outlet, int timeout_ms);
bool outlet_waits(const struct outlet *outlet);
void outlet_free(struct outlet *outlet);

#endif
