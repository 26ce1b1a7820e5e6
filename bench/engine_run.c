/* See engine_run.h. */
#include "bench/engine_run.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/machine.h"
#include "core/base/siphash.h"

struct thread {
    alignas(128) pthread_t      thread;
    const struct engine_plan   *plan;
    struct engine_shard        *shards; /* all */
    const struct thread        *all;
    uint32_t                    index;
    pthread_barrier_t          *barrier;
    bool                        pinned;
    double                      line_ns;
    int64_t                     from_ns, until_ns, cpu_ns; /* cpu_ns: of the processor, until it had all */
    struct engine_result        before;
};

static int64_t cpu_ns(void)
{
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
}

/* ---- names ---------------------------------------------------------------------------------------------------------- */

enum { NAME_BYTES = 24 };

/* The first names whose hashes give each home as many, as many names would; topic t's home is t % shards, so that those
 * that one shard publishes to have homes everywhere. */
static bool make_names(struct engine_load *load, char *room, const uint8_t key[16])
{
    uint64_t count = load->shards * load->topics, *homes = calloc(load->shards, sizeof *homes);
    load->names = malloc(count * sizeof *load->names);
    if (!homes || !load->names) {
        free(homes);
        return false;
    }
    for (uint64_t number = 0, made = 0; made < count; number++) {
        char text[NAME_BYTES];
        struct span name = span_of(text, (size_t)snprintf(text, sizeof text, "bench.%llu", (unsigned long long)number));
        uint64_t home = (siphash(key, name) >> 32) % load->shards;
        if (homes[home] == load->topics) continue;
        uint64_t topic = homes[home]++ * load->shards + home;
        load->names[topic] = span_of(memcpy(room + topic * NAME_BYTES, text, sizeof text), name.size);
        made++;
    }
    free(homes);
    return true;
}

/* ---- running -------------------------------------------------------------------------------------------------------- */

/* How far apart two CPUs are: counts go to and fro, and the quickest way there and back is halved. It is what links cost beyond
 * instructions, and machines (virtual ones above all) differ by a factor of six in it, from one minute to the next. */
static double measure_line(struct engine_shard *shards, uint32_t index)
{
    enum { TRIES = 200, ROUNDS = 50 };
    const struct counters *theirs = &shards[!index].progress;
    int64_t least_ns = INT64_MAX;
    for (uint64_t try = 0, count = 0; try < TRIES; try++) {
        int64_t from_ns = now_ns();
        for (int round = 0; round < ROUNDS; round++) {
            count++;
            if (index == 0) counter_set(&shards[0].progress, COUNTER_TURNS, count);
            while (counter_read(theirs, COUNTER_TURNS) != count) {}
            if (index == 1) counter_set(&shards[1].progress, COUNTER_TURNS, count);
        }
        if (now_ns() - from_ns < least_ns) least_ns = now_ns() - from_ns;
    }
    return (double)least_ns / (2 * ROUNDS);
}

static bool all_subscribed(const struct engine_shard *shards, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        if (counter_read(&shards[i].counters, COUNTER_SUBSCRIPTIONS) < shards[i].load->subscriptions) return false;
    return true;
}

static bool all_have_all(const struct engine_shard *shards, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        if (!engine_shard_has_all(&shards[i])) return false;
    return true;
}

static void aim(struct engine_shard *shard, uint64_t updates)
{
    shard->publish_until = shard->published + updates;
}

/* clang has no noipa, and what it does not inline it leaves as it is. */
#if __has_attribute(noipa)
__attribute__((noipa))
#else
__attribute__((noinline))
#endif
void engine_run_measured(struct engine_shard *shards, uint64_t count)
{
    while (!all_have_all(shards, count))
        for (uint64_t i = 0; i < count; i++) engine_shard_turn(&shards[i]);
}

static void add_up(struct engine_result *result, const struct engine_shard *shard, double sign)
{
    const struct counters *counters = &shard->counters;
#define ADD(field, of) result->field += sign * (double)(of)
    ADD(delivered, counter_read(counters, COUNTER_FRAMES_SENT));
    ADD(published, counter_read(counters, COUNTER_UPDATES_IN));
    ADD(ranges, shard->ranges);
    ADD(sends, shard->sends);
    ADD(turns, shard->turns);
    ADD(asks, counter_read(counters, COUNTER_ASKS_SENT));
    ADD(asks_full, counter_read(counters, COUNTER_ASKS_FULL));
    ADD(tells, counter_read(counters, COUNTER_TELLS_SENT));
    ADD(notices, counter_read(counters, COUNTER_NOTICES_SENT));
    ADD(segments_trimmed, counter_read(counters, COUNTER_SEGMENTS_TRIMMED));
    ADD(wakes_asked, shard->wakes_asked);
    ADD(wakes_sent, shard->wakes_sent);
    ADD(asleep_ns, shard->asleep_ns);
    ADD(gap_updates, counter_read(counters, COUNTER_GAP_UPDATES));
#undef ADD
}

static void take_turns(const struct engine_plan *plan, struct engine_shard *shards, struct engine_result *result)
{
    uint64_t count = plan->load.shards;
    for (uint64_t i = 0; i < count; i++) engine_shard_subscribe(&shards[i]);
    while (!all_subscribed(shards, count))
        for (uint64_t i = 0; i < count; i++) engine_shard_turn(&shards[i]);
    for (uint64_t i = 0; i < count; i++) aim(&shards[i], plan->warmup);
    while (!all_have_all(shards, count))
        for (uint64_t i = 0; i < count; i++) engine_shard_turn(&shards[i]);
    for (uint64_t i = 0; i < count; i++) {
        add_up(result, &shards[i], -1);
        aim(&shards[i], plan->updates);
    }
    int64_t from_ns = now_ns(), from_cpu_ns = cpu_ns();
    engine_run_measured(shards, count);
    result->seconds = (double)(now_ns() - from_ns) * 1e-9;
    result->cpu_ns = (double)(cpu_ns() - from_cpu_ns);
}

/* Until all shards have all: one that has goes on serving its topics to the others. Returns when it had itself. */
static int64_t turn_until_all_have_all(struct thread *thread)
{
    struct engine_shard *shard = &thread->shards[thread->index];
    int64_t had_ns = 0;
    uint64_t asleep_ns = 0;
    for (;;) {
        bool busy = engine_shard_turn(shard);
        if (!had_ns && engine_shard_has_all(shard)) {
            had_ns = now_ns();
            asleep_ns = shard->asleep_ns;
            thread->cpu_ns = cpu_ns();
        }
        if (had_ns && all_have_all(thread->shards, thread->plan->load.shards)) break;
        if (!busy) engine_shard_sleep(shard);
    }
    shard->asleep_ns = asleep_ns; /* what it slept afterwards is not of the measurement */
    return had_ns;
}

static void *live(void *context)
{
    struct thread *thread = context;
    const struct engine_plan *plan = thread->plan;
    struct engine_shard *shard = &thread->shards[thread->index];
    thread->pinned = machine_pin((int64_t)(plan->cpu + thread->index));
    engine_shard_subscribe(shard);
    while (!all_subscribed(thread->shards, plan->load.shards)) engine_shard_turn(shard);
    aim(shard, plan->warmup);
    pthread_barrier_wait(thread->barrier);
    bool apart = plan->load.shards > 1 && thread->all[0].pinned && thread->all[1].pinned;
    if (apart && thread->index < 2) thread->line_ns = measure_line(thread->shards, thread->index);
    turn_until_all_have_all(thread);
    pthread_barrier_wait(thread->barrier);
    add_up(&thread->before, shard, -1);
    aim(shard, plan->updates);
    pthread_barrier_wait(thread->barrier);
    thread->from_ns = now_ns();
    int64_t from_cpu_ns = cpu_ns();
    thread->until_ns = turn_until_all_have_all(thread);
    thread->cpu_ns -= from_cpu_ns;
    return NULL;
}

static bool run_threads(const struct engine_plan *plan, struct engine_shard *shards, struct engine_result *result)
{
    uint64_t count = plan->load.shards, begun = 0;
    pthread_barrier_t barrier;
    struct thread *threads = aligned_alloc(alignof(struct thread), count * sizeof *threads);
    if (!threads || pthread_barrier_init(&barrier, NULL, (unsigned)count)) return false;
    for (uint32_t i = 0; i < count; i++)
        threads[i] = (struct thread){ .all = threads, .plan = plan, .shards = shards, .index = i, .barrier = &barrier };
    for (; begun < count; begun++)
        if (pthread_create(&threads[begun].thread, NULL, live, &threads[begun])) {
            fprintf(stderr, "ringcast-bench engine: can't start thread %llu\n", (unsigned long long)begun);
            exit(1); /* those that run wait for it at the barrier */
        }
    int64_t from_ns = INT64_MAX, until_ns = 0;
    bool pinned = true;
    for (uint64_t i = 0; i < count; i++) {
        pthread_join(threads[i].thread, NULL);
        if (threads[i].from_ns < from_ns) from_ns = threads[i].from_ns;
        if (threads[i].until_ns > until_ns) until_ns = threads[i].until_ns;
        result->cpu_ns += (double)threads[i].cpu_ns;
        pinned = pinned && threads[i].pinned;
        for (size_t f = 0; f < sizeof *result / sizeof(double); f++) ((double *)result)[f] += ((double *)&threads[i].before)[f];
    }
    result->seconds = (double)(until_ns - from_ns) * 1e-9;
    result->line_ns = threads[0].line_ns;
    pthread_barrier_destroy(&barrier);
    free(threads);
    return pinned;
}

static bool run_shards(const struct engine_plan *plan, struct engine_shard *shards, struct engine_result *result)
{
    uint64_t count = plan->load.shards;
    bool fine = true;
    if (plan->threaded) fine = run_threads(plan, shards, result);
    else if ((fine = machine_pin((int64_t)plan->cpu))) take_turns(plan, shards, result);
    for (uint64_t i = 0; i < count; i++) {
        add_up(result, &shards[i], 1);
        result->loans += (double)counter_read(&shards[i].counters, COUNTER_LOANS);
        result->wrong += (double)shards[i].wrong;
    }
    return fine;
}

bool engine_run(const struct engine_plan *asked, struct engine_result *result)
{
    static const uint8_t key[16] = { 0 };
    struct engine_plan plan = *asked;
    uint32_t count = (uint32_t)plan.load.shards, made = 0, connected = 0;
    char *room = malloc(count * plan.load.topics * NAME_BYTES);
    struct engine_shard *shards = aligned_alloc(alignof(struct engine_shard), count * sizeof *shards);
    struct wires *wires = wires_make(count, NULL);
    bool fine = room && shards && wires && make_names(&plan.load, room, key);
    *result = (struct engine_result){ 0 };
    while (fine && made < count && engine_shard_init(&shards[made], made, &plan.load, shards)) made++;
    while (made == count && connected < count && engine_shard_connect(&shards[connected], wires)) connected++;
    fine = fine && connected == count && run_shards(&plan, shards, result);
    while (made > 0) engine_shard_deinit(&shards[--made]);
    wires_free(wires);
    free(plan.load.names);
    free(shards);
    free(room);
    return fine;
}
