/* Chains: whatever seq the segments hold is found, and a walk goes over whole frames from one segment into the next. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "core/base/random.h"
#include "core/proto/ws_frame.h"
#include "core/pubsub/chain.h"

/* A chain with frames of known sizes, and where each of them lies. */
enum { FRAMES_MAX = 2000 };
struct laid {
    struct chain    chain;
    struct position at[FRAMES_MAX];    /* of frame `seq`, by seq - first_seq */
    uint64_t        bytes[FRAMES_MAX];
    uint64_t        first_seq, end_seq;
    struct position head;
};

static void lay(struct laid *laid, uint32_t number, uint64_t first_seq, uint32_t segments, uint64_t *random)
{
    *laid = (struct laid){ .first_seq = first_seq, .end_seq = first_seq };
    for (uint32_t n = 0; n < segments; n++) {
        uint32_t size = 2000;
        struct segment *segment = malloc(sizeof *segment + size);
        assert_non_null(segment);
        *segment = (struct segment){ .number = number + n, .size = size, .first_seq = laid->end_seq };
        uint32_t end = 0, frames = 1 + random_below(random, 12);
        for (uint32_t i = 0; i < frames; i++) {
            uint64_t message_bytes = random_below(random, 4) ? random_below(random, 120) : 126 + random_below(random, 10);
            uint64_t at = laid->end_seq++ - first_seq;
            laid->at[at] = (struct position){ segment->number, end };
            laid->bytes[at] = ws_server_header_bytes(message_bytes) + message_bytes;
            assert_int_equal(ws_server_header_write(segment->bytes + end, WS_TEXT, message_bytes) + message_bytes, laid->bytes[at]);
            end += (uint32_t)laid->bytes[at];
        }
        assert_true(end <= size);
        assert_int_equal(chain_push(&laid->chain, (struct chain_link){ .segment = segment, .end = end }), 0);
        laid->head = (struct position){ segment->number, end };
    }
}

static void unlay(struct laid *laid)
{
    while (laid->chain.count > 0) free((void *)(uintptr_t)chain_drop_first(&laid->chain).segment);
    chain_deinit(&laid->chain);
}

static void assert_at(struct position a, struct position b)
{
    assert_int_equal(a.segment, b.segment);
    assert_int_equal(a.offset, b.offset);
}

static struct mark mark_of(const struct laid *laid, uint64_t seq)
{
    return (struct mark){ seq == laid->end_seq ? laid->head : laid->at[seq - laid->first_seq], seq };
}

static void links_keep_their_order_while_the_ring_turns_and_grows(void **state)
{
    struct segment segments[40];
    struct chain chain = { 0 };
    uint32_t pushed = 0, dropped = 0;
    for (int step = 0; pushed < 40; step++) {
        segments[pushed] = (struct segment){ .number = 1000 + pushed };
        assert_int_equal(chain_push(&chain, (struct chain_link){ .segment = &segments[pushed], .end = pushed }), 0);
        pushed++;
        if (step % 3 == 2) assert_ptr_equal(chain_drop_first(&chain).segment, &segments[dropped++]);
        assert_int_equal(chain.count, pushed - dropped);
        for (uint32_t i = 0; i < 45; i++) {
            bool held = i >= dropped && i < pushed;
            assert_int_equal(chain_holds(&chain, 1000 + i), held);
            if (held) assert_ptr_equal(chain_at(&chain, 1000 + i)->segment, &segments[i]);
        }
        assert_false(chain_holds(&chain, 0));
        assert_false(chain_holds(&chain, UINT32_MAX));
    }
    chain_deinit(&chain);
}

static void an_emptied_chain_begins_with_any_number(void **state)
{
    struct segment segments[] = { { .number = 3 }, { .number = 9 } };
    struct chain chain = { 0 };
    assert_int_equal(chain_push(&chain, (struct chain_link){ .segment = &segments[0] }), 0);
    chain_drop_first(&chain);
    assert_int_equal(chain.number, 4); /* of the next one pushed, unless it is told otherwise */
    assert_int_equal(chain_push(&chain, (struct chain_link){ .segment = &segments[1] }), 0);
    assert_true(chain_holds(&chain, 9));
    assert_false(chain_holds(&chain, 4));
    chain_deinit(&chain);
}

static void every_seq_is_found_from_every_tail(void **state)
{
    uint64_t random = 5;
    for (uint32_t segments = 1; segments < 9; segments++) {
        struct laid laid;
        lay(&laid, 4000000000u, 900, segments, &random);
        for (uint32_t n = 0; n < segments; n++) {
            const struct segment *first = chain_at(&laid.chain, 4000000000u + n)->segment;
            struct mark tail = { { first->number, 0 }, first->first_seq };
            for (uint64_t seq = tail.seq; seq < laid.end_seq; seq++) {
                struct mark found = chain_seek(&laid.chain, &tail, seq);
                assert_int_equal(found.seq, seq);
                assert_at(found.at, mark_of(&laid, seq).at);
            }
        }
        unlay(&laid);
    }
}

static void next_goes_over_each_frame_into_the_next_segment(void **state)
{
    uint64_t random = 6;
    struct laid laid;
    lay(&laid, 0, 1, 20, &random);
    struct mark mark = mark_of(&laid, 1);
    for (uint64_t seq = 1; seq <= laid.end_seq; seq++) {
        assert_int_equal(mark.seq, seq);
        assert_at(mark.at, mark_of(&laid, seq).at);
        if (seq < laid.end_seq) mark = chain_next(&laid.chain, mark);
    }
    assert_at(chain_settle(&laid.chain, mark).at, laid.head); /* behind the newest there is no other segment yet */
    unlay(&laid);
}

static void a_mark_at_a_segments_end_is_the_start_of_the_next(void **state)
{
    uint64_t random = 7;
    struct laid laid;
    lay(&laid, 10, 1, 2, &random);
    struct mark end = { { 10, chain_at(&laid.chain, 10)->end }, 0 };
    assert_at(chain_settle(&laid.chain, end).at, (struct position){ 11, 0 });
    struct mark inside = mark_of(&laid, 1);
    assert_at(chain_settle(&laid.chain, inside).at, inside.at);
    unlay(&laid);
}

/* From every frame, with every bound: whole frames, as many as fit, but at least one. */
static void a_walk_takes_as_many_whole_frames_as_fit_and_at_least_one(void **state)
{
    uint64_t random = 8;
    struct laid laid;
    lay(&laid, 1, 1, 6, &random);
    for (uint64_t from = 1; from < laid.end_seq; from++) {
        for (uint64_t bound = 0; bound < 3000; bound += 1 + random_below(&random, 60)) {
            uint64_t bytes, expected = laid.bytes[from - 1], to = from + 1;
            while (to < laid.end_seq && expected + laid.bytes[to - 1] <= bound) expected += laid.bytes[to++ - 1];
            struct mark end = chain_walk(&laid.chain, mark_of(&laid, from), laid.head, laid.end_seq, bound, &bytes);
            assert_int_equal(end.seq, to);
            assert_int_equal(bytes, expected);
            assert_at(end.at, mark_of(&laid, to).at);
        }
    }
    unlay(&laid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(links_keep_their_order_while_the_ring_turns_and_grows),
        cmocka_unit_test(an_emptied_chain_begins_with_any_number),
        cmocka_unit_test(every_seq_is_found_from_every_tail),
        cmocka_unit_test(next_goes_over_each_frame_into_the_next_segment),
        cmocka_unit_test(a_mark_at_a_segments_end_is_the_start_of_the_next),
        cmocka_unit_test(a_walk_takes_as_many_whole_frames_as_fit_and_at_least_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
