/* What a reader asks, and what must become of it. See reader.h. */
#include <stdlib.h>

#include "tests/support/reader_view.h"

const char *const patterns_known[PATTERNS_KNOWN] = { ">", "a.*", "a.>", "*", "*.t3", "a.b.t6" };

struct reader *reader_make(const struct history *history, enum wire_format format, struct fault *fault)
{
    struct reader *reader = calloc(1, sizeof *reader);
    if (!reader) abort();
    reader->history = history;
    reader->format = format_inflated(format);
    reader->deflates = format_is_deflated(format);
    reader->fault = fault;
    return reader;
}

void reader_free(struct reader *reader)
{
    text_free(&reader->bytes);
    text_free(&reader->expected);
    free(reader);
}

/* '*' is one token, a final '>' one or more: by characters, from the left. */
bool pattern_covers(const char *pattern, const char *name)
{
    for (;; pattern++, name++) {
        if (*pattern == '>') return *name != '\0';
        if (*pattern == '*') {
            while (name[1] && name[1] != '.') name++;
        } else if (*pattern != *name) return false;
        if (!*pattern) return true;
        if (!*name) return false;
    }
}

uint32_t view_ruling(const struct view *view, const char *name)
{
    uint32_t ruling = PATTERNS_KNOWN;
    for (uint32_t i = 0; i < PATTERNS_KNOWN; i++) {
        if (!view->patterns[i].on || !pattern_covers(patterns_known[i], name)) continue;
        if (ruling == PATTERNS_KNOWN || view->patterns[i].order > view->patterns[ruling].order) ruling = i;
    }
    return ruling;
}

static void set_mode(struct followed *followed, bool every, double max_hz, uint64_t least)
{
    followed->max_hz = max_hz;
    if (every) followed->least = 0;
    else if (followed->every) followed->least = least;
    followed->every = every;
}

/* Nothing covers it by name any more, or the pattern that ruled is gone: it falls to the next. */
static void fall_back(struct view *view, const struct history *history, uint32_t topic, uint64_t least)
{
    struct followed *followed = &view->followed[topic];
    uint32_t ruling = view_ruling(view, history->topics[topic].name);
    followed->by_name = false;
    if (ruling == PATTERNS_KNOWN) followed->on = false;
    else set_mode(followed, view->patterns[ruling].every, view->patterns[ruling].max_hz, least);
}

static void apply_topic(struct view *view, const struct asked *asked)
{
    struct followed *followed = &view->followed[asked->which];
    if (!asked->again) {
        *followed = asked->fresh;
    } else if (!followed->on) { /* a pattern covers it, but its op:topic is still to come */
        *followed = (struct followed){ .on = true, .life = asked->fresh.life, .unborn = true, .next = 1 };
        followed->every = asked->every;
        followed->max_hz = asked->max_hz;
    } else {
        set_mode(followed, asked->every, asked->max_hz, asked->least[asked->which]);
    }
    followed->by_name = true;
}

static void apply_pattern(struct view *view, const struct history *history, const struct asked *asked)
{
    uint64_t order = 0;
    for (uint32_t i = 0; i < PATTERNS_KNOWN; i++)
        if (view->patterns[i].order > order) order = view->patterns[i].order;
    view->patterns[asked->which].on = true;
    view->patterns[asked->which].every = asked->every;
    view->patterns[asked->which].max_hz = asked->max_hz;
    view->patterns[asked->which].order = order + 1;
    for (uint32_t topic = 0; topic < history->topics_count; topic++) {
        struct followed *followed = &view->followed[topic];
        if (asked->born[topic] && followed->on && !followed->by_name && pattern_covers(patterns_known[asked->which], history->topics[topic].name))
            set_mode(followed, asked->every, asked->max_hz, asked->least[topic]);
    }
}

static void apply_pattern_end(struct view *view, const struct history *history, const struct asked *asked)
{
    for (uint32_t topic = 0; topic < history->topics_count; topic++) {
        struct followed *followed = &view->followed[topic];
        view->patterns[asked->which].on = true;
        bool ruled = followed->on && !followed->by_name && view_ruling(view, history->topics[topic].name) == asked->which;
        view->patterns[asked->which].on = false;
        if (ruled) fall_back(view, history, topic, asked->least[topic]);
    }
}

void view_apply(struct view *view, const struct history *history, const struct asked *asked)
{
    switch (asked->what) {
    case ASKED_TOPIC: apply_topic(view, asked); break;
    case ASKED_PATTERN: apply_pattern(view, history, asked); break;
    case ASKED_COVERED: view->followed[asked->which] = asked->fresh; break;
    case ASKED_END:
        if (view->followed[asked->which].on && view->followed[asked->which].by_name) fall_back(view, history, asked->which, asked->least[asked->which]);
        break;
    case ASKED_PATTERN_END:
        if (view->patterns[asked->which].on) apply_pattern_end(view, history, asked);
        break;
    }
}

static void ask(struct reader *reader, struct asked asked)
{
    if (reader->asked_count == ASKED_MAX) abort();
    for (uint32_t topic = 0; topic < reader->history->topics_count; topic++) {
        const struct past_life *life = history_life(reader->history, topic);
        asked.born[topic] = life->newest > 0;
        /* What falls back to a pattern may still be sent what came in this turn. */
        bool asks = asked.what != ASKED_END && asked.what != ASKED_PATTERN_END;
        asked.least[topic] = asks && life->newest > 0 ? history_at(life, life->newest)->key_seq : 0;
    }
    bool fresh = (asked.what == ASKED_TOPIC && !asked.again) || asked.what == ASKED_COVERED;
    if (fresh) reader->raw[asked.which].anew++;
    view_apply(&reader->as_asked, reader->history, &asked);
    if (reader->format == FORMAT_RAW) return; /* which is never told */
    reader->asked[(reader->asked_first + reader->asked_count++) % ASKED_MAX] = asked;
}

/* Where a fresh subscription begins. */
static void set_start(struct asked *asked, const struct history *history, bool snapshot, struct resume resume)
{
    const struct past_life *life = history_life(history, asked->which);
    uint64_t key_seq = life->newest > 0 ? history_at(life, life->newest)->key_seq : 0;
    asked->newest = life->newest;
    asked->resumes = resume.epoch != NULL;
    asked->resumed = life->newest > 0 && resume.epoch && strcmp(resume.epoch, life->epoch) == 0 && resume.seq <= life->newest;
    asked->fresh = (struct followed){ .on = true, .every = asked->every, .max_hz = asked->max_hz, .life = history->topics[asked->which].lives_count - 1, .unborn = life->newest == 0 };
    if (asked->resumed) asked->fresh.next = resume.seq + 1;
    else if (life->newest == 0) asked->fresh.next = 1;
    else asked->fresh.next = snapshot ? key_seq : life->newest + 1;
    if (asked->resumed && !asked->every) asked->fresh.least = key_seq;
}

void reader_subscribes(struct reader *reader, uint32_t topic, struct terms terms, bool snapshot, struct resume resume)
{
    struct asked asked = { .what = ASKED_TOPIC, .which = topic, .every = terms.every, .max_hz = terms.max_hz, .again = reader->as_asked.followed[topic].on };
    set_start(&asked, reader->history, snapshot, resume);
    ask(reader, asked);
}

void reader_unsubscribes(struct reader *reader, uint32_t topic)
{
    ask(reader, (struct asked){ .what = ASKED_END, .which = topic });
}

static const struct history *sorted_history;
static int by_name(const void *a, const void *b)
{
    return strcmp(sorted_history->topics[*(const uint32_t *)a].name, sorted_history->topics[*(const uint32_t *)b].name);
}

void reader_follows(struct reader *reader, uint32_t pattern, struct terms terms, bool snapshot, const struct resume *resumes)
{
    const struct history *history = reader->history;
    uint32_t topics[PAST_TOPICS_MAX], count = 0;
    ask(reader, (struct asked){ .what = ASKED_PATTERN, .which = pattern, .every = terms.every, .max_hz = terms.max_hz });
    for (uint32_t topic = 0; topic < history->topics_count; topic++)
        if (history_life(history, topic)->newest > 0 && !reader->as_asked.followed[topic].on && pattern_covers(patterns_known[pattern], history->topics[topic].name)) topics[count++] = topic;
    sorted_history = history;
    qsort(topics, count, sizeof *topics, by_name);
    for (uint32_t i = 0; i < count; i++) {
        struct asked asked = { .what = ASKED_COVERED, .which = topics[i], .every = terms.every, .max_hz = terms.max_hz };
        set_start(&asked, history, snapshot, resumes[topics[i]]);
        ask(reader, asked);
    }
}

void reader_unfollows(struct reader *reader, uint32_t pattern)
{
    ask(reader, (struct asked){ .what = ASKED_PATTERN_END, .which = pattern });
}

void view_birth(struct view *view, const struct history *history, uint32_t topic, uint32_t life)
{
    struct followed *followed = &view->followed[topic];
    uint32_t ruling = view_ruling(view, history->topics[topic].name);
    if (!followed->on && ruling == PATTERNS_KNOWN) return;
    bool named = followed->on && followed->by_name;
    bool every = named ? followed->every : view->patterns[ruling].every;
    double max_hz = named ? followed->max_hz : view->patterns[ruling].max_hz;
    *followed = (struct followed){ .on = true, .by_name = named, .every = every, .max_hz = max_hz, .life = life, .next = 1 };
}

void reader_sees_birth(struct reader *reader, uint32_t topic)
{
    view_birth(&reader->as_asked, reader->history, topic, reader->history->topics[topic].lives_count - 1);
}
