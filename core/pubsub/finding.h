/* Finding: which of the topics that are there a pattern covers, looked for bit by bit: so many names in each turn, since a pattern of stars
 * costs a look at each, and a request may hold a hundred patterns.
 *
 *   [ our home's names ............ | names of other homes' topics that this shard knows ...... ]      in byte order each
 *     looked at up to `after`  ->
 *
 * What is born meanwhile is added at its birth; what dies is left out by whoever reads. It begins when somebody prepares the pattern and all
 * homes have answered (pattern_interest.h), and is kept for a second after the last who did, and while others are looked for. One shard's. */
#ifndef CORE_PUBSUB_FINDING_H
#define CORE_PUBSUB_FINDING_H

#include "core/pubsub/engine.h"

#define FINDING_LOOKS_EACH_TURN 4096u /* 0.1 to 0.4 ms */
#define FINDING_BYTES_MAX (64u << 20) /* of names found, of all patterns that are being prepared in a shard */

enum finding_stage { FINDING_OURS, FINDING_OTHERS, FINDING_DONE, FINDING_REFUSED /* no memory for what it covers */ };

struct finding {
    struct text names;   /* found: of each its size in a byte, then its bytes */
    uint32_t    count;
    uint32_t    born;    /* of them, at their birth: with many of those, names of topics that are gone are many too, and it begins anew */
    uint32_t    next;    /* the next pattern with one, by index */
    uint64_t    used_us; /* when it was prepared last */
    uint64_t    listed_us; /* when it was put behind the others */
    uint8_t     stage;   /* enum finding_stage */
    bool        capped;  /* it covers more than any request may: not all were looked at */
    uint8_t     after_bytes; /* 0: none of this stage was looked at */
    char        after[TOPIC_NAME_BYTES_MAX];
};

/* Where it stands; begins it, and goes on as far as this turn allows. */
enum finding_stage finding_prepare(struct engine *engine, uint32_t pattern);
/* To its end at once; NULL: no memory for it. *made: nobody had prepared it, the caller ends it. */
const struct finding *finding_complete(struct engine *engine, uint32_t pattern, bool *made);
/* The next name; *at begins with 0. SPAN_NONE: all were given. */
struct span finding_next(const struct finding *finding, size_t *at);

/* A topic is born that the pattern covers. */
void finding_birth(struct engine *engine, uint32_t pattern, struct span topic);
/* The pattern is let go, or gone. */
void finding_end(struct engine *engine, uint32_t pattern);

/* Once a turn: goes on with those that wait, tells whoever waits for one that is done, and ends those that nobody prepared for a second. */
void finding_tick(struct engine *engine);
/* When that wants to be called; UINT64_MAX: no matter. */
uint64_t finding_due_us(const struct engine *engine);

#endif
