/* What of a home outlives the process: of each topic what a snapshot needs, with its epoch and numbering, so that who comes back resumes.
 * By one thread, before the shards run or after they have ended. */
#ifndef CORE_PUBSUB_RESTORE_H
#define CORE_PUBSUB_RESTORE_H

#include "core/pubsub/home.h"

struct kept_update {
    struct span topic;
    struct span epoch; /* EPOCH_BYTES */
    uint64_t    seq, ts_us;
    struct span data;  /* see struct update; no line break in it */
    bool        key;   /* marked */
};

/* Visits each topic's newest update; on a keyed topic the last key and all after it, oldest first, or nothing where the window does not
 * hold that key any more. Slices are borrowed for the call. */
void home_visit_kept(const struct home *home, void (*visit)(void *context, const struct kept_update *update), void *context);

/* Puts one back, each topic's in their order. False, and nothing changed: no room (limits.topics, limits.log-bytes), or it does not go
 * on where the one before ended. */
bool home_restore(struct home *home, const struct kept_update *update, uint64_t hash);

#endif
