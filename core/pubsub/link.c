#include "core/pubsub/link.h"

#include <stdlib.h>

#include "core/pubsub/engine.h"
#include "core/pubsub/following.h"
#include "core/pubsub/pattern_interest.h"
#include "core/pubsub/query.h"

void link_connect(struct link *link, struct wires *wires)
{
    link->locals_to_tell = link->patterns_to_tell = TO_TELL_EMPTY;
    if (link->self) return;
    uint32_t us = link->engine->settings.shard;
    struct wire *to_home = wires_at(wires, us, link->shard), *to_reader = wires_at(wires, link->shard, us);
    link->asks = spsc_producer(&to_home->asks);
    link->ask_bytes = byte_ring_producer(&to_home->ask_bytes);
    link->tells = spsc_consumer(&to_home->tells);
    link->credits = link->reserved = wires->credits;
    link->asked = spsc_consumer(&to_reader->asks);
    link->asked_bytes = byte_ring_consumer(&to_reader->ask_bytes);
    link->told = spsc_producer(&to_reader->tells);
}

/* ---- asks out -------------------------------------------------------------------------------------------------------- */

/* False: no room; nothing changed. */
static bool stage(struct link *link, const struct ask *ask, struct span name, struct span data)
{
    uint32_t run_bytes = ask->name_bytes + ask->data_bytes;
    if (!spsc_fits(&link->asks, 1)) return false;
    char *run = run_bytes > 0 ? byte_ring_stage(&link->ask_bytes, run_bytes) : NULL;
    if (run_bytes > 0 && !run) return false;
    span_write(data, span_write(name, run));
    *(struct ask *)spsc_stage_slot(&link->asks) = *ask; /* it fits: see above */
    counter_add(link->engine->counters, COUNTER_ASKS_SENT, 1);
    return true;
}

/* An ask of the caller's, which it repeats where there is no room. */
static enum link_result send(struct link *link, struct ask *ask, struct span name, struct span data)
{
    ask->name_bytes = (uint32_t)name.size;
    ask->data_bytes = (uint32_t)data.size;
    if (!link->behind && link->credits > 0 && stage(link, ask, name, data)) {
        link->credits--;
        return LINK_SENT;
    }
    if (!link->full || link->full_bytes < ask->name_bytes + ask->data_bytes) link->full_bytes = ask->name_bytes + ask->data_bytes;
    link->full = link->engine->full = true;
    counter_add(link->engine->counters, COUNTER_ASKS_FULL, 1);
    return LINK_FULL;
}

bool link_has_room(struct link *link)
{
    if (link->behind || link->credits == 0 || !spsc_fits(&link->asks, 1)) return false;
    return link->full_bytes == 0 || byte_ring_fits(&link->ask_bytes, link->full_bytes);
}

enum link_result link_publish(struct link *link, const struct publish_ask *publish, uint32_t ticket, struct publish_reply *reply)
{
    if (link->self) {
        home_publish(&link->engine->home, publish, reply);
        return LINK_DONE;
    }
    struct ask ask = {
        .kind = ASK_PUBLISH, .quiet = publish->quiet, .line_break = publish->line_break, .key = publish->key, .ticket = ticket, .hash = publish->hash,
    };
    if (link->engine->home.trace) trace_ask(link->engine->home.trace, &ask.received_ns, &ask.read_ns);
    return send(link, &ask, publish->topic, publish->data);
}

enum link_result link_delete(struct link *link, const struct delete_ask *delete, uint32_t ticket, struct delete_reply *reply)
{
    if (link->self) {
        reply->found = home_delete(&link->engine->home, delete->topic, delete->hash);
        return LINK_DONE;
    }
    struct ask ask = { .kind = ASK_DELETE, .ticket = ticket, .hash = delete->hash };
    return send(link, &ask, delete->topic, SPAN_NONE);
}

enum link_result link_query(struct link *link, const struct query_ask *query, uint32_t ticket, struct query_reply *reply, struct text *answer)
{
    if (link->self) {
        home_query(&link->engine->home, query, reply, answer);
        return LINK_DONE;
    }
    struct ask ask = {
        .kind = ASK_QUERY, .query_kind = (uint8_t)query->kind, .ticket = ticket, .hash = query->hash,
        .after_seq = query->after_seq, .limit = query->limit, .bytes_max = query->bytes_max,
    };
    if (query->kind != QUERY_NAMES) return send(link, &ask, query->topic, SPAN_NONE);
    ask.has_after = query->after.bytes != NULL;
    ask.own = query->own;
    return send(link, &ask, query->prefix, query->after);
}

/* ---- state out ------------------------------------------------------------------------------------------------------- */

void link_mark_local(struct link *link, uint32_t index)
{
    struct locals *locals = &link->engine->locals;
    struct local_topic *local = local_topic_at(locals, index);
    if (local->to_tell) return;
    local->to_tell = true;
    local->tell_next = POOL_NONE;
    struct to_tell *list = &link->locals_to_tell;
    if (list->first == POOL_NONE) list->first = index;
    else local_topic_at(locals, list->last)->tell_next = index;
    list->last = index;
}

void link_mark_pattern(struct link *link, uint32_t index)
{
    struct pool *pool = &link->engine->patterns.pool;
    struct pattern *pattern = pool_at(pool, index), *last;
    uint64_t bit = UINT64_C(1) << link->shard;
    if (pattern->to_tell & bit) return;
    pattern->to_tell |= bit;
    pattern->tell_next[link->shard] = POOL_NONE;
    struct to_tell *list = &link->patterns_to_tell;
    if (list->first == POOL_NONE) list->first = index;
    else last = pool_at(pool, list->last), last->tell_next[link->shard] = index;
    list->last = index;
}

/* False: no room, or no credit. */
static bool ask_interest(struct link *link, uint32_t index, struct local_topic *local)
{
    struct ask ask = {
        .kind = ASK_INTEREST, .format = (uint8_t)local->chain.format, .hash = local->hash, .name_bytes = local->name_bytes,
        .index = index, .generation = local->generation,
    };
    if (link->credits == 0 || !stage(link, &ask, local_topic_name(local), SPAN_NONE)) return false;
    link->credits--;
    local->state = LOCAL_ASKED;
    return true;
}

static bool give_back(struct link *link, struct local_topic *local)
{
    uint32_t held_from = local_topic_held_from(local);
    struct ask ask = { .kind = ASK_HELD, .index = local->topic, .generation = local->generation, .held_from = held_from };
    if (held_from == local->held_told) return true;
    if (!stage(link, &ask, SPAN_NONE, SPAN_NONE)) return false;
    local->held_told = held_from;
    return true;
}

static bool ask_end(struct link *link, struct local_topic *local)
{
    struct ask ask = { .kind = ASK_INTEREST_END, .index = local->topic, .generation = local->generation };
    return local->state == LOCAL_REFUSED || stage(link, &ask, SPAN_NONE, SPAN_NONE);
}

/* What there is to tell of a local topic as it is now. False: it waits. */
static bool tell_local(struct link *link, uint32_t index, struct local_topic *local)
{
    if (local->state == LOCAL_WANTED) return ask_interest(link, index, local);
    if (local->ending) return ask_end(link, local);
    return local->state != LOCAL_LIVE || give_back(link, local);
}

static bool tell_locals(struct link *link)
{
    struct locals *locals = &link->engine->locals;
    struct to_tell *list = &link->locals_to_tell;
    while (list->first != POOL_NONE) {
        uint32_t index = list->first;
        struct local_topic *local = local_topic_at(locals, index);
        if (!tell_local(link, index, local)) return false;
        list->first = local->tell_next;
        local->to_tell = false;
        if (local->ending) locals_drop(locals, index);
    }
    return true;
}

static bool tell_pattern(struct link *link, uint32_t index)
{
    struct span text;
    struct ask ask = { .index = index };
    switch (patterns_due(link->engine, index, link->shard, &text, &ask.generation)) {
    case PATTERN_NOTHING: return true;
    case PATTERN_ON:
        ask.kind = ASK_PATTERN;
        if (link->credits == 0) return false;
        break;
    case PATTERN_OFF:
        ask.kind = ASK_PATTERN_END;
        break;
    }
    ask.name_bytes = (uint32_t)text.size;
    if (!stage(link, &ask, text, SPAN_NONE)) return false;
    if (ask.kind == ASK_PATTERN) link->credits--;
    return true;
}

/* Patterns go first: they are few. */
static bool tell_patterns(struct link *link)
{
    struct to_tell *list = &link->patterns_to_tell;
    while (list->first != POOL_NONE) {
        uint32_t index = list->first;
        if (!tell_pattern(link, index)) return false;
        list->first = patterns_told(link->engine, index, link->shard);
    }
    return true;
}

void link_tell_state(struct link *link)
{
    link->behind = !tell_patterns(link) || !tell_locals(link);
}

/* ---- tells in -------------------------------------------------------------------------------------------------------- */

static void hear_published(struct engine *engine, const struct tell *tell)
{
    if (tell->ticket == TICKET_NONE) counter_add(engine->counters, COUNTER_QUIET_FAILED, 1);
    else engine->hooks.published(engine->hooks.context, tell->ticket, &tell->published);
}

static void hear_answer(struct engine *engine, const struct tell *tell)
{
    struct text text = tell->answered.text;
    struct span all = text_span(&text), last = SPAN_NONE;
    size_t answer_bytes = all.size - tell->answered.last_bytes;
    if (tell->answered.last_bytes > 0) last = span_skip(all, answer_bytes);
    struct query_reply reply = { .found = tell->answered.found, .more = tell->answered.more, .busy = tell->answered.busy, .last = last };
    engine->hooks.answered(engine->hooks.context, tell->ticket, &reply, span_of(all.bytes ? all.bytes : "", answer_bytes));
    text_free(&text);
}

static void hear_refused(struct engine *engine, const struct tell *tell)
{
    if (generation_is(&engine->locals.generations, tell->index, tell->generation)) following_answered(engine, tell->index, LOCAL_REFUSED);
}

static void hear_notice(struct link *link, const struct notice *notice)
{
    struct engine *engine = link->engine;
    /* Of an interest that is over nothing may be touched: its end gave all back, and this may be freed already. */
    if (generation_is(&engine->locals.generations, notice->local, notice->generation)) {
        struct local_topic *local = local_topic_at(&engine->locals, notice->local);
        if (local->state == LOCAL_ASKED) {
            local->topic = notice->topic;
            local->held_told = notice->held_from;
        }
        locals_told(&engine->locals, notice);
        if (local->state == LOCAL_ASKED) following_answered(engine, notice->local, LOCAL_LIVE);
        if (local_topic_held_from(local) != local->held_told) link_mark_local(link, notice->local);
    }
    notice_end(notice);
}

/* What we still have of it is of an older life; but in another format the new one may have been told of already. */
static void end_old_lives(struct link *link, struct span topic, uint64_t hash, const char epoch[EPOCH_BYTES])
{
    struct locals *locals = &link->engine->locals;
    for (enum wire_format format = 0; format < FORMATS_COUNT; format++) {
        uint32_t index = locals_find(locals, topic, hash, format);
        if (index == POOL_NONE) continue;
        struct local_topic *local = local_topic_at(locals, index);
        if (local_topic_born(local) && memcmp(local->epoch, epoch, EPOCH_BYTES) == 0) continue;
        locals_end_life(locals, local);
        if (local->state == LOCAL_LIVE && local_topic_held_from(local) != local->held_told) link_mark_local(link, index);
    }
}

static void hear_birth(struct link *link, struct span topic, const char epoch[EPOCH_BYTES])
{
    struct engine *engine = link->engine;
    uint64_t hash = engine_name_hash(engine, topic);
    uint32_t index = following_prepare(engine, topic, hash, true);
    if (index == POOL_NONE) {
        counter_add(engine->counters, COUNTER_BIRTHS_NOT_COVERED, 1);
        return;
    }
    end_old_lives(link, topic, hash, epoch);
    local_topic_at(&engine->locals, index)->newborn = true;
    patterns_on_birth(engine, topic);
}

static void hear_match(struct link *link, const struct tell *tell, struct span topic)
{
    struct engine *engine = link->engine;
    if (!patterns_awaits(engine, tell->index, link->shard, tell->generation)) return;
    uint32_t index = following_prepare(engine, topic, engine_name_hash(engine, topic), true);
    if (index == POOL_NONE) {
        counter_add(engine->counters, COUNTER_BIRTHS_NOT_COVERED, 1);
        return;
    }
    struct local_topic *local = local_topic_at(&engine->locals, index);
    if (local->state == LOCAL_LIVE && !local_topic_born(local)) local->newborn = true; /* known here before, born since: that notice is still to come */
    patterns_await(engine, tell->index, index);
}

static void hear(struct link *link, const struct tell *tell)
{
    struct engine *engine = link->engine;
    switch ((enum tell_kind)tell->kind) {
    case TELL_CREDITS: return;
    case TELL_PUBLISHED: hear_published(engine, tell); return;
    case TELL_DELETED: engine->hooks.deleted(engine->hooks.context, tell->ticket, &tell->deleted); return;
    case TELL_ANSWERED: hear_answer(engine, tell); return;
    case TELL_REFUSED: hear_refused(engine, tell); return;
    case TELL_NOTICE: hear_notice(link, &tell->notice); return;
    case TELL_BIRTH: hear_birth(link, span_of(tell->name, tell->name_bytes), tell->epoch); return;
    case TELL_MATCH: hear_match(link, tell, span_of(tell->name, tell->name_bytes)); return;
    case TELL_PATTERN:
        if (patterns_awaits(engine, tell->index, link->shard, tell->generation))
            patterns_answered(engine, tell->index, link->shard, tell->refused);
        return;
    }
    CHECK(!"a tell of no kind");
}

void link_hear(struct link *link)
{
    const struct tell *tell;
    if (spsc_empty(&link->tells)) return;
    bool full = spsc_occupied(&link->tells) >= link->tells.slots - link->reserved;
    uint32_t credits = 0;
    for (uint32_t count = 0; count < TELLS_EACH_RECEIVE && (count == 0 || engine_may_look(link->engine)) && (tell = spsc_take_slot(&link->tells)); count++) {
        credits += tell->credits;
        hear(link, tell);
    }
    spsc_release(&link->tells);
    link->credits += credits; /* after the slots were handed back: a reply to the next ask needs one */
    CHECK(link->credits <= link->reserved);
    if (full) link->wake = true;
}
