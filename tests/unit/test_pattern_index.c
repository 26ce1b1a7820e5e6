/* The pattern index: a table of facts, a random life beside topic_pattern_matches(), and what hostile patterns may cost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>

#include "core/base/random.h"
#include "core/proto/topic_name.h"
#include "core/pubsub/pattern_index.h"
#include "tests/unit/guard.h"

static const uint8_t key[SIPHASH_KEY_BYTES] = "sixteen bytes it";

#define LETTERS_31 "abcdefghijklmnopqrstuvwxyzabcde"

enum { VALUES_MAX = 20000 };

static struct {
    uint8_t  visits[VALUES_MAX]; /* of each value */
    uint32_t count;
} seen;

static void see(void *context, uint32_t value)
{
    assert_ptr_equal(context, &seen);
    assert_true(value < VALUES_MAX);
    seen.visits[value]++;
    seen.count++;
}

static uint32_t match(const struct pattern_index *index, struct span name)
{
    memset(&seen, 0, sizeof seen);
    uint32_t looked_at = pattern_index_match(index, name, see, &seen);
    assert_true(looked_at >= 1 && looked_at <= index->nodes.used);
    return looked_at;
}

static int add(struct pattern_index *index, const char *pattern, uint32_t value)
{
    struct span text = guard_span(span_of_string(pattern));
    int error = pattern_index_add(index, text, value);
    guard_free(text.bytes);
    return error;
}

static void assert_empty(const struct pattern_index *index)
{
    assert_int_equal(index->count, 0);
    assert_int_equal(index->nodes.used, 1);
    assert_int_equal(index->literals.count, 0);
}

/* ---- facts ----------------------------------------------------------------------------------------------------------- */

/* clang-format off */
static const char *const patterns[] = {
    "*", ">", "a", "a.*", "a.>", "a.b", "*.b", "*.*", "*.>", "a.*.c", "a.*.>", "*.*.*", "a.b.c", "*.b.>", "*.*.c",
    "$sys", "$sys.*", "$sys.>", "$sys.a", "a.$b", "crypto.BTC/USD", "crypto.*", LETTERS_31 "a", LETTERS_31 "ab",
    LETTERS_31 "ac", LETTERS_31 "ab.*", "*." LETTERS_31 "ab.>", "caf\xc3\xa9.*",
};

/* What covers the name, in the order of `patterns`. */
static const struct { const char *name, *covered_by; } facts[] = {
    { "a",                     "* > a" },
    { "b",                     "* >" },
    { "ab",                    "* >" },
    { "a.b",                   "> a.* a.> a.b *.b *.* *.>" },
    { "a.c",                   "> a.* a.> *.* *.>" },
    { "b.b",                   "> *.b *.* *.>" },
    { "b.a",                   "> *.* *.>" },
    { "a.b.c",                 "> a.> *.> a.*.c a.*.> *.*.* a.b.c *.b.> *.*.c" },
    { "a.b.d",                 "> a.> *.> a.*.> *.*.* *.b.>" },
    { "b.a.c",                 "> *.> *.*.* *.*.c" },
    { "a.b.c.d",               "> a.> *.> a.*.> *.b.>" },
    { "$sys",                  "$sys" },
    { "$sys.a",                "$sys.* $sys.> $sys.a" },
    { "$sys.a.b",              "$sys.>" },
    { "$sys.b.c",              "$sys.>" },
    { "$other.b",              "" },
    { "$",                     "" },
    { "a.$b",                  "> a.* a.> *.* *.> a.$b" },
    { "b.$sys",                "> *.* *.>" },
    { "crypto.BTC/USD",        "> *.* *.> crypto.BTC/USD crypto.*" },
    { "crypto.BTC",            "> *.* *.> crypto.*" },
    { LETTERS_31 "a",          "* > " LETTERS_31 "a" },
    { LETTERS_31 "ab",         "* > " LETTERS_31 "ab" },
    { LETTERS_31 "ad",         "* >" },
    { LETTERS_31 "ab.x",       "> *.* *.> " LETTERS_31 "ab.*" },
    { LETTERS_31 "ac.x",       "> *.* *.>" },
    { "x." LETTERS_31 "ab.y",  "> *.> *.*.* *." LETTERS_31 "ab.>" },
    { "caf\xc3\xa9.a",         "> *.* *.> caf\xc3\xa9.*" },
    { "caf\xc3\xa8.a",         "> *.* *.>" },
};
/* clang-format on */

enum { PATTERNS = sizeof patterns / sizeof *patterns };

static void each_name_meets_the_patterns_that_cover_it(void **state)
{
    struct pattern_index index;
    assert_int_equal(pattern_index_init(&index, key), 0);
    for (uint32_t i = 0; i < PATTERNS; i++) {
        assert_null(topic_pattern_fault(span_of_string(patterns[i])));
        assert_int_equal(add(&index, patterns[i], i), 0);
    }
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        struct span name = guard_span(span_of_string(facts[i].name));
        match(&index, name);
        guard_free(name.bytes);
        char found[1000] = "";
        for (uint32_t j = 0; j < PATTERNS; j++)
            for (uint8_t visit = 0; visit < seen.visits[j]; visit++) {
                if (found[0]) strcat(found, " ");
                strcat(found, patterns[j]);
            }
        if (strcmp(found, facts[i].covered_by) != 0) fail_msg("%s is covered by [%s]", facts[i].name, found);
    }
    pattern_index_deinit(&index); /* with all in it: the leak checker looks on */
}

static void a_pattern_is_there_once_and_until_removed(void **state)
{
    struct pattern_index index;
    assert_int_equal(pattern_index_init(&index, key), 0);
    for (uint32_t i = 0; i < PATTERNS; i++) {
        struct span pattern = span_of_string(patterns[i]);
        assert_int_equal(pattern_index_find(&index, pattern), PATTERN_INDEX_NONE);
        assert_int_equal(add(&index, patterns[i], i), 0);
        assert_int_equal(add(&index, patterns[i], i + 1), -EEXIST);
        assert_int_equal(pattern_index_find(&index, pattern), i);
        assert_int_equal(index.count, i + 1);
    }
    for (uint32_t i = 0; i < PATTERNS; i++) {
        struct span pattern = span_of_string(patterns[i]);
        uint32_t value = 77;
        assert_true(pattern_index_remove(&index, pattern, &value));
        assert_int_equal(value, i);
        assert_false(pattern_index_remove(&index, pattern, &value));
        assert_int_equal(value, i);
        assert_int_equal(pattern_index_find(&index, pattern), PATTERN_INDEX_NONE);
        for (uint32_t j = i + 1; j < PATTERNS; j++)
            assert_int_equal(pattern_index_find(&index, span_of_string(patterns[j])), j);
    }
    assert_empty(&index);
    pattern_index_deinit(&index);
}

static void what_leads_to_a_pattern_is_none(void **state)
{
    static const char *const absent[] = { "*", ">", "a", "a.*", "a.>", "a.*.b", "a.*.b.>", "a.*.b.c.d", "b", "b.>" };
    struct pattern_index index;
    uint32_t value;
    assert_int_equal(pattern_index_init(&index, key), 0);
    assert_int_equal(add(&index, "a.*.b.c", 0), 0);
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++) {
        assert_int_equal(pattern_index_find(&index, span_of_string(absent[i])), PATTERN_INDEX_NONE);
        assert_false(pattern_index_remove(&index, span_of_string(absent[i]), &value));
    }
    assert_int_equal(index.count, 1);
    pattern_index_deinit(&index);
}

static void an_empty_index_covers_nothing(void **state)
{
    struct pattern_index index;
    assert_int_equal(pattern_index_init(&index, key), 0);
    assert_int_equal(match(&index, SPAN_LITERAL("a.b")), 1);
    assert_int_equal(seen.count, 0);
    pattern_index_deinit(&index);
}

static void without_room_nothing_changes(void **state)
{
    static const struct {
        const char *pattern;
        uint32_t    nodes; /* beside those of a.* */
    } wanted[] = { { "a.*.x.y.>", 2 }, { "b.*.x.y", 4 }, { "*.a.b.c", 4 }, { LETTERS_31 "ab." LETTERS_31 "ac.*.d", 4 } };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        struct pattern_index index;
        struct span pattern = span_of_string(wanted[i].pattern);
        assert_int_equal(pattern_index_init(&index, key), 0);
        assert_int_equal(add(&index, "a.*", 0), 0);
        uint32_t used = index.nodes.used, literals = index.literals.count;
        for (uint32_t room = 0; room < wanted[i].nodes; room++) {
            index.nodes.items_max = used + room; /* so many nodes and no more */
            assert_int_equal(add(&index, wanted[i].pattern, 1), -ENOMEM);
            assert_int_equal(pattern_index_find(&index, pattern), PATTERN_INDEX_NONE);
            assert_int_equal(index.nodes.used, used);
            assert_int_equal(index.literals.count, literals);
            assert_int_equal(index.count, 1);
        }
        index.nodes.items_max = PATTERN_INDEX_NODES_MAX;
        assert_int_equal(add(&index, wanted[i].pattern, 1), 0);
        assert_int_equal(index.nodes.used, used + wanted[i].nodes);
        pattern_index_deinit(&index);
    }
}

/* ---- beside topic_pattern_matches() ---------------------------------------------------------------------------------- */

enum { KNOWN = 400, TEXT_MAX = TOPIC_NAME_BYTES_MAX + 1 };

static struct {
    char     pattern[KNOWN][TEXT_MAX]; /* empty: none. The value is the place here */
    uint32_t used_most;
    uint64_t covered;
} world;

/* Few tokens, so that patterns meet names; some long, one reserved. */
static void some_text(uint64_t *seed, bool wild, char text[TEXT_MAX])
{
    static const char *const words[] = { "a", "b", "c", "ab", "$s", "caf\xc3\xa9", LETTERS_31 "y", LETTERS_31 "xyz" };
    uint32_t tokens = 1 + random_below(seed, 5), bytes = 0;
    uint32_t words_used = random_below(seed, 3) ? 3 : sizeof words / sizeof *words;
    for (uint32_t i = 0; i < tokens; i++) {
        const char *word = words[random_below(seed, words_used)];
        if (wild && random_below(seed, 3) == 0) word = "*";
        if (wild && i == tokens - 1 && random_below(seed, 4) == 0) word = ">";
        if (bytes + 1 + strlen(word) > TOPIC_NAME_BYTES_MAX) break;
        bytes += (uint32_t)snprintf(text + bytes, TEXT_MAX - bytes, "%s%s", i ? "." : "", word);
    }
    assert_null(topic_pattern_fault(span_of(text, bytes)));
}

static uint32_t known_place(const char *pattern)
{
    for (uint32_t i = 0; i < KNOWN; i++)
        if (strcmp(world.pattern[i], pattern) == 0) return i;
    return PATTERN_INDEX_NONE;
}

static void add_some(struct pattern_index *index, uint64_t *seed)
{
    char text[TEXT_MAX];
    some_text(seed, true, text);
    uint32_t known = known_place(text), place = random_below(seed, KNOWN);
    assert_int_equal(pattern_index_find(index, span_of_string(text)), known);
    if (world.pattern[place][0]) return;
    assert_int_equal(add(index, text, place), known == PATTERN_INDEX_NONE ? 0 : -EEXIST);
    if (known == PATTERN_INDEX_NONE) memcpy(world.pattern[place], text, sizeof text);
}

static void remove_some(struct pattern_index *index, uint64_t *seed)
{
    uint32_t place = random_below(seed, KNOWN), value;
    if (!world.pattern[place][0]) return;
    assert_true(pattern_index_remove(index, span_of_string(world.pattern[place]), &value));
    assert_int_equal(value, place);
    world.pattern[place][0] = '\0';
}

static void match_some(struct pattern_index *index, uint64_t *seed)
{
    char name[TEXT_MAX];
    some_text(seed, false, name);
    match(index, span_of_string(name));
    for (uint32_t i = 0; i < KNOWN; i++) {
        bool covers = world.pattern[i][0] &&
                      topic_pattern_matches(span_of_string(world.pattern[i]), span_of_string(name));
        if (seen.visits[i] != covers) fail_msg("[%s] over %s: %u visits", world.pattern[i], name, seen.visits[i]);
        world.covered += covers;
    }
}

static void a_random_life_is_that_of_the_plain_rule(void **state)
{
    for (uint64_t first = 1; first <= 10; first++) {
        uint64_t seed = first;
        struct pattern_index index;
        uint8_t hash_key[SIPHASH_KEY_BYTES];
        for (size_t i = 0; i < sizeof hash_key; i++) hash_key[i] = (uint8_t)random_next(&seed);
        memset(&world, 0, sizeof world);
        assert_int_equal(pattern_index_init(&index, hash_key), 0);
        for (int step = 0; step < 6000; step++) {
            bool growing = step / 1000 % 2 == 0;
            if (random_below(&seed, 4) ? growing : !growing) add_some(&index, &seed);
            else remove_some(&index, &seed);
            if (step % 3 == 0) match_some(&index, &seed);
            if (index.nodes.used > world.used_most) world.used_most = index.nodes.used;
        }
        assert_true(world.used_most > 200 && world.covered > 5000);
        assert_int_equal(index.nodes.touched, world.used_most); /* what was given back is used again first */
        for (uint32_t i = 0, value; i < KNOWN; i++)
            if (world.pattern[i][0]) assert_true(pattern_index_remove(&index, span_of_string(world.pattern[i]), &value));
        assert_empty(&index);
        pattern_index_deinit(&index);
    }
}

/* ---- what a match may cost ------------------------------------------------------------------------------------------- */

/* `tokens` times "x", with dots between. */
static struct span repeated(char text[TEXT_MAX], char x, uint32_t tokens)
{
    for (uint32_t i = 0; i < tokens; i++) {
        text[2 * i] = x;
        text[2 * i + 1] = '.';
    }
    return span_of(text, 2 * tokens - 1);
}

static void stars_upon_stars_cost_a_node_each(void **state)
{
    struct pattern_index index;
    char text[TEXT_MAX];
    assert_int_equal(pattern_index_init(&index, key), 0);
    for (uint32_t tokens = 1; tokens <= 64; tokens++) {
        struct span pattern = repeated(text, '*', tokens);
        assert_int_equal(pattern_index_add(&index, pattern, tokens), 0);
        text[2 * tokens - 2] = '>';
        assert_int_equal(pattern_index_add(&index, pattern, 100 + tokens), 0);
    }
    assert_int_equal(index.nodes.used, 65);
    assert_int_equal(match(&index, repeated(text, 'a', 64)), 65);
    assert_int_equal(seen.count, 1 + 64);
    assert_int_equal(match(&index, repeated(text, 'a', 7)), 8);
    assert_int_equal(seen.count, 1 + 7);
    assert_int_equal(match(&index, repeated(text, '$', 64)), 1);
    assert_int_equal(seen.count, 0);
    pattern_index_deinit(&index);
}

/* Every row of 13 tokens from { a, * }, then 51 times `tail`: all rows fit a name of nothing but 'a', each by its own path. */
static void the_worst_patterns_cost_each_node_once(void **state)
{
    enum { CHOICES = 13, ROWS = 1 << CHOICES, TOKENS = 64 };
    struct pattern_index index;
    char text[TEXT_MAX];
    assert_int_equal(pattern_index_init(&index, key), 0);
    for (uint32_t row = 0; row < ROWS; row++) {
        struct span pattern = repeated(text, 'a', TOKENS);
        for (uint32_t i = 0; i < CHOICES; i++) text[2 * i] = row >> i & 1 ? '*' : 'a';
        assert_int_equal(pattern_index_add(&index, pattern, row), 0);
    }
    assert_int_equal(index.nodes.used, 2 * ROWS - 1 + ROWS * (TOKENS - CHOICES));
    assert_int_equal(match(&index, repeated(text, 'a', TOKENS)), index.nodes.used);
    assert_int_equal(seen.count, ROWS);
    for (uint32_t row = 0; row < ROWS; row++) assert_int_equal(seen.visits[row], 1);
    assert_int_equal(match(&index, repeated(text, 'b', TOKENS)), CHOICES + 1); /* the stars alone lead on */
    assert_int_equal(match(&index, repeated(text, 'a', CHOICES)), 2 * ROWS - 1);
    assert_int_equal(seen.count, 0);
    pattern_index_deinit(&index);
}

static void ten_thousand_patterns_cost_a_birth_few_nodes(void **state)
{
    struct pattern_index index;
    char text[TEXT_MAX];
    assert_int_equal(pattern_index_init(&index, key), 0);
    for (uint32_t i = 0; i < 10000; i++) {
        uint32_t n = i / 4;
        if (i % 4 == 0) snprintf(text, sizeof text, "market%u.*", n);
        if (i % 4 == 1) snprintf(text, sizeof text, "*.symbol%u", n);
        if (i % 4 == 2) snprintf(text, sizeof text, "market%u.symbol%u.>", n, n);
        if (i % 4 == 3) snprintf(text, sizeof text, "*.*.field%u", n);
        assert_int_equal(add(&index, text, i), 0);
    }
    for (uint32_t i = 0; i < 2500; i++) {
        snprintf(text, sizeof text, "market%u.symbol%u.field%u", i, i, i);
        assert_true(match(&index, span_of_string(text)) <= 8);
        assert_int_equal(seen.count, 2);
        snprintf(text, sizeof text, "market%u.symbol%u", i, i);
        assert_true(match(&index, span_of_string(text)) <= 8);
        assert_int_equal(seen.count, 2);
    }
    pattern_index_deinit(&index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_name_meets_the_patterns_that_cover_it),
        cmocka_unit_test(a_pattern_is_there_once_and_until_removed),
        cmocka_unit_test(what_leads_to_a_pattern_is_none),
        cmocka_unit_test(an_empty_index_covers_nothing),
        cmocka_unit_test(without_room_nothing_changes),
        cmocka_unit_test(a_random_life_is_that_of_the_plain_rule),
        cmocka_unit_test(stars_upon_stars_cost_a_node_each),
        cmocka_unit_test(the_worst_patterns_cost_each_node_once),
        cmocka_unit_test(ten_thousand_patterns_cost_a_birth_few_nodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
