/* ringcast-bench: the instrument by which the gateway is measured, and the tool that plays recorded ticks into it.
 * Each command is one file; this one only finds it. */
#include <stdio.h>
#include <string.h>

#include "bench/bare.h"
#include "bench/beside.h"
#include "bench/compare.h"
#include "bench/engine.h"
#include "bench/fanout.h"
#include "bench/flood.h"
#include "bench/floor.h"
#include "bench/follow.h"
#include "bench/idle.h"
#include "bench/micro.h"
#include "bench/pair.h"
#include "bench/publish.h"
#include "bench/replay.h"
#include "bench/slow.h"
#include "bench/storm.h"
#include "bench/subscribe.h"

#ifndef RINGCAST_VERSION
#define RINGCAST_VERSION "unknown"
#endif

static const struct command {
    const char *name;
    int (*main)(int argc, char **argv); /* argv[0] is the command's name; returns the exit status */
    const char *what;
} commands[] = {
    { "replay", replay_main,
      "recorded ticks (CSV or CSV.gz) into a running gateway, at their pace or as fast as it takes them" },
    { "follow", follow_main, "subscribers that check a replay against its file, row by row and byte for byte" },
    { "fanout", fanout_main, "many subscribers and one publisher: delivered updates a second, delay, loss and order" },
    { "floor", floor_main, "the same bytes with no protocol: what the machine charges for sending them" },
    { "pair", pair_main, "gateway and floor in alternation: the ratio of the two, with its spread" },
    { "beside", beside_main, "several shards with their load beside them against one, and the floor likewise" },
    { "compare", compare_main, "the same load against this gateway and other servers that are installed: one table" },
    { "engine", engine_main, "the pubsub engine without sockets: what it does in one thread, and in several" },
    { "bare", bare_main, "a bare loop of sends, which `compare` measures delays against" },
    { "publish", publish_main, "one connection publishes as fast as the gateway takes it, and nobody listens" },
    { "flood", flood_main, "some clients misbehave as fast as they can: what the others and the memory notice" },
    { "micro", micro_main, "single steps of the hot paths, in nanoseconds each" },
    { "idle", idle_main, "connections that do nothing: what each costs the gateway" },
    { "storm", storm_main, "many connections lost at once, that come back and resume: how fast, and what the others notice" },
    { "slow", slow_main, "readers that stand still or crawl: what they cost the others, and in memory over time" },
    { "subscribe", subscribe_main, "very many subscriptions to very many topics: how fast, and what each costs the gateway" },
};
#define COMMANDS (sizeof commands / sizeof *commands)

static void usage(FILE *out)
{
    fprintf(out, "usage: ringcast-bench COMMAND [flags]     (ringcast-bench COMMAND --help lists its flags)\n\n");
    for (size_t i = 0; i < COMMANDS; i++) fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].what);
    fprintf(out, "  %-9s print the version\n", "version");
    fprintf(out,
            "\nExit status: 0 fine, 1 something was lost, refused or failed, 2 a command line that makes no sense.\n");
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(name, commands[i].name) == 0) return commands[i].main(argc - 1, argv + 1);
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) return usage(stdout), 0;
    if (strcmp(name, "version") == 0 || strcmp(name, "--version") == 0)
        return puts("ringcast-bench " RINGCAST_VERSION), 0;
    if (*name) fprintf(stderr, "ringcast-bench: there is no command `%s`\n\n", name);
    usage(stderr);
    return 2;
}
