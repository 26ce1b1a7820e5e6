/* One engine in one thread under seeded schedules: publishers, subscribers with sockets of little room, small windows, little memory, and a
 * clock that jumps. Each seed is a life from an empty engine to an empty engine, judged by a history that knows nothing of logs and cursors
 * (tests/support/). SIM_SECONDS (30) bounds it, SIM_SEED=n runs one seed; a failure prints its own.
 *
 * The other tests break something on purpose and show that the judges see it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/random.h"
#include "tests/support/deflating.h"
#include "tests/support/world.h"

/* ---- what a seed's world is like --------------------------------------------------------------------------------------- */

static uint32_t one_of(uint64_t *random, const uint32_t *choices, uint32_t count)
{
    return choices[random_below(random, count)];
}
#define ONE_OF(random, ...) one_of(random, (const uint32_t[]){ __VA_ARGS__ }, sizeof((uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t))

static struct world_plan plan_of(uint64_t *random)
{
    struct world_plan plan = {
        .home = {
            .compressor = &deflating,
            .topics_max = ONE_OF(random, 3, 8, 100),
            .topic_ttl_us = ONE_OF(random, 5000000, 3600u * 1000000u),
            .log_bytes_max = ONE_OF(random, 8 << 10, 40 << 10, 300 << 10, 2 << 20, 64 << 20, 64 << 20),
            .window = {
                .updates_max = ONE_OF(random, 1, 2, 10, 100, 1000),
                .bytes_max = ONE_OF(random, 1, 500, 8 << 10, 100 << 10, 1 << 20, 1 << 20),
                .age_max_us = ONE_OF(random, 1000, 50000, 2000000, 300000000, 300000000),
            },
        },
        .conns_max = ONE_OF(random, 1, 6, 20),
        .topics_known = ONE_OF(random, 1, 3, 12, 24),
        .subscriptions_max = ONE_OF(random, 5, 40, 1000, 1000),
        .patterns_max = ONE_OF(random, 3, 100, 100),
        .send_bytes_max = ONE_OF(random, 1000, 65536),
        .send_pieces_max = ONE_OF(random, 2, 3, 8, WORLD_PIECES_MAX),
        .sends_max = ONE_OF(random, 1, 3, WORLD_SENDS_MAX),
        .passes_max = ONE_OF(random, 1, 8, 8),
    };
    plan.ranges_max = WORLD_RANGES_MAX;
    plan.formats = ONE_OF(random, 1, 2, FORMAT_LINES, FORMAT_LINES); /* lines are made messages by the gateway */
    return plan;
}

/* How the life goes, beside the plan. */
struct manner {
    uint32_t turns;
    uint32_t burst_max;      /* updates at once */
    uint32_t large_odds;     /* one payload in so many is large */
    uint32_t large_max;
    uint32_t keyed_topics;   /* the first so many have marks */
    uint32_t mark_odds;
    bool     clock_jumps, deletes, patterns, comes_between, paced;
};

static struct manner manner_of(uint64_t *random)
{
    return (struct manner){
        .turns = ONE_OF(random, 30, 100, 300),
        .burst_max = ONE_OF(random, 1, 5, 40),
        .large_odds = ONE_OF(random, 50, 500, 1000000, 1000000),
        .large_max = ONE_OF(random, 4 << 10, 70 << 10, 400 << 10),
        .keyed_topics = ONE_OF(random, 0, 1, 6),
        .mark_odds = ONE_OF(random, 2, 10, 50),
        .clock_jumps = random_below(random, 4) == 0,
        .deletes = random_below(random, 2) == 0,
        .patterns = random_below(random, 2) == 0,
        .comes_between = random_below(random, 3) == 0,
        .paced = random_below(random, 2) == 0,
    };
}

/* ---- what happens in it -------------------------------------------------------------------------------------------------- */

static uint32_t some_conn(struct world *world)
{
    if (world->conns.used == 0) return POOL_NONE;
    uint32_t index = bitset_next(&world->live, world_random(world, world->conns.touched));
    return index == BITSET_NONE ? bitset_next(&world->live, 0) : index;
}

static uint32_t some_topic(struct world *world)
{
    uint32_t count = world->history.topics_count;
    return world_chance(world, 3) ? 0 : world_random(world, count); /* one is hot */
}

static uint32_t payload_bytes(struct world *world, const struct manner *manner)
{
    if (world_chance(world, manner->large_odds)) return 1 + world_random(world, manner->large_max);
    switch (world_random(world, 12)) {
    case 0: return 1;
    case 1: return 60 + world_random(world, 20);   /* around 126 with what stands before it: the header grows */
    case 2: return 1 + world_random(world, 3000);
    case 3: return world_chance(world, 20) ? 65460 + world_random(world, 40) : 10; /* around 65536 likewise */
    case 4: return 920 + world_random(world, 80);  /* around the smallest segment */
    default: return 1 + world_random(world, 200);
    }
}

/* Printable bytes, of which none is the poison. */
static void fill(struct world *world, char *data, uint32_t size)
{
    for (uint32_t at = 0; at < size; at += 8) {
        uint64_t eight = (random_next(&world->random) & UINT64_C(0x3f3f3f3f3f3f3f3f)) + UINT64_C(0x2121212121212121);
        memcpy(data + at, &eight, size - at < 8 ? size - at : 8);
    }
}

/* So that a reader of payloads alone knows which it is. */
static void number_it(struct world *world, char *data)
{
    char number[PAST_NUMBER_BYTES + 1];
    snprintf(number, sizeof number, "#%08x", world->numbers_count++);
    memcpy(data, number, PAST_NUMBER_BYTES);
}

static void publish_some(struct world *world, const struct manner *manner)
{
    uint32_t topic = some_topic(world), count = 1 + world_random(world, 1 + world_random(world, manner->burst_max));
    for (uint32_t i = 0; i < count && !fault_found(&world->fault); i++) {
        uint32_t size = payload_bytes(world, manner);
        char *data = malloc(size);
        assert_non_null(data);
        fill(world, data, size);
        if (size >= PAST_NUMBER_BYTES) number_it(world, data);
        bool line_break = size > 2 * PAST_NUMBER_BYTES && world_chance(world, 10);
        if (line_break) data[PAST_NUMBER_BYTES + world_random(world, size - PAST_NUMBER_BYTES)] = world_chance(world, 2) ? '\n' : '\r';
        world_publish(world, topic, span_of(data, size), line_break, topic < manner->keyed_topics && world_chance(world, manner->mark_odds));
        free(data);
    }
}

/* Mostly nothing; else from an epoch that was right once, or never, and a seq from the first to beyond the newest. */
static struct resume some_resume(struct world *world, uint32_t index)
{
    if (!world_chance(world, 3)) return (struct resume){ NULL, 0 };
    const struct past_topic *topic = &world->history.topics[index];
    const struct past_life *life = world_chance(world, 6) ? &topic->lives[world_random(world, topic->lives_count)] : history_life(&world->history, index);
    uint64_t seq = world_chance(world, 20) ? UINT64_MAX : world_random(world, (uint32_t)life->newest + 3);
    return (struct resume){ world_chance(world, 6) ? "notright" : world_chance(world, 10) ? "" : life->epoch, seq };
}

static struct terms some_terms(struct world *world, const struct manner *manner)
{
    static const double rates[] = { 1e-9, 0.3, 7.5, 60, 60, 400, 400, 1000, 1e6 };
    struct terms terms = { .every = world_chance(world, 2) };
    if (manner->paced && !terms.every && !world_chance(world, 3)) terms.max_hz = rates[world_random(world, sizeof rates / sizeof *rates)];
    return terms;
}

static void subscribe_some(struct world *world, const struct manner *manner)
{
    uint32_t conn = some_conn(world), topic = some_topic(world);
    if (conn != POOL_NONE) world_subscribe(world, conn, topic, some_terms(world, manner), !world_chance(world, 3), some_resume(world, topic));
}

static void unsubscribe_some(struct world *world)
{
    uint32_t conn = some_conn(world), topic = some_topic(world);
    if (conn == POOL_NONE) return;
    const struct view *view = &world_conn(world, conn)->reader->as_asked;
    for (int tries = 0; tries < 5 && !view->followed[topic].on; tries++) topic = some_topic(world);
    world_unsubscribe(world, conn, topic);
}

/* Comes and goes within one turn. */
static void look_in(struct world *world, const struct manner *manner)
{
    uint32_t conn = some_conn(world), topic = some_topic(world);
    if (conn == POOL_NONE) return;
    world_subscribe(world, conn, topic, some_terms(world, manner), true, some_resume(world, topic));
    world_unsubscribe(world, conn, topic);
}

static void follow_some(struct world *world, const struct manner *manner)
{
    uint32_t conn = some_conn(world), pattern = world_random(world, PATTERNS_KNOWN);
    if (conn == POOL_NONE) return;
    if (world_chance(world, 2)) {
        world_unfollow(world, conn, pattern);
        return;
    }
    struct resume resumes[PAST_TOPICS_MAX];
    for (uint32_t topic = 0; topic < world->history.topics_count; topic++) resumes[topic] = some_resume(world, topic);
    world_follow(world, conn, pattern, some_terms(world, manner), !world_chance(world, 3), resumes);
}

static void something_happens(struct world *world, const struct manner *manner)
{
    uint32_t conn = some_conn(world);
    switch (world_random(world, 24)) {
    case 0: world_connect(world, (enum socket_kind)world_random(world, SOCKET_KINDS)); break;
    case 1: if (conn != POOL_NONE && world_chance(world, 10)) world_disconnect(world, conn); break;
    case 2: if (conn != POOL_NONE && world_chance(world, 20)) world_conn(world, conn)->broken = true; break;
    case 3: case 4: case 5: subscribe_some(world, manner); break;
    case 6: unsubscribe_some(world); break;
    case 12: if (world_chance(world, 5)) look_in(world, manner); break;
    case 7: if (world_chance(world, 4)) engine_tell(&world->engine); break; /* telling more often does no harm */
    case 8: if (world_chance(world, 4)) world_query(world, some_topic(world)); break;
    case 9: if (world_chance(world, 10)) world_query_names(world); break;
    case 10: if (manner->deletes && world_chance(world, 10)) world_delete(world, some_topic(world)); break;
    case 11: if (manner->patterns) follow_some(world, manner); break;
    default: publish_some(world, manner);
    }
}

/* What came from elsewhere between two batches of a flush is told and sent with the next. */
static void something_comes(struct world *world, const void *context)
{
    if (!world_chance(world, 4)) return;
    publish_some(world, context);
    engine_tell(&world->engine);
}

static void sockets_drain(struct world *world)
{
    for (uint32_t i = 0; (i = bitset_next(&world->live, i)) != BITSET_NONE; i++) {
        struct sim_conn *conn = world_conn(world, i);
        uint32_t odds = conn->kind == SOCKET_STALLED ? 40 : 3;
        if (conn->kind == SOCKET_WIDE || !world_chance(world, odds)) continue;
        world_room(world, i, 1 + world_random(world, world_chance(world, 4) ? 100000 : world_chance(world, 3) ? 20 : 3000));
    }
}

static void time_passes(struct world *world, const struct manner *manner)
{
    uint64_t us = world_chance(world, 50) ? 400000000 : world_chance(world, 10) ? 3000000 : world_random(world, 5000);
    world_time(world, us, (int64_t)us);
    if (manner->clock_jumps && world_chance(world, 20)) world_time(world, 0, (int64_t)world_random(world, 7200) * 1000000 - INT64_C(3600000000));
}

/* One life; the fault is copied out, empty if there was none. */
static void live(uint64_t seed, enum breakage breakage, struct fault *fault, struct seen *seen)
{
    uint64_t random = seed;
    struct world_plan plan = plan_of(&random);
    struct manner manner = manner_of(&random);
    if (breakage == BREAK_TRIM_FIRST) {
        plan.home.window = (struct window){ 1, 1 << 20, 300000000 };
        plan.home.log_bytes_max = 64 << 20;
    }
    if (breakage == BREAK_TRIM_WHILE_STAGED) { /* few segments, so that what goes back is kept, poisoned, and not freed */
        plan.home.window = (struct window){ 10, 1 << 20, 300000000 };
        plan.home.log_bytes_max = 64 << 20;
        plan.topics_known = 1;
    }
    if (plan.subscriptions_max < 1000) manner.patterns = false; /* whom a birth would find no room for is anyone's guess */
    bool of_pace = breakage == BREAK_REST_CUT_SHORT || breakage == BREAK_REST_ENDLESS || breakage == BREAK_PACED_SENT_ALL;
    bool of_deltas = breakage == BREAK_NOTHING || breakage == BREAK_KEY_SKIPPED;
    if (breakage != BREAK_NOTHING) manner.paced = of_pace;
    if (!of_deltas) manner.keyed_topics = 0; /* so that what is lost is lost in every mode alike */
    if (breakage != BREAK_NOTHING) manner.deletes = manner.patterns = false;
    if (breakage != BREAK_NOTHING && plan.formats > 2) plan.formats = 2; /* what is broken is told in words of JSON and array */
    if (breakage == BREAK_WINDOW_SHORT) plan.home.window = (struct window){ 1000, 1 << 20, 300000000 };
    struct world *world = world_make(&plan, random);
    world->breakage = breakage;
    world->between = manner.comes_between ? something_comes : NULL;
    world->between_context = &manner;
    for (uint32_t turn = 0; turn < manner.turns && !fault_found(&world->fault); turn++) {
        time_passes(world, &manner);
        sockets_drain(world);
        for (uint32_t i = world_random(world, 20); i > 0 && !fault_found(&world->fault); i--) something_happens(world, &manner);
        if (!fault_found(&world->fault)) world_turn(world);
    }
    world->between = NULL; /* it is to come to rest */
    if (!fault_found(&world->fault)) world_end(world);
    *fault = world->fault;
    *seen = world->seen;
    if (!fault_found(fault)) world_free(world); /* after a fault it may be torn anyhow */
}

/* ---- many seeds ---------------------------------------------------------------------------------------------------------- */

static uint64_t seed_now; /* for whoever dies */

static void tell_seed(void)
{
    char line[100];
    int size = snprintf(line, sizeof line, "the seed was %llu: SIM_SEED=%llu runs it again\n", (unsigned long long)seed_now, (unsigned long long)seed_now);
    if (write(STDERR_FILENO, line, (size_t)size) < 0) _exit(1);
}

static void on_abort(int signal_number)
{
    tell_seed();
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#define ON_SANITIZER_DEATH(callback) __sanitizer_set_death_callback(callback)
#else
#define ON_SANITIZER_DEATH(callback) ((void)0)
#endif

static void watch_for_death(void)
{
    signal(SIGABRT, on_abort);
    ON_SANITIZER_DEATH(tell_seed);
}

static uint64_t number_of(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static struct seen seen_in_all;

static void add_seen(const struct seen *seen)
{
    uint64_t *sums = (uint64_t *)&seen_in_all;
    const uint64_t *each = (const uint64_t *)seen;
    for (size_t i = 0; i < sizeof *seen / sizeof *each; i++) sums[i] += each[i];
}

static void every_life_is_right_for_every_reader(void **state)
{
    enum { SEEDS_FIXED = 100 }; /* the same ones in every run; the others are new ones */
    watch_for_death();
    uint64_t end_us = clock_mono_us() + number_of("SIM_SECONDS", 30) * 1000000, fresh, lives = 0;
    random_fill(&fresh, sizeof fresh);
    fresh >>= 20;
    do {
        struct fault fault;
        struct seen seen;
        seed_now = getenv("SIM_SEED") ? number_of("SIM_SEED", 0) : lives < SEEDS_FIXED ? lives + 1 : ++fresh;
        live(seed_now, BREAK_NOTHING, &fault, &seen);
        add_seen(&seen);
        lives++;
        if (!fault_found(&fault)) continue;
        tell_seed();
        fail_msg("seed %llu: %s", (unsigned long long)seed_now, fault.text);
    } while (!getenv("SIM_SEED") && (lives < SEEDS_FIXED || clock_mono_us() < end_us));
    print_message("%llu lives\n", (unsigned long long)lives);
    signal(SIGABRT, SIG_DFL);
}

/* A simulation that never comes to a place proves nothing about it. */
static void the_lives_came_everywhere(void **state)
{
    if (getenv("SIM_SEED")) skip();
#define CAME_TO(what) \
    print_message("%12llu %s\n", (unsigned long long)seen_in_all.what, #what); \
    assert_true(seen_in_all.what > 0)
    CAME_TO(turns);
    CAME_TO(updates);
    CAME_TO(gaps);
    CAME_TO(jumps);
    CAME_TO(cuts);
    CAME_TO(reclaims);
    CAME_TO(refused);
    CAME_TO(births_late);
    CAME_TO(deaths);
    CAME_TO(forgotten);
    CAME_TO(covered);
    CAME_TO(rests);
    CAME_TO(ranges_on);
    CAME_TO(filled);
    CAME_TO(filled_short);
}

/* ---- the judges see what is broken ------------------------------------------------------------------------------------- */

/* Lives with a breakage, in a process of its own, until a judge says one of the signs; "" if none did. One life may end by another
 * consequence of the breakage, whichever its schedule brings first. It may be found by a check or a sanitizer too, but then that is no
 * proof of the judges. */
static void fault_by(enum breakage breakage, const char *const *signs, struct fault *fault)
{
    enum { LIVES_MAX = 300 };
    int ends[2];
    *fault = (struct fault){ 0 };
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int quiet = open("/dev/null", O_WRONLY);
        if (quiet >= 0) dup2(quiet, STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        for (uint64_t seed = 1; seed <= LIVES_MAX && !fault_is_one_of(fault->text, signs); seed++) {
            *fault = (struct fault){ 0 };
            live(seed, breakage, fault, &(struct seen){ 0 });
        }
        _exit(write(ends[1], fault->text, sizeof fault->text) < 0);
    }
    close(ends[1]);
    ssize_t got = read(ends[0], fault->text, sizeof fault->text);
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (got <= 0) fail_msg("it died with status %d before a judge said anything", status);
}

/* signs: what a judge may say, one of them; NULL ends them. */
static void assert_said(enum breakage breakage, const char *const *signs)
{
    struct fault fault;
    fault_by(breakage, signs, &fault);
    if (!fault_is_one_of(fault.text, signs)) fail_msg("\"%s\" was to be said, but it was \"%s\"", *signs, fault.text);
}
#define assert_seen(breakage, ...) assert_said(breakage, (const char *const[]){ __VA_ARGS__, NULL })

static void the_judges_see_a_lost_range(void **state) { assert_seen(BREAK_RANGE_DROPPED, "is lost"); }
static void the_judges_see_a_cursor_one_frame_too_far(void **state) { assert_seen(BREAK_CURSOR_TOO_FAR, "is lost", "is due, but the newest is"); }
static void the_judges_see_a_range_sent_twice(void **state) { assert_seen(BREAK_RANGE_TWICE, "came double"); }
static void the_judges_see_a_gap_that_is_not_told(void **state) { assert_seen(BREAK_GAP_UNTOLD, "no gap was told"); }
static void the_judges_see_a_birth_that_is_not_told(void **state) { assert_seen(BREAK_BIRTH_UNTOLD, "no op:topic told its epoch"); }
static void the_judges_see_a_lost_carry(void **state) { assert_seen(BREAK_CARRY_LOST, "a torn frame", "are poisoned", "not those that were published", "not a message", "a frame was never finished", "an update of no topic"); }
static void the_judges_see_trimming_before_telling(void **state) { assert_seen(BREAK_TRIM_FIRST, "for one that kept up", "although it kept up"); }
static void the_judges_see_a_foreign_byte(void **state) { assert_seen(BREAK_BYTE_FOREIGN, "not those that were published"); }
static void the_judges_see_what_is_superseded(void **state) { assert_seen(BREAK_SUPERSEDED_SENT, "is superseded by", "although each update is key"); }
static void the_judges_see_a_jump_to_a_delta(void **state) { assert_seen(BREAK_KEY_SKIPPED, "which is no key"); }
static void the_judges_see_a_jump_of_one_that_kept_up(void **state) { assert_seen(BREAK_JUMP_NEEDLESS, "although it kept up"); }
static void the_judges_see_a_window_cut_short(void **state) { assert_seen(BREAK_WINDOW_SHORT, "but must hold all from"); }
static void the_judges_see_a_wake_that_is_lost(void **state) { assert_seen(BREAK_WAKE_LOST, "nobody sends it anything"); }
static void the_judges_see_an_ack_of_an_older_moment(void **state) { assert_seen(BREAK_ACK_STALE, "the ack is"); }
static void the_judges_see_updates_after_unsubscribing(void **state) { assert_seen(BREAK_UNSUBSCRIBE_FORGOTTEN, "of what is not subscribed"); }
static void the_judges_see_leaked_subscriptions(void **state) { assert_seen(BREAK_SUBSCRIPTION_LEAKED, "leaked"); }
static void the_judges_see_a_rest_cut_short(void **state) { assert_seen(BREAK_REST_CUT_SHORT, "too soon"); }
static void the_judges_see_a_rest_without_end(void **state) { assert_seen(BREAK_REST_ENDLESS, "rests too long"); }
static void the_judges_see_a_paced_one_that_is_sent_all(void **state) { assert_seen(BREAK_PACED_SENT_ALL, "more than one update at once", "is superseded by"); }
#ifdef RINGCAST_DEBUG
static void the_judges_see_poison_where_a_segment_went_back_while_staged(void **state) { assert_seen(BREAK_TRIM_WHILE_STAGED, "poisoned"); }
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_life_is_right_for_every_reader),
        cmocka_unit_test(the_lives_came_everywhere),
        cmocka_unit_test(the_judges_see_a_lost_range),
        cmocka_unit_test(the_judges_see_a_cursor_one_frame_too_far),
        cmocka_unit_test(the_judges_see_a_range_sent_twice),
        cmocka_unit_test(the_judges_see_a_gap_that_is_not_told),
        cmocka_unit_test(the_judges_see_a_birth_that_is_not_told),
        cmocka_unit_test(the_judges_see_a_lost_carry),
        cmocka_unit_test(the_judges_see_trimming_before_telling),
        cmocka_unit_test(the_judges_see_a_foreign_byte),
        cmocka_unit_test(the_judges_see_what_is_superseded),
        cmocka_unit_test(the_judges_see_a_jump_to_a_delta),
        cmocka_unit_test(the_judges_see_a_jump_of_one_that_kept_up),
        cmocka_unit_test(the_judges_see_a_window_cut_short),
        cmocka_unit_test(the_judges_see_a_wake_that_is_lost),
        cmocka_unit_test(the_judges_see_an_ack_of_an_older_moment),
        cmocka_unit_test(the_judges_see_updates_after_unsubscribing),
        cmocka_unit_test(the_judges_see_leaked_subscriptions),
        cmocka_unit_test(the_judges_see_a_rest_cut_short),
        cmocka_unit_test(the_judges_see_a_rest_without_end),
        cmocka_unit_test(the_judges_see_a_paced_one_that_is_sent_all),
#ifdef RINGCAST_DEBUG
        cmocka_unit_test(the_judges_see_poison_where_a_segment_went_back_while_staged),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
