/* See peer.h. */
#include "bench/peer.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define START_NS     10000000000
#define STAMP_DIGITS 16 /* microseconds since the Unix epoch */

const struct peer_kind peer_kinds[] = {
    { "ringcast", "ringcast", PEER_RINGCAST, NULL, NULL, NULL, "version", "/v1/ws?topics=bench&mode=every&snapshot=false&heartbeat_ms=60000", NULL,
      "\"op\":\"error\"" },
    { "nginx", "nginx with nchan", PEER_HTTP, "nginx", NULL, "nginx libnginx-mod-nchan", "-v", "/sub", NULL, "HTTP/1.1 4" },
    { "nats", "nats-server", PEER_NATS, "nats-server", NULL, "nats-server", "--version", "/",
      "CONNECT {\"verbose\":false,\"pedantic\":false}\r\nSUB bench 1\r\n", "-ERR" },
    { "bare", "a bare loop", PEER_BARE, "/proc/self/exe", NULL, NULL, "version", "/sub", NULL, "error" },
    { "ws", "Node ws", PEER_WS, "node", NULL, "nodejs node-ws", "--version", "/sub", NULL, "error" },
};
const int peer_kinds_count = sizeof peer_kinds / sizeof *peer_kinds;

/* ---- finding ----------------------------------------------------------------------------------------------------- */

static const char *nchan_module(void)
{
    static const char *const places[] = { "/usr/lib/nginx/modules/ngx_nchan_module.so", "/usr/share/nginx/modules/ngx_nchan_module.so",
                                          "/usr/lib64/nginx/modules/ngx_nchan_module.so" };
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (access(places[i], R_OK) == 0) return places[i];
    return NULL;
}

static bool says(const char *program, const char *flag, const char *argument, char *out, size_t room)
{
    int status = 1;
    const char *const argv[] = { program, flag, argument, NULL };
    char *said = process_capture(argv, true, &status);
    if (said) snprintf(out, room, "%.*s", (int)strcspn(said, "\r\n"), said);
    free(said);
    return said && status == 0;
}

bool peer_find(struct peer *self, const struct peer_kind *kind, const char *gateway)
{
    *self = (struct peer){ .kind = kind };
    if (kind->command) {
        snprintf(self->program, sizeof self->program, "/bin/sh");
        snprintf(self->version, sizeof self->version, "%s", kind->command);
        return true;
    }
    const char *program = kind->program ? kind->program : gateway;
    bool found = process_find(program, self->program) && says(self->program, kind->version_flag, NULL, self->version, sizeof self->version);
    if (found && kind->dialect == PEER_HTTP) found = nchan_module() != NULL;
    char ignored[80];
    if (kind->dialect == PEER_WS) setenv("NODE_PATH", "/usr/share/nodejs", 0); /* where Debian's node-ws is, for a node of another origin */
    if (found && kind->dialect == PEER_WS)
        found = says(self->program, "-e", "require('ws')", ignored, sizeof ignored);
    if (found) return true;
    if (kind->package) snprintf(self->why, sizeof self->why, "not installed (Debian's packages: %s)", kind->package);
    else snprintf(self->why, sizeof self->why, "there is no %s: `make release` builds it", program);
    return false;
}

/* ---- starting ---------------------------------------------------------------------------------------------------- */

/* Writes a text, filling in @NAME@s. */
static void write_filled_in(const struct peer *self, const char *text, FILE *out)
{
    char port[8], port_publish[8];
    snprintf(port, sizeof port, "%u", self->port);
    snprintf(port_publish, sizeof port_publish, "%u", self->port_publish);
    const char *const words[][2] = { { "@PORT@", port }, { "@PORT2@", port_publish }, { "@DIR@", self->dir },
                                     { "@MODULE@", nchan_module() ? nchan_module() : "" } };
    for (const char *at = text; *at;) {
        size_t word = 0, words_count = sizeof words / sizeof *words;
        while (word < words_count && strncmp(at, words[word][0], strlen(words[word][0])) != 0) word++;
        if (word < words_count) fputs(words[word][1], out);
        else fputc(*at, out);
        at += word < words_count ? strlen(words[word][0]) : 1;
    }
}

/* Copies a file so. False: it can't be read or written. */
static bool fill_in(struct peer *self, const char *from, const char *to)
{
    char line[512];
    FILE *in = fopen(from, "re"), *out = fopen(to, "we");
    while (in && out && fgets(line, sizeof line, in)) write_filled_in(self, line, out);
    bool fine = in && out;
    if (in) fclose(in);
    if (out) fclose(out);
    if (!fine) snprintf(self->why, sizeof self->why, "%.150s can't be copied to %.100s: --peers names the folder bench/peers", from, to);
    return fine;
}

/* What the shell is to run. The caller's to free; NULL: no memory. */
static char *command_of(const struct peer *self)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out) return NULL;
    write_filled_in(self, self->kind->command, out);
    return fclose(out) == 0 ? text : (free(text), NULL);
}

static int remove_entry(const char *path, const struct stat *status, int flag, struct FTW *walk)
{
    (void)status, (void)flag, (void)walk;
    return remove(path);
}

bool peer_start(struct peer *self, const char *confs, int64_t cpu)
{
    static const char *const files[] = { [PEER_HTTP] = "nginx.conf", [PEER_NATS] = "nats.conf", [PEER_WS] = "ws.js", [PEER_BARE] = NULL };
    char from[PROCESS_PATH_BYTES], conf[128], log[128], listen[40], port[8];
    enum peer_dialect dialect = self->kind->dialect;
    snprintf(self->dir, sizeof self->dir, "/tmp/ringcast-bench-XXXXXX");
    if (!mkdtemp(self->dir)) return snprintf(self->why, sizeof self->why, "no folder in /tmp"), self->dir[0] = 0, false;
    self->port = self->port_publish = process_free_port();
    while (dialect == PEER_NATS && self->port_publish == self->port) self->port_publish = process_free_port();
    snprintf(log, sizeof log, "%s/log", self->dir);
    snprintf(port, sizeof port, "%u", self->port);
    snprintf(listen, sizeof listen, "127.0.0.1:%u", self->port);
    char *command = self->kind->command ? command_of(self) : NULL;
    if (!self->kind->command && files[dialect]) {
        snprintf(from, sizeof from, "%s/%s", confs, files[dialect]);
        snprintf(conf, sizeof conf, "%s/%s", self->dir, files[dialect]);
        if (!fill_in(self, from, conf)) return false;
    }
    const char *const ringcast[] = { self->program, "serve", "--listen", listen, "--shards", "1", "--auth.publish-key", PEER_KEY, NULL };
    const char *const http[] = { self->program, "-c", conf, "-p", self->dir, "-e", "stderr", NULL };
    const char *const nats[] = { self->program, "-c", conf, NULL };
    const char *const ws[] = { self->program, conf, port, NULL };
    const char *const bare[] = { self->program, "bare", "--port", port, NULL };
    const char *const shell[] = { self->program, "-c", command, NULL };
    const char *const *const all[] = { [PEER_RINGCAST] = ringcast, [PEER_BARE] = bare, [PEER_HTTP] = http, [PEER_NATS] = nats, [PEER_WS] = ws };
    bool started = process_start(&self->process, self->kind->command ? shell : all[dialect], cpu, log);
    free(command);
    if (started && process_await(&self->process, self->port, START_NS) && process_await(&self->process, self->port_publish, START_NS)) return true;
    snprintf(self->why, sizeof self->why, "%s", self->process.why);
    return false;
}

void peer_stop(struct peer *self)
{
    process_stop(&self->process);
    if (self->dir[0]) nftw(self->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    self->dir[0] = 0;
}

/* ---- what it is told --------------------------------------------------------------------------------------------- */

static uint32_t digits_of(uint64_t number)
{
    uint32_t digits = 1;
    while (number >= 10) number /= 10, digits++;
    return digits;
}

uint32_t peer_envelope_bytes(const struct peer_kind *kind, uint64_t number, uint32_t message_bytes)
{
    if (kind->dialect == PEER_RINGCAST) /* the topic is new and ours alone: its seq is the update's number */
        return (uint32_t)strlen("{\"topic\":\"bench\",\"seq\":,\"ts\":,\"data\":}") + digits_of(number) + STAMP_DIGITS;
    if (kind->dialect != PEER_NATS) return 0;
    uint32_t fixed = (uint32_t)strlen("MSG bench 1 \r\n\r\n"), digits = 1;
    while (digits_of(message_bytes - fixed - digits) > digits) digits++;
    return fixed + digits;
}

uint32_t peer_payload_write(const struct peer_kind *kind, uint64_t number, int64_t at_us, uint32_t message_bytes, char *out)
{
    uint32_t size = message_bytes - peer_envelope_bytes(kind, number, message_bytes);
    uint32_t begun = (uint32_t)sprintf(out, "[%llu,%0*lld,\"", (unsigned long long)number, STAMP_DIGITS, (long long)at_us);
    memset(out + begun, 'x', size - begun - 2);
    memcpy(out + size - 2, "\"]", 2);
    return size;
}

uint32_t peer_request_write(const struct peer_kind *kind, struct span payload, char *out)
{
    static const char *const before[] = { [PEER_RINGCAST] = "{\"op\":\"publish\",\"topic\":\"bench\",\"data\":", [PEER_WS] = "", [PEER_BARE] = "",
                                          [PEER_NATS] = "PUB bench %u\r\n",
                                          [PEER_HTTP] = "POST /pub HTTP/1.1\r\nHost: bench\r\nContent-Length: %u\r\n\r\n" };
    static const char *const after[] = { [PEER_RINGCAST] = "}\n", [PEER_WS] = "", [PEER_BARE] = "", [PEER_NATS] = "\r\n", [PEER_HTTP] = "" };
    char *at = out;
    const char *number = strstr(before[kind->dialect], "%u");
    size_t size = number ? (size_t)(number - before[kind->dialect]) : strlen(before[kind->dialect]);
    memcpy(at, before[kind->dialect], size);
    at += size;
    if (number) at += sprintf(at, "%u%s", (uint32_t)payload.size, number + 2);
    memcpy(at, payload.bytes, payload.size);
    at += payload.size;
    size = strlen(after[kind->dialect]);
    memcpy(at, after[kind->dialect], size);
    return (uint32_t)(at + size - out);
}
