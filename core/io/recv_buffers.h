/* Receive buffers: one pool for a shard, provided to the kernel, which takes one only when bytes are there. So an idle
 * connection has none, and a connection that receives one shot at a time never holds more than one.
 * Its shard's thread only. Source: io_uring_register_buf_ring(3). */
#ifndef CORE_IO_RECV_BUFFERS_H
#define CORE_IO_RECV_BUFFERS_H

#include "core/io/ring.h"

#define RECV_BUFFER_BYTES (16u * 1024u) /* 16 KiB, 64 a shard: 1.7 times less time than 4 KiB (MEASURED.md, taught 6) */
#define RECV_BUFFERS_COUNT 64u
#define RECV_BUFFERS_GROUP 0

struct recv_buffers {
    struct io_uring_buf_ring *ring;
    char                     *bytes;
    struct ring              *uring;
    uint32_t                  out; /* how many the kernel has filled and nobody gave back */
};

/* 0 or -errno. */
int  recv_buffers_init(struct recv_buffers *buffers, struct ring *ring);
void recv_buffers_deinit(struct recv_buffers *buffers);

static inline char *recv_buffer(const struct recv_buffers *buffers, uint16_t id)
{
    return buffers->bytes + (size_t)id * RECV_BUFFER_BYTES;
}

/* A completion brought a buffer: it is ours until given back. */
void recv_buffers_taken(struct recv_buffers *buffers);
void recv_buffers_give(struct recv_buffers *buffers, uint16_t id);

#endif
