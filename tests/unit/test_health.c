/* Which URL answers for a `listen` setting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/health.h"

static void answers(const char *listen, const char *right)
{
    char url[64];
    assert_true(health_url(listen, "/readyz", url, sizeof url));
    assert_string_equal(url, right);
}

static void this_machine_stands_for_any_address(void **state)
{
    (void)state;
    answers("127.0.0.1:8080", "http://127.0.0.1:8080/readyz");
    answers("0.0.0.0:80", "http://127.0.0.1:80/readyz");
    answers(":8080", "http://127.0.0.1:8080/readyz");
    answers("[::]:8080", "http://[::1]:8080/readyz");
    answers("[fd00::1]:8080", "http://[fd00::1]:8080/readyz");
    answers("gateway.example:9", "http://gateway.example:9/readyz");
}

static void what_has_no_room_or_no_port_is_refused(void **state)
{
    char url[] = "http://127.0.0.1:8080/readyz";
    (void)state;
    assert_true(health_url("0.0.0.0:8080", "/readyz", url, sizeof url));
    assert_false(health_url("0.0.0.0:8080", "/readyz", url, sizeof url - 1));
    assert_false(health_url("0.0.0.0", "/readyz", url, sizeof url));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(this_machine_stands_for_any_address),
        cmocka_unit_test(what_has_no_room_or_no_port_is_refused),
    };
    return cmocka_run_group_tests_name("health", tests, NULL, NULL);
}
