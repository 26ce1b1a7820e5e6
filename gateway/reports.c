#include "gateway/reports.h"

#include "core/base/check.h"

enum {
    REPORTS_MAX = 256,
    WORDS_MAX = 2, /* slots kept for them: one ADOPTED, one DRAINED or, after it, ANSWERED */
    RING_BYTES = 2 * REPORT_BYTES_MAX,
};

int reports_init(struct reports *reports, struct wake *reader)
{
    *reports = (struct reports){ .reader = reader };
    int error = spsc_init(&reports->queue, sizeof(struct report), REPORTS_MAX);
    if (error) return error;
    error = byte_ring_init(&reports->ring, RING_BYTES);
    if (error) goto undo_queue;
    reports->tx = spsc_producer(&reports->queue);
    reports->rx = spsc_consumer(&reports->queue);
    reports->bytes_tx = byte_ring_producer(&reports->ring);
    reports->bytes_rx = byte_ring_consumer(&reports->ring);
    return 0;
undo_queue:
    spsc_deinit(&reports->queue);
    return error;
}

void reports_deinit(struct reports *reports)
{
    byte_ring_deinit(&reports->ring);
    spsc_deinit(&reports->queue);
}

static void publish(struct reports *reports)
{
    spsc_publish(&reports->tx);
    if (wake_needed(reports->reader)) wake_send(reports->reader);
}

bool reports_text(struct reports *reports, enum report_kind kind, struct span text)
{
    if (!spsc_fits(&reports->tx, WORDS_MAX + 1)) return false;
    char *room = byte_ring_stage(&reports->bytes_tx, (uint32_t)text.size);
    if (!room) return false;
    memcpy(room, text.bytes, text.size);
    CHECK(spsc_stage(&reports->tx, &(struct report){ .kind = kind, .bytes = (uint32_t)text.size }));
    publish(reports);
    return true;
}

void reports_word(struct reports *reports, enum report_kind kind, uint64_t word)
{
    CHECK(spsc_stage(&reports->tx, &(struct report){ .kind = kind, .word = word }));
    publish(reports);
}

bool reports_take(struct reports *reports, struct report *report, struct span *text)
{
    if (!spsc_take(&reports->rx, report)) return false;
    *text = report->bytes > 0 ? span_of(byte_ring_take(&reports->bytes_rx, report->bytes), report->bytes) : SPAN_NONE;
    return true;
}

void reports_release(struct reports *reports)
{
    byte_ring_release(&reports->bytes_rx);
    spsc_release(&reports->rx);
}

bool reports_empty(struct reports *reports)
{
    return spsc_empty(&reports->rx);
}
