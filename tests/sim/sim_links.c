/* Simulation of links: two to four shards in one thread, queues of two slots and up, any order of turns and halves of turns; publishers,
 * readers that get stuck, patterns, births, deaths, limits and budgets. The judge sees every update of every reader. SIM_SECONDS (10)
 * bounds it, SIM_SEED=n runs one seed; a failure prints its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/support/shards.h"

enum { SECOND_US = 1000000 };

static struct shards_plan plan_of(uint32_t count, uint32_t slots)
{
    return (struct shards_plan){
        .count = count,
        .wires = { slots, slots, slots < 64 ? 1024 : 65536 },
        .home = { .topics_max = SHARDS_TOPICS_MAX, .patterns_max = 64, .log_bytes_max = 1 << 20, .topic_ttl_us = 3600 * (uint64_t)SECOND_US, .window = { 100, 16384, 3600 * (uint64_t)SECOND_US } },
        .topics_known = SHARDS_TOPICS_MAX,
        .payload_bytes_max = 200,
    };
}

static void act(struct shards *shards)
{
    uint64_t *random = &shards->random;
    uint32_t shard = random_below(random, shards->plan.count), topic = random_below(random, shards->plan.topics_known);
    static const char *const patterns[] = { ">", "a.*", "*.x3", "b.>", "*.*", "c.*" };
    const char *pattern = patterns[random_below(random, 6)];
    struct shard_sim *sim = &shards->shards[shard];
    uint32_t reader = random_below(random, SHARDS_READERS_MAX);
    bool open = shards_is_open(sim, reader);
    bool every = random_below(random, 2);
    switch (random_below(random, 24)) {
    case 0: case 1: case 2: case 3: case 4: case 5: case 6: case 7:
        for (uint32_t count = random_below(random, 6); count > 0; count--) shards_publish(shards, shard, topic, random_below(random, 3) == 0);
        return;
    case 8: shards_open(shards, shard); return;
    case 9:
        if (open && random_below(random, 3) == 0) shards_close(shards, shard, reader);
        return;
    case 10: case 11: case 12: case 13:
        if (open) shards_subscribe(shards, shard, reader, topic, every, random_below(random, 2));
        return;
    case 14: case 15:
        if (open) shards_unsubscribe(shards, shard, reader, topic);
        return;
    case 16: case 17: {
        uint32_t followed = 0;
        if (!open) return;
        struct shards_reader *at = shards_reader_at(shards, shard, reader);
        for (uint32_t i = 0; i < SHARDS_PATTERNS_MAX; i++) followed += at->patterns[i][0] != '\0';
        for (uint32_t i = 0; i < SHARDS_TICKETS_MAX; i++) followed += sim->tickets[i].kind == TICKET_PATTERN && sim->tickets[i].reader == reader;
        if (followed < SHARDS_PATTERNS_MAX) shards_subscribe_pattern(shards, shard, reader, pattern, every, random_below(random, 2));
        return;
    }
    case 18:
        if (open) shards_unsubscribe_pattern(shards, shard, reader, pattern);
        return;
    case 19:
        if (random_below(random, 3) == 0) shards_delete(shards, shard, topic);
        return;
    case 20: {
        struct query_ask ask = { .kind = QUERY_NAMES, .shard = random_below(random, shards->plan.count), .prefix = SPAN_LITERAL("a."), .limit = 3 };
        shards_query(shards, shard, &ask);
        return;
    }
    case 21:
        if (open) shards_reader_at(shards, shard, reader)->stuck = random_below(random, 3) == 0;
        return;
    default: shards_pass(shards, random_below(random, 4) ? 1000 : random_below(random, 700000));
    }
}

static void live(uint64_t seed)
{
    uint64_t random = seed;
    struct shards_plan plan = plan_of(2 + random_below(&random, 3), 2u << random_below(&random, 5));
    plan.topics_known = 3 + random_below(&random, SHARDS_TOPICS_MAX - 3);
    plan.home.window = (struct window){ 1 + random_below(&random, 60), 2048u << random_below(&random, 4), random_below(&random, 2) ? SECOND_US : 3600 * (uint64_t)SECOND_US };
    plan.home.topic_ttl_us = random_below(&random, 2) ? SECOND_US : 3600 * (uint64_t)SECOND_US;
    plan.home.log_bytes_max = 64 * 1024u << random_below(&random, 5);
    if (random_below(&random, 4) == 0) plan.home.topics_max = plan.topics_known / 2;
    if (random_below(&random, 4) == 0) plan.home.patterns_max = 1 + random_below(&random, 3);
    plan.payload_bytes_max = 60 + random_below(&random, 300);
    struct shards *shards = shards_make(&plan, seed);
    for (int step = 0; step < 3000 && !fault_found(&shards->fault); step++) {
        act(shards);
        struct engine *engine = &shards->shards[random_below(&shards->random, plan.count)].engine;
        switch (random_below(&shards->random, 9)) { /* other threads come in between anywhere */
        case 0: case 1: shards_turn(shards, engine->settings.shard); break;
        case 2: engine_receive(engine); break;
        case 3: engine_tell(engine); break;
        case 4: engine_has_input(engine); break;
        case 5: engine_tick(engine); break;
        }
        if (step % 1000 != 999) continue;
        for (uint32_t i = 0; i < plan.count; i++)
            for (uint32_t reader = 0; reader < SHARDS_READERS_MAX; reader++)
                if (shards_is_open(&shards->shards[i], reader)) shards_reader_at(shards, i, reader)->stuck = false;
        shards_settle(shards);
        shards_check(shards);
    }
    if (fault_found(&shards->fault)) fail_msg("seed %llu: %s; SIM_SEED=%llu runs it again", (unsigned long long)seed, shards->fault.text, (unsigned long long)seed);
    shards_free(shards);
}

/* A check that fails ends the process: the seed is told all the same. */
static uint64_t seed_now;

static void tell_seed(int signal_number)
{
    char line[80];
    int size = snprintf(line, sizeof line, "the seed was %llu: SIM_SEED=%llu runs it again\n", (unsigned long long)seed_now, (unsigned long long)seed_now);
    if (write(STDERR_FILENO, line, (size_t)size) < 0) return;
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static uint64_t number_of(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void any_schedule_is_right_for_every_reader(void **state)
{
    enum { SEEDS_FIXED = 100 };
    signal(SIGABRT, tell_seed);
    uint64_t end_us = clock_mono_us() + number_of("SIM_SECONDS", 10) * SECOND_US, fresh, lives = 0;
    random_fill(&fresh, sizeof fresh);
    do {
        seed_now = getenv("SIM_SEED") ? number_of("SIM_SEED", 0) : lives < SEEDS_FIXED ? lives + 1 : ++fresh;
        live(seed_now);
        lives++;
    } while (!getenv("SIM_SEED") && (lives < SEEDS_FIXED || clock_mono_us() < end_us));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_schedule_is_right_for_every_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
