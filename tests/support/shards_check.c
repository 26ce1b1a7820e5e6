/* The judge of shards at rest: who has what, what links still hold, what is on loan; and of answers to readings. */
#include "tests/support/shards.h"

#include <stdio.h>

#include "core/proto/topic_name.h"

const struct topic *shards_topic_at_home(const struct shards *shards, uint32_t topic)
{
    return home_find(&shards->shards[shards_home_of(shards, topic)].engine.home, shards_name(shards, topic), shards->hashes[topic]);
}

/* ---- lives ----------------------------------------------------------------------------------------------------------- */

uint32_t shards_life_of(const struct shards *shards, uint32_t topic, const char *epoch)
{
    for (uint32_t life = shards->lives_count[topic]; life-- > 0;)
        if (memcmp(shards->lives[topic][life].epoch, epoch, EPOCH_BYTES) == 0) return life;
    return SHARDS_LIVES_MAX;
}

void shards_watch_lives(struct shard_sim *shard)
{
    struct shards *shards = shard->all;
    for (uint32_t i = 0; i < shards->plan.topics_known; i++) {
        if (shards_home_of(shards, i) != shard->index) continue;
        const struct topic *topic = shards_topic_at_home(shards, i);
        if (!topic || log_newest_seq(&topic->log) == 0) continue;
        uint32_t count = shards->lives_count[i];
        if (count > 0 && memcmp(shards->lives[i][count - 1].epoch, topic->epoch, EPOCH_BYTES) == 0) continue;
        CHECK(count < SHARDS_LIVES_MAX);
        struct shards_life *life = &shards->lives[i][shards->lives_count[i]++];
        *life = (struct shards_life){ .first_key = UINT64_MAX };
        memcpy(life->epoch, topic->epoch, EPOCH_BYTES);
    }
}

static void hear_of_birth(struct shard_sim *shard, struct span name)
{
    struct shards *shards = shard->all;
    uint32_t topic = shards_topic_named(shards, name), index = locals_find(&shard->engine.locals, name, shards->hashes[topic], FORMAT_JSON);
    shards->seen.births_told++;
    if (index == POOL_NONE) return;
    uint32_t life = shards_life_of(shards, topic, local_topic_at(&shard->engine.locals, index)->epoch);
    if (life == SHARDS_LIVES_MAX || life < shard->told[topic].life) return;
    shard->told[topic].life = life + 1;
    shard->told[topic].seq = 0;
}

void shards_watch_births(struct shard_sim *shard)
{
    for (uint32_t i = 0; i < shard->all->plan.count; i++) {
        struct link *link = &shard->engine.links[i];
        if (link->self) continue;
        struct spsc_rx rx = link->tells;
        for (struct tell tell; spsc_take(&rx, &tell);) /* a look with a handle of its own: nothing is taken */
            if (tell.kind == TELL_BIRTH) hear_of_birth(shard, span_of(tell.name, tell.name_bytes));
    }
}

/* ---- readers --------------------------------------------------------------------------------------------------------- */

const struct shards_pattern *shards_covering(const struct shards *shards, const struct shards_reader *reader, uint32_t topic)
{
    const struct shards_pattern *rules = NULL;
    for (uint32_t i = 0; i < SHARDS_PATTERNS_MAX; i++) {
        const struct shards_pattern *pattern = &reader->patterns[i];
        if (!pattern->text[0] || (rules && rules->order > pattern->order)) continue;
        if (topic_pattern_matches(span_of_string(pattern->text), shards_name(shards, topic))) rules = pattern;
    }
    return rules;
}

uint32_t shards_home_without(const struct shards *shards, uint32_t shard, const char *pattern)
{
    for (uint32_t i = 0; i < shards->plan.count; i++) {
        const struct home *home = &shards->shards[i].engine.home;
        uint32_t index = pattern_index_find(&home->patterns, span_of_string(pattern));
        if (index == PATTERN_INDEX_NONE || !(*(const uint64_t *)pool_at(&home->pattern_shards, index) >> shard & 1)) return i;
    }
    return SHARDS_SIM_MAX;
}

static void check_reader(struct shard_sim *shard, uint32_t index)
{
    struct shards *shards = shard->all;
    struct fault *fault = &shards->fault;
    struct shards_reader *reader = pool_at(&shard->readers, index);
    for (uint32_t i = 0; i < SHARDS_PATTERNS_MAX; i++) {
        const char *pattern = reader->patterns[i].text;
        uint32_t without = pattern[0] ? shards_home_without(shards, shard->index, pattern) : SHARDS_SIM_MAX;
        if (without != SHARDS_SIM_MAX) fault_say(fault, "shard %u: reader %u follows %s, and home %u does not know", shard->index, index, pattern, without);
    }
    if (reader->stuck) return;
    for (uint32_t i = 0; i < shards->plan.topics_known; i++) {
        const struct seen *seen = &reader->seen[i];
        const struct topic *topic = shards_topic_at_home(shards, i);
        bool born = topic && log_newest_seq(&topic->log) > 0, covered = shards_covering(shards, reader, i);
        bool follows = engine_follows(&shard->engine, index, shards_name(shards, i));
        if ((born && covered) || seen->by_name) {
            if (!follows) fault_say(fault, "shard %u: reader %u does not follow %s", shard->index, index, shards->names[i]);
        } else if (follows && !covered) fault_say(fault, "shard %u: reader %u follows %s, and shouldn't", shard->index, index, shards->names[i]);
        if (!born || !follows) continue;
        if (!seen->known || memcmp(seen->epoch, topic->epoch, EPOCH_BYTES) != 0)
            fault_say(fault, "shard %u: reader %u is in another life of %s", shard->index, index, shards->names[i]);
        else if (seen->seq != log_newest_seq(&topic->log))
            fault_say(fault, "shard %u: reader %u has %s up to %llu of %llu", shard->index, index, shards->names[i], (unsigned long long)seen->seq, (unsigned long long)log_newest_seq(&topic->log));
    }
}

/* ---- links ----------------------------------------------------------------------------------------------------------- */

static void describe_link(const struct engine *engine, const struct link *link, char *text, size_t size)
{
    uint32_t shard = link->shard, us = engine->settings.shard;
    const char *what = link->locals_to_tell.first != POOL_NONE ? "topics untold" : link->patterns_to_tell.first != POOL_NONE ? "patterns untold" : link->behind ? "behind" : link->full ? "full, and room was not told"
        : engine->home.to_tell[shard].first != POOL_NONE ? "news untold" : engine->home.matches[shard] ? "matches untold" : link->credits_back ? "credits not given back" : NULL;
    uint32_t asks = link->asks.published - atomic_load(&link->asks.queue->released), tells = link->told.published - atomic_load(&link->told.queue->released);
    if (!what && asks) what = "asks not taken";
    if (!what && tells) what = "tells not taken";
    if (what || link->credits != link->reserved)
        snprintf(text, size, "shard %u to %u: %s, %u of %u credits, %u asks and %u tells under way", us, shard, what ? what : "all told", link->credits, link->reserved, asks, tells);
}

void shards_describe(const struct shards *shards, char *text, size_t size)
{
    text[0] = '\0';
    for (uint32_t i = 0; i < shards->plan.count; i++)
        for (uint32_t home = 0; home < shards->plan.count && !text[0]; home++)
            if (home != i) describe_link(&shards->shards[i].engine, &shards->shards[i].engine.links[home], text, size);
}

static void check_links(const struct shard_sim *shard)
{
    struct fault *fault = &shard->all->fault;
    const struct engine *engine = &shard->engine;
    char text[200] = "";
    for (uint32_t i = 0; i < shard->all->plan.count && !text[0]; i++)
        if (!engine->links[i].self) describe_link(engine, &engine->links[i], text, sizeof text);
    if (text[0]) fault_say(fault, "%s", text);
    for (uint32_t i = 0; i < SHARDS_TICKETS_MAX; i++)
        if (shard->tickets[i].kind != TICKET_FREE) fault_say(fault, "shard %u: ticket %u never came back, kind %d", shard->index, i, shard->tickets[i].kind);
    if (engine->awaiting.pool.used) fault_say(fault, "shard %u: somebody still waits", shard->index);
    if (shard->paused_count) fault_say(fault, "shard %u: a publisher was never told that there is room", shard->index);
}

/* What was published came to a log, or was refused. */
static void check_publishes(const struct shards *shards, struct fault *fault)
{
    uint64_t in = 0, failed = 0;
    for (uint32_t i = 0; i < shards->plan.count; i++) {
        in += counter_read(&shards->shards[i].counters, COUNTER_UPDATES_IN);
        failed += counter_read(&shards->shards[i].counters, COUNTER_QUIET_FAILED);
    }
    if (in + failed + shards->refused != shards->updates_count)
        fault_say(fault, "%u updates were published, %llu came to logs, %llu were refused", shards->updates_count, (unsigned long long)in, (unsigned long long)(failed + shards->refused));
}

/* ---- loans ----------------------------------------------------------------------------------------------------------- */

static void check_loans_of(struct shard_sim *shard, const struct local_topic *local)
{
    struct shards *shards = shard->all;
    uint32_t index = shards_topic_named(shards, local_topic_name(local));
    const struct topic *topic = shards_topic_at_home(shards, index);
    for (uint32_t n = 0; n < local->chain.count; n++) {
        uint32_t number = local->chain.number + n;
        const struct chain_link *ours = chain_at(&local->chain, number);
        bool lent = topic && chain_holds(&topic->log.chain, number) && chain_at(&topic->log.chain, number)->segment == ours->segment;
        if (!lent) {
            fault_say(&shards->fault, "%s: shard %u reads segment %u, which is not lent to it", shards->names[index], shard->index, number);
            return;
        }
        if (ours->end > chain_at(&topic->log.chain, number)->end) fault_say(&shards->fault, "%s: shard %u reads beyond the end of segment %u", shards->names[index], shard->index, number);
    }
}

void shards_check_loans(struct shard_sim *shard)
{
    const struct locals *locals = &shard->engine.locals;
    uint64_t loans = 0;
    for (uint32_t at = 0; at <= locals->by_name.mask; at++) {
        if (locals->by_name.slots[at].index == TABLE_NONE) continue;
        const struct local_topic *local = local_topic_at(locals, locals->by_name.slots[at].index);
        if (local->remote) loans += local->chain.count;
        check_loans_of(shard, local);
    }
    if (counter_read(&shard->counters, COUNTER_LOANS) != loans)
        fault_say(&shard->all->fault, "shard %u: counts %llu loans, and has %llu", shard->index, (unsigned long long)counter_read(&shard->counters, COUNTER_LOANS), (unsigned long long)loans);
}

/* All segments that a home has are in windows: none is on loan only. */
static void check_store(struct shard_sim *shard)
{
    struct shards *shards = shard->all;
    struct fault *fault = &shards->fault;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < shards->plan.topics_known; i++) {
        if (shards_home_of(shards, i) != shard->index) continue;
        const struct topic *topic = shards_topic_at_home(shards, i);
        if (!topic) continue;
        const struct log *log = &topic->log;
        if (log_newest_seq(log) == 0 ? log->chain.count > 0 : log->chain.number != log->ends.tail.at.segment)
            fault_say(fault, "%s: trimmed segments were not given back", shards->names[i]);
        for (uint32_t n = 0; n < log->chain.count; n++) bytes += sizeof(struct segment) + chain_at(&log->chain, log->chain.number + n)->segment->size;
    }
    if (shard->engine.home.on_loan_bytes) fault_say(fault, "shard %u: counts %llu bytes on loan", shard->index, (unsigned long long)shard->engine.home.on_loan_bytes);
    if (shard->engine.home.store.bytes_used != bytes) fault_say(fault, "shard %u: %llu bytes in use, %llu in logs", shard->index, (unsigned long long)shard->engine.home.store.bytes_used, (unsigned long long)bytes);
}

void shards_check(struct shards *shards)
{
    for (uint32_t i = 0; i < shards->plan.count; i++) {
        check_links(&shards->shards[i]);
        for (uint32_t reader = 0; reader < SHARDS_READERS_MAX; reader++)
            if (shards_is_open(&shards->shards[i], reader)) check_reader(&shards->shards[i], reader);
        check_store(&shards->shards[i]);
        shards_check_loans(&shards->shards[i]);
    }
    check_publishes(shards, &shards->fault);
}
