#include "gateway/settings_show.h"

#include <string.h>

void settings_write_help(struct text *text)
{
    for (int i = 0; i < SETTINGS_COUNT; i++)
        text_print(text, "  --%-31s %s (%s)\n", settings_table[i].name, settings_table[i].help, *settings_table[i].preset ? settings_table[i].preset : "none");
}

/* The bytes of its name before the last dot; 0: it stands in no section. */
static size_t section_bytes(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot ? (size_t)(dot - name) : 0;
}

static const char *when(uint8_t change)
{
    switch (change) {
    case AT_START: return "needs a restart";
    case UP_TO_START: return "SIGHUP takes it, up to its value at the start, or to its default where that is more";
    case UP_TO_TWICE: return "SIGHUP takes it, up to twice its value at the start";
    default: return "SIGHUP takes it";
    }
}

void settings_write_example(struct text *text)
{
    size_t section = 0;
    text_add_string(text, "# All settings of ringcast at their defaults, each with its meaning, what it may be, and whether a running gateway takes a new\n"
                          "# value on SIGHUP. Take away the ; before a line to set it. Made by `ringcast check --example`; read by `ringcast --config FILE`;\n"
                          "# `ringcast check --config FILE` tells what is in force and what is wrong.\n"
                          "# A flag (--limits.payload 64K) beats a variable (RINGCAST_LIMITS_PAYLOAD=64K), which beats this file.\n");
    for (int i = 0; i < SETTINGS_COUNT; i++) {
        const struct setting *setting = &settings_table[i];
        const char *before = i > 0 ? settings_table[i - 1].name : "";
        section = section_bytes(setting->name);
        bool same = section == section_bytes(before) && strncmp(setting->name, before, section) == 0;
        if (section > 0 && !same) text_print(text, "\n[%.*s]\n", (int)section, setting->name);
        text_print(text, "\n# %s\n# ", setting->help);
        setting_right(i, text);
        text_print(text, "; %s\n;%s =%s%s\n", when(setting->change), setting->name + section + (section > 0), *setting->preset ? " " : "", setting->preset);
    }
}

void configuration_write(const struct configuration *configuration, struct text *text)
{
    for (int i = 0; i < SETTINGS_COUNT; i++) {
        struct text value = { 0 };
        bool secret = settings_table[i].kind == KIND_SECRET;
        text_print(&value, "%s%s = ", secret ? "; " : "", settings_table[i].name);
        setting_write(&configuration->settings, i, &value);
        text_print(text, "%-40.*s ; ", (int)value.size, value.bytes);
        configuration_write_source(configuration, i, text);
        text_add_char(text, '\n');
        text_free(&value);
    }
}
