#include "gateway/subscribing.h"

#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/reserve.h"
#include "core/base/siphash.h"
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

/* One topic too many refuses the whole request, and is named. */
static bool refuse(struct shard *shard, struct topics_asked *asked, uint32_t i, const char *why)
{
    return topics_asked_refuse(asked, "too_many_topics", why, topics_asked_name(shard, &asked->list[i]));
}

/* What others took may be free again later. */
static bool refuse_for_now(struct shard *shard, struct topics_asked *asked, uint32_t i, const char *why)
{
    asked->passes = true;
    return refuse(shard, asked, i, why);
}

/* What a pattern of a request adds to a connection's subscriptions. */
struct added {
    struct shard              *shard;
    struct conn               *conn;
    const struct topics_asked *asked;
    uint64_t                   count;   /* so far */
    uint64_t                   looked;  /* at topics that its patterns cover */
    struct text                names;   /* of those that earlier patterns brought: of each its size in a byte, then its bytes */
    struct table               by_name; /* where they begin */
    bool                       cut;     /* there was no memory to note one */
};

/* What several patterns cover counts once, and is looked at for each: a request whose patterns cover the same again and again is refused. */
enum { LOOKS_FOR_EACH = 4, LOOKS_AT_LEAST = 1000, TOIL_FOR_EACH = 32 /* as many bytes of updates cost as much */ };

static bool looks_too_often(const struct added *added)
{
    return added->looked > LOOKS_FOR_EACH * added->shard->settings->limits_subscriptions + LOOKS_AT_LEAST;
}

static struct span noted_at(const struct added *added, uint32_t place)
{
    return span_of(added->names.bytes + place + 1, (uint8_t)added->names.bytes[place]);
}

/* Whether a pattern before brought it; else it is noted. */
static bool noted(struct added *added, struct span topic)
{
    uint32_t hash = (uint32_t)siphash(added->shard->engine.settings.hash_key, topic);
    for (uint32_t at = table_first(&added->by_name, hash); at != TABLE_NONE; at = table_following(&added->by_name, hash, at))
        if (span_equals(noted_at(added, added->by_name.slots[at].index), topic)) return true;
    added->cut = !text_try(&added->names, topic.size + 1) || table_insert(&added->by_name, hash, (uint32_t)added->names.size) != 0;
    if (added->cut) return false;
    text_add_char(&added->names, (char)(uint8_t)topic.size);
    text_add(&added->names, topic);
    return false;
}

/* False: it is over the limit, nothing more is to be counted. */
static bool count_added(void *context, struct span topic)
{
    struct added *added = context;
    bool counted = engine_follows(&added->shard->engine, conn_index(added->shard, added->conn), topic) || topics_asked_names(added->shard, added->asked, topic) || noted(added, topic);
    added->count += !counted;
    added->looked++;
    return added->count <= added->shard->settings->limits_subscriptions && !looks_too_often(added) && !added->cut;
}

static bool count_all(struct shard *shard, struct conn *conn, struct topics_asked *asked, struct added *added)
{
    uint64_t patterns = conn->subscriber.patterns_count;
    for (uint32_t i = 0; i < asked->count; i++) {
        struct span name = topics_asked_name(shard, &asked->list[i]);
        bool all = true;
        if (asked->list[i].pattern) {
            patterns += !engine_follows_pattern(&shard->engine, conn_index(shard, conn), name);
            if (patterns > shard->settings->limits_patterns) return refuse(shard, asked, i, limit_hit(shard, conn, LIMIT_PATTERNS));
            all = engine_visit_matches(&shard->engine, name, count_added, added);
        } else {
            added->count += !engine_follows(&shard->engine, conn_index(shard, conn), name);
        }
        if (added->cut) return refuse_for_now(shard, asked, i, NO_ROOM_WHY);
        if (all && added->count <= shard->settings->limits_subscriptions && !looks_too_often(added)) continue;
        const char *why = limit_hit(shard, conn, LIMIT_SUBSCRIPTIONS);
        if (added->count <= shard->settings->limits_subscriptions && looks_too_often(added)) return refuse(shard, asked, i, "the patterns of this request cover the same topics too often");
        asked->passes = asked->count - asked->patterns_count <= shard->settings->limits_subscriptions; /* the names alone had room: which topics patterns cover changes */
        return refuse(shard, asked, i, asked->list[i].pattern ? "the pattern covers more topics than limits.subscriptions allows" : why);
    }
    return true;
}

/* Judged before anything is done, so that a request that is refused has changed nothing. What is followed already, or stands for the
 * same topic twice, counts once. */
static bool within_limits(struct shard *shard, struct conn *conn, struct topics_asked *asked)
{
    struct added added = { .shard = shard, .conn = conn, .asked = asked, .count = conn->subscriber.subscriptions_count };
    if (asked->patterns_count == 0 && added.count + asked->count <= shard->settings->limits_subscriptions) return true; /* whichever are new */
    CHECK(table_init(&added.by_name) == 0);
    bool within = count_all(shard, conn, asked, &added);
    shard->toil += added.looked * TOIL_FOR_EACH;
    table_deinit(&added.by_name);
    text_free(&added.names);
    return within;
}

/* One name; false: refused. */
static bool subscribe_name(struct shard *shard, struct conn *conn, struct topics_asked *asked, uint32_t i, const struct subscribe_options *options, struct subscribed *subscribed)
{
    struct subscribe_ask ask = { .topic = topics_asked_name(shard, &asked->list[i]), .mode = options->mode, .snapshot = options->snapshot, .max_hz = options->max_hz };
    topics_asked_resume_of(shard, asked, &ask);
    subscribed->resume = ask.resume;
    switch (engine_subscribe(&shard->engine, conn_index(shard, conn), &ask, &subscribed->reply)) {
    case SUBSCRIBE_NOT_READY: /* it was refused when it was prepared, and a handshake tells so now */
    case SUBSCRIBE_TOPICS_FULL: return refuse_for_now(shard, asked, i, limit_hit(shard, conn, LIMIT_TOPICS));
    case SUBSCRIBE_FULL: return refuse_for_now(shard, asked, i, NO_ROOM_WHY);
    case SUBSCRIBE_DONE: break;
    }
    subscribed->made = !subscribed->reply.again;
    return true;
}

/* One pattern, without what it covers already; false: refused. */
static bool subscribe_pattern(struct shard *shard, struct conn *conn, struct topics_asked *asked, uint32_t i, const struct subscribe_options *options, struct subscribed *subscribed)
{
    struct pattern_ask ask = { topics_asked_name(shard, &asked->list[i]), options->mode, options->snapshot, options->max_hz };
    bool again;
    if (!engine_subscribe_pattern(&shard->engine, conn_index(shard, conn), &ask, &again)) return refuse_for_now(shard, asked, i, NO_ROOM_WHY);
    subscribed->made |= !again;
    return true;
}

/* A request of many names would else wait for memory at each of them: what is looked at is fetched some names ahead. */
static void fetch_ahead(const struct shard *shard, const struct topics_asked *asked, uint32_t i)
{
    static const uint32_t ahead[] = { [LOCALS_FETCH_PLACE] = 24, [LOCALS_FETCH_TOPIC] = 16, [LOCALS_FETCH_NAME] = 8 };
    for (enum locals_fetch what = LOCALS_FETCH_PLACE; what <= LOCALS_FETCH_NAME; what++)
        if (i + ahead[what] < asked->count) locals_fetch(&shard->engine.locals, asked->list[i + ahead[what]].hash, what);
}

static bool is_followed(struct shard *shard, struct conn *conn, const struct topic_asked *topic)
{
    struct span name = topics_asked_name(shard, topic);
    return topic->pattern ? engine_follows_pattern(&shard->engine, conn_index(shard, conn), name) : engine_follows(&shard->engine, conn_index(shard, conn), name);
}

/* Subscribes to all; false: refused, and then all is as it was. So what is followed already, of which nothing could be taken back,
 * comes when all that is new has found room; the patterns then once more, since which of them is the last one decides who rules. */
static bool subscribe_all(struct shard *shard, struct conn *conn, struct topics_asked *asked, const struct subscribe_options *options, struct subscribed *subscribed)
{
    bool follows_some = conn->subscriber.subscriptions_count + conn->subscriber.patterns_count > 0;
    for (int pass = 0; pass <= follows_some; pass++) {
        for (uint32_t i = 0; i < asked->count; i++) {
            fetch_ahead(shard, asked, i);
            if (follows_some && (pass == 0 ? is_followed(shard, conn, &asked->list[i]) : subscribed[i].made && !asked->list[i].pattern)) continue;
            if (asked->list[i].pattern ? subscribe_pattern(shard, conn, asked, i, options, &subscribed[i]) : subscribe_name(shard, conn, asked, i, options, &subscribed[i])) continue;
            for (uint32_t made = 0; made < asked->count; made++)
                if (subscribed[made].made) subscribing_end(shard, conn, &asked->list[made]);
            return false;
        }
    }
    return true;
}

/* What stands around a topic's name in an ack, or in op:topic beside a pattern. */
enum { AROUND_BYTES = 128 };

/* False: there is no memory for it. */
static bool write_ack(struct shard *shard, struct conn *conn, struct span id, const struct topics_asked *asked, const struct subscribed *subscribed)
{
    message_begin(shard, "subscribed", id);
    text_add_string(&shard->scratch, ",\"topics\":[");
    for (uint32_t i = 0; i < asked->count; i++) {
        struct span name = topics_asked_name(shard, &asked->list[i]);
        if (!message_fits(shard, conn, name.size + AROUND_BYTES)) return false;
        add_subscribed(&shard->scratch, i == 0, name, &subscribed[i], asked->list[i].pattern);
    }
    text_add_char(&shard->scratch, ']');
    message_send(shard, conn);
    return true;
}

/* False: there is no memory for it. */
static bool write_topic(struct shard *shard, struct conn *conn, struct span topic, const struct subscribe_reply *reply, struct span by, bool resume)
{
    shard->scratch.size = 0;
    if (!message_fits(shard, conn, topic.size + by.size + AROUND_BYTES)) return false;
    message_topic(shard, conn, topic, span_of(reply->epoch, EPOCH_BYTES), reply->seq, by, resume ? reply->resumed : -1);
    return true;
}

/* What a pattern covers already, told topic by topic behind the ack. */
struct covering {
    struct shard              *shard;
    struct conn               *conn;
    const struct topics_asked *asked;
    struct span                pattern;
    bool                       told; /* all so far: there was memory for it */
};

static void find_resume(void *context, struct subscribe_ask *ask)
{
    struct covering *covering = context;
    topics_asked_resume_of(covering->shard, covering->asked, ask);
}

static void tell_covered(void *context, const struct subscribe_ask *ask, const struct subscribe_reply *reply)
{
    struct covering *covering = context;
    covering->told = covering->told && write_topic(covering->shard, covering->conn, ask->topic, reply, covering->pattern, ask->resume);
}

/* False: there is no memory for what was to be told. */
static bool cover(struct shard *shard, struct conn *conn, const struct topics_asked *asked)
{
    bool told = true;
    for (uint32_t i = asked->count; i-- > 0;) { /* the last one rules, and is told as "by" */
        if (!asked->list[i].pattern) continue;
        struct covering covering = { shard, conn, asked, topics_asked_name(shard, &asked->list[i]), told };
        engine_cover(&shard->engine, conn_index(shard, conn), covering.pattern, &(struct pattern_cover){ &covering, find_resume, tell_covered });
        told = covering.told;
    }
    return told;
}

bool subscribing_begin(struct shard *shard, struct conn *conn, struct span id, bool ack, struct topics_asked *asked, const struct subscribe_options *options)
{
    if (!within_limits(shard, conn, asked)) return false;
    struct subscribed *subscribed = reserve_zeroed(asked->count, sizeof *subscribed);
    bool done = subscribe_all(shard, conn, asked, options, subscribed);
    bool told = !done || !ack || write_ack(shard, conn, id, asked, subscribed);
    /* Without an ack the epoch of what is new is told before its first update; unborn topics are announced at their birth. */
    for (uint32_t i = 0; done && told && !ack && i < asked->count; i++)
        if (subscribed[i].reply.born && subscribed[i].made)
            told = write_topic(shard, conn, topics_asked_name(shard, &asked->list[i]), &subscribed[i].reply, SPAN_NONE, subscribed[i].resume);
    if (done && told) told = cover(shard, conn, asked);
    asked->untold = !told;
    free(subscribed);
    return done;
}

/* What came of asking for a topic elsewhere. Where there was no room the connection stalls, up to a second. */
static enum readiness after_asking(struct shard *shard, struct conn *conn, struct topics_asked *asked, struct span name, uint32_t ticket, enum link_result result)
{
    if (result == LINK_SENT) {
        pending_sent(shard, ticket, SPAN_NONE, SPAN_NONE);
        conn->awaits++;
        return NOT_READY;
    }
    pending_drop(shard, ticket);
    if (result != LINK_FULL) return result == LINK_DONE ? READY : READY_NEVER;
    if (!conn_stall(shard, conn)) return NOT_READY;
    topics_asked_refuse(asked, "busy", "its shard has had no room for another request for a second", name);
    return READY_NEVER;
}

/* READY_NEVER: refused. */
static enum readiness prepare_one(struct shard *shard, struct conn *conn, struct topics_asked *asked, uint32_t i)
{
    struct span name = topics_asked_name(shard, &asked->list[i]);
    bool pattern = asked->list[i].pattern;
    uint32_t ticket = pending_make(shard, conn, PENDING_LIVE, 0);
    enum link_result result = ticket == TICKET_NONE ? LINK_FULL
                              : pattern             ? engine_prepare_pattern(&shard->engine, name, ticket)
                                                    : engine_prepare(&shard->engine, name, conn->subscriber.format, ticket);
    if (result == LINK_REFUSED) refuse_for_now(shard, asked, i, pattern ? NO_ROOM_WHY : limit_hit(shard, conn, LIMIT_TOPICS));
    return after_asking(shard, conn, asked, name, ticket, result);
}

/* The latest that was asked of each home: when it is live the others of that home are. */
struct latest {
    uint32_t topic[SHARDS_MAX]; /* in the request; POOL_NONE: none */
    uint32_t number[SHARDS_MAX];
};

/* Asks for all names that are not known here, without waiting for each. */
static enum readiness prepare_names(struct shard *shard, const struct conn *conn, struct topics_asked *asked, struct latest *latest)
{
    uint32_t sent = 0;
    for (uint32_t i = 0; i < asked->count && sent < ASKS_OF_CONN_MAX; i++) {
        struct topic_order order;
        if (asked->list[i].pattern) continue;
        fetch_ahead(shard, asked, i);
        enum link_result result = engine_prepare_quietly(&shard->engine, topics_asked_name(shard, &asked->list[i]), conn->subscriber.format, &order);
        if (result == LINK_DONE) continue;
        if (result == LINK_REFUSED) {
            refuse_for_now(shard, asked, i, limit_hit(shard, conn, LIMIT_TOPICS));
            return READY_NEVER;
        }
        sent++;
        if (latest->topic[order.home] != POOL_NONE && (int32_t)(order.number - latest->number[order.home]) < 0) continue;
        latest->topic[order.home] = i;
        latest->number[order.home] = order.number;
    }
    return sent > 0 ? NOT_READY : READY;
}

/* Names that are too many even where the connection follows nothing are not asked for at all. */
static bool names_fit(struct shard *shard, const struct conn *conn, struct topics_asked *asked)
{
    uint64_t names = 0;
    if (asked->count <= shard->settings->limits_subscriptions) return true;
    for (uint32_t i = 0; i < asked->count; i++) {
        names += !asked->list[i].pattern;
        if (names > shard->settings->limits_subscriptions) return refuse(shard, asked, i, limit_hit(shard, conn, LIMIT_SUBSCRIPTIONS));
    }
    return true;
}

static enum resume_news news_of(struct shard *shard, const struct conn *conn, const struct topics_asked *asked, uint32_t i, struct span *topic, uint32_t *home)
{
    struct span epoch;
    topics_asked_point(shard, asked, i, topic, &epoch);
    return engine_resume_news(&shard->engine, *topic, conn->subscriber.format, epoch, asked->points[i].seq, home);
}

/* A resume is judged by what this shard was told, and it may be told later than the shard by which the client read, of which it then knows more:
 * before it is refused, its topic's home is heard. Where there is no room to ask one, or for all that it has to tell, all are asked anew a little later. */
static enum readiness hear_homes(struct shard *shard, struct conn *conn, struct topics_asked *asked)
{
    bool heard[SHARDS_MAX] = { false }, later = conn->hears && conn->behind;
    enum readiness readiness = READY;
    if (conn->hears && !conn->behind) return READY;
    for (uint32_t i = 0; i < asked->points_count && readiness != READY_NEVER && !conn->stalled; i++) {
        struct span topic;
        uint32_t home;
        if (news_of(shard, conn, asked, i, &topic, &home) != RESUME_DOUBTED || heard[home]) continue;
        heard[home] = true;
        struct query_ask news = { .kind = QUERY_NEWS, .shard = home };
        struct query_reply reply;
        struct text nothing = { 0 };
        uint32_t ticket = later ? TICKET_NONE : pending_make(shard, conn, PENDING_LIVE, 0);
        enum link_result result = ticket == TICKET_NONE ? LINK_FULL : engine_query(&shard->engine, &news, ticket, &reply, &nothing);
        readiness = after_asking(shard, conn, asked, topic, ticket, result);
    }
    conn->hears = readiness == NOT_READY && !conn->stalled;
    conn->behind = false;
    return readiness;
}

/* A topic that patterns alone cover, whose birth was told: what it has comes behind that. */
static enum readiness await_born(struct shard *shard, struct conn *conn, struct topics_asked *asked)
{
    enum readiness readiness = READY;
    for (uint32_t i = 0; i < asked->points_count && conn->awaits < ASKS_OF_CONN_MAX && !conn->stalled; i++) {
        struct span topic;
        uint32_t home;
        if (news_of(shard, conn, asked, i, &topic, &home) != RESUME_AWAITS) continue;
        uint32_t ticket = pending_make(shard, conn, PENDING_LIVE, 0);
        enum link_result result = ticket == TICKET_NONE ? LINK_FULL : engine_prepare(&shard->engine, topic, conn->subscriber.format, ticket);
        if (result == LINK_REFUSED) result = LINK_DONE; /* a pattern leaves out what there is no room for */
        readiness = after_asking(shard, conn, asked, topic, ticket, result);
        if (readiness == READY_NEVER) return readiness;
    }
    return conn->awaits > 0 ? NOT_READY : readiness;
}

static enum readiness prepare_all(struct shard *shard, struct conn *conn, struct topics_asked *asked)
{
    if (!names_fit(shard, conn, asked)) return READY_NEVER;
    enum readiness readiness = READY;
    if (shard->settings->shards > 1) {
        struct latest latest;
        for (uint32_t home = 0; home < shard->settings->shards; home++) latest.topic[home] = POOL_NONE;
        readiness = prepare_names(shard, conn, asked, &latest);
        for (uint32_t home = 0; readiness == NOT_READY && home < shard->settings->shards && !conn->stalled; home++)
            if (latest.topic[home] != POOL_NONE && prepare_one(shard, conn, asked, latest.topic[home]) == READY_NEVER) return READY_NEVER;
    }
    for (uint32_t i = 0; readiness != READY_NEVER && i < asked->count && asked->patterns_count > 0 && !conn->stalled; i++) {
        if (!asked->list[i].pattern || conn->awaits >= ASKS_OF_CONN_MAX) continue;
        enum readiness one = prepare_one(shard, conn, asked, i);
        if (one != READY) readiness = one;
    }
    return readiness;
}

enum readiness subscribing_prepare(struct shard *shard, struct conn *conn, struct topics_asked *asked)
{
    enum readiness readiness = prepare_all(shard, conn, asked);
    if (readiness == READY && shard->settings->shards > 1) readiness = hear_homes(shard, conn, asked);
    if (readiness == READY && shard->settings->shards > 1 && asked->patterns_count > 0) readiness = await_born(shard, conn, asked);
    if (readiness == READY) conn_unstall(conn);
    if (readiness != NOT_READY) conn->hears = false;
    return readiness;
}
