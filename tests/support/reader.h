/* A reader: one simulated client, which judges what it receives by the history (tests/support/history.h).
 *
 * It holds the promises of PROTOCOL.md, "Modes", "Acknowledged", "Resuming", "Again and overlapping", against the bytes of its stream,
 * in their order:
 *   - whole text frames, each with exactly one message; an update's bytes are those that were published
 *   - each topic's seq goes on by one; else a `gap` was told, exact in from and to, or mode `latest` jumped to a key
 *   - an ack says what was so when it was asked, and the updates after it begin where it promised
 *   - of raw, which says nothing of all this: no update comes double or out of order, and at rest the newest has come
 *   - what a pattern covers is told by op:topic before its first update
 * It has two views of what it follows: as asked, which is what the program must do now, and as told, which is what the stream has
 * acknowledged so far. What can't be seen in the stream alone (was a gap needed?) is judged where it is told, by gap_judge(). */
#ifndef TESTS_SUPPORT_READER_H
#define TESTS_SUPPORT_READER_H

#include "tests/support/fault.h"
#include "tests/support/history.h"

enum { PATTERNS_KNOWN = 6 };
extern const char *const patterns_known[PATTERNS_KNOWN]; /* what clients follow here, beside names */

/* How something is to be followed. */
struct terms {
    bool   every;
    double max_hz; /* latest; 0: no limit. It is judged where it is sent: see world_pace.c */
};

/* One topic, as it is followed. */
struct followed {
    bool     on, by_name, every;
    double   max_hz;
    uint32_t life;   /* whose numbering it is */
    bool     unborn; /* op:topic is due before its first update */
    uint64_t next;   /* the seq that is due */
    uint64_t least;  /* latest: none older than this is sent any more, as a newer key takes its place */
};

struct view {
    struct followed followed[PAST_TOPICS_MAX];
    struct {
        bool     on, every;
        double   max_hz;
        uint64_t order; /* of several that cover a topic the last subscribed rules */
    } patterns[PATTERNS_KNOWN];
};

/* What the client asked, and what must become of it by the history of that moment. */
struct asked {
    enum { ASKED_TOPIC, ASKED_PATTERN, ASKED_COVERED, ASKED_END, ASKED_PATTERN_END } what;
    uint32_t        which; /* topic or pattern */
    bool            every, again, resumes, resumed;
    double          max_hz;
    uint64_t        newest;                 /* when it was asked; 0: not born */
    struct followed fresh;                  /* where it is not followed yet */
    bool            born[PAST_TOPICS_MAX];  /* what a pattern could cover at once */
    uint64_t        least[PAST_TOPICS_MAX]; /* where a mode changes from every to latest */
};

struct resume {
    const char *epoch; /* NULL: nothing is resumed */
    uint64_t    seq;
};

#define ASKED_MAX 256
struct reader {
    const struct history *history;
    enum wire_format      format;   /* of messages, once they are inflated */
    bool                  deflates; /* they may come compressed */
    struct fault         *fault;
    struct text           bytes; /* received and not yet a whole frame */
    struct text           expected;
    struct view           as_asked, as_told;
    struct asked          asked[ASKED_MAX]; /* a ring */
    uint32_t              asked_first, asked_count;
    uint64_t              updates_count, gaps_count, jumps_count;
    /* Raw tells neither topic nor seq nor anything that was acknowledged: judged by the payloads' numbers. */
    struct {
        uint32_t life, anew; /* how often it was subscribed anew: then what was sent may come again */
        uint64_t seq;
    } raw[PAST_TOPICS_MAX];
};

struct reader *reader_make(const struct history *history, enum wire_format format, struct fault *fault);
void           reader_free(struct reader *reader);

/* Whether it has room to remember what one more request needs. */
static inline bool reader_may_ask(const struct reader *reader)
{
    return reader->asked_count + PAST_TOPICS_MAX + 1 <= ASKED_MAX;
}

/* The client asks. */
void reader_subscribes(struct reader *reader, uint32_t topic, struct terms terms, bool snapshot, struct resume resume);
void reader_unsubscribes(struct reader *reader, uint32_t topic);
/* resumes: one for each topic. What it covers already is told by op:topic behind the ack, in byte order of the names. */
void reader_follows(struct reader *reader, uint32_t pattern, struct terms terms, bool snapshot, const struct resume *resumes);
void reader_unfollows(struct reader *reader, uint32_t pattern);
/* A topic is born: patterns cover it from now on. */
void reader_sees_birth(struct reader *reader, uint32_t topic);

/* Bytes came. Judges all that is whole. */
void reader_receives(struct reader *reader, struct span bytes);

/* All was sent that there is: it must have everything. */
void reader_at_rest(struct reader *reader);

/* A message of another kind than an update, as its format has it; appended to `out`. Raw has none. */
void message_add(enum wire_format format, struct span message, struct text *out);

/* A gap is told now, in a topic's newest life, of a subscription whose due seq is `from`: is it true that the window need not hold those
 * any more, and does it go on as early as it must? */
void gap_judge(const struct history *history, enum wire_format format, uint32_t topic, uint64_t from, uint64_t to, struct fault *fault);

#endif
