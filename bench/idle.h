/* `ringcast-bench idle`: connections with one subscription each that do nothing but live; what each costs the gateway
 * in memory, and all together in processor time. */
#ifndef BENCH_IDLE_H
#define BENCH_IDLE_H

int idle_main(int argc, char **argv);

#endif
