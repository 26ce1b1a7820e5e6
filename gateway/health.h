/* `ringcast health [--alive] [URL | settings]`: asks a gateway how it is, for probes in images that hold no shell and no curl.
 *
 * Without a URL it reads the settings as `serve` does and asks the address that `listen` names. Exit status 0: it answered 200; 1: it
 * did not, or the command line is wrong, and standard error says why (2 is reserved by container engines). --alive: any HTTP answer will do, since a gateway whose
 * limits.connections are reached answers 503 to whoever comes, and a restart would cost all who are there. */
#ifndef GATEWAY_HEALTH_H
#define GATEWAY_HEALTH_H

#include <stdbool.h>
#include <stddef.h>

/* argv[0] is the command. By the program alone; waits at most three seconds. Returns the exit status. */
int health_main(int argc, char **argv);

/* The URL that answers for a `listen` setting: 0.0.0.0, [::] and no host stand for this machine. False: `url` is too small. */
bool health_url(const char *listen, const char *path, char *url, size_t size);

#endif
