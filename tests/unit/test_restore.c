/* What outlives the process: each topic's newest update, on a keyed topic the range from its last key; put back, it goes on as if nothing had been. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/pubsub/following.h"
#include "core/pubsub/restore.h"
#include "tests/support/kit.h"

struct carried {
    struct kit *to;
    struct text said;
    bool        refused;
};

static void carry(void *context, const struct kept_update *update)
{
    struct carried *carried = context;
    text_print(&carried->said, "%s%.*s %llu%s %.*s", carried->said.size > 0 ? ", " : "", (int)update->topic.size, update->topic.bytes, (unsigned long long)update->seq, update->key ? " key" : "",
               (int)update->data.size, update->data.bytes);
    if (carried->to && !home_restore(&carried->to->engine.home, update, engine_name_hash(&carried->to->engine, update->topic))) carried->refused = true;
}

static void assert_kept(struct kit *from, struct kit *to, const char *what)
{
    struct carried carried = { .to = to };
    home_visit_kept(&from->engine.home, carry, &carried);
    text_add_char(&carried.said, '\0');
    assert_string_equal(carried.said.bytes, what);
    assert_false(carried.refused);
    text_free(&carried.said);
}

static void the_newest_update_goes_on_with_its_seq_and_epoch(void **state)
{
    struct kit *before = kit_make(&(struct kit_settings){ 0 }), *after = kit_make(&(struct kit_settings){ 0 });
    for (int i = 1; i <= 50; i++) kit_publish(before, "A", "1");
    assert_kept(before, after, "A 50 1");
    assert_memory_equal(kit_topic(after, "A")->epoch, kit_topic(before, "A")->epoch, EPOCH_BYTES);
    assert_int_equal(kit_topic(after, "A")->ts_us, kit_topic(before, "A")->ts_us);
    assert_int_equal(after->engine.home.names.count, 1);
    assert_int_equal(kit_subscribe(after, 0, "A", MODE_EVERY).seq, 50);
    assert_int_equal(kit_publish(after, "A", "2"), 51);
    assert_kept(after, NULL, "A 51 2");
    kit_free(before);
    kit_free(after);
}

static void of_a_keyed_topic_the_last_key_and_what_follows_are_kept(void **state)
{
    struct kit *before = kit_make(&(struct kit_settings){ 0 }), *after = kit_make(&(struct kit_settings){ 0 });
    kit_publish(before, "A", "1");
    for (int i = 0; i < 3; i++) {
        kit_publish_key(before, "A", "10");
        kit_publish(before, "A", "11");
        kit_publish(before, "A", "12");
    }
    assert_kept(before, after, "A 8 key 10, A 9 11, A 10 12");
    assert_true(kit_topic(after, "A")->log.keyed);
    assert_int_equal(kit_topic(after, "A")->log.ends.key.seq, 8);
    assert_int_equal(kit_publish(after, "A", "13"), 11);
    assert_kept(after, NULL, "A 8 key 10, A 9 11, A 10 12, A 11 13");
    kit_free(before);
    kit_free(after);
}

static void what_does_not_fit_is_refused_and_changes_nothing(void **state)
{
    struct kit *kit = kit_make(&(struct kit_settings){ .topics_max = 2 });
    struct home *home = &kit->engine.home;
    struct kept_update update = { SPAN_LITERAL("A"), SPAN_LITERAL("abcdefgh"), 7, 5, SPAN_LITERAL("1"), false };
    assert_true(home_restore(home, &update, engine_name_hash(&kit->engine, update.topic)));
    assert_false(home_restore(home, &update, engine_name_hash(&kit->engine, update.topic))); /* the same again */
    update.seq = 9;
    assert_false(home_restore(home, &update, engine_name_hash(&kit->engine, update.topic))); /* a hole */
    update.seq = 8;
    update.epoch = SPAN_LITERAL("ABCDEFGH");
    assert_false(home_restore(home, &update, engine_name_hash(&kit->engine, update.topic))); /* another life */
    update.topic = SPAN_LITERAL("B");
    update.seq = 0;
    assert_false(home_restore(home, &update, engine_name_hash(&kit->engine, update.topic)));
    update.seq = 1;
    update.epoch = SPAN_LITERAL("ABC");
    assert_false(home_restore(home, &update, engine_name_hash(&kit->engine, update.topic)));
    assert_int_equal(home->topics_count, 1);
    assert_int_equal(home->names.count, 1);
    update.epoch = SPAN_LITERAL("ABCDEFGH");
    assert_true(home_restore(home, &update, engine_name_hash(&kit->engine, update.topic)));
    update.topic = SPAN_LITERAL("C");
    assert_false(home_restore(home, &update, engine_name_hash(&kit->engine, update.topic))); /* limits.topics */
    assert_int_equal(home->names.count, 2);
    kit_free(kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_update_goes_on_with_its_seq_and_epoch),
        cmocka_unit_test(of_a_keyed_topic_the_last_key_and_what_follows_are_kept),
        cmocka_unit_test(what_does_not_fit_is_refused_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
