/* A kit for the engine's unit tests: one engine, a few subscribers without sockets, and what they are sent as a line to read. */
#ifndef TESTS_SUPPORT_KIT_H
#define TESTS_SUPPORT_KIT_H

#include "core/pubsub/engine.h"

#define KIT_SUBSCRIBERS FORMATS_COUNT

struct kit {
    struct engine   engine;
    struct counters counters;
    struct clock    clock;
    struct pool     subscribers; /* of struct subscriber; 0 to KIT_SUBSCRIBERS - 1 are there */
    struct bitset   ready;
    struct text     line;
};

struct kit_settings {
    struct window window; /* zero: large */
    uint32_t      topics_max, subscriptions_max, subscriptions_each_max, patterns_max;
    uint64_t      log_bytes_max, topic_ttl_us;
};

/* On the heap. What is left zero in the settings is large. */
struct kit *kit_make(const struct kit_settings *settings);
/* Ends all subscriptions, and asserts that nothing is left. */
void        kit_free(struct kit *kit);

/* Asserts that it is done, and returns its seq. */
uint64_t                kit_publish(struct kit *kit, const char *topic, const char *data);
uint64_t                kit_publish_key(struct kit *kit, const char *topic, const char *data);
/* A payload of so many bytes. */
uint64_t                kit_publish_bytes(struct kit *kit, const char *topic, size_t bytes);
enum publish_verdict    kit_try_publish(struct kit *kit, const char *topic, size_t bytes);
void                    kit_delete(struct kit *kit, const char *topic);
/* Asserts that it is done. */
struct subscribe_reply  kit_subscribe(struct kit *kit, uint32_t subscriber, const char *topic, enum mode mode);
struct subscribe_reply  kit_subscribe_live(struct kit *kit, uint32_t subscriber, const char *topic, enum mode mode); /* without a snapshot */
struct subscribe_reply  kit_resume(struct kit *kit, uint32_t subscriber, const char *topic, enum mode mode, struct span epoch, uint64_t seq);
void                    kit_unsubscribe(struct kit *kit, uint32_t subscriber, const char *topic);
const struct topic     *kit_topic(const struct kit *kit, const char *topic);
struct local_topic     *kit_local(const struct kit *kit, const char *topic);
struct subscription    *kit_subscription(const struct kit *kit, uint32_t subscriber, const char *topic);

static inline struct subscriber *kit_subscriber(const struct kit *kit, uint32_t index)
{
    return pool_at(&kit->subscribers, index);
}

/* What a subscriber reads, before it follows anything. */
static inline void kit_reads(const struct kit *kit, uint32_t subscriber, enum wire_format format)
{
    kit_subscriber(kit, subscriber)->format = format;
}
/* The topic in another format, at its home; NULL: it has none. */
const struct topic     *kit_topic_in(const struct kit *kit, const char *topic, enum wire_format format);

/* Tells, then sends the subscriber all that it has pending, pass by pass, and says what it was: "A born 1 2, B gap 3-4 5"; "" is nothing.
 * Borrowed until the next call. */
const char *kit_sent(struct kit *kit, uint32_t subscriber);
/* The same of any engine, without telling; into `line`. */
const char *kit_send_all(struct engine *engine, uint32_t subscriber, struct text *line);
/* Tells and trims, without sending: whoever reads is behind then. */
void        kit_turn(struct kit *kit);

#endif
