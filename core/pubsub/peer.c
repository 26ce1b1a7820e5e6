#include "core/pubsub/peer.h"

#include <stdlib.h>

#include "core/pubsub/births.h"
#include "core/pubsub/engine.h"
#include "core/pubsub/interests.h"
#include "core/pubsub/query.h"

/* ---- tells ----------------------------------------------------------------------------------------------------------- */

static void stage(struct link *link, struct tell *tell, uint32_t credits)
{
    tell->credits = (uint16_t)(credits + link->credits_back);
    link->credits_back = 0;
    CHECK(spsc_stage(&link->told, tell)); /* a slot is free for each credit that is out, and nothing else takes those */
    counter_add(link->engine->counters, COUNTER_TELLS_SENT, 1);
}

bool peer_has_room(struct link *link)
{
    return link->self || spsc_fits(&link->told, link->reserved + 1);
}

void peer_notice(struct link *link, const struct notice *notice, uint32_t *held_from)
{
    if (link->self) {
        struct locals *locals = &link->engine->locals;
        struct local_topic *local = local_topic_at(locals, notice->local);
        local->topic = notice->topic;
        local->held_told = notice->held_from;
        locals_told(locals, notice);
        *held_from = local->held_told = local_topic_held_from(local);
        free(notice->more_segments);
        return;
    }
    struct tell tell = { .kind = TELL_NOTICE, .notice = *notice };
    stage(link, &tell, 0);
    counter_add(link->engine->counters, COUNTER_NOTICES_SENT, 1);
}

static void stage_name(struct link *link, struct tell *tell, struct span name)
{
    CHECK(name.size <= sizeof tell->name);
    tell->name_bytes = (uint32_t)name.size;
    if (name.size > 0) memcpy(tell->name, name.bytes, name.size);
    stage(link, tell, 0);
}

void peer_birth(struct link *link, struct span topic, const char epoch[EPOCH_BYTES])
{
    if (link->self) {
        patterns_on_birth(link->engine, topic);
        return;
    }
    struct tell tell = { .kind = TELL_BIRTH };
    memcpy(tell.epoch, epoch, EPOCH_BYTES);
    stage_name(link, &tell, topic);
}

void peer_match(struct link *link, uint32_t pattern, uint32_t generation, struct span topic)
{
    struct tell tell = { .kind = TELL_MATCH, .index = pattern, .generation = generation };
    stage_name(link, &tell, topic);
}

void peer_matches_end(struct link *link, uint32_t pattern, uint32_t generation)
{
    struct tell tell = { .kind = TELL_PATTERN, .index = pattern, .generation = generation };
    stage_name(link, &tell, SPAN_NONE);
}

void peer_give_credits(struct link *link)
{
    if (link->credits_back == 0) return;
    struct tell tell = { .kind = TELL_CREDITS };
    stage(link, &tell, 0);
}

/* ---- asks ------------------------------------------------------------------------------------------------------------ */

static void serve_publish(struct link *link, const struct ask *ask, struct span name, struct span data)
{
    struct publish_ask publish = { .topic = name, .hash = ask->hash, .data = data, .line_break = ask->line_break, .key = ask->key };
    struct tell tell = { .kind = TELL_PUBLISHED, .ticket = ask->ticket };
    home_publish(&link->engine->home, &publish, &tell.published);
    if (ask->quiet && tell.published.verdict == PUBLISH_DONE) link->credits_back++;
    else stage(link, &tell, 1);
}

static void serve_delete(struct link *link, const struct ask *ask, struct span name)
{
    struct tell tell = { .kind = TELL_DELETED, .ticket = ask->ticket };
    tell.deleted.found = home_delete(&link->engine->home, name, ask->hash);
    stage(link, &tell, 1);
}

static void serve_query(struct link *link, const struct ask *ask, struct span name, struct span rest)
{
    struct query_ask query = {
        .kind = (enum query_kind)ask->query_kind, .shard = link->engine->settings.shard, .topic = name, .hash = ask->hash,
        .after_seq = ask->after_seq, .prefix = name, .after = ask->has_after ? rest : SPAN_NONE, .limit = ask->limit, .bytes_max = ask->bytes_max,
    };
    struct tell tell = { .kind = TELL_ANSWERED, .ticket = ask->ticket };
    struct query_reply reply;
    home_query(&link->engine->home, &query, &reply, &tell.answered.text);
    tell.answered.found = reply.found;
    tell.answered.more = reply.more;
    if (reply.last.bytes) text_add(&tell.answered.text, reply.last); /* names move: it travels along */
    tell.answered.last_bytes = (uint32_t)reply.last.size;
    stage(link, &tell, 1);
}

static void serve_interest(struct link *link, const struct ask *ask, struct span name)
{
    struct interest_ask interest = { name, ask->hash, (enum wire_format)ask->format, ask->index, ask->generation };
    if (home_interest(&link->engine->home, link->shard, &interest)) {
        link->credits_back++;
        return;
    }
    struct tell tell = { .kind = TELL_REFUSED, .index = ask->index, .generation = ask->generation };
    stage(link, &tell, 1);
}

static void serve_pattern(struct link *link, const struct ask *ask, struct span pattern)
{
    struct home *home = &link->engine->home;
    if (home_pattern(home, link->shard, pattern, true) && matches_begin(home, link->shard, pattern, ask->index, ask->generation)) {
        link->credits_back++;
        return;
    }
    home_pattern(home, link->shard, pattern, false);
    struct tell tell = { .kind = TELL_PATTERN, .refused = true, .index = ask->index, .generation = ask->generation };
    stage(link, &tell, 1);
}

static void serve(struct link *link, const struct ask *ask, struct span name, struct span data)
{
    struct home *home = &link->engine->home;
    switch ((enum ask_kind)ask->kind) {
    case ASK_PUBLISH: serve_publish(link, ask, name, data); return;
    case ASK_DELETE: serve_delete(link, ask, name); return;
    case ASK_QUERY: serve_query(link, ask, name, data); return;
    case ASK_INTEREST: serve_interest(link, ask, name); return;
    case ASK_HELD: home_held(home, link->shard, ask->index, ask->generation, ask->held_from); return;
    case ASK_INTEREST_END: home_interest_end(home, link->shard, ask->index, ask->generation); return;
    case ASK_PATTERN: serve_pattern(link, ask, name); return;
    case ASK_PATTERN_END:
        matches_end(home, link->shard, name);
        home_pattern(home, link->shard, name, false);
        return;
    }
    CHECK(!"an ask of no kind");
}

void peer_serve(struct link *link)
{
    struct ask ask;
    if (spsc_empty(&link->asked)) return;
    uint32_t bytes = 0;
    bool full = spsc_occupied(&link->asked) == link->asked.slots;
    for (uint32_t count = 0; count < ASKS_EACH_RECEIVE && bytes < ASK_BYTES_EACH_RECEIVE && spsc_take(&link->asked, &ask); count++) {
        uint32_t run_bytes = ask.name_bytes + ask.data_bytes;
        const char *run = run_bytes > 0 ? byte_ring_take(&link->asked_bytes, run_bytes) : "";
        serve(link, &ask, span_of(run, ask.name_bytes), span_of(run + ask.name_bytes, ask.data_bytes));
        bytes += run_bytes;
    }
    spsc_release(&link->asked);
    byte_ring_release(&link->asked_bytes);
    if (full || bytes > link->asked_bytes.size / 4) link->wake = true;
}
