/* Tickets, and what shards ask of homes: publishing, deleting, reading. */
#include "tests/support/shards_hooks.h"

#include <stdio.h>

/* ---- tickets --------------------------------------------------------------------------------------------------------- */

struct shards_ticket *shards_ticket_take(struct shard_sim *shard, enum ticket_kind kind)
{
    for (uint32_t i = 0; i < SHARDS_TICKETS_MAX; i++)
        if (shard->tickets[i].kind == TICKET_FREE) {
            shard->tickets[i] = (struct shards_ticket){ .kind = kind };
            return &shard->tickets[i];
        }
    CHECK(!"no ticket is left");
    return NULL;
}

uint32_t shards_ticket_number(const struct shard_sim *shard, const struct shards_ticket *ticket)
{
    return (uint32_t)(ticket - shard->tickets);
}

struct shards_ticket shards_ticket_back(struct shard_sim *shard, uint32_t number, enum ticket_kind kind)
{
    CHECK(number < SHARDS_TICKETS_MAX);
    struct shards_ticket ticket = shard->tickets[number];
    if (ticket.kind != kind && !(kind == TICKET_SUBSCRIBE && ticket.kind == TICKET_PATTERN))
        fault_say(&shard->all->fault, "shard %u: a reply to ticket %u, which is of kind %d", shard->index, number, ticket.kind);
    shard->tickets[number].kind = TICKET_FREE;
    return ticket;
}

/* ---- publishing ------------------------------------------------------------------------------------------------------ */

static void outcome(struct shard_sim *shard, uint32_t number, const struct publish_reply *reply)
{
    struct shards *shards = shard->all;
    struct shards_update *update = &shards->updates[number];
    shard->published++;
    update->replied = true;
    if (reply->verdict == PUBLISH_DONE) {
        shards_place(shards, number, reply->epoch, reply->seq);
        return;
    }
    update->refused = true;
    shard->refused++;
    shards->refused++;
    if (reply->verdict == PUBLISH_BUSY) shards->seen.refused_busy++;
    else {
        shards->seen.refused_topics++;
        if (shards->plan.home.topics_max >= shards->plan.topics_known) fault_say(&shards->fault, "%s: refused, although there is room for all topics", shards->names[update->topic]);
    }
}

static enum link_result publish(struct shard_sim *shard, struct shards_paused what)
{
    struct shards *shards = shard->all;
    if (shards->updates_count == SHARDS_UPDATES_MAX) return LINK_REFUSED;
    char data[4096];
    uint32_t number = shards->updates_count, room = shards->plan.payload_bytes_max;
    int size = snprintf(data, sizeof data, "[%u,\"%*s\"]", number, (int)(room > 40 ? random_below(&shards->random, room - 40) : 0), "");
    struct publish_ask ask = { .topic = shards_name(shards, what.topic), .data = span_of(data, (size_t)size), .quiet = what.quiet, .key = what.key };
    struct publish_reply reply;
    struct shards_ticket *ticket = shards_ticket_take(shard, TICKET_PUBLISH);
    ticket->number = number;
    enum link_result result = engine_publish(&shard->engine, &ask, what.quiet ? TICKET_NONE : shards_ticket_number(shard, ticket), &reply);
    if (result != LINK_SENT || what.quiet) ticket->kind = TICKET_FREE;
    if (result == LINK_FULL) return result;
    shards->updates[number] = (struct shards_update){ .topic = what.topic, .from = (uint8_t)shard->index, .quiet = what.quiet, .key = what.key };
    shards->updates_count++;
    if (what.key) shards->seen.updates_keyed++;
    if (result != LINK_DONE) return result;
    shards_watch_lives(shard);
    outcome(shard, number, &reply);
    return result;
}

enum link_result shards_publish(struct shards *shards, uint32_t shard, uint32_t topic, bool quiet)
{
    return publish(&shards->shards[shard], (struct shards_paused){ (uint8_t)topic, quiet, false });
}

void shards_publish_or_wait(struct shards *shards, uint32_t index, struct shards_paused what)
{
    struct shard_sim *shard = &shards->shards[index];
    bool waits = shard->paused_count > 0 || publish(shard, what) == LINK_FULL;
    if (!waits || shard->paused_count == SHARDS_PAUSED_MAX) return;
    shards->seen.pauses += shard->paused_count == 0;
    shard->paused[shard->paused_count++] = what;
}

void shards_on_room(struct shard_sim *shard)
{
    uint32_t done = 0;
    while (done < shard->paused_count && publish(shard, shard->paused[done]) != LINK_FULL) done++;
    shard->paused_count -= done;
    memmove(shard->paused, shard->paused + done, shard->paused_count * sizeof shard->paused[0]);
}

void shards_on_published(void *context, uint32_t ticket, const struct publish_reply *reply)
{
    struct shard_sim *shard = context;
    outcome(shard, shards_ticket_back(shard, ticket, TICKET_PUBLISH).number, reply);
}

/* ---- deleting -------------------------------------------------------------------------------------------------------- */

enum link_result shards_delete(struct shards *shards, uint32_t shard_index, uint32_t topic)
{
    struct shard_sim *shard = &shards->shards[shard_index];
    struct delete_ask ask = { .topic = shards_name(shards, topic) };
    struct delete_reply reply;
    const struct topic *there = shards_topic_at_home(shards, topic);
    bool born = there && log_newest_seq(&there->log) > 0;
    struct shards_ticket *ticket = shards_ticket_take(shard, TICKET_DELETE);
    ticket->topic = topic;
    enum link_result result = engine_delete(&shard->engine, &ask, shards_ticket_number(shard, ticket), &reply);
    if (result != LINK_SENT) ticket->kind = TICKET_FREE;
    if (result != LINK_DONE) return result;
    shard->last_found = reply.found;
    if (reply.found != born) fault_say(&shards->fault, "%s: deleting said %d, but it was %d", shards->names[topic], reply.found, born);
    return result;
}

void shards_on_deleted(void *context, uint32_t number, const struct delete_reply *reply)
{
    struct shard_sim *shard = context;
    struct shards_ticket ticket = shards_ticket_back(shard, number, TICKET_DELETE);
    shard->deleted++;
    shard->last_found = reply->found;
    /* Other asks of one batch may have begun that life and it ended unseen: then at least somebody published to it. */
    if (!reply->found || shard->all->lives_count[ticket.topic] > 0) return;
    for (uint32_t i = 0; i < shard->all->updates_count; i++)
        if (shard->all->updates[i].topic == ticket.topic) return;
    fault_say(&shard->all->fault, "%s: deleting found what nobody published", shard->all->names[ticket.topic]);
}

/* ---- reading --------------------------------------------------------------------------------------------------------- */

static void keep_answer(struct shard_sim *shard, const struct query_ask *ask, const struct query_reply *reply, struct span answer)
{
    shard->answered++;
    shard->last_found = reply->found;
    shard->last_more = reply->more;
    snprintf(shard->last_answer, sizeof shard->last_answer, "%.*s", (int)answer.size, answer.bytes ? answer.bytes : "");
    shards_judge_answer(shard, ask, reply, answer);
}

enum link_result shards_query(struct shards *shards, uint32_t shard_index, const struct query_ask *asked)
{
    struct shard_sim *shard = &shards->shards[shard_index];
    struct query_ask ask = *asked;
    struct query_reply reply;
    struct text answer = { 0 };
    struct shards_ticket *ticket = shards_ticket_take(shard, TICKET_QUERY);
    ticket->query = *asked;
    enum link_result result = engine_query(&shard->engine, &ask, shards_ticket_number(shard, ticket), &reply, &answer);
    if (result != LINK_SENT) ticket->kind = TICKET_FREE;
    if (result == LINK_DONE) keep_answer(shard, asked, &reply, text_span(&answer));
    text_free(&answer);
    return result;
}

void shards_on_answered(void *context, uint32_t ticket, const struct query_reply *reply, struct span answer)
{
    struct shard_sim *shard = context;
    struct query_ask ask = shards_ticket_back(shard, ticket, TICKET_QUERY).query;
    keep_answer(shard, &ask, reply, answer);
}
