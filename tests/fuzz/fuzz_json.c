/* Any bytes as JSON: the scanner must agree with its twin, and what it calls valid must be readable. The first byte is the
 * depth allowed. */
#include <math.h>
#include <stdlib.h>

#include "core/proto/utf8.h"
#include "tests/unit/guard.h"
#include "tests/unit/json_twin.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not strndup(): under strict_string_checks the sanitizer reads on to a zero byte, which these have not. */
static char *c_string_of(struct span bytes)
{
    char *text = malloc(bytes.size + 1);
    memcpy(text, bytes.bytes, bytes.size);
    text[bytes.size] = 0;
    return text;
}

static void read_string(const struct json_value *string)
{
    size_t room = string->text.size;
    char *out = malloc(room);
    long bytes = json_string_unescape(string, out, room);
    CHECK(bytes <= (long)room);
    if (!string->escaped) CHECK(bytes == (long)room - 2);
    if (bytes >= 0) {
        struct span meant = span_of(out, (size_t)bytes);
        CHECK(utf8_valid(meant));
        /* Written and read again it is the same, and one byte less room is noticed. */
        size_t written_max = meant.size * 6 + 2;
        char *written = malloc(written_max), *again = malloc(room);
        size_t written_bytes = json_escape(meant, written + 1, written_max - 2) + 2;
        written[0] = written[written_bytes - 1] = '"';
        struct json_value second;
        CHECK(json_validate(span_of(written, written_bytes), 0, &second) == JSON_OK);
        CHECK(json_string_unescape(&second, again, room) == bytes && memcmp(again, out, (size_t)bytes) == 0);
        if (bytes > 0) CHECK(json_string_unescape(string, again, (size_t)bytes - 1) == -1);
        if (!memchr(out, 0, (size_t)bytes)) {
            char *text = c_string_of(meant);
            CHECK(json_string_is(string, text));
            if (bytes > 0) text[bytes - 1] ^= 1;
            CHECK(json_string_is(string, text) == (bytes == 0));
            free(text);
        }
        free(written);
        free(again);
    }
    free(out);
}

static void read_number(const struct json_value *number)
{
    char *text = c_string_of(number->text);
    double real = 0, wanted = strtod(text, NULL);
    bool finite = json_double(number, &real);
    CHECK(finite == (isfinite(wanted) != 0));
    if (finite) CHECK(real == wanted && signbit(real) == signbit(wanted));
    int64_t integer;
    if (json_integer(number, &integer)) CHECK((double)integer == wanted && !strpbrk(text, ".eE"));
    else CHECK(fabs(wanted) >= 9007199254740992.0 || strpbrk(text, ".eE"));
    free(text);
}

/* Whatever the bytes are, their escaped form is the inside of a string; with little room it is a beginning of it. */
static void write_string(struct span bytes, size_t room)
{
    size_t written_max = bytes.size * 6 + 2;
    char *written = malloc(written_max), *less = malloc(room + 1);
    size_t written_bytes = json_escape(bytes, written + 1, written_max - 2);
    written[0] = written[written_bytes + 1] = '"';
    struct json_value string;
    CHECK(json_validate(span_of(written, written_bytes + 2), 0, &string) == JSON_OK);
    size_t less_bytes = json_escape(bytes, less, room);
    CHECK(less_bytes <= room && less_bytes <= written_bytes && memcmp(less, written + 1, less_bytes) == 0);
    if (room >= written_bytes) CHECK(less_bytes == written_bytes);
    free(written);
    free(less);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    uint32_t depth_max = data[0] % (JSON_DEPTH_LIMIT + 1);
    struct span text = guard_span(span_of((const char *)data + 1, size - 1));
    twin_check(text, depth_max);
    struct json_value value;
    if (json_validate(text, depth_max, &value) == JSON_OK) {
        if (value.kind == JSON_STRING) read_string(&value);
        if (value.kind == JSON_NUMBER) read_number(&value);
    }
    write_string(text, data[0]);
    guard_free(text.bytes);
    return 0;
}
