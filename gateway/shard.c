#include "gateway/shard.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/random.h"
#include "core/base/reserve.h"
#include "core/io/crypto.h"
#include "core/io/ring_faults.h"
#include "gateway/compression.h"
#include "gateway/conn.h"
#include "gateway/conn_tls.h"
#include "gateway/fanout.h"
#include "gateway/memory.h"
#include "gateway/metrics.h"
#include "gateway/pending.h"
#include "gateway/shard_settings.h"
#include "gateway/state.h"

enum {
    RING_ENTRIES = 1024,
    RING_COMPLETIONS = 16384,
    COMMANDS_MAX = 8,
    STALLED_LOOK_MS = 10, /* how long those who wait for room sleep at most */
    /* Bytes taken in each turn from all publishers together: longer turns make longer ranges and delay the first update by
     * as much (MEASURED.md: 13, 27, 40 M updates/s delivered with 16, 64, 256 KiB). */
    INTAKE_BYTES = 64 * 1024,
};
static bool to_reports(void *context, struct span line)
{
    return reports_text(context, REPORT_LINE, line);
}

static int open_listener(struct shard *shard, const struct settings *settings, char *why, int why_size)
{
    const struct inherited_sockets *inherited = &shard->gateway->inherited.plain;
    uint32_t backlog_bytes = (uint32_t)settings->socket_backlog;
    if (inherited->count == 0) return listener_open(&shard->listener, settings->listen, shard->index == 0, backlog_bytes, why, why_size);
    return listener_adopt(&shard->listener, inherited_of(inherited, shard->index), backlog_bytes, why, why_size);
}

/* Where TLS is served: its listener, and the plaintext of one record of whoever is being read. */
static int open_tls(struct shard *shard, const struct settings *settings, char *why, int why_size)
{
    shard->tls_listener = (struct listener){ .descriptor = -1, .loopback = true };
    if (!shard->tls) return 0;
    shard->plain = malloc(TLS_RECORD_BYTES_MAX);
    CHECK(shard->plain);
    const struct inherited_sockets *inherited = &shard->gateway->inherited.tls;
    uint32_t backlog_bytes = (uint32_t)settings->socket_backlog;
    if (inherited->count == 0) return listener_open(&shard->tls_listener, settings->tls_listen, shard->index == 0, backlog_bytes, why, why_size);
    return listener_adopt(&shard->tls_listener, inherited_of(inherited, shard->index), backlog_bytes, why, why_size);
}

static void close_listeners(struct shard *shard)
{
    listener_close(&shard->listener);
    listener_close(&shard->tls_listener);
    free(shard->plain);
}

int shard_init(struct shard *shard, uint32_t index, struct gateway *gateway, const struct settings *settings, const uint8_t hash_key[16], char *why, int why_size)
{
    *shard = (struct shard){ .index = index, .gateway = gateway, .settings = settings, .tls = gateway->tls, .input = { POOL_NONE, POOL_NONE }, .starved = { POOL_NONE, POOL_NONE }, .shaking = { POOL_NONE, POOL_NONE } };
    if (open_listener(shard, settings, why, why_size)) return -1;
    if (open_tls(shard, settings, why, why_size)) goto undo_listener_said;
    uint32_t files_max = shard_files_max(settings);
    shard->connections_max = shard_connections_max(settings, files_max);
    clock_tick(&shard->clock);
    shard->started_us = shard->clock.mono_us;
    shard->logger = (struct logger){ .shard = index, .clock = &shard->clock, .counters = &shard->counters, .context = &shard->reports, .sink = to_reports };
    logger_adopt(&shard->logger, settings);
    random_fill(&shard->random_state, sizeof shard->random_state);
    wheel_init(&shard->wheel, shard_now_ms(shard));
    int error = -ENOMEM;
    if (settings->trace > 0 && !(shard->tracing = tracing_make(settings->trace))) goto undo_listener;
    error = pool_init(&shard->conns, sizeof(struct conn), files_max);
    if (error) goto undo_tracing;
    error = admission_init(shard, files_max);
    if (error) goto undo_conns;
    error = bitset_init(&shard->ready, files_max);
    if (error) goto undo_admission;
    error = bitset_init(&shard->live, files_max);
    if (error) goto undo_ready;
    error = bitset_init(&shard->stalled, files_max);
    if (error) goto undo_live;
    error = pendings_init(shard);
    if (error) goto undo_stalled;
    struct engine_settings engine = shard_engine_settings(shard, hash_key);
    error = engine_init(&shard->engine, &engine, &shard->conns, &shard->ready, &shard->clock, &shard->counters);
    if (error) goto undo_pendings;
    error = reports_init(&shard->reports, &gateway->main_wake);
    if (error) goto undo_engine;
    error = compression_init(shard);
    if (error) goto undo_reports;
    error = spsc_init(&shard->commands, sizeof(struct command), COMMANDS_MAX);
    if (error) goto undo_compression;
    error = wake_init(&shard->wake);
    if (error) goto undo_commands;
    shard->fanout = fanout_make(shard->tls != NULL);
    error = -ENOMEM;
    if (!shard->fanout || sem_init(&shard->started, 0, 0) || sem_init(&shard->may_serve, 0, 0)) goto undo_wake;
    shard->commands_in = spsc_producer(&shard->commands);
    shard->commands_out = spsc_consumer(&shard->commands);
    system_begin(shard);
    return 0;
undo_wake:     fanout_free(shard->fanout);
               wake_deinit(&shard->wake);
undo_commands: spsc_deinit(&shard->commands);
undo_compression: compression_deinit(shard);
undo_reports:  reports_deinit(&shard->reports);
undo_engine:   engine_deinit(&shard->engine);
undo_pendings: pendings_deinit(shard);
undo_stalled:  bitset_deinit(&shard->stalled);
undo_live:     bitset_deinit(&shard->live);
undo_ready:    bitset_deinit(&shard->ready);
undo_admission: admission_deinit(shard);
undo_conns:    pool_deinit(&shard->conns);
undo_tracing:  tracing_free(shard->tracing);
undo_listener:
    snprintf(why, (size_t)why_size, "can't set up a shard: %s%s", strerror(-error), error == -ENOMEM ? " (address ranges are reserved for limits.topics and limits.connections: see vm.overcommit_memory and RLIMIT_AS)" : "");
undo_listener_said:
    close_listeners(shard);
    return -1;
}

void shard_deinit(struct shard *shard)
{
    sem_destroy(&shard->started);
    sem_destroy(&shard->may_serve);
    system_end(shard);
    fanout_free(shard->fanout);
    wake_deinit(&shard->wake);
    spsc_deinit(&shard->commands);
    compression_deinit(shard);
    reports_deinit(&shard->reports);
    engine_deinit(&shard->engine);
    pendings_deinit(shard);
    bitset_deinit(&shard->stalled);
    bitset_deinit(&shard->live);
    bitset_deinit(&shard->ready);
    admission_deinit(shard);
    pool_deinit(&shard->conns);
    tracing_free(shard->tracing);
    close_listeners(shard);
    text_free(&shard->scratch);
    text_free(&shard->query);
    text_free(&shard->arena);
}

/* Drain and end. */

static void for_each_conn(struct shard *shard, void (*visit)(struct shard *, struct conn *))
{
    for (uint32_t index = 0; (index = bitset_next(&shard->live, index)) != BITSET_NONE; index++) visit(shard, conn_at(shard, index));
}

static void say_goodbye(struct shard *shard, struct conn *conn)
{
    /* Whoever has not asked yet is about to: he is answered, not left. */
    bool between_requests = conn->state == CONN_HTTP && !conn->exchange && !conn->listed && conn->asked;
    if (conn->state == CONN_OPEN) conn_close(shard, conn, WS_CLOSE_GOING_AWAY, "the gateway is shutting down");
    else if (between_requests) conn_linger(shard, conn);
}

static void count_goodbye(struct shard *shard, struct conn *conn)
{
    shard->goodbyes_due += conn->state == CONN_OPEN && conn->kind != CONN_KIND_ECHO;
}

static void end_now(struct shard *shard, struct conn *conn)
{
    conn_join(shard, conn, WHY_ENDED);
}

static void drain(struct shard *shard)
{
    if (shard->state != SHARD_OPEN) return;
    shard->state = SHARD_DRAINING;
    shard->drain_until_ms = shard_now_ms(shard) + shard->settings->drain_timeout_ms;
    for_each_conn(shard, count_goodbye);
    for_each_conn(shard, say_goodbye);
    fanout_from_first(shard->fanout); /* in this order they are told when to come back */
}

/* All have drained. What was accepted meanwhile is answered, within a second, and nothing is accepted any more: the socket may be shared
 * with a gateway that comes after us, and connections wait in it. */
static void begin_end(struct shard *shard)
{
    enum { LAST_ANSWERS_MS = 1000 };
    shard->state = SHARD_ENDING;
    shard->answer_until_ms = shard_now_ms(shard) + LAST_ANSWERS_MS;
    if (shard->answer_until_ms < shard->drain_until_ms) shard->drain_until_ms = shard->answer_until_ms;
    admission_end(shard);
    for_each_conn(shard, say_goodbye);
}

static void on_commands(struct shard *shard)
{
    struct command command;
    while (spsc_take(&shard->commands_out, &command)) {
        switch (command.kind) {
        case COMMAND_STATE: state_report(shard); break;
        case COMMAND_ADOPT: shard_adopt(shard, command.settings, command.tls); break;
        case COMMAND_DRAIN: drain(shard); break;
        case COMMAND_STOP:
            shard->drain_until_ms = 0;
            if (shard->state == SHARD_OPEN) shard->state = SHARD_DRAINING;
            break;
        case COMMAND_END: begin_end(shard); break;
        case COMMAND_LEAVE: shard->leaves = true; break;
        }
    }
    spsc_release(&shard->commands_out);
}

/* Somebody has not been told all yet. Those who only come and ask whether we are ready do not keep us. */
static bool is_busy(const struct shard *shard)
{
    for (uint32_t index = 0; (index = bitset_next(&shard->live, index)) != BITSET_NONE; index++) {
        const struct conn *conn = conn_at(shard, index);
        if (conn->state == CONN_OPEN || conn->state == CONN_CLOSING || conn->exchange || conn_unsent(conn) > 0) return true;
    }
    return false;
}

/* Nobody is left here, nor is a reply of another shard, which still serves us. */
static void check_end(struct shard *shard)
{
    bool alone = shard->admission.accepting == 0 && shard->conns.used == 0;
    if (shard->state == SHARD_ENDING && alone && (shard->pendings.used == 0 || shard_now_ms(shard) >= shard->answer_until_ms)) {
        shard->state = SHARD_ANSWERED;
        reports_word(&shard->reports, REPORT_ANSWERED, 0);
    }
    if (shard->state == SHARD_ANSWERED && shard->leaves) shard->state = SHARD_ENDED;
}

static void check_drain(struct shard *shard)
{
    if (shard->state == SHARD_OPEN) return;
    if (shard_now_ms(shard) >= shard->drain_until_ms) for_each_conn(shard, end_now);
    check_end(shard);
    if (shard->state != SHARD_DRAINING || is_busy(shard)) return;
    shard->state = SHARD_DRAINED;
    reports_word(&shard->reports, REPORT_DRAINED, 0);
}

/* The turn. */

static void arm_wake(struct shard *shard)
{
    ring_read(&shard->ring, wake_fd(&shard->wake), &shard->wake_count, sizeof shard->wake_count, token_make(OP_WAKE, 0, 0));
}

static void on_completion(struct shard *shard, const struct completion *completion)
{
    enum operation operation = token_operation(completion->token);
    if (operation == OP_NONE) return;
    if (operation == OP_ACCEPT) {
        admission_on_accept(shard, completion);
        return;
    }
    if (operation == OP_WAKE) {
        arm_wake(shard);
        return;
    }
    if (operation == OP_WOKEN) return; /* a peer's message: it has done its work by coming */
    if (operation == OP_WAKING) { /* it could not be posted: the slower way */
        wake_send(&shard->gateway->shards[token_index(completion->token)].wake);
        return;
    }
    struct conn *conn = conn_at(shard, token_index(completion->token));
    CHECK(conn->generation == token_generation(completion->token)); /* it is not freed before its last completion */
    if (operation == OP_RECV) conn_on_recv(shard, conn, completion);
    else if (operation == OP_PEER) conn_on_peer(shard, conn, completion);
    else if (operation == OP_ROOM) conn_on_room(shard, conn, completion);
    else if (operation == OP_CLOSE) conn_on_close(shard, conn, completion);
    else conn_on_over(shard, conn, operation);
}

static void take_completions(struct shard *shard)
{
    struct completion completion;
    while (ring_next(&shard->ring, &completion)) on_completion(shard, &completion);
}

/* Consumes what came, up to the turn's bound. A heavy publisher's next buffer is fetched at once: the longer the turn, the
 * longer the ranges. */
static void take_in(struct shard *shard)
{
    size_t taken = 0;
    for (;;) {
        size_t now = conns_consume(shard, INTAKE_BYTES - taken);
        conns_rearm(shard);
        taken += now;
        if (taken >= INTAKE_BYTES || now < RECV_BUFFER_BYTES / 2) break;
        ring_submit(&shard->ring);
        take_completions(shard);
    }
}

static void on_timer(void *context, struct timer *timer)
{
    struct shard *shard = context;
    conn_on_timer(shard, (struct conn *)((char *)timer - offsetof(struct conn, timer)));
}

/* How long the shard may sleep: not at all while there is something left to do. */
static int64_t sleep_ms(struct shard *shard, bool busy)
{
    if (busy || shard->input.first != POOL_NONE || shard->starved.first != POOL_NONE || shard->shaking.first != POOL_NONE) return 0;
    uint64_t now_ms = shard_now_ms(shard);
    int64_t timer_ms = wheel_next_ms(&shard->wheel, now_ms);
    uint64_t due_us = engine_due_us(&shard->engine), log_us = logger_due_us(&shard->logger), system_us = system_due_us(shard);
    if (log_us < due_us) due_us = log_us;
    if (system_us < due_us) due_us = system_us;
    if (shard->tracing && tracing_due_us(shard->tracing) < due_us) due_us = tracing_due_us(shard->tracing);
    int64_t engine_ms = due_us == UINT64_MAX ? -1 : due_us > shard->clock.mono_us ? (int64_t)((due_us - shard->clock.mono_us) / 1000 + 1) : 0;
    if (shard->stalled.members > 0 && (engine_ms < 0 || engine_ms > STALLED_LOOK_MS)) engine_ms = STALLED_LOOK_MS;
    if (engine_ms >= 0 && (timer_ms < 0 || engine_ms < timer_ms)) timer_ms = engine_ms;
    int64_t accept_ms = admission_wait_ms(shard);
    if (accept_ms >= 0 && (timer_ms < 0 || accept_ms < timer_ms)) timer_ms = accept_ms;
    bool drains = shard->state == SHARD_DRAINING || (shard->state == SHARD_ENDING && shard->conns.used > 0);
    uint64_t until_ms = drains ? shard->drain_until_ms : shard->state == SHARD_ENDING ? shard->answer_until_ms : 0;
    int64_t drain_ms = until_ms > now_ms ? (int64_t)(until_ms - now_ms) : -1;
    if (drain_ms >= 0 && (timer_ms < 0 || drain_ms < timer_ms)) return drain_ms;
    return timer_ms;
}

static void wait_for_something(struct shard *shard, int64_t timeout_ms)
{
    if (timeout_ms != 0 && wake_sleep_begin(&shard->wake) && (!spsc_empty(&shard->commands_out) || engine_has_input(&shard->engine) || system_is_news(shard))) timeout_ms = 0;
    ring_wait(&shard->ring, timeout_ms);
    wake_sleep_end(&shard->wake);
}

static bool turn(struct shard *shard, bool busy)
{
    admission_arm(shard);
    wait_for_something(shard, sleep_ms(shard, busy));
    clock_tick(&shard->clock);
    counter_add(&shard->counters, COUNTER_TURNS, 1);
    system_publish(shard);
    take_completions(shard);
    on_commands(shard);
    engine_receive(&shard->engine); /* first what other shards told before a client could know of it and ask here */
    take_in(shard);
    conns_shake(shard);
    wheel_advance(&shard->wheel, shard_now_ms(shard), on_timer, shard);
    engine_receive(&shard->engine);
    conns_unstall(shard);
    engine_tick(&shard->engine);
    engine_tell(&shard->engine);
    bool sheds = memory_look(shard);
    busy = fanout_flush(shard) || sheds;
    if (shard->tracing) busy = tracing_tell(shard) || busy;
    engine_trim(&shard->engine);
    system_tell(shard);
    metrics_look(shard);
    check_drain(shard);
    logger_tick(&shard->logger);
    return busy;
}

/* The thread. */

static const char *set_up_ring(struct shard *shard)
{
    const char *why = "out of memory";
    struct ring_settings settings = { RING_ENTRIES, RING_COMPLETIONS, shard->conns.items_max };
    if (ring_init(&shard->ring, &settings, &shard->counters, &why)) return why;
    shard->sends = send_test(&shard->ring);
    shard->batch = send_batch_make(&shard->ring, shard->sends == SENDS_EXACT, &shard->counters);
    ring_limit_files(&shard->ring, shard_files_now(shard));
    if (shard->batch && recv_buffers_init(&shard->recv_buffers, &shard->ring) == 0) return NULL;
    send_batch_free(shard->batch);
    ring_deinit(&shard->ring);
    return "receive buffers could not be set up (io_uring_register_buf_ring)";
}

void shard_wake_peer(struct shard *shard, uint32_t peer)
{
    struct shard *other = &shard->gateway->shards[peer];
    if (wake_needed(&other->wake)) ring_message(&shard->ring, &other->ring, token_make(OP_WOKEN, 0, 0), token_make(OP_WAKING, 0, peer));
}

uint64_t shard_total(const struct shard *shard, enum counter counter)
{
    uint64_t total = counter_read(&shard->gateway->counters, counter);
    for (uint32_t i = 0; i < shard->gateway->shards_count; i++) total += counter_read(&shard->gateway->shards[i].counters, counter);
    return total;
}

static void await(sem_t *semaphore)
{
    while (sem_wait(semaphore) && errno == EINTR) {}
}

static void *run(void *context)
{
    struct shard *shard = context;
    shard->start_why = set_up_ring(shard); /* by the thread that will submit to it: SINGLE_ISSUER */
    sem_post(&shard->started);
    if (shard->start_why) return NULL;
    await(&shard->may_serve);
    arm_wake(shard);
    reserve_fill();
    fanout_start(shard);
    ring_faults_begin(&shard->ring, shard->index);
    for (bool busy = false; shard->state != SHARD_ENDED;) busy = turn(shard, busy);
    reserve_free();
    recv_buffers_deinit(&shard->recv_buffers);
    send_batch_free(shard->batch);
    ring_deinit(&shard->ring);
    crypto_thread_end();
    return NULL;
}

int shard_start(struct shard *shard, char *why, int why_size)
{
    int error = pthread_create(&shard->thread, NULL, run, shard);
    if (error) {
        snprintf(why, (size_t)why_size, "can't start a thread: %s", strerror(error));
        return -1;
    }
    await(&shard->started);
    if (!shard->start_why) return 0;
    snprintf(why, (size_t)why_size, "%s", shard->start_why);
    pthread_join(shard->thread, NULL);
    return -1;
}

void shard_serve(struct shard *shard)
{
    sem_post(&shard->may_serve);
}

void shard_give_up(struct shard *shard)
{
    shard->state = SHARD_ENDED; /* its thread looks at it after the semaphore */
    sem_post(&shard->may_serve);
    shard_join(shard);
}

void shard_join(struct shard *shard)
{
    pthread_join(shard->thread, NULL);
}

bool shard_command(struct shard *shard, struct command command)
{
    if (!spsc_stage(&shard->commands_in, &command)) return false; /* it has eight of them to look at */
    spsc_publish(&shard->commands_in);
    if (wake_needed(&shard->wake)) wake_send(&shard->wake);
    return true;
}
