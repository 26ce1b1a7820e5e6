/* The flush of a connection over TLS: what it has to say is sealed when it is staged, so its cursors move then. What the socket did not
 * take of the ciphertext is kept, exactly, and goes out before all else. See fanout_parts.h. */
#include "gateway/conn_parts.h"
#include "gateway/fanout_parts.h"

/* How much plaintext may be sealed for it now: at most two records are not known to be taken, and one where it was short last time
 * (DESIGN.md, "Sending, exactly"). */
static size_t room_for(const struct conn *conn)
{
    const struct tls_session *session = &conn->tls->session;
    bool waits = tls_session_unsent(session).size > 0;
    if (session->closed || session->state == TLS_SHAKING || session->state == TLS_BROKEN) return 0;
    if (tls_session_unsent(session).size >= TLS_RECORD_BYTES_MAX) return 0;
    return waits || conn->subscriber.behind ? TLS_RECORD_BYTES_MAX : TLS_SEAL_BYTES_MAX;
}

/* The plaintext of a send, piece by piece. */
struct plain {
    const struct iovec *piece;
    size_t              at; /* of it */
};

/* The next `size` bytes in one run: where they lie, or copied together. */
static const char *next_run(struct plain *plain, size_t size, char *room)
{
    const char *run = (const char *)plain->piece->iov_base + plain->at;
    if (plain->piece->iov_len - plain->at >= size) {
        plain->at += size;
        return run;
    }
    for (size_t filled = 0; filled < size;) {
        size_t left = plain->piece->iov_len - plain->at, count = left < size - filled ? left : size - filled;
        memcpy(room + filled, (const char *)plain->piece->iov_base + plain->at, count);
        filled += count;
        plain->at += count;
        if (plain->at < plain->piece->iov_len) break;
        plain->piece++;
        plain->at = 0;
    }
    return room;
}

/* What was sealed of a send: runs of records in the arena. */
struct sealed {
    struct span runs[TLS_RUNS_MAX];
    uint32_t    count;
};

/* Seals as much of the send's pieces as may be; returns how much plaintext that was. */
static size_t seal(struct shard *shard, struct tls_session *session, const struct send_entry *entry, size_t most, struct sealed *runs)
{
    struct plain plain = { &shard->batch->pieces[entry->pieces_first], 0 };
    size_t size = entry->bytes < most ? (size_t)entry->bytes : most, sealed = 0;
    while (sealed < size) {
        size_t count = size - sealed < TLS_RECORD_BYTES_MAX ? size - sealed : TLS_RECORD_BYTES_MAX;
        if (plain.at == plain.piece->iov_len) plain = (struct plain){ plain.piece + 1, 0 };
        if (!tls_session_seal(session, next_run(&plain, count, shard->fanout->gathered), count, &shard->fanout->sealed_used, runs->runs, &runs->count)) break;
        counter_add(&shard->counters, COUNTER_TLS_RECORDS_SENT, 1);
        sealed += count;
    }
    return sealed;
}

void fanout_tls_stage(struct shard *shard, struct conn *conn)
{
    struct fanout *fanout = shard->fanout;
    struct send_batch *batch = shard->batch;
    struct staged_send *staged = &fanout->sends[batch->count];
    struct tls_session *session = &conn->tls->session;
    size_t most = room_for(conn);
    struct sealed runs = { .count = 0 };
    if (most > 0) {
        fanout_gather(shard, conn, staged, most);
        const struct send_entry *entry = send_batch_current(batch);
        size_t taken = seal(shard, session, entry, most, &runs);
        if (taken == entry->bytes) fanout_move_all(shard, conn, staged);
        else fanout_move(shard, conn, staged, entry, taken);
    } else {
        *staged = (struct staged_send){ .ranges_first = fanout->ranges_count };
        send_batch_begin(batch, conn->file, conn_index(shard, conn));
    }
    send_batch_restart(batch);
    if (conn_tls_is_lost(conn)) conn_arm_timer(shard, conn, shard_now_ms(shard)); /* nobody leaves before the batch is out */
    struct span unsent = tls_session_unsent(session);
    if (unsent.size > 0) send_batch_add(batch, unsent.bytes, unsent.size);
    for (uint32_t i = 0; i < runs.count; i++) send_batch_add(batch, runs.runs[i].bytes, runs.runs[i].size);
    staged->out_bytes = unsent.size; /* from here on: of what was kept */
    if (send_batch_end(batch) == 0) conn->blocked_ms = 0;
}

void fanout_tls_settle(struct shard *shard, struct conn *conn, const struct staged_send *staged, const struct send_entry *entry, uint64_t now_us)
{
    struct tls_session *session = &conn->tls->session;
    uint64_t taken = entry->result > 0 ? (uint64_t)entry->result : 0, of_unsent = taken < staged->out_bytes ? taken : staged->out_bytes;
    bool whole = taken == entry->bytes;
    tls_session_taken(session, of_unsent);
    if (!whole) {
        uint64_t skip = taken - of_unsent;
        for (uint32_t i = staged->out_bytes > 0; i < entry->pieces_count; i++) {
            const struct iovec *run = &shard->batch->pieces[entry->pieces_first + i];
            if (skip < run->iov_len) tls_session_keep(session, span_skip(span_of(run->iov_base, run->iov_len), skip));
            skip -= skip < run->iov_len ? skip : run->iov_len;
        }
        counter_add(&shard->counters, COUNTER_SHORT_SENDS, 1);
        conn_on_full(shard, conn, taken > 0);
        return;
    }
    fanout_observe(shard, staged, now_us);
    if (conn->subscriber.dirty.first == POOL_NONE) conn->subscriber.behind = false;
    conn_on_sent(shard, conn);
    if (conn->state != CONN_JOINING && room_for(conn) > 0 && (conn->subscriber.dirty.first != POOL_NONE || conn_out_waiting(conn) > 0))
        bitset_add(&shard->ready, conn_index(shard, conn));
}
