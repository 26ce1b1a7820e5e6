/* permessage-deflate as a shard does it (RFC 7692): no connection owns a compressor or a window.
 *
 * What goes out is compressed by the shard's one deflater: an update at its topic's home, for the log of a deflated format; ranges of lines
 * in the flush (deflated_lines.h). Together they take no more than compression.cpu percent of the shard's time: under more load it is
 * better spent on delivering, and they are compressed in haste (deflate_quickly()), long ones not at all: which is as good a message.
 *  * What comes in is inflated as it comes, by the shard's one inflater; a message that comes in pieces has it on loan until it ends, and a
 * second such message gets one of its own for so long, which counts as memory that its connection holds (memory.h). Its shard's thread only. */
#ifndef GATEWAY_COMPRESSION_H
#define GATEWAY_COMPRESSION_H

#include "core/io/deflate.h"
#include "core/io/inflate.h"
#include "gateway/conn.h"

/* 0 or -ENOMEM. */
int  compression_init(struct shard *shard);
void compression_deinit(struct shard *shard);

/* Compresses updates whose bytes lie in pieces, `bytes` in all; borrowed until the next. SPAN_NONE: there is no time for so many now. */
struct span compression_of_pieces(struct shard *shard, const struct piece *pieces, uint32_t count, size_t bytes);

/* An inflater for one message, and back again. */
struct inflater *compression_lend(struct shard *shard);
void             compression_take_back(struct shard *shard, struct inflater *inflater);
/* Inflates some of a connection's message, and ends it. False: the connection was failed, and with its reader an inflater goes that the
 * reader held. */
bool compression_feed(struct shard *shard, struct conn *conn, struct inflater *inflater, struct span piece);
bool compression_end(struct shard *shard, struct conn *conn, struct inflater *inflater, struct span *message);

/* Queues a message to one client alone: compressed where that was negotiated and makes it smaller. */
void compression_add_message(struct shard *shard, struct conn *conn, enum ws_opcode opcode, struct span payload);

#endif
