/* The state as text, for people: what SIGUSR1 asks each shard for. Made on its own thread, of bounded size, and never a secret. */
#ifndef GATEWAY_STATE_H
#define GATEWAY_STATE_H

#include "gateway/shard.h"

void state_write(struct shard *shard, struct text *text);
/* Hands it to the main thread; where there is no room it is counted as lost. */
void state_report(struct shard *shard);

#endif
