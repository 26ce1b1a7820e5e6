/* A reader: one simulated client, which judges what it receives by the history (tests/support/history.h).
 *
 * It holds the promises of PROTOCOL.md, "Modes", "Acknowledged" and "Resuming", against the bytes of its stream, in their order:
 *   - whole text frames, each with exactly one message; an update's bytes are those that were published
 *   - each topic's seq goes on by one; else a `gap` was told, exact in from and to, or mode `latest` jumped to a key
 *   - an ack says what was so when it was asked, and the updates after it begin where it promised
 * What it can't see in the stream alone (was a gap needed?) is judged where it is told, by gap_judge(). */
#ifndef TESTS_SUPPORT_READER_H
#define TESTS_SUPPORT_READER_H

#include "tests/support/fault.h"
#include "tests/support/history.h"

/* What the client asked, and what must become of it by the history of that moment. */
struct asked {
    enum { ASKED_SUBSCRIBE, ASKED_UNSUBSCRIBE } what;
    uint32_t topic, life;
    bool     every;
    bool     again;   /* it was followed already: the position is kept */
    bool     resumed;
    uint64_t newest;  /* when it was asked; 0: not born */
    uint64_t next;    /* where its updates begin */
    uint64_t least;   /* latest: none older than this is sent any more, as a newer key takes its place */
};

/* One topic, as the stream told it so far. */
struct followed {
    bool     on, every;
    uint32_t life;   /* whose numbering it is */
    bool     unborn; /* acked without an epoch, and no op:topic came yet */
    uint64_t next;   /* the seq that is due */
    uint64_t least;  /* see struct asked */
};

#define ASKED_MAX 256
struct reader {
    const struct history *history;
    struct fault         *fault;
    struct text           bytes; /* received and not yet a whole frame */
    struct text           expected;
    struct followed       followed[PAST_TOPICS_MAX];
    bool                  asked_on[PAST_TOPICS_MAX], asked_every[PAST_TOPICS_MAX]; /* as of the newest ask, acked or not */
    struct asked          asked[ASKED_MAX]; /* a ring */
    uint32_t              asked_first, asked_count;
    uint64_t              updates_count, gaps_count, jumps_count;
};

struct reader *reader_make(const struct history *history, struct fault *fault);
void           reader_free(struct reader *reader);

/* The client asks. A fresh subscription: `resume_epoch` NULL where it resumes nothing. */
void reader_subscribes(struct reader *reader, uint32_t topic, bool every, bool snapshot, const char *resume_epoch, uint64_t resume_seq);
void reader_unsubscribes(struct reader *reader, uint32_t topic);

/* Bytes came. Judges all that is whole. */
void reader_receives(struct reader *reader, struct span bytes);

/* All was sent that there is: it must have everything. */
void reader_at_rest(struct reader *reader);

/* A gap is told now, in a topic's newest life, of a subscription whose due seq is `from`: is it true that the window need not hold those any more, and does it go on
 * as early as it must? */
void gap_judge(const struct history *history, uint32_t topic, uint64_t from, uint64_t to, struct fault *fault);

#endif
