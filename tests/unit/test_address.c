/* Addresses and networks as text, and whom X-Forwarded-For speaks for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/rate.h"
#include "core/proto/address.h"
#include "tests/unit/guard.h"

static void addresses_are_read_and_written(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct { const char *text, *hop, *written; } facts[] = {
        { "192.0.2.7", "192.0.2.7", "192.0.2.7" },             { NULL, "192.0.2.7:80", "192.0.2.7" },
        { "2001:DB8::1", "2001:db8::1", "2001:db8::1" },       { NULL, "[2001:db8::1]", "2001:db8::1" },
        { NULL, "[2001:db8::1]:443", "2001:db8::1" },          { "::ffff:192.0.2.7", "::ffff:192.0.2.7", "192.0.2.7" },
        { "::1", "[::1]:1", "::1" },                           { "0.0.0.0", "0.0.0.0:0", "0.0.0.0" },
        { "1.2.3", NULL, NULL }, { "1.2.3.4.5", NULL, NULL }, { "256.1.1.1", NULL, NULL }, { "01.2.3.4x", NULL, NULL }, { "", NULL, NULL },
        { ":::", NULL, NULL }, { "fe80::1%eth0", NULL, NULL }, { " 1.2.3.4", NULL, NULL }, { "unknown", NULL, NULL }, { "1:2:3:4:5:6:7:8:9", NULL, NULL },
        { NULL, "[1.2.3.4]", NULL }, { NULL, "1.2.3.4:", NULL }, { NULL, "1.2.3.4:port", NULL }, { NULL, "[::1", NULL }, { NULL, "[::1]x", NULL }, { NULL, "[::1]:", NULL },
        { NULL, "1.2.3.4:123456", NULL }, { NULL, "[", NULL }, { NULL, "[]", NULL }, { NULL, ":", NULL }, { NULL, "_hidden", NULL },
        { "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa", NULL, NULL },
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        for (int as_hop = 0; as_hop < 2; as_hop++) {
            const char *text = as_hop ? facts[i].hop : facts[i].text;
            char out[ADDRESS_TEXT_BYTES];
            struct address address;
            if (!text) continue;
            struct span span = guard_span(span_of_string(text));
            bool read = as_hop ? address_read_hop(span, &address) : address_read(span, &address);
            guard_free(span.bytes);
            if (read != (facts[i].written != NULL)) fail_msg("%s", text);
            if (read) assert_string_equal(address_write(&address, out), facts[i].written);
        }
    }
}

static void networks_hold_what_begins_alike(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct { const char *network, *inside, *outside; } facts[] = {
        { "10.0.0.0/8", "10.255.255.255", "11.0.0.0" },      { "192.0.2.7", "192.0.2.7", "192.0.2.6" },        { "192.0.2.6/31", "192.0.2.7", "192.0.2.8" },
        { "0.0.0.0/0", "203.0.113.9", "2001:db8::1" },       { "2001:db8::/32", "2001:db8:ffff::", "2001:db9::" }, { "::/0", "2001:db8::1", NULL },
        { "::1", "::1", "::2" },                             { "2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::" }, { "::ffff:10.0.0.0/104", "10.1.2.3", "11.1.2.3" },
        { "10.0.0.1/8", NULL, NULL }, { "10.0.0.0/33", NULL, NULL }, { "::/129", NULL, NULL }, { "10.0.0.0/", NULL, NULL }, { "/8", NULL, NULL }, { "10.0.0.0/8x", NULL, NULL },
        { "10.0.0.0/-1", NULL, NULL }, { "10.0.0.0/0008", NULL, NULL }, { "", NULL, NULL }, { "localhost", NULL, NULL }, { "2001:db8::1/32", NULL, NULL },
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        struct network network;
        struct address address;
        struct span span = guard_span(span_of_string(facts[i].network));
        bool read = network_read(span, &network);
        guard_free(span.bytes);
        if (read != (facts[i].inside != NULL)) fail_msg("%s", facts[i].network);
        if (!read) continue;
        assert_true(address_read(span_of_string(facts[i].inside), &address));
        if (!network_has(&network, &address)) fail_msg("%s holds %s", facts[i].network, facts[i].inside);
        if (!facts[i].outside) continue;
        assert_true(address_read(span_of_string(facts[i].outside), &address));
        if (network_has(&network, &address)) fail_msg("%s does not hold %s", facts[i].network, facts[i].outside);
    }
}

static void lists_are_bounded_and_name_the_fault(void **state)
{
    (void)state;
    struct network networks[3];
    struct span fault;
    assert_int_equal(networks_read(SPAN_LITERAL(" 10.0.0.0/8,\t::1 , 192.0.2.1"), networks, 3, &fault), 3);
    assert_int_equal(networks_read(SPAN_LITERAL(" , ,"), networks, 3, &fault), 0);
    assert_int_equal(networks_read(SPAN_NONE, networks, 3, &fault), 0);
    assert_int_equal(networks_read(SPAN_LITERAL("::1,10.0.0.1/8"), networks, 3, &fault), -1);
    assert_true(span_is(fault, "10.0.0.1/8"));
    assert_int_equal(networks_read(SPAN_LITERAL("::1 ::2 ::3 ::4"), networks, 3, &fault), -1);
    assert_true(span_is(fault, "::4"));
}

static void prefixes_are_of_ipv6_alone(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct { const char *address; uint32_t prefix; const char *cut; } facts[] = {
        { "2001:db8:1:2:3:4:5:6", 64, "2001:db8:1:2::" }, { "2001:db8:1:2:3:4:5:6", 128, "2001:db8:1:2:3:4:5:6" }, { "2001:db8:ffff::", 33, "2001:db8:8000::" },
        { "2001:db8::1", 1, "::" }, { "192.0.2.7", 64, "192.0.2.7" }, { "192.0.2.7", 1, "192.0.2.7" },
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        struct address address;
        char out[ADDRESS_TEXT_BYTES];
        assert_true(address_read(span_of_string(facts[i].address), &address));
        address = address_cut(&address, facts[i].prefix);
        assert_string_equal(address_write(&address, out), facts[i].cut);
    }
}

static void the_rightmost_hop_that_is_not_ours_is_believed(void **state)
{
    (void)state;
    struct network ours[2];
    struct span fault;
    assert_int_equal(networks_read(SPAN_LITERAL("10.0.0.0/8 2001:db8::/32"), ours, 2, &fault), 2);
    /* clang-format off */
    static const struct { const char *hops[4]; const char *found; bool foreign; } facts[] = {
        { { "203.0.113.7" }, "203.0.113.7", true },                    { { "6.6.6.6", "203.0.113.7" }, "203.0.113.7", true },
        { { "203.0.113.7", "10.1.1.1", "2001:db8::9" }, "203.0.113.7", true }, { { "10.9.9.9", "6.6.6.6", "10.1.1.1", "203.0.113.7" }, "203.0.113.7", true },
        { { "10.1.1.1", "10.2.2.2" }, "10.1.1.1", false },             { { "203.0.113.7", "unknown" }, NULL, true },
        { { "unknown", "203.0.113.7", "10.1.1.1" }, "203.0.113.7", true }, { { "203.0.113.7", "unknown", "10.1.1.1" }, NULL, true },
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        struct forwarded forwarded = { .begun = false };
        char out[ADDRESS_TEXT_BYTES];
        for (size_t n = 0; n < 4 && facts[i].hops[n]; n++) forwarded_add(&forwarded, span_of_string(facts[i].hops[n]), ours, 2);
        assert_true(forwarded.begun);
        assert_int_equal(forwarded.unknown, !facts[i].found);
        assert_int_equal(forwarded.foreign, facts[i].foreign);
        if (facts[i].found) assert_string_equal(address_write(&forwarded.address, out), facts[i].found);
    }
}

/* A twin that counts: of any second's length no more than the rate and a burst are let through, and what keeps to the rate always is. */
static void a_rate_lets_through_its_burst_and_then_its_rate(void **state)
{
    (void)state;
    struct rate rate = { 0 };
    uint64_t now_us = 5000000, taken = 0;
    for (int i = 0; i < 1000; i++) taken += rate_take(&rate, now_us, 100, 2 * RATE_SECOND_US, 1);
    assert_int_equal(taken, 200);
    assert_true(rate_wait_us(&rate, now_us, 2 * RATE_SECOND_US) > 0 && rate_wait_us(&rate, now_us, 2 * RATE_SECOND_US) <= 10001);
    for (int ms = 0; ms < 10000; ms++, now_us += 1000) taken += rate_take(&rate, now_us, 100, 2 * RATE_SECOND_US, 1);
    assert_in_range(taken, 1199, 1201);
    now_us += 10000000; /* at rest it fills, and no further than its burst */
    for (int i = 0; i < 1000; i++) taken += rate_take(&rate, now_us, 100, 2 * RATE_SECOND_US, 1);
    assert_in_range(taken, 1399, 1401);
    assert_false(rate_take(&rate, now_us, 100, 2 * RATE_SECOND_US, 1));
    rate_give(&rate, 100, 50);
    for (int i = 0; i < 1000; i++) taken += rate_take(&rate, now_us, 100, 2 * RATE_SECOND_US, 1);
    assert_in_range(taken, 1449, 1451);
    assert_true(rate_take(&(struct rate){ 0 }, 1, 1000000, 1, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_and_written),
        cmocka_unit_test(networks_hold_what_begins_alike),
        cmocka_unit_test(lists_are_bounded_and_name_the_fault),
        cmocka_unit_test(prefixes_are_of_ipv6_alone),
        cmocka_unit_test(the_rightmost_hop_that_is_not_ours_is_believed),
        cmocka_unit_test(a_rate_lets_through_its_burst_and_then_its_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
