#include "core/base/counters.h"

static const struct {
    const char *name, *help;
} texts[COUNTERS_COUNT] = {
#define COUNTER_TEXT(name, text, help) [COUNTER_##name] = { text, help },
    COUNTERS(COUNTER_TEXT)
#undef COUNTER_TEXT
};

const char *counter_name(enum counter which)
{
    return texts[which].name;
}

const char *counter_help(enum counter which)
{
    return texts[which].help;
}
