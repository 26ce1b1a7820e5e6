/* Links that are broken on purpose. Nothing in core/ knows of it: between producer and consumer the items lie in the wires' memory, and there
 * they are changed, now and then, just before they are received. */
#include "tests/support/shards.h"

#include <stdlib.h>

enum { ODDS = 6 };

static struct tell *tell_at(struct spsc_rx *rx, uint32_t n)
{
    return (struct tell *)(void *)(rx->items + (size_t)((rx->taken + n) & (rx->slots - 1)) * rx->item_bytes);
}

static struct ask *ask_at(struct spsc_rx *rx, uint32_t n)
{
    return (struct ask *)(void *)(rx->items + (size_t)((rx->taken + n) & (rx->slots - 1)) * rx->item_bytes);
}

/* How many items are there to be taken. */
static uint32_t items_of(struct spsc_rx *rx)
{
    return spsc_empty(rx) ? 0 : atomic_load(&rx->queue->published) - rx->taken;
}

/* It never came; the credits that travel with it do. */
static void lose(struct tell *tell)
{
    if (tell->kind == TELL_NOTICE) notice_end(&tell->notice);
    if (tell->kind == TELL_ANSWERED) text_free(&tell->answered.text);
    *tell = (struct tell){ .kind = TELL_CREDITS, .credits = tell->credits };
}

/* The items change places; the credits stay where they were. */
static void swap(struct tell *a, struct tell *b)
{
    struct tell first = *a;
    uint16_t credits = b->credits;
    *a = *b;
    a->credits = first.credits;
    *b = first;
    b->credits = credits;
}

static bool is_stale(const struct engine *engine, const struct tell *tell)
{
    return tell->kind == TELL_NOTICE && !generation_is(&engine->locals.generations, tell->notice.local, tell->notice.generation);
}

static bool is_news(const struct tell *tell)
{
    return tell->kind == TELL_NOTICE && tell->notice.ends.last.seq > 0;
}

/* All its segments are known: without it the next one still makes sense, and it may come again. */
static bool lends_nothing(const struct engine *engine, const struct tell *tell)
{
    const struct notice *notice = &tell->notice;
    if (is_stale(engine, tell) || notice->segments_count != 1) return false;
    const struct chain *chain = &local_topic_at(&engine->locals, notice->local)->chain;
    return chain_holds(chain, notice->ends.head.segment) && chain_holds(chain, notice->ends.tail.at.segment);
}

static void alter_answer(struct tell *tell)
{
    struct span text = text_span(&tell->answered.text);
    for (size_t i = 8; i < text.size; i++)
        if (memcmp(text.bytes + i - 6, "\"seq\":", 6) == 0) {
            tell->answered.text.bytes[i] = text.bytes[i] == '9' ? '1' : (char)(text.bytes[i] + 1);
            return;
        }
}

static void tamper_tell(struct shards *shards, struct engine *engine, struct tell *tell, struct tell *next)
{
    bool succeeded = tell->kind == TELL_PUBLISHED && tell->published.verdict == PUBLISH_DONE;
    switch (shards->breakage) {
    case BREAK_NOTICE_LOST: if (is_news(tell) && lends_nothing(engine, tell)) lose(tell); return;
    case BREAK_NOTICE_OVERTAKEN:
        if (next && is_news(tell) && is_news(next) && tell->notice.local == next->notice.local && lends_nothing(engine, tell) && lends_nothing(engine, next)) swap(tell, next);
        return;
    case BREAK_GENERATION_IGNORED:
        if (is_stale(engine, tell)) tell->notice.generation = engine->locals.generations.of[tell->notice.local]; /* 0 where there is none */
        return;
    case BREAK_EPOCH_ALTERED: if (is_news(tell) && notice_segment(&tell->notice, 0)->segment->number == tell->notice.ends.tail.at.segment) tell->notice.epoch[0] ^= 1; return;
    case BREAK_TAIL_ALTERED:
        if (!is_news(tell) || tell->notice.ends.key.seq != tell->notice.ends.last.seq || tell->notice.ends.tail.at.segment != tell->notice.ends.last.at.segment) return;
        tell->notice.ends.tail = tell->notice.ends.oldest_key = tell->notice.ends.last;
        return;
    case BREAK_BIRTH_LOST: if (tell->kind == TELL_BIRTH) lose(tell); return;
    case BREAK_MATCH_LOST: if (tell->kind == TELL_MATCH) lose(tell); return;
    case BREAK_REFUSAL_HIDDEN: if (tell->kind == TELL_PATTERN) tell->refused = false; return;
    case BREAK_REFUSAL_INVENTED: if (tell->kind == TELL_PATTERN) tell->refused = true; return;
    case BREAK_REPLY_LOST: if (tell->kind == TELL_PUBLISHED) lose(tell); return;
    case BREAK_REPLY_ALTERED: if (succeeded) tell->published.seq++; return;
    case BREAK_ANSWER_ALTERED: if (tell->kind == TELL_ANSWERED) alter_answer(tell); return;
    case BREAK_CREDIT_LOST: if (tell->credits > 0) tell->credits--; return;
    case BREAK_CREDIT_OF_QUIET_LOST: if (tell->credits > 0 && tell->kind == TELL_CREDITS) tell->credits--; return;
    default: return;
    }
}

/* An ask that changes nothing takes its place, with the same name: the end of a pattern that nobody follows. */
static void forget(struct ask *ask)
{
    ask->kind = ASK_PATTERN_END;
}

/* A name that is no pattern. The run lies in the ring where it will be taken. */
static void rename_run(struct link *link, const struct ask *ask, uint32_t skipped_bytes)
{
    struct byte_ring_rx rx = link->asked_bytes;
    if (skipped_bytes > 0) return; /* only the first one's place is known without its walk */
    char *run = (char *)(uintptr_t)byte_ring_take(&rx, ask->name_bytes + ask->data_bytes);
    memset(run, 'n', ask->name_bytes);
}

static struct interest *interest_of(const struct engine *engine, const struct ask *ask, uint32_t reader)
{
    struct topic *topic = pool_at(&engine->home.topics, ask->index);
    return &topic->interests[reader];
}

static void tamper_ask(struct shards *shards, struct engine *engine, struct link *link, struct ask *ask, uint32_t skipped_bytes)
{
    switch (shards->breakage) {
    case BREAK_LOAN_KEPT: if (ask->kind == ASK_HELD) ask->held_from = interest_of(engine, ask, link->shard)->held_from; return;
    case BREAK_INTEREST_FORGOTTEN: if (ask->kind == ASK_INTEREST) forget(ask); return;
    case BREAK_INTEREST_END_FORGOTTEN:
        if (ask->kind != ASK_INTEREST_END) return;
        ask->kind = ASK_HELD;
        ask->held_from = interest_of(engine, ask, link->shard)->held_from;
        return;
    case BREAK_PATTERN_FORGOTTEN: if (ask->kind == ASK_PATTERN) forget(ask), rename_run(link, ask, skipped_bytes); return;
    case BREAK_PATTERN_END_FORGOTTEN: if (ask->kind == ASK_PATTERN_END) rename_run(link, ask, skipped_bytes); return;
    case BREAK_PUBLISH_LOST:
        if (ask->kind != ASK_PUBLISH || !ask->quiet) return;
        forget(ask);
        link->credits_back++;
        return;
    case BREAK_KEY_LOST: ask->key = false; return;
    default: return;
    }
}

void shards_tamper(struct shards *shards, uint32_t shard)
{
    struct engine *engine = &shards->shards[shard].engine;
    for (uint32_t i = 0; i < shards->plan.count; i++) {
        struct link *link = &engine->links[i];
        if (link->self) continue;
        uint32_t tells = items_of(&link->tells), asks = items_of(&link->asked), skipped_bytes = 0;
        for (uint32_t n = 0; n < tells; n++) {
            bool always = shards->breakage == BREAK_GENERATION_IGNORED; /* there are few */
            if (always || random_below(&shards->random, ODDS) == 0) tamper_tell(shards, engine, tell_at(&link->tells, n), n + 1 < tells ? tell_at(&link->tells, n + 1) : NULL);
        }
        for (uint32_t n = 0; n < asks; n++) {
            struct ask *ask = ask_at(&link->asked, n);
            /* Always, so that what is said later never takes back what was said: else it would be found as that. */
            if (shards->breakage == BREAK_LOAN_RETURNED_EARLY && ask->kind == ASK_HELD) ask->held_from++;
            else if (random_below(&shards->random, ODDS) == 0) tamper_ask(shards, engine, link, ask, skipped_bytes);
            skipped_bytes += ask->name_bytes + ask->data_bytes;
        }
    }
}

/* ---- what comes once more, or late ----------------------------------------------------------------------------------- */

static bool put(struct link *link, const struct engine *reader, const struct tell *tell)
{
    struct tell again = *tell;
    if (tell->kind == TELL_NOTICE && !lends_nothing(reader, tell)) return true; /* too old: it would be no notice at all */
    again.credits = 0;
    return spsc_fits(&link->told, link->reserved + 1) && spsc_stage(&link->told, &again) && spsc_publish(&link->told);
}

/* The newest that was told and not yet received; NULL: there is none. */
static struct tell *newest_told(struct link *link)
{
    if (link->told.published == atomic_load(&link->told.queue->released)) return NULL;
    return (struct tell *)(void *)(link->told.items + (size_t)((link->told.published - 1) & (link->told.slots - 1)) * link->told.item_bytes);
}

static bool comes_late(enum shards_breakage breakage)
{
    return breakage == BREAK_REPLY_LATE || breakage == BREAK_MATCH_LATE;
}

static bool is_kept(enum shards_breakage breakage, const struct tell *tell)
{
    if (breakage == BREAK_REPLY_TWICE || breakage == BREAK_REPLY_LATE) return tell->kind == TELL_PUBLISHED;
    if (breakage == BREAK_MATCH_LATE) return tell->kind == TELL_MATCH;
    return breakage == BREAK_NOTICE_REPLAYED && is_news(tell) && tell->notice.segments_count == 1;
}

void shards_tamper_told(struct shards *shards, uint32_t home)
{
    for (uint32_t reader = 0; reader < shards->plan.count; reader++) {
        struct link *link = &shards->shards[home].engine.links[reader];
        if (link->self) continue;
        struct tell *stash = &shards->stash[home][reader], *newest = newest_told(link);
        bool *stashed = &shards->stashed[home][reader];
        if (*stashed) {
            if ((comes_late(shards->breakage) || random_below(&shards->random, ODDS) == 0) && put(link, &shards->shards[reader].engine, stash)) {
                *stashed = false;
                shards->shards[reader].woken = true;
            }
        } else if (newest && is_kept(shards->breakage, newest)) {
            *stash = *newest;
            *stashed = true;
            if (comes_late(shards->breakage)) lose(newest);
        }
    }
}

bool shards_tampers(const struct shards *shards, uint32_t home)
{
    for (uint32_t reader = 0; reader < shards->plan.count; reader++)
        if (comes_late(shards->breakage) && shards->stashed[home][reader]) return true;
    return false;
}
