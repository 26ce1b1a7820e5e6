/* What a connection has to be sent, and what becomes of it. See conn.h. */
#include <poll.h>

#include "gateway/conn_parts.h"
#include "gateway/conn_tls.h"
#include "gateway/memory.h"

void conn_add(struct shard *shard, struct conn *conn, struct span bytes)
{
    if (conn->state == CONN_JOINING) return;
    text_add(&conn->out, bytes);
    conn->pong_at = NO_PONG;
    if (!conn->subscriber.blocked) bitset_add(&shard->ready, conn_index(shard, conn));
}

void conn_add_frame(struct shard *shard, struct conn *conn, enum ws_opcode opcode, struct span payload)
{
    char header[WS_SERVER_HEADER_BYTES_MAX];
    uint32_t header_bytes = ws_server_header_write(header, opcode, payload.size);
    conn_add(shard, conn, span_of(header, header_bytes));
    conn_add(shard, conn, payload);
}

static void conn_add_event(struct shard *shard, struct conn *conn, struct span text)
{
    conn_add(shard, conn, SPAN_LITERAL("data: "));
    conn_add(shard, conn, text);
    conn_add(shard, conn, SPAN_LITERAL("\n\n"));
}

void conn_add_message(struct shard *shard, struct conn *conn, struct span text)
{
    switch (format_inflated(conn->subscriber.format)) {
    case FORMAT_RAW: return;
    case FORMAT_SSE: conn_add_event(shard, conn, text); break;
    default: conn_add_frame(shard, conn, WS_TEXT, text);
    }
    conn->message_ms = shard_now_ms(shard);
}

void conn_add_pong(struct shard *shard, struct conn *conn, struct span payload)
{
    /* Unsent pongs collapse into the newest (RFC 6455, 5.5.3). */
    if (conn->pong_at != NO_PONG && conn->pong_at >= conn->out_sent) conn->out.size = conn->pong_at;
    uint32_t at = (uint32_t)conn->out.size;
    conn_add_frame(shard, conn, WS_PONG, payload);
    conn->pong_at = at;
}

void conn_out_taken(struct conn *conn, size_t bytes)
{
    conn->out_sent += (uint32_t)bytes;
    /* A peer may leave some of it for ever while more is queued: cut, it holds no more than what waits and as much again. */
    if (conn->out_sent == 0 || conn->out_sent < conn->out.size - conn->out_sent) return;
    text_cut(&conn->out, 0, conn->out_sent);
    conn->pong_at = conn->pong_at != NO_PONG && conn->pong_at >= conn->out_sent ? conn->pong_at - conn->out_sent : NO_PONG;
    conn->out_sent = 0;
}

size_t conn_unsent(const struct conn *conn)
{
    return conn_out_waiting(conn) + (conn->tls ? tls_session_unsent(&conn->tls->session).size : 0);
}

/* After a close frame that failed the connection the end stays away for this part of deadline.close-ms, or until the peer's. Right behind it
 * both reach the client in one read, over TLS above all: libraries that then find their stream closed before they could answer tell 1006
 * (RFC 6455, 7.1.5) in place of our code: aiohttp and all that stand on Python's asyncio. */
#define END_LATER_PART 8

/* The last byte is out. */
void conn_end_sending(struct shard *shard, struct conn *conn)
{
    if (conn->end_later && !conn->end_at_rest) {
        conn->end_later = false;
        conn_deadline(shard, conn, shard->settings->deadline_close_ms / END_LATER_PART);
        return; /* the timer calls again, or what the peer's end brings */
    }
    if (conn->tls && conn_tls_goodbye(shard, conn)) return; /* and is called again when that is out */
    if (conn->end_at_rest) {
        conn_join(shard, conn, WHY_DONE); /* RFC 6455, 7.1.1: the server closes first */
        return;
    }
    if (conn->shut) return;
    conn->shut = true;
    conn_deadline(shard, conn, shard->settings->deadline_close_ms);
    ring_shutdown(&shard->ring, conn->file, conn_op_begin(shard, conn, OP_SHUTDOWN));
}

void conn_on_sent(struct shard *shard, struct conn *conn)
{
    if (conn->state == CONN_JOINING) return;
    conn->blocked_ms = 0;
    if (conn->out.size == 0) {
        text_free(&conn->out); /* at rest a connection owns no buffer */
        if (conn->state == CONN_LINGER) {
            conn_end_sending(shard, conn);
            return;
        }
    }
    if (conn->weight > 0) memory_weigh(shard, conn);
    if (conn->paused && !conn_must_wait(conn)) conn_resume_receiving(shard, conn);
}

void conn_on_full(struct shard *shard, struct conn *conn, bool progress)
{
    if (conn->state == CONN_JOINING) return;
    if (progress || conn->blocked_ms == 0) conn->blocked_ms = shard_now_ms(shard);
    memory_weigh(shard, conn);
    counter_add(&shard->counters, COUNTER_CONNECTIONS_BLOCKED, !conn->subscriber.blocked);
    conn->subscriber.blocked = true;
    conn->subscriber.behind = true;
    bitset_remove(&shard->ready, conn_index(shard, conn));
    ring_poll_room(&shard->ring, conn->file, conn_op_begin(shard, conn, OP_ROOM));
    uint64_t due_ms = conn->blocked_ms + shard->settings->deadline_write_ms;
    if (conn->state == CONN_OPEN && conn->timer.due_ms > due_ms) conn_arm_timer(shard, conn, due_ms);
    if (conn->paused && !conn_must_wait(conn)) conn_resume_receiving(shard, conn);
}

void conn_unblock(struct shard *shard, struct conn *conn)
{
    counter_sub(&shard->counters, COUNTER_CONNECTIONS_BLOCKED, conn->subscriber.blocked);
    conn->subscriber.blocked = false;
    conn->again_ms = 0;
    bitset_add(&shard->ready, conn_index(shard, conn));
}

void conn_on_room(struct shard *shard, struct conn *conn, const struct completion *completion)
{
    enum { TRY_AGAIN_MS_MAX = 250 };
    conn_on_over(shard, conn, OP_ROOM);
    if (conn->state == CONN_JOINING) return;
    bool peer_ended_only = completion->result > 0 && !(completion->result & (POLLOUT | POLLERR | POLLHUP));
    if (!peer_ended_only) {
        conn_unblock(shard, conn);
        return;
    }
    /* It reads still, but its end was sent, and with that every poll is over at once: the timer tries again, after as long as
     * it has been stuck already. */
    uint64_t now_ms = shard_now_ms(shard), after_ms = now_ms - conn->blocked_ms + 1;
    conn->again_ms = now_ms + (after_ms < TRY_AGAIN_MS_MAX ? after_ms : TRY_AGAIN_MS_MAX);
    if (conn->timer.due_ms > conn->again_ms) conn_arm_timer(shard, conn, conn->again_ms);
}
