/* See process.h. */
#include "bench/process.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/machine.h"

#define CAPTURED_BYTES_MAX (1u << 20)
#define STOP_NS            3000000000 /* between asking and making */
#define LOOK_US            2000

/* ---- finding ----------------------------------------------------------------------------------------------------- */

bool process_find(const char *name, char path[PROCESS_PATH_BYTES])
{
    char places[4096];
    const char *own = getenv("PATH");
    if (strchr(name, '/')) {
        snprintf(path, PROCESS_PATH_BYTES, "%s", name);
        return access(path, X_OK) == 0;
    }
    snprintf(places, sizeof places, "%s:/usr/sbin:/usr/local/sbin:/usr/bin", own ? own : "");
    for (char *rest = places, *place; (place = strsep(&rest, ":"));) {
        int size = snprintf(path, PROCESS_PATH_BYTES, "%s/%s", place, name);
        if (*place && size < PROCESS_PATH_BYTES && access(path, X_OK) == 0) return true;
    }
    return false;
}

static int loopback_socket(uint16_t port, struct sockaddr_in *at)
{
    *at = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
    return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

uint16_t process_free_port(void)
{
    struct sockaddr_in at;
    socklen_t size = sizeof at;
    int fd = loopback_socket(0, &at);
    bool bound = fd >= 0 && bind(fd, (struct sockaddr *)&at, size) == 0 && getsockname(fd, (struct sockaddr *)&at, &size) == 0;
    if (fd >= 0) close(fd);
    return bound ? ntohs(at.sin_port) : 0;
}

/* ---- starting ---------------------------------------------------------------------------------------------------- */

static _Noreturn void become(const char *const argv[], int64_t cpu, int out, int errors)
{
    int nothing = open("/dev/null", O_RDWR);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (dup2(nothing, 0) < 0 || dup2(out, 1) < 0 || dup2(errors < 0 ? nothing : errors, 2) < 0) _exit(126);
    if (!machine_pin(cpu)) _exit(126);
    execv(argv[0], (char *const *)argv); /* it changes none of them */
    dprintf(2, "%s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

bool process_start(struct process *self, const char *const argv[], int64_t cpu, const char *log)
{
    *self = (struct process){ 0 };
    snprintf(self->log, sizeof self->log, "%s", log);
    int out = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    self->pid = out < 0 ? -1 : fork();
    if (self->pid == 0) become(argv, cpu, out, out);
    if (self->pid < 0) snprintf(self->why, sizeof self->why, "%s can't be started: %s", argv[0], strerror(errno));
    if (out >= 0) close(out);
    if (self->pid < 0) return self->pid = 0, false;
    setpgid(self->pid, self->pid); /* whoever of us is first */
    return true;
}

/* The last line that it wrote, into why. */
static void quote_last_line(struct process *self)
{
    char line[256], last[256] = "it said nothing";
    FILE *file = fopen(self->log, "re");
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\r\n")] = 0;
        if (line[0]) snprintf(last, sizeof last, "%s", line);
    }
    if (file) fclose(file);
    snprintf(self->why, sizeof self->why, "it ended: %s", last);
}

bool process_await(struct process *self, uint16_t port, int64_t patience_ns)
{
    int64_t until_ns = now_ns() + patience_ns;
    while (now_ns() < until_ns) {
        struct sockaddr_in at;
        int fd = loopback_socket(port, &at);
        bool answers = fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof at) == 0;
        if (fd >= 0) close(fd);
        bool ended = waitpid(self->pid, NULL, WNOHANG) == self->pid;
        if (ended) {
            quote_last_line(self);
            self->pid = 0;
            return false;
        }
        if (answers) return true;
        usleep(LOOK_US);
    }
    snprintf(self->why, sizeof self->why, "it takes no connections at port %u", port);
    return false;
}

void process_stop(struct process *self)
{
    if (self->pid <= 0) return;
    int64_t until_ns = now_ns() + STOP_NS;
    kill(self->pid, SIGTERM);
    while (waitpid(self->pid, NULL, WNOHANG) == 0) {
        if (now_ns() > until_ns) kill(-self->pid, SIGKILL);
        usleep(LOOK_US);
    }
    kill(-self->pid, SIGKILL); /* whom it left behind */
    self->pid = 0;
}

/* ---- looking at its group ---------------------------------------------------------------------------------------- */

static int64_t sum_of_group(const struct process *self, int64_t (*of)(int64_t pid))
{
    int64_t sum = 0;
    struct dirent *entry;
    DIR *all = self->pid > 0 ? opendir("/proc") : NULL;
    while (all && (entry = readdir(all))) {
        long pid = strtol(entry->d_name, NULL, 10);
        if (pid <= 0 || getpgid((pid_t)pid) != self->pid) continue;
        int64_t value = of(pid);
        if (value > 0) sum += value;
    }
    if (all) closedir(all);
    return sum;
}

int64_t process_ns(const struct process *self) { return sum_of_group(self, machine_process_ns); }
int64_t process_resident(const struct process *self) { return sum_of_group(self, machine_resident); }

/* ---- to the end -------------------------------------------------------------------------------------------------- */

char *process_capture(const char *const argv[], bool with_errors, int *status)
{
    int ends[2];
    size_t size = 0;
    char *said = malloc(CAPTURED_BYTES_MAX + 1);
    if (!said || pipe2(ends, O_CLOEXEC) != 0) return free(said), NULL;
    pid_t pid = fork();
    if (pid == 0) become(argv, -1, ends[1], with_errors ? ends[1] : dup(2));
    close(ends[1]);
    for (ssize_t got = 1; pid > 0 && got > 0 && size < CAPTURED_BYTES_MAX;) {
        got = read(ends[0], said + size, CAPTURED_BYTES_MAX - size);
        if (got > 0) size += (size_t)got;
        if (got < 0 && errno == EINTR) got = 1;
    }
    close(ends[0]);
    int ended = 0;
    if (pid < 0 || size == CAPTURED_BYTES_MAX) {
        if (pid > 0) kill(-pid, SIGKILL), waitpid(pid, NULL, 0);
        return free(said), NULL;
    }
    waitpid(pid, &ended, 0);
    *status = WIFEXITED(ended) ? WEXITSTATUS(ended) : 128 + WTERMSIG(ended);
    said[size] = 0;
    return said;
}
