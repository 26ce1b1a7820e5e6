/* Counters: cells that one thread writes and any may read.
 *
 * A cell is written by its shard alone, with a relaxed load and store, so that counting costs as much as a plain field
 * and the metrics page may read it at any time. Totals over shards are sums of cells. */
#ifndef CORE_BASE_COUNTERS_H
#define CORE_BASE_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

/* What a cell is: a count that only grows, a level, or one bucket of a histogram, which counts what falls into it alone (the page adds
 * up). SUM and SUM_US end a histogram. TIME_EACH and SUM_US: microseconds, shown as seconds. _EACH: the page shows each shard's; of the others the sum. */
enum counter_kind { COUNTS, COUNTS_EACH, TIME_EACH, LEVEL, LEVEL_EACH, BUCKET, SUM, SUM_US };

/* enum, Prometheus name, labels, kind, help. Those of one name stand together. */
#define COUNTERS(X) \
    X(CONNECTIONS_OPEN, "connections", "", LEVEL_EACH, "Connections open now, HTTP and WebSocket") \
    X(WEBSOCKETS_OPEN, "websockets", "", LEVEL, "WebSocket connections open now") \
    X(STREAMS_OPEN, "streams", "", LEVEL, "Server-Sent Event streams open now") \
    X(SUBSCRIPTIONS, "subscriptions", "", LEVEL_EACH, "Subscriptions now") \
    X(TOPICS, "topics", "", LEVEL, "Topics known now") \
    X(LOG_BYTES, "log_bytes", "", LEVEL_EACH, "Bytes allocated for the logs of all topics") \
    X(INTERESTS, "interests", "", LEVEL, "Topics of other shards that this shard knows now, followed or lingering") \
    X(LOANS, "loans", "", LEVEL, "Segments that this shard has on loan from others now") \
    X(ACCEPTED, "connections_accepted_total", "", COUNTS, "Connections accepted") \
    X(ACCEPT_FAILED, "accept_failures_total", "", COUNTS, "Accepts that failed, for want of files or memory") \
    X(CONNECTIONS_REFUSED, "connections_refused_total", "", COUNTS, "Connections answered 503 because the limit was reached") \
    X(UPDATES_IN, "updates_published_total", "", COUNTS_EACH, "Updates taken into a log") \
    X(PUBLISH_REFUSED, "publish_refused_total", "", COUNTS, "Publish requests answered with an error") \
    X(PUBLISH_BUSY, "publish_busy_total", "", COUNTS, "Publish requests answered busy for want of memory") \
    X(BIRTHS_NOT_COVERED, "births_not_covered_total", "", COUNTS, "Topics born that a pattern should have covered, but a limit was reached") \
    X(FRAMES_SENT, "frames_sent_total", "", COUNTS_EACH, "Updates sent to subscribers") \
    X(UPDATES_SUPERSEDED, "updates_superseded_total", "", COUNTS, "Updates skipped in mode latest because a newer one was there") \
    X(GAPS, "gaps_total", "", COUNTS, "Gaps told to subscribers") \
    X(GAP_UPDATES, "gap_updates_total", "", COUNTS, "Updates that those gaps stand for") \
    X(SENDS, "sends_total", "", COUNTS_EACH, "Sends handed to the kernel") \
    X(SENDS_GATHERED, "sends_gathered_total", "", COUNTS, "Sends of several pieces, by sendmsg") \
    X(SENDS_COPIED, "sends_copied_total", "", COUNTS, "Sends whose pieces were copied together") \
    X(SHORT_SENDS, "short_sends_total", "", COUNTS, "Sends that found the socket full") \
    X(BYTES_SENT, "bytes_sent_total", "", COUNTS, "Bytes sent") \
    X(BYTES_RECEIVED, "bytes_received_total", "", COUNTS, "Bytes received") \
    X(RECEIVE_STARVED, "receive_starved_total", "", COUNTS, "Receives that found no free buffer") \
    X(RECEIVE_PAUSED, "receive_paused_total", "", COUNTS, "Times a connection's receiving was paused until its replies were sent") \
    X(REQUESTS_STALLED, "requests_stalled_total", "", COUNTS, "Times that a connection's requests waited for room in a link to another shard") \
    X(REQUESTS, "requests_total", "", COUNTS, "WebSocket requests") \
    X(HTTP_REQUESTS, "http_requests_total", "", COUNTS, "HTTP requests") \
    X(ERRORS_SENT, "request_errors_total", "", COUNTS, "Requests answered with an error") \
    X(CLOSED_BY_PEER, "closed_by_peer_total", "", COUNTS, "Connections that the peer ended") \
    X(CLOSED_BY_US, "closed_by_gateway_total", "", COUNTS, "Connections that the gateway ended") \
    X(CLOSED_SLOW, "closed_write_deadline_total", "", COUNTS, "Connections ended because they took nothing for the write deadline") \
    X(CLOSED_SILENT, "closed_silent_total", "", COUNTS, "Connections ended because they gave no sign of life") \
    X(CLOSED_DEADLINE, "closed_deadline_total", "", COUNTS, "Connections ended by the deadline for a request head, body or close") \
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
    X(CLOSE_1000, "closes_total", "code=\"1000\"", COUNTS, "Close frames sent, by code") \
    X(CLOSE_1001, "closes_total", "code=\"1001\"", COUNTS, "Close frames sent, by code") \
    X(CLOSE_1002, "closes_total", "code=\"1002\"", COUNTS, "Close frames sent, by code") \
    X(CLOSE_1003, "closes_total", "code=\"1003\"", COUNTS, "Close frames sent, by code") \
    X(CLOSE_1007, "closes_total", "code=\"1007\"", COUNTS, "Close frames sent, by code") \
    X(CLOSE_1008, "closes_total", "code=\"1008\"", COUNTS, "Close frames sent, by code") \
    X(CLOSE_1009, "closes_total", "code=\"1009\"", COUNTS, "Close frames sent, by code") \
    X(CLOSE_1011, "closes_total", "code=\"1011\"", COUNTS, "Close frames sent, by code") \
    X(CLOSE_1013, "closes_total", "code=\"1013\"", COUNTS, "Close frames sent, by code") \
    X(CLOSE_4400, "closes_total", "code=\"4400\"", COUNTS, "Close frames sent, by code") \
    X(CLOSE_4401, "closes_total", "code=\"4401\"", COUNTS, "Close frames sent, by code") \
    X(CLOSE_4403, "closes_total", "code=\"4403\"", COUNTS, "Close frames sent, by code") \
    X(CLOSE_4408, "closes_total", "code=\"4408\"", COUNTS, "Close frames sent, by code") \
    X(CLOSE_4429, "closes_total", "code=\"4429\"", COUNTS, "Close frames sent, by code") \
    X(CLOSE_OTHER, "closes_total", "code=\"other\"", COUNTS, "Close frames sent, by code") \
    X(LIMIT_CONNECTIONS, "limit_hits_total", "limit=\"connections\"", COUNTS, "Times that a limit was reached, by the setting limits.*") \
    X(LIMIT_HEAD, "limit_hits_total", "limit=\"head\"", COUNTS, "Times that a limit was reached, by the setting limits.*") \
    X(LIMIT_BODY, "limit_hits_total", "limit=\"body\"", COUNTS, "Times that a limit was reached, by the setting limits.*") \
    X(LIMIT_MESSAGE, "limit_hits_total", "limit=\"message\"", COUNTS, "Times that a limit was reached, by the setting limits.*") \
    X(LIMIT_PAYLOAD, "limit_hits_total", "limit=\"payload\"", COUNTS, "Times that a limit was reached, by the setting limits.*") \
    X(LIMIT_ECHO_MESSAGE, "limit_hits_total", "limit=\"echo-message\"", COUNTS, "Times that a limit was reached, by the setting limits.*") \
    X(LIMIT_TOPICS, "limit_hits_total", "limit=\"topics\"", COUNTS, "Times that a limit was reached, by the setting limits.*") \
    X(LIMIT_SUBSCRIPTIONS, "limit_hits_total", "limit=\"subscriptions\"", COUNTS, "Times that a limit was reached, by the setting limits.*") \
    X(LIMIT_PATTERNS, "limit_hits_total", "limit=\"patterns\"", COUNTS, "Times that a limit was reached, by the setting limits.*") \
    X(LIMIT_LOG_BYTES, "limit_hits_total", "limit=\"log-bytes\"", COUNTS, "Times that a limit was reached, by the setting limits.*") \
    X(MEMORY_CONNECTIONS, "memory_bytes", "kind=\"connections\"", LEVEL, "Memory in use, by kind, as counted; process_resident_memory_bytes has all of it") \
    X(MEMORY_SUBSCRIPTIONS, "memory_bytes", "kind=\"subscriptions\"", LEVEL, "Memory in use, by kind, as counted; process_resident_memory_bytes has all of it") \
    X(MEMORY_TOPICS, "memory_bytes", "kind=\"topics\"", LEVEL, "Memory in use, by kind, as counted; process_resident_memory_bytes has all of it") \
    X(MEMORY_LOGS, "memory_bytes", "kind=\"logs\"", LEVEL, "Memory in use, by kind, as counted; process_resident_memory_bytes has all of it") \
    X(MEMORY_SEGMENTS_KEPT, "memory_bytes", "kind=\"segments kept\"", LEVEL, "Memory in use, by kind, as counted; process_resident_memory_bytes has all of it") \
    X(LINK_ASKS_UNDER_WAY, "link_asks_under_way", "", LEVEL, "Asks under way to other shards that may need a reply") \
    X(LINK_TELLS_WAITING, "link_tells_waiting", "", LEVEL, "Items that other shards have told and this one has not taken") \
    X(RECEIVE_BUFFERS_OUT, "receive_buffers_out", "", LEVEL, "Receive buffers in use now") \
    X(CONNECTIONS_BLOCKED, "connections_blocked", "", LEVEL, "Connections whose socket is full now") \
    X(DELAY_0, "delivery_delay_seconds_bucket", "le=\"1.6e-05\"", BUCKET, "From append to send: the age of the oldest update in each range when its send is over") \
    X(DELAY_1, "delivery_delay_seconds_bucket", "le=\"3.2e-05\"", BUCKET, "From append to send: the age of the oldest update in each range when its send is over") \
    X(DELAY_2, "delivery_delay_seconds_bucket", "le=\"6.4e-05\"", BUCKET, "From append to send: the age of the oldest update in each range when its send is over") \
    X(DELAY_3, "delivery_delay_seconds_bucket", "le=\"0.000128\"", BUCKET, "From append to send: the age of the oldest update in each range when its send is over") \
    X(DELAY_4, "delivery_delay_seconds_bucket", "le=\"0.000256\"", BUCKET, "From append to send: the age of the oldest update in each range when its send is over") \
    X(DELAY_5, "delivery_delay_seconds_bucket", "le=\"0.000512\"", BUCKET, "From append to send: the age of the oldest update in each range when its send is over") \
    X(DELAY_6, "delivery_delay_seconds_bucket", "le=\"0.001024\"", BUCKET, "From append to send: the age of the oldest update in each range when its send is over") \
    X(DELAY_7, "delivery_delay_seconds_bucket", "le=\"0.002048\"", BUCKET, "From append to send: the age of the oldest update in each range when its send is over") \
    X(DELAY_8, "delivery_delay_seconds_bucket", "le=\"0.004096\"", BUCKET, "From append to send: the age of the oldest update in each range when its send is over") \
    X(DELAY_9, "delivery_delay_seconds_bucket", "le=\"0.008192\"", BUCKET, "From append to send: the age of the oldest update in each range when its send is over") \
    X(DELAY_10, "delivery_delay_seconds_bucket", "le=\"0.016384\"", BUCKET, "From append to send: the age of the oldest update in each range when its send is over") \
    X(DELAY_11, "delivery_delay_seconds_bucket", "le=\"0.032768\"", BUCKET, "From append to send: the age of the oldest update in each range when its send is over") \
    X(DELAY_12, "delivery_delay_seconds_bucket", "le=\"0.065536\"", BUCKET, "From append to send: the age of the oldest update in each range when its send is over") \
    X(DELAY_13, "delivery_delay_seconds_bucket", "le=\"0.131072\"", BUCKET, "From append to send: the age of the oldest update in each range when its send is over") \
    X(DELAY_14, "delivery_delay_seconds_bucket", "le=\"0.262144\"", BUCKET, "From append to send: the age of the oldest update in each range when its send is over") \
    X(DELAY_15, "delivery_delay_seconds_bucket", "le=\"0.524288\"", BUCKET, "From append to send: the age of the oldest update in each range when its send is over") \
    X(DELAY_16, "delivery_delay_seconds_bucket", "le=\"1.04858\"", BUCKET, "From append to send: the age of the oldest update in each range when its send is over") \
    X(DELAY_INF, "delivery_delay_seconds_bucket", "le=\"+Inf\"", BUCKET, "From append to send: the age of the oldest update in each range when its send is over") \
    X(DELAY_SUM, "delivery_delay_seconds_sum", "", SUM_US, "") \
    X(SEND_FRAMES_0, "send_frames_bucket", "le=\"1\"", BUCKET, "Updates in each send") \
    X(SEND_FRAMES_1, "send_frames_bucket", "le=\"2\"", BUCKET, "Updates in each send") \
    X(SEND_FRAMES_2, "send_frames_bucket", "le=\"4\"", BUCKET, "Updates in each send") \
    X(SEND_FRAMES_3, "send_frames_bucket", "le=\"8\"", BUCKET, "Updates in each send") \
    X(SEND_FRAMES_4, "send_frames_bucket", "le=\"16\"", BUCKET, "Updates in each send") \
    X(SEND_FRAMES_5, "send_frames_bucket", "le=\"32\"", BUCKET, "Updates in each send") \
    X(SEND_FRAMES_6, "send_frames_bucket", "le=\"64\"", BUCKET, "Updates in each send") \
    X(SEND_FRAMES_7, "send_frames_bucket", "le=\"128\"", BUCKET, "Updates in each send") \
    X(SEND_FRAMES_8, "send_frames_bucket", "le=\"256\"", BUCKET, "Updates in each send") \
    X(SEND_FRAMES_9, "send_frames_bucket", "le=\"512\"", BUCKET, "Updates in each send") \
    X(SEND_FRAMES_INF, "send_frames_bucket", "le=\"+Inf\"", BUCKET, "Updates in each send") \
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

struct counter_text {
    const char       *name;   /* without the "ringcast_" before it */
    const char       *labels; /* "" or name="value" */
    enum counter_kind kind;
    const char       *help;
};
const struct counter_text *counter_text(enum counter which);

#endif
