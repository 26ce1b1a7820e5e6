#include "core/pubsub/finding.h"

#include <stdlib.h>

#include "core/base/reserve.h"
#include "core/proto/topic_name.h"
#include "core/pubsub/births.h"
#include "core/pubsub/following.h"

static struct pattern *pattern_at(const struct patterns *patterns, uint32_t index)
{
    return pool_at(&patterns->pool, index);
}

static void list_last(struct engine *engine, uint32_t index)
{
    struct patterns *patterns = &engine->patterns;
    struct finding *finding = pattern_at(patterns, index)->finding;
    finding->listed_us = engine->clock->mono_us;
    finding->next = POOL_NONE;
    if (patterns->findings.first == POOL_NONE) patterns->findings.first = index;
    else pattern_at(patterns, patterns->findings.last)->finding->next = index;
    patterns->findings.last = index;
}

static struct finding *begin(struct engine *engine, uint32_t index)
{
    struct pattern *pattern = pattern_at(&engine->patterns, index);
    pattern->finding = reserve_zeroed(1, sizeof *pattern->finding);
    list_last(engine, index);
    engine->patterns.findings_open++;
    return pattern->finding;
}

static void free_finding(struct engine *engine, struct finding *finding)
{
    engine->patterns.found_bytes -= finding->names.size;
    engine->patterns.findings_open -= finding->stage < FINDING_DONE;
    text_free(&finding->names);
    free(finding);
}

void finding_end(struct engine *engine, uint32_t index)
{
    struct patterns *patterns = &engine->patterns;
    struct finding *gone = pattern_at(patterns, index)->finding;
    if (!gone) return;
    uint32_t before = POOL_NONE;
    for (uint32_t at = patterns->findings.first; at != index; at = pattern_at(patterns, at)->finding->next) before = at;
    if (before == POOL_NONE) patterns->findings.first = gone->next;
    else pattern_at(patterns, before)->finding->next = gone->next;
    if (patterns->findings.last == index) patterns->findings.last = before;
    free_finding(engine, gone);
    pattern_at(patterns, index)->finding = NULL;
}

static void close_at(struct engine *engine, struct finding *finding, enum finding_stage stage)
{
    finding->stage = (uint8_t)stage;
    engine->patterns.findings_open--;
}

/* A request that covers more topics than a subscriber may have is refused, whatever else there is; a name that was born meanwhile may be found
 * twice. */
static bool is_enough(const struct engine *engine, const struct finding *finding)
{
    return finding->count > 2 * (uint64_t)engine->settings.subscriptions_each_max + 64;
}

static bool is_stale(const struct finding *finding)
{
    return finding->born > finding->count - finding->born + 1024;
}

static bool add(struct engine *engine, struct finding *finding, struct span name)
{
    if (engine->patterns.found_bytes + name.size + 1 > FINDING_BYTES_MAX || !text_try(&finding->names, name.size + 1)) return false;
    text_add_char(&finding->names, (char)(uint8_t)name.size);
    text_add(&finding->names, name);
    finding->count++;
    engine->patterns.found_bytes += name.size + 1;
    return true;
}

/* Looks at some names more of this stage; false: at no more of them in this turn. */
static bool go_on(struct engine *engine, uint32_t index, uint32_t *looks)
{
    struct finding *finding = pattern_at(&engine->patterns, index)->finding;
    struct span pattern = pattern_name(&engine->patterns, index), prefix = pattern_prefix(pattern), name;
    const struct names *names = finding->stage == FINDING_OURS ? &engine->home.names : &engine->locals.remote;
    struct span after = finding->after_bytes > 0 ? span_of(finding->after, finding->after_bytes) : SPAN_NONE;
    struct name_place place = names_seek(names, prefix, after);
    struct span last = SPAN_NONE;
    for (; (name = names_at(names, place)).bytes; place = names_following(names, place)) {
        if (!span_begins(name, prefix)) break;
        if (*looks == 0) {
            if (!last.bytes) return false;
            memcpy(finding->after, last.bytes, last.size);
            finding->after_bytes = (uint8_t)last.size;
            return false;
        }
        --*looks;
        last = name;
        if (!topic_pattern_matches(pattern, name)) continue;
        if (!add(engine, finding, name)) {
            close_at(engine, finding, FINDING_REFUSED);
            return true;
        }
        if (is_enough(engine, finding)) {
            finding->capped = true;
            close_at(engine, finding, FINDING_DONE);
            return true;
        }
    }
    finding->after_bytes = 0;
    if (finding->stage == FINDING_OTHERS) close_at(engine, finding, FINDING_DONE);
    else finding->stage = FINDING_OTHERS;
    return true;
}

static enum finding_stage look(struct engine *engine, uint32_t index, uint32_t *looks)
{
    const struct finding *finding = pattern_at(&engine->patterns, index)->finding;
    while (finding->stage < FINDING_DONE && go_on(engine, index, looks)) {}
    return (enum finding_stage)finding->stage;
}

enum finding_stage finding_prepare(struct engine *engine, uint32_t index)
{
    struct finding *finding = pattern_at(&engine->patterns, index)->finding;
    if (finding && is_stale(finding)) finding_end(engine, index), finding = NULL;
    if (!finding) finding = begin(engine, index);
    finding->used_us = engine->clock->mono_us;
    return look(engine, index, &engine->patterns.finding_looks);
}

const struct finding *finding_complete(struct engine *engine, uint32_t index, bool *made)
{
    struct pattern *pattern = pattern_at(&engine->patterns, index);
    uint32_t looks = UINT32_MAX;
    *made = !pattern->finding;
    if (*made) begin(engine, index);
    return look(engine, index, &looks) == FINDING_DONE ? pattern->finding : NULL;
}

struct span finding_next(const struct finding *finding, size_t *at)
{
    if (*at == finding->names.size) return SPAN_NONE;
    size_t size = (uint8_t)finding->names.bytes[*at];
    struct span name = span_of(finding->names.bytes + *at + 1, size);
    *at += 1 + size;
    return name;
}

void finding_birth(struct engine *engine, uint32_t index, struct span topic)
{
    struct finding *finding = pattern_at(&engine->patterns, index)->finding;
    if (!finding || finding->stage == FINDING_REFUSED || finding->capped || is_stale(finding)) return;
    finding->born++;
    if (add(engine, finding, topic)) return;
    if (finding->stage < FINDING_DONE) engine->patterns.findings_open--;
    finding->stage = FINDING_REFUSED;
}

/* Those that are open have their share of the turn, the first come first; done ones are passed over. */
static void look_on(struct engine *engine)
{
    struct patterns *patterns = &engine->patterns;
    patterns->finding_looks = FINDING_LOOKS_EACH_TURN;
    for (uint32_t at = patterns->findings.first; at != POOL_NONE && patterns->findings_open > 0 && patterns->finding_looks > 0; at = pattern_at(patterns, at)->finding->next) {
        if (pattern_at(patterns, at)->finding->stage >= FINDING_DONE) continue;
        if (look(engine, at, &patterns->finding_looks) >= FINDING_DONE) awaiting_due(&engine->awaiting, &pattern_at(patterns, at)->awaiters);
    }
}

/* A request waits for all its patterns: those found first are kept while others are looked for, but not for ever. */
static bool is_over(const struct engine *engine, uint32_t index)
{
    enum { KEPT_FOR_OTHERS_US = 20 * 1000 * 1000 };
    const struct pattern *pattern = pattern_at(&engine->patterns, index);
    uint64_t idle_us = engine->clock->mono_us - pattern->finding->used_us;
    return pattern->awaiters.first == POOL_NONE && idle_us >= (engine->patterns.findings_open > 0 ? KEPT_FOR_OTHERS_US : LINGER_US);
}

void finding_tick(struct engine *engine)
{
    struct patterns *patterns = &engine->patterns;
    uint64_t now_us = engine->clock->mono_us;
    look_on(engine);
    uint32_t index;
    while ((index = patterns->findings.first) != POOL_NONE && now_us - pattern_at(patterns, index)->finding->listed_us >= LINGER_US) {
        struct finding *finding = pattern_at(patterns, index)->finding;
        if (is_over(engine, index)) {
            finding_end(engine, index);
            continue;
        }
        patterns->findings.first = finding->next;
        if (patterns->findings.first == POOL_NONE) patterns->findings.last = POOL_NONE;
        list_last(engine, index);
    }
}

uint64_t finding_due_us(const struct engine *engine)
{
    const struct patterns *patterns = &engine->patterns;
    if (patterns->findings_open > 0) return engine->clock->mono_us;
    return patterns->findings.first == POOL_NONE ? UINT64_MAX : pattern_at(patterns, patterns->findings.first)->finding->listed_us + LINGER_US;
}
