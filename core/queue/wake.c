/* See wake.h, where the proof stands. */
#include "core/queue/wake.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/base/check.h"

#if defined(__SANITIZE_THREAD__)
#define THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZER 1
#endif
#endif

/* The thread sanitizer knows no fences; an exchange of the flag with itself orders as much, and costs more. */
static void full_fence(struct wake *wake)
{
#ifdef THREAD_SANITIZER
    atomic_fetch_or(&wake->asleep, 0u);
#else
    (void)wake;
    atomic_thread_fence(memory_order_seq_cst);
#endif
}

int wake_init(struct wake *wake)
{
    atomic_init(&wake->asleep, 0);
    wake->event_fd = eventfd(0, EFD_CLOEXEC);
    return wake->event_fd < 0 ? -errno : 0;
}

void wake_deinit(struct wake *wake)
{
    close(wake->event_fd);
    wake->event_fd = -1;
}

bool wake_sleep_begin(struct wake *wake)
{
    atomic_store_explicit(&wake->asleep, 1, memory_order_relaxed);
    full_fence(wake);
    return true;
}

void wake_sleep_end(struct wake *wake)
{
    atomic_store_explicit(&wake->asleep, 0, memory_order_relaxed);
}

bool wake_needed(struct wake *wake)
{
    full_fence(wake);
    /* Read first: a flag that is only read stays in every producer's cache. */
    if (!atomic_load_explicit(&wake->asleep, memory_order_relaxed)) return false;
    return atomic_exchange_explicit(&wake->asleep, 0, memory_order_acq_rel) == 1;
}

void wake_send(struct wake *wake)
{
    uint64_t one = 1;
    ssize_t written;
    do written = write(wake->event_fd, &one, sizeof one);
    while (written < 0 && errno == EINTR);
    CHECK(written == sizeof one);
}

int wake_fd(const struct wake *wake)
{
    return wake->event_fd;
}
