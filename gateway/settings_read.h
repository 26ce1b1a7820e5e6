/* Where settings come from: the flag over the variable over the file over the default. All that is given is checked, also what is
 * overridden. The same name everywhere: --limits.payload 64K, RINGCAST_LIMITS_PAYLOAD=64K, and in the file
 *
 *     [limits]
 *     payload = 64K          or, before any section:  limits.payload = 64K
 */
#ifndef GATEWAY_SETTINGS_READ_H
#define GATEWAY_SETTINGS_READ_H

#include "gateway/settings.h"

enum setting_from { FROM_DEFAULT, FROM_FILE, FROM_VARIABLE, FROM_FLAG };

struct setting_source {
    enum setting_from from;
    uint32_t          line; /* of the file */
};

struct configuration {
    struct settings       settings;
    struct setting_source sources[SETTINGS_COUNT];
    const char           *file; /* of --config or RINGCAST_CONFIG, borrowed; NULL: none */
};

/* 0, or -1 with a plain sentence in `why`: what and where (file:line) it was, what was wrong, what would be right. 1: --help was asked for.
 * argv begins with the first flag. */
int configuration_read(struct configuration *configuration, int argc, char **argv, char *why, size_t why_size);
/* The same for the file alone, over what stands there already. */
int configuration_read_file(struct configuration *configuration, const char *file, char *why, size_t why_size);

/* "ringcast.ini:12", "RINGCAST_LISTEN", "--listen" or "default". */
void configuration_write_source(const struct configuration *configuration, int index, struct text *text);

/* Calls back for each variable of ours that names no setting: a warning, no error, since Kubernetes sets RINGCAST_PORT and the like
 * for a service of that name. nearest: a variable's name, or NULL. */
void variables_unknown(void *context, void (*found)(void *context, const char *variable, const char *nearest));

#endif
