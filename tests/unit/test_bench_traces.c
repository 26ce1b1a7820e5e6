/* Traces of the bench: what this side saw of an update and what each shard told of it come together to one way, that of the shard which ended last. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bench/traces.h"

#define DOORS "\"doors\":[\"received\",\"read\",\"taken\",\"appended\",\"told\",\"heard\",\"woken\",\"staged\",\"submitted\",\"settled\",\"last\"]"
#define PAGE(shard, updates) SPAN_LITERAL("{\"shard\":" shard ",\"missed\":0," DOORS ",\"updates\":[" updates "]}")

static const uint32_t followers[] = { 2, 2 };

static uint32_t find(const void *names, struct span name)
{
    (void)names;
    return span_is(name, "t.0") ? 0 : span_is(name, "t.1") ? 1 : UINT32_MAX;
}

static struct traces *make(void)
{
    static struct traces traces;
    assert_int_equal(traces_init(&traces), 0);
    traces.followers = followers;
    traces.find = find;
    return &traces;
}

static struct traces_update *only(struct traces *traces)
{
    struct traces_update *found = NULL;
    for (uint32_t i = 0; i < TRACES_UPDATES; i++) {
        if (traces->updates[i].seq == 0) continue;
        assert_null(found);
        found = &traces->updates[i];
    }
    assert_non_null(found);
    return found;
}

static int64_t at(const struct traces_update *update, enum door door)
{
    return update->at_ns[TRACES_GATEWAY + door];
}

static void an_update_is_whole_when_all_have_it_and_its_home_has_told(void **state)
{
    struct traces *traces = make();
    traces_sent(traces, 1, 7, 900, 1000);
    assert_true(traces_take(traces, PAGE("0", "[\"t.1\",7,2000,0,10,null,30,null,null,40,50,60,70,900]")));
    traces_seen(traces, 1, 7, 2100);
    assert_int_equal(traces_whole(traces), 0);
    traces_seen(traces, 1, 7, 3000);
    assert_int_equal(traces_whole(traces), 1);
    const struct traces_update *update = only(traces);
    assert_int_equal(update->at_ns[TRACES_DUE], 900);
    assert_int_equal(update->at_ns[TRACES_SENT], 1000);
    assert_int_equal(at(update, DOOR_RECEIVED), 2000);
    assert_int_equal(at(update, DOOR_TAKEN), 0);
    assert_int_equal(at(update, DOOR_APPENDED), 2030);
    assert_int_equal(at(update, DOOR_LAST), 2900);
    assert_int_equal(update->at_ns[TRACES_FIRST], 2100);
    assert_int_equal(update->at_ns[TRACES_ALL], 3000);
    traces_deinit(traces);
}

/* In whatever order the shards are asked. */
static void of_several_shards_the_way_is_that_of_the_last(void **state)
{
    static const struct span pages[] = {
        PAGE("0", "[\"t.0\",5,2000,0,10,20,30,35,null,40,50,60,70,900]"), /* home */
        PAGE("1", "[\"t.0\",5,2100,null,null,null,null,null,0,1,2,3,4,1000]"),
        PAGE("2", "[\"t.0\",5,2200,null,null,null,null,null,0,1,2,3,4,500]"),
    };
    static const int orders[][3] = { { 0, 1, 2 }, { 1, 0, 2 }, { 2, 1, 0 }, { 1, 2, 0 } };
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        struct traces *traces = make();
        traces_sent(traces, 0, 5, 900, 1000);
        for (int k = 0; k < 3; k++) assert_true(traces_take(traces, pages[orders[i][k]]));
        const struct traces_update *update = only(traces);
        assert_true(update->came);
        assert_int_equal(at(update, DOOR_TAKEN), 2020);
        assert_int_equal(at(update, DOOR_TOLD), 2035);
        assert_int_equal(at(update, DOOR_HEARD), 2100);
        assert_int_equal(at(update, DOOR_WOKEN), 2101);
        assert_int_equal(at(update, DOOR_LAST), 3100);
        traces_deinit(traces);
    }
}

static void others_updates_are_passed_over(void **state)
{
    struct traces *traces = make();
    traces_sent(traces, 0, 5, 900, 1000);
    assert_true(traces_take(traces, PAGE("0", "[\"another\",5,2000,0,1,null,2,null,null,3,4,5,6,7],[\"t.0\",4,2000,0,1,null,2,null,null,3,4,5,6,7]")));
    assert_false(only(traces)->came);
    assert_int_equal(traces->told, 0);
    traces_seen(traces, 0, 4, 1500);
    assert_int_equal(only(traces)->count, 0);
    traces_deinit(traces);
}

static void doors_that_are_not_ours_are_refused(void **state)
{
    struct traces *traces = make();
    assert_false(traces_take(traces, SPAN_LITERAL("{\"doors\":[\"received\",\"gone\"],\"updates\":[]}")));
    assert_false(traces_take(traces, SPAN_LITERAL("{\"updates\":[]}")));
    assert_false(traces_take(traces, PAGE("0", "[\"t.0\",5]")));
    assert_false(traces_take(traces, PAGE("0", "5")));
    assert_true(traces_take(traces, PAGE("0", "")));
    traces_deinit(traces);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_update_is_whole_when_all_have_it_and_its_home_has_told),
        cmocka_unit_test(of_several_shards_the_way_is_that_of_the_last),
        cmocka_unit_test(others_updates_are_passed_over),
        cmocka_unit_test(doors_that_are_not_ours_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
