#include "core/io/send_batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/check.h"

/* Small pieces are copied together, as a gather costs 40 to 95 ns for each piece and the sendmsg itself 1.3 µs over a send,
 * while a copy costs 20 ns a kilobyte (MEASURED.md, "Which send" and taught 5). */
enum { COPY_BYTES_MAX = 16 * 1024, COPY_FEW_PIECES = 4, COPY_FEW_BYTES_MAX = 4 * 1024, COPY_SHARED_BYTES_MAX = 64 * 1024 };

/* The one exact combination: a short send posts its count, later ones -EAGAIN, nothing is silent but success. */
enum { SEND_FLAGS = MSG_WAITALL | MSG_DONTWAIT | MSG_NOSIGNAL };

struct send_batch *send_batch_make(struct ring *ring, bool silent, struct counters *counters)
{
    struct send_batch *batch = malloc(sizeof *batch);
    if (!batch) return NULL;
    batch->ring = ring;
    batch->silent = silent;
    batch->counters = counters;
    send_batch_reset(batch);
    return batch;
}

void send_batch_free(struct send_batch *batch)
{
    free(batch);
}

void send_batch_reset(struct send_batch *batch)
{
    batch->count = batch->pieces_count = 0;
    batch->scratch_used = 0;
    batch->copy = NULL;
}

void send_batch_begin(struct send_batch *batch, uint32_t file, uint32_t owner)
{
    CHECK(!send_batch_full(batch));
    batch->entries[batch->count] = (struct send_entry){ .file = file, .owner = owner, .pieces_first = batch->pieces_count };
}

void send_batch_add(struct send_batch *batch, const void *bytes, size_t size)
{
    struct send_entry *entry = &batch->entries[batch->count];
    CHECK(entry->pieces_count < BATCH_SEND_PIECES_MAX);
    batch->pieces[batch->pieces_count++] = (struct iovec){ (void *)(uintptr_t)bytes, size };
    entry->pieces_count++;
    entry->bytes += size;
}

/* Whether this entry is of the very pieces of the one before: a topic's subscribers who stand at the same place. */
static bool is_repeated(const struct send_batch *batch, const struct send_entry *entry)
{
    if (batch->count == 0 || entry[-1].pieces_count != entry->pieces_count || entry[-1].bytes != entry->bytes) return false;
    return memcmp(&batch->pieces[entry[-1].pieces_first], &batch->pieces[entry->pieces_first], entry->pieces_count * sizeof *batch->pieces) == 0;
}

/* Copies an entry's pieces together where that is cheaper than a gather: where they are small, or many sends share the copy. NULL: it is not. */
static const char *copied_together(struct send_batch *batch, const struct send_entry *entry)
{
    bool repeated = is_repeated(batch, entry);
    size_t most = repeated ? COPY_SHARED_BYTES_MAX : entry->pieces_count > COPY_FEW_PIECES ? COPY_BYTES_MAX : COPY_FEW_BYTES_MAX;
    if (!repeated) batch->copy = NULL;
    if (entry->bytes > most) return NULL;
    if (!batch->copy) {
        if (batch->scratch_used + entry->bytes > BATCH_SCRATCH_BYTES) return NULL;
        char *out = batch->scratch + batch->scratch_used;
        batch->copy = out;
        batch->scratch_used += entry->bytes;
        for (uint32_t i = 0; i < entry->pieces_count; i++) {
            const struct iovec *piece = &batch->pieces[entry->pieces_first + i];
            memcpy(out, piece->iov_base, piece->iov_len);
            out += piece->iov_len;
        }
    }
    counter_add(batch->counters, COUNTER_SENDS_COPIED, 1);
    return batch->copy;
}

static void prepare_gather(struct send_batch *batch, struct io_uring_sqe *sqe, const struct send_entry *entry)
{
    struct msghdr *message = &batch->messages[batch->count];
    *message = (struct msghdr){ .msg_iov = &batch->pieces[entry->pieces_first], .msg_iovlen = entry->pieces_count };
    io_uring_prep_sendmsg(sqe, (int)entry->file, message, SEND_FLAGS);
    counter_add(batch->counters, COUNTER_SENDS_GATHERED, 1);
}

uint64_t send_batch_end(struct send_batch *batch)
{
    struct send_entry *entry = &batch->entries[batch->count];
    if (entry->pieces_count == 0) return 0;
    struct io_uring_sqe *sqe = ring_sqe(batch->ring);
    const struct iovec *piece = &batch->pieces[entry->pieces_first];
    const char *copy;
    if (entry->pieces_count == 1) io_uring_prep_send(sqe, (int)entry->file, piece->iov_base, piece->iov_len, SEND_FLAGS);
    else if ((copy = copied_together(batch, entry))) io_uring_prep_send(sqe, (int)entry->file, copy, entry->bytes, SEND_FLAGS);
    else prepare_gather(batch, sqe, entry);
    sqe->flags |= IOSQE_FIXED_FILE;
    if (batch->silent) sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = token_make(OP_SEND, 0, batch->count);
    entry->result = (int64_t)entry->bytes; /* whole, unless a completion says otherwise */
    batch->count++;
    return entry->bytes;
}

void send_batch_submit(struct send_batch *batch)
{
    uint32_t awaited = batch->silent ? 0 : batch->count;
    ring_submit(batch->ring);
    struct completion completion;
    for (;;) {
        while (ring_next_fresh(batch->ring, &completion)) {
            if (token_operation(completion.token) != OP_SEND) {
                ring_set_aside(batch->ring, completion);
                continue;
            }
            CHECK(token_index(completion.token) < batch->count);
            batch->entries[token_index(completion.token)].result = completion.result;
            if (awaited > 0) awaited--;
        }
        if (awaited == 0) break;
        ring_submit(batch->ring); /* without the silence each send is waited for */
    }
    counter_add(batch->counters, COUNTER_SENDS, batch->count);
    counter_add(batch->counters, COUNTER_BATCHES, 1);
}
