/* The saved state: a file of lines with each topic's newest update, seq and epoch (on a keyed topic the last key and what follows),
 * written when the gateway ends and read when it starts, so that a restart is no new life of any topic.
 *
 *   {"topic":"AAPL","epoch":"k3J9aQ0z","seq":1042,"ts":1763812345679313,"data":{…}}        "key":true on a marked one
 * By the main thread, before the shards run or after they have ended. */
#ifndef GATEWAY_SAVED_H
#define GATEWAY_SAVED_H

#include "gateway/gateway.h"

struct saved_count {
    uint64_t topics, updates;
    uint64_t skipped; /* lines that could not be put back */
    uint64_t skipped_first; /* the first of those; 0: none */
};

/* A file that is not there is an empty one. 0, or -1 with a plain sentence: it can't be read. A line that can't be put back is skipped. */
int saved_read(struct gateway *gateway, const char *path, struct saved_count *count, char *why, size_t why_size);
/* Whole or not at all: it takes the place of the file before when it is complete and on the disk. 0, or -1 with a plain sentence. */
int saved_write(const struct gateway *gateway, const char *path, struct saved_count *count, char *why, size_t why_size);

#endif
