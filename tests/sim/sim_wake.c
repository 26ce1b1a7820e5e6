/* The sleep and wake protocol, all of it: every run of the model in tests/support/wake_model.h is walked, breadth first, each state once. What
 * is right is right in all of them; and each way of getting it wrong is found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/check.h"
#include "tests/support/wake_model.h"

enum { STATES_MAX = 1 << 21, TRACE_MAX = 200 };
#define NOBODY UINT32_MAX

struct reached {
    struct wake_state state;
    uint32_t          from;  /* by the shortest way */
    const char       *step;
    uint32_t          ways;  /* steps into it */
};

struct exploration {
    const struct wake_plan *plan;
    struct reached         *reached;
    uint32_t               *slots; /* hash table of numbers in `reached`, +1 */
    uint32_t                count, at;
    uint64_t                steps;
    bool                    goes_on; /* from the state being walked */
    unsigned                looked_for, wrong; /* enum wake_wrong */
    uint32_t                wrong_from;        /* the state that is wrong, or whose next step is */
    const char             *wrong_step;
    uint32_t               *loose; /* those without an unwalked way in */
    uint32_t                loose_count;
};

static uint64_t hash_of(const struct wake_state *state)
{
    const unsigned char *bytes = (const unsigned char *)state;
    uint64_t hash = UINT64_C(0x9e3779b97f4a7c15);
    for (size_t i = 0; i < sizeof *state; i += 2) {
        uint16_t two;
        memcpy(&two, bytes + i, sizeof two);
        hash = (hash ^ two) * UINT64_C(0xff51afd7ed558ccd);
        hash ^= hash >> 29;
    }
    return hash;
}

/* Its slot: empty (0) where the state is new. */
static uint32_t *slot_of(struct exploration *all, const struct wake_state *state)
{
    enum { SLOTS = STATES_MAX * 2 };
    for (uint64_t at = hash_of(state);; at++) {
        uint32_t *slot = &all->slots[at % SLOTS];
        if (*slot == 0 || memcmp(&all->reached[*slot - 1].state, state, sizeof *state) == 0) return slot;
    }
}

static void note_wrong(struct exploration *all, uint32_t from, const char *step, unsigned wrong)
{
    wrong &= all->looked_for;
    if (!wrong || all->wrong) return;
    all->wrong = wrong;
    all->wrong_from = from;
    all->wrong_step = step;
}

static void on_next(void *context, const struct wake_state *next, struct wake_step step)
{
    struct exploration *all = context;
    uint32_t *slot = slot_of(all, next);
    all->steps++;
    all->goes_on |= !step.other_reason;
    note_wrong(all, all->at, step.name, step.wrong);
    if (*slot == 0) {
        CHECK(all->count < STATES_MAX);
        all->reached[all->count] = (struct reached){ *next, all->at, step.name, 0 };
        *slot = ++all->count;
    }
    if (!step.other_reason) all->reached[*slot - 1].ways++;
}

static void on_walked(void *context, const struct wake_state *next, struct wake_step step)
{
    struct exploration *all = context;
    uint32_t number = *slot_of(all, next) - 1;
    if (!step.other_reason && --all->reached[number].ways == 0) all->loose[all->loose_count++] = number;
}

/* Takes states off, each when all steps into it were: what is left over goes round in circles. Without any, and without a dead end, every
 * run from every state comes to the good end, though nobody gets up for other reasons. */
static void look_for_circles(struct exploration *all)
{
    all->loose = calloc(all->count, sizeof *all->loose);
    CHECK(all->loose);
    uint32_t walked = 0;
    for (uint32_t i = 0; i < all->count; i++)
        if (all->reached[i].ways == 0) all->loose[all->loose_count++] = i;
    for (; walked < all->loose_count; walked++) wake_state_next(all->plan, &all->reached[all->loose[walked]].state, on_walked, all);
    for (uint32_t i = 0; i < all->count && walked < all->count; i++)
        if (all->reached[i].ways > 0) note_wrong(all, i, "... and round", WRONG_ENDLESS);
    free(all->loose);
}

/* All reachable states, or up to the first that is wrong in a way looked for. */
static struct exploration explore(const struct wake_plan *plan, unsigned looked_for)
{
    struct exploration all = { .plan = plan, .looked_for = looked_for };
    all.reached = malloc(sizeof *all.reached * STATES_MAX);
    all.slots = calloc(STATES_MAX * 2, sizeof *all.slots);
    CHECK(all.reached && all.slots);
    all.reached[all.count] = (struct reached){ wake_state_first(plan), NOBODY, "", 0 };
    *slot_of(&all, &all.reached[0].state) = ++all.count;
    for (; all.at < all.count && !all.wrong; all.at++) {
        struct wake_state state = all.reached[all.at].state;
        note_wrong(&all, all.at, "", wake_state_wrong(plan, &state));
        all.goes_on = false;
        wake_state_next(plan, &state, on_next, &all);
        if (!all.goes_on && !wake_state_is_end(plan, &state)) note_wrong(&all, all.at, "", WRONG_STUCK);
    }
    if (!all.wrong && looked_for & WRONG_ENDLESS) look_for_circles(&all);
    return all;
}

static void end(struct exploration *all)
{
    free(all->reached);
    free(all->slots);
}

static const char *word_of(unsigned wrong)
{
    return wrong & WRONG_LOST ? "a lost wake-up" : wrong & WRONG_TWICE ? "two wake-ups for one sleep" : wrong & WRONG_NEEDLESS ? "a needless wake-up"
        : wrong & WRONG_STUCK ? "a dead end" : wrong & WRONG_ENDLESS ? "a run without an end" : "nothing wrong";
}

/* The shortest run to what is wrong. Returns its length. */
static uint32_t tell_run(const struct exploration *all, bool print)
{
    uint32_t length = 0, run[TRACE_MAX];
    for (uint32_t at = all->wrong_from; all->reached[at].from != NOBODY && length < TRACE_MAX; at = all->reached[at].from) run[length++] = at;
    for (uint32_t i = length; print && i-- > 0;) print_message("    %s\n", all->reached[run[i]].step);
    if (print) print_message("    %s: %s\n", all->wrong_step, word_of(all->wrong));
    return length + (all->wrong_step[0] != '\0');
}

/* ---- what is right ------------------------------------------------------------------------------------------------------- */

static void every_run_ends_with_all_taken_and_no_wake_up_lost_doubled_or_needless(void **state)
{
    static const struct wake_plan plans[] = {
        { .producers = 1, .items = { 6 } },
        { .producers = 1, .items = { 6 }, .main_thread = true },
        { .producers = 2, .items = { 3, 3 } },
        { .producers = 2, .items = { 2, 2 }, .main_thread = true },
        { .producers = 3, .items = { 1, 1, 1 }, .main_thread = true },
        { .producers = 3, .items = { 2, 1, 1 } },
        { .producers = 3, .items = { 1, 1, 1 }, .sequential = true },
    };
    uint64_t states = 0;
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
        const struct wake_plan *plan = &plans[i];
        struct exploration all = explore(plan, WRONG_LOST | WRONG_TWICE | WRONG_NEEDLESS | WRONG_STUCK | WRONG_ENDLESS);
        print_message("%u producer(s)%s, %u items, %s memory: %u states, %llu steps\n", plan->producers, plan->main_thread ? ", one by eventfd" : "",
                      plan->items[0] + plan->items[1] + plan->items[2], plan->sequential ? "sequential" : "weak", all.count, (unsigned long long)all.steps);
        if (all.wrong) tell_run(&all, true);
        assert_int_equal(all.wrong, 0);
        states += all.count;
        end(&all);
    }
    print_message("%llu states in all\n", (unsigned long long)states);
}

/* ---- what is wrong, and found --------------------------------------------------------------------------------------------- */

static void each_way_to_break_it_is_found(void **state)
{
    static const struct {
        enum wake_fault fault;
        unsigned        wrong;
        bool            sequential; /* found even where memory is */
        const char     *words;
    } rows[] = {
        { FAULT_NO_CONSUMER_FENCE,   WRONG_LOST,     false, "no fence between c1 and c2" },
        { FAULT_NO_PRODUCER_FENCE,   WRONG_LOST,     false, "no fence between p1 and p2" },
        { FAULT_LOOK_BEFORE_FLAG,    WRONG_LOST,     true,  "c2 before c1" },
        { FAULT_PUBLISH_AFTER_CHECK, WRONG_LOST,     true,  "p2 before p1" },
        { FAULT_CLEAR_BEFORE_WAIT,   WRONG_LOST,     true,  "c3 before the wait" },
        { FAULT_CLEAR_AFTER_TAKING,  WRONG_NEEDLESS, true,  "c3 after taking" },
        { FAULT_NO_SLEEP_END,        WRONG_NEEDLESS, true,  "no c3" },
        { FAULT_PLAIN_FLAG,          WRONG_TWICE,    true,  "p2 reads and writes, no exchange" },
        { FAULT_MESSAGE_UNSENT,      WRONG_STUCK,    true,  "a wake-up that is never submitted" },
        { FAULT_READ_ONCE,           WRONG_LOST,     true,  "the eventfd's read is not armed again" },
        { FAULT_NEVER_WAITS,         WRONG_ENDLESS,  true,  "the look's answer is ignored" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int sequential = 0; sequential < 2; sequential++) {
            struct wake_plan plan = { .producers = 2, .items = { 2, 2 }, .main_thread = true, .sequential = sequential, .fault = rows[i].fault };
            struct exploration all = explore(&plan, rows[i].wrong);
            bool expected = !sequential || rows[i].sequential;
            print_message("%s, %s memory: %s after %u steps, %u states\n", rows[i].words, sequential ? "sequential" : "weak", word_of(all.wrong), all.wrong ? tell_run(&all, false) : 0, all.count);
            assert_int_equal(all.wrong, expected ? rows[i].wrong : 0u);
            end(&all);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_run_ends_with_all_taken_and_no_wake_up_lost_doubled_or_needless),
        cmocka_unit_test(each_way_to_break_it_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
