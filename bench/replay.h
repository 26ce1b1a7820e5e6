/* `ringcast-bench replay FILE`: recorded ticks into a running gateway, at their own pace, a multiple of it, or as
 * fast as the gateway takes them. Every row is known to be published, or counted as an error, before it ends. */
#ifndef BENCH_REPLAY_H
#define BENCH_REPLAY_H

int replay_main(int argc, char **argv);

#endif
