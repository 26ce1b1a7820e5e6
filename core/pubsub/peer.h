/* A peer: a link seen from the home's side. It asks and is served; it is told what is due to it, as far as there is room beyond
 * what its replies need. One thread, the home's. */
#ifndef CORE_PUBSUB_PEER_H
#define CORE_PUBSUB_PEER_H

#include "core/pubsub/link.h"

/* Serves a bounded batch of asks. */
void peer_serve(struct link *link);

/* Whether a notice, birth or match can be told now; always so to ourselves. */
bool peer_has_room(struct link *link);
/* These want peer_has_room(). A notice's more_segments are taken over. *held_from: the lowest segment that the shard holds now, as
 * far as it has said; to ourselves a call, which says at once. */
void peer_notice(struct link *link, const struct notice *notice, uint32_t *held_from);
/* A topic was born, in a life of this epoch, that a pattern of the shard covers; what is appended afterwards reaches those who become
 * interested now. */
void peer_birth(struct link *link, struct span topic, const char epoch[EPOCH_BYTES]);
/* A topic with an update that the shard's pattern covers; and that there are no more. Not to ourselves. */
void peer_match(struct link *link, uint32_t pattern, uint32_t generation, struct span topic);
void peer_matches_end(struct link *link, uint32_t pattern, uint32_t generation);
/* Gives back credits that no reply took along. Not to ourselves. */
void peer_give_credits(struct link *link);

#endif
