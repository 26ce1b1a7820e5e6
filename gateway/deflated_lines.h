/* Compressed ranges of lines (`batch=1` with permessage-deflate): those who stand at the same place of a topic are sent the same range in
 * a flush, and it is compressed once for all of them.
 *
 *   message:  header, RSV1 | payload of a range | joint | payload of the next | ...      each ends at a byte, the joint says "\n"
 *
 * What was compressed in a flush is kept to its end, or until it is much and the sends so far are out. Its shard's thread only. */
#ifndef GATEWAY_DEFLATED_LINES_H
#define GATEWAY_DEFLATED_LINES_H

#include "gateway/shard.h"

struct deflated_lines;

/* On the heap; NULL: no memory. */
struct deflated_lines *deflated_lines_make(void);
void                   deflated_lines_free(struct deflated_lines *lines);

/* A range without its last line's end, compressed, and behind it, within its bytes[], DEFLATE_JOINT. Borrowed until deflated_lines_reset().
 * SPAN_NONE: there is no time for it now (compression.cpu), or it is no gain. */
struct span deflated_lines_of(struct shard *shard, const struct local_topic *local, const struct range *range);

/* What is kept, in bytes: beyond this a batch goes out before more is staged. */
#define DEFLATED_LINES_BYTES_MAX (512u * 1024u)
size_t deflated_lines_kept(const struct deflated_lines *lines);
/* While nothing is staged: forgets what is kept, where it is more than so many bytes. */
void deflated_lines_forget(struct deflated_lines *lines, size_t bytes_max);
#define DEFLATED_LINES_AT_REST (64u * 1024u) /* from one flush to the next */

#endif
