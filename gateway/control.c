#include "gateway/control.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/random.h"
#include "core/base/reserve.h"
#include "gateway/auth.h"
#include "gateway/cpus.h"
#include "gateway/demo.h"
#include "gateway/reload.h"
#include "gateway/saved.h"

enum { LAST_WORDS_MS = 500 }; /* how long the end waits for a standard error that is full */

/* ---- settings ---------------------------------------------------------------------------------------------------------- */

/* The keys that these settings name. The demo feed's own is among them where none is set; NULL with a plain sentence: some file is wrong. */
static struct auth *read_auth(const struct control *control, const struct settings *settings, char *why, size_t why_size)
{
    bool own = control->start.demo && !settings->publish_key[0];
    return auth_make(settings, own ? control->demo_key : settings->publish_key, why, why_size);
}

/* The next version: what was read, and what it leaves open. It takes auth. */
static struct settings *make_version(struct control *control, struct auth *auth)
{
    struct settings *version = reserve_resize(NULL, sizeof *version);
    *version = control->running.settings;
    version->version = control->version ? control->version->version + 1 : 1;
    version->shards = control->gateway.shards_count;
    version->auth = auth;
    if (version->demo && !version->publish_key[0]) snprintf(version->publish_key, sizeof version->publish_key, "%s", control->demo_key);
    return version;
}

static void free_version(struct settings *version)
{
    if (version) {
        auth_free((struct auth *)(uintptr_t)version->auth);
        explicit_bzero(version, sizeof *version); /* keys stand in it */
    }
    free(version);
}

/* The demo feed is an ordinary publisher: it needs a key, and gets one of its own where none is set. */
static void make_demo_key(struct control *control)
{
    unsigned char bytes[16];
    random_fill(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) snprintf(control->demo_key + 2 * i, 3, "%02x", bytes[i]);
}

static void start_demo(struct control *control)
{
    if (control->version->demo && !control->draining) demo_start(control->version, &control->demo_reports);
}

static void command_one(struct shard *shard, struct command command)
{
    const struct timespec wait = { .tv_nsec = 10000000 };
    while (!shard_command(shard, command)) nanosleep(&wait, NULL); /* it has eight of them to look at; none may be lost */
}

static void command_all(struct control *control, struct command command)
{
    for (uint32_t i = 0; i < control->gateway.shards_count; i++) command_one(&control->gateway.shards[i], command);
}

/* NULL: as before. */
static void send_around(struct control *control, struct settings *version, struct tls *tls)
{
    CHECK(control->to_adopt == 0);
    if (version) {
        control->leaving = control->version;
        control->version = version;
        logger_adopt(&control->logger, version);
    }
    if (tls) {
        control->tls_leaving = control->tls;
        control->tls = tls;
    }
    control->to_adopt = control->gateway.shards_count;
    command_all(control, (struct command){ COMMAND_ADOPT, control->version, control->tls });
}

/* ---- certificates ------------------------------------------------------------------------------------------------------ */

/* Reads those that the settings name. False with a plain sentence; *tls NULL: they are as they were, or none are served. */
static bool read_certificates(struct control *control, const struct settings *settings, struct tls **tls, char *why, size_t why_size)
{
    uint8_t digest[SHA256_BYTES];
    *tls = NULL;
    if (!control->tls) return true;
    uint64_t stamp = certificates_stamp(settings); /* before: what changes while it is read is read again */
    struct tls *fresh = certificates_read(settings, digest, why, why_size);
    control->certificates_taken = control->certificates_seen = stamp;
    if (!fresh) return false;
    if (memcmp(digest, control->certificates, sizeof digest) == 0) {
        tls_free(fresh);
        return true;
    }
    memcpy(control->certificates, digest, sizeof digest);
    tls_take_tickets(fresh, control->tls);
    log_event(&control->logger, EVENT_CERTIFICATES_CHANGED);
    *tls = fresh;
    return true;
}

/* Each second: whether the files are others, and lie still since the last look, so that a certificate is not taken before its key. */
static void look_at_certificates(struct control *control)
{
    enum { LOOK_US = 1000000 };
    char why[1024];
    struct tls *tls;
    if (!control->tls || control->clock.mono_us < control->look_us) return;
    control->look_us = control->clock.mono_us + LOOK_US;
    uint64_t stamp = certificates_stamp(control->version), before = control->certificates_seen;
    control->certificates_seen = stamp;
    if (stamp != before || stamp == control->certificates_taken || control->to_adopt > 0) return;
    if (!read_certificates(control, control->version, &tls, why, sizeof why)) log_text(&control->logger, EVENT_CERTIFICATES_REFUSED, "why", why);
    else if (tls) send_around(control, NULL, tls);
}

static void turn_ticket_key(struct control *control)
{
    if (!control->tls || control->clock.mono_us < control->turn_us || control->to_adopt > 0) return;
    control->turn_us = control->clock.mono_us + TLS_TICKETS_TURN_S * UINT64_C(1000000);
    struct tls *tls = tls_turn_tickets(control->tls);
    if (tls) send_around(control, NULL, tls);
}

static void reload(struct control *control)
{
    char why[1024];
    struct log_line line;
    control->reload_again = control->to_adopt > 0;
    if (control->reload_again) return;
    struct auth *auth = NULL;
    struct tls *tls;
    if (configuration_read(&control->fresh, control->argc, control->argv, why, sizeof why) || !(auth = read_auth(control, &control->fresh.settings, why, sizeof why))) {
        log_text(&control->logger, EVENT_RELOAD_REFUSED, "why", why);
        return;
    }
    if (!read_certificates(control, &control->fresh.settings, &tls, why, sizeof why)) {
        auth_free(auth);
        log_text(&control->logger, EVENT_RELOAD_REFUSED, "why", why);
        return;
    }
    uint32_t changed = reload_merge(&control->running, &control->fresh, &control->start, &control->logger);
    bool others_may = !auth_equals(auth, control->version->auth); /* perhaps by a file alone */
    struct settings *version = changed > 0 || others_may ? make_version(control, auth) : NULL;
    if (!version) auth_free(auth);
    if (log_begin(&control->logger, EVENT_RELOADED, &line)) {
        log_line_number(&line, "changed", changed);
        log_line_number(&line, "version", version ? version->version : control->version->version);
        if (others_may) log_line_string(&line, "keys", "changed");
        log_end(&control->logger, &line);
    }
    if (version || tls) send_around(control, version, tls);
}

static void on_adopted(struct control *control, uint64_t version)
{
    CHECK(control->to_adopt > 0 && version == control->version->version);
    if (--control->to_adopt > 0) return;
    if (control->leaving && !setting_equals(control->version, control->leaving, SETTING_publish_key)) { /* the feed comes back with the new key */
        demo_stop();
        start_demo(control);
    }
    free_version(control->leaving);
    control->leaving = NULL;
    tls_free(control->tls_leaving);
    control->tls_leaving = NULL;
    if (control->reload_again) reload(control);
}

/* ---- reports ----------------------------------------------------------------------------------------------------------- */

static bool to_outlet(void *context, struct span line)
{
    return outlet_add(context, line);
}

static void on_report(struct control *control, const struct report *report, struct span text)
{
    if (report->kind == REPORT_ADOPTED) on_adopted(control, report->word);
    else if (report->kind == REPORT_DRAINED) control->to_drain--;
    else if (report->kind == REPORT_ANSWERED) control->to_answer--;
    else if (!outlet_add(&control->outlet, text)) {
        control->logger.lost++;
        control->logger.lost_ever++;
        counter_add(&control->gateway.counters, COUNTER_LOG_LINES_LOST, 1);
    }
}

static void take_reports(struct control *control, struct reports *reports)
{
    struct report report;
    struct span text;
    while (reports_take(reports, &report, &text)) on_report(control, &report, text);
    reports_release(reports);
}

static void take_all_reports(struct control *control)
{
    for (uint32_t i = 0; i < control->gateway.shards_count; i++) take_reports(control, &control->gateway.shards[i].reports);
    take_reports(control, &control->demo_reports);
}

static bool has_reports(struct control *control)
{
    for (uint32_t i = 0; i < control->gateway.shards_count; i++)
        if (!reports_empty(&control->gateway.shards[i].reports)) return true;
    return !reports_empty(&control->demo_reports);
}

/* ---- signals ----------------------------------------------------------------------------------------------------------- */

static void tell_state(struct control *control)
{
    char head[160];
    int size = snprintf(head, sizeof head, "ringcast %s: the state of %u shard%s, settings version %llu\n", RINGCAST_VERSION, control->gateway.shards_count,
                        control->gateway.shards_count > 1 ? "s" : "", (unsigned long long)control->version->version);
    outlet_add(&control->outlet, span_of(head, (size_t)size));
    command_all(control, (struct command){ .kind = COMMAND_STATE });
}

static void end(struct control *control)
{
    log_event(&control->logger, control->draining ? EVENT_STOPPING : EVENT_DRAINING);
    command_all(control, (struct command){ .kind = control->draining ? COMMAND_STOP : COMMAND_DRAIN });
    control->draining = true;
    demo_stop();
}

static void take_signal(struct control *control)
{
    struct signalfd_siginfo info;
    if (read(control->signals, &info, sizeof info) != sizeof info) return;
    if (info.ssi_signo == SIGHUP) reload(control);
    else if (info.ssi_signo == SIGUSR1) tell_state(control);
    else end(control);
}

/* Read from a descriptor alone, so that all threads leave them to it. */
static int hold_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGUSR1);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* ---- the saved state --------------------------------------------------------------------------------------------------- */

static void tell_saved(struct control *control, enum event event, const struct saved_count *count)
{
    struct log_line line;
    if (!log_begin(&control->logger, event, &line)) return;
    log_line_string(&line, "file", control->start.state);
    log_line_number(&line, "topics", count->topics);
    log_line_number(&line, "updates", count->updates);
    if (count->skipped > 0) log_line_number(&line, "skipped", count->skipped);
    if (count->skipped > 0) log_line_number(&line, "first_skipped", count->skipped_first);
    log_end(&control->logger, &line);
}

static int read_saved(struct control *control, char *why, size_t why_size)
{
    struct saved_count count;
    if (!control->start.state[0]) return 0;
    if (saved_read(&control->gateway, control->start.state, &count, why, why_size)) return -1;
    tell_saved(control, EVENT_STATE_READ, &count);
    return 0;
}

static void write_saved(struct control *control)
{
    struct saved_count count;
    char why[1400];
    if (!control->start.state[0]) return;
    if (saved_write(&control->gateway, control->start.state, &count, why, sizeof why)) log_text(&control->logger, EVENT_STATE_FAILED, "why", why);
    else tell_saved(control, EVENT_STATE_WRITTEN, &count);
}

/* ---- its turn ---------------------------------------------------------------------------------------------------------- */

static int sleep_ms(const struct control *control)
{
    uint64_t due_us = logger_due_us(&control->logger), now_us = control->clock.mono_us;
    if (control->tls && control->look_us < due_us) due_us = control->look_us;
    if (due_us == UINT64_MAX) return -1;
    return due_us > now_us ? (int)((due_us - now_us) / 1000) + 1 : 0;
}

static void wait_for_something(struct control *control)
{
    struct wake *wake = &control->gateway.main_wake;
    struct pollfd polled[] = { { control->signals, POLLIN, 0 }, { wake_fd(wake), POLLIN, 0 }, { outlet_waits(&control->outlet) ? STDERR_FILENO : -1, POLLOUT, 0 }, { -1, 0, 0 }, { -1, 0, 0 } };
    handover_poll(&control->handover, polled + 3);
    uint64_t count;
    bool asleep = wake_sleep_begin(wake) && !has_reports(control);
    int ready = poll(polled, sizeof polled / sizeof *polled, asleep ? sleep_ms(control) : 0);
    wake_sleep_end(wake);
    if (ready > 0 && polled[1].revents) CHECK(read(wake_fd(wake), &count, sizeof count) == sizeof count);
    if (ready > 0 && handover_serve(&control->handover, polled + 3, &control->gateway) && !control->draining) end(control);
}

static void turn(struct control *control)
{
    wait_for_something(control);
    clock_tick(&control->clock);
    take_signal(control);
    take_all_reports(control);
    look_at_certificates(control);
    turn_ticket_key(control);
    logger_tick(&control->logger);
    outlet_write(&control->outlet);
    reserve_fill();
}

void control_run(struct control *control)
{
    while (control->to_drain > 0) turn(control);
    control->to_answer = control->gateway.shards_count;
    command_all(control, (struct command){ .kind = COMMAND_END });
    while (control->to_answer > 0) turn(control);
    command_all(control, (struct command){ .kind = COMMAND_LEAVE });
    gateway_join(&control->gateway);
    write_saved(control);
    handover_close(&control->handover); /* with it whoever takes over goes on: all is saved, and our sockets are not accepted from any more */
    clock_tick(&control->clock);
    take_all_reports(control);
    log_event(&control->logger, EVENT_ENDED);
    outlet_drain(&control->outlet, LAST_WORDS_MS);
    outlet_free(&control->outlet);
    gateway_deinit(&control->gateway);
    reports_deinit(&control->demo_reports);
    free_version(control->leaving);
    free_version(control->version);
    tls_free(control->tls_leaving);
    tls_free(control->tls);
    close(control->signals);
    reserve_free();
}

/* ---- its start --------------------------------------------------------------------------------------------------------- */

static void tell_variable(void *context, const char *variable, const char *nearest)
{
    struct control *control = context;
    struct log_line line;
    if (!log_begin(&control->logger, EVENT_VARIABLE_UNKNOWN, &line)) return;
    log_line_string(&line, "variable", variable);
    if (nearest) log_line_string(&line, "nearest", nearest);
    log_end(&control->logger, &line);
}

static void tell_start(struct control *control)
{
    struct gateway *gateway = &control->gateway;
    struct log_line line;
    bool exact = true;
    for (uint32_t i = 0; i < gateway->shards_count; i++) exact &= gateway->shards[i].sends == SENDS_EXACT;
    if (log_begin(&control->logger, EVENT_LISTENING, &line)) {
        log_line_string(&line, "version", RINGCAST_VERSION);
        log_line_string(&line, "listen", control->version->listen);
        if (control->tls) {
            log_line_string(&line, "tls_listen", control->version->tls_listen);
            log_line_string(&line, "cipher", tls_first_cipher());
        }
        log_line_number(&line, "shards", gateway->shards_count);
        log_line_string(&line, "publishing", auth_is_on(control->version->auth) ? "on" : "off (no auth.publish-key)");
        if (!exact) log_line_string(&line, "sends", "counted one by one: this kernel can't be trusted to tell of short ones");
        log_end(&control->logger, &line);
    }
    uint32_t most = gateway->shards[0].connections_max;
    if (most < control->version->limits_connections) log_number(&control->logger, EVENT_FILES_FEW, "connections", most);
    reload_tell_all(&control->running, &control->logger);
    variables_unknown(control, tell_variable);
    outlet_write(&control->outlet);
}

int control_configure(struct control *control, int argc, char **argv, char *why, size_t why_size)
{
    *control = (struct control){ .argc = argc, .argv = argv };
    control->signals = hold_signals();
    if (control->signals < 0) {
        snprintf(why, why_size, "can't wait for signals: %s", strerror(errno));
        return -1;
    }
    reserve_fill();
    clock_tick(&control->clock);
    control->logger = (struct logger){ .shard = LOGGER_NO_SHARD, .clock = &control->clock, .counters = &control->gateway.counters, .context = &control->outlet, .sink = to_outlet };
    return configuration_read(&control->running, argc, argv, why, why_size);
}

static int start_tls(struct control *control, char *why, size_t why_size)
{
    const struct settings *settings = control->version;
    if (!certificates_wanted(settings)) return certificates_check(settings, why, why_size) ? 0 : -1;
    control->certificates_taken = control->certificates_seen = certificates_stamp(settings);
    control->tls = certificates_read(settings, control->certificates, why, why_size);
    control->turn_us = control->clock.mono_us + TLS_TICKETS_TURN_S * UINT64_C(1000000);
    return control->tls ? 0 : -1;
}

/* Listening sockets of whoever started us, or of the gateway before. *before: it, which still runs; -1: none. */
static int take_over(const struct control *control, struct inherited *inherited, int *before, char *why, size_t why_size)
{
    bool tls = control->tls != NULL;
    *before = -1;
    if (inherited_read(inherited, control->gateway.shards_count, tls, why, why_size)) return -1;
    if (inherited->plain.count + inherited->tls.count > 0 || !control->start.handover[0]) return 0;
    if (handover_take(control->start.handover, control->gateway.shards_count, tls, inherited, before, why, why_size)) return -1;
    uint16_t port = *before >= 0 ? listener_port(inherited->plain.descriptors[0]) : 0;
    if (*before < 0 || port == listener_address_port(control->start.listen)) return 0;
    snprintf(why, why_size, "the gateway that hands over at \"%s\" listens on port %u, and here listen is %s", control->start.handover, port, control->start.listen);
    return -1;
}

/* All that could fail has not: the gateway before may go, and what it knew is read. */
static int succeed(struct control *control, int before, char *why, size_t why_size)
{
    if (before >= 0) {
        if (handover_await(before, control->signals, why, why_size)) return -1;
        clock_tick(&control->clock);
        log_text(&control->logger, EVENT_TAKEN_OVER, "handover", control->start.handover);
    }
    if (read_saved(control, why, why_size)) return -1;
    return control->start.handover[0] ? handover_open(&control->handover, control->start.handover, why, why_size) : 0;
}

int control_start(struct control *control, char *why, size_t why_size)
{
    struct inherited inherited;
    int before;
    control->start = control->running.settings;
    control->gateway.shards_count = control->to_drain = control->start.shards ? (uint32_t)control->start.shards : cpus_usable();
    make_demo_key(control);
    struct auth *auth = read_auth(control, &control->start, why, why_size);
    if (!auth) return -1;
    control->version = make_version(control, auth);
    logger_adopt(&control->logger, control->version);
    if (start_tls(control, why, why_size)) return -1;
    if (take_over(control, &inherited, &before, why, why_size)) return -1;
    if (gateway_init(&control->gateway, control->version, control->tls, &inherited, why, (int)why_size)) return -1;
    inherited_close(&inherited);
    if (reports_init(&control->demo_reports, &control->gateway.main_wake)) {
        snprintf(why, why_size, "no memory for reports");
        return -1;
    }
    if (succeed(control, before, why, why_size)) {
        gateway_deinit(&control->gateway);
        return -1;
    }
    if (gateway_start(&control->gateway, why, (int)why_size)) return -1;
    tell_start(control);
    start_demo(control);
    return 0;
}
