/* See engine_shard.h. */
#include "bench/engine_shard.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/machine.h"
#include "core/proto/ws_frame.h"

#define SEND_BYTES_MAX (64u * 1024u) /* of one connection in one pass, as the gateway's */

enum {
    RANGES_EACH_SEND = 32,
    SENDS_EACH_BATCH = 256,
    PASSES_MAX = 8,
    LOOK_US = 1000,
    SLEEP_MS_MOST = 1,
    LINE_BYTES = 64,
    FIRST_BYTES = 4, /* of the smallest frame */
};

/* What subscribes. */
struct engine_conn {
    alignas(LINE_BYTES) struct subscriber subscriber; /* first, as in a connection of the gateway */
    uint64_t bytes_sent;
};

static struct engine_conn *conn_at(const struct engine_shard *shard, uint32_t index)
{
    return pool_at(&shard->conns, index);
}

/* ---- what the engine calls ------------------------------------------------------------------------------------------ */

static void on_published(void *context, uint32_t ticket, const struct publish_reply *reply)
{
    struct engine_shard *shard = context;
    shard->replies++;
    shard->wrong += reply->verdict != PUBLISH_DONE;
}

static void on_deleted(void *context, uint32_t ticket, const struct delete_reply *reply)
{
    ((struct engine_shard *)context)->wrong++;
}

static void on_answered(void *context, uint32_t ticket, const struct query_reply *reply, struct span answer)
{
    ((struct engine_shard *)context)->wrong++;
}

static void on_room(void *context)
{
    ((struct engine_shard *)context)->full = false;
}

static void on_wake(void *context, uint32_t peer)
{
    struct engine_shard *shard = context;
    struct wake *wake = &shard->all[peer].wake;
    shard->wakes_asked++;
    if (!wake_needed(wake)) return;
    shard->wakes_sent++;
    wake_send(wake);
}

/* ---- subscribing ---------------------------------------------------------------------------------------------------- */

/* ticket: which of the shard's subscriptions. A connection's topics follow one another. */
static void subscribe(struct engine_shard *shard, uint32_t ticket)
{
    const struct engine_load *load = shard->load;
    struct subscribe_ask ask = { .topic = load->names[ticket % (load->shards * load->topics)], .mode = MODE_EVERY };
    struct subscribe_reply reply;
    enum link_result result = engine_prepare(&shard->engine, ask.topic, FORMAT_JSON, ticket);
    if (result == LINK_SENT) return;
    if (result != LINK_DONE) shard->wrong++;
    else shard->wrong += engine_subscribe(&shard->engine, ticket / (uint32_t)load->follows, &ask, &reply) != SUBSCRIBE_DONE;
}

static void on_live(void *context, uint32_t ticket)
{
    subscribe(context, ticket);
}

void engine_shard_subscribe(struct engine_shard *shard)
{
    for (uint32_t i = 0; i < shard->load->subscriptions; i++) subscribe(shard, i);
}

/* ---- publishing ----------------------------------------------------------------------------------------------------- */

/* The publishers of a shard wait for those of the slowest, so that no topic's window is outrun: with some slack, lest all
 * go in step. */
static bool is_ahead(struct engine_shard *shard)
{
    const struct engine_load *load = shard->load;
    uint64_t least = shard->published, allowed = (shard->held ? load->lead / 2 : load->lead) * load->burst;
    for (uint32_t i = 0; i < load->shards; i++) {
        uint64_t published = counter_read(&shard->all[i].progress, COUNTER_REQUESTS);
        if (published < least) least = published;
    }
    shard->held = shard->published - least > allowed;
    return shard->held;
}

/* A burst, to this shard's share of the topics in turn, which live everywhere. False: nothing was to be published, or could be. */
static bool publish(struct engine_shard *shard)
{
    const struct engine_load *load = shard->load;
    uint64_t until = shard->published + load->burst;
    if (until > shard->publish_until) until = shard->publish_until;
    if (shard->full || shard->published == until || (load->shards > 1 && is_ahead(shard))) return false;
    uint64_t before = shard->published;
    for (; shard->published < until; shard->published++) {
        struct publish_ask ask = { .topic = load->names[shard->index * load->topics + shard->topic], .data = load->data, .quiet = load->quiet };
        struct publish_reply reply;
        enum link_result result = engine_publish(&shard->engine, &ask, load->quiet ? TICKET_NONE : 0, &reply);
        if (result == LINK_FULL) {
            shard->full = true;
            break;
        }
        shard->wrong += result == LINK_DONE && reply.verdict != PUBLISH_DONE;
        if (++shard->topic == load->topics) shard->topic = 0;
    }
    counter_set(&shard->progress, COUNTER_REQUESTS, shard->published);
    return shard->published > before;
}

/* ---- the flush ------------------------------------------------------------------------------------------------------ */

/* What the kernel would do with a piece of a send, or the least of it: a line comes into the cache. */
static void read_piece(struct engine_shard *shard, const struct piece *piece)
{
    uint64_t first = 0;
    if (shard->load->reading == READ_COPY) memcpy(shard->copied, piece->bytes, piece->size);
    if (shard->load->reading == READ_FRAMES)
        for (uint64_t at = 0; at < piece->size; first++) at += ws_server_frame_bytes(piece->bytes + at);
    memcpy(&first, piece->bytes, FIRST_BYTES);
    shard->checksum += first;
}

struct cut {
    uint32_t     subscription;
    struct range range;
};

static uint32_t take_ranges(struct engine_shard *shard, struct engine_conn *conn, struct cut *cuts)
{
    struct engine *engine = &shard->engine;
    uint32_t count = 0;
    for (uint64_t bytes = 0; bytes < SEND_BYTES_MAX && count < RANGES_EACH_SEND;) {
        uint32_t index = engine_take_dirty(engine, &conn->subscriber);
        if (index == POOL_NONE) break;
        struct subscription *subscription = subscription_at(&engine->locals.subscriptions, index);
        struct local_topic *local = local_topic_at(&engine->locals, subscription->local);
        struct cursor_news news;
        if (!cursor_advance(local, subscription, false, &shard->counters, &news)) {
            engine_sent(engine, index, (struct mark){ subscription->at, subscription->next_seq });
            continue;
        }
        cuts[count].subscription = index;
        cursor_cut(local, subscription, &cuts[count].range);
        bytes += cuts[count++].range.bytes;
    }
    return count;
}

static void send_to(struct engine_shard *shard, uint32_t index)
{
    struct engine_conn *conn = conn_at(shard, index);
    struct locals *locals = &shard->engine.locals;
    struct cut cuts[RANGES_EACH_SEND];
    uint32_t count = take_ranges(shard, conn, cuts);
    for (uint32_t i = 0; i < count; i++) {
        struct piece pieces[RANGES_EACH_SEND];
        const struct local_topic *local = local_topic_at(locals, subscription_at(&locals->subscriptions, cuts[i].subscription)->local);
        uint32_t pieces_count = range_pieces(local, &cuts[i].range, pieces, RANGES_EACH_SEND);
        for (uint32_t p = 0; p < pieces_count; p++) read_piece(shard, &pieces[p]);
        conn->bytes_sent += cuts[i].range.bytes;
    }
    for (uint32_t i = 0; i < count; i++) engine_sent(&shard->engine, cuts[i].subscription, cuts[i].range.to);
    if (conn->subscriber.dirty.first != POOL_NONE) bitset_add(&shard->ready, index);
    shard->ranges += count;
    shard->sends++;
}

static void look_after_links(struct engine_shard *shard)
{
    if (shard->load->shards == 1) return;
    uint64_t now_us = clock_mono_us();
    if (now_us - shard->looked_us < LOOK_US) return;
    shard->looked_us = now_us;
    engine_receive(&shard->engine);
    engine_tell(&shard->engine);
}

static void pass(struct engine_shard *shard, uint32_t from, uint32_t to)
{
    uint32_t sends = 0;
    for (uint32_t index = from; (index = bitset_next(&shard->ready, index)) < to; index++) {
        bitset_remove(&shard->ready, index);
        send_to(shard, index);
        if (++sends % SENDS_EACH_BATCH == 0) look_after_links(shard);
    }
}

static void flush(struct engine_shard *shard)
{
    for (uint32_t i = 0; i < PASSES_MAX && shard->ready.members > 0; i++) {
        uint32_t start = shard->start < shard->conns.touched ? shard->start : 0;
        shard->start = start + 1 + shard->conns.touched / 16;
        pass(shard, start, shard->conns.touched);
        pass(shard, 0, start);
    }
}

/* ---- the turn ------------------------------------------------------------------------------------------------------- */

bool engine_shard_turn(struct engine_shard *shard)
{
    struct engine *engine = &shard->engine;
    clock_tick(&shard->clock);
    bool busy = engine_has_input(engine);
    engine_receive(engine);
    busy |= publish(shard);
    engine_receive(engine);
    engine_tick(engine);
    engine_tell(engine);
    busy |= shard->ready.members > 0;
    flush(shard);
    engine_trim(engine);
    shard->turns += busy;
    return busy || shard->ready.members > 0;
}

void engine_shard_sleep(struct engine_shard *shard)
{
    if (!shard->load->sleeps) return;
    int64_t from_ns = now_ns();
    if (wake_sleep_begin(&shard->wake) && !engine_has_input(&shard->engine)) {
        struct pollfd woken = { .fd = wake_fd(&shard->wake), .events = POLLIN };
        poll(&woken, 1, SLEEP_MS_MOST);
        uint64_t count;
        if (woken.revents & POLLIN) shard->wrong += read(woken.fd, &count, sizeof count) != sizeof count;
        shard->asleep_ns += (uint64_t)(now_ns() - from_ns);
    }
    wake_sleep_end(&shard->wake);
}

bool engine_shard_has_all(const struct engine_shard *shard)
{
    const struct engine_load *load = shard->load;
    uint64_t expected = load->subscriptions * (shard->publish_until / load->topics);
    uint64_t told = counter_read(&shard->counters, COUNTER_FRAMES_SENT) + counter_read(&shard->counters, COUNTER_GAP_UPDATES);
    return told >= expected;
}

/* ---- set-up --------------------------------------------------------------------------------------------------------- */

static int init_engine(struct engine_shard *shard)
{
    const struct engine_load *load = shard->load;
    uint32_t topics = (uint32_t)(load->shards * load->topics);
    struct engine_settings settings = {
        .shard = shard->index, .shards_count = (uint32_t)load->shards,
        .subscriptions_max = (uint32_t)load->subscriptions, .subscriptions_each_max = (uint32_t)load->follows, .patterns_max = 16,
        .locals_max = topics,
        .home = {
            .topics_max = topics, .patterns_max = 16, .log_bytes_max = UINT64_C(8) << 30, .topic_ttl_us = UINT64_C(3600000000),
            .window = { ENGINE_WINDOW, 1 << 20, UINT64_C(300000000) },
        },
    };
    return engine_init(&shard->engine, &settings, &shard->conns, &shard->ready, &shard->clock, &shard->counters);
}

bool engine_shard_init(struct engine_shard *shard, uint32_t index, const struct engine_load *load, struct engine_shard *all)
{
    uint32_t conns = (uint32_t)(load->subscriptions / load->follows);
    *shard = (struct engine_shard){ .index = index, .load = load, .all = all };
    clock_tick(&shard->clock);
    if (pool_init(&shard->conns, sizeof(struct engine_conn), conns)) goto no_memory;
    if (bitset_init(&shard->ready, conns)) goto undo_conns;
    if (wake_init(&shard->wake)) goto undo_ready;
    shard->copied = malloc(SEND_BYTES_MAX + load->bytes + 1024);
    if (!shard->copied) goto undo_wake;
    if (init_engine(shard)) goto undo_copied;
    for (uint32_t i = 0; i < conns; i++) {
        struct engine_conn *conn = conn_at(shard, pool_take(&shard->conns));
        *conn = (struct engine_conn){ 0 };
        subscriber_init(&conn->subscriber);
    }
    return true;
undo_copied: free(shard->copied);
undo_wake:   wake_deinit(&shard->wake);
undo_ready:  bitset_deinit(&shard->ready);
undo_conns:  pool_deinit(&shard->conns);
no_memory:
    fprintf(stderr, "ringcast-bench engine: no memory for %llu subscriptions\n", (unsigned long long)load->subscriptions);
    return false;
}

bool engine_shard_connect(struct engine_shard *shard, struct wires *wires)
{
    struct engine_hooks hooks = { shard, on_published, on_deleted, on_answered, on_live, on_room, on_wake };
    return engine_connect(&shard->engine, wires, &hooks) == 0;
}

void engine_shard_deinit(struct engine_shard *shard)
{
    engine_deinit(&shard->engine);
    free(shard->copied);
    wake_deinit(&shard->wake);
    bitset_deinit(&shard->ready);
    pool_deinit(&shard->conns);
}
