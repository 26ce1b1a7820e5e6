#include "core/base/counters.h"

static const struct counter_text texts[COUNTERS_COUNT] = {
#define COUNTER_TEXT(name, text, labels, kind, help) [COUNTER_##name] = { text, labels, kind, help },
    COUNTERS(COUNTER_TEXT)
#undef COUNTER_TEXT
};

const struct counter_text *counter_text(enum counter which)
{
    return &texts[which];
}
