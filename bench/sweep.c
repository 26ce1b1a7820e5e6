/* See sweep.h. */
#include "bench/sweep.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>

#define AT_ONCE     (1u << 20)   /* bytes thrown away by one call */
#define PIECE_BYTES (256u << 10) /* looked at by one call */

int sweep_init(struct sweep *sweep, uint32_t count)
{
    *sweep = (struct sweep){ .count = count };
    sweep->fds = malloc((count + 1) * sizeof *sweep->fds);
    sweep->bytes = calloc(count + 1, sizeof *sweep->bytes);
    if (!sweep->fds || !sweep->bytes) {
        sweep_deinit(sweep);
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < count; i++) sweep->fds[i] = -1;
    return 0;
}

void sweep_deinit(struct sweep *sweep)
{
    free(sweep->fds);
    free(sweep->bytes);
    free(sweep->records);
    free(sweep->piece);
    *sweep = (struct sweep){ 0 };
}

int sweep_records(struct sweep *sweep, uint32_t record_spends)
{
    sweep->records = calloc(sweep->count + 1, sizeof *sweep->records);
    sweep->piece = malloc(PIECE_BYTES);
    sweep->record_spends = record_spends;
    return sweep->records && sweep->piece ? 0 : -ENOMEM;
}

/* Bytes that the records hold which end in this piece. */
static uint64_t count_records(struct sweep_record *record, uint32_t spends, const char *piece, size_t size)
{
    uint64_t held = 0;
    while (size > 0) {
        if (record->left == 0) {
            record->header[record->header_bytes++] = (uint8_t)*piece++;
            size--;
            if (record->header_bytes < sizeof record->header) continue;
            record->left = (uint32_t)record->header[3] << 8 | record->header[4];
            bool data = record->header[0] == 23 && record->left > spends;
            record->plain = data ? (uint16_t)(record->left - spends) : 0;
            record->header_bytes = 0;
            continue;
        }
        size_t passed = size < record->left ? size : record->left;
        piece += passed;
        size -= passed;
        record->left -= (uint32_t)passed;
        if (record->left == 0) held += record->plain;
    }
    return held;
}

uint64_t sweep_some(struct sweep *sweep, uint32_t sockets)
{
    static char unused[AT_ONCE]; /* MSG_TRUNC throws away without touching it */
    uint64_t got_bytes = 0;
    if (sockets > sweep->count) sockets = sweep->count;
    for (; sockets > 0; sockets--) {
        uint32_t at = sweep->at;
        sweep->at = at + 1 == sweep->count ? 0 : at + 1;
        if (sweep->fds[at] < 0) continue;
        ssize_t got = sweep->records ? recv(sweep->fds[at], sweep->piece, PIECE_BYTES, MSG_DONTWAIT)
                                     : recv(sweep->fds[at], unused, AT_ONCE, MSG_TRUNC | MSG_DONTWAIT);
        if (got > 0) {
            uint64_t held = sweep->records ? count_records(&sweep->records[at], sweep->record_spends, sweep->piece, (size_t)got) : (uint64_t)got;
            sweep->bytes[at] += held;
            got_bytes += held;
        } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            sweep->fds[at] = -1;
            sweep->ended++;
        }
    }
    sweep->total += got_bytes;
    return got_bytes;
}
