#include "core/pubsub/interests.h"

#include <stdlib.h>

#include "core/base/reserve.h"
#include "core/pubsub/births.h"
#include "core/pubsub/peer.h"

static struct topic *topic_at(const struct home *home, uint32_t index)
{
    return pool_at(&home->topics, index);
}

static uint64_t bit_of(uint32_t shard)
{
    return UINT64_C(1) << shard;
}

void interests_mark(struct home *home, struct topic *topic, uint32_t index, uint32_t shard)
{
    if (topic->to_tell & bit_of(shard)) return;
    topic->to_tell |= bit_of(shard);
    topic->interests[shard].tell_next = POOL_NONE;
    struct topic_list *list = &home->to_tell[shard];
    if (list->first == POOL_NONE) list->first = index;
    else topic_at(home, list->last)->interests[shard].tell_next = index;
    list->last = index;
}

void interests_mark_all(struct home *home, struct topic *topic, uint32_t index)
{
    for (uint64_t shards = topic->interested; shards; shards &= shards - 1) interests_mark(home, topic, index, (uint32_t)__builtin_ctzll(shards));
}

static bool have_interests(const struct home *home, struct topic *topic)
{
    if (!topic->interests) topic->interests = calloc(home->shards_count, sizeof *topic->interests);
    return topic->interests != NULL;
}

bool interests_mark_birth(struct home *home, struct topic *topic, uint32_t index, uint32_t shard)
{
    if (!have_interests(home, topic)) return false;
    topic->births |= bit_of(shard);
    interests_mark(home, topic, index, shard);
    return true;
}

void interests_release(struct home *home, struct topic *topic)
{
    uint32_t held_from = log_next_number(&topic->log); /* where nobody is interested nobody holds any */
    for (uint64_t shards = topic->interested; shards; shards &= shards - 1) {
        uint32_t held = topic->interests[__builtin_ctzll(shards)].held_from;
        if (segment_number_before(held, held_from)) held_from = held;
    }
    uint64_t before = home->store.bytes_used;
    log_release(&topic->log, &home->store, held_from);
    home->on_loan_bytes -= before - home->store.bytes_used;
}

/* What a shard is not told of it need not be kept for it. */
static uint32_t first_to_tell(const struct log *log)
{
    return log_newest_seq(log) > 0 ? log->ends.tail.at.segment : log_next_number(log);
}

bool home_interest(struct home *home, uint32_t shard, const struct interest_ask *ask)
{
    uint32_t index = home_find_or_make(home, ask->topic, ask->hash, ask->format);
    if (index == POOL_NONE) return false;
    struct topic *topic = topic_at(home, index);
    if (!have_interests(home, topic)) {
        home_forget_if_unborn(home, index);
        return false;
    }
    CHECK(!(topic->interested & bit_of(shard))); /* the end of the last one came before, in order */
    struct interest *interest = &topic->interests[shard];
    topic->interested |= bit_of(shard);
    home->system_followed += topic_name_reserved(topic_name(topic));
    interest->local = ask->local;
    interest->generation = ask->generation;
    interest->held_from = interest->told_segment = first_to_tell(&topic->log);
    interests_mark(home, topic, index, shard);
    if (shard == home->shard) home_tell_topic(home, shard, index);
    return true;
}

static struct topic *topic_of_interest(struct home *home, uint32_t shard, uint32_t index, uint32_t generation)
{
    struct topic *topic = topic_at(home, index);
    CHECK(topic->interested & bit_of(shard)); /* it keeps the topic alive, and nobody else ends it */
    CHECK(topic->interests[shard].generation == generation);
    return topic;
}

void home_held(struct home *home, uint32_t shard, uint32_t index, uint32_t generation, uint32_t held_from)
{
    struct topic *topic = topic_of_interest(home, shard, index, generation);
    CHECK(!segment_number_before(held_from, topic->interests[shard].held_from));
    topic->interests[shard].held_from = held_from;
    interests_release(home, topic);
}

void home_interest_end(struct home *home, uint32_t shard, uint32_t index, uint32_t generation)
{
    struct topic *topic = topic_of_interest(home, shard, index, generation);
    topic->interested &= ~bit_of(shard);
    home->system_followed -= topic_name_reserved(topic_name(topic));
    topic->quiet_us = topic->main->quiet_us = home->clock->mono_us; /* whatever the format, the topic was followed until now */
    interests_release(home, topic);
    home_forget_if_unborn(home, index);
}

/* All its segments from the newest told one on, and its ends; those below the tail are of no use abroad, and may be given back by
 * what is under way. */
static void fill_notice(const struct topic *topic, uint32_t index, const struct interest *interest, struct notice *notice)
{
    const struct log *log = &topic->log;
    notice->local = interest->local;
    notice->generation = interest->generation;
    notice->topic = index;
    notice->held_from = interest->held_from;
    notice->next_segment = 0;
    notice->ends = log->ends;
    notice->segments_count = 0;
    if (log_newest_seq(log) == 0) {
        notice->next_segment = first_to_tell(log);
        memset(notice->epoch, 0, EPOCH_BYTES);
        return;
    }
    memcpy(notice->epoch, topic->epoch, EPOCH_BYTES);
    uint32_t number = log->ends.tail.at.segment;
    if (segment_number_before(number, interest->told_segment)) number = interest->told_segment;
    uint32_t count = notice->segments_count = log_next_number(log) - number;
    /* Who subscribes here is told by it how things stand at this moment: it can't wait for memory. */
    if (count > NOTICE_SEGMENTS_MAX) notice->more_segments = reserve_resize(NULL, (count - NOTICE_SEGMENTS_MAX) * sizeof *notice->more_segments);
    for (uint32_t i = 0; i < count; i++) {
        struct lent *to = i < NOTICE_SEGMENTS_MAX ? &notice->segments[i] : &notice->more_segments[i - NOTICE_SEGMENTS_MAX];
        const struct chain_link *link = chain_at(&log->chain, number + i);
        *to = (struct lent){ link->segment, link->end };
    }
}

/* Tells one shard of one topic: its birth first, then what there is. False: no room. */
static bool tell(struct home *home, struct topic *topic, uint32_t index, uint32_t shard)
{
    struct link *link = &home->links[shard];
    if (topic->births & bit_of(shard)) {
        if (!peer_has_room(link)) return false;
        topic->births &= ~bit_of(shard);
        if (log_newest_seq(&topic->log) > 0) peer_birth(link, topic_name(topic), topic->epoch); /* else it died meanwhile */
    }
    if (!(topic->interested & bit_of(shard))) return true;
    struct interest *interest = &topic->interests[shard];
    struct notice notice;
    if (!peer_has_room(link)) return false;
    fill_notice(topic, index, interest, &notice);
    peer_notice(link, &notice, &interest->held_from);
    if (home->trace && !link->self) trace_told(home->trace, topic_name(topic), log_newest_seq(&topic->log));
    if (notice.segments_count > 0) interest->told_segment = topic->log.ends.head.segment;
    return true;
}

void home_tell_shard(struct home *home, uint32_t shard)
{
    struct topic_list *list = &home->to_tell[shard];
    while (list->first != POOL_NONE) {
        uint32_t index = list->first;
        struct topic *topic = topic_at(home, index);
        if (!tell(home, topic, index, shard)) {
            counter_add(home->counters, COUNTER_NOTICES_POSTPONED, 1);
            home->late |= bit_of(shard);
            return;
        }
        if (shard == home->shard) interests_release(home, topic);
        topic->to_tell &= ~bit_of(shard);
        list->first = topic->interests[shard].tell_next;
        home_forget_if_unborn(home, index);
    }
    home->late &= ~bit_of(shard);
}

void home_tell(struct home *home)
{
    for (uint32_t shard = 0; shard < home->shards_count; shard++) {
        matches_tell(home, shard);
        home_tell_shard(home, shard);
    }
}

void home_tell_topic(struct home *home, uint32_t shard, uint32_t index)
{
    struct topic *topic = topic_at(home, index);
    if (!(topic->interested & topic->to_tell & bit_of(shard))) return;
    tell(home, topic, index, shard); /* it keeps its place in the list: telling twice does no harm, and taking it out would need a search */
    interests_release(home, topic);
}
