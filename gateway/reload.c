#include "gateway/reload.h"

static void add_value(struct log_line *line, const char *key, const struct settings *settings, int index)
{
    struct text text = { 0 };
    setting_write(settings, index, &text);
    log_line_text(line, key, text.bytes ? text_span(&text) : SPAN_LITERAL(""));
    text_free(&text);
}

static void add_source(struct log_line *line, const struct configuration *configuration, int index)
{
    struct text text = { 0 };
    configuration_write_source(configuration, index, &text);
    log_line_text(line, "source", text_span(&text));
    text_free(&text);
}

static void tell(struct logger *logger, enum event event, const struct configuration *running, const struct configuration *fresh, const struct settings *start, int index)
{
    struct log_line line;
    if (!log_begin(logger, event, &line)) return;
    log_line_string(&line, "name", settings_table[index].name);
    add_value(&line, event == EVENT_NEEDS_RESTART ? "value" : "before", &running->settings, index);
    add_value(&line, event == EVENT_NEEDS_RESTART ? "asked" : "value", &fresh->settings, index);
    if (event == EVENT_NEEDS_RESTART && settings_table[index].change != AT_START) log_line_number(&line, "most", setting_most(start, index));
    add_source(&line, fresh, index);
    log_end(logger, &line);
}

uint32_t reload_merge(struct configuration *running, const struct configuration *fresh, const struct settings *start, struct logger *logger)
{
    uint32_t changed = 0;
    for (int i = 0; i < SETTINGS_COUNT; i++) {
        bool equal = setting_equals(&running->settings, &fresh->settings, i);
        if (!equal && !setting_may_become(start, &fresh->settings, i)) {
            tell(logger, EVENT_NEEDS_RESTART, running, fresh, start, i);
            continue;
        }
        if (!equal) tell(logger, EVENT_SETTING_CHANGED, running, fresh, start, i);
        setting_copy(&running->settings, &fresh->settings, i);
        running->sources[i] = fresh->sources[i];
        changed += !equal;
    }
    running->file = fresh->file;
    return changed;
}

void reload_tell_all(const struct configuration *configuration, struct logger *logger)
{
    struct settings defaults;
    struct log_line line;
    settings_default(&defaults);
    for (int i = 0; i < SETTINGS_COUNT; i++) {
        if (setting_equals(&configuration->settings, &defaults, i) || !log_begin(logger, EVENT_SETTING, &line)) continue;
        log_line_string(&line, "name", settings_table[i].name);
        add_value(&line, "value", &configuration->settings, i);
        add_source(&line, configuration, i);
        log_end(logger, &line);
    }
}
