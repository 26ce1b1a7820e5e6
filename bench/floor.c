/* See floor.h. Two processes:
 *
 *   sender   rounds of one send of M frames of S bytes to each of N connections, 256 sends an enter; where more than
 *            N·max(16·S, 6·M·S) bytes are unread it waits, and that time is booked as stall
 *   reader   connects N times, then sweeps until it is ended, telling in a shared cell how much it has read
 *
 * The result is N·M·rounds / (wall - stall). A run with a failed send or more than a tenth of stall does not count. */
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

static const char greeting[] = "GET / HTTP/1.1\r\nHost: floor\r\n\r\n";

struct floor {
    uint64_t connections, bytes, sender_cpu, reader_cpu, lowat;
    uint64_t unread; /* frames for each connection at most; 0: see send_for() */
    double   frames, seconds, warmup;
    bool     json;

    int              listener;
    int             *fds;     /* the sender's ends, registered with the ring in this order */
    struct counters *reader;  /* shared memory; COUNTER_BYTES_RECEIVED is written by the reader alone */
    struct io_uring  ring;
    char            *frame;   /* frames, back to back */
    uint64_t         sent_bytes, sent_frames, sends, rounds;
    uint64_t         failed;  /* sends that were short or had an error */
    int64_t          stall_ns;
};

/* ---- the reader's process ---------------------------------------------------------------------------------------- */

static _Noreturn void read_forever(struct floor *self, struct sockaddr_in to)
{
    struct sweep sweep;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!machine_pin((int64_t)self->reader_cpu) || sweep_init(&sweep, (uint32_t)self->connections) != 0) _exit(1);
    for (uint32_t i = 0; i < sweep.count; i++) {
        sweep.fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (sweep.fds[i] < 0 || connect(sweep.fds[i], (struct sockaddr *)&to, sizeof to) != 0) {
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

/* ---- the sender's process ---------------------------------------------------------------------------------------- */

static bool listen_like_the_gateway(struct floor *self, struct sockaddr_in *at)
{
    socklen_t size = sizeof *at;
    *at = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    self->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (self->listener < 0) return false;
    setsockopt(self->listener, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    int lowat = (int)self->lowat;
    if (lowat) setsockopt(self->listener, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof lowat);
    return bind(self->listener, (struct sockaddr *)at, size) == 0 && listen(self->listener, 4096) == 0 &&
           getsockname(self->listener, (struct sockaddr *)at, &size) == 0;
}

static bool accept_all(struct floor *self)
{
    for (uint64_t i = 0; i < self->connections; i++) {
        struct timeval patience = { .tv_sec = 10 };
        setsockopt(self->listener, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        self->fds[i] = accept4(self->listener, NULL, NULL, SOCK_CLOEXEC);
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
    if (submitted < 0) self->failed++;
    io_uring_for_each_cqe(&self->ring, head, cqe) seen++; /* a send that was whole is silent */
    io_uring_cq_advance(&self->ring, seen);
    self->failed += seen;
}

static void send_round(struct floor *self, uint64_t frames)
{
    unsigned bytes = (unsigned)(frames * self->bytes);
    for (uint64_t i = 0; i < self->connections; i++) {
        struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);
        io_uring_prep_send(sqe, (int)i, self->frame, bytes, MSG_WAITALL | MSG_DONTWAIT | MSG_NOSIGNAL);
        io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS);
        if ((i + 1) % SENDS_AN_ENTER == 0 || i + 1 == self->connections) submit(self);
    }
    self->sends += self->connections;
    self->sent_frames += frames * self->connections;
    self->sent_bytes += bytes * self->connections;
    self->rounds++;
}

/* False: the reader is gone, or reads nothing any more. */
static bool wait_for_reader(struct floor *self, uint64_t unread_most)
{
    if (self->sent_bytes - counter_read(self->reader, COUNTER_BYTES_RECEIVED) <= unread_most) return true;
    int64_t from_ns = now_ns(), at_ns = from_ns;
    while (self->sent_bytes - counter_read(self->reader, COUNTER_BYTES_RECEIVED) > unread_most) {
        at_ns = now_ns();
        if (at_ns - from_ns > 5000000000) return false;
    }
    self->stall_ns += at_ns - from_ns;
    return true;
}

/* Rounds for this long. Fractions of a frame are made up over the rounds: 2.5 is 2 and 3 in turn. */
static bool send_for(struct floor *self, double seconds, double *lasted)
{
    double window = 16 > 6 * self->frames ? 16 : 6 * self->frames; /* frames unread for each connection when a round begins */
    if (self->unread > 0) window = (double)self->unread > self->frames ? (double)self->unread - self->frames : 0;
    uint64_t unread_most = (uint64_t)(window * (double)self->bytes) * self->connections;
    int64_t from_ns = now_ns(), until_ns = from_ns + (int64_t)(seconds * 1e9);
    double owed = 0;
    while (now_ns() < until_ns) {
        owed += self->frames;
        if (!wait_for_reader(self, unread_most)) return false;
        send_round(self, (uint64_t)owed);
        owed -= (double)(uint64_t)owed;
    }
    *lasted = (double)(now_ns() - from_ns) * 1e-9;
    return true;
}

static void tell(struct floor *self, double lasted)
{
    struct report report = { .json = self->json };
    double stall = (double)self->stall_ns * 1e-9, busy = lasted - stall;
    bool counts = self->failed == 0 && stall <= STALL_SHARE_MOST * lasted;
    report_begin(&report, "floor");
    report_count(&report, "connections", "connections", self->connections, "");
    report_real(&report, "frames_per_send", "frames for each send", self->frames, 2, "");
    report_count(&report, "frame_bytes", "bytes of a frame", self->bytes, "");
    report_real(&report, "seconds", "seconds", lasted, 3, "");
    report_count(&report, "rounds", "rounds", self->rounds, "");
    report_real(&report, "frames_per_s", "frames/s, without the stall", (double)self->sent_frames / busy, 0, "");
    report_real(&report, "sends_per_s", "sends/s, without the stall", (double)self->sends / busy, 0, "");
    report_real(&report, "ns_per_send", "for each send", busy * 1e9 / (double)self->sends, 0, "ns");
    report_real(&report, "ns_per_frame", "for each frame", busy * 1e9 / (double)self->sent_frames, 1, "ns");
    report_real(&report, "stall_share", "stalled for the reader", 100 * stall / lasted, 2, "%");
    report_count(&report, "failed_sends", "failed or short sends", self->failed, "");
    report_yes(&report, "counts", "counts", counts);
    if (self->failed) report_warn(&report, "sends failed: this run does not count");
    if (stall > STALL_SHARE_MOST * lasted)
        report_warn(&report, "more than a tenth was waiting for the reader: this run does not count");
    report_end(&report);
}

static bool set_up(struct floor *self, struct sockaddr_in *at)
{
    self->fds = malloc(self->connections * sizeof *self->fds);
    self->frame = malloc(FRAMES_MOST * self->bytes);
    self->reader = mmap(NULL, sizeof *self->reader, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (!self->fds || !self->frame || self->reader == MAP_FAILED) return false;
    fill(self);
    return listen_like_the_gateway(self, at);
}

static bool set_up_ring(struct floor *self)
{
    struct io_uring_params params = { .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN };
    errno = -io_uring_queue_init_params(SENDS_AN_ENTER, &self->ring, &params);
    if (errno == 0) errno = -io_uring_register_files(&self->ring, self->fds, (unsigned)self->connections);
    return errno == 0;
}

static int run(struct floor *self)
{
    struct sockaddr_in at;
    double ignored, lasted;
    if (!set_up(self, &at)) return perror("ringcast-bench floor: set-up"), 1;
    pid_t reader = fork();
    if (reader < 0) return perror("ringcast-bench floor: fork"), 1;
    if (reader == 0) read_forever(self, at);
    if (!machine_pin((int64_t)self->sender_cpu)) return 1;
    if (!accept_all(self) || !set_up_ring(self)) return perror("ringcast-bench floor: connecting"), 1;
    bool done = send_for(self, self->warmup, &ignored);
    self->sends = self->sent_frames = self->rounds = 0, self->stall_ns = 0;
    done = done && send_for(self, self->seconds, &lasted);
    kill(reader, SIGKILL);
    waitpid(reader, NULL, 0);
    if (!done) return fprintf(stderr, "ringcast-bench floor: the reader does not read any more\n"), 1;
    tell(self, lasted);
    return self->failed ? 1 : 0;
}

int floor_main(int argc, char **argv)
{
    struct floor self = { .connections = 1000, .bytes = 100, .sender_cpu = 0, .reader_cpu = 1, .lowat = 16384,
                          .frames = 64, .seconds = 5, .warmup = 0.5 };
    const struct flag flags[] = {
        { "connections", FLAG_COUNT, &self.connections, "N", "TCP connections (1000)", 1, 100000 },
        { "frames", FLAG_REAL, &self.frames, "M", "frames for each send; 57.3 mixes 57 and 58 (64)", 1, FRAMES_MOST },
        { "unread", FLAG_COUNT, &self.unread, "W", "frames unread for each connection at most, as with a publisher's window; 0: 6 M, at least 16 (0)", 0, 1e6 },
        { "bytes", FLAG_COUNT, &self.bytes, "S", "bytes of a frame (100)", 1, 65536 },
        { "seconds", FLAG_REAL, &self.seconds, "S", "how long to measure (5)", 0.01, 3600 },
        { "warmup", FLAG_REAL, &self.warmup, "S", "how long to run before (0.5)", 0, 60 },
        { "sender-cpu", FLAG_COUNT, &self.sender_cpu, "C", "(0)", 0, 1023 },
        { "reader-cpu", FLAG_COUNT, &self.reader_cpu, "C", "(1)", 0, 1023 },
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
    uint64_t files = machine_files();
    if (self.connections + 16 > files) {
        fprintf(stderr, "ringcast-bench floor: %llu connections need more files than the limit of %llu allows\n",
                (unsigned long long)self.connections, (unsigned long long)files);
        return 2;
    }
    return run(&self);
}
