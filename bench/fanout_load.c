/* The load of `fanout`: everybody connects, everybody is checked, then the publisher and the reader take turns in one
 * loop. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "bench/fanout.h"

#define START_NS        20000000000
#define DRAIN_NS        5000000000 /* in which nothing comes */
#define QUIET_NS        1000000000 /* the same, of the sweeping reader */
#define SILENT_NS       500000000  /* in which silent subscriptions come to stand */
#define SIP_NS          10000000   /* between two looks of a slow reader */
#define RESUME_NS       5000000000
#define SAMPLE_NS       500000000
#define WAIT_MOST_NS    5000000 /* of one turn of the verifying reader */
#define SWEPT_A_TURN    256     /* sockets, before the publisher has its turn again */
#define MESSAGES_A_TURN 64      /* of an unbounded publisher, before somebody reads again */

static bool failed(struct fanout *self, const char *why)
{
    snprintf(self->why, sizeof self->why, "%s", why);
    return false;
}

/* ---- the start --------------------------------------------------------------------------------------------------- */

static void write_target(void *owner, uint32_t index, char *out, size_t room)
{
    struct fanout *self = owner;
    static const char *const formats[] = { [UPDATES_JSON] = "json", [UPDATES_ARRAY] = "array", [UPDATES_RAW] = "raw" };
    if (self->churns && self->role[index] == FANOUT_CHURNS) { /* what it resumes does not fit into a query */
        snprintf(out, room, "/v1/ws?heartbeat_ms=60000");
        return;
    }
    size_t size = (size_t)snprintf(out, room, "/v1/ws?mode=%s&format=%s&snapshot=false&heartbeat_ms=60000&topics=",
                                   self->plan.mode == FANOUT_LATEST ? "latest" : "every", formats[self->plan.format]);
    for (uint32_t place = 0; place < self->plan.each && room - size > UPDATE_TOPIC_BYTES_MAX + 16; place++) {
        if (place) out[size++] = ',';
        size += update_topic_write(&self->updates, verify_topic(&self->verify, index, place), out + size);
    }
}

static void on_text(void *owner, uint32_t index, struct span text, int64_t at_ns)
{
    struct fanout *self = owner;
    verify_text(&self->verify, index, text, at_ns);
    if (self->churns) churn_on_text(&self->churn, index, text);
}

static void on_cut_due(void *owner, uint32_t index)
{
    churn_on_cut_due(&((struct fanout *)owner)->churn, index);
}

/* Whether this connection has all that was published. */
static bool has_all(const struct fanout *self, uint32_t index)
{
    for (uint32_t place = 0; place < self->plan.each; place++)
        if (self->verify.last[(size_t)index * self->plan.each + place] !=
            self->publisher.head[verify_topic(&self->verify, index, place)])
            return false;
    return true;
}

/* Nothing is awaited of this connection: it stands between two frames, or reads no more. */
static bool is_done(const struct fanout *self, uint32_t index)
{
    const struct subscriber *one = &self->subscribers.all[index];
    return one->state == SUBSCRIBER_ENDED || one->stalled || (has_all(self, index) && one->carry_size == 0);
}

/* Reads until everyone who reads has all, and stands between two frames; patience is for a time in which nothing
 * comes. */
static bool await_all(struct fanout *self, int64_t patience_ns)
{
    int64_t until_ns = now_ns() + patience_ns;
    uint64_t seen = 0;
    uint32_t at = 0;
    while (at < self->plan.subscribers || self->publisher.acks_missing) {
        if (at < self->plan.subscribers && is_done(self, at)) {
            at++;
            continue;
        }
        int64_t at_ns = now_ns();
        if (self->verify.updates_right + self->verify.gaps > seen) until_ns = at_ns + patience_ns;
        seen = self->verify.updates_right + self->verify.gaps;
        if (at_ns > until_ns) return false;
        subscribers_turn(&self->subscribers, WAIT_MOST_NS);
        subscribers_live(&self->subscribers, at_ns);
        if (self->churns) churn_turn(&self->churn, at_ns);
        if (publisher_listen(&self->publisher) < 0) return failed(self, self->publisher.why);
    }
    return true;
}

static bool begin_sweeping(struct fanout *self)
{
    if (sweep_init(&self->sweep, self->subscribers.count) != 0) return failed(self, "no memory");
    for (uint32_t i = 0; i < self->subscribers.count; i++)
        if (!self->subscribers.all[i].stalled) {
            self->sweep.fds[i] = self->subscribers.all[i].fd;
            subscribers_unwatch(&self->subscribers, i);
        }
    if (self->subscribers.trust) {
        const struct tls_client *one = self->subscribers.all[0].tls;
        uint32_t spends = strcmp(tls_client_version(one), "TLSv1.3") == 0 ? 17 : strstr(tls_client_cipher(one), "GCM") ? 24 : 16;
        if (sweep_records(&self->sweep, spends) != 0) return failed(self, "no memory");
    }
    memcpy(self->swept_before, self->publisher.count, self->plan.topics * sizeof *self->swept_before);
    self->sweeping = true;
    return true;
}

/* With --zipf topics are drawn, for each subscription and for each update. */
static bool draw_topics(struct fanout *self)
{
    const struct fanout_plan *plan = &self->plan;
    if (spread_init(&self->spread, SPREAD_ZIPF, plan->zipf, (uint32_t)plan->topics, (uint32_t)plan->subscribers, (uint32_t)plan->each) != 0 ||
        zipf_init(&self->zipf, (uint32_t)plan->topics, plan->zipf) != 0)
        return false;
    self->verify.spread = &self->spread;
    return true;
}

/* The last ones churn, stalled and slow ones are strewn among the others. */
static bool cast_roles(struct fanout *self)
{
    const struct fanout_plan *plan = &self->plan;
    uint64_t count = plan->subscribers, stay = count - plan->churning, apart = plan->stalled + plan->slow;
    for (uint64_t i = 0; i < apart; i++) self->role[i * stay / apart] = i < plan->stalled ? FANOUT_STALLED : FANOUT_SLOW;
    memset(self->role + stay, FANOUT_CHURNS, plan->churning);
    for (uint64_t i = 0; i < count; i++) self->verify.apart[i] = self->role[i] != FANOUT_READS;
    if (plan->rate <= 0 || plan->topics > LASTS_TOPICS_MAX) return true;
    if (lasts_init(&self->lasts, (uint32_t)plan->topics) != 0) return false;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t place = 0; self->role[i] == FANOUT_READS && place < plan->each; place++)
            self->lasts.followers[verify_topic(&self->verify, i, place)]++;
    self->verify.lasts = &self->lasts;
    if (!plan->trace) return true;
    if (traces_init(&self->traces) != 0) return false;
    self->traces.followers = self->lasts.followers;
    self->traces.names = &self->updates;
    self->traces.find = updates_source(&self->updates).find;
    self->verify.traces = &self->traces;
    return true;
}

/* The raw format says nothing but payloads: after a while all subscriptions stand, at the publisher's first update. */
static void take_for_acknowledged(struct fanout *self)
{
    for (int64_t until_ns = now_ns() + SILENT_NS; now_ns() < until_ns;) subscribers_turn(&self->subscribers, WAIT_MOST_NS);
    for (uint32_t i = 0; i < self->subscribers.count; i++) {
        self->verify.last[i] = self->publisher.head[0];
        self->verify.acked[i] = 1;
        self->verify.acks++;
    }
}

bool fanout_start(struct fanout *self)
{
    const struct fanout_plan *plan = &self->plan;
    uint32_t count = (uint32_t)plan->subscribers;
    self->expected = calloc(plan->topics, sizeof *self->expected);
    self->swept_before = calloc(plan->topics, sizeof *self->swept_before);
    self->role = calloc(count, sizeof *self->role);
    self->begin.delivered = calloc(count, sizeof(uint64_t));
    self->end.delivered = calloc(count, sizeof(uint64_t));
    bool memory = verify_init(&self->verify, updates_source(&self->updates), count, (uint32_t)plan->each,
                              plan->mode == FANOUT_LATEST) == 0;
    memory = subscribers_init(&self->subscribers, count) == 0 && memory;
    if (!memory || !self->role || !self->expected || !self->swept_before || !self->begin.delivered ||
        !self->end.delivered)
        return failed(self, "no memory");
    self->subscribers.owner = self;
    self->subscribers.write_target = write_target;
    self->subscribers.deflate = plan->deflate;
    self->subscribers.on_text = on_text;
    self->subscribers.on_cut_due = on_cut_due;
    if (plan->zipf > 0 && !draw_topics(self)) return failed(self, "no memory");
    if (!cast_roles(self)) return failed(self, "no memory");

    if (publisher_begin(&self->publisher, &self->updates, plan->url, plan->key, (uint32_t)plan->batch) < 0)
        return failed(self, self->publisher.why);
    if (plan->trace) self->publisher.traces = &self->traces;
    int64_t from_ns = now_ns();
    if (!subscribers_connect(&self->subscribers, plan->url, plan->key)) return failed(self, self->subscribers.why);
    self->connected_s = (double)(now_ns() - from_ns) * 1e-9;
    if (plan->zipf > 0) self->publisher.zipf = &self->zipf;
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.u64 = SUBSCRIBERS_FOREIGN };
    epoll_ctl(self->subscribers.poll, EPOLL_CTL_ADD, self->publisher.client.fd, &event);

    int64_t until_ns = now_ns() + START_NS;
    if (plan->format == UPDATES_RAW) take_for_acknowledged(self);
    while (self->verify.acks < count && now_ns() < until_ns && !verify_failed(&self->verify))
        subscribers_turn(&self->subscribers, WAIT_MOST_NS);
    if (verify_failed(&self->verify)) return failed(self, self->verify.first);
    if (self->verify.acks < count) return failed(self, "not all subscriptions were acknowledged");
    publisher_ask(&self->publisher);
    if (!await_all(self, START_NS))
        return failed(self, self->verify.first[0] ? self->verify.first : "the first update did not reach everyone");
    if (verify_failed(&self->verify)) return failed(self, self->verify.first);
    for (uint32_t i = 0; i < count; i++) {
        if (self->role[i] != FANOUT_STALLED && self->role[i] != FANOUT_SLOW) continue;
        int buffer = (int)plan->stalled_buffer;
        if (buffer) setsockopt(self->subscribers.all[i].fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
        subscribers_stall(&self->subscribers, i, true);
    }
    if (plan->churning)
        self->churns = churn_init(&self->churn, (uint32_t)(count - plan->churning), (uint32_t)plan->churning, plan->churn_every,
                                  &self->subscribers, &self->verify) == 0;
    if (plan->churning && !self->churns) return failed(self, "no memory");
    self->resident_first = self->resident_last = self->resident_most =
        plan->pid ? machine_resident((int64_t)plan->pid) : -1;
    self->sockets_first = self->sockets_most = machine_socket_bytes();
    return plan->sweep ? begin_sweeping(self) : true;
}

/* ---- the publisher's turn ---------------------------------------------------------------------------------------- */

/* What a connection that begins at each topic is owed, counted from the acks or, when sweeping, from the sweep's
 * beginning. */
static void count_expected(struct fanout *self)
{
    uint64_t sum = 0, topics = self->plan.topics, each = self->plan.each;
    const uint64_t *count = self->publisher.count, *before = self->swept_before; /* zeros where nothing is swept */
    for (uint64_t i = 0; i < each; i++) sum += count[i] - before[i];
    for (uint64_t first = 0; first < topics; first++) {
        self->expected[first] = sum;
        uint64_t next = first + each < topics ? first + each : first + each - topics;
        sum += (count[next] - before[next]) - (count[first] - before[first]);
    }
}

/* The same of one connection; `first` is its place in expected[], where topics go round. */
static uint64_t owed_to(const struct fanout *self, uint32_t index, uint64_t first)
{
    uint64_t sum = 0;
    if (!self->verify.spread) return self->expected[first];
    for (uint32_t place = 0; place < self->plan.each; place++) {
        uint32_t topic = verify_topic(&self->verify, index, place);
        sum += self->publisher.count[topic] - self->swept_before[topic];
    }
    return sum;
}

/* The most updates that any connection which reads has still to get. */
static uint64_t outstanding(struct fanout *self)
{
    uint64_t most = 0, topics = self->plan.topics, first = 0, bytes = self->updates.bytes;
    if (!self->verify.spread) count_expected(self);
    for (uint32_t i = 0; i < self->subscribers.count; i++) {
        uint64_t owed = owed_to(self, i, first) * (self->sweeping ? bytes : 1);
        uint64_t got = self->sweeping ? self->sweep.bytes[i] : self->verify.progress[i];
        bool reads = self->sweeping
                         ? self->sweep.fds[i] >= 0
                         : self->subscribers.all[i].state == SUBSCRIBER_OPEN && !self->subscribers.all[i].stalled;
        if (reads && owed > got && owed - got > most) most = owed - got;
        first = (first + self->plan.each) % topics;
    }
    return self->sweeping ? (most + bytes - 1) / bytes : most;
}

/* Publishes what is allowed now. */
static bool publish(struct fanout *self, int64_t at_ns)
{
    struct publisher *publisher = &self->publisher;
    const struct fanout_plan *plan = &self->plan;
    int64_t done = 0;
    if (client_unsent(&publisher->client) && client_push(&publisher->client) != CLIENT_OK)
        return failed(self, publisher->client.why);
    if (client_unsent(&publisher->client)) return true;
    if (plan->rate > 0) {
        uint64_t due = schedule_owed(&self->schedule, at_ns);
        if (due) done = publisher_publish(publisher, due, self->schedule.due_ns, self->schedule.step_ns);
        if (done > 0) schedule_done(&self->schedule, (uint64_t)done);
    } else if (plan->unbounded) {
        done = publisher_publish(publisher, MESSAGES_A_TURN * plan->batch, (double)at_ns, 0);
    } else if (plan->round > 0) {
        if (outstanding(self) == 0) done = publisher_publish(publisher, plan->round, (double)at_ns, 0);
    } else {
        uint64_t waiting = outstanding(self);
        if (plan->lockstep) done = publisher->acks_missing == 0 && waiting < plan->window ? publisher_ask(publisher) : 0;
        else if (waiting < plan->window) done = publisher_publish(publisher, plan->window - waiting, (double)at_ns, 0);
    }
    return done >= 0 ? true : failed(self, publisher->client.why);
}

/* ---- the loop ---------------------------------------------------------------------------------------------------- */

static void sample(struct fanout *self, int64_t at_ns)
{
    if (at_ns - self->sampled_ns < SAMPLE_NS) return;
    self->sampled_ns = at_ns;
    int64_t sockets = machine_socket_bytes();
    if (sockets > self->sockets_most) self->sockets_most = sockets;
    if (!self->plan.pid) return;
    self->resident_last = machine_resident((int64_t)self->plan.pid);
    if (self->resident_last > self->resident_most) self->resident_most = self->resident_last;
}

static void sip(struct fanout *self, int64_t at_ns)
{
    if (at_ns - self->sipped_ns < SIP_NS) return;
    self->sipped_ns = at_ns;
    uint32_t bytes = (uint32_t)(self->plan.slow_bytes * SIP_NS / 1000000000);
    for (uint32_t i = 0; i < self->subscribers.count; i++)
        if (self->role[i] == FANOUT_SLOW) subscribers_sip(&self->subscribers, i, bytes);
}

/* How long the verifying reader may sleep: until the next update is due. */
static int64_t may_wait_ns(const struct fanout *self, int64_t at_ns)
{
    if (self->plan.spin) return 0;
    if (self->plan.rate == 0 || client_unsent(&self->publisher.client)) return WAIT_MOST_NS;
    return schedule_wait_ns(&self->schedule, at_ns, WAIT_MOST_NS);
}

bool fanout_run(struct fanout *self, double seconds)
{
    int64_t at_ns = now_ns(), until_ns = at_ns + (int64_t)(seconds * 1e9);
    uint32_t chunk = self->subscribers.count / 16 > SWEPT_A_TURN ? self->subscribers.count / 16 : SWEPT_A_TURN;
    if (self->plan.rate > 0 && self->schedule.step_ns == 0) schedule_begin(&self->schedule, self->plan.rate, at_ns);
    for (uint32_t turn = 0; at_ns < until_ns; turn++, at_ns = now_ns()) {
        if (!publish(self, at_ns)) return false;
        if (self->sweeping)
            sweep_some(&self->sweep, chunk);
        else
            subscribers_turn(&self->subscribers, may_wait_ns(self, at_ns));
        subscribers_live(&self->subscribers, at_ns);
        if (self->plan.slow) sip(self, at_ns);
        if (self->churns) churn_turn(&self->churn, at_ns);
        sample(self, at_ns);
        bool look = self->plan.lockstep || (self->sweeping ? turn % 16 == 0 : self->subscribers.foreign);
        if (look && publisher_listen(&self->publisher) < 0) return failed(self, self->publisher.why);
        if (self->publisher.errors) return failed(self, self->publisher.why);
    }
    return true;
}

void fanout_take_mark(struct fanout *self, struct fanout_mark *mark)
{
    for (uint32_t i = 0; i < self->subscribers.count; i++)
        mark->delivered[i] = self->sweeping ? self->sweep.bytes[i] / self->updates.bytes : self->verify.counted[i];
    mark->published = self->publisher.published;
    mark->gaps = self->verify.gaps;
    mark->gap_updates = self->verify.gap_updates;
    mark->pid_ns = self->plan.pid ? machine_process_ns((int64_t)self->plan.pid) : -1;
    mark->usage = machine_usage((int64_t)self->plan.cpu);
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

/* Reads until all have what they are owed, or nothing comes any more: after gaps it never adds up. */
static bool sweep_all(struct fanout *self)
{
    int64_t quiet_ns = now_ns(), at_ns;
    while ((at_ns = now_ns()) - quiet_ns < QUIET_NS) {
        if (sweep_some(&self->sweep, self->sweep.count)) quiet_ns = at_ns;
        if (publisher_listen(&self->publisher) < 0) return failed(self, self->publisher.why);
        if (self->publisher.acks_missing == 0 && outstanding(self) == 0) break;
    }
    self->exact = self->publisher.acks_missing == 0;
    for (uint64_t i = 0, first = 0; i < self->sweep.count; i++, first = (first + self->plan.each) % self->plan.topics)
        if (self->sweep.fds[i] >= 0 && self->sweep.bytes[i] != owed_to(self, (uint32_t)i, first) * self->updates.bytes)
            self->exact = false;
    return outstanding(self) == 0;
}

/* Those who did not read all the while go on by the rules of their mode. */
static void resume_stalled(struct fanout *self)
{
    uint32_t count = self->subscribers.count;
    for (uint32_t i = 0; i < count; i++) subscribers_stall(&self->subscribers, i, false);
    await_all(self, RESUME_NS);
    for (uint32_t i = 0; i < count; i++) {
        if (self->role[i] != FANOUT_STALLED && self->role[i] != FANOUT_SLOW) continue;
        self->stalled_caught_up += has_all(self, i);
        self->stalled_closed += self->subscribers.all[i].state == SUBSCRIBER_ENDED;
    }
}

void fanout_drain(struct fanout *self)
{
    if (self->churns) churn_rest(&self->churn);
    int64_t until_ns = now_ns() + DRAIN_NS;
    /* Everybody goes on reading meanwhile. An ack on its way is awaited, since each must carry the newest seq that was asked for. */
    while (client_unsent(&self->publisher.client) || (self->publisher.acks_missing && now_ns() < until_ns)) {
        if (publisher_listen(&self->publisher) < 0) return;
        if (self->sweeping)
            sweep_some(&self->sweep, SWEPT_A_TURN);
        else
            subscribers_turn(&self->subscribers, WAIT_MOST_NS);
    }
    if (publisher_ask(&self->publisher) != 0) return;
    self->drained = self->sweeping ? sweep_all(self) : await_all(self, DRAIN_NS);
    if ((self->plan.stalled || self->plan.slow) && !self->sweeping) resume_stalled(self);
}

void fanout_stop(struct fanout *self)
{
    metrics_await(&self->asked_before);
    metrics_await(&self->asked_after);
    publisher_end(&self->publisher);
    subscribers_deinit(&self->subscribers);
    sweep_deinit(&self->sweep);
    verify_deinit(&self->verify);
    free(self->expected);
    free(self->role);
    spread_deinit(&self->spread);
    zipf_deinit(&self->zipf);
    lasts_deinit(&self->lasts);
    traces_deinit(&self->traces);
    if (self->churns) churn_deinit(&self->churn);
    free(self->swept_before);
    free(self->begin.delivered);
    free(self->end.delivered);
}
