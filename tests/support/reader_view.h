/* What a reader's two halves share: views and what changes them. See reader.h. */
#ifndef TESTS_SUPPORT_READER_VIEW_H
#define TESTS_SUPPORT_READER_VIEW_H

#include "tests/support/reader.h"

bool pattern_covers(const char *pattern, const char *name);
/* The pattern that rules a topic which no name covers; PATTERNS_KNOWN: none does. */
uint32_t view_ruling(const struct view *view, const char *name);
/* What an ask does, when it is asked to the one view, when it is acknowledged to the other. */
void view_apply(struct view *view, const struct history *history, const struct asked *asked);
/* A new life begins in this view; nothing happens where nobody follows the topic. */
void view_birth(struct view *view, const struct history *history, uint32_t topic, uint32_t life);

#endif
