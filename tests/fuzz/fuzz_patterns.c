/* Names and patterns, and the index of many patterns beside a plain list of them. Promises tried: no byte beyond a text is read; the index covers
 * just what topic_pattern_matches() covers; `contains` holds for whatever the contained one matches; an emptied index is empty.
 *
 * Input: lines. `+pattern` adds, `-pattern` removes, `<pattern pattern` asks whether one contains the other, all else is a name that is asked for. */
#include <errno.h>
#include <stdlib.h>

#include "core/base/check.h"
#include "core/proto/topic_name.h"
#include "core/proto/utf8.h"
#include "core/pubsub/pattern_index.h"
#include "tests/unit/guard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PATTERNS_MAX = 64, NAMES_MAX = 64 };

struct trial {
    struct pattern_index index;
    struct span          patterns[PATTERNS_MAX]; /* copies on guarded pages; SPAN_NONE: a free place */
    struct span          names[NAMES_MAX];       /* the valid ones that came */
    uint32_t             names_count;
    bool                 visited[PATTERNS_MAX];
};

static void visit(void *context, uint32_t value)
{
    struct trial *trial = context;
    CHECK(value < PATTERNS_MAX && trial->patterns[value].bytes && !trial->visited[value]); /* each once */
    trial->visited[value] = true;
}

static uint32_t place_of(const struct trial *trial, struct span pattern)
{
    for (uint32_t i = 0; i < PATTERNS_MAX; i++)
        if (trial->patterns[i].bytes && span_equals(trial->patterns[i], pattern)) return i;
    return PATTERN_INDEX_NONE;
}

static void add(struct trial *trial, struct span pattern)
{
    uint32_t there = place_of(trial, pattern), place = 0;
    while (place < PATTERNS_MAX && trial->patterns[place].bytes) place++;
    if (place == PATTERNS_MAX) return;
    CHECK(pattern_index_add(&trial->index, pattern, place) == (there == PATTERN_INDEX_NONE ? 0 : -EEXIST));
    if (there == PATTERN_INDEX_NONE) trial->patterns[place] = guard_span(pattern);
    CHECK(pattern_index_find(&trial->index, pattern) == (there == PATTERN_INDEX_NONE ? place : there));
}

static void forget(struct trial *trial, struct span pattern)
{
    uint32_t there = place_of(trial, pattern), value = PATTERN_INDEX_NONE;
    CHECK(pattern_index_remove(&trial->index, pattern, &value) == (there != PATTERN_INDEX_NONE) && value == there);
    if (there == PATTERN_INDEX_NONE) return;
    CHECK(pattern_index_find(&trial->index, pattern) == PATTERN_INDEX_NONE);
    guard_free(trial->patterns[there].bytes); /* perhaps `pattern` itself */
    trial->patterns[there] = SPAN_NONE;
}

static void ask(struct trial *trial, struct span name)
{
    memset(trial->visited, 0, sizeof trial->visited);
    uint32_t looked_at = pattern_index_match(&trial->index, name, visit, trial);
    CHECK(looked_at >= 1 && looked_at <= trial->index.nodes.used);
    for (uint32_t i = 0; i < PATTERNS_MAX; i++)
        if (trial->patterns[i].bytes) CHECK(trial->visited[i] == topic_pattern_matches(trial->patterns[i], name));
    if (trial->names_count < NAMES_MAX) trial->names[trial->names_count++] = guard_span(name);
}

static void contain(const struct trial *trial, struct span pattern, struct span other)
{
    bool contains = topic_pattern_contains(pattern, other);
    CHECK(topic_pattern_contains(pattern, pattern) && topic_pattern_contains(other, other));
    if (!topic_pattern_is(other)) CHECK(contains == topic_pattern_matches(pattern, other));
    for (uint32_t i = 0; i < trial->names_count; i++)
        if (contains && topic_pattern_matches(other, trial->names[i])) CHECK(topic_pattern_matches(pattern, trial->names[i]));
}

/* Its parts are what lies between its points, and as many of them; a fault is a sentence. */
static void judge(struct span text)
{
    const char *name_fault = topic_name_fault(text), *pattern_fault = topic_pattern_fault(text);
    CHECK(!name_fault || *name_fault);
    CHECK(name_fault || !pattern_fault); /* a name is a pattern */
    if (!pattern_fault) CHECK((name_fault != NULL) == topic_pattern_is(text));
    if (pattern_fault) return;
    CHECK(text.size >= 1 && text.size <= TOPIC_NAME_BYTES_MAX && utf8_valid(text));
    size_t bytes = 0;
    struct span rest = text;
    while (rest.bytes) {
        struct span token = topic_token_next(&rest);
        CHECK(token.size > 0 && !span_find(token, '.'));
        bytes += token.size + (rest.bytes ? 1 : 0);
    }
    CHECK(bytes == text.size);
}

static void take_line(struct trial *trial, struct span line)
{
    char first = line.size > 0 ? line.bytes[0] : 0;
    bool deed = first == '+' || first == '-' || first == '<';
    struct span text = deed ? span_skip(line, 1) : line, other = SPAN_NONE;
    const char *blank = first == '<' ? span_find(text, ' ') : NULL;
    if (blank) {
        other = span_skip(text, (size_t)(blank + 1 - text.bytes));
        text.size = (size_t)(blank - text.bytes);
    }
    struct span guarded = guard_span(text), guarded_other = guard_span(other.bytes ? other : SPAN_LITERAL(""));
    judge(guarded);
    judge(guarded_other);
    bool valid = !topic_pattern_fault(guarded);
    if (first == '+' && valid) add(trial, guarded);
    else if (first == '-' && valid) forget(trial, guarded);
    else if (first == '<' && valid && !topic_pattern_fault(guarded_other)) contain(trial, guarded, guarded_other);
    else if (!deed && !topic_name_fault(guarded)) ask(trial, guarded);
    guard_free(guarded.bytes);
    guard_free(guarded_other.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t key[SIPHASH_KEY_BYTES] = "sixteen bytes it";
    static struct trial trial;
    if (size > 4096) return 0;
    memset(&trial, 0, sizeof trial);
    CHECK(pattern_index_init(&trial.index, key) == 0);
    for (struct span rest = span_of((const char *)data, size); rest.size > 0;) {
        const char *end = span_find(rest, '\n');
        size_t bytes = end ? (size_t)(end - rest.bytes) : rest.size;
        take_line(&trial, span_of(rest.bytes, bytes));
        rest = span_skip(rest, bytes + (end ? 1 : 0));
    }
    for (uint32_t i = 0; i < PATTERNS_MAX; i++)
        if (trial.patterns[i].bytes) forget(&trial, trial.patterns[i]);
    CHECK(trial.index.count == 0 && trial.index.nodes.used == 1 && trial.index.literals.count == 0);
    while (trial.names_count > 0) guard_free(trial.names[--trial.names_count].bytes);
    pattern_index_deinit(&trial.index);
    return 0;
}
