/* `ringcast-bench compare`: the same scenarios against the gateway and against other servers that are installed, each on one core,
 * the load on another. */
#ifndef BENCH_COMPARE_H
#define BENCH_COMPARE_H

int compare_main(int argc, char **argv);

#endif
