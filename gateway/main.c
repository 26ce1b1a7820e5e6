/* ringcast: the program. Reads its settings, starts the shards, waits for signals, drains. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/random.h"
#include "gateway/cpus.h"
#include "gateway/demo.h"
#include "gateway/gateway.h"
#include "gateway/settings_show.h"
#include "gateway/tail.h"

static int show(void (*write)(struct text *text), int status)
{
    struct text text = { 0 };
    write(&text);
    printf("%.*s", (int)text.size, text.bytes);
    text_free(&text);
    return status;
}

static int usage(int status)
{
    printf("ringcast %s: a WebSocket gateway for live data\n\n"
           "  ringcast [serve] [--config FILE] [settings]   the gateway\n"
           "  ringcast check [--config FILE] [settings]     what would be in force, and where it comes from; --example: all settings as a file\n"
           "  ringcast tail URL TOPIC...                    a subscriber for the terminal\n"
           "  ringcast version\n\n"
           "Settings, as flags (--name value), as variables (RINGCAST_NAME, with _ for . and -) or in an INI file (--config FILE):\n",
           RINGCAST_VERSION);
    return show(settings_write_help, status);
}

/* What was wrong may quote what was given: nothing of that reaches the terminal as a command. */
static int fail(char *why)
{
    for (char *at = why; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f) *at = '?';
    fprintf(stderr, "ringcast: %s\n", why);
    return 1;
}

/* The demo feed is an ordinary publisher: it needs a key, and gets one of its own where none is set. */
static void make_demo_key(struct settings *settings)
{
    unsigned char bytes[16];
    if (!settings->demo || settings->publish_key[0]) return;
    random_fill(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) snprintf(settings->publish_key + 2 * i, 3, "%02x", bytes[i]);
}

static void tell_start(const struct gateway *gateway, const struct settings *settings)
{
    bool exact = true;
    for (uint32_t i = 0; i < gateway->shards_count; i++) exact &= gateway->shards[i].sends == SENDS_EXACT;
    fprintf(stderr, "ringcast: version %s, listening on %s, %u shard%s%s%s\n", RINGCAST_VERSION, settings->listen, gateway->shards_count, gateway->shards_count > 1 ? "s" : "",
            settings->publish_key[0] ? "" : ", publishing is off (no --auth.publish-key)",
            exact ? "" : ", sends are counted one by one (this kernel's short sends can't be trusted to be told)");
}

static void command_all(struct gateway *gateway, enum command command)
{
    const struct timespec wait = { .tv_nsec = 10000000 };
    for (uint32_t i = 0; i < gateway->shards_count; i++)
        while (!shard_command(&gateway->shards[i], command)) nanosleep(&wait, NULL); /* behind many dumps; not to be lost */
}

static bool all_have_drained(struct gateway *gateway)
{
    uint32_t drained = 0;
    for (uint32_t i = 0; i < gateway->shards_count; i++) drained += shard_has_drained(&gateway->shards[i]);
    return drained == gateway->shards_count;
}

/* Until all shards have drained: SIGTERM and SIGINT drain, a second one ends at once, SIGUSR1 dumps. */
static void serve_signals(struct gateway *gateway, const sigset_t *signals)
{
    bool draining = false;
    const struct timespec wait = { .tv_nsec = 50000000 };
    while (!all_have_drained(gateway)) {
        int signal = sigtimedwait(signals, NULL, draining ? &wait : NULL);
        if (signal == SIGUSR1) command_all(gateway, COMMAND_DUMP);
        if (signal != SIGTERM && signal != SIGINT) continue;
        demo_stop();
        command_all(gateway, draining ? COMMAND_STOP : COMMAND_DRAIN);
        draining = true;
    }
    command_all(gateway, COMMAND_END);
}

/* Handled by sigtimedwait() alone, so that all threads leave them to it. */
static sigset_t block_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGUSR1);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signals;
}

static int check(int argc, char **argv)
{
    static struct configuration configuration;
    struct text text = { 0 };
    char why[1024];
    if (argc == 1 && strcmp(argv[0], "--example") == 0) return show(settings_write_example, 0);
    int result = configuration_read(&configuration, argc, argv, why, sizeof why);
    if (result > 0) return usage(0);
    if (result < 0) return fail(why);
    configuration_write(&configuration, &text);
    printf("%.*s", (int)text.size, text.bytes);
    text_free(&text);
    return 0;
}

static int serve(int argc, char **argv)
{
    static struct configuration configuration;
    struct gateway gateway;
    char why[1024];
    int result = configuration_read(&configuration, argc, argv, why, sizeof why);
    if (result > 0) return usage(0);
    if (result < 0) return fail(why);
    struct settings settings = configuration.settings;
    if (settings.shards == 0) settings.shards = cpus_usable();
    make_demo_key(&settings);

    sigset_t signals = block_signals();
    if (gateway_init(&gateway, &settings, why, sizeof why)) return fail(why);
    if (gateway_start(&gateway, why, sizeof why)) return fail(why);
    tell_start(&gateway, &settings);
    if (settings.demo) demo_start(settings.listen, settings.publish_key);
    serve_signals(&gateway, &signals);
    gateway_deinit(&gateway);
    fprintf(stderr, "ringcast: ended\n");
    return 0;
}

int main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "serve";
    if (strcmp(command, "tail") == 0) return tail_main(argc - 1, argv + 1);
    if (strcmp(command, "version") == 0 || strcmp(command, "--version") == 0) return printf("ringcast %s\n", RINGCAST_VERSION), 0;
    if (strcmp(command, "help") == 0) return usage(0);
    if (strcmp(command, "check") == 0) return check(argc - 2, argv + 2);
    if (strcmp(command, "serve") == 0) return serve(argc - (argc > 1 ? 2 : 1), argv + (argc > 1 ? 2 : 1));
    if (command[0] == '-') return serve(argc - 1, argv + 1);
    fprintf(stderr, "ringcast: unknown command \"%s\"; there are serve, check, tail and version\n", command);
    return 2;
}
