/* Simulation of links: two to four shards in one thread, queues of two slots and up, any order of turns and halves of turns; publishers that
 * pause, readers that get stuck or take little, resume, change modes, patterns, births, deaths, limits and budgets. The judge sees every
 * update of every reader, every ack and every answer (tests/support/shards*.c). Each seed is a life from empty shards to empty shards.
 * SIM_SECONDS (30) bounds it, SIM_SEED=n runs one seed; a failure prints its own.
 *
 * The other tests break something on the wires on purpose and show that the judge sees it. */
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

#include "core/pubsub/pattern_interest.h"
#include "tests/support/shards.h"

enum { SECOND_US = 1000000 };

#define ONE_OF(random, ...) ((const uint32_t[]){ __VA_ARGS__ }[random_below(random, sizeof((uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t))])

/* ---- what a seed's shards are like ------------------------------------------------------------------------------------- */

static struct shards_plan plan_of(uint64_t *random)
{
    uint32_t slots = 2u << random_below(random, 5);
    struct shards_plan plan = {
        .count = 2 + random_below(random, 3),
        .wires = { slots, slots, slots < 64 ? 1024 : 65536 },
        .home = {
            .topics_max = SHARDS_TOPICS_MAX,
            .patterns_max = ONE_OF(random, 64, 64, 64, 1, 2, 3),
            .log_bytes_max = ONE_OF(random, 6u << 10, 16u << 10, 64u << 10, 256u << 10, 1u << 20),
            .topic_ttl_us = ONE_OF(random, SECOND_US, 3600u * SECOND_US),
            .window = { 1 + random_below(random, 60), 2048u << random_below(random, 4), ONE_OF(random, SECOND_US, 3600u * SECOND_US) },
        },
        .topics_known = random_below(random, 3) ? 3 + random_below(random, SHARDS_TOPICS_MAX - 3) : 3 + random_below(random, 5),
        .payload_bytes_max = 60 + random_below(random, 300),
        .topics_keyed = ONE_OF(random, 0, 0, 4, 32),
    };
    if (random_below(random, 4) == 0) plan.home.topics_max = 1 + plan.topics_known / 4;
    return plan;
}

/* What happens in it: out of the sum of all, so often. */
enum deed { PUBLISH, PUBLISH_HOT, OPEN, CLOSE, SUBSCRIBE, UNSUBSCRIBE, FOLLOW, UNFOLLOW, DELETE, QUERY, SOCKET, PASS, PASS_LONG, DEEDS };
struct manner {
    uint32_t odds[DEEDS], odds_sum;
    uint32_t shards_hot; /* the first so many do nearly all; what others do is rare */
    uint32_t rest_odds;  /* in one step of so many all comes to rest, and is judged */
    bool     resumes;
};

static struct manner manner_of(uint64_t *random, uint32_t count)
{
    static const struct manner manners[] = {
        { .odds = { 300, 40, 40, 15, 160, 80, 60, 40, 15, 40, 60, 120, 40 } },
        { .odds = { 120, 10, 40, 20, 40, 30, 200, 170, 60, 10, 20, 120, 80 } },   /* patterns come and go, topics too */
        { .odds = { 200, 10, 40, 20, 220, 200, 10, 10, 20, 10, 20, 100, 150 } },  /* interests likewise */
        { .odds = { 200, 250, 30, 10, 80, 20, 20, 10, 10, 100, 100, 60, 10 } },   /* heavy */
        { .odds = { 160, 10, 40, 20, 100, 60, 60, 40, 120, 40, 40, 120, 40 } },   /* short lives */
        { .odds = { 150, 10, 20, 10, 120, 100, 60, 120, 100, 10, 20, 60, 220 } }, /* all of it is let go, and asked for anew */
        { .odds = { 120, 0, 60, 40, 200, 150, 120, 240, 250, 10, 10, 20, 300 } }, /* names and patterns of what comes and goes */
    };
    struct manner manner = manners[random_below(random, sizeof manners / sizeof manners[0])];
    for (int i = 0; i < DEEDS; i++) manner.odds_sum += manner.odds[i];
    manner.shards_hot = 1 + random_below(random, count);
    manner.resumes = random_below(random, 2);
    manner.rest_odds = ONE_OF(random, 30, 150, 1000);
    return manner;
}

/* ---- what happens in it -------------------------------------------------------------------------------------------------- */

static bool chance(struct shards *shards, uint32_t odds)
{
    return random_below(&shards->random, odds) == 0;
}

static void publish_some(struct shards *shards, uint32_t shard, uint32_t topic, uint32_t most)
{
    for (uint32_t count = random_below(&shards->random, most); count > 0; count--)
        shards_publish_or_wait(shards, shard, (struct shards_paused){ (uint8_t)topic, chance(shards, 3), topic < shards->plan.topics_keyed && chance(shards, 8) });
}

static struct shards_manner some_manner(struct shards *shards, const struct manner *manner)
{
    return (struct shards_manner){ .every = chance(shards, 2), .snapshot = !chance(shards, 3), .resume = manner->resumes && chance(shards, 3) };
}

static void unfollow_some(struct shards *shards, uint32_t shard, uint32_t reader)
{
    struct shards_pattern pattern = shards_reader_at(shards, shard, reader)->patterns[random_below(&shards->random, SHARDS_PATTERNS_MAX)];
    shards_unsubscribe_pattern(shards, shard, reader, pattern.text[0] ? pattern.text : ">");
}

static void unsubscribe_some(struct shards *shards, uint32_t shard, uint32_t reader)
{
    uint32_t topic = random_below(&shards->random, shards->plan.topics_known);
    for (int tries = 0; tries < 5 && !shards_reader_at(shards, shard, reader)->seen[topic].by_name; tries++) topic = random_below(&shards->random, shards->plan.topics_known);
    shards_unsubscribe(shards, shard, reader, topic);
}

/* Mostly one that is just being let go, if there is one. */
static const char *some_pattern(struct shards *shards, uint32_t shard)
{
    static const char *const all[] = { ">", "a.*", "*.x0", "b.>", "*.*", "c.*" };
    enum { COUNT = sizeof all / sizeof all[0] };
    const struct patterns *patterns = &shards->shards[shard].engine.patterns;
    uint32_t first = random_below(&shards->random, COUNT);
    for (uint32_t i = 0; i < COUNT && !chance(shards, 8); i++) {
        const char *text = all[(first + i) % COUNT];
        uint32_t index = patterns_find(patterns, span_of_string(text));
        if (index != POOL_NONE && !((const struct pattern *)pool_at(&patterns->pool, index))->wanted) return text;
    }
    return all[first];
}

static void follow_some(struct shards *shards, const struct manner *manner, uint32_t shard, uint32_t reader)
{
    const char *pattern = some_pattern(shards, shard);
    struct shards_manner how = some_manner(shards, manner);
    if (shards_patterns_of(shards, shard, reader) < SHARDS_PATTERNS_MAX) shards_subscribe_pattern_as(shards, shard, reader, pattern, &how);
}

static void query_some(struct shards *shards, uint32_t shard, uint32_t topic)
{
    static const char *const prefixes[] = { "a.", "", "b.y" };
    uint64_t *random = &shards->random;
    struct query_ask ask = { .kind = (enum query_kind)random_below(random, 4), .bytes_max = 200 + random_below(random, 3000), .limit = 1 + random_below(random, 6) };
    if (ask.kind == QUERY_NEWS) {
        ask.shard = random_below(random, shards->plan.count);
    } else if (ask.kind == QUERY_NAMES) {
        ask.shard = random_below(random, shards->plan.count);
        ask.prefix = span_of_string(prefixes[random_below(random, 3)]);
        if (chance(shards, 2)) ask.after = shards_name(shards, topic);
    } else {
        const struct topic *there = shards_topic_at_home(shards, topic);
        ask.topic = shards_name(shards, topic);
        if (there) ask.after_seq = random_below(random, (uint32_t)log_newest_seq(&there->log) + 2);
    }
    shards_query(shards, shard, &ask);
}

static void subscribe_some(struct shards *shards, const struct manner *manner, uint32_t shard, uint32_t reader, uint32_t topic)
{
    struct shards_manner how = some_manner(shards, manner);
    how.resume = how.resume && shards_some_resume(shards, topic, how.epoch, &how.seq);
    shards_subscribe_as(shards, shard, reader, topic, &how);
    if (chance(shards, 20)) shards_unsubscribe(shards, shard, reader, topic);
}

static enum deed some_deed(struct shards *shards, const struct manner *manner)
{
    uint32_t at = random_below(&shards->random, manner->odds_sum);
    int deed = 0;
    while (at >= manner->odds[deed]) at -= manner->odds[deed++];
    return (enum deed)deed;
}

static void act(struct shards *shards, const struct manner *manner)
{
    uint32_t shard = random_below(&shards->random, chance(shards, 8) ? shards->plan.count : manner->shards_hot);
    uint32_t topic = random_below(&shards->random, shards->plan.topics_known), reader = random_below(&shards->random, SHARDS_READERS_MAX);
    enum deed deed = some_deed(shards, manner);
    bool open = shards_is_open(&shards->shards[shard], reader);
    if (!open && (deed == CLOSE || deed == SUBSCRIBE || deed == UNSUBSCRIBE || deed == FOLLOW || deed == UNFOLLOW || deed == SOCKET)) return;
    switch (deed) {
    case PUBLISH: publish_some(shards, random_below(&shards->random, shards->plan.count), topic, 6); return;
    case PUBLISH_HOT: publish_some(shards, random_below(&shards->random, shards->plan.count), topic % 2, 30); return;
    case OPEN: shards_open(shards, shard); return;
    case CLOSE: shards_close(shards, shard, reader); return;
    case SUBSCRIBE: subscribe_some(shards, manner, shard, reader, topic); return;
    case UNSUBSCRIBE: unsubscribe_some(shards, shard, reader); return;
    case FOLLOW: follow_some(shards, manner, shard, reader); return;
    case UNFOLLOW: unfollow_some(shards, shard, reader); return;
    case DELETE: shards_delete(shards, shard, topic); return;
    case QUERY: query_some(shards, shard, topic); return;
    case SOCKET:
        shards_reader_at(shards, shard, reader)->stuck = chance(shards, 3);
        shards_reader_at(shards, shard, reader)->slow = chance(shards, 3);
        return;
    case PASS: shards_pass(shards, 1000); return;
    case PASS_LONG: shards_pass(shards, random_below(&shards->random, chance(shards, 3) ? 1200000 : 300000)); return;
    case DEEDS: return;
    }
}

static void rest(struct shards *shards)
{
    for (uint32_t i = 0; i < shards->plan.count; i++)
        for (uint32_t reader = 0; reader < SHARDS_READERS_MAX; reader++)
            if (shards_is_open(&shards->shards[i], reader)) shards_reader_at(shards, i, reader)->stuck = false;
    shards_settle(shards);
    if (!fault_found(&shards->fault)) shards_check(shards);
}

/* One life; the fault is copied out, empty if there was none. */
static void live(uint64_t seed, enum shards_breakage breakage, struct fault *fault, struct shards_seen *seen)
{
    enum { STEPS = 3000 };
    uint64_t random = seed;
    struct shards_plan plan = plan_of(&random);
    struct manner manner = manner_of(&random, plan.count);
    struct shards *shards = shards_make(&plan, seed);
    shards->breakage = breakage;
    for (int step = 0; step < STEPS && !fault_found(&shards->fault); step++) {
        act(shards, &manner);
        uint32_t shard = random_below(&shards->random, plan.count);
        switch (random_below(&shards->random, 9)) { /* other threads come in between anywhere */
        case 0: case 1: shards_turn(shards, shard); break;
        case 2: shards_receive(shards, shard); break;
        case 3: shards_tell(shards, shard); break;
        case 4: engine_has_input(&shards->shards[shard].engine); break;
        case 5: /* what lingered is being let go, and something is asked for before anybody is told so */
            engine_tick(&shards->shards[shard].engine);
            for (uint32_t more = random_below(&shards->random, 4); more > 0; more--) act(shards, &manner);
            break;
        }
        if (chance(shards, manner.rest_odds) && !fault_found(&shards->fault)) rest(shards);
    }
    if (!fault_found(&shards->fault)) rest(shards);
    if (!fault_found(&shards->fault)) shards_end(shards);
    *fault = shards->fault;
    *seen = shards->seen;
    if (!fault_found(fault)) shards_free(shards); /* after a fault it may be torn anyhow */
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

static uint64_t number_of(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static struct shards_seen seen_in_all;

static void add_seen(const struct shards_seen *seen)
{
    uint64_t *sums = (uint64_t *)&seen_in_all;
    const uint64_t *each = (const uint64_t *)seen;
    for (size_t i = 0; i < sizeof *seen / sizeof *each; i++) sums[i] += each[i];
}

static void any_schedule_is_right_for_every_reader(void **state)
{
    enum { SEEDS_FIXED = 100 }; /* the same ones in every run; the others are new ones */
    signal(SIGABRT, on_abort);
    ON_SANITIZER_DEATH(tell_seed);
    uint64_t end_us = clock_mono_us() + number_of("SIM_SECONDS", 30) * SECOND_US, fresh, lives = 0;
    random_fill(&fresh, sizeof fresh);
    fresh >>= 20;
    do {
        struct fault fault;
        struct shards_seen seen;
        seed_now = getenv("SIM_SEED") ? number_of("SIM_SEED", 0) : lives < SEEDS_FIXED ? lives + 1 : ++fresh;
        live(seed_now, SHARDS_WHOLE, &fault, &seen);
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
    CAME_TO(updates);
    CAME_TO(updates_keyed);
    CAME_TO(gaps);
    CAME_TO(jumps);
    CAME_TO(lives);
    CAME_TO(resumes);
    CAME_TO(cut_short);
    CAME_TO(answers);
    CAME_TO(births_told);
    CAME_TO(pauses);
    CAME_TO(refused_busy);
    CAME_TO(refused_topics);
    CAME_TO(refused_interests);
    CAME_TO(refused_patterns);
}

/* ---- the judge sees what is broken -------------------------------------------------------------------------------------- */

/* Lives with a breakage, in a process of its own, until the judge says one of the signs, or a check of the engine's own ends it: what
 * was said last, "" if nothing was. One life may end by another consequence of the breakage, whichever its schedule brings first. */
static void said_of(enum shards_breakage breakage, const char *const *signs, char *text, size_t size)
{
    enum { LIVES_MAX = 300 };
    static const int deadly[] = { SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL };
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct fault fault = { 0 };
        for (size_t i = 0; i < sizeof deadly / sizeof deadly[0]; i++) signal(deadly[i], SIG_DFL); /* else cmocka goes on with the next test */
        dup2(ends[1], STDERR_FILENO);
        for (uint64_t seed = 1; seed <= LIVES_MAX && !fault_is_one_of(fault.text, signs); seed++) {
            fault = (struct fault){ 0 };
            live(seed, breakage, &fault, &(struct shards_seen){ 0 });
        }
        _exit(write(ends[1], fault.text, strlen(fault.text)) < 0);
    }
    close(ends[1]);
    size_t got = 0;
    for (ssize_t more; got < size - 1 && (more = read(ends[0], text + got, size - 1 - got)) > 0;) got += (size_t)more;
    text[got] = '\0';
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (got == 0 && status != 0) snprintf(text, size, "it ended with status %d before anything was said", status);
}

/* signs: what may be said, one of them; NULL ends them. */
static void assert_said(enum shards_breakage breakage, const char *const *signs)
{
    char text[2000];
    said_of(breakage, signs, text, sizeof text);
    if (!fault_is_one_of(text, signs)) fail_msg("breakage %d: \"%s\" was to be said, but it was \"%s\"", breakage, *signs, text);
}
#define assert_seen(breakage, ...) assert_said(breakage, (const char *const[]){ __VA_ARGS__, NULL })

/* What somebody says who has not heard of what is newest; to whom what is older comes; and the engine itself, if it comes to that first. */
#define BEHIND "is in another life", " up to ", "never came back"
#define AGAIN "comes again", " after ", "which is not lent to it"
#define CHECKED "does not hold", "AddressSanitizer"
static void the_judge_sees_a_lost_notice(void **state) { assert_seen(BREAK_NOTICE_LOST, BEHIND, "were not given back"); }
static void the_judge_sees_a_notice_that_was_overtaken(void **state) { assert_seen(BREAK_NOTICE_OVERTAKEN, AGAIN, BEHIND, CHECKED); }
static void the_judge_sees_an_older_notice_again(void **state) { assert_seen(BREAK_NOTICE_REPLAYED, AGAIN, BEHIND, CHECKED); }
static void the_judge_sees_a_generation_ignored(void **state) { assert_seen(BREAK_GENERATION_IGNORED, AGAIN, CHECKED); }
static void the_judge_sees_an_epoch_that_never_was(void **state) { assert_seen(BREAK_EPOCH_ALTERED, "that its home never had"); }
static void the_judge_sees_a_window_cut_short(void **state) { assert_seen(BREAK_TAIL_ALTERED, "but its window begins at"); }
static void the_judge_sees_a_lost_birth(void **state) { assert_seen(BREAK_BIRTH_LOST, "does not follow", " after "); }
static void the_judge_sees_a_lost_match(void **state) { assert_seen(BREAK_MATCH_LOST, "does not follow", " after "); }
static void the_judge_sees_a_match_after_the_last(void **state) { assert_seen(BREAK_MATCH_LATE, "does not follow", " after "); }
static void the_judge_sees_a_refusal_that_is_hidden(void **state) { assert_seen(BREAK_REFUSAL_HIDDEN, "does not know", "does not follow", " after "); }
static void the_judge_sees_a_refusal_that_nobody_made(void **state) { assert_seen(BREAK_REFUSAL_INVENTED, "although homes have room"); }
static void the_judge_sees_a_lost_reply(void **state) { assert_seen(BREAK_REPLY_LOST, "never came back", "before its publisher is told"); }
static void the_judge_sees_a_reply_that_comes_twice(void **state) { assert_seen(BREAK_REPLY_TWICE, "a reply to ticket"); }
static void the_judge_sees_an_altered_reply(void **state) { assert_seen(BREAK_REPLY_ALTERED, "is at seq"); }
static void the_judge_sees_an_update_before_its_reply(void **state) { assert_seen(BREAK_REPLY_LATE, "before its publisher is told"); }
static void the_judge_sees_an_altered_answer(void **state) { assert_seen(BREAK_ANSWER_ALTERED, "is at seq", "an answer has"); }
static void the_judge_sees_a_lost_credit(void **state) { assert_seen(BREAK_CREDIT_LOST, "credits"); }
static void the_judge_sees_a_lost_credit_of_what_has_no_reply(void **state) { assert_seen(BREAK_CREDIT_OF_QUIET_LOST, "credits"); }
static void the_judge_sees_a_loan_returned_early(void **state) { assert_seen(BREAK_LOAN_RETURNED_EARLY, "which is not lent to it"); }
static void the_judge_sees_a_loan_that_is_kept(void **state) { assert_seen(BREAK_LOAN_KEPT, "were not given back", "bytes on loan"); }
static void the_judge_sees_a_forgotten_interest(void **state) { assert_seen(BREAK_INTEREST_FORGOTTEN, "credits", "never came back"); }
static void the_judge_sees_an_interest_that_never_ends(void **state) { assert_seen(BREAK_INTEREST_END_FORGOTTEN, "for interested", "were not given back", CHECKED); }
static void the_judge_sees_a_forgotten_pattern(void **state) { assert_seen(BREAK_PATTERN_FORGOTTEN, "credits", "never came back"); }
static void the_judge_sees_a_pattern_that_never_ends(void **state) { assert_seen(BREAK_PATTERN_END_FORGOTTEN, "nobody follows a pattern"); }
static void the_judge_sees_a_publish_lost_in_silence(void **state) { assert_seen(BREAK_PUBLISH_LOST, "came to logs"); }
static void the_judge_sees_a_mark_that_is_lost(void **state) { assert_seen(BREAK_KEY_LOST, "which is no key"); }
static void the_judge_sees_a_wake_that_is_lost(void **state) { assert_seen(BREAK_WAKE_LOST, "not taken", "never comes to rest"); }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_schedule_is_right_for_every_reader),
        cmocka_unit_test(the_lives_came_everywhere),
        cmocka_unit_test(the_judge_sees_a_lost_notice),
        cmocka_unit_test(the_judge_sees_a_notice_that_was_overtaken),
        cmocka_unit_test(the_judge_sees_an_older_notice_again),
        cmocka_unit_test(the_judge_sees_a_generation_ignored),
        cmocka_unit_test(the_judge_sees_an_epoch_that_never_was),
        cmocka_unit_test(the_judge_sees_a_window_cut_short),
        cmocka_unit_test(the_judge_sees_a_lost_birth),
        cmocka_unit_test(the_judge_sees_a_lost_match),
        cmocka_unit_test(the_judge_sees_a_match_after_the_last),
        cmocka_unit_test(the_judge_sees_a_refusal_that_is_hidden),
        cmocka_unit_test(the_judge_sees_a_refusal_that_nobody_made),
        cmocka_unit_test(the_judge_sees_a_lost_reply),
        cmocka_unit_test(the_judge_sees_a_reply_that_comes_twice),
        cmocka_unit_test(the_judge_sees_an_altered_reply),
        cmocka_unit_test(the_judge_sees_an_update_before_its_reply),
        cmocka_unit_test(the_judge_sees_an_altered_answer),
        cmocka_unit_test(the_judge_sees_a_lost_credit),
        cmocka_unit_test(the_judge_sees_a_lost_credit_of_what_has_no_reply),
        cmocka_unit_test(the_judge_sees_a_loan_returned_early),
        cmocka_unit_test(the_judge_sees_a_loan_that_is_kept),
        cmocka_unit_test(the_judge_sees_a_forgotten_interest),
        cmocka_unit_test(the_judge_sees_an_interest_that_never_ends),
        cmocka_unit_test(the_judge_sees_a_forgotten_pattern),
        cmocka_unit_test(the_judge_sees_a_pattern_that_never_ends),
        cmocka_unit_test(the_judge_sees_a_publish_lost_in_silence),
        cmocka_unit_test(the_judge_sees_a_mark_that_is_lost),
        cmocka_unit_test(the_judge_sees_a_wake_that_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
