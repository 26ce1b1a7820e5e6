/* What of the settings a shard is made with, and what of them it takes over while it runs. */
#ifndef GATEWAY_SHARD_SETTINGS_H
#define GATEWAY_SHARD_SETTINGS_H

#include "gateway/shard.h"

#define CONNECTIONS_SPARE 64u /* beyond the limit of connections, to tell those over it so */

/* How many connections there is room for: more than the limit, which may be raised later, as far as the limit of open files allows. */
uint32_t shard_files_max(const struct settings *settings);
/* The limit in force, of a shard with room for so many. */
uint32_t shard_connections_max(const struct settings *settings, uint32_t files_max);
/* Those and the ones that are told of the limit: beyond it connections wait in the listener's backlog. */
uint32_t shard_files_now(const struct shard *shard);
/* limits.connections of the whole gateway, or what the limit of open files leaves of it: all shards have the same. */
uint64_t shard_connections_allowed(const struct shard *shard);
/* A shard's part of a limit that is for the whole gateway. */
uint64_t shard_part_of(const struct settings *settings, uint64_t limit);
struct engine_settings shard_engine_settings(const struct shard *shard, const uint8_t hash_key[16]);

/* On the shard's thread, between two requests: these settings from now on. No connection is closed at once; those that came in with a key
 * or token that is no longer right lose what it allowed (access_adopt()). */
void shard_adopt(struct shard *shard, const struct settings *settings, const struct tls *tls);

#endif
