/* What readers of shards are sent, and what is judged of it. */
#include "tests/support/shards.h"

#include "core/base/siphash.h"
#include "core/proto/topic_name.h"
#include "core/proto/ws_frame.h"

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
    uint32_t number = 0;
    for (size_t i = 1; i < update->data.size && update->data.bytes[i] != ','; i++) number = number * 10 + (uint32_t)(update->data.bytes[i] - '0');
    if (number >= shards->updates_count) {
        fault_say(&shards->fault, "%s: nobody published %.*s", shards->names[topic], (int)update->data.size, update->data.bytes);
        return;
    }
    const struct shards_update *published = &shards->updates[number];
    if (!seen->known) fault_say(&shards->fault, "%s: an update before its epoch", shards->names[topic]);
    if (published->topic != topic) fault_say(&shards->fault, "%s: update %u is of another topic", shards->names[topic], number);
    if (published->refused) fault_say(&shards->fault, "%s: update %u was refused", shards->names[topic], number);
    shards_place(shards, number, seen->epoch, update->seq);
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
    uint32_t topic = shards_topic_named(shard->all, local_topic_name(local));
    struct seen *seen = &reader->seen[topic];
    struct cursor_news news;
    bool pending = cursor_advance(local, subscription, reader->subscriber.behind, &shard->counters, &news);
    hear_news(shard, seen, local, &news);
    if (!pending) {
        engine_sent(engine, index, (struct mark){ subscription->at, subscription->next_seq });
        return;
    }
    struct range range;
    cursor_cut(local, subscription, &range);
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

void shards_flush(struct shard_sim *shard)
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

/* ---- the judge ------------------------------------------------------------------------------------------------------- */

static const struct topic *topic_at_home(struct shards *shards, uint32_t topic)
{
    struct engine *home = &shards->shards[shards_home_of(shards, topic)].engine;
    return home_find(&home->home, shards_name(shards, topic), siphash(home->settings.hash_key, shards_name(shards, topic)));
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
            covered |= reader->patterns[p][0] && topic_pattern_matches(span_of_string(reader->patterns[p]), shards_name(shards, i));
        bool follows = engine_follows(&shard->engine, index, shards_name(shards, i));
        if ((born && covered) || seen->by_name) {
            if (!follows) fault_say(&shards->fault, "shard %u: reader %u does not follow %s", shard->index, index, shards->names[i]);
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
            if (shards_is_open(&shards->shards[i], reader)) check_reader(&shards->shards[i], reader);
        check_links(&shards->shards[i]);
        check_loans(&shards->shards[i]);
    }
}
