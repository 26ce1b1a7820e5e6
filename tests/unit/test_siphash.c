/* SipHash against the authors' vectors, and against OpenSSL's for 1-3; the seeded random numbers against their published ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/random.h"
#include "core/base/siphash.h"
#include "tests/unit/guard.h"

/* key 00 01 .. 0f, text 00 01 .. (size - 1). 2-4: vectors.h of the reference implementation. 1-3: made by `openssl mac
 * -macopt c-rounds:1 -macopt d-rounds:3 SipHash` and by a second program of ours. */
static const struct {
    size_t   size;
    uint64_t hash_2_4, hash_1_3;
} vectors[] = {
    { 0,  0x726fdb47dd0e0e31, 0xabac0158050fc4dc },
    { 1,  0x74f839c593dc67fd, 0xc9f49bf37d57ca93 },
    { 2,  0x0d6c8009d9a94f5a, 0x82cb9b024dc7d44d },
    { 3,  0x85676696d7fb7e2d, 0x8bf80ab8e7ddf7fb },
    { 4,  0xcf2794e0277187b7, 0xcf75576088d38328 },
    { 5,  0x18765564cd99a68d, 0xdef9d52f49533b67 },
    { 6,  0xcbc9466e58fee3ce, 0xc50d2b50c59f22a7 },
    { 7,  0xab0200f58b01d137, 0xd3927d989bb11140 },
    { 8,  0x93f5f5799a932462, 0x369095118d299a8e },
    { 9,  0x9e0082df0ba9e4b0, 0x25a48eb36c063de4 },
    { 10, 0x7a5dbbc594ddb9f3, 0x79de85ee92ff097f },
    { 11, 0xf4b32f46226bada7, 0x70c118c1f94dc352 },
    { 12, 0x751e8fbc860ee5fb, 0x78a384b157b4d9a2 },
    { 13, 0x14ea5627c0843d90, 0x306f760c1229ffa7 },
    { 14, 0xf723ca908e7af2ee, 0x605aa111c0f95d34 },
    { 15, 0xa129ca6149be45e5, 0xd320d86d2a519956 },
    { 31, 0x32d892fad841c342, 0x2370dd1f8c21d1bc },
    { 63, 0x958a324ceb064572, 0x9d199062b7bbb3a8 },
};

static void hashes_are_those_of_the_reference(void **state)
{
    uint8_t key[SIPHASH_KEY_BYTES];
    char counting[64];
    for (size_t i = 0; i < sizeof key; i++) key[i] = (uint8_t)i;
    for (size_t i = 0; i < sizeof counting; i++) counting[i] = (char)i;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        struct span text = guard_span(span_of(counting, vectors[i].size));
        assert_int_equal(siphash_rounds(key, text, 2, 4), vectors[i].hash_2_4);
        assert_int_equal(siphash_rounds(key, text, 1, 3), vectors[i].hash_1_3);
        assert_int_equal(siphash(key, text), vectors[i].hash_1_3);
        guard_free(text.bytes);
    }
}

static void splitmix64_is_the_published_one(void **state)
{
    uint64_t seed = 1234567;
    assert_int_equal(random_next(&seed), UINT64_C(6457827717110365317));
    assert_int_equal(random_next(&seed), UINT64_C(3203168211198807973));
    assert_int_equal(random_next(&seed), UINT64_C(9817491932198370423));
}

static void random_below_reaches_all_and_stays_below(void **state)
{
    uint64_t seed = 1;
    uint32_t seen = 0;
    for (int i = 0; i < 1000; i++) {
        uint32_t number = random_below(&seed, 7);
        assert_true(number < 7);
        seen |= 1u << number;
    }
    assert_int_equal(seen, 0x7f);
    assert_int_equal(random_below(&seed, 1), 0);
}

static void random_fill_fills_all_and_differs(void **state)
{
    uint8_t bytes[2][300] = { 0 };
    for (int i = 0; i < 2; i++) random_fill(bytes[i], sizeof bytes[i]);
    assert_memory_not_equal(bytes[0], bytes[1], sizeof bytes[0]);
    assert_memory_not_equal(bytes[0], bytes[0] + 150, 150);
    random_fill(NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_are_those_of_the_reference),
        cmocka_unit_test(splitmix64_is_the_published_one),
        cmocka_unit_test(random_below_reaches_all_and_stays_below),
        cmocka_unit_test(random_fill_fills_all_and_differs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
