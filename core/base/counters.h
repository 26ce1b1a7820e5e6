/* Counters: cells that one thread writes and any may read.
 *
 * A cell is written by its shard alone, with a relaxed load and store, so that counting costs as much as a plain field
 * and the metrics page may read it at any time. Totals over shards are sums of cells. */
#ifndef CORE_BASE_COUNTERS_H
#define CORE_BASE_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

#include "core/base/limits.h"

/* What a cell is: a count that only grows, a level, or one bucket of a histogram, which counts what falls into it alone (the page adds
 * up). SUM and SUM_US end a histogram. TIME_EACH and SUM_US: microseconds, shown as seconds. _EACH: the page shows each shard's; of the others the sum. */
enum counter_kind { COUNTS, COUNTS_EACH, TIME_EACH, LEVEL, LEVEL_EACH, BUCKET, SUM, SUM_US };

/* Families: rows of one name, told apart by a label. */
#define CLOSE_ROW(X, name, code) X(CLOSE_##name, "closes_total", "code=\"" code "\"", COUNTS, "Close frames sent, by code")
#define LIMIT_ROW(X, name, field, limit, what, code, why) X(LIMIT_##name, "limit_hits_total", "limit=\"" limit "\"", COUNTS, "Times that a limit was reached, by the setting limits.*")
#define MEMORY_ROW(X, name, of) \
    X(MEMORY_##name, "memory_bytes", "kind=\"" of "\"", LEVEL, "Memory in use, by kind, as counted; process_resident_memory_bytes has all of it")
#define DELAY_ROW(X, name, most) \
    X(DELAY_##name, "delivery_delay_seconds_bucket", "le=\"" most "\"", BUCKET, "From append to send: the age of the oldest update in each range when its send is over")
#define SEND_FRAMES_ROW(X, name, most) X(SEND_FRAMES_##name, "send_frames_bucket", "le=\"" most "\"", BUCKET, "Updates in each send")

/* enum, Prometheus name, labels, kind, help. Those of one name stand together. */
#define COUNTERS(X) \
    X(CONNECTIONS_OPEN, "connections", "", LEVEL_EACH, "Connections open now, HTTP and WebSocket") \
    X(WEBSOCKETS_OPEN, "websockets", "", LEVEL, "WebSocket connections open now") \
    X(STREAMS_OPEN, "streams", "", LEVEL, "Server-Sent Event streams open now") \
    X(SUBSCRIPTIONS, "subscriptions", "", LEVEL_EACH, "Subscriptions now") \
    X(TOPICS, "topics", "", LEVEL, "Topics known now") \
    X(INTERESTS, "interests", "", LEVEL, "Topics of other shards that this shard knows now, followed or lingering") \
    X(LOANS, "loans", "", LEVEL, "Segments that this shard has on loan from others now") \
    X(ACCEPTED, "connections_accepted_total", "", COUNTS, "Connections accepted") \
    X(ACCEPT_FAILED, "accept_failures_total", "", COUNTS, "Accepts that failed, for want of files or memory") \
    X(CONNECTIONS_REFUSED, "connections_refused_total", "", COUNTS, "Connections answered 503 or 429 because a limit was reached") \
    X(UPDATES_IN, "updates_published_total", "", COUNTS_EACH, "Updates taken into a log") \
    X(PUBLISH_REFUSED, "publish_refused_total", "", COUNTS, "Publish requests answered with an error") \
    X(PUBLISH_BUSY, "publish_busy_total", "", COUNTS, "Publish requests answered busy for want of memory") \
    X(FORMATS_REFUSED, "formats_refused_total", "", COUNTS, "Logs in another format than JSON that found no memory; a reader waits, and asks again each second") \
    X(BIRTHS_NOT_COVERED, "births_not_covered_total", "", COUNTS, "Topics born that a pattern should have covered, but a limit was reached") \
    X(FRAMES_SENT, "frames_sent_total", "", COUNTS_EACH, "Updates sent to subscribers") \
    X(UPDATES_SUPERSEDED, "updates_superseded_total", "", COUNTS, "Updates skipped in mode latest because a newer one was there") \
    X(RESTS, "max_hz_rests_total", "", COUNTS, "Times that a subscription rested after a send because of its max_hz") \
    X(GAPS, "gaps_total", "", COUNTS, "Gaps told to subscribers") \
    X(GAP_UPDATES, "gap_updates_total", "", COUNTS, "Updates that those gaps stand for") \
    X(SENDS, "sends_total", "", COUNTS_EACH, "Sends handed to the kernel") \
    X(SENDS_GATHERED, "sends_gathered_total", "", COUNTS, "Sends of several pieces, by sendmsg") \
    X(RANGES, "ranges_sent_total", "", COUNTS, "Ranges of topics' logs in these sends") \
    X(SENDS_COPIED, "sends_copied_total", "", COUNTS, "Sends whose pieces were copied together") \
    X(SHORT_SENDS, "short_sends_total", "", COUNTS, "Sends that found the socket full") \
    X(BYTES_SENT, "bytes_sent_total", "", COUNTS, "Bytes sent") \
    X(BYTES_RECEIVED, "bytes_received_total", "", COUNTS, "Bytes received") \
    X(WEBSOCKETS_DEFLATE, "websockets_deflate", "", LEVEL, "WebSocket connections open now that negotiated permessage-deflate") \
    X(DEFLATE_BYTES_BEFORE, "deflate_bytes_total", "when=\"before\"", COUNTS, "Bytes of what was compressed to be sent, once for all who are sent it, before and after") \
    X(DEFLATE_BYTES_AFTER, "deflate_bytes_total", "when=\"after\"", COUNTS, "") \
    X(DEFLATE_US, "deflate_seconds_total", "", TIME_EACH, "Time spent on compressing, bounded by compression.cpu; that in haste only of ranges") \
    X(DEFLATE_QUICK, "deflate_quick_total", "", COUNTS, "Updates, and ranges of them, that were compressed in haste or not at all because compression.cpu was used up") \
    X(INFLATE_BYTES_BEFORE, "inflate_bytes_total", "when=\"before\"", COUNTS, "Bytes of what came compressed, before it was inflated and after") \
    X(INFLATE_BYTES_AFTER, "inflate_bytes_total", "when=\"after\"", COUNTS, "") \
    X(INFLATE_ERRORS, "inflate_errors_total", "", COUNTS, "Compressed messages that were broken, no text, or too large") \
    X(RECEIVE_STARVED, "receive_starved_total", "", COUNTS, "Receives that found no free buffer") \
    X(RECEIVE_PAUSED, "receive_paused_total", "", COUNTS, "Times a connection's receiving was paused until its replies were sent") \
    X(REQUESTS_STALLED, "requests_stalled_total", "", COUNTS, "Times that a connection's requests waited for room in a link to another shard") \
    X(LINK_BUSY, "link_busy_total", "", COUNTS, "Requests answered busy because the link to their topic's shard had no room for a second") \
    X(REQUESTS, "requests_total", "", COUNTS, "WebSocket requests") \
    X(HTTP_REQUESTS, "http_requests_total", "", COUNTS, "HTTP requests") \
    X(ERRORS_SENT, "request_errors_total", "", COUNTS, "Requests answered with an error") \
    X(CLOSED_BY_PEER, "closed_by_peer_total", "", COUNTS, "Connections that the peer ended") \
    X(CLOSED_BY_US, "closed_by_gateway_total", "", COUNTS, "Connections that the gateway ended") \
    X(CLOSED_SLOW, "closed_write_deadline_total", "", COUNTS, "Connections ended because they took nothing for the write deadline") \
    X(CLOSED_SILENT, "closed_silent_total", "", COUNTS, "Connections ended because they gave no sign of life") \
    X(CLOSED_DEADLINE, "closed_deadline_total", "", COUNTS, "Connections ended by the deadline for a request head, body or close") \
    X(CLOSED_SHED, "closed_shed_total", "", COUNTS, "Connections ended because limits.memory was reached") \
    X(RESERVE_DRAWN, "memory_reserve_draws_total", "", COUNTS, "Turns in which the system refused memory and the shard's reserve was drawn on") \
    X(TURNS, "turns_total", "", COUNTS_EACH, "Turns of the shard") \
    X(IDLE_US, "shard_idle_seconds_total", "", TIME_EACH, "Time spent asleep in the kernel waiting for something to do") \
    X(ENTERS, "ring_enters_total", "", COUNTS, "Times that the ring was entered") \
    X(COMPLETIONS, "completions_total", "", COUNTS, "Completions taken from the ring") \
    X(BATCHES, "send_batches_total", "", COUNTS, "Batches of sends that were submitted and settled") \
    X(CQ_OVERFLOWS, "cq_overflows_total", "", COUNTS, "Times that the completion queue had overflowed") \
    X(ASKS_SENT, "asks_sent_total", "", COUNTS, "Asks sent to other shards: publish, delete, query, interest, give back") \
    X(ASKS_FULL, "asks_full_total", "", COUNTS, "Asks that found no room or no credit on the link to their shard") \
    X(TELLS_SENT, "tells_sent_total", "", COUNTS, "Tells sent to other shards: replies, notices, births") \
    X(NOTICES_SENT, "notices_sent_total", "", COUNTS, "Notices sent to other shards: at most one a topic, shard and turn") \
    X(NOTICES_POSTPONED, "notices_postponed_total", "", COUNTS, "Times that news for another shard had to wait for room on its link") \
    X(QUIET_FAILED, "quiet_publish_failures_total", "", COUNTS, "Publishes that wanted no reply and failed at another shard") \
    X(SEGMENTS_TRIMMED, "segments_trimmed_total", "", COUNTS, "Segments of logs that left their window") \
    X(LOG_LINES_LOST, "log_lines_lost_total", "", COUNTS, "Lines of the log that were lost because nobody took them") \
    CLOSE_ROW(X, 1000, "1000") \
    CLOSE_ROW(X, 1001, "1001") \
    CLOSE_ROW(X, 1002, "1002") \
    CLOSE_ROW(X, 1003, "1003") \
    CLOSE_ROW(X, 1007, "1007") \
    CLOSE_ROW(X, 1008, "1008") \
    CLOSE_ROW(X, 1009, "1009") \
    CLOSE_ROW(X, 1011, "1011") \
    CLOSE_ROW(X, 1013, "1013") \
    CLOSE_ROW(X, 4400, "4400") \
    CLOSE_ROW(X, 4401, "4401") \
    CLOSE_ROW(X, 4403, "4403") \
    CLOSE_ROW(X, 4408, "4408") \
    CLOSE_ROW(X, 4429, "4429") \
    CLOSE_ROW(X, OTHER, "other") \
    LIMITS(LIMIT_ROW, X) \
    MEMORY_ROW(X, CLIENTS, "clients") \
    MEMORY_ROW(X, CONNECTIONS, "connections") \
    MEMORY_ROW(X, SUBSCRIPTIONS, "subscriptions") \
    MEMORY_ROW(X, TOPICS, "topics") \
    MEMORY_ROW(X, LOGS, "logs") \
    MEMORY_ROW(X, SEGMENTS_KEPT, "segments kept") \
    X(TLS_CONNECTIONS, "tls_connections", "", LEVEL_EACH, "Connections over TLS now, shaking hands or open") \
    X(TLS_HANDSHAKES_FULL, "tls_handshakes_total", "kind=\"full\"", COUNTS, "TLS handshakes, by how they ended") \
    X(TLS_HANDSHAKES_RESUMED, "tls_handshakes_total", "kind=\"resumed\"", COUNTS, "TLS handshakes, by how they ended") \
    X(TLS_HANDSHAKES_FAILED, "tls_handshakes_total", "kind=\"failed\"", COUNTS, "TLS handshakes, by how they ended") \
    X(TLS_HANDSHAKES_POSTPONED, "tls_handshakes_postponed_total", "", COUNTS, "Turns in which handshakes waited because of limits.handshakes-per-turn") \
    X(TLS_CUT, "tls_cut_total", "", COUNTS, "TLS connections whose end came without close_notify") \
    X(TLS_RECORDS_SENT, "tls_records_sent_total", "", COUNTS, "TLS records of data sent") \
    X(LINK_ASKS_UNDER_WAY, "link_asks_under_way", "", LEVEL, "Asks under way to other shards that may need a reply") \
    X(LINK_TELLS_WAITING, "link_tells_waiting", "", LEVEL, "Items that other shards have told and this one has not taken") \
    X(RECEIVE_BUFFERS_OUT, "receive_buffers_out", "", LEVEL, "Receive buffers in use now") \
    X(CONNECTIONS_BLOCKED, "connections_blocked", "", LEVEL, "Connections whose socket is full now") \
    DELAY_ROW(X, 0, "1.6e-05") \
    DELAY_ROW(X, 1, "3.2e-05") \
    DELAY_ROW(X, 2, "6.4e-05") \
    DELAY_ROW(X, 3, "0.000128") \
    DELAY_ROW(X, 4, "0.000256") \
    DELAY_ROW(X, 5, "0.000512") \
    DELAY_ROW(X, 6, "0.001024") \
    DELAY_ROW(X, 7, "0.002048") \
    DELAY_ROW(X, 8, "0.004096") \
    DELAY_ROW(X, 9, "0.008192") \
    DELAY_ROW(X, 10, "0.016384") \
    DELAY_ROW(X, 11, "0.032768") \
    DELAY_ROW(X, 12, "0.065536") \
    DELAY_ROW(X, 13, "0.131072") \
    DELAY_ROW(X, 14, "0.262144") \
    DELAY_ROW(X, 15, "0.524288") \
    DELAY_ROW(X, 16, "1.04858") \
    DELAY_ROW(X, INF, "+Inf") \
    X(DELAY_SUM, "delivery_delay_seconds_sum", "", SUM_US, "") \
    SEND_FRAMES_ROW(X, 0, "1") \
    SEND_FRAMES_ROW(X, 1, "2") \
    SEND_FRAMES_ROW(X, 2, "4") \
    SEND_FRAMES_ROW(X, 3, "8") \
    SEND_FRAMES_ROW(X, 4, "16") \
    SEND_FRAMES_ROW(X, 5, "32") \
    SEND_FRAMES_ROW(X, 6, "64") \
    SEND_FRAMES_ROW(X, 7, "128") \
    SEND_FRAMES_ROW(X, 8, "256") \
    SEND_FRAMES_ROW(X, 9, "512") \
    SEND_FRAMES_ROW(X, INF, "+Inf") \
    X(SEND_FRAMES_SUM, "send_frames_sum", "", SUM, "")

enum counter {
#define COUNTER_ENUM(name, text, labels, kind, help) COUNTER_##name,
    COUNTERS(COUNTER_ENUM)
#undef COUNTER_ENUM
    COUNTERS_COUNT
};

struct counters {
    _Alignas(64) _Atomic uint64_t cells[COUNTERS_COUNT];
};

/* By the owner's thread only. */
static inline void counter_add(struct counters *counters, enum counter which, uint64_t count)
{
    _Atomic uint64_t *cell = &counters->cells[which];
    atomic_store_explicit(cell, atomic_load_explicit(cell, memory_order_relaxed) + count, memory_order_relaxed);
}

static inline void counter_sub(struct counters *counters, enum counter which, uint64_t count)
{
    counter_add(counters, which, (uint64_t)0 - count);
}

static inline void counter_set(struct counters *counters, enum counter which, uint64_t value)
{
    atomic_store_explicit(&counters->cells[which], value, memory_order_relaxed);
}

/* By any thread. */
static inline uint64_t counter_read(const struct counters *counters, enum counter which)
{
    return atomic_load_explicit(&counters->cells[which], memory_order_relaxed);
}

/* Counts a value in a histogram: buckets are as wide as the powers of two from `unit` on; the last has the rest, and the sum
 * of all stands behind it. */
static inline void counter_observe(struct counters *counters, enum counter first, enum counter last, uint64_t unit, uint64_t value)
{
    uint64_t units = value > 0 ? (value - 1) / unit : 0;
    uint32_t bucket = units > 0 ? 64 - (uint32_t)__builtin_clzll(units) : 0;
    counter_add(counters, bucket < (uint32_t)(last - first) ? first + bucket : last, 1);
    counter_add(counters, last + 1, value); /* the sum */
}

/* The cell of idle time, COUNTER_IDLE_US, also tells of a sleep that is not over: while its shard is asleep it holds, marked, the moment from
 * which on all time would be its idle time. One cell, so that whoever reads it never sees a sleep twice or not at all.
 *   now_us   the monotonic clock; begin and end by the owner's thread, read by any */
#define COUNTER_ASLEEP (UINT64_C(1) << 63)

static inline void counter_idle_begin(struct counters *counters, uint64_t now_us)
{
    counter_set(counters, COUNTER_IDLE_US, COUNTER_ASLEEP | (now_us - counter_read(counters, COUNTER_IDLE_US)));
}

static inline uint64_t counter_idle_us(const struct counters *counters, uint64_t now_us)
{
    uint64_t cell = counter_read(counters, COUNTER_IDLE_US), since_us = cell & ~COUNTER_ASLEEP;
    if (cell == since_us) return cell;
    return now_us > since_us ? now_us - since_us : 0; /* the reader's clock was read before the cell */
}

static inline void counter_idle_end(struct counters *counters, uint64_t now_us)
{
    counter_set(counters, COUNTER_IDLE_US, counter_idle_us(counters, now_us));
}

/* A count that several threads change, seldom, and all read: where one that nobody writes for long costs a reader nothing. */
struct counter_shared {
    _Alignas(64) _Atomic uint32_t count;
};

/* Adds, or takes away what is negative as uint32_t; returns what it was before. A full fence. */
static inline uint32_t counter_shared_add(struct counter_shared *shared, uint32_t count)
{
    return atomic_fetch_add(&shared->count, count);
}

static inline uint32_t counter_shared_read(const struct counter_shared *shared)
{
    return atomic_load_explicit(&shared->count, memory_order_relaxed);
}

struct counter_text {
    const char       *name;   /* without the "ringcast_" before it */
    const char       *labels; /* "" or name="value" */
    enum counter_kind kind;
    const char       *help;
};
const struct counter_text *counter_text(enum counter which);

#endif
