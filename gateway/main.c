/* ringcast: the program. Its commands; `serve` reads the settings, starts the shards, serves signals and drains (control.h). */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/io/crypto.h"
#include "gateway/auth.h"
#include "gateway/certificates.h"
#include "gateway/control.h"
#include "gateway/health.h"
#include "gateway/settings_show.h"
#include "gateway/tail.h"
#include "gateway/token.h"

static void print(struct text *text)
{
    printf("%.*s", (int)text->size, text->bytes);
    text_free(text);
}

static int usage(int status)
{
    struct text text = { 0 };
    text_print(&text,
               "ringcast %s: a WebSocket gateway for live data\n\n"
               "  ringcast [serve] [--config FILE] [settings]   the gateway\n"
               "  ringcast check [--config FILE] [settings]     what would be in force, and where it comes from\n"
               "  ringcast check --example                      all settings as a file, with their units and defaults\n"
               "  ringcast tail URL TOPIC...                    a subscriber for the terminal\n"
               "  ringcast health [--alive] [URL]               whether a gateway is ready, as exit status: for probes\n"
               "  ringcast token key | jwt | secret             makes API keys and tokens (JWT)\n"
               "  ringcast version\n\n"
               "Settings, as flags (--name value), as variables (RINGCAST_NAME, with _ for . and -) or in an INI file (--config FILE):\n",
               RINGCAST_VERSION);
    settings_write_help(&text);
    print(&text);
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

/* What a start warns of in its log. */
static void warn_of_variable(void *context, const char *variable, const char *nearest)
{
    char why[512];
    (void)context;
    snprintf(why, sizeof why, "warning: the variable %s names no setting%s%s", variable, nearest ? "; the nearest is " : "", nearest ? nearest : "");
    fail(why);
}

static int check(int argc, char **argv)
{
    static struct configuration configuration;
    struct text text = { 0 };
    char why[1024];
    if (argc == 1 && strcmp(argv[0], "--example") == 0) {
        settings_write_example(&text);
        print(&text);
        return 0;
    }
    int result = configuration_read(&configuration, argc, argv, why, sizeof why);
    if (result > 0) return usage(0);
    if (result < 0) return fail(why);
    struct auth *auth = auth_make(&configuration.settings, configuration.settings.publish_key, why, sizeof why);
    if (!auth) return fail(why);
    auth_free(auth);
    if (!certificates_check(&configuration.settings, why, sizeof why)) return fail(why);
    configuration_write(&configuration, &text);
    print(&text);
    variables_unknown(NULL, warn_of_variable);
    return 0;
}

/* A program may be started with its standard files closed: what is opened next would take their places, and be written to. */
static void hold_standard_files(void)
{
    int descriptor;
    do descriptor = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (descriptor >= 0 && descriptor <= STDERR_FILENO);
    if (descriptor >= 0) close(descriptor);
}

static int serve(int argc, char **argv)
{
    static struct control control;
    char why[1024];
    hold_standard_files();
    int result = control_configure(&control, argc, argv, why, sizeof why);
    if (result > 0) return usage(0);
    if (result < 0) return fail(why);
    if (control_start(&control, why, sizeof why)) return fail(why);
    control_run(&control);
    return 0;
}

int main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "serve";
    if (strcmp(command, "tail") == 0) return tail_main(argc - 1, argv + 1);
    if (strcmp(command, "health") == 0) return health_main(argc - 1, argv + 1);
    if (strcmp(command, "token") == 0) return token_main(argc - 1, argv + 1);
    if (strcmp(command, "version") == 0 || strcmp(command, "--version") == 0) return printf("ringcast %s\nTLS by %s\n", RINGCAST_VERSION, crypto_library()), 0;
    if (strcmp(command, "help") == 0) return usage(0);
    if (strcmp(command, "check") == 0) return check(argc - 2, argv + 2);
    if (strcmp(command, "serve") == 0) return serve(argc - (argc > 1 ? 2 : 1), argv + (argc > 1 ? 2 : 1));
    if (command[0] == '-') return serve(argc - 1, argv + 1);
    fprintf(stderr, "ringcast: unknown command \"%s\"; there are serve, check, tail, health, token and version\n", command);
    return 2;
}
