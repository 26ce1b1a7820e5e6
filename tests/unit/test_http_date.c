/* Date lines: known moments, each weekday and month, and that a new second is a new text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "core/proto/http_date.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

static void known_moments_are_written_as_the_standard_does(void **state)
{
    (void)state;
    static const struct {
        uint64_t    second;
        const char *text;
    } facts[] = {
        { 784111777, "Sun, 06 Nov 1994 08:49:37 GMT" }, /* RFC 9110, 5.6.7 */
        { 0, "Thu, 01 Jan 1970 00:00:00 GMT" },
        { 951782400, "Tue, 29 Feb 2000 00:00:00 GMT" },
        { 1709251199, "Thu, 29 Feb 2024 23:59:59 GMT" },
        { 4102444799, "Thu, 31 Dec 2099 23:59:59 GMT" },
        { 253402300799, "Fri, 31 Dec 9999 23:59:59 GMT" },
    };
    struct http_date date = { 0 };
    for (size_t i = 0; i < COUNT_OF(facts); i++) {
        struct span text = http_date_at(&date, facts[i].second);
        assert_int_equal(text.size, strlen(facts[i].text));
        assert_memory_equal(text.bytes, facts[i].text, text.size);
    }
}

static void every_day_of_ten_years_is_what_strftime_says(void **state)
{
    (void)state;
    struct http_date date = { 0 };
    for (uint64_t second = 1700000000; second < 1700000000 + 3653 * 86400ull; second += 86413) {
        char expected[64];
        time_t since_epoch = (time_t)second;
        struct tm parts;
        strftime(expected, sizeof expected, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&since_epoch, &parts)); /* in the C locale, which tests begin in */
        assert_memory_equal(http_date_at(&date, second).bytes, expected, HTTP_DATE_BYTES);
        assert_memory_equal(http_date_at(&date, second).bytes, expected, HTTP_DATE_BYTES);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_moments_are_written_as_the_standard_does),
        cmocka_unit_test(every_day_of_ten_years_is_what_strftime_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
