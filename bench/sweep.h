/* The cheapest reader there is: it goes round its sockets and has the kernel throw away what they hold, counting
 * bytes. Nothing is copied and nothing sleeps, so a server or a floor that is measured against it pays for nobody's
 * waking. The floor and `fanout --sweep` share it, which is what makes their figures comparable. One thread. */
#ifndef BENCH_SWEEP_H
#define BENCH_SWEEP_H

#include <stdint.h>

/* Where the next bytes of a connection in TLS stand: within the header of a record, or so many before its end. */
struct sweep_record {
    uint8_t  header[5], header_bytes;
    uint16_t plain; /* what its body will have said */
    uint32_t left;
};

struct sweep {
    int      *fds;   /* -1: ended, passed over */
    uint64_t *bytes; /* received for each */
    uint32_t  count;
    uint32_t  at;    /* the next one */
    uint32_t  ended; /* closed by the peer or failed */
    uint64_t  total; /* bytes of all */
    struct sweep_record *records; /* NULL: not in TLS. Else bytes[] counts what whole records hold, by their headers: nothing is decrypted */
    uint32_t  record_spends;      /* bytes of a record that are not the sender's: type, tag, nonce */
    char     *piece;
};

/* 0 or -ENOMEM. The descriptors are put into fds[] by the owner; they stay his. */
int  sweep_init(struct sweep *sweep, uint32_t count);
void sweep_deinit(struct sweep *sweep);

/* From now on they carry TLS, each between two records: 17 bytes of a record are spent in TLS 1.3, 24 by AES-GCM in 1.2. 0 or -ENOMEM. */
int sweep_records(struct sweep *sweep, uint32_t record_spends);

/* Looks at the next `sockets` of them, going round; returns the bytes that they held. */
uint64_t sweep_some(struct sweep *sweep, uint32_t sockets);

#endif
