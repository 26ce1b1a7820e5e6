/* The updates that `fanout` publishes and knows again. Each carries its own seq and the moment when it was due, and
 * is padded so that the gateway's frame has exactly the wanted size on the wire, whatever the digits of seq:
 *
 *   {"topic":"bench","seq":1041,"ts":1763812345678901,"data":[1041,1763812345678900,"xxxxxxxxxxxxxx"]}
 *
 * or, in the other formats of the contract, ["bench",1041,1763812345678901,[…]], or the payload […] alone.
 * That works because the one publisher knows which seq comes next. Pure but for the clock; one thread. */
#ifndef BENCH_UPDATES_H
#define BENCH_UPDATES_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/verify.h"
#include "core/base/span.h"

#define UPDATE_TOPIC_BYTES_MAX   80
#define UPDATE_BYTES_MAX         60000 /* of a frame; the payload stays below the gateway's limits.payload */
#define UPDATE_REQUEST_BYTES_MAX (UPDATE_BYTES_MAX + 256)
#define UPDATE_TOPICS_MAX        100000

enum updates_format { UPDATES_JSON, UPDATES_ARRAY, UPDATES_RAW };

struct updates {
    const char *topic;     /* with one topic its name; with several, names are topic.0 and so on */
    uint32_t    topics;
    uint32_t    bytes;     /* of each frame, with its header */
    enum updates_format format; /* in which subscribers get them; publishing is the same for all */
    int64_t     wall_us;   /* added to the monotonic clock: the wall's time at the beginning; so all have 16 digits */
};

/* Prepares it. Returns NULL, or a sentence in `why` (320 bytes) that says what size or name would be right. */
const char *updates_init(struct updates *updates, enum updates_format format, const char *topic, uint32_t topics, uint64_t bytes,
                         char *why);

/* Microseconds since the Unix epoch, counted by the monotonic clock. */
int64_t updates_clock_us(const struct updates *updates, int64_t mono_ns);

/* Writes the name of a topic, with an end mark; returns its size. */
uint32_t update_topic_write(const struct updates *updates, uint32_t topic, char *out);

/* Writes one publish request, without a line end; returns its size. `id` 0: none. */
size_t update_request_write(const struct updates *updates, uint32_t topic, uint64_t seq, int64_t at_us, uint64_t id,
                            char *out);

/* What the verifying reader asks (verify.h). */
struct verify_source updates_source(const struct updates *updates);

#endif
