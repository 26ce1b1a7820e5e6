/* Queries: the JSON that PROTOCOL.md shows, from what the window holds and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core/proto/json.h"
#include "tests/support/kit.h"

static struct query_reply ask(struct kit *kit, struct query_ask *query, struct text *answer)
{
    struct query_reply reply;
    answer->size = 0;
    assert_int_equal(engine_query(&kit->engine, query, TICKET_NONE, &reply, answer), LINK_DONE);
    return reply;
}

static void assert_answer(struct text *answer, const char *expected)
{
    text_add_char(answer, '\0');
    assert_string_equal(answer->bytes, expected);
}

/* Two updates of A with known times and epoch, seq 1 and 2. */
static struct kit *kit_of_two(void)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    kit->clock.wall_us = 1763812345678901;
    kit_publish(kit, "A", "{\"p\":189.32}");
    kit->clock.wall_us = 1763812345679313;
    kit_publish(kit, "A", "{\"p\":189.33}");
    memcpy(((struct topic *)(uintptr_t)kit_topic(kit, "A"))->epoch, "k3J9aQ0z", EPOCH_BYTES);
    return kit;
}

static void the_newest_update_is_answered_with_its_epoch(void **state)
{
    struct kit *kit = kit_of_two();
    struct text answer = { 0 };
    struct query_ask query = { .kind = QUERY_NEWEST, .topic = SPAN_LITERAL("A") };
    assert_true(ask(kit, &query, &answer).found);
    assert_answer(&answer, "{\"topic\":\"A\",\"epoch\":\"k3J9aQ0z\",\"seq\":2,\"ts\":1763812345679313,\"data\":{\"p\":189.33}}");
    text_free(&answer);
    kit_free(kit);
}

static void history_is_answered_oldest_first(void **state)
{
    static const struct {
        uint64_t    after_seq;
        uint32_t    limit;
        const char *updates;
    } facts[] = {
        { 0, 100, "{\"seq\":1,\"ts\":1763812345678901,\"data\":{\"p\":189.32}},{\"seq\":2,\"ts\":1763812345679313,\"data\":{\"p\":189.33}}" },
        { 0, 1, "{\"seq\":1,\"ts\":1763812345678901,\"data\":{\"p\":189.32}}" },
        { 1, 100, "{\"seq\":2,\"ts\":1763812345679313,\"data\":{\"p\":189.33}}" },
        { 2, 100, "" },
        { 3, 100, "" },
        { UINT64_MAX, 100, "" },
    };
    struct kit *kit = kit_of_two();
    struct text answer = { 0 };
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        char expected[400];
        struct query_ask query = { .kind = QUERY_HISTORY, .topic = SPAN_LITERAL("A"), .after_seq = facts[i].after_seq, .limit = facts[i].limit, .bytes_max = 1 << 20 };
        assert_true(ask(kit, &query, &answer).found);
        snprintf(expected, sizeof expected, "{\"topic\":\"A\",\"epoch\":\"k3J9aQ0z\",\"updates\":[%s]}", facts[i].updates);
        assert_answer(&answer, expected);
    }
    text_free(&answer);
    kit_free(kit);
}

static void what_has_no_update_is_not_found(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    struct text answer = { 0 };
    kit_subscribe(kit, 0, "followed", MODE_LATEST);
    kit_publish(kit, "deleted", "1");
    kit_delete(kit, "deleted");
    static const char *const names[] = { "never", "followed", "deleted" };
    for (size_t i = 0; i < 3; i++) {
        struct query_ask newest = { .kind = QUERY_NEWEST, .topic = span_of_string(names[i]) };
        struct query_ask history = { .kind = QUERY_HISTORY, .topic = span_of_string(names[i]), .limit = 10, .bytes_max = 1000 };
        assert_false(ask(kit, &newest, &answer).found);
        assert_false(ask(kit, &history, &answer).found);
        assert_int_equal(answer.size, 0);
    }
    text_free(&answer);
    kit_free(kit);
}

static void history_begins_where_the_window_does(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ .window = { .updates_max = 10 } });
    struct text answer = { 0 };
    for (int i = 0; i < 500; i++) {
        kit_publish_bytes(kit, "A", 100);
        kit_turn(kit);
    }
    uint64_t tail_seq = kit_topic(kit, "A")->log.ends.tail.seq;
    assert_true(tail_seq > 2);
    for (uint64_t after_seq = 0; after_seq <= tail_seq; after_seq++) {
        struct query_ask query = { .kind = QUERY_HISTORY, .topic = SPAN_LITERAL("A"), .after_seq = after_seq, .limit = 1, .bytes_max = 1 << 20 };
        ask(kit, &query, &answer);
        text_add_char(&answer, '\0');
        unsigned long long first = 0;
        assert_int_equal(sscanf(strstr(answer.bytes, "\"updates\":[") + 11, "{\"seq\":%llu,", &first), 1);
        assert_int_equal(first, after_seq + 1 > tail_seq ? after_seq + 1 : tail_seq);
    }
    text_free(&answer);
    kit_free(kit);
}

/* An answer is made in one piece: its bound is a bound. */
static void a_history_ends_before_its_bound_but_not_before_its_first_update(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    struct text answer = { 0 };
    for (int i = 0; i < 200; i++) kit_publish_bytes(kit, "A", 1 + (size_t)i);
    for (size_t bytes_max = 0; bytes_max < 5000; bytes_max += 7) {
        struct query_ask query = { .kind = QUERY_HISTORY, .topic = SPAN_LITERAL("A"), .limit = 1000, .bytes_max = bytes_max };
        assert_true(ask(kit, &query, &answer).found);
        struct json_value value;
        assert_int_equal(json_validate(text_span(&answer), 10, &value), JSON_OK);
        bool one = !memmem(answer.bytes, answer.size, "},{", 3);
        assert_true(one || answer.size <= bytes_max);
        assert_non_null(memmem(answer.bytes, answer.size, "{\"seq\":1,", 9));
    }
    text_free(&answer);
    kit_free(kit);
}

static void names_are_listed_page_by_page(void **state)
{
    static const struct {
        const char *prefix, *after;
        uint32_t    limit;
        const char *names;
        bool        more;
    } facts[] = {
        { "", NULL, 100, "\"a\",\"a.b\",\"b\",\"c.x\"", false },
        { "", NULL, 2, "\"a\",\"a.b\"", true },
        { "", "a.b", 2, "\"b\",\"c.x\"", false },
        { "", "c.x", 2, "", false },
        { "a", NULL, 1, "\"a\"", true },
        { "a", "a", 1, "\"a.b\"", false },
        { "a.", NULL, 10, "\"a.b\"", false },
        { "$", NULL, 10, "", false },
        { "zz", NULL, 10, "", false },
    };
    static const char *const all[] = { "c.x", "a", "$sys.load", "b", "a.b", "$sys" };
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    struct text answer = { 0 };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) kit_publish(kit, all[i], "1");
    kit_subscribe(kit, 0, "unborn", MODE_LATEST);
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        struct query_ask query = { .kind = QUERY_NAMES, .prefix = span_of_string(facts[i].prefix), .after = span_of_string(facts[i].after), .limit = facts[i].limit };
        struct query_reply reply = ask(kit, &query, &answer);
        assert_true(reply.found);
        assert_int_equal(reply.more, facts[i].more);
        assert_answer(&answer, facts[i].names);
    }
    text_free(&answer);
    kit_free(kit);
}

static void the_last_name_of_a_page_begins_the_next(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ 0 });
    struct text answer = { 0 };
    for (const char *name = "d\0b\0$sys\0a\0c\0"; *name; name += strlen(name) + 1) kit_publish(kit, name, "1");
    static const char *const pages[] = { "\"a\",\"b\"", "\"c\",\"d\"", "" };
    struct query_ask query = { .kind = QUERY_NAMES, .prefix = SPAN_LITERAL(""), .limit = 2 };
    for (size_t i = 0; i < 3; i++) {
        struct query_reply reply = ask(kit, &query, &answer);
        assert_int_equal(reply.more, i == 0);
        assert_int_equal(reply.last.bytes != NULL, i < 2);
        assert_answer(&answer, pages[i]);
        query.after = reply.last;
    }
    text_free(&answer);
    kit_free(kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_update_is_answered_with_its_epoch),
        cmocka_unit_test(history_is_answered_oldest_first),
        cmocka_unit_test(what_has_no_update_is_not_found),
        cmocka_unit_test(history_begins_where_the_window_does),
        cmocka_unit_test(a_history_ends_before_its_bound_but_not_before_its_first_update),
        cmocka_unit_test(names_are_listed_page_by_page),
        cmocka_unit_test(the_last_name_of_a_page_begins_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
