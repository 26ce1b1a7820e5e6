/* See said.h. */
#include "bench/said.h"

#include <stdio.h>
#include <stdlib.h>

#include "bench/process.h"
#include "core/proto/json.h"

#define ARGUMENTS_MAX 48

char *said_by(const char *const argv[], int *status)
{
    const char *all[ARGUMENTS_MAX + 3] = { "/proc/self/exe" };
    int count = 1;
    for (int i = 0; argv[i] && i < ARGUMENTS_MAX; i++) all[count++] = argv[i];
    all[count++] = "--json";
    return process_capture(all, false, status);
}

static bool find(const char *said, const char *name, struct json_value *found)
{
    struct json_reader reader;
    struct json_value key;
    if (!said || !json_object_begin(&reader, span_of_string(said), 8)) return false;
    while (json_object_next(&reader, &key, found))
        if (json_string_is(&key, name)) return true;
    return false;
}

bool said_real(const char *said, const char *name, double *real)
{
    struct json_value value;
    if (!find(said, name, &value)) return false;
    *real = value.kind == JSON_TRUE ? 1 : value.kind == JSON_FALSE ? 0 : strtod(value.text.bytes, NULL);
    return value.kind == JSON_TRUE || value.kind == JSON_FALSE || value.kind == JSON_NUMBER;
}

void said_warning(const char *said, char *out, unsigned room)
{
    struct json_value warnings, first;
    size_t at = 0;
    out[0] = 0;
    if (!find(said, "warnings", &warnings) || warnings.kind != JSON_ARRAY) return;
    if (json_array_next(warnings.text, &at, &first)) snprintf(out, room, "%.*s", (int)first.text.size, first.text.bytes);
}
