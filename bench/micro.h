/* `ringcast-bench micro`: single steps of the hot paths, in nanoseconds each.
 *
 * A step sets itself up once and then does `count` operations; what it says of an operation's size or number is in its title. */
#ifndef BENCH_MICRO_H
#define BENCH_MICRO_H

#include <stdbool.h>
#include <stdint.h>

struct micro_step {
    const char *name, *title;
    uint32_t    bytes; /* of an operation, for bytes a second; 0: it has no size that matters */
    /* NULL: it is not possible here (one CPU). */
    void *(*begin)(void);
    /* Does so many, and returns what keeps the compiler from leaving it out. */
    uint64_t (*run)(void *context, uint64_t count);
    void (*end)(void *context);
};

extern const struct micro_step micro_codec_steps[]; /* micro_codecs.c: pure; name NULL ends it */
extern const struct micro_step micro_queue_steps[]; /* micro_queue.c: the queue and waking, in one thread and between two CPUs */
extern const struct micro_step micro_fanout_steps[]; /* micro_fanout.c: append, waking subscriptions, cutting ranges */

/* What callgrind counts: `--toggle-collect=micro_measured`. */
uint64_t micro_measured(const struct micro_step *step, void *context, uint64_t count);

int micro_main(int argc, char **argv);

#endif
