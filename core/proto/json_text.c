/* Inside the strings and numbers of json.h; all of them have passed the scanner, so their syntax is not doubted here. */
#include <stdlib.h>

#include "core/base/check.h"
#include "core/proto/json.h"
#include "core/proto/json_search.h"
#include "core/proto/utf8.h"
#include "core/proto/utf8_char.h"

/* ---- strings ------------------------------------------------------------------------------------------------------- */

static uint32_t hex4(const char *at)
{
    uint32_t unit = 0;
    for (int i = 0; i < 4; i++) {
        uint32_t c = (uint8_t)at[i];
        unit = unit << 4 | (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return unit;
}

static bool is_high_surrogate(uint32_t unit)
{
    return unit >= 0xd800 && unit <= 0xdbff;
}

static bool is_low_surrogate(uint32_t unit)
{
    return unit >= 0xdc00 && unit <= 0xdfff;
}

static unsigned put_utf8(uint32_t point, char out[4])
{
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    unsigned bytes = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (unsigned i = bytes - 1; i > 0; i--, point >>= 6) out[i] = (char)(0x80 | (point & 0x3f));
    out[0] = (char)((0xf00u >> bytes & 0xf0) | point); /* 110xxxxx, 1110xxxx, 11110xxx */
    return bytes;
}

/* What the escape at *at stands for, as 1 to 4 bytes of UTF-8, and moves behind it; 0: half a surrogate pair. */
static unsigned take_escape(const char **at, const char *end, char out[4])
{
    char escape = (*at)[1];
    *at += 2;
    switch (escape) {
    case 'b': out[0] = '\b'; return 1;
    case 'f': out[0] = '\f'; return 1;
    case 'n': out[0] = '\n'; return 1;
    case 'r': out[0] = '\r'; return 1;
    case 't': out[0] = '\t'; return 1;
    default:  out[0] = escape; return 1; /* quote, backslash, slash */
    case 'u': break;
    }
    uint32_t point = hex4(*at);
    *at += 4;
    if (is_low_surrogate(point)) return 0;
    if (is_high_surrogate(point)) {
        if (end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u') return 0;
        uint32_t low = hex4(*at + 2);
        if (!is_low_surrogate(low)) return 0;
        *at += 6;
        point = 0x10000 + ((point - 0xd800) << 10 | (low - 0xdc00));
    }
    return put_utf8(point, out);
}

/* The next bytes of a string as they are meant: a run without escapes, borrowed from the string, or one escape, in `room`. False: half a
 * surrogate pair. */
static bool take_piece(const char **at, const char *end, char room[4], struct span *piece)
{
    if (**at == '\\') {
        unsigned bytes = take_escape(at, end, room);
        *piece = span_of(room, bytes);
        return bytes > 0;
    }
    const char *backslash = span_find(span_of(*at, (size_t)(end - *at)), '\\');
    const char *stop = backslash ? backslash : end;
    *piece = span_of(*at, (size_t)(stop - *at));
    *at = stop;
    return true;
}

bool json_string_is(const struct json_value *string, const char *text)
{
    if (string->kind != JSON_STRING) return false;
    struct span inside = json_string_inside(string), wanted = span_of_string(text);
    if (!string->escaped) return span_equals(inside, wanted);
    const char *at = inside.bytes, *end = at + inside.size;
    while (at < end) {
        char room[4];
        struct span piece;
        if (!take_piece(&at, end, room, &piece)) return false;
        if (piece.size > wanted.size || memcmp(piece.bytes, wanted.bytes, piece.size) != 0) return false;
        wanted = span_skip(wanted, piece.size);
    }
    return wanted.size == 0;
}

long json_string_unescape(const struct json_value *string, char *out, size_t out_max)
{
    CHECK(string->kind == JSON_STRING);
    struct span inside = json_string_inside(string);
    const char *at = inside.bytes, *end = at + inside.size;
    size_t size = 0;
    while (at < end) {
        char room[4];
        struct span piece;
        if (!take_piece(&at, end, room, &piece) || piece.size > out_max - size) return -1;
        memcpy(out + size, piece.bytes, piece.size);
        size += piece.size;
    }
    return (long)size;
}

/* ---- numbers ------------------------------------------------------------------------------------------------------- */

bool json_integer(const struct json_value *number, int64_t *integer)
{
    if (number->kind != JSON_NUMBER) return false;
    struct span digits = number->text;
    bool negative = digits.bytes[0] == '-';
    if (negative) digits = span_skip(digits, 1);
    const int64_t magnitude_max = INT64_C(1) << 53; /* what a double, and so JavaScript, holds exactly */
    int64_t magnitude = 0;
    for (size_t i = 0; i < digits.size; i++) {
        if (digits.bytes[i] < '0' || digits.bytes[i] > '9') return false;
        magnitude = magnitude * 10 + (digits.bytes[i] - '0');
        if (magnitude > magnitude_max) return false;
    }
    *integer = negative ? -magnitude : magnitude;
    return true;
}

/* A double is decided by its first 768 significant digits and by whether anything but zeros follows them. */
#define DIGITS_MAX 768

/* strtod wants a terminated text and minds the locale's point. So the number is written anew, short and without a point, as
 * digits and a power of ten. */
bool json_double(const struct json_value *number, double *real)
{
    if (number->kind != JSON_NUMBER) return false;
    char text[DIGITS_MAX + 32], *out = text;
    const char *at = number->text.bytes, *end = at + number->text.size;
    if (*at == '-') *out++ = *at++;

    int64_t exponent = 0;
    uint32_t digits = 0;
    bool behind_point = false, rest = false;
    for (; at < end && (*at | 0x20) != 'e'; at++) {
        if (*at == '.') {
            behind_point = true;
            continue;
        }
        bool leading_zero = digits == 0 && *at == '0';
        bool kept = !leading_zero && digits < DIGITS_MAX;
        if (kept) *out++ = *at, digits++;
        if (!kept && !leading_zero) rest |= *at != '0', exponent++;
        if (behind_point) exponent--;
    }
    if (digits == 0) *out++ = '0';
    if (rest) *out++ = '1', exponent--;

    const int64_t far = INT64_C(1) << 50; /* beyond what any number of digits could bring back */
    if (at < end) {
        at++;
        bool negative = *at == '-';
        if (*at == '-' || *at == '+') at++;
        int64_t written = 0;
        for (; at < end; at++) written = written < far ? written * 10 + (*at - '0') : written;
        exponent += negative ? -written : written;
    }
    const int64_t enough = 99999; /* already out of a double's range, either way */
    exponent = exponent > enough ? enough : exponent < -enough ? -enough : exponent;

    *out++ = 'e';
    if (exponent < 0) *out++ = '-', exponent = -exponent;
    for (int64_t unit = 10000; unit > 0; unit /= 10) *out++ = (char)('0' + exponent / unit % 10);
    *out = '\0';
    *real = strtod(text, NULL);
    return __builtin_isfinite(*real);
}

/* ---- writing ------------------------------------------------------------------------------------------------------- */

/* How many bytes at `at`, which begin no character, stand for one U+FFFD: as far as they could have become one (Unicode, 3.9). */
static unsigned broken_bytes(const char *at, const char *end)
{
    struct utf8 state = { 0 };
    unsigned bytes = 0;
    while (at + bytes < end && utf8_feed_scalar(&state, span_of(at + bytes, 1))) bytes++;
    return bytes > 0 ? bytes : 1;
}

/* How a quote, a backslash or a control character is written. */
static struct span escape_of(char byte, char room[6])
{
    static const char shorts[] = "\"\"\\\\\bb\ff\nn\rr\tt"; /* pairs: the character, its letter */
    room[0] = '\\';
    for (size_t i = 0; i + 1 < sizeof shorts; i += 2) {
        if (shorts[i] != byte) continue;
        room[1] = shorts[i + 1];
        return span_of(room, 2);
    }
    memcpy(room + 1, "u00", 3);
    room[4] = "0123456789abcdef"[(uint8_t)byte >> 4];
    room[5] = "0123456789abcdef"[byte & 15];
    return span_of(room, 6);
}

size_t json_escape(struct span text, char *out, size_t out_max)
{
    if (text.size == 0) return 0;
    const char *at = text.bytes, *end = at + text.size;
    size_t size = 0;
    for (;;) {
        const char *stop = json_search(text.bytes, at, end);
        size_t run = (size_t)(stop - at);
        if (run > out_max - size) run = out_max - size;
        if (run > 0) memcpy(out + size, at, run);
        size += run;
        at += run;
        if (at < stop || at == end) return size;

        char room[6];
        struct span piece;
        unsigned taken = 1;
        if ((uint8_t)*at < 0x80) {
            piece = escape_of(*at, room);
        } else if ((taken = utf8_char_bytes(at, end)) > 0) {
            piece = span_of(at, taken);
        } else {
            piece = SPAN_LITERAL("\xef\xbf\xbd");
            taken = broken_bytes(at, end);
        }
        if (piece.size > out_max - size) return size;
        memcpy(out + size, piece.bytes, piece.size);
        size += piece.size;
        at += taken;
    }
}
