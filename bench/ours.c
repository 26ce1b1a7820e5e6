/* See ours.h. */
#include "bench/ours.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define START_NS 10000000000

bool ours_start(struct ours *self, const char *program, uint32_t shards, int64_t cpu)
{
    char path[PROCESS_PATH_BYTES], count[16];
    *self = (struct ours){ .port = process_free_port() };
    if (!process_find(program, path)) {
        snprintf(self->why, sizeof self->why, "there is no %.200s: `make release` builds it, --gateway names it", program);
        return false;
    }
    snprintf(self->log, sizeof self->log, "/tmp/ringcast-bench-log-XXXXXX");
    int log = mkstemp(self->log);
    if (log >= 0) close(log);
    snprintf(self->url, sizeof self->url, "ws://127.0.0.1:%u", self->port);
    snprintf(count, sizeof count, "%u", shards);
    const char *const argv[] = { path, "serve", "--listen", self->url + 5, "--shards", count, "--auth.admin-key", OURS_KEY, NULL };
    bool started = process_start(&self->process, argv, cpu, self->log) && process_await(&self->process, self->port, START_NS);
    snprintf(self->pid, sizeof self->pid, "%d", self->process.pid);
    if (!started) snprintf(self->why, sizeof self->why, "%.300s", self->process.why);
    return started;
}

void ours_stop(struct ours *self)
{
    process_stop(&self->process);
    if (self->log[0]) unlink(self->log);
    self->log[0] = 0;
}
