#include "tests/support/shards.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/base/siphash.h"
#include "core/proto/topic_name.h"
#include "core/proto/ws_frame.h"

enum { SETTLE_TURNS = 20000 };

struct span shards_name(const struct shards *shards, uint32_t topic)
{
    return span_of_string(shards->names[topic]);
}

uint32_t shards_topic_named(const struct shards *shards, struct span name)
{
    for (uint32_t topic = 0; topic < shards->plan.topics_known; topic++)
        if (span_equals(shards_name(shards, topic), name)) return topic;
    CHECK(!"a topic that nobody named");
    return 0;
}

uint32_t shards_home_of(const struct shards *shards, uint32_t topic)
{
    uint64_t hash = siphash(shards->shards[0].engine.settings.hash_key, shards_name(shards, topic));
    return (uint32_t)((hash >> 32) % shards->plan.count);
}

uint32_t shards_topic_of(const struct shards *shards, uint32_t home, uint32_t n)
{
    for (uint32_t topic = 0; topic < shards->plan.topics_known; topic++)
        if (shards_home_of(shards, topic) == home && n-- == 0) return topic;
    CHECK(!"too few topics at that home");
    return 0;
}

/* ---- tickets --------------------------------------------------------------------------------------------------------- */

static struct shards_ticket *ticket_take(struct shard_sim *shard, enum ticket_kind kind)
{
    for (uint32_t i = 0; i < SHARDS_TICKETS_MAX; i++)
        if (shard->tickets[i].kind == TICKET_FREE) {
            shard->tickets[i] = (struct shards_ticket){ .kind = kind };
            return &shard->tickets[i];
        }
    CHECK(!"no ticket is left");
    return NULL;
}

static uint32_t ticket_number(const struct shard_sim *shard, const struct shards_ticket *ticket)
{
    return (uint32_t)(ticket - shard->tickets);
}

static struct shards_ticket ticket_back(struct shard_sim *shard, uint32_t number, enum ticket_kind kind)
{
    CHECK(number < SHARDS_TICKETS_MAX);
    struct shards_ticket ticket = shard->tickets[number];
    if (ticket.kind != kind && !(kind == TICKET_SUBSCRIBE && ticket.kind == TICKET_PATTERN))
        fault_say(&shard->all->fault, "shard %u: a reply to ticket %u, which is of kind %d", shard->index, number, ticket.kind);
    shard->tickets[number].kind = TICKET_FREE;
    return ticket;
}

/* ---- publishing ------------------------------------------------------------------------------------------------------ */

/* Where an update came, as somebody says: all must say the same. */
void shards_place(struct shards *shards, uint32_t number, const char *epoch, uint64_t seq)
{
    struct shards_update *update = &shards->updates[number];
    if (update->placed && (update->seq != seq || memcmp(update->epoch, epoch, EPOCH_BYTES) != 0))
        fault_say(&shards->fault, "update %u of %s is at seq %llu and at %llu", number, shards->names[update->topic], (unsigned long long)update->seq, (unsigned long long)seq);
    update->placed = true;
    update->seq = seq;
    memcpy(update->epoch, epoch, EPOCH_BYTES);
}

static void outcome(struct shard_sim *shard, uint32_t number, const struct publish_reply *reply)
{
    shard->published++;
    if (reply->verdict == PUBLISH_DONE) shards_place(shard->all, number, reply->epoch, reply->seq);
    else {
        shard->refused++;
        shard->all->updates[number].refused = true;
    }
}

enum link_result shards_publish(struct shards *shards, uint32_t shard_index, uint32_t topic, bool quiet)
{
    struct shard_sim *shard = &shards->shards[shard_index];
    if (shards->updates_count == SHARDS_UPDATES_MAX) return LINK_FULL;
    char data[4096];
    uint32_t number = shards->updates_count, room = shards->plan.payload_bytes_max;
    int size = snprintf(data, sizeof data, "[%u,\"%*s\"]", number, (int)(room > 40 ? random_below(&shards->random, room - 40) : 0), "");
    struct publish_ask ask = { .topic = shards_name(shards, topic), .data = span_of(data, (size_t)size), .quiet = quiet };
    struct publish_reply reply;
    struct shards_ticket *ticket = ticket_take(shard, TICKET_PUBLISH);
    ticket->number = number;
    enum link_result result = engine_publish(&shard->engine, &ask, quiet ? TICKET_NONE : ticket_number(shard, ticket), &reply);
    if (result != LINK_SENT || quiet) ticket->kind = TICKET_FREE;
    if (result == LINK_FULL) return result;
    shards->updates[number] = (struct shards_update){ .topic = (uint8_t)topic, .from = (uint8_t)shard_index, .sent = true };
    shards->updates_count++;
    if (result == LINK_DONE) outcome(shard, number, &reply);
    return result;
}

static void on_published(void *context, uint32_t ticket, const struct publish_reply *reply)
{
    struct shard_sim *shard = context;
    outcome(shard, ticket_back(shard, ticket, TICKET_PUBLISH).number, reply);
}

enum link_result shards_delete(struct shards *shards, uint32_t shard_index, uint32_t topic)
{
    struct shard_sim *shard = &shards->shards[shard_index];
    struct delete_ask ask = { .topic = shards_name(shards, topic) };
    struct delete_reply reply;
    struct shards_ticket *ticket = ticket_take(shard, TICKET_DELETE);
    enum link_result result = engine_delete(&shard->engine, &ask, ticket_number(shard, ticket), &reply);
    if (result != LINK_SENT) ticket->kind = TICKET_FREE;
    if (result == LINK_DONE) shard->last_found = reply.found;
    return result;
}

static void on_deleted(void *context, uint32_t ticket, const struct delete_reply *reply)
{
    struct shard_sim *shard = context;
    ticket_back(shard, ticket, TICKET_DELETE);
    shard->deleted++;
    shard->last_found = reply->found;
}

static void keep_answer(struct shard_sim *shard, bool found, struct span answer)
{
    shard->answered++;
    shard->last_found = found;
    snprintf(shard->last_answer, sizeof shard->last_answer, "%.*s", (int)answer.size, answer.bytes ? answer.bytes : "");
}

enum link_result shards_query(struct shards *shards, uint32_t shard_index, const struct query_ask *asked)
{
    struct shard_sim *shard = &shards->shards[shard_index];
    struct query_ask ask = *asked;
    struct query_reply reply;
    struct text answer = { 0 };
    struct shards_ticket *ticket = ticket_take(shard, TICKET_QUERY);
    enum link_result result = engine_query(&shard->engine, &ask, ticket_number(shard, ticket), &reply, &answer);
    if (result != LINK_SENT) ticket->kind = TICKET_FREE;
    if (result == LINK_DONE) keep_answer(shard, reply.found, text_span(&answer));
    text_free(&answer);
    return result;
}

static void on_answered(void *context, uint32_t ticket, const struct query_reply *reply, struct span answer)
{
    struct shard_sim *shard = context;
    ticket_back(shard, ticket, TICKET_QUERY);
    keep_answer(shard, reply->found, answer);
    if (reply->last.bytes && !strstr(shard->last_answer, "\"")) fault_say(&shard->all->fault, "a last name, and no answer");
}

/* ---- readers --------------------------------------------------------------------------------------------------------- */

uint32_t shards_open(struct shards *shards, uint32_t shard)
{
    struct pool *pool = &shards->shards[shard].readers;
    uint32_t index = pool_take(pool);
    static uint32_t lives;
    if (index == POOL_NONE) return index;
    struct shards_reader *reader = pool_at(pool, index);
    *reader = (struct shards_reader){ .life = ++lives };
    shards->shards[shard].open[index] = true;
    subscriber_init(&reader->subscriber);
    return index;
}

void shards_close(struct shards *shards, uint32_t shard_index, uint32_t reader)
{
    struct shard_sim *shard = &shards->shards[shard_index];
    engine_unsubscribe_all(&shard->engine, reader);
    bitset_remove(&shard->ready, reader);
    for (uint32_t i = 0; i < SHARDS_TICKETS_MAX; i++) /* a ticket stays out, for nobody */
        if (shard->tickets[i].reader == reader) shard->tickets[i].reader_life = 0;
    pool_give(&shard->readers, reader);
    shard->open[reader] = false;
}

static void acked(struct shards_reader *reader, uint32_t topic, bool every, const struct subscribe_ask *ask, const struct subscribe_reply *reply)
{
    struct seen *seen = &reader->seen[topic];
    seen->followed = true;
    seen->every = every;
    if (reply->again) return;
    *seen = (struct seen){ .followed = true, .by_name = seen->by_name, .every = every };
    if (!reply->born) return;
    seen->known = true;
    memcpy(seen->epoch, reply->epoch, EPOCH_BYTES);
    seen->seq = ask->snapshot ? reply->seq - 1 : reply->seq;
}

static enum link_result subscribe_now(struct shard_sim *shard, uint32_t reader_index, uint32_t topic, bool every, bool snapshot)
{
    struct shards *shards = shard->all;
    struct shards_reader *reader = pool_at(&shard->readers, reader_index);
    struct subscribe_ask ask = { .topic = shards_name(shards, topic), .mode = every ? MODE_EVERY : MODE_LATEST, .snapshot = snapshot };
    struct subscribe_reply reply;
    enum subscribe_verdict verdict = engine_subscribe(&shard->engine, reader_index, &ask, &reply);
    if (verdict == SUBSCRIBE_NOT_READY) fault_say(&shards->fault, "%s was prepared and is not ready", shards->names[topic]);
    if (verdict != SUBSCRIBE_DONE) return LINK_REFUSED;
    shard->acks++;
    reader->seen[topic].by_name = true;
    acked(reader, topic, every, &ask, &reply);
    return LINK_DONE;
}

static enum link_result prepare_and_subscribe(struct shard_sim *shard, struct shards_ticket *ticket)
{
    struct shards_ticket t = *ticket;
    uint32_t number = ticket_number(shard, ticket);
    bool pattern = t.kind == TICKET_PATTERN;
    enum link_result result = pattern ? engine_prepare_pattern(&shard->engine, span_of_string(t.pattern), number)
                                      : engine_prepare(&shard->engine, shards_name(shard->all, t.topic), FORMAT_JSON, number);
    if (result == LINK_SENT) return result;
    ticket->kind = TICKET_FREE;
    if (result != LINK_DONE) {
        shard->refused++;
        return result;
    }
    if (!pattern) return subscribe_now(shard, t.reader, t.topic, t.every, t.snapshot);
    return LINK_DONE;
}

struct covering {
    struct shard_sim     *shard;
    struct shards_reader *reader;
    bool                  every;
};

static void on_covered(void *context, const struct subscribe_ask *ask, const struct subscribe_reply *reply)
{
    struct covering *covering = context;
    acked(covering->reader, shards_topic_named(covering->shard->all, ask->topic), covering->every, ask, reply);
    if (!reply->born) fault_say(&covering->shard->all->fault, "covered, and not born");
}

static enum link_result pattern_now(struct shard_sim *shard, uint32_t reader_index, const char *text, bool every, bool snapshot)
{
    struct shards_reader *reader = pool_at(&shard->readers, reader_index);
    struct pattern_ask ask = { .pattern = span_of_string(text), .mode = every ? MODE_EVERY : MODE_LATEST, .snapshot = snapshot };
    bool again;
    if (!engine_subscribe_pattern(&shard->engine, reader_index, &ask, &again)) return LINK_REFUSED;
    shard->acks++;
    for (uint32_t i = 0; i < SHARDS_PATTERNS_MAX && !again; i++)
        if (reader->patterns[i][0] == '\0') {
            snprintf(reader->patterns[i], sizeof reader->patterns[i], "%s", text);
            break;
        }
    struct covering covering = { shard, reader, every };
    engine_cover(&shard->engine, reader_index, span_of_string(text), &(struct pattern_cover){ &covering, NULL, on_covered });
    return LINK_DONE;
}

static enum link_result ask_for(struct shard_sim *shard, struct shards_ticket *ticket)
{
    struct shards_ticket t = *ticket;
    enum link_result result = prepare_and_subscribe(shard, ticket);
    if (result == LINK_DONE && t.kind == TICKET_PATTERN) return pattern_now(shard, t.reader, t.pattern, t.every, t.snapshot);
    return result;
}

enum link_result shards_subscribe(struct shards *shards, uint32_t shard_index, uint32_t reader, uint32_t topic, bool every, bool snapshot)
{
    struct shard_sim *shard = &shards->shards[shard_index];
    struct shards_ticket *ticket = ticket_take(shard, TICKET_SUBSCRIBE);
    ticket->topic = topic;
    ticket->reader = reader;
    ticket->reader_life = shards_reader_at(shards, shard_index, reader)->life;
    ticket->every = every;
    ticket->snapshot = snapshot;
    return ask_for(shard, ticket);
}

enum link_result shards_subscribe_pattern(struct shards *shards, uint32_t shard_index, uint32_t reader, const char *pattern, bool every, bool snapshot)
{
    struct shard_sim *shard = &shards->shards[shard_index];
    struct shards_ticket *ticket = ticket_take(shard, TICKET_PATTERN);
    snprintf(ticket->pattern, sizeof ticket->pattern, "%s", pattern);
    ticket->reader = reader;
    ticket->reader_life = shards_reader_at(shards, shard_index, reader)->life;
    ticket->every = every;
    ticket->snapshot = snapshot;
    return ask_for(shard, ticket);
}

/* Asks again, if whoever asked is still there. */
static void on_live(void *context, uint32_t number)
{
    struct shard_sim *shard = context;
    struct shards_ticket ticket = ticket_back(shard, number, TICKET_SUBSCRIBE);
    if (ticket.reader_life == 0) return;
    struct shards_ticket *again = ticket_take(shard, ticket.kind);
    *again = ticket;
    ask_for(shard, again);
}

/* What is followed no more, by name or by any pattern, is forgotten. */
static void forget_unfollowed(struct shard_sim *shard, uint32_t reader_index)
{
    struct shards_reader *reader = pool_at(&shard->readers, reader_index);
    for (uint32_t topic = 0; topic < shard->all->plan.topics_known; topic++)
        if (reader->seen[topic].followed && !engine_follows(&shard->engine, reader_index, shards_name(shard->all, topic))) reader->seen[topic] = (struct seen){ 0 };
}

void shards_unsubscribe(struct shards *shards, uint32_t shard_index, uint32_t reader, uint32_t topic)
{
    struct shard_sim *shard = &shards->shards[shard_index];
    engine_unsubscribe(&shard->engine, reader, shards_name(shards, topic));
    shards_reader_at(shards, shard_index, reader)->seen[topic].by_name = false;
    forget_unfollowed(shard, reader);
}

void shards_unsubscribe_pattern(struct shards *shards, uint32_t shard_index, uint32_t reader_index, const char *pattern)
{
    struct shard_sim *shard = &shards->shards[shard_index];
    struct shards_reader *reader = shards_reader_at(shards, shard_index, reader_index);
    engine_unsubscribe_pattern(&shard->engine, reader_index, span_of_string(pattern));
    for (uint32_t i = 0; i < SHARDS_PATTERNS_MAX; i++)
        if (strcmp(reader->patterns[i], pattern) == 0) reader->patterns[i][0] = '\0';
    forget_unfollowed(shard, reader_index);
}

/* ---- turns ----------------------------------------------------------------------------------------------------------- */

static void on_room(void *context)
{
    ((struct shard_sim *)context)->rooms++;
}

static void on_wake(void *context, uint32_t shard)
{
    ((struct shard_sim *)context)->all->shards[shard].woken = true;
}

struct shards *shards_make(const struct shards_plan *plan, uint64_t seed)
{
    struct shards *shards = calloc(1, sizeof *shards);
    CHECK(shards);
    shards->plan = *plan;
    shards->random = seed;
    shards->clock = (struct clock){ .mono_us = 1000000, .wall_us = UINT64_C(1700000000000000) };
    shards->wires = wires_make(plan->count, &plan->wires);
    CHECK(shards->wires);
    for (uint32_t topic = 0; topic < plan->topics_known; topic++)
        snprintf(shards->names[topic], sizeof shards->names[topic], "%c.%c%u", "abc"[topic % 3], "xyz"[topic / 3 % 3], topic);
    struct engine_settings settings = {
        .shards_count = plan->count, .home = plan->home, .subscriptions_max = SHARDS_READERS_MAX * SHARDS_TOPICS_MAX, .subscriptions_each_max = SHARDS_TOPICS_MAX,
        .patterns_max = 64, .locals_max = SHARDS_TOPICS_MAX,
    };
    memcpy(settings.hash_key, &seed, sizeof seed);
    for (uint32_t i = 0; i < plan->count; i++) {
        struct shard_sim *shard = &shards->shards[i];
        shard->all = shards;
        shard->index = settings.shard = i;
        CHECK(pool_init(&shard->readers, sizeof(struct shards_reader), SHARDS_READERS_MAX) == 0);
        CHECK(bitset_init(&shard->ready, SHARDS_READERS_MAX) == 0);
        CHECK(engine_init(&shard->engine, &settings, &shard->readers, &shard->ready, &shards->clock, &shard->counters) == 0);
    }
    for (uint32_t i = 0; i < plan->count; i++) {
        struct engine_hooks hooks = { &shards->shards[i], on_published, on_deleted, on_answered, on_live, on_room, on_wake };
        CHECK(engine_connect(&shards->shards[i].engine, shards->wires, &hooks) == 0);
    }
    return shards;
}

bool shards_is_open(const struct shard_sim *shard, uint32_t reader)
{
    return shard->open[reader];
}

void shards_free(struct shards *shards)
{
    for (uint32_t i = 0; i < shards->plan.count; i++) {
        struct shard_sim *shard = &shards->shards[i];
        for (uint32_t reader = 0; reader < SHARDS_READERS_MAX; reader++)
            if (shards_is_open(shard, reader)) shards_close(shards, i, reader);
    }
    for (uint32_t i = 0; i < shards->plan.count; i++) {
        engine_deinit(&shards->shards[i].engine);
        bitset_deinit(&shards->shards[i].ready);
        pool_deinit(&shards->shards[i].readers);
    }
    wires_free(shards->wires);
    free(shards);
}

void shards_turn(struct shards *shards, uint32_t index)
{
    struct shard_sim *shard = &shards->shards[index];
    shard->woken = false;
    engine_receive(&shard->engine);
    engine_tick(&shard->engine);
    engine_tell(&shard->engine);
    shards_flush(shard);
    engine_trim(&shard->engine);
}

void shards_pass(struct shards *shards, uint64_t us)
{
    shards->clock.mono_us += us;
    shards->clock.wall_us += us;
}

static bool has_ready(const struct shard_sim *shard)
{
    for (uint32_t index = bitset_next(&shard->ready, 0); index != BITSET_NONE; index = bitset_next(&shard->ready, index + 1))
        if (!((const struct shards_reader *)pool_at(&shard->readers, index))->stuck) return true;
    return false;
}

void shards_settle(struct shards *shards)
{
    for (uint32_t i = 0; i < shards->plan.count; i++) shards_turn(shards, i); /* what was done before is told */
    for (int turns = 0; turns < SETTLE_TURNS; turns++) {
        bool quiet = true;
        for (uint32_t i = 0; i < shards->plan.count; i++) {
            struct shard_sim *shard = &shards->shards[i];
            bool own = shard->engine.home.to_tell[i].first != POOL_NONE; /* trimmed after it told */
            if (!shard->woken && !own && !has_ready(shard) && !engine_has_input(&shard->engine)) continue;
            quiet = false;
            shards_turn(shards, i);
        }
        if (quiet) return;
    }
    fault_say(&shards->fault, "it never comes to rest");
}
