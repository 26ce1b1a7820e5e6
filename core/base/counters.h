/* Counters: cells that one thread writes and any may read.
 *
 * A cell is written by its shard alone, with a relaxed load and store, so that counting costs as much as a plain field
 * and the metrics page may read it at any time. Totals over shards are sums of cells. */
#ifndef CORE_BASE_COUNTERS_H
#define CORE_BASE_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

/* enum, Prometheus name, help. All are counters but those whose name does not end in _total: gauges. */
#define COUNTERS(X) \
    X(CONNECTIONS_OPEN, "connections", "Connections open now, HTTP and WebSocket") \
    X(WEBSOCKETS_OPEN, "websockets", "WebSocket connections open now") \
    X(STREAMS_OPEN, "streams", "Server-Sent Event streams open now") \
    X(SUBSCRIPTIONS, "subscriptions", "Subscriptions now") \
    X(TOPICS, "topics", "Topics known now") \
    X(LOG_BYTES, "log_bytes", "Bytes allocated for the logs of all topics") \
    X(INTERESTS, "interests", "Topics of other shards that this shard knows now, followed or lingering") \
    X(LOANS, "loans", "Segments that this shard has on loan from others now") \
    X(ACCEPTED, "connections_accepted_total", "Connections accepted") \
    X(ACCEPT_FAILED, "accept_failures_total", "Accepts that failed, for want of files or memory") \
    X(CONNECTIONS_REFUSED, "connections_refused_total", "Connections answered 503 because the limit was reached") \
    X(UPDATES_IN, "updates_published_total", "Updates taken into a log") \
    X(PUBLISH_REFUSED, "publish_refused_total", "Publish requests answered with an error") \
    X(PUBLISH_BUSY, "publish_busy_total", "Publish requests answered busy for want of memory") \
    X(FORMATS_REFUSED, "formats_refused_total", "Logs in another format than JSON that found no memory; a reader waits, and asks again each second") \
    X(BIRTHS_NOT_COVERED, "births_not_covered_total", "Topics born that a pattern should have covered, but a limit was reached") \
    X(FRAMES_SENT, "frames_sent_total", "Updates sent to subscribers") \
    X(UPDATES_SUPERSEDED, "updates_superseded_total", "Updates skipped in mode latest because a newer one was there") \
    X(GAPS, "gaps_total", "Gaps told to subscribers") \
    X(GAP_UPDATES, "gap_updates_total", "Updates that those gaps stand for") \
    X(SENDS, "sends_total", "Sends handed to the kernel") \
    X(SENDS_GATHERED, "sends_gathered_total", "Sends of several pieces, by sendmsg") \
    X(SENDS_COPIED, "sends_copied_total", "Sends whose pieces were copied together") \
    X(SHORT_SENDS, "short_sends_total", "Sends that found the socket full") \
    X(BYTES_SENT, "bytes_sent_total", "Bytes sent") \
    X(BYTES_RECEIVED, "bytes_received_total", "Bytes received") \
    X(RECEIVE_STARVED, "receive_starved_total", "Receives that found no free buffer") \
    X(RECEIVE_PAUSED, "receive_paused_total", "Times a connection's receiving was paused until its replies were sent") \
    X(REQUESTS_STALLED, "requests_stalled_total", "Times that a connection's requests waited for room in a link to another shard") \
    X(REQUESTS, "requests_total", "WebSocket requests") \
    X(HTTP_REQUESTS, "http_requests_total", "HTTP requests") \
    X(ERRORS_SENT, "request_errors_total", "Requests answered with an error") \
    X(CLOSED_BY_PEER, "closed_by_peer_total", "Connections that the peer ended") \
    X(CLOSED_BY_US, "closed_by_gateway_total", "Connections that the gateway ended") \
    X(CLOSED_SLOW, "closed_write_deadline_total", "Connections ended because they took nothing for the write deadline") \
    X(CLOSED_SILENT, "closed_silent_total", "Connections ended because they gave no sign of life") \
    X(CLOSED_DEADLINE, "closed_deadline_total", "Connections ended by the deadline for a request head, body or close") \
    X(TURNS, "turns_total", "Turns of the shard") \
    X(IDLE_US, "idle_microseconds_total", "Time spent asleep in the kernel waiting for something to do") \
    X(ENTERS, "ring_enters_total", "Times that the ring was entered") \
    X(COMPLETIONS, "completions_total", "Completions taken from the ring") \
    X(BATCHES, "send_batches_total", "Batches of sends that were submitted and settled") \
    X(CQ_OVERFLOWS, "cq_overflows_total", "Times that the completion queue had overflowed") \
    X(ASKS_SENT, "asks_sent_total", "Asks sent to other shards: publish, delete, query, interest, give back") \
    X(ASKS_FULL, "asks_full_total", "Asks that found no room or no credit on the link to their shard") \
    X(TELLS_SENT, "tells_sent_total", "Tells sent to other shards: replies, notices, births") \
    X(NOTICES_SENT, "notices_sent_total", "Notices sent to other shards: at most one a topic, shard and turn") \
    X(NOTICES_POSTPONED, "notices_postponed_total", "Times that news for another shard had to wait for room on its link") \
    X(QUIET_FAILED, "quiet_publish_failures_total", "Publishes that wanted no reply and failed at another shard") \
    X(SEGMENTS_TRIMMED, "segments_trimmed_total", "Segments of logs that left their window")

enum counter {
#define COUNTER_ENUM(name, text, help) COUNTER_##name,
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

const char *counter_name(enum counter which); /* without the "ringcast_" before it */
const char *counter_help(enum counter which);

#endif
