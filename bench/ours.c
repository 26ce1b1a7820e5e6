/* See ours.h. */
#include "bench/ours.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define START_NS 10000000000

bool ours_start(struct ours *self, const char *program, uint32_t shards, int64_t cpu, const char *tls)
{
    char path[PROCESS_PATH_BYTES], count[16], certificate[400], key[400];
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
    const char *argv[16] = { path, "serve", "--listen", self->url + 5, "--shards", count, "--auth.admin-key", OURS_KEY };
    if (tls) {
        snprintf(self->authority, sizeof self->authority, "%.380s/ca.pem", tls);
        snprintf(certificate, sizeof certificate, "%.380s/server.pem", tls);
        snprintf(key, sizeof key, "%.380s/server.key", tls);
        snprintf(self->tls_url, sizeof self->tls_url, "wss://127.0.0.1:%u", process_free_port());
        const char *const more[] = { "--tls-listen", self->tls_url + 6, "--cert", certificate, "--key", key };
        memcpy(argv + 8, more, sizeof more);
    }
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
