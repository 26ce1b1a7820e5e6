/* The reserve: what must be there is there when the system refuses memory, and the thread knows that it is short until it has it again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/reserve.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 }; /* those need more address space than there may be here */
#else
enum { SANITIZED = 0 };
#endif

#define CLAIM(condition) do { if (!(condition)) _exit(__LINE__ > 255 ? 255 : __LINE__); } while (0)

enum { PIECE_BYTES = 1024 * 1024, PIECES_MAX = 4096 };

/* Takes all that there is. */
static uint32_t hoard(void **pieces)
{
    uint32_t count = 0;
    while (count < PIECES_MAX && (pieces[count] = malloc(PIECE_BYTES))) count++;
    CLAIM(count < PIECES_MAX);
    return count;
}

static void live_in_little(void)
{
    static void *pieces[PIECES_MAX];
    struct rlimit limit = { (rlim_t)512 * 1024 * 1024, (rlim_t)512 * 1024 * 1024 };
    CLAIM(reserve_fill() && !reserve_is_drawn());
    CLAIM(setrlimit(RLIMIT_AS, &limit) == 0);
    uint32_t count = hoard(pieces);

    char *bytes = reserve_resize(NULL, PIECE_BYTES);
    memset(bytes, 7, PIECE_BYTES);
    CLAIM(reserve_is_drawn() && !reserve_fill() && reserve_is_drawn());
    bytes = reserve_resize(bytes, PIECE_BYTES / 2); /* what it has it keeps */
    CLAIM(bytes[0] == 7 && bytes[PIECE_BYTES / 2 - 1] == 7);

    while (count > 0) free(pieces[--count]);
    CLAIM(reserve_fill() && !reserve_is_drawn());
    free(bytes);
    reserve_free();
    _exit(0);
}

static void what_must_be_there_comes_out_of_the_reserve(void **state)
{
    if (SANITIZED) skip();
    pid_t child = fork();
    int status;
    if (child == 0) live_in_little();
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void zeroed_memory_is_zero_and_the_reserve_stays(void **state)
{
    assert_true(reserve_fill());
    uint64_t *zeroed = reserve_zeroed(100, sizeof *zeroed);
    for (int i = 0; i < 100; i++) assert_int_equal(zeroed[i], 0);
    assert_false(reserve_is_drawn());
    reserve_draw();
    assert_true(reserve_is_drawn());
    assert_true(reserve_fill());
    assert_false(reserve_is_drawn());
    free(zeroed);
    reserve_free();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_must_be_there_comes_out_of_the_reserve),
        cmocka_unit_test(zeroed_memory_is_zero_and_the_reserve_stays),
    };
    return cmocka_run_group_tests_name("reserve", tests, NULL, NULL);
}
