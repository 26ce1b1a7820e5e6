#include "core/io/recv_buffers.h"

#include <errno.h>
#include <sys/mman.h>

#include "core/base/check.h"

static size_t ring_bytes(void)
{
    return RECV_BUFFERS_COUNT * sizeof(struct io_uring_buf);
}

static void provide(struct recv_buffers *buffers, uint16_t id)
{
    io_uring_buf_ring_add(buffers->ring, recv_buffer(buffers, id), RECV_BUFFER_BYTES, id, io_uring_buf_ring_mask(RECV_BUFFERS_COUNT), 0);
    io_uring_buf_ring_advance(buffers->ring, 1);
}

int recv_buffers_init(struct recv_buffers *buffers, struct ring *ring)
{
    *buffers = (struct recv_buffers){ .uring = ring };
    size_t bytes = ring_bytes() + (size_t)RECV_BUFFERS_COUNT * RECV_BUFFER_BYTES;
    char *area = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED) return -errno;
    buffers->bytes = area;
    buffers->ring = (struct io_uring_buf_ring *)(area + (size_t)RECV_BUFFERS_COUNT * RECV_BUFFER_BYTES); /* page-aligned */

    struct io_uring_buf_reg reg = {
        .ring_addr = (uintptr_t)buffers->ring,
        .ring_entries = RECV_BUFFERS_COUNT,
        .bgid = RECV_BUFFERS_GROUP,
    };
    int error = io_uring_register_buf_ring(&ring->uring, &reg, 0);
    if (error) {
        munmap(area, bytes);
        return error;
    }
    io_uring_buf_ring_init(buffers->ring);
    for (uint16_t id = 0; id < RECV_BUFFERS_COUNT; id++) provide(buffers, id);
    return 0;
}

void recv_buffers_deinit(struct recv_buffers *buffers)
{
    io_uring_unregister_buf_ring(&buffers->uring->uring, RECV_BUFFERS_GROUP);
    munmap(buffers->bytes, ring_bytes() + (size_t)RECV_BUFFERS_COUNT * RECV_BUFFER_BYTES);
}

void recv_buffers_taken(struct recv_buffers *buffers)
{
    buffers->out++;
    CHECK(buffers->out <= RECV_BUFFERS_COUNT);
}

void recv_buffers_give(struct recv_buffers *buffers, uint16_t id)
{
    CHECK(buffers->out > 0);
    buffers->out--;
    POISON(recv_buffer(buffers, id), RECV_BUFFER_BYTES);
    provide(buffers, id);
}
