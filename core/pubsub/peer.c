#include "core/pubsub/peer.h"

#include <stdlib.h>

#include "core/pubsub/births.h"
#include "core/pubsub/engine.h"
#include "core/pubsub/interests.h"
#include "core/pubsub/query.h"

/* ---- tells ----------------------------------------------------------------------------------------------------------- */

/* The next tell, where it will lie: the caller writes at once what its kind needs, and no more of it travels. */
static struct tell *stage(struct link *link, enum tell_kind kind, uint32_t credits)
{
    struct tell *tell = spsc_stage_slot(&link->told);
    CHECK(tell); /* a slot is free for each credit that is out, and nothing else takes those */
    tell->kind = (uint8_t)kind;
    tell->credits = (uint16_t)(credits + link->credits_back);
    link->credits_back = 0;
    counter_add(link->engine->counters, COUNTER_TELLS_SENT, 1);
    return tell;
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
        notice_end(notice);
        return;
    }
    memcpy(&stage(link, TELL_NOTICE, 0)->notice, notice, notice_bytes(notice));
    counter_add(link->engine->counters, COUNTER_NOTICES_SENT, 1);
}

static struct tell *stage_name(struct link *link, enum tell_kind kind, uint32_t index, uint32_t generation, struct span name)
{
    struct tell *tell = stage(link, kind, 0);
    CHECK(name.size <= sizeof tell->name);
    tell->refused = false;
    tell->index = index;
    tell->generation = generation;
    tell->name_bytes = (uint32_t)name.size;
    span_write(name, tell->name);
    return tell;
}

/* An interest or a pattern that there is no room for. */
static void stage_refusal(struct link *link, enum tell_kind kind, const struct ask *ask)
{
    struct tell *tell = stage(link, kind, 1);
    tell->refused = true;
    tell->index = ask->index;
    tell->generation = ask->generation;
}

void peer_birth(struct link *link, struct span topic, const char epoch[EPOCH_BYTES])
{
    if (link->self) patterns_on_birth(link->engine, topic);
    else memcpy(stage_name(link, TELL_BIRTH, 0, 0, topic)->epoch, epoch, EPOCH_BYTES);
}

void peer_match(struct link *link, uint32_t pattern, uint32_t generation, struct span topic)
{
    stage_name(link, TELL_MATCH, pattern, generation, topic);
}

void peer_matches_end(struct link *link, uint32_t pattern, uint32_t generation)
{
    stage_name(link, TELL_PATTERN, pattern, generation, SPAN_NONE);
}

void peer_give_credits(struct link *link)
{
    if (link->credits_back == 0) return;
    stage(link, TELL_CREDITS, 0);
}

/* ---- asks ------------------------------------------------------------------------------------------------------------ */

static void serve_publish(struct link *link, const struct ask *ask, struct span name, struct span data)
{
    struct publish_ask publish = { .topic = name, .hash = ask->hash, .data = data, .line_break = ask->line_break, .key = ask->key };
    struct publish_reply reply = { 0 };
    if (link->engine->home.trace) trace_asked(link->engine->home.trace, ask->received_ns, ask->read_ns);
    home_publish(&link->engine->home, &publish, &reply);
    if (ask->quiet && reply.verdict == PUBLISH_DONE) {
        link->credits_back++;
        return;
    }
    struct tell *tell = stage(link, TELL_PUBLISHED, 1);
    tell->ticket = ask->ticket;
    tell->published = reply;
}

static void serve_delete(struct link *link, const struct ask *ask, struct span name)
{
    bool found = home_delete(&link->engine->home, name, ask->hash);
    struct tell *tell = stage(link, TELL_DELETED, 1);
    tell->ticket = ask->ticket;
    tell->deleted.found = found;
}

static void serve_query(struct link *link, const struct ask *ask, struct span name, struct span rest)
{
    struct query_ask query = {
        .kind = (enum query_kind)ask->query_kind, .shard = link->engine->settings.shard, .topic = name, .hash = ask->hash,
        .after_seq = ask->after_seq, .prefix = name, .after = ask->has_after ? rest : SPAN_NONE, .limit = ask->limit, .bytes_max = ask->bytes_max, .own = ask->own,
    };
    struct query_reply reply;
    struct text answer = { 0 };
    home_query(&link->engine->home, &query, &reply, &answer);
    if (query.kind == QUERY_NEWS) reply.more = home_is_late(&link->engine->home, link->shard); /* replies have slots of their own, and overtake what waits for room */
    if (reply.last.bytes) text_add(&answer, reply.last); /* names move: it travels along */
    struct tell *tell = stage(link, TELL_ANSWERED, 1);
    tell->ticket = ask->ticket;
    tell->answered.text = answer;
    tell->answered.last_bytes = (uint32_t)reply.last.size;
    tell->answered.found = reply.found;
    tell->answered.more = reply.more;
    tell->answered.busy = reply.busy;
}

static void serve_interest(struct link *link, const struct ask *ask, struct span name)
{
    struct interest_ask interest = { name, ask->hash, (enum wire_format)ask->format, ask->index, ask->generation };
    if (home_interest(&link->engine->home, link->shard, &interest)) {
        link->credits_back++;
        return;
    }
    stage_refusal(link, TELL_REFUSED, ask);
}

static void serve_pattern(struct link *link, const struct ask *ask, struct span pattern)
{
    struct home *home = &link->engine->home;
    if (home_pattern(home, link->shard, pattern, true) && matches_begin(home, link->shard, pattern, ask->index, ask->generation)) {
        link->credits_back++;
        return;
    }
    home_pattern(home, link->shard, pattern, false);
    stage_refusal(link, TELL_PATTERN, ask);
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
    const struct ask *ask;
    if (spsc_empty(&link->asked)) return;
    uint32_t bytes = 0;
    bool full = spsc_occupied(&link->asked) == link->asked.slots;
    for (uint32_t count = 0; count < ASKS_EACH_RECEIVE && bytes < ASK_BYTES_EACH_RECEIVE && (count == 0 || engine_may_look(link->engine)) && (ask = spsc_take_slot(&link->asked)); count++) {
        uint32_t run_bytes = ask->name_bytes + ask->data_bytes;
        const char *run = run_bytes > 0 ? byte_ring_take(&link->asked_bytes, run_bytes) : "";
        serve(link, ask, span_of(run, ask->name_bytes), span_of(run + ask->name_bytes, ask->data_bytes));
        bytes += run_bytes;
    }
    spsc_release(&link->asked);
    byte_ring_release(&link->asked_bytes);
    if (full || bytes > link->asked_bytes.size / 4) link->wake = true;
}
