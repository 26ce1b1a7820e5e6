/* See http_date.h. The names are those of the standard, whatever the locale. */
#include "core/proto/http_date.h"

#include <time.h>

static char *put(char *at, const char *text, size_t bytes)
{
    memcpy(at, text, bytes);
    return at + bytes;
}

static char *put_two(char *at, int number)
{
    *at++ = (char)('0' + number / 10);
    *at++ = (char)('0' + number % 10);
    return at;
}

static void write_date(char text[HTTP_DATE_BYTES], uint64_t second)
{
    static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t since_epoch = (time_t)second;
    struct tm parts;
    gmtime_r(&since_epoch, &parts);
    int year = parts.tm_year + 1900;
    char *at = put(text, days + 3 * parts.tm_wday, 3);
    at = put(at, ", ", 2);
    at = put_two(at, parts.tm_mday);
    *at++ = ' ';
    at = put(at, months + 3 * parts.tm_mon, 3);
    *at++ = ' ';
    at = put_two(put_two(at, year / 100), year % 100);
    *at++ = ' ';
    at = put_two(at, parts.tm_hour);
    *at++ = ':';
    at = put_two(at, parts.tm_min);
    *at++ = ':';
    at = put_two(at, parts.tm_sec);
    put(at, " GMT", 4);
}

struct span http_date_at(struct http_date *date, uint64_t second)
{
    if (date->second != second || date->text[0] == '\0') write_date(date->text, second);
    date->second = second;
    return span_of(date->text, sizeof date->text);
}
