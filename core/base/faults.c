#include "core/base/faults.h"

#ifdef RINGCAST_FAULTS

#include <stddef.h>
#include <stdlib.h>

#include "core/base/random.h"
#include "core/base/reserve.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *bytes, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *bytes, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

static _Thread_local struct {
    bool     begun;
    uint64_t dice;
} faults;

uint32_t faults_setting(enum fault_setting setting)
{
    static const char *const names[FAULTS_SETTINGS] = { "FAULTS_SEED", "FAULTS_MEMORY", "FAULTS_RING", "FAULTS_FATAL", "FAULTS_QUEUES" };
    const char *text = getenv(names[setting]);
    return text ? (uint32_t)strtoul(text, NULL, 10) : setting == FAULTS_SEED;
}

void faults_begin(uint32_t thread)
{
    faults.dice = faults_setting(FAULTS_SEED) * UINT64_C(0x9e3779b97f4a7c15) + thread;
    faults.begun = faults_setting(FAULTS_MEMORY) > 0;
}

uint32_t faults_random(uint32_t bound)
{
    return random_below(&faults.dice, bound);
}

/* While the reserve is out nothing is refused: one who was refused twice in a row could only give up. */
static bool refused(void)
{
    return faults.begun && !reserve_is_drawn() && faults_random(faults_setting(FAULTS_MEMORY)) == 0;
}

void *__wrap_malloc(size_t size)
{
    return refused() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return refused() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *bytes, size_t size)
{
    return refused() ? NULL : __real_realloc(bytes, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return refused() ? NULL : __real_aligned_alloc(alignment, size);
}

#else
typedef int faults_are_off; /* a file holds something */
#endif
