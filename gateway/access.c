#include "gateway/access.h"

#include <stdio.h>

#include "core/base/check.h"
#include "core/proto/topic_name.h"
#include "gateway/conn_parts.h"
#include "gateway/conn_tls.h"
#include "gateway/messages.h"
#include "gateway/publish.h"

#define HOW_TO_SHOW "send it as Authorization: Bearer KEY, X-API-Key: KEY or {\"op\":\"auth\",\"token\":\"KEY\"}"

/* ---- judging ----------------------------------------------------------------------------------------------------------- */

static const char *fault(const struct credential *credential, const char *doing, struct span topic, char why[ACCESS_WHY_BYTES])
{
    int shown = topic.size > TOPIC_NAME_BYTES_MAX ? TOPIC_NAME_BYTES_MAX : (int)topic.size;
    if (!credential) {
        snprintf(why, ACCESS_WHY_BYTES, "%s needs a key or token: " HOW_TO_SHOW, doing);
        return "unauthorized";
    }
    static const char *const names[] = { [CREDENTIAL_KEY] = "this key",
                                         [CREDENTIAL_TOKEN] = "this token",
                                         [CREDENTIAL_CERTIFICATE] = "this certificate",
                                         [CREDENTIAL_OVER] = "what was shown, and is not right any more," };
    const char *what = names[credential->kind];
    const char *verb = *doing == 'p' ? "publish" : "read";
    if (topic.size > 0) snprintf(why, ACCESS_WHY_BYTES, "%s may not %s%s%.*s", what, verb, *doing == 'p' ? " to " : " ", shown, topic.bytes);
    else snprintf(why, ACCESS_WHY_BYTES, "%s may not %s", what, verb);
    return "forbidden";
}

/* Whether what is the gateway's own is closed to those without the admin key. */
static bool is_closed(const struct shard *shard)
{
    return shard->settings->auth->is_set || !shard->listener.loopback || !shard->tls_listener.loopback;
}

/* Whether any of a request's topics might be refused at all. */
static bool is_open_to_all(const struct shard *shard)
{
    return !shard->settings->auth_required && !is_closed(shard);
}

/* $sys and what is below it, as name or pattern: the gateway's state. */
static bool is_of_system(struct span topic)
{
    static const char name[] = "$sys";
    size_t size = sizeof name - 1;
    return topic.size >= size && memcmp(topic.bytes, name, size) == 0 && (topic.size == size || topic.bytes[size] == '.');
}

bool access_is_admin(const struct conn *conn)
{
    return conn->credential && conn->credential->rights.admin;
}

static bool may_read(const struct shard *shard, const struct conn *conn, struct span topic)
{
    const struct credential *credential = conn->credential;
    if (is_of_system(topic)) return !is_closed(shard) || access_is_admin(conn);
    if (!shard->settings->auth_required) return true;
    if (!credential) return false;
    return topic.bytes ? rights_may_read(&credential->rights, topic) : credential->rights.reads_all || credential->rights.reads.size > 0;
}

const char *access_read_fault(const struct shard *shard, const struct conn *conn, struct span topic, char why[ACCESS_WHY_BYTES])
{
    return may_read(shard, conn, topic) ? NULL : fault(conn->credential, "reading", topic, why);
}

const char *access_publish_fault(const struct shard *shard, const struct credential *credential, struct span topic, char why[ACCESS_WHY_BYTES])
{
    if (credential && rights_may_publish(&credential->rights, topic)) return NULL;
    const char *code = fault(credential, "publishing", topic, why);
    if (!auth_is_on(shard->settings->auth)) snprintf(why, ACCESS_WHY_BYTES, "%s", PUBLISH_OFF_WHY);
    return code;
}

const char *access_admin_fault(const struct shard *shard, const struct conn *conn, const char *what, char why[ACCESS_WHY_BYTES])
{
    if (!is_closed(shard) || access_is_admin(conn)) return NULL;
    snprintf(why, ACCESS_WHY_BYTES, "%s needs the admin key (auth.admin-key), as soon as a key is set or the listener is not loopback", what);
    return conn->credential ? "forbidden" : "unauthorized";
}

static double cap_of(const struct conn *conn)
{
    return conn->credential ? conn->credential->rights.max_hz : 0;
}

static double capped(double max_hz, double cap)
{
    return cap > 0 && (max_hz == 0 || max_hz > cap) ? cap : max_hz;
}

bool access_subscribe(const struct shard *shard, const struct conn *conn, struct topics_asked *asked, struct subscribe_options *options)
{
    double cap = cap_of(conn);
    for (uint32_t i = 0; i < asked->count && !is_open_to_all(shard); i++) {
        asked->code = access_read_fault(shard, conn, topics_asked_name(shard, &asked->list[i]), asked->why);
        if (asked->code) return false;
    }
    if (cap > 0 && options->mode == MODE_EVERY) {
        asked->code = "forbidden";
        snprintf(asked->why, sizeof asked->why, "this credential has a max_hz, which mode \"every\" can't keep: use \"latest\"");
        return false;
    }
    options->max_hz = capped(options->max_hz, cap);
    return true;
}

/* ---- showing ----------------------------------------------------------------------------------------------------------- */

void access_forget(struct conn *conn)
{
    credential_free(conn->credential);
    conn->credential = NULL;
}

bool access_show(struct shard *shard, struct conn *conn, struct span token, const char **why)
{
    struct credential *credential = auth_judge(shard->settings->auth, token, shard->clock.wall_us, why);
    if (!credential) {
        if (!auth_is_on(shard->settings->auth)) *why = PUBLISH_OFF_WHY;
        return false;
    }
    access_forget(conn);
    conn->credential = credential;
    return true;
}

void access_show_certificate(struct shard *shard, struct conn *conn)
{
    const struct tls_shown *shown = conn->tls ? tls_session_shown(&conn->tls->session) : NULL;
    if (conn->credential || !shown || shown->authorities != tls_authorities(shard->tls)) return;
    conn->credential = auth_judge_certificate(shard->settings->auth, span_of(shown->name, shown->name_bytes), shown->authorities, shown->end_us, shard->clock.wall_us);
}

int64_t access_left_ms(const struct shard *shard, const struct conn *conn)
{
    uint64_t now_us = shard->clock.wall_us;
    if (!conn->credential || conn->credential->expires_us == UINT64_MAX) return -1;
    return conn->credential->expires_us > now_us ? (int64_t)((conn->credential->expires_us - now_us) / 1000) : 0;
}

const char *access_over_why(const struct conn *conn)
{
    if (!conn->credential) return "no key or token was shown within deadline.auth-ms";
    if (conn->credential->kind == CREDENTIAL_CERTIFICATE) return "the time of the client's certificate is over";
    return conn->credential->kind == CREDENTIAL_OVER ? "the key or token is not right any more, and no other was shown" : "the token has expired, and no fresh one was sent";
}

/* ---- deadlines --------------------------------------------------------------------------------------------------------- */

static uint64_t due_of(const struct shard *shard, const struct conn *conn)
{
    uint64_t now_ms = shard_now_ms(shard);
    if (conn->kind == CONN_KIND_ECHO) return 0; /* for tests of the frames alone */
    if (conn->credential && conn->credential->kind != CREDENTIAL_OVER) {
        int64_t left_ms = access_left_ms(shard, conn);
        return left_ms < 0 ? 0 : now_ms + (uint64_t)left_ms + ACCESS_GRACE_MS;
    }
    return shard->settings->auth_required ? now_ms + shard->settings->deadline_auth_ms : 0;
}

static void set_due(struct shard *shard, struct conn *conn, uint64_t due_ms)
{
    conn->auth_due_ms = due_ms;
    if (due_ms && conn->timer.due_ms > due_ms) conn_arm_timer(shard, conn, due_ms);
}

void access_begin(struct shard *shard, struct conn *conn)
{
    set_due(shard, conn, due_of(shard, conn));
}

/* ---- fewer rights ------------------------------------------------------------------------------------------------------ */

static void add_gone(struct text *gone, struct span name)
{
    text_add_char(gone, (char)(uint8_t)name.size);
    text_add(gone, name);
}

/* Caps what is followed, and collects what may not be any more: patterns first, since a name may be handed on to one. */
static void look_through(struct shard *shard, struct conn *conn, struct text *gone)
{
    struct engine *engine = &shard->engine;
    double cap = cap_of(conn);
    for (uint32_t at = conn->subscriber.patterns_first; at != POOL_NONE;) {
        struct pattern_subscription *pattern = pool_at(&engine->patterns.subscriptions, at);
        struct span text = pattern_text(&engine->patterns, at);
        pattern->max_hz = capped(pattern->max_hz, cap); /* of topics that are born later */
        if (!may_read(shard, conn, text) || (cap > 0 && pattern->mode == MODE_EVERY)) add_gone(gone, text);
        at = pattern->sibling_next;
    }
    for (uint32_t at = conn->subscriber.siblings_first; at != POOL_NONE;) {
        const struct subscription *subscription = subscription_at(&engine->locals.subscriptions, at);
        struct span name = local_topic_name(local_topic_at(&engine->locals, subscription->local));
        uint32_t next = subscription->sibling_next;
        bool kept = may_read(shard, conn, name) && (cap == 0 || subscription->mode == MODE_LATEST);
        if (kept && cap > 0) kept = pace_set(engine, at, capped(pace_max_hz(engine, at), cap));
        if (!kept && subscription->by == BY_NAME) add_gone(gone, name);
        at = next;
    }
}

static void end_gone(struct shard *shard, struct conn *conn, const struct text *gone)
{
    struct text *text = &shard->scratch;
    message_begin(shard, "unsubscribed", SPAN_NONE);
    text_add_string(text, ",\"topics\":[");
    for (size_t at = 0; at < gone->size;) {
        struct span name = span_of(gone->bytes + at + 1, (uint8_t)gone->bytes[at]);
        if (topic_pattern_is(name)) engine_unsubscribe_pattern(&shard->engine, conn_index(shard, conn), name);
        else engine_unsubscribe(&shard->engine, conn_index(shard, conn), name);
        text_add_string(text, at > 0 ? ",\"" : "\"");
        text_add(text, name);
        text_add_char(text, '"');
        at += 1 + name.size;
    }
    text_print(text, "],\"code\":\"%s\"", conn->credential ? "forbidden" : "unauthorized");
    message_send(shard, conn);
}

static void end_what_is_not_allowed(struct shard *shard, struct conn *conn)
{
    struct text gone = { 0 };
    look_through(shard, conn, &gone);
    if (gone.size > 0) end_gone(shard, conn, &gone);
    text_free(&gone);
}

void access_settle(struct shard *shard, struct conn *conn)
{
    CHECK(conn->state == CONN_OPEN);
    end_what_is_not_allowed(shard, conn);
    set_due(shard, conn, due_of(shard, conn));
}

void access_adopt(struct shard *shard, struct conn *conn)
{
    struct credential *credential = conn->credential;
    if (credential && credential->kind == CREDENTIAL_CERTIFICATE && credential->authorities != tls_authorities(shard->tls)) credential_end(credential);
    else if (credential) auth_judge_again(shard->settings->auth, credential);
    if (conn->state != CONN_OPEN) return;
    end_what_is_not_allowed(shard, conn);
    uint64_t due_ms = due_of(shard, conn);
    bool waits = !conn->credential || conn->credential->kind == CREDENTIAL_OVER; /* a reload is no reason to wait longer */
    set_due(shard, conn, waits && due_ms && conn->auth_due_ms && conn->auth_due_ms < due_ms ? conn->auth_due_ms : due_ms);
}
