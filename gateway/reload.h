/* Reload: what was read again, merged into what is in force. By the main thread; nothing here knows of shards. */
#ifndef GATEWAY_RELOAD_H
#define GATEWAY_RELOAD_H

#include "gateway/logger.h"
#include "gateway/settings_read.h"

/* Takes over from `fresh` what may change while the gateway runs; what needs a restart stays as it is in `running`. Each difference is
 * logged, of secrets only that there is one. Returns how many settings changed.
 *   start   as they were when the gateway started: some may not grow beyond that */
uint32_t reload_merge(struct configuration *running, const struct configuration *fresh, const struct settings *start, struct logger *logger);

/* Logs each setting that is not at its default, and where it comes from. */
void reload_tell_all(const struct configuration *configuration, struct logger *logger);

#endif
