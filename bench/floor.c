/* See floor.h. Two processes, or more where several senders share the connections:
 *
 *   sender   rounds of one send of M frames of S bytes to each of its connections, 256 sends an enter; where all of them together have
 *            more than N·max(16·S, 6·M·S) bytes unread it waits, and that time is booked as stall
 *   reader   connects N times, then sweeps until it is ended, telling in a shared cell how much it has read
 *
 * The result is N·M·rounds / (wall - stall). A run with a failed send or more than a tenth of stall does not count. Where rounds stand
 * apart (--apart), each begins when all have read the one before, and what a send costs is told in processor time, without the waiting. */
#include "bench/floor.h"

#include <errno.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/flags.h"
#include "bench/machine.h"
#include "bench/report.h"
#include "bench/sweep.h"
#include "core/base/counters.h"
#include "core/proto/ws_frame.h"

#define SENDS_AN_ENTER   256
#define SWEPT_AT_A_TIME  64   /* sockets, between two words to the sender */
#define STALL_SHARE_MOST 0.10
#define FRAMES_MOST      4096
#define SENDERS_MOST     64
#define DOZE_US          50     /* of a sender whose round is over */

static const char greeting[] = "GET / HTTP/1.1\r\nHost: floor\r\n\r\n";

/* What a sender has done; process_ns: its processor time, without what it spent waiting. */
struct sent {
    uint64_t frames, sends, rounds;
    uint64_t failed; /* sends that were short or had an error */
    int64_t  stall_ns, process_ns;
    double   lasted; /* seconds; 0: it did not come to its end */
};

struct floor {
    uint64_t connections, bytes, senders, sender_cpu, reader_cpu, lowat;
    uint64_t unread; /* frames for each connection at most; 0: see send_for() */
    double   frames, seconds, warmup;
    bool     apart;  /* a round begins when all have read the one before */
    bool     beside; /* the reader has no CPU of its own */
    bool     json;

    int                listeners[SENDERS_MOST];
    struct sockaddr_in at[SENDERS_MOST];
    struct counters   *reader; /* shared memory; COUNTER_BYTES_RECEIVED is written by the reader alone */
    struct sent       *told;   /* shared memory; each sender writes its own at its end */
    char              *frame;  /* frames, back to back */

    /* The sender that this process is. */
    uint64_t        number, own; /* its connections are those whose number leaves this one when divided by `senders` */
    int            *fds;         /* its ends of them, registered with the ring in this order */
    struct io_uring ring;
    uint64_t        due_bytes;   /* to all connections, when all senders have done as many rounds as this one */
    struct sent     sent;
};

/* ---- the reader's process ---------------------------------------------------------------------------------------- */

static _Noreturn void read_forever(struct floor *self)
{
    struct sweep sweep;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!machine_pin(self->beside ? -1 : (int64_t)self->reader_cpu) || sweep_init(&sweep, (uint32_t)self->connections) != 0) _exit(1);
    for (uint32_t i = 0; i < sweep.count; i++) {
        sweep.fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (sweep.fds[i] < 0 || connect(sweep.fds[i], (struct sockaddr *)&self->at[i % self->senders], sizeof *self->at) != 0) {
            fprintf(stderr, "ringcast-bench floor: connection %u failed: %s\n", i, strerror(errno));
            _exit(1);
        }
        /* As the gateway's clients do: who has spoken delays its acknowledgements, and at 40 ms a timer on the sender's CPU makes them. */
        if (send(sweep.fds[i], greeting, sizeof greeting - 1, MSG_NOSIGNAL) < 0) _exit(1);
    }
    for (;;) {
        if (sweep_some(&sweep, SWEPT_AT_A_TIME)) counter_set(self->reader, COUNTER_BYTES_RECEIVED, sweep.total);
        if (sweep.ended == sweep.count) _exit(0);
    }
}

/* ---- a sender's process ------------------------------------------------------------------------------------------ */

static bool listen_like_the_gateway(struct floor *self, uint64_t sender)
{
    struct sockaddr_in *at = &self->at[sender];
    socklen_t size = sizeof *at;
    *at = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    int listener = self->listeners[sender] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0) return false;
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    int lowat = (int)self->lowat;
    if (lowat) setsockopt(listener, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof lowat);
    return bind(listener, (struct sockaddr *)at, size) == 0 && listen(listener, 4096) == 0 && getsockname(listener, (struct sockaddr *)at, &size) == 0;
}

static bool accept_all(struct floor *self)
{
    int listener = self->listeners[self->number];
    for (uint64_t i = 0; i < self->own; i++) {
        struct timeval patience = { .tv_sec = 10 };
        setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        self->fds[i] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        char heard[sizeof greeting];
        if (self->fds[i] < 0 || recv(self->fds[i], heard, sizeof heard, 0) <= 0) return false;
    }
    return true;
}

/* Frames of S bytes each on the wire, so that a curious look at the traffic finds WebSocket. */
static void fill(struct floor *self)
{
    for (uint64_t i = 0; i < FRAMES_MOST; i++) {
        char *frame = self->frame + i * self->bytes;
        memset(frame, 'x', self->bytes);
        uint64_t header = self->bytes < 128 ? 2 : 4;
        if (self->bytes >= WS_SERVER_HEADER_BYTES_MAX) ws_server_header_write(frame, WS_TEXT, self->bytes - header);
    }
}

/* Hands what is staged to the kernel; when it returns, every send is in its socket or has said otherwise. */
static void submit(struct floor *self)
{
    struct io_uring_cqe *cqe;
    unsigned head, seen = 0;
    int submitted = io_uring_submit_and_get_events(&self->ring);
    if (submitted < 0) self->sent.failed++;
    io_uring_for_each_cqe(&self->ring, head, cqe) seen++; /* a send that was whole is silent */
    io_uring_cq_advance(&self->ring, seen);
    self->sent.failed += seen;
}

static void send_round(struct floor *self, uint64_t frames)
{
    unsigned bytes = (unsigned)(frames * self->bytes);
    for (uint64_t i = 0; i < self->own; i++) {
        struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);
        io_uring_prep_send(sqe, (int)i, self->frame, bytes, MSG_WAITALL | MSG_DONTWAIT | MSG_NOSIGNAL);
        io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS);
        if ((i + 1) % SENDS_AN_ENTER == 0 || i + 1 == self->own) submit(self);
    }
    self->sent.sends += self->own;
    self->sent.frames += frames * self->own;
    self->sent.rounds++;
    self->due_bytes += bytes * self->connections;
}

static int64_t process_ns(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
}

static bool is_behind(const struct floor *self, uint64_t unread_most)
{
    uint64_t read = counter_read(self->reader, COUNTER_BYTES_RECEIVED); /* of those who are ahead of us too */
    return self->due_bytes > read && self->due_bytes - read > unread_most;
}

/* False: the reader is gone, or reads nothing any more. Others may have ended before us: nobody waits beyond the time. */
static bool wait_for_reader(struct floor *self, uint64_t unread_most, int64_t until_ns)
{
    if (!is_behind(self, unread_most)) return true;
    int64_t from_ns = now_ns(), at_ns = from_ns, used_ns = process_ns();
    while (is_behind(self, unread_most) && at_ns < until_ns) {
        if (self->apart) usleep(DOZE_US);
        at_ns = now_ns();
        if (at_ns - from_ns > 5000000000) return false;
    }
    self->sent.stall_ns += at_ns - from_ns;
    self->sent.process_ns -= process_ns() - used_ns;
    return true;
}

/* Rounds for this long. Fractions of a frame are made up over the rounds: 2.5 is 2 and 3 in turn. */
static bool send_for(struct floor *self, double seconds)
{
    double window = 16 > 6 * self->frames ? 16 : 6 * self->frames; /* frames unread for each connection when a round begins */
    if (self->unread > 0) window = (double)self->unread > self->frames ? (double)self->unread - self->frames : 0;
    uint64_t unread_most = self->apart ? 0 : (uint64_t)(window * (double)self->bytes) * self->connections;
    int64_t from_ns = now_ns(), until_ns = from_ns + (int64_t)(seconds * 1e9), used_ns = process_ns();
    double owed = 0;
    self->sent = (struct sent){ .failed = self->sent.failed };
    while (now_ns() < until_ns) {
        owed += self->frames;
        if (!wait_for_reader(self, unread_most, until_ns)) return false;
        send_round(self, (uint64_t)owed);
        owed -= (double)(uint64_t)owed;
    }
    self->sent.lasted = (double)(now_ns() - from_ns) * 1e-9;
    self->sent.process_ns += process_ns() - used_ns;
    return true;
}

static bool set_up_ring(struct floor *self)
{
    struct io_uring_params params = { .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN };
    errno = -io_uring_queue_init_params(SENDS_AN_ENTER, &self->ring, &params);
    if (errno == 0) errno = -io_uring_register_files(&self->ring, self->fds, (unsigned)self->own);
    return errno == 0;
}

/* One sender from its connections to its end; what it did stands in told[] then. */
static bool send_all(struct floor *self, uint64_t number)
{
    self->number = number;
    self->own = (self->connections + self->senders - 1 - number) / self->senders;
    if (!machine_pin((int64_t)(self->sender_cpu + number))) return false;
    if (!accept_all(self) || !set_up_ring(self)) return perror("ringcast-bench floor: connecting"), false;
    if (!send_for(self, self->warmup) || !send_for(self, self->seconds)) return fprintf(stderr, "ringcast-bench floor: the reader does not read any more\n"), false;
    self->told[number] = self->sent;
    return true;
}

/* ---- the story --------------------------------------------------------------------------------------------------- */

/* All senders together: what they sent added up, times as of the one that took longest. */
static struct sent sum_of_told(const struct floor *self)
{
    struct sent sum = { 0 };
    for (uint64_t i = 0; i < self->senders; i++) {
        const struct sent *one = &self->told[i];
        sum.frames += one->frames, sum.sends += one->sends, sum.failed += one->failed, sum.process_ns += one->process_ns;
        if (one->rounds > sum.rounds) sum.rounds = one->rounds;
        if (one->stall_ns > sum.stall_ns) sum.stall_ns = one->stall_ns;
        if (one->lasted > sum.lasted) sum.lasted = one->lasted;
    }
    return sum;
}

static void tell(struct floor *self, const struct sent *sent)
{
    struct report report = { .json = self->json };
    double stall = (double)sent->stall_ns * 1e-9, busy = sent->lasted - stall;
    bool stalled = !self->apart && stall > STALL_SHARE_MOST * sent->lasted;
    report_begin(&report, "floor");
    report_count(&report, "connections", "connections", self->connections, "");
    report_count(&report, "senders", "senders", self->senders, "");
    report_real(&report, "frames_per_send", "frames for each send", self->frames, 2, "");
    report_count(&report, "frame_bytes", "bytes of a frame", self->bytes, "");
    report_real(&report, "seconds", "seconds", sent->lasted, 3, "");
    report_count(&report, "rounds", "rounds", sent->rounds, "");
    report_real(&report, "frames_per_s", "frames/s, without the stall", (double)sent->frames / busy, 0, "");
    report_real(&report, "sends_per_s", "sends/s, without the stall", (double)sent->sends / busy, 0, "");
    report_real(&report, "sends_per_process_s", "sends/s of processor time", (double)sent->sends / ((double)sent->process_ns * 1e-9), 0, "");
    report_real(&report, "ns_per_send", "for each send", busy * 1e9 / (double)sent->sends, 0, "ns");
    report_real(&report, "ns_per_frame", "for each frame", busy * 1e9 / (double)sent->frames, 1, "ns");
    report_real(&report, "stall_share", "stalled for the reader", 100 * stall / sent->lasted, 2, "%");
    report_count(&report, "failed_sends", "failed or short sends", sent->failed, "");
    report_yes(&report, "counts", "counts", sent->failed == 0 && !stalled);
    if (sent->failed) report_warn(&report, "sends failed: this run does not count");
    if (stalled) report_warn(&report, "more than a tenth was waiting for the reader: this run does not count");
    report_end(&report);
}

static bool set_up(struct floor *self)
{
    self->fds = malloc(self->connections * sizeof *self->fds);
    self->frame = malloc(FRAMES_MOST * self->bytes);
    self->reader = mmap(NULL, sizeof *self->reader, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    self->told = mmap(NULL, SENDERS_MOST * sizeof *self->told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (!self->fds || !self->frame || self->reader == MAP_FAILED || self->told == MAP_FAILED) return false;
    fill(self);
    for (uint64_t i = 0; i < self->senders; i++)
        if (!listen_like_the_gateway(self, i)) return false;
    return true;
}

static pid_t begin_process(void)
{
    pid_t pid = fork();
    if (pid < 0) perror("ringcast-bench floor: fork");
    else if (pid == 0) prctl(PR_SET_PDEATHSIG, SIGKILL);
    return pid;
}

static int run(struct floor *self)
{
    pid_t reader, others[SENDERS_MOST] = { 0 };
    if (!set_up(self)) return perror("ringcast-bench floor: set-up"), 1;
    reader = begin_process();
    if (reader == 0) read_forever(self);
    bool done = reader > 0;
    for (uint64_t i = 1; i < self->senders && done; i++) {
        others[i] = begin_process();
        if (others[i] == 0) _exit(!send_all(self, i));
        done = others[i] > 0;
    }
    done = done && send_all(self, 0);
    for (uint64_t i = 1; i < self->senders; i++) {
        int ended = 1;
        if (others[i] <= 0) continue;
        if (!done) kill(others[i], SIGKILL);
        done = waitpid(others[i], &ended, 0) == others[i] && ended == 0 && done;
    }
    if (reader > 0) kill(reader, SIGKILL), waitpid(reader, NULL, 0);
    if (!done) return 1;
    struct sent sent = sum_of_told(self);
    tell(self, &sent);
    return sent.failed ? 1 : 0;
}

int floor_main(int argc, char **argv)
{
    static struct floor self = { .connections = 1000, .bytes = 100, .senders = 1, .sender_cpu = 0, .reader_cpu = 1, .lowat = 16384,
                                 .frames = 64, .seconds = 5, .warmup = 0.5 };
    const struct flag flags[] = {
        { "connections", FLAG_COUNT, &self.connections, "N", "TCP connections (1000)", 1, 100000 },
        { "frames", FLAG_REAL, &self.frames, "M", "frames for each send; 57.3 mixes 57 and 58 (64)", 1, FRAMES_MOST },
        { "unread", FLAG_COUNT, &self.unread, "W", "frames unread for each connection at most, as with a publisher's window; 0: 6 M, at least 16 (0)", 0, 1e6 },
        { "bytes", FLAG_COUNT, &self.bytes, "S", "bytes of a frame (100)", 1, 65536 },
        { "seconds", FLAG_REAL, &self.seconds, "S", "how long to measure (5)", 0.01, 3600 },
        { "warmup", FLAG_REAL, &self.warmup, "S", "how long to run before (0.5)", 0, 60 },
        { "senders", FLAG_COUNT, &self.senders, "K", "processes that share the connections, each on a CPU of its own (1)", 1, SENDERS_MOST },
        { "apart", FLAG_YES, &self.apart, NULL, "a round begins when all have read the one before; the senders sleep meanwhile", 0, 0 },
        { "sender-cpu", FLAG_COUNT, &self.sender_cpu, "C", "of the first sender (0)", 0, 1023 },
        { "reader-cpu", FLAG_COUNT, &self.reader_cpu, "C", "(1)", 0, 1023 },
        { "beside", FLAG_YES, &self.beside, NULL, "the reader runs beside the senders, on any CPU", 0, 0 },
        { "notsent-lowat", FLAG_COUNT, &self.lowat, "BYTES", "as the gateway's sockets; 0: not set (16384)", 0, 1 << 30 },
        { "json", FLAG_YES, &self.json, NULL, "one JSON object instead of a table", 0, 0 },
        { 0 },
    };
    enum flags_result read = flags_read("floor", flags, argc, argv, NULL, 0);
    if (read == FLAGS_HELP) {
        printf("usage: ringcast-bench floor [flags]\n"
               "The same bytes with no protocol: what the kernel charges for sending them.\n\n");
        flags_help(flags);
    }
    if (read != FLAGS_OK) return read == FLAGS_HELP ? 0 : 2;
    if (self.senders > 1 && !self.apart) {
        fprintf(stderr, "ringcast-bench floor: several --senders keep step with --apart alone\n");
        return 2;
    }
    uint64_t files = machine_files();
    if (self.connections + 16 > files) {
        fprintf(stderr, "ringcast-bench floor: %llu connections need more files than the limit of %llu allows\n",
                (unsigned long long)self.connections, (unsigned long long)files);
        return 2;
    }
    return run(&self);
}
