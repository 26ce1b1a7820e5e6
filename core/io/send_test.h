/* The start-up test of the send flags: whether this kernel answers a send that fills its socket with the exact count. */
#ifndef CORE_IO_SEND_TEST_H
#define CORE_IO_SEND_TEST_H

#include "core/io/ring.h"

enum send_exactness {
    SENDS_EXACT,   /* whole sends may be silent */
    SENDS_COUNTED, /* the silence can't be trusted here: each send is to have its completion */
    SENDS_UNTESTED /* no loopback socket could be had: as COUNTED */
};

/* Fills a loopback TCP socket of its own through the ring, in silence, and counts what arrived. Takes about a millisecond. */
enum send_exactness send_test(struct ring *ring);

#endif
