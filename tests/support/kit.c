#include "tests/support/kit.h"

#include <stdlib.h>

#include "core/base/siphash.h"
#include "core/pubsub/following.h"
#include "tests/support/deflating.h"
#include "tests/support/frames.h"

static uint64_t otherwise(uint64_t value, uint64_t otherwise)
{
    return value ? value : otherwise;
}

struct kit *kit_make(const struct kit_settings *chosen)
{
    struct kit *kit = calloc(1, sizeof *kit);
    CHECK(kit);
    struct engine_settings settings = {
        .shards_count = 1,
        .hash_key = "a fixed hash key",
        .subscriptions_max = (uint32_t)otherwise(chosen->subscriptions_max, 1000),
        .subscriptions_each_max = (uint32_t)otherwise(chosen->subscriptions_each_max, 1000),
        .patterns_max = (uint32_t)otherwise(chosen->patterns_max, 100),
        .home = {
            .topics_max = (uint32_t)otherwise(chosen->topics_max, 1000),
            .log_bytes_max = otherwise(chosen->log_bytes_max, 1 << 30),
            .compressor = &deflating,
            .topic_ttl_us = otherwise(chosen->topic_ttl_us, UINT64_C(1) << 60),
            .hash_key = "a fixed hash key",
            .window = { otherwise(chosen->window.updates_max, 1 << 30), otherwise(chosen->window.bytes_max, 1 << 30), otherwise(chosen->window.age_max_us, UINT64_C(1) << 60) },
        },
    };
    settings.home.patterns_max = settings.patterns_max;
    kit->clock = (struct clock){ .mono_us = 1000000, .wall_us = UINT64_C(1700000000000000) };
    CHECK(pool_init(&kit->subscribers, sizeof(struct subscriber), KIT_SUBSCRIBERS) == 0);
    CHECK(bitset_init(&kit->ready, KIT_SUBSCRIBERS) == 0);
    CHECK(engine_init(&kit->engine, &settings, &kit->subscribers, &kit->ready, &kit->clock, &kit->counters) == 0);
    for (uint32_t i = 0; i < KIT_SUBSCRIBERS; i++) {
        CHECK(pool_take(&kit->subscribers) == i);
        subscriber_init(kit_subscriber(kit, i));
    }
    return kit;
}

void kit_free(struct kit *kit)
{
    for (uint32_t i = 0; i < KIT_SUBSCRIBERS; i++) engine_unsubscribe_all(&kit->engine, i);
    CHECK(kit->engine.locals.topics.used == 0 && kit->engine.locals.subscriptions.used == 0 && kit->engine.by_pair.count == 0);
    CHECK(kit->engine.patterns.pool.used == 0);
    engine_deinit(&kit->engine); /* checks that no segment is left */
    pool_deinit(&kit->subscribers);
    bitset_deinit(&kit->ready);
    text_free(&kit->line);
    free(kit);
}

static enum publish_verdict publish(struct kit *kit, const char *topic, struct span data, bool key, uint64_t *seq)
{
    struct publish_ask ask = { .topic = span_of_string(topic), .data = data, .key = key };
    struct publish_reply reply = { 0 };
    CHECK(engine_publish(&kit->engine, &ask, TICKET_NONE, &reply) == LINK_DONE);
    *seq = reply.seq;
    return reply.verdict;
}

uint64_t kit_publish(struct kit *kit, const char *topic, const char *data)
{
    uint64_t seq;
    CHECK(publish(kit, topic, span_of_string(data), false, &seq) == PUBLISH_DONE);
    return seq;
}

uint64_t kit_publish_key(struct kit *kit, const char *topic, const char *data)
{
    uint64_t seq;
    CHECK(publish(kit, topic, span_of_string(data), true, &seq) == PUBLISH_DONE);
    return seq;
}

static enum publish_verdict publish_bytes(struct kit *kit, const char *topic, size_t bytes, uint64_t *seq)
{
    char *data = malloc(bytes);
    CHECK(data);
    memset(data, '7', bytes);
    enum publish_verdict verdict = publish(kit, topic, span_of(data, bytes), false, seq);
    free(data);
    return verdict;
}

uint64_t kit_publish_bytes(struct kit *kit, const char *topic, size_t bytes)
{
    uint64_t seq;
    CHECK(publish_bytes(kit, topic, bytes, &seq) == PUBLISH_DONE);
    return seq;
}

enum publish_verdict kit_try_publish(struct kit *kit, const char *topic, size_t bytes)
{
    uint64_t seq;
    return publish_bytes(kit, topic, bytes, &seq);
}

void kit_delete(struct kit *kit, const char *topic)
{
    struct delete_ask ask = { .topic = span_of_string(topic) };
    struct delete_reply reply;
    CHECK(engine_delete(&kit->engine, &ask, TICKET_NONE, &reply) == LINK_DONE && reply.found);
}

static struct subscribe_reply subscribe(struct kit *kit, uint32_t subscriber, const struct subscribe_ask *ask)
{
    struct subscribe_reply reply;
    CHECK(engine_subscribe(&kit->engine, subscriber, ask, &reply) == SUBSCRIBE_DONE);
    return reply;
}

struct subscribe_reply kit_subscribe(struct kit *kit, uint32_t subscriber, const char *topic, enum mode mode)
{
    return subscribe(kit, subscriber, &(struct subscribe_ask){ .topic = span_of_string(topic), .mode = mode, .snapshot = true });
}

struct subscribe_reply kit_subscribe_live(struct kit *kit, uint32_t subscriber, const char *topic, enum mode mode)
{
    return subscribe(kit, subscriber, &(struct subscribe_ask){ .topic = span_of_string(topic), .mode = mode });
}

struct subscribe_reply kit_resume(struct kit *kit, uint32_t subscriber, const char *topic, enum mode mode, struct span epoch, uint64_t seq)
{
    return subscribe(kit, subscriber, &(struct subscribe_ask){ .topic = span_of_string(topic), .mode = mode, .snapshot = true, .resume = true, .resume_epoch = epoch, .resume_seq = seq });
}

void kit_unsubscribe(struct kit *kit, uint32_t subscriber, const char *topic)
{
    engine_unsubscribe(&kit->engine, subscriber, span_of_string(topic));
}

const struct topic *kit_topic(const struct kit *kit, const char *topic)
{
    return home_find(&kit->engine.home, span_of_string(topic), engine_name_hash(&kit->engine, span_of_string(topic)));
}

const struct topic *kit_topic_in(const struct kit *kit, const char *topic, enum wire_format format)
{
    uint32_t index = home_find_index(&kit->engine.home, span_of_string(topic), engine_name_hash(&kit->engine, span_of_string(topic)), format);
    return index == POOL_NONE ? NULL : pool_at(&kit->engine.home.topics, index);
}

struct local_topic *kit_local(const struct kit *kit, const char *topic)
{
    uint32_t index = locals_find(&kit->engine.locals, span_of_string(topic), engine_name_hash(&kit->engine, span_of_string(topic)), FORMAT_JSON);
    return index == POOL_NONE ? NULL : local_topic_at(&kit->engine.locals, index);
}

struct subscription *kit_subscription(const struct kit *kit, uint32_t subscriber, const char *topic)
{
    uint32_t index = following_find(&kit->engine, subscriber, span_of_string(topic));
    return index == POOL_NONE ? NULL : subscription_at(&kit->engine.locals.subscriptions, index);
}

void kit_turn(struct kit *kit)
{
    engine_tell(&kit->engine);
    engine_trim(&kit->engine);
}

/* Frame by frame, out of the pieces that would be sent. */
static void say_seqs(struct text *line, const struct local_topic *local, struct range *range)
{
    struct piece pieces[64];
    uint32_t count = range_pieces(local, range, pieces, 64);
    uint64_t bytes = 0, seq = range->from.seq;
    enum wire_format format = local->chain.format;
    for (uint32_t i = 0; i < count; i++) {
        for (uint64_t at = 0; at < pieces[i].size; at += format_frame_bytes(format, pieces[i].bytes + at), seq++) {
            struct update update = frame_read(format, pieces[i].bytes + at, local_topic_name(local));
            CHECK(format_inflated(format) == FORMAT_RAW || update.seq == seq);
            text_print(line, " %llu", (unsigned long long)seq);
        }
        bytes += pieces[i].size;
    }
    CHECK(bytes == range->bytes);
}

static void send_one(struct engine *engine, struct subscriber *subscriber, uint32_t index, struct text *line)
{
    struct subscription *subscription = subscription_at(&engine->locals.subscriptions, index);
    struct local_topic *local = local_topic_at(&engine->locals, subscription->local);
    struct cursor_news news;
    if (!cursor_advance(local, subscription, subscriber->behind, engine->counters, &news)) {
        engine_sent(engine, index, (struct mark){ subscription->at, subscription->next_seq });
        return;
    }
    text_print(line, "%s%.*s", line->size > 0 ? ", " : "", (int)local->name_bytes, local->name);
    if (news.new_life) text_add_string(line, " born");
    if (news.gap_to > 0) text_print(line, " gap %llu-%llu", (unsigned long long)news.gap_from, (unsigned long long)news.gap_to);
    struct range range;
    cursor_cut(local, subscription, &range);
    say_seqs(line, local, &range);
    engine_sent(engine, index, range.to);
}

const char *kit_send_all(struct engine *engine, uint32_t index, struct text *line)
{
    struct subscriber *subscriber = pool_at(engine->locals.subscribers, index);
    line->size = 0;
    for (uint32_t at; (at = engine_take_dirty(engine, subscriber)) != POOL_NONE;) send_one(engine, subscriber, at, line);
    subscriber->behind = false;
    bitset_remove(engine->locals.ready, index);
    text_add_char(line, '\0');
    return line->bytes;
}

const char *kit_sent(struct kit *kit, uint32_t index)
{
    engine_tell(&kit->engine);
    return kit_send_all(&kit->engine, index, &kit->line);
}
