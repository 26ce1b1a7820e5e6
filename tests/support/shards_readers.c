/* Readers: they come, subscribe by name and by pattern, and go. */
#include "tests/support/shards_hooks.h"

#include <stdio.h>

uint32_t shards_open(struct shards *shards, uint32_t shard)
{
    static uint32_t lives;
    struct pool *pool = &shards->shards[shard].readers;
    uint32_t index = pool_take(pool);
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

bool shards_some_resume(struct shards *shards, uint32_t topic, char epoch[EPOCH_BYTES], uint64_t *seq)
{
    uint32_t lives = shards->lives_count[topic];
    if (lives == 0) return false;
    uint32_t life = random_below(&shards->random, 5) ? lives - 1 : random_below(&shards->random, lives);
    const struct topic *there = shards_topic_at_home(shards, topic);
    uint32_t newest = there ? (uint32_t)log_newest_seq(&there->log) : 0, back = random_below(&shards->random, 30);
    memcpy(epoch, shards->lives[topic][life].epoch, EPOCH_BYTES);
    *seq = random_below(&shards->random, 3) ? (newest + 3 > back ? newest + 3 - back : 0) : random_below(&shards->random, newest + 3);
    return true;
}

static struct subscribe_ask ask_of(const struct shards *shards, uint32_t topic, const struct shards_manner *manner)
{
    return (struct subscribe_ask){
        .topic = shards_name(shards, topic), .mode = manner->every ? MODE_EVERY : MODE_LATEST, .snapshot = manner->snapshot,
        .resume = manner->resume, .resume_epoch = span_of(manner->epoch, EPOCH_BYTES), .resume_seq = manner->seq,
    };
}

/* ---- by name --------------------------------------------------------------------------------------------------------- */

static enum link_result subscribe_now(struct shard_sim *shard, const struct shards_ticket *ticket)
{
    struct shards *shards = shard->all;
    struct shards_reader *reader = pool_at(&shard->readers, ticket->reader);
    struct subscribe_ask ask = ask_of(shards, ticket->topic, &ticket->manner);
    struct subscribe_reply reply;
    enum subscribe_verdict verdict = engine_subscribe(&shard->engine, ticket->reader, &ask, &reply);
    if (verdict == SUBSCRIBE_NOT_READY) fault_say(&shards->fault, "%s was prepared and is not ready", shards->names[ticket->topic]);
    if (verdict != SUBSCRIBE_DONE) return LINK_REFUSED;
    shard->acks++;
    shards_acked(shard, reader, ticket->topic, &ask, &reply);
    shards_asks_anew(reader);
    reader->seen[ticket->topic].by_name = true;
    reader->seen[ticket->topic].by_name_every = ticket->manner.every;
    return LINK_DONE;
}

/* ---- by pattern ------------------------------------------------------------------------------------------------------ */

struct covering {
    struct shard_sim     *shard;
    struct shards_reader *reader;
    char                  epoch[EPOCH_BYTES];
};

static void on_resume(void *context, struct subscribe_ask *ask)
{
    struct covering *covering = context;
    struct shards *shards = covering->shard->all;
    ask->resume = shards_some_resume(shards, shards_topic_named(shards, ask->topic), covering->epoch, &ask->resume_seq);
    ask->resume_epoch = span_of(covering->epoch, EPOCH_BYTES);
}

static void on_covered(void *context, const struct subscribe_ask *ask, const struct subscribe_reply *reply)
{
    struct covering *covering = context;
    uint32_t topic = shards_topic_named(covering->shard->all, ask->topic);
    shards_acked(covering->shard, covering->reader, topic, ask, reply);
    if (!reply->born) fault_say(&covering->shard->all->fault, "%s: covered, and not born", covering->shard->all->names[topic]);
}

static struct shards_pattern *pattern_of(struct shards_reader *reader, const char *text)
{
    for (uint32_t i = 0; i < SHARDS_PATTERNS_MAX; i++)
        if (strcmp(reader->patterns[i].text, text) == 0) return &reader->patterns[i];
    return NULL;
}

static enum link_result pattern_now(struct shard_sim *shard, const struct shards_ticket *ticket)
{
    struct shards_reader *reader = pool_at(&shard->readers, ticket->reader);
    struct span text = span_of_string(ticket->pattern);
    struct pattern_ask ask = { .pattern = text, .mode = ticket->manner.every ? MODE_EVERY : MODE_LATEST, .snapshot = ticket->manner.snapshot };
    bool again;
    if (!engine_subscribe_pattern(&shard->engine, ticket->reader, &ask, &again)) return LINK_REFUSED;
    shard->acks++;
    struct shards_pattern *known = pattern_of(reader, ticket->pattern);
    if (again != (known != NULL)) fault_say(&shard->all->fault, "shard %u: reader %u follows %s for the first time, or doesn't it?", shard->index, ticket->reader, ticket->pattern);
    if (!known) known = pattern_of(reader, "");
    CHECK(known); /* who drives it asks for no more */
    snprintf(known->text, sizeof known->text, "%s", ticket->pattern);
    known->every = ticket->manner.every;
    known->order = ++shard->all->patterns_order;
    struct covering covering = { .shard = shard, .reader = reader };
    engine_cover(&shard->engine, ticket->reader, text, &(struct pattern_cover){ &covering, ticket->manner.resume ? on_resume : NULL, on_covered });
    shards_asks_anew(reader);
    return LINK_DONE;
}

uint32_t shards_patterns_of(struct shards *shards, uint32_t shard_index, uint32_t reader)
{
    struct shard_sim *shard = &shards->shards[shard_index];
    uint32_t count = 0;
    for (uint32_t i = 0; i < SHARDS_PATTERNS_MAX; i++) count += shards_reader_at(shards, shard_index, reader)->patterns[i].text[0] != '\0';
    for (uint32_t i = 0; i < SHARDS_TICKETS_MAX; i++) count += shard->tickets[i].kind == TICKET_PATTERN && shard->tickets[i].reader == reader && shard->tickets[i].reader_life != 0;
    return count;
}

/* ---- asked for ------------------------------------------------------------------------------------------------------- */

static void refused(struct shard_sim *shard, const struct shards_ticket *ticket)
{
    enum { PATTERNS_USED = 8 }; /* in all schedules */
    struct shards *shards = shard->all;
    bool pattern = ticket->kind == TICKET_PATTERN;
    shard->refused++;
    if (pattern) shards->seen.refused_patterns++;
    else shards->seen.refused_interests++;
    if (pattern && shards->plan.home.patterns_max >= PATTERNS_USED) fault_say(&shards->fault, "shard %u: %s is refused, although homes have room for all", shard->index, ticket->pattern);
    if (pattern && shards_home_without(shards, shard->index, ticket->pattern) == SHARDS_SIM_MAX) fault_say(&shards->fault, "shard %u: %s is refused, although all homes took it", shard->index, ticket->pattern);
    if (!pattern && shards->plan.home.topics_max >= shards->plan.topics_known) fault_say(&shards->fault, "%s: subscribing is refused, although there is room for all topics", shards->names[ticket->topic]);
}

static enum link_result ask_for(struct shard_sim *shard, struct shards_ticket *out)
{
    struct shards_ticket ticket = *out;
    uint32_t number = shards_ticket_number(shard, out);
    bool pattern = ticket.kind == TICKET_PATTERN;
    enum link_result result = pattern ? engine_prepare_pattern(&shard->engine, span_of_string(ticket.pattern), number)
                                      : engine_prepare(&shard->engine, shards_name(shard->all, ticket.topic), FORMAT_JSON, number);
    if (result == LINK_SENT) return result;
    out->kind = TICKET_FREE;
    if (result == LINK_DONE) return pattern ? pattern_now(shard, &ticket) : subscribe_now(shard, &ticket);
    if (result == LINK_REFUSED) refused(shard, &ticket);
    return result;
}

static struct shards_ticket *ticket_of(struct shards *shards, uint32_t shard_index, enum ticket_kind kind, uint32_t reader, const struct shards_manner *manner)
{
    struct shards_ticket *ticket = shards_ticket_take(&shards->shards[shard_index], kind);
    ticket->reader = reader;
    ticket->reader_life = shards_reader_at(shards, shard_index, reader)->life;
    ticket->manner = *manner;
    return ticket;
}

enum link_result shards_subscribe_as(struct shards *shards, uint32_t shard, uint32_t reader, uint32_t topic, const struct shards_manner *manner)
{
    struct shards_ticket *ticket = ticket_of(shards, shard, TICKET_SUBSCRIBE, reader, manner);
    ticket->topic = topic;
    return ask_for(&shards->shards[shard], ticket);
}

enum link_result shards_subscribe(struct shards *shards, uint32_t shard, uint32_t reader, uint32_t topic, bool every, bool snapshot)
{
    return shards_subscribe_as(shards, shard, reader, topic, &(struct shards_manner){ .every = every, .snapshot = snapshot });
}

enum link_result shards_subscribe_pattern_as(struct shards *shards, uint32_t shard, uint32_t reader, const char *pattern, const struct shards_manner *manner)
{
    struct shards_ticket *ticket = ticket_of(shards, shard, TICKET_PATTERN, reader, manner);
    snprintf(ticket->pattern, sizeof ticket->pattern, "%s", pattern);
    return ask_for(&shards->shards[shard], ticket);
}

enum link_result shards_subscribe_pattern(struct shards *shards, uint32_t shard, uint32_t reader, const char *pattern, bool every, bool snapshot)
{
    return shards_subscribe_pattern_as(shards, shard, reader, pattern, &(struct shards_manner){ .every = every, .snapshot = snapshot });
}

/* Asks again, if whoever asked is still there. */
void shards_on_live(void *context, uint32_t number)
{
    struct shard_sim *shard = context;
    struct shards_ticket ticket = shards_ticket_back(shard, number, TICKET_SUBSCRIBE);
    if (ticket.reader_life == 0 || fault_found(&shard->all->fault)) return;
    struct shards_ticket *again = shards_ticket_take(shard, ticket.kind);
    *again = ticket;
    ask_for(shard, again);
}

/* ---- no more --------------------------------------------------------------------------------------------------------- */

/* What is followed no more, by name or by any pattern, is forgotten: nothing of it may come. */
static void forget_unfollowed(struct shard_sim *shard, uint32_t reader_index)
{
    struct shards *shards = shard->all;
    struct shards_reader *reader = pool_at(&shard->readers, reader_index);
    for (uint32_t topic = 0; topic < shards->plan.topics_known; topic++) {
        if (!reader->seen[topic].followed || reader->seen[topic].by_name || shards_covering(shards, reader, topic)) continue;
        if (engine_follows(&shard->engine, reader_index, shards_name(shards, topic)))
            fault_say(&shards->fault, "shard %u: reader %u unsubscribed %s, and is subscribed still", shard->index, reader_index, shards->names[topic]);
        reader->seen[topic] = (struct seen){ 0 };
    }
    shards_asks_anew(reader);
}

void shards_unsubscribe(struct shards *shards, uint32_t shard_index, uint32_t reader, uint32_t topic)
{
    struct shard_sim *shard = &shards->shards[shard_index];
    engine_unsubscribe(&shard->engine, reader, shards_name(shards, topic));
    shards_reader_at(shards, shard_index, reader)->seen[topic].by_name = false;
    forget_unfollowed(shard, reader);
}

void shards_unsubscribe_pattern(struct shards *shards, uint32_t shard_index, uint32_t reader_index, const char *text)
{
    struct shard_sim *shard = &shards->shards[shard_index];
    struct shards_pattern *pattern = pattern_of(shards_reader_at(shards, shard_index, reader_index), text);
    engine_unsubscribe_pattern(&shard->engine, reader_index, span_of_string(text));
    if (pattern) *pattern = (struct shards_pattern){ 0 };
    forget_unfollowed(shard, reader_index);
}
