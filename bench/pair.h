/* `ringcast-bench pair`: the gateway and the floor in alternation, and the ratio of the two with its spread. */
#ifndef BENCH_PAIR_H
#define BENCH_PAIR_H

int pair_main(int argc, char **argv);

#endif
