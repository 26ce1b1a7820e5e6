/* Unmasking against its scalar twin: all alignments, phases and small sizes, random large ones, nothing beside the
 * bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/proto/mask.h"
#include "tests/unit/guard.h"

static const uint8_t key[4] = { 0x37, 0xfa, 0x21, 0x3d };

static uint64_t seed = 0x9e3779b97f4a7c15u;

static uint32_t random_below(uint32_t limit)
{
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return (uint32_t)(seed >> 33) % limit;
}

static void fill(char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) bytes[i] = (char)random_below(256);
}

/* RFC 6455, 5.7: "a single-frame masked text message" */
static void the_standards_example_comes_out(void **state)
{
    (void)state;
    char payload[] = "\x7f\x9f\x4d\x51\x58";
    mask_apply(payload, 5, key, 0);
    assert_memory_equal(payload, "Hello", 5);
    char scalar[] = "\x7f\x9f\x4d\x51\x58";
    mask_apply_scalar(scalar, 5, key, 0);
    assert_memory_equal(scalar, "Hello", 5);
}

static void the_phase_turns_the_key(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct { size_t phase; const char *masked; } facts[] = {
        { 0, "\x37\xfa\x21\x3d\x37" }, { 1, "\xfa\x21\x3d\x37\xfa" }, { 2, "\x21\x3d\x37\xfa\x21" }, { 3, "\x3d\x37\xfa\x21\x3d" },
        { 4, "\x37\xfa\x21\x3d\x37" }, { SIZE_MAX, "\x3d\x37\xfa\x21\x3d" },
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        char zeros[5] = { 0 };
        mask_apply(zeros, 5, key, facts[i].phase);
        assert_memory_equal(zeros, facts[i].masked, 5);
    }
}

static void the_twins_agree_at_every_size_alignment_and_phase(void **state)
{
    (void)state;
    static _Alignas(64) char fast[512], slow[512];
    fill(fast, sizeof fast);
    for (size_t size = 0; size <= 300; size++)
        for (size_t alignment = 0; alignment < 64; alignment++)
            for (size_t phase = 0; phase < 4; phase++) {
                fill(fast + random_below(sizeof fast - 8), 8); /* masked over and over, the others stay random too */
                memcpy(slow, fast, sizeof fast);
                mask_apply(fast + 64 + alignment, size, key, phase);
                mask_apply_scalar(slow + 64 + alignment, size, key, phase);
                if (memcmp(fast, slow, sizeof fast) != 0)
                    fail_msg("size %zu, alignment %zu, phase %zu", size, alignment, phase);
            }
}

static void no_byte_beside_is_read_or_written(void **state)
{
    (void)state;
    static char bytes[9000], expected[9000];
    for (size_t size = 0; size <= sizeof bytes; size += size < 300 ? 1 : 997) {
        fill(bytes, size);
        memcpy(expected, bytes, size);
        mask_apply_scalar(expected, size, key, size);
        char *before_guard = guard_copy(span_of(bytes, size)), *after_guard = guard_copy_after(span_of(bytes, size));
        mask_apply(before_guard, size, key, size);
        mask_apply(after_guard, size, key, size);
        assert_memory_equal(before_guard, expected, size);
        assert_memory_equal(after_guard, expected, size);
        guard_free(before_guard);
        guard_free(after_guard);
    }
    mask_apply(NULL, 0, key, 0); /* the payload of an empty frame */
}

static void large_ones_agree_and_come_back(void **state)
{
    (void)state;
    enum { SIZE_MAX_HERE = 200000 };
    static char original[SIZE_MAX_HERE + 64], fast[SIZE_MAX_HERE + 64], slow[SIZE_MAX_HERE + 64];
    fill(original, sizeof original);
    for (int round = 0; round < 50; round++) {
        uint8_t any_key[4];
        fill((char *)any_key, sizeof any_key);
        size_t alignment = random_below(64), size = random_below(SIZE_MAX_HERE), phase = random_below(1000);
        memcpy(fast, original, sizeof fast);
        memcpy(slow, original, sizeof slow);
        mask_apply(fast + alignment, size, any_key, phase);
        mask_apply_scalar(slow + alignment, size, any_key, phase);
        assert_memory_equal(fast, slow, sizeof fast);
        mask_apply(fast + alignment, size, any_key, phase);
        assert_memory_equal(fast, original, sizeof fast);
    }
}

static void pieces_make_the_same_as_the_whole(void **state)
{
    (void)state;
    enum { SIZE = 200 };
    char original[SIZE], whole[SIZE], pieces[SIZE];
    fill(original, SIZE);
    memcpy(whole, original, SIZE);
    mask_apply(whole, SIZE, key, 0);
    for (size_t cut = 0; cut <= SIZE; cut++) {
        memcpy(pieces, original, SIZE);
        mask_apply(pieces, cut, key, 0);
        mask_apply(pieces + cut, SIZE - cut, key, cut);
        assert_memory_equal(pieces, whole, SIZE);
    }
    memcpy(pieces, original, SIZE);
    for (size_t i = 0; i < SIZE; i++) mask_apply(pieces + i, 1, key, i);
    assert_memory_equal(pieces, whole, SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_standards_example_comes_out),
        cmocka_unit_test(the_phase_turns_the_key),
        cmocka_unit_test(the_twins_agree_at_every_size_alignment_and_phase),
        cmocka_unit_test(no_byte_beside_is_read_or_written),
        cmocka_unit_test(large_ones_agree_and_come_back),
        cmocka_unit_test(pieces_make_the_same_as_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
