/* Any bytes as a file of settings. Promises tried: a file that is refused is refused with its line and a reason, and changes nothing that would be
 * noticed only later; one that is taken, written out setting by setting and read again, comes to the same. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/check.h"
#include "gateway/settings_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A file that lives in memory; the path of it. */
static int make_file(const void *bytes, size_t size, char path[64])
{
    int descriptor = memfd_create("settings", MFD_CLOEXEC);
    CHECK(descriptor >= 0 && write(descriptor, bytes, size) == (ssize_t)size);
    snprintf(path, 64, "/proc/self/fd/%d", descriptor);
    return descriptor;
}

static void claim_in_bounds(const struct settings *settings, int index)
{
    const struct setting *setting = &settings_table[index];
    if (setting->kind == KIND_COUNT || setting->kind == KIND_BYTES || setting->kind == KIND_TIME) {
        uint64_t number = setting_number(settings, index);
        CHECK(number >= setting->least && number <= setting->most);
    }
}

/* Each is written as it would be read again. */
static void claim_again(const struct settings *settings)
{
    static struct settings again;
    settings_default(&again);
    for (int index = 0; index < SETTINGS_COUNT; index++) {
        struct text text = { 0 };
        char why[512];
        claim_in_bounds(settings, index);
        if (settings_table[index].kind == KIND_SECRET) setting_copy(&again, settings, index); /* never written */
        else {
            setting_write(settings, index, &text);
            text_add_char(&text, '\0');
            if (text.size > 1) CHECK(setting_read(&again, index, text.bytes, false, why, sizeof why));
        }
        CHECK(setting_equals(&again, settings, index));
        text_free(&text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct configuration configuration;
    char path[64], why[1024] = "";
    if (size > 16384) return 0;
    int descriptor = make_file(data, size, path);
    memset(&configuration, 0, sizeof configuration);
    settings_default(&configuration.settings);
    int result = configuration_read_file(&configuration, path, why, sizeof why);
    close(descriptor);
    CHECK(result == 0 || (result == -1 && *why && strlen(why) < sizeof why));
    if (result < 0) return 0;
    claim_again(&configuration.settings);
    return 0;
}
