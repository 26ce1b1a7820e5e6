/* ringcast: the program. Reads its settings, starts the shards, waits for signals, drains. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/random.h"
#include "gateway/demo.h"
#include "gateway/settings.h"
#include "gateway/shard.h"
#include "gateway/tail.h"

static int usage(int status)
{
    printf("ringcast %s: a WebSocket gateway for live data\n\n"
           "  ringcast [serve] [settings]   the gateway\n"
           "  ringcast tail URL TOPIC...    a subscriber for the terminal\n"
           "  ringcast version\n\n"
           "Settings, as flags (--name value) or variables (RINGCAST_NAME, with _ for . and -):\n",
           RINGCAST_VERSION);
    settings_print();
    return status;
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

static void tell_start(const struct shard *shard)
{
    const struct settings *settings = shard->settings;
    fprintf(stderr, "ringcast: version %s, listening on %s, 1 shard%s%s\n", RINGCAST_VERSION, settings->listen,
            settings->publish_key[0] ? "" : ", publishing is off (no --auth.publish-key)",
            shard->sends == SENDS_EXACT ? "" : ", sends are counted one by one (this kernel's short sends can't be trusted to be told)");
}

/* Until the shard has ended: SIGTERM and SIGINT drain, a second one ends at once, SIGUSR1 dumps. */
static void serve_signals(struct shard *shard, const sigset_t *signals)
{
    bool draining = false;
    struct timespec wait = { .tv_nsec = 50000000 };
    while (!shard_has_ended(shard, 0)) {
        int signal = sigtimedwait(signals, NULL, draining ? &wait : NULL);
        if (signal == SIGUSR1) shard_command(shard, COMMAND_DUMP);
        if (signal != SIGTERM && signal != SIGINT) continue;
        demo_stop();
        while (!shard_command(shard, draining ? COMMAND_STOP : COMMAND_DRAIN)) nanosleep(&wait, NULL); /* behind many dumps; not to be lost */
        draining = true;
    }
}

static int serve(int argc, char **argv)
{
    static struct settings settings;
    static struct shard shard;
    char why[512];
    int result = settings_read(&settings, argc, argv, why, sizeof why);
    if (result > 0) return usage(0);
    if (result < 0) return fail(why);
    make_demo_key(&settings);

    sigset_t signals; /* blocked here, so that all threads leave them to sigwait below */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGUSR1);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);

    if (shard_init(&shard, 0, &settings, why, sizeof why)) return fail(why);
    if (shard_start(&shard, why, sizeof why)) {
        shard_deinit(&shard);
        return fail(why);
    }
    tell_start(&shard);
    if (settings.demo) demo_start(settings.listen, settings.publish_key);
    serve_signals(&shard, &signals);
    shard_join(&shard);
    shard_deinit(&shard);
    fprintf(stderr, "ringcast: ended\n");
    return 0;
}

int main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "serve";
    if (strcmp(command, "tail") == 0) return tail_main(argc - 1, argv + 1);
    if (strcmp(command, "version") == 0 || strcmp(command, "--version") == 0) return printf("ringcast %s\n", RINGCAST_VERSION), 0;
    if (strcmp(command, "help") == 0) return usage(0);
    if (strcmp(command, "serve") == 0) return serve(argc - (argc > 1 ? 2 : 1), argv + (argc > 1 ? 2 : 1));
    if (command[0] == '-') return serve(argc - 1, argv + 1);
    fprintf(stderr, "ringcast: unknown command \"%s\"; there are serve, tail and version\n", command);
    return 2;
}
