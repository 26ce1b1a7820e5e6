#include "gateway/outlet.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include "core/base/clock.h"

bool outlet_waits(const struct outlet *outlet)
{
    return outlet->sent < outlet->waiting.size;
}

static bool has_room(int timeout_ms)
{
    struct pollfd polled = { .fd = STDERR_FILENO, .events = POLLOUT };
    return poll(&polled, 1, timeout_ms) > 0; /* an error shows in the write */
}

/* As many whole lines as fit into PIPE_BUF; a longer one in pieces. */
static size_t next_bytes(const struct outlet *outlet)
{
    const char *from = outlet->waiting.bytes + outlet->sent;
    size_t left = outlet->waiting.size - outlet->sent;
    if (left <= PIPE_BUF) return left;
    const char *end = memrchr(from, '\n', PIPE_BUF);
    return end ? (size_t)(end - from) + 1 : PIPE_BUF;
}

static void write_some(struct outlet *outlet)
{
    ssize_t written = write(STDERR_FILENO, outlet->waiting.bytes + outlet->sent, next_bytes(outlet));
    if (written > 0) outlet->sent += (size_t)written;
    else if (errno != EINTR && errno != EAGAIN) outlet->sent = outlet->waiting.size; /* nobody reads it, nor ever will */
    if (!outlet_waits(outlet)) outlet_free(outlet);
}

void outlet_write(struct outlet *outlet)
{
    while (outlet_waits(outlet) && has_room(0)) write_some(outlet);
}

bool outlet_add(struct outlet *outlet, struct span lines)
{
    if (outlet->waiting.size - outlet->sent + lines.size > OUTLET_BYTES_MAX) outlet_write(outlet);
    if (outlet->waiting.size - outlet->sent + lines.size > OUTLET_BYTES_MAX) return false;
    if (outlet->sent > outlet->waiting.size / 2) {
        text_cut(&outlet->waiting, 0, outlet->sent);
        outlet->sent = 0;
    }
    text_add(&outlet->waiting, lines);
    return true;
}

void outlet_drain(struct outlet *outlet, int timeout_ms)
{
    uint64_t until_us = clock_mono_us() + (uint64_t)timeout_ms * 1000;
    for (uint64_t now_us; outlet_waits(outlet) && (now_us = clock_mono_us()) < until_us;)
        if (has_room((int)((until_us - now_us) / 1000) + 1)) write_some(outlet);
}

void outlet_free(struct outlet *outlet)
{
    text_free(&outlet->waiting);
    outlet->sent = 0;
}
