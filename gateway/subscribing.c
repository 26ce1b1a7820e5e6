#include "gateway/subscribing.h"

#include <stdlib.h>

#include "core/base/check.h"
#include "gateway/limits.h"
#include "gateway/messages.h"
#include "gateway/pending.h"

/* What became of one topic of a request. */
struct subscribed {
    struct subscribe_reply reply;
    bool                   made;   /* it was not followed before: a refusal takes it back */
    bool                   resume; /* the request says where to resume */
};

static void add_subscribed(struct text *text, bool first, struct span name, const struct subscribed *subscribed, bool pattern)
{
    const struct subscribe_reply *reply = &subscribed->reply;
    text_add_string(text, first ? "{\"topic\":\"" : ",{\"topic\":\"");
    text_add(text, name);
    text_add_char(text, '"');
    if (reply->born) {
        text_add_string(text, ",\"epoch\":\"");
        text_add(text, span_of(reply->epoch, EPOCH_BYTES));
        text_add_char(text, '"');
    }
    if (!pattern) {
        text_add_string(text, ",\"seq\":");
        text_add_number(text, reply->seq);
    }
    if (subscribed->resume && !reply->again) text_add_string(text, reply->resumed ? ",\"resumed\":true" : ",\"resumed\":false");
    text_add_char(text, '}');
}

void subscribing_end(struct shard *shard, struct conn *conn, const struct topic_asked *topic)
{
    struct span name = topics_asked_name(shard, topic);
    if (topic->pattern) engine_unsubscribe_pattern(&shard->engine, conn_index(shard, conn), name);
    else engine_unsubscribe(&shard->engine, conn_index(shard, conn), name);
}

#define NO_ROOM_WHY "this gateway has no room for more subscriptions"

/* One name; NULL, or why not. */
static const char *subscribe_name(struct shard *shard, struct conn *conn, const struct topics_asked *asked, struct span name, const struct subscribe_options *options,
                                  struct subscribed *subscribed)
{
    struct subscribe_ask ask = { .topic = name, .mode = options->mode, .snapshot = options->snapshot, .max_hz = options->max_hz };
    topics_asked_resume_of(shard, asked, &ask);
    subscribed->resume = ask.resume;
    switch (engine_subscribe(&shard->engine, conn_index(shard, conn), &ask, &subscribed->reply)) {
    case SUBSCRIBE_TOPICS_FULL: return limit_hit(shard, conn, LIMIT_TOPICS);
    case SUBSCRIBE_NOT_READY: /* it was refused when it was prepared */
    case SUBSCRIBE_FULL: return NO_ROOM_WHY;
    case SUBSCRIBE_DONE: break;
    }
    subscribed->made = !subscribed->reply.again;
    return NULL;
}

/* One pattern, without what it covers already; NULL, or why not. */
static const char *subscribe_pattern(struct shard *shard, struct conn *conn, struct span pattern, const struct subscribe_options *options, struct subscribed *subscribed)
{
    struct pattern_ask ask = { pattern, options->mode, options->snapshot, options->max_hz };
    bool again;
    if (!engine_subscribe_pattern(&shard->engine, conn_index(shard, conn), &ask, &again)) return NO_ROOM_WHY;
    subscribed->made = !again;
    return NULL;
}

/* NULL, or the limit that a request would go over. Judged before anything of it takes effect: what is followed already has no way back
 * from the mode and pace of a request that is refused. */
static const char *excess_of(struct shard *shard, struct conn *conn, const struct topics_asked *asked)
{
    struct engine *engine = &shard->engine;
    uint32_t subscriber = conn_index(shard, conn), patterns = conn->subscriber.patterns_count;
    uint64_t count = conn->subscriber.subscriptions_count, most = shard->settings->limits_subscriptions;
    if (asked->patterns_count == 0 && count + asked->count <= most) return NULL;
    for (uint32_t i = 0; i < asked->count; i++) {
        struct span name = topics_asked_name(shard, &asked->list[i]);
        if (!asked->list[i].pattern) {
            if (!engine_follows(engine, subscriber, name) && ++count > most) return limit_hit(shard, conn, LIMIT_SUBSCRIPTIONS);
            continue;
        }
        uint64_t covers = engine_count_new(engine, subscriber, name, most);
        if (covers > 0 && count + covers > most) {
            limit_hit(shard, conn, LIMIT_SUBSCRIPTIONS);
            return "the pattern covers more topics than limits.subscriptions allows";
        }
        if (!engine_follows_pattern(engine, subscriber, name) && ++patterns > shard->settings->limits_patterns) return limit_hit(shard, conn, LIMIT_PATTERNS);
    }
    return NULL;
}

/* A request of many names would else wait for memory at each of them: what is looked at is fetched some names ahead. */
static void fetch_ahead(const struct shard *shard, const struct topics_asked *asked, uint32_t i)
{
    static const uint32_t ahead[] = { [LOCALS_FETCH_PLACE] = 24, [LOCALS_FETCH_TOPIC] = 16, [LOCALS_FETCH_NAME] = 8 };
    for (enum locals_fetch what = LOCALS_FETCH_PLACE; what <= LOCALS_FETCH_NAME; what++)
        if (i + ahead[what] < asked->count) locals_fetch(&shard->engine.locals, asked->list[i + ahead[what]].hash, what);
}

/* Subscribes to all; NULL, or why not, and then nothing new is followed. */
static const char *subscribe_all(struct shard *shard, struct conn *conn, const struct topics_asked *asked, const struct subscribe_options *options, struct subscribed *subscribed)
{
    for (uint32_t i = 0; i < asked->count; i++) {
        fetch_ahead(shard, asked, i);
        struct span name = topics_asked_name(shard, &asked->list[i]);
        const char *why = asked->list[i].pattern ? subscribe_pattern(shard, conn, name, options, &subscribed[i])
                                                 : subscribe_name(shard, conn, asked, name, options, &subscribed[i]);
        if (!why) continue;
        for (uint32_t made = 0; made <= i; made++)
            if (subscribed[made].made) subscribing_end(shard, conn, &asked->list[made]);
        return why;
    }
    return NULL;
}

static void write_ack(struct shard *shard, struct conn *conn, struct span id, const struct topics_asked *asked, const struct subscribed *subscribed)
{
    message_begin(shard, "subscribed", id);
    text_add_string(&shard->scratch, ",\"topics\":[");
    for (uint32_t i = 0; i < asked->count; i++)
        add_subscribed(&shard->scratch, i == 0, topics_asked_name(shard, &asked->list[i]), &subscribed[i], asked->list[i].pattern);
    text_add_char(&shard->scratch, ']');
    message_send(shard, conn);
}

/* What a pattern covers already, told topic by topic behind the ack. */
struct covering {
    struct shard              *shard;
    struct conn               *conn;
    const struct topics_asked *asked;
    struct span                pattern;
};

static void find_resume(void *context, struct subscribe_ask *ask)
{
    struct covering *covering = context;
    topics_asked_resume_of(covering->shard, covering->asked, ask);
}

static void tell_covered(void *context, const struct subscribe_ask *ask, const struct subscribe_reply *reply)
{
    struct covering *covering = context;
    message_topic(covering->shard, covering->conn, ask->topic, span_of(reply->epoch, EPOCH_BYTES), reply->seq, covering->pattern, ask->resume ? reply->resumed : -1);
}

static void cover(struct shard *shard, struct conn *conn, const struct topics_asked *asked)
{
    for (uint32_t i = 0; i < asked->count; i++) {
        if (!asked->list[i].pattern) continue;
        struct covering covering = { shard, conn, asked, topics_asked_name(shard, &asked->list[i]) };
        engine_cover(&shard->engine, conn_index(shard, conn), covering.pattern, &(struct pattern_cover){ &covering, find_resume, tell_covered });
    }
}

const char *subscribing_begin(struct shard *shard, struct conn *conn, struct span id, bool ack, const struct topics_asked *asked,
                             const struct subscribe_options *options, const char **why)
{
    struct subscribed *subscribed = calloc(asked->count, sizeof *subscribed);
    CHECK(subscribed);
    *why = excess_of(shard, conn, asked);
    if (!*why) *why = subscribe_all(shard, conn, asked, options, subscribed);
    if (!*why && ack) write_ack(shard, conn, id, asked, subscribed);
    /* Without an ack the epoch of what is new is told before its first update; unborn topics are announced at their birth. */
    for (uint32_t i = 0; !*why && !ack && i < asked->count; i++)
        if (subscribed[i].reply.born && subscribed[i].made)
            message_topic(shard, conn, topics_asked_name(shard, &asked->list[i]), span_of(subscribed[i].reply.epoch, EPOCH_BYTES), subscribed[i].reply.seq, SPAN_NONE,
                          subscribed[i].resume ? subscribed[i].reply.resumed : -1);
    if (!*why) cover(shard, conn, asked);
    free(subscribed);
    return *why ? "too_many_topics" : NULL;
}

static enum readiness prepare_one(struct shard *shard, struct conn *conn, struct span name, bool pattern, const char **code, const char **why)
{
    uint32_t ticket = pending_make(shard, conn, PENDING_LIVE, 0);
    enum link_result result = ticket == TICKET_NONE ? LINK_FULL
                              : pattern             ? engine_prepare_pattern(&shard->engine, name, ticket)
                                                    : engine_prepare(&shard->engine, name, conn->subscriber.format, ticket);
    if (result == LINK_SENT) {
        pending_sent(shard, ticket, SPAN_NONE, SPAN_NONE);
        conn->awaits++;
        return NOT_READY;
    }
    pending_drop(shard, ticket);
    if (result == LINK_DONE) return READY;
    if (result == LINK_FULL && !conn_stall(shard, conn)) return NOT_READY;
    *code = result == LINK_FULL ? "busy" : "too_many_topics";
    *why = result == LINK_FULL ? "the topic's shard has had no room for another request for a second" : pattern ? NO_ROOM_WHY : limit_hit(shard, conn, LIMIT_TOPICS);
    return READY_NEVER;
}

/* The latest that was asked of each home: when it is live the others of that home are. */
struct latest {
    uint32_t topic[SHARDS_MAX]; /* in the request; POOL_NONE: none */
    uint32_t number[SHARDS_MAX];
};

/* Asks for all names that are not known here, without waiting for each. */
static enum readiness prepare_names(struct shard *shard, const struct conn *conn, const struct topics_asked *asked, struct latest *latest, const char **code, const char **why)
{
    uint32_t sent = 0;
    for (uint32_t i = 0; i < asked->count && sent < ASKS_OF_CONN_MAX; i++) {
        struct topic_order order;
        if (asked->list[i].pattern) continue;
        fetch_ahead(shard, asked, i);
        enum link_result result = engine_prepare_quietly(&shard->engine, topics_asked_name(shard, &asked->list[i]), conn->subscriber.format, &order);
        if (result == LINK_DONE) continue;
        if (result == LINK_REFUSED) {
            *code = "too_many_topics";
            *why = "more topics than limits.topics allows";
            return READY_NEVER;
        }
        sent++;
        if (latest->topic[order.home] != POOL_NONE && (int32_t)(order.number - latest->number[order.home]) < 0) continue;
        latest->topic[order.home] = i;
        latest->number[order.home] = order.number;
    }
    return sent > 0 ? NOT_READY : READY;
}

enum readiness subscribing_prepare(struct shard *shard, struct conn *conn, const struct topics_asked *asked, const char **code, const char **why)
{
    if (asked->count - asked->patterns_count > shard->settings->limits_subscriptions) {
        *code = "too_many_topics";
        *why = limit_hit(shard, conn, LIMIT_SUBSCRIPTIONS);
        return READY_NEVER;
    }
    enum readiness readiness = READY;
    if (shard->settings->shards > 1) {
        struct latest latest;
        for (uint32_t home = 0; home < shard->settings->shards; home++) latest.topic[home] = POOL_NONE;
        readiness = prepare_names(shard, conn, asked, &latest, code, why);
        for (uint32_t home = 0; readiness == NOT_READY && home < shard->settings->shards && !conn->stalled; home++) {
            if (latest.topic[home] == POOL_NONE) continue;
            struct span name = topics_asked_name(shard, &asked->list[latest.topic[home]]);
            if (prepare_one(shard, conn, name, false, code, why) == READY_NEVER) return READY_NEVER;
        }
        for (uint32_t i = 0; readiness != READY_NEVER && i < asked->count && asked->patterns_count > 0 && !conn->stalled; i++) {
            if (!asked->list[i].pattern || conn->awaits >= ASKS_OF_CONN_MAX) continue;
            enum readiness one = prepare_one(shard, conn, topics_asked_name(shard, &asked->list[i]), true, code, why);
            if (one != READY) readiness = one;
        }
    }
    if (readiness == READY) conn_unstall(conn);
    return readiness;
}
