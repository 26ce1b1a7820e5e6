/* A batch of sends: staged, submitted, settled.
 *
 * A send never waits in the kernel: it takes what its socket has room for now and is over when the submit returns, in silence
 * when whole, with its exact count when not. So after send_batch_submit() each entry's result is known and the bytes may be
 * reused. Between the first send_batch_add() and the end of send_batch_submit() nothing that a piece points to may change.
 * Which flags make this true is tested at start (send_test.h). Its shard's thread only. */
#ifndef CORE_IO_SEND_BATCH_H
#define CORE_IO_SEND_BATCH_H

#include <sys/socket.h>
#include <sys/uio.h>

#include "core/io/ring.h"

#define BATCH_SENDS_MAX 256u    /* an enter for each 64 is as good as for each 256 (MEASURED.md, taught 6). When the last of 1,000 subscribers has a lone update, with 64, 256 and
                                 * 1000 against a bare loop of sends: 1.09 (0.75 to 1.33), 1.04 (0.76 to 1.20), 0.96 (0.82 to 1.25), six alternated runs: no difference */
#define BATCH_PIECES_MAX 4096u
#define BATCH_SEND_PIECES_MAX 512u /* of one send; the kernel takes 1024 */
#define BATCH_SCRATCH_BYTES (512u * 1024u)

struct send_entry {
    uint32_t file;
    uint32_t owner;  /* the caller's: which connection */
    uint32_t pieces_first, pieces_count;
    uint64_t bytes;  /* of all pieces */
    int64_t  result; /* after the submit: bytes taken, or -errno; `bytes` where it was whole */
};

struct send_batch {
    struct ring      *ring;
    struct counters  *counters;
    bool              silent; /* whole sends complete in silence (CQE_SKIP_SUCCESS) */
    uint32_t          count, pieces_count;
    size_t            scratch_used;
    const char       *copy; /* in scratch: the pieces of the entry before, where they were copied together; or NULL */
    struct send_entry entries[BATCH_SENDS_MAX];
    struct iovec      pieces[BATCH_PIECES_MAX];
    struct msghdr     messages[BATCH_SENDS_MAX];
    char              scratch[BATCH_SCRATCH_BYTES];
};

/* On the heap, as it is large; NULL: no memory. */
struct send_batch *send_batch_make(struct ring *ring, bool silent, struct counters *counters);
void               send_batch_free(struct send_batch *batch);

/* Whether there is room for one more send with as many pieces as one may have. */
static inline bool send_batch_full(const struct send_batch *batch)
{
    return batch->count == BATCH_SENDS_MAX || batch->pieces_count + BATCH_SEND_PIECES_MAX > BATCH_PIECES_MAX;
}

/* Begins a send; there must be room. */
void send_batch_begin(struct send_batch *batch, uint32_t file, uint32_t owner);
/* Adds a piece to it; the bytes are borrowed until the submit returns. */
void send_batch_add(struct send_batch *batch, const void *bytes, size_t size);
static inline uint32_t send_batch_pieces_left(const struct send_batch *batch)
{
    return BATCH_SEND_PIECES_MAX - (batch->pieces_count - batch->entries[batch->count].pieces_first);
}
/* The send that was begun: its pieces so far, from pieces_first on. */
static inline struct send_entry *send_batch_current(struct send_batch *batch)
{
    return &batch->entries[batch->count];
}
/* Takes its pieces out again, for others in their place. */
static inline void send_batch_restart(struct send_batch *batch)
{
    struct send_entry *entry = send_batch_current(batch);
    batch->pieces_count = entry->pieces_first;
    entry->pieces_count = 0;
    entry->bytes = 0;
}
/* Ends it: hands it to the ring, or forgets it where no piece was added. Returns its bytes. */
uint64_t send_batch_end(struct send_batch *batch);

/* Submits, and finds out what became of each. Completions of other operations are set aside in the ring. */
void send_batch_submit(struct send_batch *batch);
/* Makes it empty for the next. */
void send_batch_reset(struct send_batch *batch);

#endif
