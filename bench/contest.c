/* See contest.h. Until all have the first update each byte is looked at; from then on bytes are counted, but in the
 * scenario of delays, where each update is read. */
#include "bench/contest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "bench/lasts.h"
#include "bench/machine.h"
#include "bench/peer_publisher.h"
#include "bench/schedule.h"
#include "bench/stamp.h"
#include "bench/subscribers.h"

#define WAIT_MOST_NS    5000000
#define PRIME_NS        200000000   /* between two first updates */
#define START_NS        15000000000
#define QUIET_NS        300000000   /* before it begins: late hellos */
#define STUCK_NS        3000000000
#define LATE_NS         2000000000
#define MESSAGES_A_TURN 64
#define SAMPLE_NS       250000000

struct contest {
    const struct contest_plan *plan;
    struct peer_publisher publisher;
    struct subscribers    subscribers;
    struct stamp         *stamps;
    uint64_t             *bytes;   /* of payloads, for each connection, since it began */
    uint64_t             *before;  /* of these, when the measurement began */
    struct lasts          lasts;
    struct histogram      delays;
    struct schedule       schedule;
    bool                  reading; /* each update is read; else bytes are counted alone */
    bool                  measuring;
    int64_t               due_from_ns, due_until_ns; /* delays of what was due in between are counted, however late it comes */
    uint64_t              base;    /* the number of the last update before counting began */
    uint32_t              waiting_for_first;
    int64_t               sampled_ns;
    struct contest_result *result;
};

static void write_target(void *owner, uint32_t index, char *out, size_t room)
{
    const struct contest *self = owner;
    (void)index;
    snprintf(out, room, "%s", self->publisher.peer->kind->target);
}

static void on_open(void *owner, uint32_t index)
{
    struct contest *self = owner;
    const char *hello = self->publisher.peer->kind->hello;
    if (hello) subscribers_send_text(&self->subscribers, index, span_of_string(hello));
}

static void on_piece(void *owner, uint32_t index, struct span piece, int64_t at_ns)
{
    struct contest *self = owner;
    self->bytes[index] += piece.size;
    if (!self->reading) return;
    struct stamp *stamp = &self->stamps[index];
    while (stamp_next(stamp, &piece)) {
        int64_t delay_ns = at_ns - ((int64_t)stamp->at_us - self->publisher.wall_us) * 1000;
        if (!self->measuring) {
            self->waiting_for_first -= stamp->number > 0 && self->before[index] == 0;
            self->before[index] = stamp->number;
            continue;
        }
        if (at_ns - delay_ns < self->due_from_ns || at_ns - delay_ns >= self->due_until_ns) continue;
        histogram_add(&self->delays, delay_ns);
        lasts_seen(&self->lasts, 0, stamp->number, delay_ns);
    }
}

static bool failed(struct contest *self, const char *why)
{
    snprintf(self->result->why, sizeof self->result->why, "%s", why);
    return false;
}

/* ---- the start --------------------------------------------------------------------------------------------------- */

/* One update after the other until each of so many new connections has seen one: then all subscriptions stand. */
static bool prime(struct contest *self, uint32_t newcomers)
{
    int64_t until_ns = now_ns() + START_NS, next_ns = 0;
    self->reading = true;
    self->waiting_for_first = newcomers;
    while (self->waiting_for_first) {
        int64_t at_ns = now_ns();
        if (at_ns > until_ns) return failed(self, "the first update did not reach everyone");
        if (at_ns >= next_ns && peer_publisher_publish(&self->publisher, 1, (double)at_ns, 0) < 0) return failed(self, self->publisher.why);
        if (at_ns >= next_ns) next_ns = at_ns + PRIME_NS;
        subscribers_turn(&self->subscribers, WAIT_MOST_NS);
        if (peer_publisher_listen(&self->publisher) < 0) return failed(self, self->publisher.why);
        if (self->subscribers.ended) return failed(self, self->subscribers.why);
    }
    for (until_ns = now_ns() + QUIET_NS; now_ns() < until_ns;) subscribers_turn(&self->subscribers, WAIT_MOST_NS);
    self->base = self->publisher.published;
    memset(self->bytes, 0, self->subscribers.count * sizeof *self->bytes);
    return true;
}

static bool connect_and_prime(struct contest *self, uint32_t newcomers)
{
    char url[64];
    struct subscribers *all = &self->subscribers;
    snprintf(url, sizeof url, "ws://127.0.0.1:%u", self->publisher.peer->port);
    return subscribers_connect_some(all, url, NULL, all->opened + newcomers) ? prime(self, newcomers) : failed(self, all->why);
}

static bool start(struct contest *self, const struct peer *peer, uint32_t growth)
{
    uint32_t first = (uint32_t)self->plan->connections, count = first + growth;
    self->stamps = calloc(count, sizeof *self->stamps);
    self->bytes = calloc(count, sizeof *self->bytes);
    self->before = calloc(count, sizeof *self->before);
    bool memory = subscribers_init(&self->subscribers, count) == 0;
    memory = lasts_init(&self->lasts, 1) == 0 && memory;
    if (!memory || !self->stamps || !self->bytes || !self->before) return failed(self, "no memory");
    self->lasts.followers[0] = count;
    self->subscribers.owner = self;
    self->subscribers.write_target = write_target;
    self->subscribers.on_open = on_open;
    self->subscribers.on_piece = on_piece;
    if (peer_publisher_begin(&self->publisher, peer, (uint32_t)self->plan->message_bytes) < 0) return failed(self, self->publisher.why);
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.u64 = SUBSCRIBERS_FOREIGN };
    epoll_ctl(self->subscribers.poll, EPOLL_CTL_ADD, self->publisher.client.fd, &event);
    return connect_and_prime(self, first);
}

/* What is there once, however many connect, was there before: with few connections it would count for more than they. */
static bool grow(struct contest *self, const struct peer *peer, uint32_t growth)
{
    int64_t resident = process_resident(&peer->process);
    if (!connect_and_prime(self, growth)) return false;
    self->result->resident_each = (double)(process_resident(&peer->process) - resident) / growth;
    return true;
}

/* ---- the run ----------------------------------------------------------------------------------------------------- */

/* Updates that the slowest connection has still to get. */
static uint64_t outstanding(const struct contest *self)
{
    uint64_t least = UINT64_MAX, published = self->publisher.published - self->base;
    for (uint32_t i = 0; i < self->subscribers.count; i++)
        if (self->subscribers.all[i].state == SUBSCRIBER_OPEN && self->bytes[i] < least) least = self->bytes[i];
    uint64_t has = least == UINT64_MAX ? published : least / self->plan->message_bytes;
    return published > has ? published - has : 0;
}

static int64_t publish(struct contest *self, enum contest_scenario scenario, int64_t at_ns)
{
    struct peer_publisher *publisher = &self->publisher;
    if (scenario == CONTEST_SATURATED) return peer_publisher_publish(publisher, MESSAGES_A_TURN * 16, (double)at_ns, 0);
    if (scenario == CONTEST_WINDOW) {
        uint64_t waiting = outstanding(self);
        return waiting < self->plan->window ? peer_publisher_publish(publisher, self->plan->window - waiting, (double)at_ns, 0) : 0;
    }
    uint64_t owed = schedule_owed(&self->schedule, at_ns);
    int64_t done = owed ? peer_publisher_publish(publisher, owed, self->schedule.due_ns, self->schedule.step_ns) : 0;
    if (done > 0) schedule_done(&self->schedule, (uint64_t)done);
    return done;
}

static void sample(struct contest *self, int64_t at_ns)
{
    if (at_ns - self->sampled_ns < SAMPLE_NS) return;
    self->sampled_ns = at_ns;
    double resident = (double)process_resident(&self->publisher.peer->process), sockets = (double)machine_socket_bytes();
    if (resident > self->result->resident_most) self->result->resident_most = resident;
    if (sockets > self->result->sockets_most) self->result->sockets_most = sockets;
}

static bool run(struct contest *self, enum contest_scenario scenario, double seconds)
{
    int64_t at_ns = now_ns(), until_ns = at_ns + (int64_t)(seconds * 1e9), progress_ns = at_ns;
    if (scenario == CONTEST_DELAY && self->schedule.step_ns == 0) schedule_begin(&self->schedule, self->plan->rate, at_ns);
    for (; at_ns < until_ns; at_ns = now_ns()) {
        int64_t done = publish(self, scenario, at_ns);
        if (done < 0) return failed(self, self->publisher.why);
        if (done > 0) progress_ns = at_ns;
        int64_t wait_ns = scenario == CONTEST_DELAY ? schedule_wait_ns(&self->schedule, at_ns, WAIT_MOST_NS) : WAIT_MOST_NS;
        subscribers_turn(&self->subscribers, wait_ns);
        sample(self, at_ns);
        if (self->subscribers.foreign && peer_publisher_listen(&self->publisher) < 0) return failed(self, self->publisher.why);
        self->result->stuck |= scenario == CONTEST_WINDOW && at_ns - progress_ns > STUCK_NS;
        if (self->subscribers.ended == self->subscribers.count) return failed(self, self->subscribers.why);
    }
    return true;
}

/* What was due within the measurement and is still on its way: without it the longest delays would be left out. */
static void await_late(struct contest *self, uint64_t published_before)
{
    int64_t at_ns = now_ns(), until_ns = at_ns + LATE_NS;
    uint64_t sent = self->publisher.published - published_before, expected = sent * (self->subscribers.count - self->subscribers.ended);
    self->due_until_ns = at_ns;
    self->result->unpublished = schedule_late(&self->schedule, at_ns);
    while (self->delays.total < expected && now_ns() < until_ns && peer_publisher_listen(&self->publisher) == 0)
        subscribers_turn(&self->subscribers, WAIT_MOST_NS);
    self->result->missing = self->delays.total < expected ? expected - self->delays.total : 0;
}

static void measure(struct contest *self, const struct peer *peer, enum contest_scenario scenario)
{
    struct contest_result *result = self->result;
    uint64_t delivered = 0, published = self->publisher.published, unit = self->plan->message_bytes;
    uint32_t count = self->subscribers.count;
    memcpy(self->before, self->bytes, count * sizeof *self->before);
    histogram_clear(&self->delays);
    histogram_clear(&self->lasts.delays);
    self->measuring = true;
    self->due_from_ns = scenario == CONTEST_DELAY ? (int64_t)self->schedule.due_ns - 1000 : now_ns(); /* stamps are whole microseconds */
    self->due_until_ns = INT64_MAX;
    int64_t peer_ns = process_ns(&peer->process);
    struct usage before = machine_usage(self->plan->cpu);
    result->done = run(self, scenario, self->plan->seconds);
    struct usage after = machine_usage(self->plan->cpu);
    double seconds = (double)(after.at_ns - before.at_ns) * 1e-9;
    result->least = UINT64_MAX;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t updates = self->bytes[i] / unit - self->before[i] / unit;
        delivered += updates;
        if (updates < result->least) result->least = updates;
        if (updates > result->most) result->most = updates;
    }
    result->delivered_per_s = (double)delivered / seconds;
    result->published_per_s = (double)(self->publisher.published - published) / seconds;
    result->peer_busy = (double)(process_ns(&peer->process) - peer_ns) * 1e-9 / seconds;
    result->load_busy = usage_cpu(before, after);
    result->load_own = usage_process(before, after);
    if (scenario == CONTEST_DELAY && result->done) await_late(self, published);
    result->delay_p50_ns = histogram_at(&self->delays, 0.5);
    result->delay_p99_ns = histogram_at(&self->delays, 0.99);
    result->delay_max_ns = histogram_at(&self->delays, 1);
    result->last_p50_ns = histogram_at(&self->lasts.delays, 0.5);
    result->last_p99_ns = histogram_at(&self->lasts.delays, 0.99);
    result->last_max_ns = histogram_at(&self->lasts.delays, 1);
}

void contest_run(const struct contest_plan *plan, struct peer *peer, enum contest_scenario scenario, struct contest_result *result)
{
    static struct contest contest; /* its histograms are large */
    struct contest *self = &contest;
    *result = (struct contest_result){ .resident_most = -1, .sockets_most = -1 };
    *self = (struct contest){ .plan = plan, .result = result };
    uint32_t growth = scenario == CONTEST_MEMORY ? (uint32_t)plan->growth : 0;
    bool stands = start(self, peer, growth);
    if (stands && growth) {
        result->done = grow(self, peer, growth);
    } else if (stands) {
        self->reading = scenario == CONTEST_DELAY;
        for (uint32_t i = 0; i < self->subscribers.count; i++) self->stamps[i] = (struct stamp){ 0 };
        if (run(self, scenario, plan->warmup)) measure(self, peer, scenario);
        result->closed = self->subscribers.ended;
        if (result->closed && !result->why[0]) snprintf(result->why, sizeof result->why, "%.320s", self->subscribers.why);
    }
    peer_publisher_end(&self->publisher);
    subscribers_deinit(&self->subscribers);
    lasts_deinit(&self->lasts);
    free(self->stamps);
    free(self->bytes);
    free(self->before);
}
