#include "tests/support/world.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/base/random.h"
#include "core/base/siphash.h"

typedef unsigned long long number;

struct world *world_make(const struct world_plan *plan, uint64_t seed)
{
    struct world *world = calloc(1, sizeof *world);
    if (!world) abort();
    world->plan = *plan;
    world->random = seed;
    world->clock = (struct clock){ .mono_us = 1000000, .wall_us = UINT64_C(1763812345678901) };
    world->history.window_updates = plan->home.window.updates_max;
    world->history.window_bytes = plan->home.window.bytes_max;
    world->history.window_age_us = plan->home.window.age_max_us;
    struct engine_settings settings = { .shard = 0, .shards_count = 1, .home = plan->home, .subscriptions_max = plan->subscriptions_max };
    settings.subscriptions_each_max = UINT32_MAX;
    settings.patterns_max = settings.home.patterns_max = plan->patterns_max;
    for (size_t i = 0; i < sizeof settings.hash_key; i++) settings.hash_key[i] = settings.home.hash_key[i] = (uint8_t)world_random(world, 256);
    CHECK(pool_init(&world->conns, sizeof(struct sim_conn), plan->conns_max) == 0);
    CHECK(bitset_init(&world->ready, plan->conns_max) == 0 && bitset_init(&world->live, plan->conns_max) == 0);
    CHECK(engine_init(&world->engine, &settings, &world->conns, &world->ready, &world->clock, &world->counters) == 0);
    world->engine.home.epoch_state = seed; /* else no seed could be run again */
    for (uint32_t i = 0; i < plan->topics_known; i++) {
        char name[PAST_NAME_MAX + 1];
        static const char *const before[] = { "", "a.", "b.", "a.b." };
        if (i % 5 == 4) snprintf(name, sizeof name, "long.%0*u", 20 + (int)i * 4, i);
        else snprintf(name, sizeof name, "%st%u", before[i % 4], i);
        history_topic(&world->history, name);
    }
    return world;
}

void world_free(struct world *world)
{
    engine_deinit(&world->engine);
    for (uint32_t i = 0; (i = bitset_next(&world->live, i)) != BITSET_NONE; i++) {
        reader_free(world_conn(world, i)->reader);
        text_free(&world_conn(world, i)->out);
    }
    pool_deinit(&world->conns);
    bitset_deinit(&world->ready);
    bitset_deinit(&world->live);
    history_free(&world->history);
    text_free(&world->message);
    free(world);
}

static struct span topic_name_of(const struct world *world, uint32_t topic)
{
    return span_of_string(world->history.topics[topic].name);
}

const struct topic *world_topic(const struct world *world, uint32_t topic)
{
    struct span name = topic_name_of(world, topic);
    return home_find(&world->engine.home, name, siphash(world->engine.settings.hash_key, name));
}

/* ---- connections ------------------------------------------------------------------------------------------------------ */

static void conn_add(struct world *world, uint32_t index)
{
    struct sim_conn *conn = world_conn(world, index);
    message_add(conn->subscriber.format, text_span(&world->message), &conn->out);
    world->message.size = 0;
    if (!conn->subscriber.blocked) bitset_add(&world->ready, index);
}

static size_t out_waiting(const struct sim_conn *conn)
{
    return conn->out.size - conn->out_sent;
}

uint32_t world_connect(struct world *world, enum socket_kind kind)
{
    uint32_t index = pool_take(&world->conns);
    if (index == POOL_NONE) return POOL_NONE;
    struct sim_conn *conn = world_conn(world, index);
    *conn = (struct sim_conn){ .kind = kind, .room = kind == SOCKET_WIDE ? UINT64_MAX : world_random(world, 2000) };
    subscriber_init(&conn->subscriber);
    conn->subscriber.format = world_random(world, world->plan.formats);
    conn->reader = reader_make(&world->history, conn->subscriber.format, &world->fault);
    bitset_add(&world->live, index);
    return index;
}

void world_disconnect(struct world *world, uint32_t index)
{
    struct sim_conn *conn = world_conn(world, index);
    engine_unsubscribe_all(&world->engine, index);
    if (conn->subscriber.siblings_first != POOL_NONE || conn->subscriber.dirty.first != POOL_NONE || conn->subscriber.subscriptions_count > 0 || conn->subscriber.patterns_count > 0)
        fault_say(&world->fault, "a subscriber that left still has subscriptions");
    bitset_remove(&world->ready, index);
    bitset_remove(&world->live, index);
    world->seen.updates += conn->reader->updates_count;
    world->seen.jumps += conn->reader->jumps_count;
    reader_free(conn->reader);
    text_free(&conn->out);
    pool_give(&world->conns, index);
}

void world_room(struct world *world, uint32_t index, uint64_t room)
{
    struct sim_conn *conn = world_conn(world, index);
    conn->room = room > UINT64_MAX - conn->room ? UINT64_MAX : conn->room + room;
    conn->subscriber.blocked = false;
    bitset_add(&world->ready, index);
}

/* ---- asks ------------------------------------------------------------------------------------------------------------- */

/* The smallest segment that holds a frame of this topic with so much data, in allocated bytes. */
static uint64_t segment_bytes_least(struct span name, size_t data_bytes)
{
    enum { AROUND_LEAST = 16 + 2 + 36, CLASSES_END = 256 * 1024 };
    uint64_t bytes = AROUND_LEAST + name.size + data_bytes, class = 1024;
    if (bytes > CLASSES_END) return (bytes + 4095) / 4096 * 4096;
    while (class < bytes) class *= 2;
    return class;
}

static uint32_t logs_of(const struct topic *topic)
{
    uint32_t count = 0;
    for (; topic; topic = topic->next_format) count++;
    return count > 0 ? count : 1;
}

/* A log in another format was to be filled, and windows had to make room for it. */
static void note_reclaim(struct world *world, uint64_t trimmed_before)
{
    if (counter_read(&world->counters, COUNTER_SEGMENTS_TRIMMED) == trimmed_before) return;
    world->seen.reclaims++;
    world->pressed = true;
    history_pressed(&world->history);
}

/* Whether memory may be too short to fill one more log from this one. */
static bool is_short_for(const struct world *world, const struct log *log)
{
    return world->engine.home.store.bytes_used + 4 * log->window_bytes + (512 << 10) > world->plan.home.log_bytes_max;
}

/* A log in another format begins where JSON's does, or, where memory was short, with what a snapshot needs. */
static void note_filled(struct world *world, uint32_t index, enum wire_format format)
{
    const struct topic *topic = world_topic(world, index), *one = topic;
    while (one && one->log.chain.format != format) one = one->next_format;
    world->seen.filled += one && one != topic && one->log.ends.last.seq > 0;
    if (!one || one->log.ends.tail.seq <= history_life(&world->history, index)->loose) return;
    if (!is_short_for(world, &topic->log)) fault_say(&world->fault, "%s: a log was filled from %llu on, with room for more", world->history.topics[index].name, (number)one->log.ends.tail.seq);
    history_pressed_formats(&world->history, index);
    world->pressed = true;
    world->seen.filled_short++;
}

/* A publish let go of more than a window may: only where memory was short. */
static void judge_reclaim(struct world *world, struct span name, size_t data_bytes, uint64_t used_before, uint32_t logs)
{
    world->seen.reclaims++;
    world->pressed = true;
    /* The digits of seq and ts, and the frame's header, are not known here to the byte: twice 64 is room enough. */
    if (used_before + logs * segment_bytes_least(name, data_bytes + 64) + segment_store_spare(&world->engine.home.store) <= world->plan.home.log_bytes_max)
        fault_say(&world->fault, "windows were trimmed for want of memory with %llu of %llu bytes used", (number)used_before, (number)world->plan.home.log_bytes_max);
    history_pressed(&world->history);
}

static void judge_busy(struct world *world, struct span name, size_t data_bytes, uint32_t logs)
{
    const struct home *home = &world->engine.home;
    for (uint32_t i = 0; i < world->history.topics_count; i++) {
        for (const struct topic *topic = world_topic(world, i); topic; topic = topic->next_format)
            if (topic->log.chain.count > (log_newest_seq(&topic->log) > 0 ? 1 : 0)) fault_say(&world->fault, "busy, although %s still has %u segments", world->history.topics[i].name, topic->log.chain.count);
    }
    if (home->store.bytes_used + 2 * logs * segment_bytes_least(name, data_bytes + 256) + 8192 + segment_store_spare(&home->store) <= home->store.bytes_max)
        fault_say(&world->fault, "busy with %llu of %llu bytes used", (number)home->store.bytes_used, (number)home->store.bytes_max);
}

static void add_to_history(struct world *world, uint32_t index, const struct publish_ask *ask, const struct publish_reply *reply)
{
    const struct past_topic *topic = &world->history.topics[index];
    const struct past_life *life = history_life(&world->history, index);
    for (uint32_t i = 0; life->newest == 0 && i < topic->lives_count; i++)
        if (memcmp(topic->lives[i].epoch, reply->epoch, EPOCH_BYTES) == 0) fault_say(&world->fault, "%s: its new life has the epoch of an old one", topic->name);
    history_add(&world->history, index, reply->epoch, ask->data, ask->key, world->clock.wall_us);
    world->history.topics[index].quiet_us = world->clock.mono_us;
    if (reply->seq != life->newest || memcmp(reply->epoch, life->epoch, EPOCH_BYTES) != 0)
        fault_say(&world->fault, "%s: published as %llu in %.8s, but it is %llu in %s", topic->name, (number)reply->seq, reply->epoch, (number)life->newest, life->epoch);
}

void world_publish(struct world *world, uint32_t index, struct span data, bool line_break, bool marked)
{
    struct span name = topic_name_of(world, index);
    struct publish_ask ask = { .topic = name, .data = data, .line_break = line_break, .key = marked };
    struct publish_reply reply = { 0 };
    uint64_t used_before = world->engine.home.store.bytes_used, trimmed_before = counter_read(&world->counters, COUNTER_SEGMENTS_TRIMMED);
    bool full = world->engine.home.topics_count == world->plan.home.topics_max, known = world_topic(world, index) != NULL;
    if (!known) world_note_if_forgotten(world, index);
    CHECK(engine_publish(&world->engine, &ask, 0, &reply) == LINK_DONE);
    uint32_t logs = logs_of(world_topic(world, index));
    if (counter_read(&world->counters, COUNTER_SEGMENTS_TRIMMED) != trimmed_before) judge_reclaim(world, name, data.size, used_before, logs);
    if ((reply.verdict == PUBLISH_TOPICS_FULL) != (full && !known)) fault_say(&world->fault, "%s: publish was answered %d, topics full %d, known %d", name.bytes, (int)reply.verdict, full, known);
    if (reply.verdict == PUBLISH_BUSY) judge_busy(world, name, data.size, logs);
    world->seen.refused += reply.verdict != PUBLISH_DONE;
    /* Who is covered follows it even where there was no memory for the update. */
    if (reply.verdict != PUBLISH_TOPICS_FULL && history_life(&world->history, index)->newest == 0)
        for (uint32_t i = 0; (i = bitset_next(&world->live, i)) != BITSET_NONE; i++) reader_sees_birth(world_conn(world, i)->reader, index);
    if (reply.verdict != PUBLISH_DONE) return;
    world->seen.births_late += known && history_life(&world->history, index)->newest == 0;
    add_to_history(world, index, &ask, &reply);
}

void world_delete(struct world *world, uint32_t index)
{
    bool born = history_life(&world->history, index)->newest > 0;
    struct delete_ask ask = { .topic = topic_name_of(world, index) };
    struct delete_reply reply = { 0 };
    CHECK(engine_delete(&world->engine, &ask, 0, &reply) == LINK_DONE);
    if (reply.found != born) fault_say(&world->fault, "%s: deleting %s it", ask.topic.bytes, reply.found ? "found" : "did not find");
    world->seen.deaths += born;
    if (born) history_end_life(&world->history, index, false);
}

/* What came in this turn is pending where it was told at once, and a change of mode may then leave it out. */
static void note_change(struct world *world, struct sim_conn *conn, uint32_t topic)
{
    if (history_life(&world->history, topic)->newest != world->newest_then[topic]) conn->caught_up[topic] = false;
}

void world_subscribe(struct world *world, uint32_t conn_index, uint32_t index, struct terms terms, bool snapshot, struct resume resume)
{
    struct sim_conn *conn = world_conn(world, conn_index);
    struct reader *reader = conn->reader;
    struct span name = topic_name_of(world, index);
    if (!reader_may_ask(reader)) return;
    bool full = world->engine.home.topics_count == world->plan.home.topics_max, known = world_topic(world, index) != NULL;
    bool followed = reader->as_asked.followed[index].on, no_room = world->engine.locals.subscriptions.used == world->plan.subscriptions_max && !followed;
    struct subscribe_ask ask = { .topic = name, .mode = terms.every ? MODE_EVERY : MODE_LATEST, .max_hz = terms.max_hz, .snapshot = snapshot, .resume = resume.epoch != NULL,
                                 .resume_epoch = span_of_string(resume.epoch), .resume_seq = resume.seq };
    if (engine_follows(&world->engine, conn_index, name) && !followed && world->breakage == BREAK_UNSUBSCRIBE_FORGOTTEN) return; /* the stream is to show it */
    if (!known) world_note_if_forgotten(world, index);
    struct subscribe_reply reply;
    uint64_t trimmed_before = counter_read(&world->counters, COUNTER_SEGMENTS_TRIMMED);
    enum subscribe_verdict verdict = engine_subscribe(&world->engine, conn_index, &ask, &reply);
    note_reclaim(world, trimmed_before);
    note_filled(world, index, conn->subscriber.format);
    if (verdict == SUBSCRIBE_TOPICS_FULL && known && conn->subscriber.format != FORMAT_JSON && is_short_for(world, &world_topic(world, index)->log)) {
        world->seen.refused++;
        return;
    }
    enum subscribe_verdict right = full && !known ? SUBSCRIBE_TOPICS_FULL : no_room ? SUBSCRIBE_FULL : SUBSCRIBE_DONE;
    if (verdict != right) fault_say(&world->fault, "%s: subscribe was answered %d, not %d", name.bytes, (int)verdict, (int)right);
    world->seen.refused += verdict != SUBSCRIBE_DONE;
    if (verdict != SUBSCRIBE_DONE) return;
    if (reply.again != followed) fault_say(&world->fault, "%s: subscribed %s", name.bytes, reply.again ? "again, it says" : "anew, it says");
    if (!followed) conn->caught_up[index] = false;
    note_change(world, conn, index);
    reader_subscribes(reader, index, terms, snapshot, resume);
    world_note_paces(world, conn);
    if (world_breaks(world, BREAK_ACK_STALE) && reply.seq > 0) reply.seq--;
    text_print(&world->message, "{\"op\":\"subscribed\",\"topics\":[{\"topic\":\"%s\"", name.bytes);
    if (reply.born) text_print(&world->message, ",\"epoch\":\"%.8s\"", reply.epoch);
    text_print(&world->message, ",\"seq\":%llu%s}]}", (number)reply.seq, reply.resumed ? ",\"resumed\":true" : "");
    conn_add(world, conn_index);
}

void world_unsubscribe(struct world *world, uint32_t conn_index, uint32_t index)
{
    struct sim_conn *conn = world_conn(world, conn_index);
    struct span name = topic_name_of(world, index);
    if (!reader_may_ask(conn->reader)) return;
    bool forgotten = world_breaks(world, BREAK_UNSUBSCRIBE_FORGOTTEN);
    if (!forgotten) engine_unsubscribe(&world->engine, conn_index, name);
    reader_unsubscribes(conn->reader, index);
    world_note_paces(world, conn);
    note_change(world, conn, index);
    if (!forgotten && engine_follows(&world->engine, conn_index, name) != conn->reader->as_asked.followed[index].on)
        fault_say(&world->fault, "%s: %s followed", name.bytes, conn->reader->as_asked.followed[index].on ? "no longer" : "still");
    text_print(&world->message, "{\"op\":\"unsubscribed\",\"topics\":[\"%s\"]}", name.bytes);
    conn_add(world, conn_index);
}

struct covering {
    struct world        *world;
    uint32_t             conn;
    const char          *pattern;
    const struct resume *resumes;
};

static void find_resume(void *context, struct subscribe_ask *ask)
{
    struct covering *covering = context;
    const struct resume *resume = &covering->resumes[history_find(&covering->world->history, ask->topic)];
    ask->resume = resume->epoch != NULL;
    ask->resume_epoch = span_of_string(resume->epoch);
    ask->resume_seq = resume->seq;
}

static void tell_covered(void *context, const struct subscribe_ask *ask, const struct subscribe_reply *reply)
{
    struct covering *covering = context;
    struct world *world = covering->world;
    world->seen.covered++;
    world_conn(world, covering->conn)->caught_up[history_find(&world->history, ask->topic)] = false;
    text_print(&world->message, "{\"op\":\"topic\",\"topic\":\"%.*s\",\"epoch\":\"%.8s\",\"seq\":%llu,\"by\":\"%s\"", (int)ask->topic.size, ask->topic.bytes, reply->epoch, (number)reply->seq, covering->pattern);
    if (ask->resume) text_print(&world->message, ",\"resumed\":%s", reply->resumed ? "true" : "false");
    text_add_char(&world->message, '}');
    conn_add(world, covering->conn);
}

void world_follow(struct world *world, uint32_t conn_index, uint32_t index, struct terms terms, bool snapshot, const struct resume *resumes)
{
    struct sim_conn *conn = world_conn(world, conn_index);
    const char *text = patterns_known[index];
    if (!reader_may_ask(conn->reader)) return;
    for (uint32_t topic = 0; topic < world->history.topics_count && conn->subscriber.format != FORMAT_JSON; topic++)
        if (world_topic(world, topic) && PAST_TOPICS_MAX * (world_topic(world, topic)->log.window_bytes + (64 << 10)) > world->plan.home.log_bytes_max - world->engine.home.store.bytes_used)
            return; /* which would find memory is anyone's guess */
    bool known = conn->reader->as_asked.patterns[index].on, again;
    struct pattern_ask ask = { span_of_string(text), terms.every ? MODE_EVERY : MODE_LATEST, snapshot, terms.max_hz };
    if (!engine_subscribe_pattern(&world->engine, conn_index, &ask, &again)) {
        if (known || world->engine.patterns.subscriptions.used < world->plan.patterns_max) fault_say(&world->fault, "no room for %s", text);
        world->seen.refused++;
        return;
    }
    if (again != known) fault_say(&world->fault, "%s: followed %s", text, again ? "again, it says" : "anew, it says");
    text_print(&world->message, "{\"op\":\"subscribed\",\"topics\":[{\"topic\":\"%s\"}]}", text);
    conn_add(world, conn_index);
    reader_follows(conn->reader, index, terms, snapshot, resumes);
    world_note_paces(world, conn);
    for (uint32_t topic = 0; topic < world->history.topics_count; topic++) note_change(world, conn, topic);
    struct covering covering = { world, conn_index, text, resumes };
    CHECK(engine_cover(&world->engine, conn_index, ask.pattern, &(struct pattern_cover){ &covering, find_resume, tell_covered }) == SUBSCRIBE_DONE);
}

void world_unfollow(struct world *world, uint32_t conn_index, uint32_t index)
{
    struct sim_conn *conn = world_conn(world, conn_index);
    if (!reader_may_ask(conn->reader)) return;
    engine_unsubscribe_pattern(&world->engine, conn_index, span_of_string(patterns_known[index]));
    reader_unfollows(conn->reader, index);
    world_note_paces(world, conn);
    for (uint32_t topic = 0; topic < world->history.topics_count; topic++) note_change(world, conn, topic);
    text_print(&world->message, "{\"op\":\"unsubscribed\",\"topics\":[\"%s\"]}", patterns_known[index]);
    conn_add(world, conn_index);
}

static void expect_answer(struct world *world, const struct text *answer, const struct text *expected)
{
    if (!span_equals(text_span(answer), text_span(expected)))
        fault_say(&world->fault, "a query was answered %.150s, not %.150s", answer->size ? answer->bytes : "", expected->size ? expected->bytes : "");
}

/* {"topic":"A",*REST from {"topic":"A",REST; appended to `expected`. */
static void expect_member(struct world *world, struct text *expected, uint32_t index, uint64_t seq)
{
    size_t start = expected->size;
    history_message(&world->history, FORMAT_JSON, index, history_life(&world->history, index), seq, expected);
    text_cut(expected, start + 1, strlen("\"topic\":\"\",") + world_topic(world, index)->name_bytes);
}

/* Asks for the newest update and for some of the history; both stand in the history here. */
void world_query(struct world *world, uint32_t index)
{
    const struct past_life *life = history_life(&world->history, index);
    struct span name = topic_name_of(world, index);
    struct text answer = { 0 }, expected = { 0 };
    struct query_reply reply;
    struct query_ask ask = { .kind = QUERY_NEWEST, .topic = name };
    CHECK(engine_query(&world->engine, &ask, 0, &reply, &answer) == LINK_DONE);
    if (reply.found != (life->newest > 0)) fault_say(&world->fault, "%s: a query %s it", name.bytes, reply.found ? "found" : "did not find");
    if (life->newest > 0) {
        text_print(&expected, "{\"topic\":\"%s\",\"epoch\":\"%s\",", name.bytes, life->epoch);
        size_t start = expected.size;
        expect_member(world, &expected, index, life->newest);
        text_cut(&expected, start, 1);
        expect_answer(world, &answer, &expected);

        answer.size = expected.size = 0;
        ask = (struct query_ask){ .kind = QUERY_HISTORY, .topic = name, .limit = 1 + world_random(world, 5), .bytes_max = 1 << 20 };
        ask.after_seq = life->floor - 1 + world_random(world, (uint32_t)(life->newest - life->floor) + 3);
        CHECK(engine_query(&world->engine, &ask, 0, &reply, &answer) == LINK_DONE);
        text_print(&expected, "{\"topic\":\"%s\",\"epoch\":\"%s\",\"updates\":[", name.bytes, life->epoch);
        for (uint64_t seq = ask.after_seq + 1; seq <= life->newest && seq <= ask.after_seq + ask.limit; seq++) {
            if (seq > ask.after_seq + 1) text_add_char(&expected, ',');
            expect_member(world, &expected, index, seq);
        }
        text_add_string(&expected, "]}");
        expect_answer(world, &answer, &expected);
    }
    text_free(&answer);
    text_free(&expected);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Lists all names page by page. */
void world_query_names(struct world *world)
{
    const char *born[PAST_TOPICS_MAX];
    uint32_t count = 0, at = 0, limit = 1 + world_random(world, 8);
    for (uint32_t i = 0; i < world->history.topics_count; i++)
        if (history_life(&world->history, i)->newest > 0) born[count++] = world->history.topics[i].name;
    qsort(born, count, sizeof *born, by_bytes);
    struct query_reply reply = { .more = true };
    for (struct span after = SPAN_NONE; reply.more && !fault_found(&world->fault); after = reply.last) {
        struct text answer = { 0 }, expected = { 0 };
        struct query_ask ask = { .kind = QUERY_NAMES, .prefix = span_of("", 0), .after = after, .limit = limit };
        CHECK(engine_query(&world->engine, &ask, 0, &reply, &answer) == LINK_DONE);
        for (uint32_t n = 0; n < limit && at < count; n++) text_print(&expected, "%s\"%s\"", n == 0 ? "" : ",", born[at++]);
        if (reply.more != (at < count)) fault_say(&world->fault, "a page of names says that there is %s", reply.more ? "more" : "no more");
        expect_answer(world, &answer, &expected);
        text_free(&answer);
        text_free(&expected);
    }
}

/* ---- the end ---------------------------------------------------------------------------------------------------------- */

void world_time(struct world *world, uint64_t mono_us, int64_t wall_us)
{
    world->clock.mono_us += mono_us;
    world->clock.wall_us += (uint64_t)wall_us;
}

void world_settle_down(struct world *world)
{
    enum { TURNS_MAX = 5000 };
    for (uint32_t turn = 0; turn < TURNS_MAX && !fault_found(&world->fault); turn++) {
        bool rest = true;
        for (uint32_t i = 0; (i = bitset_next(&world->live, i)) != BITSET_NONE; i++) {
            struct sim_conn *conn = world_conn(world, i);
            conn->broken = false;
            if (conn->subscriber.blocked) world_room(world, i, world_chance(world, 3) ? UINT64_MAX : 1 + world_random(world, 70000));
            rest = rest && !conn->subscriber.blocked && !bitset_has(&world->ready, i) && out_waiting(conn) == 0;
        }
        uint64_t due_us = engine_due_us(&world->engine), now_us = world->clock.mono_us;
        if (rest && due_us == UINT64_MAX) break;
        uint64_t pass_us = rest && due_us > now_us ? due_us - now_us : 1000; /* some rest for a day */
        world_time(world, pass_us, (int64_t)pass_us);
        world_turn(world);
    }
    for (uint32_t i = 0; (i = bitset_next(&world->live, i)) != BITSET_NONE; i++) reader_at_rest(world_conn(world, i)->reader);
}

void world_end(struct world *world)
{
    world_settle_down(world);
    for (uint32_t i = 0; (i = bitset_next(&world->live, i)) != BITSET_NONE && !fault_found(&world->fault); i++)
        if (!world_breaks(world, BREAK_SUBSCRIPTION_LEAKED)) world_disconnect(world, i);
    if (fault_found(&world->fault)) return;
    engine_tell(&world->engine);
    engine_trim(&world->engine);
    world_check_leaks(world);
}
