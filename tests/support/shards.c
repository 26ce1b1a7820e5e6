#include "tests/support/shards.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/base/siphash.h"
#include "core/proto/topic_name.h"
#include "core/proto/ws_frame.h"

enum { SETTLE_TURNS = 20000 };

static struct span name_of(const struct shards *shards, uint32_t topic)
{
    return span_of_string(shards->names[topic]);
}

static uint32_t topic_named(const struct shards *shards, struct span name)
{
    for (uint32_t topic = 0; topic < shards->plan.topics_known; topic++)
        if (span_equals(name_of(shards, topic), name)) return topic;
    CHECK(!"a topic that nobody named");
    return 0;
}

uint32_t shards_home_of(const struct shards *shards, uint32_t topic)
{
    uint64_t hash = siphash(shards->shards[0].engine.settings.hash_key, name_of(shards, topic));
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
static void place(struct shards *shards, uint32_t number, const char *epoch, uint64_t seq)
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
    if (reply->verdict == PUBLISH_DONE) place(shard->all, number, reply->epoch, reply->seq);
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
    struct publish_ask ask = { .topic = name_of(shards, topic), .data = span_of(data, (size_t)size), .quiet = quiet };
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
    struct delete_ask ask = { .topic = name_of(shards, topic) };
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
    *reader = (struct shards_reader){ .open = true, .life = ++lives };
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
    struct subscribe_ask ask = { .topic = name_of(shards, topic), .mode = every ? MODE_EVERY : MODE_LATEST, .snapshot = snapshot };
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
                                      : engine_prepare(&shard->engine, name_of(shard->all, t.topic), number);
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
    acked(covering->reader, topic_named(covering->shard->all, ask->topic), covering->every, ask, reply);
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
        if (reader->seen[topic].followed && !engine_follows(&shard->engine, reader_index, name_of(shard->all, topic))) reader->seen[topic] = (struct seen){ 0 };
}

void shards_unsubscribe(struct shards *shards, uint32_t shard_index, uint32_t reader, uint32_t topic)
{
    struct shard_sim *shard = &shards->shards[shard_index];
    engine_unsubscribe(&shard->engine, reader, name_of(shards, topic));
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

/* ---- flush ----------------------------------------------------------------------------------------------------------- */

static void hear_news(struct shard_sim *shard, struct seen *seen, const struct local_topic *local, const struct cursor_news *news)
{
    struct fault *fault = &shard->all->fault;
    if (news->new_life) {
        seen->followed = seen->known = true; /* by a pattern it may be the first word of it */
        memcpy(seen->epoch, local->epoch, EPOCH_BYTES);
        seen->seq = 0;
        seen->lives++;
    }
    if (news->gap_to == 0) return;
    if (news->gap_from != seen->seq + 1) fault_say(fault, "%.*s: gap from %llu after %llu", (int)local->name_bytes, local->name, (unsigned long long)news->gap_from, (unsigned long long)seen->seq);
    seen->gaps += news->gap_to - news->gap_from + 1;
    seen->seq = news->gap_to;
}

static void hear_update(struct shard_sim *shard, struct seen *seen, uint32_t topic, bool every, const struct update *update)
{
    struct shards *shards = shard->all;
    unsigned number = 0;
    if (update->data.size < 2 || sscanf(update->data.bytes, "[%u,", &number) != 1 || number >= shards->updates_count) {
        fault_say(&shards->fault, "%s: nobody published %.*s", shards->names[topic], (int)update->data.size, update->data.bytes);
        return;
    }
    const struct shards_update *published = &shards->updates[number];
    if (!seen->known) fault_say(&shards->fault, "%s: an update before its epoch", shards->names[topic]);
    if (published->topic != topic) fault_say(&shards->fault, "%s: update %u is of another topic", shards->names[topic], number);
    if (published->refused) fault_say(&shards->fault, "%s: update %u was refused", shards->names[topic], number);
    place(shards, number, seen->epoch, update->seq);
    if (every ? update->seq != seen->seq + 1 : update->seq <= seen->seq)
        fault_say(&shards->fault, "%s: shard %u: seq %llu after %llu", shards->names[topic], shard->index, (unsigned long long)update->seq, (unsigned long long)seen->seq);
    if (number < seen->last_of[published->from]) fault_say(&shards->fault, "%s: update %u after %u of the same publisher", shards->names[topic], number, seen->last_of[published->from]);
    seen->seq = update->seq;
    seen->last_of[published->from] = number;
    seen->updates++;
}

static void send_one(struct shard_sim *shard, struct shards_reader *reader, uint32_t index)
{
    struct engine *engine = &shard->engine;
    struct subscription *subscription = subscription_at(&engine->locals.subscriptions, index);
    struct local_topic *local = local_topic_at(&engine->locals, subscription->local);
    uint32_t topic = topic_named(shard->all, local_topic_name(local));
    struct seen *seen = &reader->seen[topic];
    struct cursor_news news;
    bool pending = cursor_advance(local, subscription, reader->subscriber.behind, &shard->counters, &news);
    hear_news(shard, seen, local, &news);
    if (!pending) {
        engine_sent(engine, index, (struct mark){ subscription->at, subscription->next_seq });
        return;
    }
    struct range range = cursor_cut(local, subscription);
    struct piece pieces[8];
    uint32_t count = range_pieces(local, &range, pieces, 8);
    for (uint32_t i = 0; i < count; i++)
        for (uint64_t at = 0; at < pieces[i].size;) {
            struct update update = format_json_read(pieces[i].bytes + at, local_topic_name(local));
            hear_update(shard, seen, topic, subscription->mode == MODE_EVERY, &update);
            at += ws_server_frame_bytes(pieces[i].bytes + at);
        }
    engine_sent(engine, index, range.to);
}

static void flush(struct shard_sim *shard)
{
    for (uint32_t index = bitset_next(&shard->ready, 0); index != BITSET_NONE; index = bitset_next(&shard->ready, index + 1)) {
        struct shards_reader *reader = pool_at(&shard->readers, index);
        bitset_remove(&shard->ready, index);
        if (reader->stuck) {
            reader->subscriber.behind = true;
            bitset_add(&shard->ready, index);
            continue;
        }
        uint32_t subscription;
        while ((subscription = engine_take_dirty(&shard->engine, &reader->subscriber)) != POOL_NONE) send_one(shard, reader, subscription);
        reader->subscriber.behind = false;
    }
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

static bool is_open(const struct shard_sim *shard, uint32_t reader)
{
    return reader < shard->readers.touched && shard->readers.out[reader / 64] >> reader % 64 & 1;
}

void shards_free(struct shards *shards)
{
    for (uint32_t i = 0; i < shards->plan.count; i++) {
        struct shard_sim *shard = &shards->shards[i];
        for (uint32_t reader = 0; reader < SHARDS_READERS_MAX; reader++)
            if (is_open(shard, reader)) shards_close(shards, i, reader);
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
    flush(shard);
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

/* ---- the judge ------------------------------------------------------------------------------------------------------- */

static const struct topic *topic_at_home(struct shards *shards, uint32_t topic)
{
    struct engine *home = &shards->shards[shards_home_of(shards, topic)].engine;
    return home_find(&home->home, name_of(shards, topic), siphash(home->settings.hash_key, name_of(shards, topic)));
}

static void check_reader(struct shard_sim *shard, uint32_t index)
{
    struct shards *shards = shard->all;
    struct shards_reader *reader = pool_at(&shard->readers, index);
    if (reader->stuck) return;
    for (uint32_t i = 0; i < shards->plan.topics_known; i++) {
        struct seen *seen = &reader->seen[i];
        const struct topic *topic = topic_at_home(shards, i);
        bool born = topic && log_newest_seq(&topic->json) > 0, covered = false;
        for (uint32_t p = 0; p < SHARDS_PATTERNS_MAX; p++)
            covered |= reader->patterns[p][0] && topic_pattern_matches(span_of_string(reader->patterns[p]), name_of(shards, i));
        bool follows = engine_follows(&shard->engine, index, name_of(shards, i));
        if ((born && covered) || seen->by_name) {
            if (!follows) {
                uint32_t l = locals_find(&shard->engine.locals, name_of(shards, i), siphash(shard->engine.settings.hash_key, name_of(shards, i)));
                fprintf(stderr, "home %u notcovered %llu local %d state %d seq %llu by_name %d p0 '%s' p1 '%s' p2 '%s' p3 '%s' homeseq %llu covers %d\n", shards_home_of(shards,i), (unsigned long long)counter_read(&shard->counters, COUNTER_BIRTHS_NOT_COVERED), (int)l, l==POOL_NONE?-1:local_topic_at(&shard->engine.locals,l)->state, l==POOL_NONE?0ull:(unsigned long long)local_topic_at(&shard->engine.locals,l)->ends.last.seq, seen->by_name, reader->patterns[0],reader->patterns[1],reader->patterns[2],reader->patterns[3], topic?(unsigned long long)log_newest_seq(&topic->json):0ull, covered);
                fault_say(&shards->fault, "shard %u: reader %u does not follow %s", shard->index, index, shards->names[i]);
            }
        } else if (follows && !covered) fault_say(&shards->fault, "shard %u: reader %u follows %s, and shouldn't", shard->index, index, shards->names[i]);
        if (!born || !follows) continue;
        if (!seen->known || memcmp(seen->epoch, topic->epoch, EPOCH_BYTES) != 0)
            fault_say(&shards->fault, "shard %u: reader %u is in another life of %s", shard->index, index, shards->names[i]);
        else if (seen->seq != log_newest_seq(&topic->json))
            fault_say(&shards->fault, "shard %u: reader %u has %s up to %llu of %llu", shard->index, index, shards->names[i], (unsigned long long)seen->seq, (unsigned long long)log_newest_seq(&topic->json));
    }
}

static void check_links(struct shard_sim *shard)
{
    struct fault *fault = &shard->all->fault;
    struct engine *engine = &shard->engine;
    for (uint32_t i = 0; i < shard->all->plan.count; i++) {
        struct link *link = &engine->links[i];
        if (link->self) continue;
        if (link->credits != link->reserved) fault_say(fault, "shard %u: %u of %u credits at %u", shard->index, link->credits, link->reserved, i);
        if (link->locals_to_tell.first != POOL_NONE || link->patterns_to_tell.first != POOL_NONE || link->behind) fault_say(fault, "shard %u: untold to %u", shard->index, i);
        if (link->full) fault_say(fault, "shard %u: room at %u was not told", shard->index, i);
        if (engine->home.to_tell[i].first != POOL_NONE || engine->home.matches[i] || link->credits_back) fault_say(fault, "shard %u: news untold to %u", shard->index, i);
    }
    for (uint32_t i = 0; i < SHARDS_TICKETS_MAX; i++)
        if (shard->tickets[i].kind != TICKET_FREE) fault_say(fault, "shard %u: ticket %u never came back, kind %d", shard->index, i, shard->tickets[i].kind);
    if (engine->awaiting.pool.used) fault_say(fault, "shard %u: somebody still waits", shard->index);
}

/* All segments that a home has are in windows: none is on loan only. */
static void check_loans(struct shard_sim *shard)
{
    struct fault *fault = &shard->all->fault;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < shard->all->plan.topics_known; i++) {
        if (shards_home_of(shard->all, i) != shard->index) continue;
        const struct topic *topic = topic_at_home(shard->all, i);
        if (!topic) continue;
        const struct log *log = &topic->json;
        if (log_newest_seq(log) == 0 ? log->chain.count > 0 : log->chain.number != log->ends.tail.at.segment)
            fault_say(fault, "%s: trimmed segments were not given back", shard->all->names[i]);
        for (uint32_t n = 0; n < log->chain.count; n++) bytes += sizeof(struct segment) + chain_at(&log->chain, log->chain.number + n)->segment->size;
    }
    if (shard->engine.home.on_loan_bytes) fault_say(fault, "shard %u: counts %llu bytes on loan", shard->index, (unsigned long long)shard->engine.home.on_loan_bytes);
    if (shard->engine.home.store.bytes_used != bytes) fault_say(fault, "shard %u: %llu bytes in use, %llu in logs", shard->index, (unsigned long long)shard->engine.home.store.bytes_used, (unsigned long long)bytes);
}

void shards_check(struct shards *shards)
{
    for (uint32_t i = 0; i < shards->plan.count; i++) {
        for (uint32_t reader = 0; reader < SHARDS_READERS_MAX; reader++)
            if (is_open(&shards->shards[i], reader)) check_reader(&shards->shards[i], reader);
        check_links(&shards->shards[i]);
        check_loans(&shards->shards[i]);
    }
}
